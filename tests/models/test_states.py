"""Does the present of each deal and lead reach those who judge single ones, whatever order its events came in?"""

import random
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, iso
from models.fold import Record
from models.folds.entity_snapshots import decode_deal, decode_lead
from models.folds.partition import EntityPartition
from models.measures import RULES

T0 = 1_780_000_000_000
HOUR = 3_600_000


def record(topic: str, type: str, subject: str, at: int, id: str, /, sender: str = "crm", **data: Any) -> Record:
    event = {"specversion": "1.0", "id": id, "source": sender, "type": type, "time": iso(at), "subject": subject, "data": data}
    return Record(topic, 0, 0, T0 + DAY_MS, None, orjson.dumps(event), ())


DEAL = [
    record("deals", "deal.created", "D1", T0, "1", amount="120.50", currency="EUR", owner="ann", source="web", stage="new"),
    record("deals", "deal.stage_changed", "D1", T0 + HOUR, "2", stage="offer", expected_close_date="2026-07-01"),
    record("deals", "deal.updated", "D1", T0 + 2 * HOUR, "3", owner="bob"),
    record("deals", "deal.activity", "D1", T0 + 3 * HOUR, "4", kind="call"),
    record("deals", "deal.won", "D1", T0 + 4 * HOUR, "5"),
    record("deals", "deal.reopened", "D1", T0 + 5 * HOUR, "6", stage="offer"),
]


def states(partition: EntityPartition, topic: str = "deal-states") -> dict[str, bytes | None]:
    return {output.key.decode(): output.value for output in partition.changes().outputs if output.topic == topic}


def test_a_deals_present_in_every_field_that_is_known() -> None:
    partition = EntityPartition("deals", 0, Business())
    partition.fold(DEAL[:5])
    value = states(partition)["D1"]
    assert value is not None
    assert orjson.loads(value) == {
        "id": "D1",
        "status": "won",
        "changed": T0 + 4 * HOUR,
        "created": T0,
        "closed": T0 + 4 * HOUR,
        "stage": "offer",
        "stage_since": T0 + HOUR,
        "amount": 1_205_000,
        "owner": "bob",
        "source": "web",
        "expected_close": "2026-07-01",
        "last_activity": T0 + 3 * HOUR,
        "sender": "crm",
    }
    partition.fold(DEAL[5:])
    value = states(partition)["D1"]
    assert value is not None
    again = decode_deal(value)
    assert (again.status, again.closed, again.stage, again.stage_since) == ("open", None, "offer", T0 + 5 * HOUR)
    assert states(partition) == {}, "what has not changed is not said again"


@pytest.mark.parametrize("seed", range(20))
def test_order_duplicates_and_restarts_make_no_difference(seed: int) -> None:
    straight = EntityPartition("deals", 0, Business())
    straight.fold(DEAL)
    wanted = states(straight)
    r = random.Random(seed)
    events = DEAL + r.sample(DEAL, 3)
    r.shuffle(events)
    rows: dict[bytes, bytes] = {}
    last: dict[str, bytes | None] = {}
    for event in events:
        partition = EntityPartition("deals", 0, Business())
        partition.restore(rows.items())
        partition.fold([event])
        changes = partition.changes()
        rows |= {row.key: row.value for row in changes.rows if row.value is not None}
        last |= {o.key.decode(): o.value for o in changes.outputs if o.topic == "deal-states"}
    assert last == wanted


def test_deleted_and_merged_ones_are_taken_back() -> None:
    partition = EntityPartition("deals", 0, Business())
    partition.fold([record("deals", "deal.created", d, T0, d) for d in ("A", "B", "C")])
    assert set(states(partition)) == {"A", "B", "C"}
    partition.fold(
        [record("deals", "deal.deleted", "A", T0 + 1, "a"), record("deals", "deal.merged", "B", T0 + 1, "b", into="C")]
    )
    assert states(partition) == {"A": None, "B": None}
    partition.fold([record("deals", "deal.created", "A", T0 + 2, "a2")])
    assert states(partition)["A"] is not None, "created again"


def test_of_a_deal_known_by_activities_only_nothing_is_said() -> None:
    partition = EntityPartition("deals", 0, Business())
    partition.fold([record("deals", "deal.activity", "D9", T0, "1", kind="call")])
    assert states(partition) == {}


def test_forgotten_entities_are_taken_back() -> None:
    partition = EntityPartition("deals", 0, Business())
    partition.fold([record("deals", "deal.created", "old", T0, "1"), record("deals", "deal.lost", "old", T0 + 1, "2")])
    states(partition)
    later = T0 + 2_000 * DAY_MS
    late = record("deals", "deal.created", "new", later, "3")._replace(timestamp=later)
    partition.fold([late])
    said = states(partition)
    assert said["old"] is None
    assert said["new"] is not None


def test_a_leads_present() -> None:
    partition = EntityPartition("leads", 0, Business())
    partition.fold(
        [
            record("leads", "lead.created", "L1", T0, "1", source="ad", score=7),
            record("leads", "lead.contacted", "L1", T0 + HOUR, "2", channel="phone"),
            record("leads", "lead.qualified", "L1", T0 + 2 * HOUR, "3", level="mql"),
            record("leads", "lead.created", "L2", T0, "4"),
            record("leads", "lead.disqualified", "L2", T0 + HOUR, "5", reason="spam"),
        ]
    )
    said = states(partition, "lead-states")
    first, second = said["L1"], said["L2"]
    assert first is not None
    assert second is not None
    lead = decode_lead(first)
    assert (lead.status, lead.contacted, lead.level, lead.source, lead.score) == ("open", T0 + HOUR, "mql", "ad", 7.0)
    assert decode_lead(second).status == "disqualified"


def test_who_was_only_edited_is_unknown() -> None:
    deals, leads = EntityPartition("deals", 0, Business()), EntityPartition("leads", 0, Business())
    deals.fold([record("deals", "deal.updated", "D1", T0, "1", amount="5", owner="ann")])
    leads.fold([record("leads", "lead.updated", "L1", T0, "2", owner="ann")])
    deal, lead = states(deals)["D1"], states(leads, "lead-states")["L1"]
    assert deal is not None and lead is not None
    assert orjson.loads(deal) == {
        "id": "D1",
        "status": "unknown",
        "changed": T0,
        "amount": 50_000,
        "owner": "ann",
        "sender": "crm",
    }
    assert decode_lead(lead).status == "unknown"
    leads.fold([record("leads", "lead.contacted", "L1", T0 + 1, "3")])
    lead = states(leads, "lead-states")["L1"]
    assert lead is not None
    assert decode_lead(lead).status == "open", "who was contacted is a lead"


def test_leads_that_an_old_contact_had_answered_are_brought_in_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [
        record("leads", "lead.contacted", "long before", T0 - 30 * DAY_MS, "1"),
        record("leads", "lead.created", "long before", T0, "2"),
        record("leads", "lead.contacted", "led to it", T0, "3"),
        record("leads", "lead.created", "led to it", T0 + HOUR, "4"),
    ]
    with monkeypatch.context() as patch:
        patch.setitem(RULES, "leads", 0)
        before = EntityPartition("leads", 0, Business())
        before.fold(facts)
        rows = {row.key: row.value for row in before.changes().rows if row.value is not None}

    today = EntityPartition("leads", 0, Business())
    today.fold(facts)
    wanted = {row.key: row.value for row in today.changes().rows if row.key[:1] == b"P"}
    again = EntityPartition("leads", 0, Business())
    again.restore(rows.items())
    changes = again.changes()
    rows |= {row.key: row.value for row in changes.rows if row.value is not None}
    assert {key: orjson.loads(value) for key, value in rows.items() if key[:1] == b"P"} == {
        key: orjson.loads(value) for key, value in wanted.items() if value is not None
    }
    said = [decode_lead(o.value) for o in changes.outputs if o.topic == "lead-states" and o.value is not None]
    assert {state.id: state.contacted for state in said} == {"long before": None}
    once = EntityPartition("leads", 0, Business())
    once.restore(rows.items())
    assert once.changes().rows == []
