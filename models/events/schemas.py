"""How is the contract told to those who publish events: JSON Schema per type, one AsyncAPI document for all topics?"""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema

from models.events.authority import MODELS
from models.events.catalogue import STRUCTS, TOPIC_OF, TOPICS
from models.events.dead_letter import DeadLetter
from models.events.refused import Reason

#: The version of the contract: the second number grows with each addition, the first with each change that breaks a sender.
VERSION = "1.1.0"

_DIALECT = "http://json-schema.org/draft-07/schema#"
_TOPIC_MEANING = {
    "deals": ("deal id", "What happens to deals."),
    "leads": ("lead id", "What happens to leads."),
    "engagement": ("visitor or lead id", "What visitors and leads do: on the web, with mails, with ads."),
    "customers": ("account id", "What happens with customers."),
    "spend": ("channel or representative", "What selling costs, in money and in people."),
    "deal-merges": (
        "survivor's id",
        "Facts of merged deals, on their way to the survivor. Vigie's own: nobody else writes here.",
    ),
    "lead-merges": (
        "survivor's id",
        "Facts of merged leads, on their way to the survivor. Vigie's own: nobody else writes here.",
    ),
}
_ABOUT = """\
Events are CloudEvents 1.0 in JSON. Structured mode: the record's value is the whole event. Binary mode: the attributes are
headers `ce_…`, the value is `data`. The record's key is the event's `subject`. `id` makes an event idempotent: what is delivered
twice counts once. Order and lateness do not matter: `time` says when it happened. Fields that are not named here are kept out
and counted; a record that cannot be used goes to `dead-letters` with its reason. In `data`, a field that is absent is not
known to the event, a field that is null is cleared."""


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 7) of each type of event, by type, and of a dead letter as ``dead-letter``."""
    schemas = {name: _event_schema(name) for name in MODELS}
    schemas["dead-letter"] = _dead_letter_schema()
    return schemas


def asyncapi(payloads: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of all topics; its payloads refer to ``schemas/TYPE.json`` beside it.

    ``payloads`` names the schemas of topics whose form is told elsewhere.
    """
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for topic in TOPICS:
        key, meaning = _TOPIC_MEANING[topic]
        names = [name for name, home in TOPIC_OF.items() if home == topic]
        channels[topic] = {
            "address": topic,
            "description": meaning,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }
        operations[f"receive-{topic}"] = {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}}
        for name in names:
            messages[name] = {
                "name": name,
                "title": STRUCTS[name].__name__,
                "summary": _sentence(STRUCTS[name]),
                "contentType": "application/cloudevents+json",
                "payload": _payload({"$ref": f"./schemas/{name}.json"}),
                "bindings": {"kafka": {"key": {"type": "string", "description": f"The subject: {key}."}}},
            }
    for topic, (key, meaning, known) in _outgoing().items():
        payload = {"$ref": f"./schemas/{payloads[topic]}.json"} if payloads and topic in payloads else known
        name = topic.rstrip("s") if topic != "outbox" else "notification"
        channels[topic] = {
            "address": topic,
            "description": meaning,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"send-{topic}"] = {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
        messages[name] = {
            "name": name,
            "summary": meaning,
            "contentType": "application/json",
            "payload": _payload(payload),
            "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Vigie", "version": VERSION, "description": _ABOUT, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _outgoing() -> dict[str, tuple[str, str, dict[str, Any]]]:
    number = {"type": ["number", "null"]}
    reading = {
        "type": "object",
        "required": ["kpi", "window", "segment", "from", "at", "value", "unit"],
        "properties": {
            "kpi": {"type": "string"},
            "window": {"type": "string"},
            "segment": {"type": "object", "additionalProperties": {"type": "string"}},
            "from": {"type": ["string", "null"], "format": "date-time"},
            "at": {"type": "string", "format": "date-time"},
            "value": {**number, "description": "Null where it would mean nothing; `why` then says so."},
            "numerator": number,
            "denominator": number,
            "low": number,
            "high": number,
            "unit": {"type": "string"},
            "why": {"type": "string"},
            "since": {
                "type": "string",
                "format": "date-time",
                "description": "Counted from then on only, which is after `from`.",
            },
        },
    }
    inside = {"type": "object", "description": "Vigie's own form, which may change with any version."}
    return {
        "panes": ("Source partition and pane.", "Absolute partial sums: a repeat overwrites, it never adds.", inside),
        "readings": ("KPI, window and segment.", "What each KPI is worth now.", reading),
        "alerts": (
            "Incident.",
            "What happens to alerts, what people do about them, what is decided, and what has arrived.",
            inside,
        ),
        "alert-states": ("Incident.", "The alerts that stand; nothing once one has ended.", inside),
        "outbox": ("Thread: an incident, or a group's life.", "Messages on their way to receivers.", inside),
        "dead-letters": (
            "Topic, partition and offset of the record.",
            "Records that could not be used, each with its reason.",
            {"$ref": "./schemas/dead-letter.json"},
        ),
    }


def _payload(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schemaFormat": "application/schema+json;version=draft-07", "schema": schema}


def _event_schema(name: str) -> dict[str, Any]:
    model = MODELS[name]
    schema = model.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Plain)
    parts = schema.pop("$defs", {})
    return {
        "$schema": _DIALECT,
        "$id": f"urn:vigie:event:{name}",
        "title": name,
        "description": f"{_sentence(STRUCTS[name])} On the topic {TOPIC_OF[name]}.",
        "type": "object",
        "required": schema["required"],
        "properties": schema["properties"],
        **({"definitions": parts} if parts else {}),
    }


def _dead_letter_schema() -> dict[str, Any]:
    parts = msgspec.json.schema(DeadLetter, ref_template="#/definitions/{name}")["$defs"]
    parts["Reason"]["description"] = _sentence(Reason)
    letter = parts.pop("DeadLetter")
    letter["description"] = _sentence(DeadLetter)
    header = letter["properties"]["headers"]["items"]
    header.update(items=header.pop("prefixItems"), additionalItems=False)  # a pair, in draft 7's words
    return {"$schema": _DIALECT, "$id": "urn:vigie:dead-letter", **letter, "definitions": parts}


def _sentence(documented: type) -> str:
    """Return the first sentence of a docstring."""
    return (documented.__doc__ or "").strip().splitlines()[0]


class _Plain(GenerateJsonSchema):
    """pydantic's generator without the titles and defaults that say nothing (each is the field's name, null or empty)."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        inner = super().default_schema(schema)
        if inner.get("default", ...) in (None, "", {}):
            del inner["default"]
        return inner
