"""Are sums where they belong, and nowhere else: in which grain, for how long, under which segment? Panes by themselves."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain
from models.measures import Kind, Measure
from models.panes import store
from models.panes.store import Panes, dumps, loads

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
# 1,795,260,000 s are 29,921,000 minutes, 498,683 hours and a third, 20,778 days and 11:20; 1970-01-01 is the day 719,163.
MINUTE, HOUR, DAY = 29_921_000, 498_683, 719_163 + 20_778
MEASURES = (
    Measure("count", Kind.COUNT, ""),
    Measure("level", Kind.COUNT, "", stock=True),
    Measure("hourly", Kind.COUNT, "", finest=Grain.HOUR),
    Measure("daily", Kind.COUNT, "", finest=Grain.DAY),
    Measure("sizes", Kind.VALUES, ""),
    Measure("hour_sizes", Kind.VALUES, "", finest=Grain.HOUR),
    Measure("day_sizes", Kind.VALUES, "", finest=Grain.DAY),
    Measure("visitors", Kind.DISTINCT, ""),
)
COUNT, LEVEL, HOURLY, DAILY, SIZES, HOUR_SIZES, DAY_SIZES, VISITORS = range(8)
ALL = ("total",)


@pytest.fixture
def panes() -> Panes:
    return Panes(MEASURES, Business())  # minutes are kept for 2 hours, hours for 35 days, days for 800


def held(panes: Panes) -> dict[str, dict[str, Any]]:
    """Everything that is held, as ``grain:pane:segment``."""
    found: dict[str, dict[str, Any]] = {}
    for grain, pane, segment, name, number in panes.cells(Grain):
        found.setdefault(f"{grain.value}:{pane}:{segment}", {})[name] = number
    return found


def test_each_measure_is_in_the_grains_that_it_is_kept_by(panes: Panes) -> None:
    panes.add(MINUTE, ALL, ((COUNT, 2), (LEVEL, 5), (HOURLY, 1), (DAILY, 4)))
    panes.roll(NOW)
    assert held(panes) == {
        f"m:{MINUTE}:total": {"count": 2, "level": 5},
        f"h:{HOUR}:total": {"count": 2, "level": 5, "hourly": 1},
        f"d:{DAY}:total": {"count": 2, "level": 5, "hourly": 1, "daily": 4},
        "a:0:total": {"level": 5},
    }
    assert panes.sums(Grain.HOUR, HOUR, "total") == {"count": 2, "level": 5, "hourly": 1}
    assert panes.sums(Grain.HOUR, HOUR, "a=b") == panes.sums(Grain.HOUR, HOUR + 1, "total") == {}


def test_what_is_kept_by_the_minute_alone_is_in_all_grains_but_the_one_of_stocks(panes: Panes) -> None:
    panes.add(MINUTE, ALL, ((COUNT, 2),))
    panes.roll(NOW)
    assert held(panes) == {f"{place}:total": {"count": 2} for place in (f"m:{MINUTE}", f"h:{HOUR}", f"d:{DAY}")}


def test_single_values_likewise(panes: Panes) -> None:
    panes.book((MINUTE, ALL, (), ((SIZES, 7), (HOUR_SIZES, 8), (DAY_SIZES, 9))), 1)
    panes.book((MINUTE, ALL, (), ((SIZES, 7),)), 1)
    panes.roll(NOW)
    assert held(panes) == {
        f"m:{MINUTE}:total": {"sizes": {7: 2}},
        f"h:{HOUR}:total": {"sizes": {7: 2}, "hour_sizes": {8: 1}},
        f"d:{DAY}:total": {"sizes": {7: 2}, "hour_sizes": {8: 1}, "day_sizes": {9: 1}},
    }


#: The first minute, hour and day that are kept at 11:20, and the ones before: 9:20; 35 days before, of 11 o'clock; 800 days.
FLOORS = {Grain.MINUTE: MINUTE - 120, Grain.HOUR: HOUR - 35 * 24, Grain.DAY: DAY - 800}
LENGTHS = {Grain.MINUTE: 1, Grain.HOUR: 60, Grain.DAY: 1440}
FINER: dict[Grain, set[Grain]] = {Grain.MINUTE: set(), Grain.HOUR: {Grain.MINUTE}, Grain.DAY: {Grain.MINUTE, Grain.HOUR}}


def last_minute(grain: Grain, pane: int) -> int:
    """The last minute of a pane: in UTC days and hours are whole minutes from the epoch on."""
    number = pane - (719_163 if grain is Grain.DAY else 0)
    return (number + 1) * LENGTHS[grain] - 1


@pytest.mark.parametrize("grain", list(FLOORS))
@pytest.mark.parametrize("values", [False, True])
def test_what_comes_later_than_its_pane_is_kept_counts_in_the_coarser_ones_alone(
    panes: Panes, grain: Grain, values: bool
) -> None:
    cells, singles = ((), ((SIZES, 7),)) if values else (((COUNT, 1),), ())
    for ago, gone in ((0, FINER[grain]), (1, {*FINER[grain], grain})):
        panes.book((last_minute(grain, FLOORS[grain] - ago), ALL, cells, singles), 1)
        panes.roll(NOW)
        assert {name[0] for name, _ in panes.changes()} == {g.value for g in FLOORS if g not in gone}, ago


@pytest.mark.parametrize("grain", list(FLOORS))
def test_distinct_ones_likewise(panes: Panes, grain: Grain) -> None:
    panes.present(grain, FLOORS[grain], "total", VISITORS, 0, 1)
    panes.present(grain, FLOORS[grain] - 1, "total", VISITORS, 0, 1)
    panes.roll(NOW)
    assert held(panes) == {f"{grain.value}:{FLOORS[grain]}:total": {"visitors": {0: 1}}}


def test_a_pane_is_let_go_when_its_time_is_over_and_a_level_never(panes: Panes) -> None:
    panes.add(MINUTE - 120, ("total", "a=b"), ((COUNT, 1), (LEVEL, 1)))
    panes.add(MINUTE - 119, ALL, ((COUNT, 1),))
    panes.roll(NOW)
    panes.changes()
    panes.roll(NOW + MINUTE_MS - 1)
    assert panes.changes() == []
    panes.roll(NOW + MINUTE_MS)
    assert sorted(panes.changes()) == [(f"m:{MINUTE - 120}:a=b", None), (f"m:{MINUTE - 120}:total", None)]
    # The hour of 9:20 is kept until 10:00 of the 35th day after it, 80 minutes before 11:20; its day for 800.
    panes.roll(NOW + 35 * DAY_MS - 81 * MINUTE_MS)
    assert {name for name in held(panes) if name[0] in "hd"} == {
        *(f"h:{HOUR - 2}:{segment}" for segment in ("total", "a=b")),
        *(f"d:{DAY}:{segment}" for segment in ("total", "a=b")),
    }
    panes.roll(NOW + 35 * DAY_MS - 80 * MINUTE_MS)
    assert {name for name in held(panes) if name[0] in "hd"} == {f"d:{DAY}:total", f"d:{DAY}:a=b"}
    panes.roll(NOW + 801 * DAY_MS)
    assert held(panes) == {"a:0:total": {"level": 1}, "a:0:a=b": {"level": 1}}


def test_what_is_taken_back_leaves_no_trace(panes: Panes) -> None:
    booking = (MINUTE, ALL, ((COUNT, 2), (LEVEL, 5)), ((SIZES, 7), (SIZES, 8)))
    panes.book(booking, 1)
    panes.roll(NOW)
    names = sorted(name for name, _ in panes.changes())
    assert names == ["a:0:total", f"d:{DAY}:total", f"h:{HOUR}:total", f"m:{MINUTE}:total"]
    panes.book((MINUTE, ALL, ((COUNT, 2),), ((SIZES, 7),)), -1)
    panes.roll(NOW)
    assert panes.sums(Grain.MINUTE, MINUTE, "total") == {"level": 5, "sizes": {8: 1}}
    panes.book((MINUTE, ALL, ((LEVEL, 5),), ((SIZES, 8),)), -1)
    panes.roll(NOW)
    assert sorted(panes.changes()) == [(name, None) for name in names]
    assert (held(panes), panes.segments(), panes.changes()) == ({}, set(), [])


def test_what_is_taken_back_before_it_was_carried_on_changes_nothing(panes: Panes) -> None:
    booking = (MINUTE, ALL, ((COUNT, 2),), ((SIZES, 7),))
    panes.book(booking, 1)
    panes.book(booking, -1)
    panes.present(Grain.DAY, DAY, "total", VISITORS, 0, 1)
    panes.present(Grain.DAY, DAY, "total", VISITORS, 0, -1)
    panes.roll(NOW)
    assert (panes.changes(), panes.segments()) == ([], set())
    panes.book(booking, 1)
    panes.present(Grain.DAY, DAY, "total", VISITORS, 0, 1)
    panes.back()
    panes.roll(NOW)
    assert (panes.changes(), panes.segments()) == ([], set())


Booking = tuple[int, tuple[str, ...], tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
ONE: Booking = (MINUTE, ("total", "of=a"), ((COUNT, 1), (LEVEL, 3)), ((SIZES, 7),))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "other",
    [
        None,
        ONE,
        (MINUTE, ("total", "of=b"), *ONE[2:]),
        (MINUTE, ("total", "of=b"), ((COUNT, 1), (LEVEL, 4)), ONE[3]),
        (MINUTE, ONE[1], ((LEVEL, 4), (HOURLY, 1)), ONE[3]),
        (MINUTE, ONE[1], (), ONE[3]),
        (*ONE[:3], ((SIZES, 8),)),
        (*ONE[:3], ()),
        (MINUTE + 1, *ONE[1:]),
    ],
)
def test_one_booking_in_the_place_of_another_is_that_one_alone(other: Booking | None, sign: int) -> None:
    """However little of it is touched: what is held is what the second booking by itself gives."""
    found, expected = Panes(MEASURES, Business()), Panes(MEASURES, Business())
    before, after = (ONE, other) if sign == 1 else (other, ONE)
    found.rebook(None, ONE)
    found.rebook(before, after, sign)
    expected.rebook(None, other)
    for panes in (found, expected):
        panes.roll(NOW)
    assert held(found) == held(expected)
    # The first of a deal's bookings, by hand: it is in both segments, in each grain.
    assert other is not ONE or found.sums(Grain.DAY, DAY, "of=a") == {"count": 1, "level": 3, "sizes": {7: 1}}
    assert (held(found) == {}) is (other is None)


def test_numbers_are_moved_from_the_segments_they_had_to_those_they_have(panes: Panes) -> None:
    before, first, second = ("total", "of=a"), ("total", "of=b"), ("total", "of=c")
    panes.move(MINUTE, before, first, ((COUNT, 2),), 1, ((SIZES, 7),))  # a −2, b +2
    panes.move(MINUTE, before, second, ((COUNT, 3),), 1)  # a −3, c +3
    panes.move(MINUTE, first, second, ((COUNT, 5),), -1)  # back: b +5, c −5
    panes.roll(NOW)
    assert {name[2:]: cells for name, cells in held(panes).items() if name[0] == "m"} == {
        f"{MINUTE}:of=a": {"count": -5, "sizes": {7: -1}},
        f"{MINUTE}:of=b": {"count": 7, "sizes": {7: 1}},
        f"{MINUTE}:of=c": {"count": -2},
    }


@pytest.mark.parametrize(("grain", "pane", "reach"), [("m", MINUTE, 120), ("h", HOUR, 840), ("d", DAY, 800)])
def test_a_visit_before_counts_as_far_back_as_a_window_can_reach(panes: Panes, grain: str, pane: int, reach: int) -> None:
    for gap in (1, reach, reach + 1, 0):
        panes.present(Grain(grain), pane, "total", VISITORS, gap, 1)
    panes.roll(NOW)
    assert panes.sums(Grain(grain), pane, "total") == {"visitors": {1: 1, reach: 1, 0: 2}}  # out of reach is as never


def test_of_another_one_the_measures_that_are_wanted_are_taken(panes: Panes) -> None:
    other = Panes(MEASURES, Business())
    other.book((MINUTE, ALL, ((COUNT, 2), (LEVEL, 5)), ((SIZES, 7), (HOUR_SIZES, 7))), 1)
    other.present(Grain.HOUR, HOUR, "total", VISITORS, 0, 1)
    panes.take(other, frozenset({LEVEL, SIZES}))
    panes.take(other, frozenset(range(8)))  # nothing is left to be taken
    for each in (panes, other):
        each.roll(NOW)
    assert panes.sums(Grain.HOUR, HOUR, "total") == {"level": 5, "sizes": {7: 1}}
    assert held(other) == {}
    other.book((MINUTE, ALL, ((COUNT, 2),), ((SIZES, 7),)), 1)
    other.present(Grain.HOUR, HOUR, "total", VISITORS, 0, 1)
    panes.take(other, frozenset({COUNT, VISITORS}))
    panes.roll(NOW)
    assert panes.sums(Grain.HOUR, HOUR, "total") == {"count": 2, "level": 5, "sizes": {7: 1}, "visitors": {0: 1}}


def test_what_was_booked_is_told_once_of_the_segments_that_are_wanted(panes: Panes) -> None:
    panes.book((MINUTE, ("total", "of=a"), ((COUNT, 2), (LEVEL, 0)), ((SIZES, 7), (SIZES, 7))), 1)
    panes.book((MINUTE + 1, ("total",), ((COUNT, 1),), ((SIZES, 8),)), 1)
    panes.book((MINUTE + 1, ("total",), ((COUNT, 1),), ((SIZES, 8),)), -1)
    panes.present(Grain.HOUR, HOUR, "total", VISITORS, 0, 1)

    def told() -> list[Any]:
        found: Iterator[Any] = panes.drain(lambda segment: segment == "total")
        return list(found)

    assert told() == [(MINUTE, "total", "count", 2), (MINUTE, "total", "sizes", Counter({7: 2}))]
    assert told() == []
    panes.roll(NOW)
    assert held(panes) == {}


def test_a_pane_comes_back_from_its_row(panes: Panes, monkeypatch: pytest.MonkeyPatch) -> None:
    panes.restore(f"h:{HOUR}:of=a:b", b'{"count":2,"sizes":{"7":1},"gone":3}')  # a value may hold a colon; what is gone is gone
    assert held(panes) == {f"h:{HOUR}:of=a:b": {"count": 2, "sizes": {7: 1}}}
    panes.restore(f"h:{HOUR}:total", b'{"count":2,"level":1}', {"level"})
    panes.restore(f"d:{DAY}:of=c", b'{"count":2}', {"level"})
    assert panes.sums(Grain.HOUR, HOUR, "total") == {"level": 1}
    assert panes.segments() == {"of=a:b", "total"} and held(panes).keys() == {f"h:{HOUR}:of=a:b", f"h:{HOUR}:total"}
    assert panes.changes() == []  # it is as it was written
    monkeypatch.setattr(store, "RENAMED", {"number": "count", "other": "elsewhere"})
    renamed = Panes(MEASURES, Business())
    renamed.restore(f"h:{HOUR}:total", b'{"number":2,"other":1}')
    assert held(renamed) == {f"h:{HOUR}:total": {"count": 2}}


def test_a_pane_that_is_touched_is_handed_over_again(panes: Panes) -> None:
    panes.restore(f"h:{HOUR}:of=a:b", b'{"count":2,"sizes":{"7":1}}')
    assert panes.touch(f"h:{HOUR}:of=a:b")
    assert panes.changes() == [(f"h:{HOUR}:of=a:b", b'{"count":2,"sizes":{"7":1}}')]
    for nothing in (f"h:{HOUR}:total", f"h:{HOUR + 1}:of=a:b", f"d:{HOUR}:of=a:b"):
        assert not panes.touch(nothing)
    assert panes.changes() == []


def test_a_checkpoint_hands_over_what_has_changed_since_the_one_before(panes: Panes) -> None:
    panes.add(MINUTE, ("total", "of=a"), ((COUNT, 1),))
    panes.roll(NOW)
    assert len(panes.changes()) == 6
    panes.add(MINUTE, ("of=a",), ((COUNT, 2),))
    panes.roll(NOW + HOUR_MS)
    body = b'{"count":3}'
    assert sorted(panes.changes()) == [(f"{place}:of=a", body) for place in (f"d:{DAY}", f"h:{HOUR}", f"m:{MINUTE}")]


@pytest.mark.parametrize("great", [2**63 - 1, 2**64 - 1, 2**64, -(2**70), 2**80 + 1])
def test_whole_numbers_keep_all_their_digits(great: int) -> None:
    for plain in (False, True):
        assert loads(dumps({"sum": great, "count": 1}, plain=plain)) == {"sum": great, "count": 1}
    assert loads(dumps({"sum": great, "values": {7: 1}})) == {"sum": great, "values": {"7": 1}}
    assert type(loads(dumps({"sum": great}))["sum"]) is int
