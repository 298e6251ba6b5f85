"""Are a partition's sums the same whatever the order, the duplicates and the restarts?"""

import random
from collections import defaultdict
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.business import Business
from models.calendar import DAY_MS, iso
from models.fold import Record
from models.partition import EntityPartition

T0 = 1_780_000_000_000
EVER = 100 * 365 * DAY_MS
BUSINESS = Business(keep_minutes=EVER, keep_hours=EVER, keep_days=EVER, timezone="Europe/Paris")


def record(topic: str, event: dict[str, Any] | bytes, offset: int = 0, arrival: int = T0 + 400 * DAY_MS) -> Record:
    value = event if isinstance(event, bytes) else orjson.dumps(event)
    return Record(topic, 0, offset, arrival, None, value, ())


def event(type: str, subject: str, at: int, id: str, /, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "source": "test", "type": type, "time": iso(at), "subject": subject, "data": data}


class Sums(dict[str, Any]):
    """What has been handed over by all changes: pane name -> sums."""

    def take(self, partition: EntityPartition) -> list[Any]:
        changes = partition.changes()
        for output in changes.outputs:
            if output.topic == "panes" and b"#" not in output.key:
                name = output.key.decode()
                if output.value is None:
                    self.pop(name, None)
                else:
                    self[name] = orjson.loads(output.value)
        return changes.outputs


def fold(fold_name: str, events: list[dict[str, Any]], every: int = 1_000_000, restart: bool = False) -> Sums:
    partition, sums, rows = EntityPartition(fold_name, 0, BUSINESS), Sums(), {}
    for start in range(0, len(events), every):
        partition.fold([record(fold_name, e, i) for i, e in enumerate(events[start : start + every])])
        changes = partition.changes()
        for row in changes.rows:
            if row.value is None:
                rows.pop(row.key, None)
            else:
                rows[row.key] = row.value
        for output in changes.outputs:
            assert output.topic in ("panes", "deal-merges", "lead-merges", "deal-states", "lead-states", "beats"), output
            if output.topic == "panes" and b"#" not in output.key:
                if output.value is None:
                    sums.pop(output.key.decode(), None)
                else:
                    sums[output.key.decode()] = orjson.loads(output.value)
        if restart:
            partition = EntityPartition(fold_name, 0, BUSINESS)
            partition.restore(rows.items())
    return sums


def deal_events(seed: int, count: int, deals: int = 3) -> list[dict[str, Any]]:
    r = random.Random(seed)
    kinds = ["created", "updated", "stage_changed", "won", "lost", "reopened", "activity", "deleted"]
    weights = [2, 4, 6, 2, 2, 1, 2, 0.3]
    out = []
    for i in range(count):
        kind = r.choices(kinds, weights)[0]
        data: dict[str, Any] = {}
        if kind not in ("activity", "deleted"):
            for name in ("owner", "source", "team", "product"):
                if r.random() < 0.4:
                    data[name] = r.choice([f"{name}1", f"{name}2", None])
            if r.random() < 0.4:
                data["amount"] = r.choice(["10", "25.5", "0.01", None])
        if kind == "stage_changed":
            data["stage"] = r.choice(["a", "b", "c"])
        if kind == "activity":
            data = {"kind": r.choice(["call", "demo"])}
        # Few distinct instants, so that ties are common.
        at = T0 + r.randrange(200) * 3_600_000
        out.append(event(f"deal.{kind}", f"d{r.randrange(deals)}", at, f"e{i:04d}", **data))
    return out


def lead_events(seed: int, count: int) -> list[dict[str, Any]]:
    r = random.Random(seed)
    out = []
    for i in range(count):
        kind, data = r.choice(
            [
                ("created", {"source": r.choice(["web", "ads"])}),
                ("updated", {"owner": r.choice(["x", "y"])}),
                ("contacted", {}),
                ("qualified", {"level": "mql"}),
                ("qualified", {"level": "sql"}),
                ("converted", {}),
                ("disqualified", {}),
            ]
        )
        out.append(event(f"lead.{kind}", f"l{r.randrange(4)}", T0 + r.randrange(300) * 3_600_000, f"e{i:04d}", **data))
    return out


def visit_events(seed: int, count: int) -> list[dict[str, Any]]:
    r = random.Random(seed)
    out = []
    for i in range(count):
        kind = r.choice(["page_viewed"] * 4 + ["cta_clicked", "identified"])
        data: dict[str, Any] = {"visitor_id": "v"}
        if kind == "identified":
            data["lead_id"] = "l"
        if r.random() < 0.3:
            data["session_id"] = r.choice("pqr")
        if r.random() < 0.5:
            data["source"] = r.choice(["web", "ads"])
        if r.random() < 0.5:
            data["duration_seconds"] = r.randrange(600)
        out.append(event(f"web.{kind}", f"v{r.randrange(2)}", T0 + r.randrange(1500) * 300_000, f"e{i:04d}", **data))
    return out


def tally_events(seed: int, count: int) -> list[dict[str, Any]]:
    r = random.Random(seed)
    out = []
    for i in range(count):
        kind, data = r.choice(
            [
                ("invoiced", {"amount": "10.01", "currency": "EUR", "product": r.choice("ab")}),
                ("renewed", {"amount": 5, "currency": "EUR"}),
                ("churned", {}),
                ("surveyed", {"kind": "nps", "score": r.randrange(11)}),
                ("surveyed", {"kind": "csat", "score": 1 + r.randrange(5)}),
                ("supported", {"response_seconds": r.randrange(99)}),
            ]
        )
        out.append(event(f"customer.{kind}", f"a{r.randrange(3)}", T0 + r.randrange(900) * 3_600_000, f"e{i:04d}", **data))
    return out


MAKERS = {"deals": deal_events, "leads": lead_events, "engagement": visit_events, "customers": tally_events}


@pytest.mark.parametrize("name", list(MAKERS))
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 45), mix=st.randoms(use_true_random=False), every=st.integers(1, 20))
def test_order_duplicates_checkpoints_and_restarts_change_nothing(
    name: str, seed: int, count: int, mix: random.Random, every: int
) -> None:
    events = MAKERS[name](seed, count)
    in_order = fold(name, sorted(events, key=lambda e: (e["time"], e["id"])))
    mixed = events + mix.sample(events, len(events) // 3)
    mix.shuffle(mixed)
    assert fold(name, mixed, every) == in_order
    assert fold(name, mixed, every, restart=True) == in_order


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
def test_deals_equal_a_batch_recomputation(seed: int, count: int) -> None:
    """Count wins, losses, revenue and the open pipeline from the sorted log of each deal, without any panes."""
    events = deal_events(seed, count)
    expected: dict[str, int] = defaultdict(int)
    for subject in {e["subject"] for e in events}:
        status, created, amount, gone, known = "", None, None, False, False
        for e in sorted((e for e in events if e["subject"] == subject), key=lambda e: (e["time"], e["id"])):
            kind = e["type"].removeprefix("deal.")
            if kind == "activity":
                expected["deal_activities"] += 1
                expected["meetings"] += e["data"]["kind"] == "demo"
                continue
            known = True
            if "amount" in e["data"]:
                amount = e["data"]["amount"]
            gone = kind == "deleted" or (gone and kind not in ("created", "reopened"))
            if kind == "created" and created is None:
                created = e["time"]
            if kind in ("won", "lost"):
                status = kind
            elif kind in ("reopened", "stage_changed") or not status:
                status = "open"
        if gone or not known:
            continue
        expected["deals_created"] += created is not None
        expected[{"won": "deals_won", "lost": "deals_lost", "open": "open_deals"}[status]] += 1
        if amount is not None:
            expected[{"won": "won_amount", "lost": "lost_amount", "open": "open_amount"}[status]] += round(float(amount) * 10_000)
    got: dict[str, int] = defaultdict(int)
    for name, sums in fold("deals", events).items():
        _, _, grain, _, segment = name.split(":", 4)
        if segment == "total" and grain == "d":
            for measure, number in sums.items():
                if measure in expected or measure in ("deals_won", "deals_lost", "open_deals", "won_amount", "open_amount"):
                    got[measure] += number
    assert {k: v for k, v in got.items() if v} == {k: v for k, v in expected.items() if v}


def test_a_deal_with_more_facts_than_are_kept_stays_exact_in_order_and_says_what_is_too_late() -> None:
    events = [event("deal.created", "d", T0, "e0", amount="1", owner="o0")]
    events += [event("deal.updated", "d", T0 + i * 60_000, f"e{i}", amount=str(i), owner=f"o{i % 3}") for i in range(1, 300)]
    sums = fold("deals", events, every=7, restart=True)
    assert sums["deals:0:a:0:total"] == {"open_deals": 1, "open_amount": 299 * 10_000}
    assert sums["deals:0:a:0:owner=o2"] == {"open_deals": 1, "open_amount": 299 * 10_000}
    assert "deals:0:a:0:owner=o1" not in sums
    partition = EntityPartition("deals", 0, BUSINESS)
    partition.fold([record("deals", e) for e in events])
    partition.changes()
    partition.fold([record("deals", event("deal.updated", "d", T0 + 30_500, "late", amount="7"))])
    (letter,) = [o for o in partition.changes().outputs if o.topic == "dead-letters"]
    assert b'"too_late"' in (letter.value or b"")


def test_a_merge_is_the_union_of_both_deals() -> None:
    loser = [
        event("deal.created", "a", T0, "a1", amount="100", source="web"),
        event("deal.stage_changed", "a", T0 + 3_600_000, "a2", stage="demo"),
    ]
    survivor = [event("deal.created", "b", T0 + 7_200_000, "b1", amount="250", owner="ann")]
    merged = event("deal.merged", "a", T0 + 9_000_000, "a3", into="b")
    late = event("deal.updated", "a", T0 + 9_500_000, "a4", product="p")
    one, two, sums = EntityPartition("deals", 0, BUSINESS), EntityPartition("deals", 0, BUSINESS), Sums()
    one.fold([record("deals", e) for e in [*loser, merged]])
    letters = [o for o in one.changes().outputs if o.topic == "deal-merges"]
    one.fold([record("deals", late)])
    letters += [o for o in one.changes().outputs if o.topic == "deal-merges"]
    assert [o.key for o in letters] == [b"b", b"b"]
    two.fold([record("deals", e) for e in survivor])
    for letter in [*letters, *letters]:  # delivered twice: the second time changes nothing
        two.fold([record("deal-merges", letter.value or b"")])
    sums.take(two)
    assert sums["deals:0:a:0:total"] == {"open_deals": 1, "open_amount": 2_500_000}
    assert sums["deals:0:a:0:source=web"] == sums["deals:0:a:0:owner=ann"] == sums["deals:0:a:0:product=p"]
    assert sum(s.get("deals_created", 0) for n, s in sums.items() if ":h:" in n and n.endswith("total")) == 1
    assert one.panes.changes() == []
    total = Sums()
    again = EntityPartition("deals", 0, BUSINESS)
    again.fold([record("deals", e) for e in [*loser, merged]])
    total.take(again)
    assert total == {}, "the merged deal counts for nothing in its own partition"


@pytest.mark.parametrize("order", ["deleted, merged", "merged, deleted"])
def test_a_merged_deal_that_is_deleted_too_does_not_take_the_survivor_along(order: str) -> None:
    gone = {
        "merged": event("deal.merged", "a", T0 + 60_000, "a3", into="b"),
        "deleted": event("deal.deleted", "a", T0 + 60_000, "a2"),
    }
    one, two, sums = EntityPartition("deals", 0, BUSINESS), EntityPartition("deals", 0, BUSINESS), Sums()
    two.fold([record("deals", event("deal.created", "b", T0 + 30_000, "b1", amount="250"))])
    for each in [event("deal.created", "a", T0, "a1", amount="100"), *(gone[name] for name in order.split(", "))]:
        one.fold([record("deals", each)])
        for output in one.changes().outputs:
            if output.topic == "deal-merges":
                two.fold([record("deal-merges", output.value or b"")])
    sums.take(two)
    assert sums["deals:0:a:0:total"] == {"open_deals": 1, "open_amount": 2_500_000}
    assert one.panes.changes() == []


def test_stages_sessions_and_visitors_are_booked_where_they_belong() -> None:
    sums = fold(
        "engagement",
        [
            event("web.page_viewed", "v", T0, "1", source="ads", duration_seconds=30),
            event("web.page_viewed", "v", T0 + 60_000, "2"),
            event("web.page_viewed", "v", T0 + 3 * DAY_MS, "3"),
        ],
    )
    day = BUSINESS.calendar.day(T0)
    assert sums[f"engagement:0:d:{day}:total"] == {"sessions": 1, "page_views": 2, "session_millis": 60_000, "visitors": {"0": 1}}
    later = {"sessions": 1, "sessions_bounced": 1, "page_views": 1, "visitors": {"3": 1}}
    assert sums[f"engagement:0:d:{day + 3}:total"] == later
    assert sums[f"engagement:0:d:{day}:source=ads"]["visitors"] == {"0": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "bad_json"),
        (b"[1]", "not_an_object"),
        (b'\xff\xfe{"a":1}', "bad_json"),
        (orjson.dumps(event("deal.nope", "d", T0, "1")), "unknown_type"),
        (orjson.dumps(event("lead.created", "d", T0, "1")), "wrong_topic"),
        (orjson.dumps({**event("deal.created", "d", T0, "1"), "time": "2026-01-01T00:00:00"}), "naive_time"),
        (orjson.dumps({**event("deal.created", "d", T0, "1"), "time": "1970-01-01T00:00:00Z"}), "time_out_of_range"),
        (orjson.dumps({**event("deal.created", "d", T0, "1"), "time": "2100-01-01T00:00:00Z"}), "time_out_of_range"),
        (orjson.dumps(event("deal.created", "d", T0, "1", amount="1", currency="XXQ")), "unknown_currency"),
        (b'{"specversion":"1.0"}', None),
    ],
)
def test_what_cannot_be_used_becomes_a_dead_letter_and_stops_nothing(value: bytes, reason: str | None) -> None:
    partition = EntityPartition("deals", 0, BUSINESS)
    partition.fold([record("deals", value), record("deals", event("deal.created", "d", T0, "ok"), 1)])
    outputs = partition.changes().outputs
    letters = [orjson.loads(o.value or b"") for o in outputs if o.topic == "dead-letters"]
    assert len(letters) == 1
    assert reason is None or letters[0]["reason"] == reason
    assert partition.outcomes["deals", "deal.created", "applied"] == 1


def test_old_panes_expire_and_what_comes_for_them_later_is_kept_out_of_them() -> None:
    business = Business(keep_minutes=2 * 3_600_000)
    partition, sums = EntityPartition("deals", 0, business), Sums()
    partition.fold([record("deals", event("deal.created", "d1", T0, "1"))])
    sums.take(partition)
    assert f"deals:0:m:{T0 // 60_000}:total" in sums
    partition.fold([record("deals", event("deal.created", "d2", T0 + DAY_MS, "2"))])
    sums.take(partition)
    assert f"deals:0:m:{T0 // 60_000}:total" not in sums
    partition.fold([record("deals", event("deal.created", "d3", T0, "3"))])
    sums.take(partition)
    assert f"deals:0:m:{T0 // 60_000}:total" not in sums
    assert sums[f"deals:0:h:{T0 // 3_600_000}:total"]["deals_created"] == 2
    assert sums["deals:0:a:0:total"]["open_deals"] == 3


def test_a_record_in_the_wrong_partition_is_sent_to_its_entitys_own() -> None:
    partition = EntityPartition("deals", 0, BUSINESS, home=lambda key: 0 if key == b"here" else 3)
    there = event("deal.created", "there", T0, "1")
    binary = [(f"ce_{k}", str(v).encode()) for k, v in there.items() if k != "data"]
    partition.fold(
        [
            record("deals", event("deal.created", "here", T0, "0")),
            record("deals", there),
            record("deals", b'{"amount":"5"}')._replace(headers=binary),
        ]
    )
    outputs = [o for o in partition.changes().outputs if o.topic == "deals"]
    assert [(o.key, o.partition) for o in outputs] == [(b"there", None)] * 2
    assert orjson.loads(outputs[0].value or b"") == there
    assert orjson.loads(outputs[1].value or b"") == {**there, "data": {"amount": "5"}}
    assert partition.outcomes["deals", "deal.created", "readdressed"] == 2
    assert len(partition.entities) == 1


def test_a_full_dimension_books_under_other_and_takes_back_from_there_after_a_restart() -> None:
    business = Business(segment_limit=1)
    partition, sums = EntityPartition("deals", 0, business), Sums()
    partition.fold([record("deals", event("deal.created", f"d{i}", T0, f"e{i}", source=f"s{i}")) for i in range(3)])
    assert partition.overflow["source"] > 0
    changes = partition.changes()
    rows = [(row.key, row.value) for row in changes.rows if row.value is not None]
    restored = EntityPartition("deals", 0, business)
    restored.restore(rows)
    restored.fold([record("deals", event("deal.deleted", "d2", T0 + 1, "gone"))])
    sums.take(restored)
    assert sums["deals:0:a:0:source=other"] == {"open_deals": 1}
    assert "deals:0:a:0:source=s2" not in sums
