from collections.abc import Sequence

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS
from models.events.dead_letter import decode
from models.fold import Changes, PartitionFold, Record
from models.kpis.catalogue import NotInCatalogue
from models.kpis.reading import Reading
from models.kpis.roll_kpis import RollKpis
from models.panes.view import View
from models.panes.windows import WindowError
from stream.config.kpi_files import load_catalogue

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
CATALOGUE = load_catalogue()
RATE = ("win_rate", "24h", None)
BY_OWNER = ("sales", "24h", "owner")


def record(key: str, value: dict[str, int] | bytes | None, offset: int = 0) -> Record:
    body = orjson.dumps(value) if isinstance(value, dict) else value
    return Record("panes", 0, offset, NOW, key.encode(), body, ())


def minute(segment: str = "total", partition: int = 0, fold: str = "deals", ago: int = 0) -> str:
    return f"{fold}:{partition}:m:{NOW // MINUTE_MS - 1 - ago}:{segment}"


def said(changes: Changes) -> dict[str, int | float | None]:
    assert changes.rows == []
    assert {output.topic for output in changes.outputs} <= {"readings"}
    return {
        output.key.decode(): None if output.value is None else Reading.decode(output.value).value for output in changes.outputs
    }


def live(*wanted: tuple[str, str, str | None], records: Sequence[Record] = (), heartbeat: int = DAY_MS) -> RollKpis:
    roll = RollKpis(View(Business()), CATALOGUE, wanted, heartbeat=heartbeat)
    roll.restore([])
    roll.fold(records)
    roll.live()
    roll.tick(NOW)
    return roll


def test_it_is_a_fold_of_the_engine() -> None:
    fold: PartitionFold = RollKpis(View(Business()), CATALOGUE)
    assert fold.changes() == Changes([], [])


def test_nothing_is_said_before_all_has_been_read() -> None:
    view = View(Business())
    roll = RollKpis(view, CATALOGUE, [RATE])
    roll.fold([record(minute(), {"deals_won": 1})])
    roll.tick(NOW)
    assert (said(roll.changes()), view.live) == ({}, False)
    roll.fold([record(minute(partition=1), {"deals_lost": 1})])
    roll.live()
    assert view.live
    assert said(roll.changes()) == {"win_rate|24h|total": 0.5}


def test_a_change_is_said_at_once_and_once() -> None:
    roll = live(RATE, BY_OWNER)
    assert said(roll.changes()) == {"win_rate|24h|total": None}
    assert said(roll.changes()) == {}
    roll.fold([record(minute(), {"deals_won": 1}), record(minute("owner=Ana"), {"deals_won": 1})])
    assert said(roll.changes()) == {"win_rate|24h|total": 1, "sales|24h|owner=Ana": 1}
    assert said(roll.changes()) == {}
    # The same again, another fold, another dimension: nothing that was asked for has changed.
    roll.fold(
        [
            record(minute(), {"deals_won": 1}),
            record(minute(fold="leads"), {"leads": 1}),
            record(minute("team=A"), {"deals_won": 1}),
        ]
    )
    assert said(roll.changes()) == {}
    # Only the segment that has changed is said anew.
    roll.fold([record(minute("owner=Bo"), {"deals_won": 2})])
    assert said(roll.changes()) == {"sales|24h|owner=Bo": 2}


def test_time_alone_changes_readings() -> None:
    roll = live(("sales", "1h", None), records=[record(minute(ago=58), {"deals_won": 3})])
    assert said(roll.changes()) == {"sales|1h|total": 3}
    roll.tick(NOW + 1_000)
    assert said(roll.changes()) == {}
    roll.tick(NOW + 2 * MINUTE_MS)
    assert said(roll.changes()) == {"sales|1h|total": 0}


def test_a_reading_is_repeated_after_the_heartbeat() -> None:
    roll = live(RATE, heartbeat=5_000)
    assert list(said(roll.changes())) == ["win_rate|24h|total"]
    for later, expected in ((1_000, 0), (4_999, 0), (5_000, 1), (6_000, 0), (9_999, 0), (10_000, 1)):
        roll.tick(NOW + later)
        changes = roll.changes()
        assert len(changes.outputs) == expected, later
        for output in changes.outputs:
            assert output.value is not None
            assert Reading.decode(output.value).at == NOW + later


def test_the_clock_dates_what_is_said_between_ticks() -> None:
    times = iter([NOW + 400, NOW + 300])
    roll = RollKpis(View(Business()), CATALOGUE, [RATE], clock=lambda: next(times))
    roll.live()
    roll.tick(NOW + 350)
    (output,) = roll.changes().outputs
    assert output.value is not None
    assert Reading.decode(output.value).at == NOW + 400
    roll.fold([record(minute(), {"deals_won": 1})])
    (output,) = roll.changes().outputs
    assert output.value is not None
    assert Reading.decode(output.value).at == NOW + 350


def test_a_segment_that_is_gone_is_taken_back() -> None:
    roll = live(BY_OWNER, records=[record(minute("owner=Ana"), {"deals_won": 1})])
    assert said(roll.changes()) == {"sales|24h|owner=Ana": 1}
    roll.fold([record(minute("owner=Ana"), None)])
    roll.tick(NOW + MINUTE_MS)
    assert said(roll.changes()) == {"sales|24h|owner=Ana": None}
    assert said(roll.changes()) == {}


def test_the_rules_can_be_replaced() -> None:
    roll = live(RATE)
    assert list(said(roll.changes())) == ["win_rate|24h|total"]
    roll.watch([("leads", "7d", None)])
    assert said(roll.changes()) == {"leads|7d|total": 0, "win_rate|24h|total": None}


@pytest.mark.parametrize(
    ("wanted", "error"), [(("win_rat", "24h", None), NotInCatalogue), (("win_rate", "24w", None), WindowError)]
)
def test_what_cannot_be_wanted(wanted: tuple[str, str, str | None], error: type[Exception]) -> None:
    with pytest.raises(error):
        RollKpis(View(Business()), CATALOGUE, [wanted])


@pytest.mark.parametrize(
    "bad", [record("nonsense", b"{}", 7), record(minute(), b"{", 7), Record("panes", 0, 7, NOW, None, None, ())]
)
def test_what_is_no_pane_becomes_a_dead_letter_and_stops_nothing(bad: Record) -> None:
    roll = live(BY_OWNER, records=[bad, record(minute("owner=Ana"), {"deals_won": 1})])
    letter, reading = roll.changes().outputs
    assert (letter.topic, letter.key, reading.key) == ("dead-letters", b"panes-0-7", b"sales|24h|owner=Ana")
    assert letter.value is not None
    assert (decode(letter.value).reason, decode(letter.value).value) == ("invalid_data", bad.value)
    assert roll.refused == 1


def test_a_new_assignment_begins_with_an_empty_view() -> None:
    first = live(BY_OWNER, records=[record(minute("owner=Ana"), {"deals_won": 1})])
    view = first.view
    assert view.segments("owner") == ["Ana"]
    RollKpis(view, CATALOGUE)
    assert (view.segments("owner"), view.live) == ([], False)
