"""Does one sender's clock, or a clock that was wrong once, move anybody else's sums?"""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain, iso
from models.fold import AHEAD_OF_CLOCK, PartitionFold, Record, arrival
from models.folds.partition import EntityPartition
from models.learners.live_kinds import KINDS
from models.learners.live_predict import PredictPartition

NOW = 1_780_000_000_000
YEAR = 365 * DAY_MS


def record(subject: str, at: int, *, now: int = NOW, kind: str = "won", stamp: int | None = None) -> Record:
    """A deal's event as a worker reads it at ``now``; ``stamp`` is the broker's, None where the topic has the producers'."""
    event = {
        "specversion": "1.0",
        "id": f"{subject}-{kind}-{at}",
        "source": "crm",
        "type": f"deal.{kind}",
        "time": iso(at),
        "subject": subject,
    }
    arrived = arrival(0 if stamp is None else stamp, stamp is not None, now)
    return Record("deals", 0, 0, arrived, None, orjson.dumps({**event, "data": {}}), (), now)


def rows(fold: PartitionFold) -> list[tuple[bytes, bytes]]:
    return [(row.key, row.value) for row in fold.changes().rows if row.value is not None]


def poisoned(found: Sequence[tuple[bytes, bytes]], **times: Any) -> list[tuple[bytes, bytes]]:
    """The state as it was kept when a producer's word was taken for the time of arrival."""
    return [(key, orjson.dumps({**orjson.loads(value), **times}) if key == b"!" else value) for key, value in found]


@pytest.mark.parametrize("ahead", [3 * HOUR_MS, 23 * HOUR_MS, 40 * DAY_MS, 9 * YEAR])
@pytest.mark.parametrize("by_broker", [False, True])
def test_a_senders_clock_that_is_ahead_moves_nobody_elses_sums(ahead: int, by_broker: bool) -> None:
    fold = EntityPartition("deals", 0, Business())
    # The broker's clock too, where the topic has its word: then both are wrong, and this machine's is what is left.
    stamp = NOW + ahead if by_broker else None
    fold.fold([record("before", NOW - MINUTE_MS)])
    fold.changes()
    fold.fold([record("ahead", NOW + ahead, stamp=stamp)])
    fold.changes()
    fold.fold([record("after", NOW - MINUTE_MS)])
    fold.changes()
    assert fold.watermark <= NOW + AHEAD_OF_CLOCK
    minute = fold.panes.sums(Grain.MINUTE, (NOW - MINUTE_MS) // MINUTE_MS, "total")
    assert minute["deals_won"] == 2
    assert fold.last_event["crm"] <= NOW + AHEAD_OF_CLOCK
    assert not fold.faults.set_back


def test_time_that_had_run_ahead_is_set_back_by_the_next_record_and_said() -> None:
    before = EntityPartition("deals", 0, Business())
    before.fold([record("old", NOW - HOUR_MS)])
    fold = EntityPartition("deals", 0, Business())
    fold.restore(poisoned(rows(before), watermark=NOW + 9 * YEAR))
    fold.fold([record("new", NOW - MINUTE_MS)])
    kept = rows(fold)
    assert fold.watermark == NOW
    assert fold.panes.sums(Grain.MINUTE, (NOW - MINUTE_MS) // MINUTE_MS, "total")["deals_won"] == 1
    assert [tuple(found) for found in fold.faults.set_back] == [(NOW + 9 * YEAR, NOW)]
    again = EntityPartition("deals", 0, Business())
    again.restore(kept)
    assert again.watermark == NOW, "what was set back is part of the state"


def test_a_machine_whose_clock_was_ahead_goes_on_once_it_is_right_and_panes_expire_again() -> None:
    fold = EntityPartition("deals", 0, Business())
    fold.fold([record("wrong", NOW + YEAR, now=NOW + YEAR)])
    fold.changes()
    fold.fold([record("right", NOW - MINUTE_MS)])
    changes = fold.changes()
    assert f"Pm:{(NOW - MINUTE_MS) // MINUTE_MS}:total".encode() in {row.key for row in changes.rows if row.value}
    fold.fold([record("later", NOW + DAY_MS, now=NOW + DAY_MS)])
    gone = {row.key for row in fold.changes().rows if row.value is None}
    assert f"Pm:{(NOW - MINUTE_MS) // MINUTE_MS}:total".encode() in gone


def test_a_backlog_read_late_is_no_time_that_ran_ahead() -> None:
    fold = EntityPartition("deals", 0, Business())
    for days in range(5, 0, -1):
        at = NOW - days * DAY_MS
        fold.fold([record(f"d{days}", at, stamp=at)])
    assert (fold.watermark, list(fold.faults.set_back)) == (NOW - DAY_MS, [])


def test_predictions_go_on_where_time_had_run_ahead() -> None:
    def fold() -> PredictPartition:
        return PredictPartition(KINDS["deal"], 0, Business())

    first, later = fold(), NOW + 9 * YEAR
    first.fold([record("deal", NOW - HOUR_MS, kind="created")])
    first.tick(NOW)
    kept = [(key, value) for key, value in rows(first) if key != b"!"]
    second = fold()
    second.restore([*kept, (b"!", orjson.dumps((later, later, later, later, False)))])
    second.tick(NOW)
    second.changes()
    assert second.time == later, "frozen: no time passes until 2035"
    second.fold([record("other", NOW - MINUTE_MS, kind="created")])
    second.tick(NOW + DAY_MS)
    second.changes()
    assert second.time == NOW + DAY_MS
    assert {answer["deal"]: answer["at"] for answer in second.answers()} == {key: iso(NOW + DAY_MS) for key in ("deal", "other")}
    assert [tuple(found) for found in second.faults.set_back] == [(later, NOW)]
    assert (second.next_wake() or later) < NOW + 40 * DAY_MS
