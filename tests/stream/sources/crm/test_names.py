"""What people call a deal or a lead goes on as the settings say, reaches those who read, and no figure."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from models.business import Business
from models.fold import Record
from models.folds.deals import CREDITING, DESCRIBING
from models.folds.entity_snapshots import decode_deal, decode_lead
from models.folds.partition import EntityPartition
from stream.sources.crm import ADAPTERS
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW
from tests.stream.sources.crm.test_kinds import told

Said = tuple[str, Any, dict[str, Any], dict[str, str]]


def contact(name: str, value: str) -> dict[str, Any]:
    return s.hubspot_note("contact.propertyChange", propertyName=name, propertyValue=value)


def rule(kind: str, **data: str) -> dict[str, Any]:
    return {"mapping": {"events": [{"type": kind, "subject": "$.id", "data": data}]}}


DEALS: dict[str, Said] = {
    "hubspot": ("hubspot", [s.hubspot_change("dealname", "Chairs")], {}, {"name": "Chairs"}),
    "pipedrive": ("pipedrive", s.pipedrive_note("create", "deal", {"id": 7, "title": "Chairs"}), {}, {"name": "Chairs"}),
    "salesforce, message": ("salesforce", s.outbound({"Id": "006A", "Name": "Chairs"}), {}, {"name": "Chairs"}),
    "salesforce, change": ("salesforce", s.cdc("UPDATE", Name="Chairs"), {}, {"name": "Chairs"}),
    "segment": (
        "segment",
        s.call("track", event="B", properties={"id": 7, "name": "Chairs"}),
        {"events": {"B": "deal.won"}},
        {"name": "Chairs"},
    ),
    "rudderstack": (
        "rudderstack",
        s.call("track", event="B", properties={"id": 7, "name": "Chairs"}),
        {"events": {"B": "deal.won"}},
        {"name": "Chairs"},
    ),
    "close": ("close", s.close_note("opportunity", "created", {"lead_name": "Chairs"}), {}, {"name": "Chairs"}),
    "standard": ("standard", {"type": "deal.won", "data": {"id": "D", "name": "Chairs"}}, {}, {"name": "Chairs"}),
    "standard, mapped": ("standard", {"id": "D", "n": "Chairs"}, rule("deal.won", name="$.n"), {"name": "Chairs"}),
    "standard, account": (
        "standard",
        {"type": "customer.churned", "data": {"account_id": "A", "name": "Chairs Ltd"}},
        {},
        {"name": "Chairs Ltd"},
    ),
}
LEADS: dict[str, Said] = {
    "hubspot, first": ("hubspot", [contact("firstname", "Ann")], {}, {"first_name": "Ann"}),
    "hubspot, last": ("hubspot", [contact("lastname", "Lee")], {}, {"last_name": "Lee"}),
    "pipedrive": ("pipedrive", s.pipedrive_note("create", "lead", {"title": "Ann Lee"}), {}, {"name": "Ann Lee"}),
    "pipedrive, person": (
        "pipedrive",
        s.pipedrive_note("create", "person", {"name": "Ann Lee"}),
        {"leads": "person"},
        {"name": "Ann Lee"},
    ),
    "salesforce, message": ("salesforce", s.outbound({"Id": "00QA", "Name": "Ann Lee"}, object="Lead"), {}, {"name": "Ann Lee"}),
    "salesforce, change": ("salesforce", s.cdc("UPDATE", "Lead", Name={"LastName": "Lee"}), {}, {"last_name": "Lee"}),
    "segment": (
        "segment",
        s.call("track", event="T", properties={"name": "Ann"}),
        {"events": {"T": "lead.created"}},
        {"name": "Ann"},
    ),
    "close": ("close", s.close_note("lead", "created", {"display_name": "Ann Lee"}), {}, {"name": "Ann Lee"}),
    "standard": ("standard", {"type": "lead.created", "data": {"id": "L", "first_name": "Ann"}}, {}, {"first_name": "Ann"}),
}
NAMES = ("name", "first_name", "last_name")


def names(case: Said, which: str) -> dict[str, str]:
    adapter, tree, settings, _ = case
    verdict = told(adapter, tree, names=which, **settings)
    assert not verdict.unusable
    return {name: value for event in verdict.events for name, value in event["data"].items() if name in NAMES}


@pytest.mark.parametrize("case", DEALS)
def test_a_deals_name_goes_on_unless_none_is_wanted(case: str) -> None:
    said = DEALS[case]
    assert [names(said, which) for which in ("all", "deals", "none")] == [said[3], said[3], {}]


@pytest.mark.parametrize("case", LEADS)
def test_a_leads_name_goes_on_only_where_all_do(case: str) -> None:
    said = LEADS[case]
    assert [names(said, which) for which in ("all", "deals", "none")] == [said[3], {}, {}]


def test_every_adapter_whose_payload_has_names_is_looked_at() -> None:
    assert {case.partition(",")[0] for case in DEALS} == set(ADAPTERS) - {"attio"}


def test_of_a_name_that_is_left_out_nothing_is_left_in_the_id() -> None:
    assert told("hubspot", [contact("firstname", "Ann")], names="deals").events == ()


def folded(room: str, events: list[dict[str, Any]]) -> tuple[dict[bytes, bytes | None], dict[str, Any]]:
    """Return the panes and the states of the entities."""
    partition = EntityPartition(room, 0, Business())
    partition.fold([Record(room, 0, place, NOW, None, orjson.dumps(event), ()) for place, event in enumerate(events)])
    outputs = partition.changes().outputs
    decode: Callable[[bytes], Any] = decode_deal if room == "deals" else decode_lead
    states = {o.key.decode(): decode(o.value) for o in outputs if o.topic.endswith("-states") and o.value is not None}
    return {o.key: o.value for o in outputs if o.topic == "panes"}, states


@pytest.mark.parametrize(("room", "tables"), [("deals", DEALS), ("leads", LEADS)])
def test_no_figure_has_a_name(room: str, tables: dict[str, Said]) -> None:
    found = [told(adapter, tree, **settings).events for adapter, tree, settings, _ in tables.values()]
    events = [event for some in found for event in some if event["type"].startswith(room[:-1])]
    bare = [{**event, "data": {k: v for k, v in event["data"].items() if k not in NAMES}} for event in events]
    panes, states = folded(room, events)
    assert panes and panes == folded(room, bare)[0], "names change no pane"
    assert not {"name", "first_name", "last_name"} & {*DESCRIBING, *CREDITING}
    assert {state.name for state in states.values()} & {"Chairs", "Ann Lee"}


@pytest.mark.parametrize("turn", [1, -1])
def test_first_and_last_names_come_one_by_one(turn: int) -> None:
    notes = [contact("firstname", "Ann"), contact("lastname", "Lee") | {"occurredAt": NOW - 1_000}]
    (state,) = folded("leads", list(told("hubspot", notes[::turn]).events))[1].values()
    assert state.name == "Ann Lee"
