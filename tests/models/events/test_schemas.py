"""Do the published schemas say what the decoder does?"""

import json
from typing import Any

import jsonschema
import pytest

from models.events.authority import MODELS
from models.events.catalogue import TOPIC_OF
from models.events.dead_letter import dead_letter
from models.events.decode import decode
from models.events.refused import Reason, Refused
from models.events.schemas import asyncapi, json_schemas
from models.fold import Record
from tests.models.events.samples import ARRIVAL, DATA, event

SCHEMAS = json_schemas()

BAD = [
    ("deal.won", {"owner": 5}),
    ("deal.won", {"owner": "x" * 513}),
    ("deal.won", {"amount": "NaN"}),
    ("deal.won", {"amount": 10**12 + 1}),
    ("deal.won", {"amount": "1,5"}),
    ("deal.won", {"currency": "eur"}),
    ("deal.stage_changed", {}),
    ("deal.stage_changed", {"stage": None}),
    ("deal.merged", {}),
    ("web.identified", {"visitor_id": "v"}),
    ("email.sent", {"count": 0}),
    ("email.sent", {"count": 1.5}),
    ("customer.invoiced", {"amount": 5}),
    ("customer.surveyed", {"kind": "csat", "score": 6}),
    ("customer.surveyed", {"kind": "csat", "score": 0}),
    ("customer.surveyed", {"kind": "nps", "score": 11}),
    ("lead.qualified", {"level": "x"}),
    ("rep.trained", {"owner": "ana"}),
]
GOOD = [
    ("deal.won", {"amount": 1.5, "currency": "EUR", "unknown": [1]}),
    ("deal.won", {"amount": "-1e3", "owner": None}),
    ("email.sent", {"count": 2.0}),
    ("customer.surveyed", {"kind": "csat", "score": 5}),
    ("customer.surveyed", {"kind": "nps", "score": 0}),
    ("lead.created", {"bant": {"budget": "much", "need": 0.5, "timing": False}}),
]


def valid(kind: str, raw: Any) -> bool:
    return bool(jsonschema.Draft7Validator(SCHEMAS[kind]).is_valid(json.loads(json.dumps(raw))))


def accepted(kind: str, raw: Any) -> bool:
    try:
        decode(json.dumps(raw).encode(), (), topic=TOPIC_OF[kind], arrival=ARRIVAL)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(DATA))
def test_each_type_has_a_schema_that_takes_its_example(kind: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMAS[kind])
    assert valid(kind, event(kind))
    assert not valid(kind, event(kind, type="other"))
    for attribute in ("id", "source", "time", "subject", "specversion", "type"):
        without = {name: value for name, value in event(kind).items() if name != attribute}
        assert not valid(kind, without)
        assert not accepted(kind, without)


@pytest.mark.parametrize(("kind", "data"), BAD)
def test_schema_and_decoder_refuse_the_same(kind: str, data: dict[str, Any]) -> None:
    assert not valid(kind, event(kind, data))
    assert not accepted(kind, event(kind, data))


@pytest.mark.parametrize(("kind", "data"), GOOD)
def test_schema_and_decoder_take_the_same(kind: str, data: dict[str, Any]) -> None:
    assert valid(kind, event(kind, data))
    assert accepted(kind, event(kind, data))


def test_draft_7_has_no_words_beside_a_reference() -> None:
    def look(node: Any) -> None:
        if isinstance(node, dict):
            assert "$ref" not in node or set(node) == {"$ref"}
            assert not set(node) & {"$defs", "prefixItems", "ge", "le"}
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    for schema in SCHEMAS.values():
        look(schema)


def test_a_dead_letter_has_the_form_its_schema_says() -> None:
    record = Record("deals", 0, 1, 2, b"k", b"{", [("a", b"b")])
    letter = json.loads(dead_letter(record, Refused(Reason.BAD_JSON, "x"), 3).encode())
    jsonschema.Draft7Validator(SCHEMAS["dead-letter"]).validate(letter)
    assert not valid("dead-letter", {**letter, "reason": "mood"})
    assert not valid("dead-letter", {**letter, "headers": [["a"]]})


def test_the_document_names_every_topic_and_type() -> None:
    document = asyncapi()
    inner = {"panes", "readings", "alerts", "alert-states", "outbox", "dead-letters"}
    assert set(document["channels"]) == set(TOPIC_OF.values()) | inner
    assert set(MODELS) < set(document["components"]["messages"])
    for channel in document["channels"].values():
        for message in channel["messages"].values():
            assert message["$ref"].removeprefix("#/components/messages/") in document["components"]["messages"]
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    for message in document["components"]["messages"].values():
        reference = message["payload"]["schema"].get("$ref", "./schemas/dead-letter.json")
        assert reference.removeprefix("./schemas/").removesuffix(".json") in SCHEMAS


def test_building_twice_gives_the_same() -> None:
    assert json.dumps(json_schemas()) == json.dumps(SCHEMAS)
    assert json.dumps(asyncapi()) == json.dumps(asyncapi())
