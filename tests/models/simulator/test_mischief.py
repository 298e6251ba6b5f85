"""Mischief: what it may change, and what it must not."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import orjson
import pytest

from models.events.catalogue import TOPIC_OF, Event
from models.events.decode import decode
from models.events.refused import Reason, Refused
from models.simulator import Mischief, World
from models.simulator import bad as bad_records
from models.simulator.bad import KINDS, spoil
from models.simulator.mischief import FAR, delay, disorder, duplicate, merge, reopen, when
from models.simulator.rhythm import DAY

START = datetime(2025, 3, 3, tzinfo=UTC)
Dict = dict[str, Any]


@pytest.fixture(scope="module")
def history() -> list[Dict]:
    return list(World(5, START, 40, scale=0.4).events())


def ids(records: list[Any]) -> list[str]:
    return [record["id"] for record in records]


def test_nothing_asked_for_changes_nothing(history: list[Dict]) -> None:
    assert list(Mischief().apply(history)) == history


def test_the_same_seed_does_the_same(history: list[Dict]) -> None:
    def done(seed: int) -> list[Any]:
        kinds = tuple(kind for kind in KINDS if kind != "too_large")
        mischief = Mischief(seed, 0.1, 1.0, 0.05, reopen=0.2, merge=0.1, bad=0.05, bad_kinds=kinds)
        return list(mischief.apply(dict(event) for event in history))

    assert done(1) == done(1)
    assert done(1) != done(2)


def test_switching_one_on_leaves_the_others_as_they_were(history: list[Dict]) -> None:
    alone = set(ids(list(Mischief(3, reopen=0.2).apply(history))))
    both = set(ids(list(Mischief(3, reopen=0.2, disorder=1.0, late=0.1).apply(history))))
    assert alone == both


def test_duplicates_repeat_a_share_unchanged_and_later(history: list[Dict]) -> None:
    records = [record for record in duplicate(history, 0.1, Random(1)) if isinstance(record, dict)]
    counts = Counter(ids(records))
    assert set(counts) == set(ids(history))
    assert set(counts.values()) == {1, 2}
    assert 0.08 < sum(counts.values()) / len(history) - 1 < 0.12
    first: dict[str, tuple[int, Dict]] = {}
    gaps = []
    for place, record in enumerate(records):
        if record["id"] in first:
            gaps.append(place - first[record["id"]][0])
            assert record == first[record["id"]][1]
        else:
            first[record["id"]] = (place, record)
    assert 1 <= min(gaps) and max(gaps) > 100
    assert max(gaps) <= FAR * 1.2  # duplicates of others lie between
    assert ids([record for place, record in enumerate(records) if first[record["id"]][0] == place]) == ids(history)


def test_disorder_moves_events_within_their_day_only(history: list[Dict]) -> None:
    shuffled = list(disorder(history, 1.0, Random(1)))
    assert sorted(ids(shuffled)) == sorted(ids(history))
    assert [event["time"][:10] for event in shuffled] == [event["time"][:10] for event in history]
    assert sum(a is not b for a, b in zip(shuffled, history, strict=True)) > 0.9 * len(history)
    some = list(disorder(history, 0.1, Random(1)))
    assert 0.05 < sum(a is not b for a, b in zip(some, history, strict=True)) / len(history) < 0.12


def test_a_day_is_a_utc_day_whatever_the_offset() -> None:
    times = ["2025-01-01T23:30:00-02:00", "2025-01-02T02:00:00+00:00", "2025-01-03T00:30:00+01:00", "2025-01-03T00:00:00Z"]
    events = [{"time": time} for time in times]
    for seed in range(20):
        moved = list(disorder(events, 1.0, Random(seed)))
        assert moved[3] == events[3]
        assert sorted(map(str, moved)) == sorted(map(str, events))


@pytest.mark.parametrize("days", [0.5, 30.0])
def test_late_events_come_up_to_so_many_days_late(history: list[Dict], days: float) -> None:
    records = list(delay(history, 0.05, days, Random(1)))
    assert sorted(ids(records)) == sorted(ids(history))
    now, lateness = 0, []
    for event in records:
        at = when(event)
        if at < now:
            lateness.append(now - at)
        now = max(now, at)
    assert 0.03 < len(lateness) / len(history) < 0.06
    assert 0.8 * min(days, 25) * DAY < max(lateness) <= (days + 0.2) * DAY


def test_reopened_deals_are_closed_again_and_within_the_history(history: list[Dict]) -> None:
    records = list(reopen(history, 0.5, Random(1)))
    times = [event["time"] for event in records]
    assert times == sorted(times)
    assert [event for event in records if "~" not in event["id"]] == history
    closed: set[str] = set()
    again = Counter[str]()
    for event in records:
        match event["type"]:
            case "deal.won" | "deal.lost":
                closed.add(event["subject"])
                again[event["type"]] += "~" in event["id"]
            case "deal.reopened":
                assert event["subject"] in closed
                again["deal.reopened"] += 1
    assert again["deal.reopened"] >= again["deal.won"] + again["deal.lost"] > 5


def test_merged_entities_go_into_older_ones_never_in_a_ring(history: list[Dict]) -> None:
    records = list(merge(history, 0.3, Random(1)))
    created = {event["subject"]: place for place, event in enumerate(history) if event["type"].endswith(".created")}
    merged = [event for event in records if event["type"].endswith(".merged")]
    assert {event["type"] for event in merged} == {"deal.merged", "lead.merged"}
    for event in merged:
        assert created[event["data"]["into"]] < created[event["subject"]]
        assert event["data"]["into"][0] == event["subject"][0]


@pytest.mark.parametrize("change", [reopen, merge])
def test_new_events_keep_the_contract(history: list[Dict], change: Callable[..., Any]) -> None:
    decoder = msgspec.json.Decoder(Event)
    new = [event for event in change(history, 0.5, Random(1)) if "~" in event["id"]]
    assert new
    for event in new:
        decoder.decode(orjson.dumps(event))


REASONS = {
    "broken_json": Reason.BAD_JSON,
    "unknown_type": Reason.UNKNOWN_TYPE,
    "missing_id": Reason.MISSING_ID,
    "wrong_currency": Reason.UNKNOWN_CURRENCY,
    "amount_nan": Reason.BAD_AMOUNT,
    "amount_nan_literal": Reason.BAD_JSON,
    "amount_huge": Reason.BAD_AMOUNT,
    "naive_time": Reason.NAIVE_TIME,
    "too_large": Reason.TOO_LARGE,
    "long_subject": Reason.BAD_ENVELOPE,
    "time_1970": Reason.TIME_OUT_OF_RANGE,
    "time_2100": Reason.TIME_OUT_OF_RANGE,
}


def test_every_kind_of_bad_record_is_refused_for_its_own_reason(history: list[Dict]) -> None:
    event = next(event for event in history if event["type"] == "deal.created")
    arrival = when(history[-1])

    def read(record: Dict | bytes) -> None:
        value = record if isinstance(record, bytes) else orjson.dumps(record)
        decode(value, (), topic="deals", arrival=arrival, currencies=frozenset({"EUR"}))

    read(event)
    read(KINDS["other_content"](event))  # only somebody who remembers the first one can tell
    assert set(REASONS) == set(KINDS) - {"other_content"}
    found = {}
    for kind in REASONS:
        with pytest.raises(Refused) as refused:
            read(KINDS[kind](event))
        found[kind] = refused.value.reason
    # A number beyond all floats may be no JSON to one parser, and a bad amount to another.
    assert found.pop("amount_huge") in (Reason.BAD_JSON, Reason.BAD_AMOUNT)
    assert found == {kind: reason for kind, reason in REASONS.items() if kind != "amount_huge"}


def test_bad_records_are_added_and_nothing_is_taken_away(history: list[Dict]) -> None:
    kinds = [kind for kind in KINDS if kind != "too_large"]
    records = list(spoil(history, 0.02, Random(1), kinds))
    good = {event["id"]: event for event in history}
    same = [record for record in records if not isinstance(record, bytes) and record is good.get(record.get("id", ""))]
    assert same == history
    assert 0.015 < len(records) / len(history) - 1 < 0.025
    counts = Counter(record.get("id") for record in records if not isinstance(record, bytes))
    repeated = sum(counts[name] > 1 for name in good)
    assert 0 < repeated < len(records) - len(history)


def test_other_content_differs_for_every_sample_type(history: list[Dict]) -> None:
    for kind in bad_records.SAMPLES:
        event = next(event for event in history if event["type"] == kind)
        other = KINDS["other_content"](event)
        assert isinstance(other, dict)
        topic, arrival = TOPIC_OF[kind], when(history[-1])
        first, second = (decode(orjson.dumps(each), (), topic=topic, arrival=arrival) for each in (event, other))
        assert first[0].id == second[0].id
        assert first[0] != second[0]


def test_the_record_that_is_too_large_comes_once(history: list[Dict], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_records, "HUGE", 1_000)
    records = list(spoil(history, 0.5, Random(1), ["too_large"]))
    assert len(records) == len(history) + 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"late": 1.5}, "late: found 1.5; a share from 0 to 1"),
        ({"bad": -0.1}, "bad: found -0.1"),
        ({"late_days": -1.0}, "late_days: found -1.0"),
        ({"bad_kinds": ("x",)}, "bad_kinds: found x; broken_json"),
    ],
)
def test_shares_that_make_no_sense_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Mischief(**values)


def test_bad_records_need_a_kind(history: list[Dict]) -> None:
    with pytest.raises(ValueError, match="kinds: found none"):
        list(Mischief(bad=0.1, bad_kinds=()).apply(history))
