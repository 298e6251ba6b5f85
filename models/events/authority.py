"""What does the published contract say of this record: accepted as what, or refused why?

The slow way: every form of CloudEvents that the Kafka binding allows, every unknown field named, every refusal explained.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, cast

import msgspec
import orjson
from pydantic import BaseModel, Field, ValidationError, create_model

from models.events import contract, customers, deals, engagement, leads, merges, spend, wire
from models.events.catalogue import STRUCTS, TOPIC_OF, Event
from models.events.content_mode import binary
from models.events.refused import Reason, Refused
from models.events.scalars import shown

#: The contract of each struct's data.
DATA_MODELS: Mapping[type[wire.Data], type[contract.Part]] = MappingProxyType(
    {
        wire.Nothing: contract.Nothing,
        deals.Attributes: contract.Attributes,
        deals.StageAttributes: contract.StageAttributes,
        deals.LostAttributes: contract.LostAttributes,
        deals.Activity: contract.Activity,
        deals.Into: contract.Into,
        leads.LeadAttributes: contract.LeadAttributes,
        leads.Contact: contract.Contact,
        leads.Qualification: contract.Qualification,
        leads.Disqualification: contract.Disqualification,
        leads.Conversion: contract.Conversion,
        engagement.Visit: contract.Visit,
        engagement.Identity: contract.Identity,
        engagement.Reach: contract.Reach,
        engagement.Opening: contract.Opening,
        customers.Invoice: contract.Invoice,
        customers.Churn: contract.Churn,
        customers.Survey: contract.Survey,
        customers.Ticket: contract.Ticket,
        customers.Recommendation: contract.Recommendation,
        spend.Spend: contract.Spend,
        spend.Hiring: contract.Hiring,
        spend.Training: contract.Training,
        spend.Step: contract.Step,
        spend.Recording: contract.Recording,
        merges.Absorption: contract.Absorption,
    }
)


def _event_model(name: str, struct: type[wire.Envelope]) -> type[contract.Envelope]:
    """Build the contract of one type: the envelope, the type's name, and its data."""
    data = next(field for field in msgspec.structs.fields(struct) if field.name == "data")
    model = DATA_MODELS[data.type]
    default = Field() if data.required else Field(default_factory=model)
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (model, default)}
    return create_model(struct.__name__, __base__=contract.Envelope, __doc__=struct.__doc__, **fields)


#: The contract of each type of event.
MODELS: Mapping[str, type[contract.Envelope]] = MappingProxyType(
    {name: _event_model(name, struct) for name, struct in STRUCTS.items()}
)

_REASONS = {
    "amount": Reason.BAD_AMOUNT,
    "cost": Reason.BAD_AMOUNT,
    "list_amount": Reason.BAD_AMOUNT,
    "currency": Reason.UNKNOWN_CURRENCY,
    "default_currency": Reason.UNKNOWN_CURRENCY,
}
_OPTIONAL = ("datacontenttype", "dataschema", "traceparent", "tracestate")
_MOST_UNKNOWN = 32
_MOST_PROBLEMS = 3


def read(value: bytes | None, headers: Sequence[tuple[str, bytes | None]], topic: str) -> tuple[Event, tuple[str, ...]]:
    """Return the event as its struct, and the names of its unknown fields; raise Refused.

    What depends on the moment and on the settings (the range of times, known currencies) is not looked at here.
    """
    raw = _binary(value, headers) if binary(headers) else _structured(value)
    name = raw.get("type")
    if not isinstance(name, str) or not name:
        raise Refused(Reason.BAD_ENVELOPE, f"type: found {shown(name)}, accepted is a type as in deal.created")
    home = TOPIC_OF.get(name)
    if home is None:
        raise Refused(Reason.UNKNOWN_TYPE, f"type: {shown(name)} is not a type of the contract")
    if home != topic:
        raise Refused(Reason.WRONG_TOPIC, f"type: {name} belongs on the topic {home}, found on {topic}")
    if raw.get("id") in (None, ""):
        raise Refused(Reason.MISSING_ID, "id: missing or empty, accepted is text; without it a repeat could not be told")
    for attribute in _OPTIONAL:  # CloudEvents: null is the same as absent
        if attribute in raw and raw[attribute] is None:
            del raw[attribute]
    model = MODELS[name]
    if raw.get("data", ...) is None and not model.model_fields["data"].is_required():
        del raw["data"]
    unknown: list[str] = []
    _unknown_fields(raw, model, "", unknown)
    try:
        accepted = model.model_validate(raw)
    except ValidationError as error:
        raise _refusal(error) from None
    clean = accepted.model_dump(exclude_unset=True)
    try:
        event = msgspec.convert(clean, STRUCTS[name])
    except msgspec.ValidationError as error:  # the two halves of the contract disagree: ours to mend, not the sender's
        raise Refused(Reason.INTERNAL, f"{name}: accepted by the contract, but not by its struct: {error}") from None
    return cast(Event, event), tuple(unknown)


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Refused(Reason.BAD_JSON, f"value: not JSON ({error})") from None


def _structured(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise Refused(Reason.NO_VALUE, "value: none; an event is never empty")
    raw = _json(value)
    if not isinstance(raw, dict):
        raise Refused(Reason.NOT_AN_OBJECT, f"value: found {shown(raw)}, accepted is one CloudEvent as a JSON object")
    if "data_base64" in raw:
        raise Refused(Reason.BAD_ENVELOPE, "data_base64: accepted is data, as JSON")
    return raw


def _binary(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for name, content in headers:
        if content is None:  # CloudEvents: null is the same as absent
            continue
        if name.startswith("ce_"):
            attribute = name[3:]
        elif name.lower() == "content-type":
            attribute = "datacontenttype"
        else:
            continue
        if attribute in raw or attribute == "data":
            raise Refused(Reason.BAD_ENVELOPE, f"header {shown(name)}: given twice, or not an attribute of CloudEvents")
        try:
            raw[attribute] = content.decode()
        except UnicodeDecodeError:
            raise Refused(Reason.BAD_ENVELOPE, f"header {shown(name)}: not UTF-8") from None
    if value:
        raw["data"] = _json(value)
    return raw


def _unknown_fields(raw: dict[str, Any], model: type[BaseModel], prefix: str, found: list[str]) -> None:
    """Add the paths of the fields that the model does not name, at most 32 and shortened: senders choose them."""
    for name, value in raw.items():
        field = model.model_fields.get(name)
        if field is None:
            if len(found) < _MOST_UNKNOWN:
                found.append(f"{prefix}{name}"[:100])
        elif isinstance(value, dict):
            inner = _part_of(field.annotation)
            if inner is not None:
                _unknown_fields(value, inner, f"{prefix}{name}.", found)


def _part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``Bant | None``."""
    for choice in getattr(annotation, "__args__", (annotation,)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _refusal(error: ValidationError) -> Refused:
    """Turn pydantic's list of errors into one reason and one line."""
    reasons: list[Reason] = []
    details: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        where = ".".join(str(step) for step in problem["loc"] if not _is_choice(step))
        if where in details:
            continue  # the other members of a union, which do not fit either
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, Refused):
            reason = cause.reason
            if reason is Reason.INVALID_DATA and not where.startswith("data"):
                reason = Reason.BAD_ENVELOPE
            details[where] = cause.detail.partition(": ")[2]
        else:
            missing = problem["type"] == "missing"
            reason = _reason_of(where, missing)
            found = "missing" if missing else f"found {shown(problem['input'])}"
            details[where] = f"{found}, {problem['msg'][:1].lower()}{problem['msg'][1:]}"
        reasons.append(reason)
    lines = [f"{where}: {detail}" for where, detail in details.items()]
    if len(lines) > _MOST_PROBLEMS:
        lines[_MOST_PROBLEMS:] = [f"and {len(lines) - _MOST_PROBLEMS} more"]
    return Refused(reasons[0], "; ".join(lines))


def _reason_of(where: str, missing: bool) -> Reason:
    """Return the reason for a field of the wrong shape."""
    if where == "time":
        return Reason.BAD_TIME
    if where.startswith("data.") and not missing:
        return _REASONS.get(where[5:], Reason.INVALID_DATA)
    return Reason.INVALID_DATA if where.split(".", 1)[0] == "data" else Reason.BAD_ENVELOPE


def _is_choice(step: int | str) -> bool:
    """Tell whether a step of pydantic's path names a member of a union rather than a field."""
    return isinstance(step, str) and (step in ("int", "float", "str", "bool") or step.endswith("]"))
