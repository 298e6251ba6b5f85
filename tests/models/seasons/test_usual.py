"""What is usual: how often it cries wolf, how soon it sees a change, and what is said of little, strange or no history."""

import math
from datetime import date
from statistics import median

import numpy as np
import pytest

from models.foresight.rate import Year, learnt, places
from models.seasons.holidays import holiday, unknown
from models.seasons.usual import UsualCourse, by_month, course

MONDAY = date(2026, 1, 5).toordinal()
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
WEEK = np.array([1.1, 1.2, 1.15, 1.1, 0.9, 0.25, 0.15])


def days(count: int) -> list[int]:
    return list(range(MONDAY, MONDAY + count))


def stream(kind: str, seed: int, count: int, shift: tuple[int, float] = (10**6, 1.0)) -> list[float]:
    """Counts or sums of days that have a week, and nothing else until the shift: by chance, or more than by chance."""
    random, at = np.random.default_rng(seed), np.arange(count)
    rate = {"busy": 400, "quiet": 6, "bursts": 120, "money": 30}[kind] * WEEK[at % 7] * np.where(at >= shift[0], shift[1], 1)
    if kind == "bursts":
        rate = rate * random.gamma(10, 0.1, count)
    if kind == "money":
        return [float(random.lognormal(7, 1, random.poisson(one / 4)).sum()) for one in rate]
    return [float(one) for one in random.poisson(rate)]


def naive(values: list[float], counted: bool) -> float:
    """The yardstick: the same weekday before, corrected by its median miss, in deviations of these misses."""
    found = values[::-1]
    misses = [a - b for a, b in zip(found[1:], found[8:], strict=False)]
    usual, level = median(misses), median(found[1:])
    least = math.sqrt(2 * max(level, 1)) if counted else 0.01 * level
    return (found[0] - found[7] - usual) / max(1.4826 * median(abs(miss - usual) for miss in misses), least)


def both(
    kind: str, seed: int, first: int, count: int, shift: tuple[int, float] = (10**6, 1.0)
) -> tuple[list[float], list[float]]:
    """How far off days are, from the ``first`` on: as said here, and by the yardstick."""
    values, counted = stream(kind, seed, count, shift), kind in ("busy", "quiet", "bursts")
    said = course(values, days(count), weekly=True, counted=counted, tell=count - first).deviations[first:]
    return [abs(one or 0) for one in said], [abs(naive(values[max(0, at - 63) : at + 1], counted)) for at in range(first, count)]


@pytest.fixture(scope="module")
def quiet() -> Pairs:
    """Streams without a change."""
    found = {}
    for kind in ("busy", "quiet", "bursts", "money"):
        pairs = [both(kind, seed, 30, 90) for seed in range(25)]
        found[kind] = np.array([a for a, _ in pairs]).ravel(), np.array([b for _, b in pairs]).ravel()
    return found


def test_it_cries_wolf_less_often_than_the_same_weekday_before(quiet: Pairs) -> None:
    """At four deviations, where nothing has changed: at most three in a thousand, and at most a fifth of the yardstick's."""
    for kind, (ours, _) in quiet.items():
        assert (ours > 4).mean() <= 0.003, kind
    wolves = [sum(int((pair[which] > 4).sum()) for pair in quiet.values()) for which in (0, 1)]
    assert wolves[0] <= wolves[1] / 5, wolves


def test_at_as_many_false_alarms_it_sees_a_change_of_level_as_soon_or_sooner(quiet: Pairs) -> None:
    """Each at its own threshold of one false alarm in two hundred days; days until a change is seen, fourteen at most."""
    for kind, factor in (("busy", 0.85), ("quiet", 0.25), ("bursts", 0.45), ("money", 0.3)):
        limits = [float(np.quantile(one, 0.995)) for one in quiet[kind]]
        waits: list[list[int]] = [[], []]
        for seed in range(25):
            for which, off in enumerate(both(kind, 999 + seed, 66, 80, (66, factor))):
                waits[which].append(next((at for at, one in enumerate(off) if one > limits[which]), 14))
        ours, others = (float(np.mean(one)) for one in waits)
        # What comes in bursts is seen as late by both: there most of what a day brings is chance.
        assert ours < (0.75 if kind in ("busy", "quiet") else 1.15) * others, (kind, ours, others)


def test_four_in_five_days_lie_in_the_band(quiet: Pairs) -> None:
    for kind in quiet:
        inside = total = 0
        for seed in range(10):
            values = stream(kind, 50 + seed, 90)
            said = course(values, days(90), weekly=True, counted=kind != "money", tell=60)
            for value, band in zip(values, said.bands, strict=True):
                if band is not None:
                    total, inside = total + 1, inside + (math.floor(band.low) <= value <= math.ceil(band.high))
        assert 0.74 <= inside / total <= 0.97, (kind, inside / total)


# ── how early ──


def week(count: int) -> list[float]:
    random = np.random.default_rng(3)
    return [float(v) for v in random.poisson(50 * WEEK[np.arange(count) % 7])]


def test_it_speaks_after_three_weeks_and_knows_the_weekend_then() -> None:
    for length in range(22):
        said = course(week(length + 1), days(length + 1), weekly=True, counted=True)
        assert (said.bands[-1] is None) == (length < 21), length
        assert (said.why is None) == (length >= 21)
    said = course(week(28), days(28), weekly=True, counted=True)
    band = said.bands[-1]
    assert band is not None
    assert band.expected < 15 and abs(said.deviations[-1] or 0) < 3  # a Sunday: a seventh of a Tuesday


def test_a_bad_monday_is_told_by_mondays() -> None:
    values = [*week(56), 12.0]
    said = course(values, days(57), weekly=True, counted=True)
    band = said.bands[-1]
    assert band is not None
    assert 40 < band.low < 52 < band.expected < 58 < band.high < 72
    assert (said.deviations[-1] or 0) < -5


# ── holidays, months, other series ──


def test_of_the_first_holiday_nothing_is_said_and_the_next_ones_are_known() -> None:
    values, off = week(63), [False] * 63
    for place in (30, 44, 58):
        values[place], off[place] = 5.0, True
    first = course(values[:31], days(31), weekly=True, counted=True, holidays=off[:31])
    assert first.bands[-1] is None and first.why == "a holiday, and none was seen before"
    third = course(values[:59], days(59), weekly=True, counted=True, holidays=off[:59])
    assert third.bands[-1] is not None and abs(third.deviations[-1] or 9) < 2.5
    # A day like all others, in the same place, is far off where nobody knows of the holiday; and the day after is as ever.
    assert (course(values[:59], days(59), weekly=True, counted=True).deviations[-1] or 0) < -4
    after = course(values[:60], days(60), weekly=True, counted=True, holidays=off[:60])
    assert abs(after.deviations[-1] or 9) < 3


def test_months_are_known_from_thirteen_on_and_drawn_to_none() -> None:
    begin = date(2025, 1, 6).toordinal()
    weeks = [begin + 7 * n for n in range(80)]
    values = [100 * (0.5 if date.fromordinal(day).month == 8 else 1.0) for day in weeks]
    wanted = [date(2026, 8, 10).toordinal(), date(2026, 6, 10).toordinal()]
    august, june = by_month(values, weeks, wanted)
    assert 0.45 < august < 0.75 and 0.95 < june < 1.15
    assert by_month(values[:50], weeks[:50], wanted) == [1.0, 1.0]
    assert by_month([-1.0, *values[1:]], weeks, wanted) == [1.0, 1.0]
    chance = np.random.default_rng(1).poisson(100, 80).astype(float).tolist()
    assert all(abs(one - 1) < 0.05 for one in by_month(chance, weeks, wanted))


def test_another_series_is_used_where_it_has_made_errors_smaller_and_what_it_adds_is_said() -> None:
    random = np.random.default_rng(8)
    warm, other = random.normal(15, 5, 120), random.normal(0, 1, 120)
    values = [float(v) for v in random.poisson(np.clip(80 * WEEK[np.arange(120) % 7] * (1 + 0.04 * (warm - 15)), 1, None))]
    beside = {"temperature": list(warm), "dice": list(other)}
    plain = course(values, days(120), weekly=True, counted=True)
    said = course(values, days(120), weekly=True, counted=True, beside=beside)
    assert said.adds["temperature"] > 0.15 and said.adds["dice"] < 0.05
    assert said.bands[-1] is not None and plain.bands[-1] is not None
    width = [band.high - band.low for band in (said.bands[-1], plain.bands[-1])]
    assert width[0] < 0.85 * width[1]


def test_holidays_are_those_of_a_country_or_a_part_of_it() -> None:
    assert holiday(date(2026, 7, 14).toordinal(), ("FR",)) is not None
    assert holiday(date(2026, 7, 14).toordinal(), ("DE",)) is None
    epiphany = date(2026, 1, 6).toordinal()
    assert holiday(epiphany, ("DE",)) is None and holiday(epiphany, ("FR", "DE-BY")) is not None
    assert holiday(epiphany, ()) is None
    assert unknown("FR") is None and unknown("DE-BY") is None
    assert "XX" in str(unknown("XX")) and "BY" in str(unknown("DE-XX"))


# ── little, strange or nothing ──


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * 40, "nothing was counted"),
        ([0.0] * 40, "nothing was counted"),
        ([5.0], "0 days of history, fewer than the 21 it takes"),
        ([*week(40), None], "no value"),
        ([*[None] * 33, *week(7)], "5 comparable periods, fewer than the 7 it takes"),
    ],
)
def test_nothing_is_said_with_its_reason(values: list[float | None], why: str) -> None:
    said = course(values, days(len(values)), weekly=True, counted=True)
    assert said.bands[-1] is None or values[-1] is None
    assert said.deviations[-1] is None
    assert said.why == why


@pytest.mark.parametrize(
    "values",
    [
        [7.0] * 60,
        [-3.0, 4.0, -2.5] * 20,
        [1e12, *week(59)],
        [*week(40), 1e9, *week(19)],
        [None if n % 3 else 40.0 for n in range(61)],
        [0.0] * 50 + [1.0] * 10,
        [1e-9] * 60,
    ],
)
@pytest.mark.parametrize("weekly", [True, False])
def test_strange_histories_have_a_finite_band_around_what_is_expected(values: list[float | None], weekly: bool) -> None:
    said = course(values, days(len(values)), weekly=weekly, counted=False, tell=len(values))
    assert isinstance(said, UsualCourse) and len(said.bands) == len(values)
    for band in said.bands:
        if band is not None:
            assert all(math.isfinite(one) for one in band)
            assert band.low <= band.expected <= band.high


def test_an_outlier_of_weeks_ago_moves_nothing_today() -> None:
    plain = course(week(60), days(60), weekly=True, counted=True).bands[-1]
    wild = week(60)
    wild[20] += 5_000
    other = course(wild, days(60), weekly=True, counted=True).bands[-1]
    assert plain is not None and other is not None
    assert abs(other.expected - plain.expected) < 0.25 * plain.expected


def test_the_forecasts_calendar_knows_holidays_of_the_countries() -> None:
    """Arrivals: with its country named, a day like the 14th of July is expected to bring what holidays have brought."""
    first, length = date(2025, 6, 1).toordinal(), 380
    at = np.arange(first, first + length)
    random = np.random.default_rng(4)
    off = np.array([holiday(int(day), ("FR",)) is not None for day in at])
    counts = random.poisson(np.where(off, 2, 20) * np.array([1, 1, 1, 1, 1, 0.2, 0.1])[(at - 1) % 7]).astype(float)[None, :]
    fete = np.array([date(2026, 7, 14).toordinal()])
    known, plain = Year(countries=("FR",)), Year()
    said = [
        rate.level[0] * rate.effects(places(fete, year))[0] for year in (known, plain) for rate in (learnt(counts, first, year),)
    ]
    assert said[0] < 8 < 15 < said[1]
