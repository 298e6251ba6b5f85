"""Which contacts are leads, since when, and has anybody answered them? From the webhook to the lead's state."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.business import Business
from models.fold import Record
from models.folds.entity_snapshots import LeadState, decode_lead
from models.folds.partition import EntityPartition
from stream.sources.backfill import hubspot as export
from stream.sources.backfill.base import BackfillTally, FoundEvent, Options, ordered
from stream.sources.crm import SourceProblem, parse_settings
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW
from tests.stream.sources.crm.test_kinds import told

DAY, HOUR = 86_400_000, 3_600_000
LONG_AGO = NOW - 400 * DAY


def lead(events: Any) -> LeadState | None:
    """Return the state of the one lead of which the events tell."""
    partition = EntityPartition("leads", 0, Business())
    for place, event in enumerate(events):
        partition.fold([Record("leads", 0, place, NOW, None, orjson.dumps(event), ())])
    states = [o.value for o in partition.changes().outputs if o.topic == "lead-states" and o.value is not None]
    return decode_lead(states[0]) if states else None


def contact(name: str, value: Any, at: int) -> dict[str, Any]:
    return s.hubspot_note("contact.propertyChange", propertyName=name, propertyValue=value, occurredAt=at)


CREATED = s.hubspot_note("contact.creation", occurredAt=LONG_AGO)
SUBSCRIBED = contact("lifecyclestage", "subscriber", LONG_AGO)
MAIL = contact("email", "ann@example.com", LONG_AGO)
LEAD = contact("lifecyclestage", "lead", NOW - DAY)
MQL = contact("lifecyclestage", "marketingqualifiedlead", NOW - HOUR)


def test_a_subscriber_is_no_lead_and_waits_for_nobody() -> None:
    state = lead(told("hubspot", [CREATED, SUBSCRIBED, MAIL]).events)
    assert state is not None and state.created is None, "nothing that a rule on unanswered leads would count"


@pytest.mark.parametrize("turn", [1, -1])
def test_a_contact_is_a_lead_from_when_its_stage_of_life_says_so(turn: int) -> None:
    state = lead(told("hubspot", [CREATED, SUBSCRIBED, MAIL, LEAD, MQL]).events[::turn])
    assert state is not None and (state.created, state.level, state.contacted) == (NOW - DAY, "mql", None)


def test_always_is_as_it_says() -> None:
    state = lead(told("hubspot", [CREATED, SUBSCRIBED], lead_when="always").events)
    assert state is not None and state.created == LONG_AGO


def test_a_form_or_any_value_of_a_property_may_make_a_lead() -> None:
    form = contact("first_conversion_event_name", "Demo: Demo form", NOW - DAY)
    for when, created in (
        ({"first_conversion_event_name": "demo: demo form"}, NOW - DAY),
        ({"first_conversion_event_name": "*"}, NOW - DAY),
        ({"first_conversion_event_name": ["Newsletter"]}, None),
    ):
        state = lead(told("hubspot", [CREATED, MAIL, form], lead_when=when).events)
        assert state is not None and state.created == created, when


@pytest.mark.parametrize(
    ("at", "answered"),
    [(NOW - 300 * DAY, False), (NOW - DAY - HOUR, True), (NOW - HOUR, True)],
    ids=["long before", "led to it", "after"],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_a_call_answers_a_lead_and_not_what_the_contact_was_before(at: int, answered: bool, turn: int) -> None:
    called = contact("notes_last_contacted", str(at), at + 1_000)
    state = lead(told("hubspot", [CREATED, LEAD, called]).events[::turn])
    assert state is not None and state.contacted == (at if answered else None)


def test_of_several_contacts_before_it_was_a_lead_the_last_one_counts() -> None:
    calls = [contact("notes_last_contacted", str(at), at) for at in (NOW - 300 * DAY, NOW - DAY - HOUR)]
    state = lead(told("hubspot", [*calls, LEAD]).events)
    assert state is not None and state.contacted == NOW - DAY - HOUR


def test_a_call_that_is_planned_has_not_been_made() -> None:
    planned = contact("notes_last_contacted", str(NOW + DAY), NOW - HOUR)
    assert [event["time"] for event in told("hubspot", [planned]).events] == ["2026-09-21T13:13:21Z"]


TABLE = "Record ID,First Name,Email,Lifecycle Stage,Create Date,Last Modified Date\n"


@pytest.mark.parametrize(
    ("stage", "created"), [("Lead", "2026-03-01"), ("Subscriber", None), ("Marketing Qualified Lead", "2026-03-01")]
)
def test_an_export_without_history_has_leads_since_they_were_there(stage: str, created: str | None, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(TABLE + f"7,Ann,ann@example.com,{stage},2026-03-01 10:00,2026-09-01 10:00\n")
    options, tally = Options(settings=parse_settings("hubspot", {}), now=NOW), BackfillTally()
    events = [
        one.event for one in ordered(export.read([path], options, tally), [path], options, tally) if isinstance(one, FoundEvent)
    ]
    times = [event["time"][:10] for event in events if event["type"] == "lead.created"]
    assert times == ([] if created is None else [created])


#: Of each sender: what was done with a lead, and what looks like it and is none.
CONTACTED: dict[str, tuple[str, Any, dict[str, Any], bool]] = {
    "hubspot, call": (
        "hubspot",
        [s.hubspot_note("x.associationChange", associationType="CALL_TO_CONTACT", fromObjectId=1, toObjectId=2)],
        {},
        True,
    ),
    "hubspot, meeting, from the other end": (
        "hubspot",
        [s.hubspot_note("x.associationChange", associationType="CONTACT_TO_MEETING", fromObjectId=2, toObjectId=1)],
        {},
        True,
    ),
    "hubspot, e-mail": (
        "hubspot",
        [s.hubspot_note("x.associationChange", associationType="EMAIL_TO_CONTACT", fromObjectId=1, toObjectId=2)],
        {},
        False,
    ),
    "pipedrive, call": (
        "pipedrive",
        s.pipedrive_note("change", "activity", {"type": "call", "done": True, "lead_id": "l"}, entity_id="5"),
        {},
        True,
    ),
    "pipedrive, to do": (
        "pipedrive",
        s.pipedrive_note("create", "activity", {"type": "call", "done": False, "lead_id": "l"}, entity_id="5"),
        {},
        False,
    ),
    "pipedrive, deadline": (
        "pipedrive",
        s.pipedrive_note("change", "activity", {"type": "deadline", "done": 1, "lead_id": "l"}, entity_id="5"),
        {},
        False,
    ),
    "salesforce, call": ("salesforce", s.cdc("CREATE", "Task", WhoId="00QA", TaskSubtype="Call", Status="Completed"), {}, True),
    "salesforce, meeting": ("salesforce", s.cdc("CREATE", "Event", WhoId="00QA"), {}, True),
    "salesforce, to do": (
        "salesforce",
        s.cdc("CREATE", "Task", WhoId="00QA", TaskSubtype="Call", Status="Not Started"),
        {},
        False,
    ),
    "salesforce, of a contact": ("salesforce", s.cdc("CREATE", "Task", WhoId="003A", Status="Completed"), {}, False),
    "close, call": ("close", s.close_note("activity.call", "created", {"lead_id": "l", "direction": "outbound"}), {}, True),
    "close, mail": ("close", s.close_note("activity.email", "sent", {"lead_id": "l", "status": "sent"}), {}, True),
    "close, draft": ("close", s.close_note("activity.email", "created", {"lead_id": "l", "status": "draft"}), {}, False),
    "close, mail that came in": (
        "close",
        s.close_note("activity.email", "created", {"lead_id": "l", "direction": "incoming"}),
        {},
        False,
    ),
    "segment": ("segment", s.call("track", event="Call Logged"), {"events": {"Call Logged": "lead.contacted"}}, True),
    "segment, identify": ("segment", s.call("identify"), {}, False),
    "rudderstack": ("rudderstack", s.call("track", event="Call Logged"), {"events": {"Call Logged": "lead.contacted"}}, True),
    "attio": ("attio", s.attio_note("call-recording.created"), {}, False),  # says nothing of whom
    "standard": ("standard", {"type": "lead.contacted", "data": {"lead_id": "l", "channel": "call"}}, {}, True),
}


@pytest.mark.parametrize("name", CONTACTED)
def test_what_was_done_with_a_lead_is_its_first_contact(name: str) -> None:
    adapter, tree, settings, is_one = CONTACTED[name]
    verdict = told(adapter, tree, **settings)
    assert not verdict.unusable
    assert ["lead.contacted" for event in verdict.events if event["type"] == "lead.contacted"] == ["lead.contacted"] * is_one


def test_what_makes_a_lead_is_checked_when_settings_are_read() -> None:
    wrongs: list[Any] = ["sometimes", {}, {"lifecyclestage": []}]
    for wrong in wrongs:
        with pytest.raises(SourceProblem, match="lead_when"):
            parse_settings("hubspot", {"lead_when": wrong})
