"""What in somebody's payload is what? A declarative mapping, so that one more CRM needs YAML and no Python.

A path is JSONPath's plain part: ``$.deal.stage``, ``$.lines[0].price``, ``$['odd name']``; ``each`` may end with ``[*]``.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import structs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from models.config.suggest import meant
from models.events.catalogue import STRUCTS

_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^']*)'\]|\["([^"]*)"\]|(\[\*\])""")
_MISSING = object()

Step = str | int | None


def steps(path: str) -> tuple[Step, ...]:
    """Return a path as keys, indices and None for ``[*]``; raise ``ValueError`` where it is none."""
    if not path.startswith("$"):
        raise ValueError("accepted is a path as in $.deal.stage")
    found: list[Step] = []
    place = 1
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise ValueError(f"a path that cannot be read from character {place + 1} on (accepted: .name [0] ['name'] [*])")
        name, index, single, double, every = step.groups()
        found.append(
            None if every else int(index) if index is not None else next(t for t in (name, single, double) if t is not None)
        )
        place = step.end()
    return tuple(found)


def _path(text: str) -> str:
    if None in steps(text):
        raise ValueError("[*] belongs to each only")
    return text


def walk(tree: Any, path: tuple[Step, ...]) -> Iterator[Any]:
    """Yield what is at a path; nothing where it does not lead anywhere."""
    if not path:
        yield tree
        return
    step, rest = path[0], path[1:]
    if step is None:
        for one in tree if isinstance(tree, list) else ():
            yield from walk(one, rest)
    elif isinstance(step, str) and isinstance(tree, dict) and step in tree:
        yield from walk(tree[step], rest)
    elif isinstance(step, int) and isinstance(tree, list) and step < len(tree):
        yield from walk(tree[step], rest)


Path = Annotated[str, AfterValidator(_path)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _text(found: Any) -> str:
    """Return what is found at a path as YAML's keys have it: a number and a yes or no may come as such or as text."""
    if found is _MISSING or found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found).strip()


def _same(found: Any, accepted: str | bool | int) -> bool:
    one, other = _text(found), _text(accepted)
    return one == other or (isinstance(accepted, bool) and one.lower() == other)


class MappedValue(_Part):
    """Where a value comes from: a path (with a table of what is found there), or always the same.

    In YAML a bare ``$.path`` is a path, any other bare text a value.
    """

    path: Path | None = None
    value: str | int | float | None = None
    values: dict[str, str] = {}
    otherwise: str | None = None
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Numbers, also those that are text, are multiplied by it: 0.01 for amounts in cents."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, found: object) -> object:
        if isinstance(found, str | int | float):
            return {"path": found} if isinstance(found, str) and found.startswith("$") else {"value": found}
        return found

    @model_validator(mode="after")
    def _one(self) -> "MappedValue":
        if (self.path is None) == (self.value is None):
            raise ValueError("either a path or a value is needed")
        return self

    def get(self, item: Any) -> Any:
        """Return what an item has there; :data:`MISSING` where it has nothing."""
        if self.path is None:
            return self.value
        found = next(walk(item, steps(self.path)), _MISSING)
        if self.values:
            for key in (_text(found), str(found)):  # a yes as YAML has it (true), or Python (True)
                if key in self.values:
                    return self.values[key]
            if self.otherwise is not None:
                return self.otherwise
        return found


#: Said by :meth:`Value.get` of what is not there: other than null, which clears.
MISSING = _MISSING


class Rule(_Part):
    """One kind of payload, and the event that it is."""

    when: dict[Path, str | bool | int | list[str | bool | int]] = {}
    """Only items with these values at these paths; ``"*"`` is any value."""
    type: MappedValue
    subject: MappedValue
    time: MappedValue | None = None
    """Without it, the time that the sender's header gives."""
    id: MappedValue | None = None
    """What tells the event from others; without it, the sender's message id."""
    data: dict[str, MappedValue] = {}

    @field_validator("type")
    @classmethod
    def _known(cls, found: MappedValue) -> MappedValue:
        for kind in (found.value, found.otherwise, *found.values.values()):
            if kind is not None and kind != "skip" and (kind not in STRUCTS or str(kind).endswith(".absorbed")):
                raise ValueError(f"no type of event{meant(kind, STRUCTS)} (accepted: skip, {', '.join(STRUCTS)})")
        return found

    @model_validator(mode="after")
    def _fields(self) -> "Rule":
        kinds = {self.type.value, self.type.otherwise, *self.type.values.values()} & STRUCTS.keys()
        accepted = {name for kind in kinds or STRUCTS for name in data_fields(str(kind))}
        unknown = self.data.keys() - accepted
        if unknown:
            raise ValueError(f"data: no field of it{meant(min(unknown), accepted)} (accepted: {', '.join(sorted(accepted))})")
        return self

    def applies(self, item: Any) -> bool:
        """Whether an item is of this kind."""
        for path, accepted in self.when.items():
            found = next(walk(item, steps(path)), _MISSING)
            if accepted == "*":
                if found is _MISSING or found is None:
                    return False
            elif found is _MISSING or not any(
                _same(found, one) for one in (accepted if isinstance(accepted, list) else [accepted])
            ):
                return False
        return True


def data_fields(kind: str) -> tuple[str, ...]:
    """Return the fields that the data of a type of event has."""
    data = next(part.type for part in structs.fields(STRUCTS[kind]) if part.name == "data")
    return tuple(part.name for part in structs.fields(data))


class WebhookMapping(_Part):
    """A whole mapping: where the items of a body are, and what each may be. The first rule that applies is taken."""

    each: str = "$"
    nulls: Literal["clear", "unchanged"] = "clear"
    """What a null says: that the field was cleared, or, from senders that repeat all fields, that it is as it was."""
    events: list[Rule] = Field(min_length=1, max_length=200)

    @field_validator("each")
    @classmethod
    def _each(cls, found: str) -> str:
        steps(found)
        return found

    def items(self, body: Any) -> Iterator[Any]:
        """Yield the items of a body."""
        yield from walk(body, steps(self.each))

    def rule_for(self, item: Any) -> Rule | None:
        """Return the first rule that applies."""
        return next((rule for rule in self.events if rule.applies(item)), None)
