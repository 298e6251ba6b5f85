"""What is usual of a period, by those before: a level that follows, the weekday, holidays, the month, and what else is known?

Pure: of the values of complete periods that follow each other (a day, the same hour of each day, or a week each). Each is said
ahead by those before it alone, so that what the saying was off by is a real forecast's error, and the band is as wide as these
have been. Values that are never negative are taken by their root: there chance is as large at any level, a closed Sunday is no
special case. A level follows at the pace that has been off the least; one outlier moves it little, a run of them is a new level.
The weekday is learnt anew each week, and believed as far as weeks repeat (:mod:`models.seasons.profile`). Of a holiday what
holidays have brought counts, as a share of their weekday; before one was seen nothing is said of it.

R. J. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., 2021, §5.10 (errors of one step ahead), §8.1.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from math import inf, nan, sqrt
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from models.seasons.profile import Reals, shrunk

Days = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: Days of history after which the weekday is said, and after which it is learnt (so that its errors are known by then).
WEEKLY, _LEARNT = 21, 14
#: Errors, at least, by which a band is made.
LEAST = 7
#: How fast a level may follow: what share of each error it takes.
_PACES = (0.02, 0.05, 0.1, 0.2, 0.4)
#: An error moves the level by so many spreads at most, but so many in a row to one side, as far off, are a new level.
_FAR, _RUN = 2.5, 7
#: How much what a pace was off by counts one value later.
_FADES = 0.97
#: A normal band of four in five; the mean absolute error, and the median one, as a standard deviation.
FOUR_IN_FIVE, _MEAN, _MEDIAN = 1.2816, 1.2533, 1.4826
#: What chance alone moves the root of a count by; with the level's own error.
_CHANCE = 0.55
#: Errors that a band is made of, at most.
_LATEST = 35
#: How much wider the band is while few errors are known.
_WIDER = 3.0
#: The share of the usual by which holidays differ before any are known, and for how many of them that counts.
_APART, _HELD = 0.35, 2.0
#: Another series is held against errors from so many pairs on; its effect is drawn to none by so many.
_PAIRS, _DRAWN = 14, 7.0


class Band(NamedTuple):
    """What was to be expected of a period, in the KPI's unit: four in five lie from ``low`` to ``high``."""

    expected: float
    low: float
    high: float
    spread: float  # a standard deviation, near what is expected


class UsualCourse(NamedTuple):
    """A series beside what was said of each of its values by those before it; ``bands`` None: nothing could be said."""

    bands: list[Band | None]
    deviations: list[float | None]  # how many spreads above what was expected
    errors: int  # by how many the last band is made
    why: str | None  # why the last has none
    adds: Mapping[str, float]  # by what share another series made the errors smaller (negative: larger), said ahead


class _Scale(NamedTuple):
    """How values are taken, so that chance is as large at any level."""

    root: bool
    unit: float

    def of(self, values: Reals) -> Reals:
        found: Reals = (np.sqrt(np.maximum(values, 0.0)) if self.root else values) / self.unit
        return found

    def band(self, middle: float, spread: float, factor: float) -> Band:
        low, expected, high = (factor * self._back(middle + n * spread) for n in (-FOUR_IN_FIVE, 0, FOUR_IN_FIVE))
        return Band(expected, low, high, factor * (self._back(middle + spread) - self._back(middle - spread)) / 2)

    def _back(self, value: float) -> float:
        value *= self.unit
        return max(value, 0.0) ** 2 if self.root else value


def course(
    values: Sequence[float | None],
    days: Sequence[int],
    *,
    weekly: bool,
    counted: bool = False,
    holidays: Sequence[bool] = (),
    months: Sequence[float] = (),
    beside: Mapping[str, Sequence[float | None]] | None = None,
    tell: int = 1,
) -> UsualCourse:
    """Return a series' course; the last value is the one that is judged.

    ``days`` are the values' days (ordinals), ``weekly`` whether weekdays differ (each value is a day's, or an hour's of one),
    ``counted`` whether they are counts (chance moves these by their root). ``months`` is by what factor each value is to be
    more than usual for its month, ``beside`` other series, as long, whose own surprises may explain some. Bands are made of the
    last ``tell`` values.
    """
    raw = np.array([np.nan if value is None else float(value) for value in values])
    at, count = np.array(days, np.int64), len(raw)
    known = raw[~np.isnan(raw)]
    nothing = UsualCourse([None] * count, [None] * count, 0, "nothing was counted", {})
    if not known.any():
        return nothing
    root = bool(known.min() >= 0)
    unit = float(np.mean(np.sqrt(known) if root else np.abs(known))) or 1.0
    scale = _Scale(root, unit)
    factor = np.array(months) if len(months) and root else np.ones(count)
    off = np.array(holidays, bool) if len(holidays) else np.zeros(count, bool)
    seen = scale.of(raw / factor)
    least = max(_CHANCE / unit if counted else 0.0, 0.01)
    profile = _profiles(seen, at, off) if weekly else np.zeros(count)
    said = _follow(seen, profile, off, least, _LEARNT if weekly else 2)
    adds: dict[str, float] = {}
    moved = np.zeros(count)
    for name, other in (beside or {}).items():
        better, adds[name] = _explained(np.where(off, np.nan, seen - said - moved), _surprises(other, at, weekly=weekly))
        moved = moved + better
    middles, shares = said + moved, _shares(seen, said + moved, off)
    misses = np.where(off, np.nan, seen - middles)
    sizes = list[float]()
    bands, deviations = list[Band | None](), list[float | None]()
    for place, error in enumerate(misses.tolist()):
        middle, lasting = float(middles[place]), not weekly or at[place] - at[0] >= WEEKLY
        judged = place >= count - tell and len(sizes) >= LEAST and lasting and middle == middle
        spread = _spread(sizes[-_LATEST:], least) if judged else nan
        if off[place]:
            middle, spread = middle * shares[place][0], sqrt(spread**2 + (shares[place][1] * middle) ** 2)
        band = None if middle != middle or spread != spread else scale.band(middle, spread, float(factor[place]))
        bands.append(band)
        deviations.append(None if band is None or seen[place] != seen[place] else float((seen[place] - middle) / spread))
        if place < count - 1 and error == error:
            sizes.append(abs(error))
    errors = min(len(sizes), _LATEST)
    return UsualCourse(bands, deviations, errors, _why(bands, seen, off, at, errors, weekly=weekly), adds)


def _why(bands: list[Band | None], seen: Reals, off: Flags, at: Days, errors: int, *, weekly: bool) -> str | None:
    if np.isnan(seen[-1]):
        return "no value"
    if bands[-1] is not None:
        return None
    if off[-1] and errors >= LEAST:
        return "a holiday, and none was seen before"
    if weekly and (length := int(at[-1] - at[0])) < WEEKLY:
        return f"{length} days of history, fewer than the {WEEKLY} it takes"
    return f"{errors} comparable periods, fewer than the {LEAST} it takes"


def _profiles(seen: Reals, at: Days, off: Flags) -> Reals:
    """Return what each value's weekday is above the usual, by the weeks before its own."""
    found = np.zeros(len(seen))
    weekday, block = (at - 1) % 7, (at - at[0]) // 7  # ordinal 1 was a Monday
    seen = _without_outliers(np.where(off, np.nan, seen), block, (at - at[0]) % 7)
    there = ~np.isnan(seen)
    for week in range(_LEARNT // 7, int(block[-1]) + 1):
        use = there & (block < week)
        if not use.any():
            continue
        effects = np.zeros(7)
        for _ in range(2):  # a week of which a day is missing is not a better or worse one
            rest = seen[use] - effects[weekday[use]]
            number = np.maximum(np.bincount(block[use], minlength=week), 1)
            usual = np.bincount(block[use], rest, week) / number
            effects = shrunk(seen[use] - usual[block[use]], weekday[use], 7)
        mine = block == week
        found[mine] = effects[weekday[mine]]
    return found


def _without_outliers(seen: Reals, week: Days, place: Days) -> Reals:
    """Return the values, none far from what its week and its weekday have in the median: one outlier makes no Tuesday."""
    table = np.full((int(week[-1]) + 1, 7), np.nan)
    table[week, place] = seen
    usual = table - (rest := table - _middle(table, 1)[:, None] - _middle(table - _middle(table, 1)[:, None], 0))
    sizes = np.abs(rest[~np.isnan(rest)])
    far = _FAR * _MEDIAN * float(np.median(sizes)) if len(sizes) else inf
    found: Reals = (usual + np.clip(rest, -far, far))[week, place] if far > 0 else seen
    return found


def _middle(table: Reals, axis: int) -> Reals:
    """Return the medians of what is known; nan of nothing."""
    ordered, number = np.sort(table, axis), (~np.isnan(table)).sum(axis)
    low, high = (np.expand_dims(np.clip(at, 0, None), axis) for at in ((number - 1) // 2, number // 2))
    high = np.minimum(high, table.shape[axis] - 1)
    found: Reals = (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)).squeeze(axis) / 2
    return found


def _follow(seen: Reals, profile: Reals, off: Flags, least: float, begin: int) -> Reals:
    """Return what was said of each value by those before it: of the paces the one that was off the least so far."""
    said = np.full(len(seen), np.nan)
    even, out, effects = (seen - profile).tolist(), off.tolist(), profile.tolist()
    levels, missed, sizes, known = list[float](), [0.0] * len(_PACES), list[float](), list[float]()
    run = 0
    for place, value in enumerate(even):
        best = missed.index(min(missed))
        if levels and place >= begin:
            said[place] = levels[best] + effects[place]
        if value != value or out[place]:
            continue
        known.append(value)
        if place < begin or not levels:  # weekdays are not told apart yet: a plain mean
            levels = [sum(known) / len(known)] * len(_PACES)
            continue
        far = _FAR * max(_MEDIAN * median(sizes[-28:]), least) if len(sizes) >= LEAST else inf
        miss = value - levels[best]
        sizes.append(abs(miss))
        side = 0 if abs(miss) <= far else 1 if miss > 0 else -1
        run = run + side if run * side > 0 else side
        if abs(run) >= _RUN:
            levels, run = [median(known[-_RUN:])] * len(_PACES), 0
            continue
        for n, pace in enumerate(_PACES):
            error = value - levels[n]
            missed[n] = _FADES * missed[n] + min(abs(error), far)
            levels[n] += pace * min(max(error, -far), far)
    return said


def _spread(sizes: Sequence[float], least: float) -> float:
    """Return how large errors usually are, as a standard deviation, by those there were."""
    typical = median(sizes)
    # Single outliers make no band; where most were right, what was off is all that is known.
    mean = sum(min(size, 4 * typical) for size in sizes) / len(sizes) if typical > 0 else 0.0
    rough = 0.0 if typical > 0 else sqrt(sum(size**2 for size in sizes) / len(sizes))
    return max(_MEDIAN * typical, _MEAN * mean, rough, least) * sqrt(1 + _WIDER / len(sizes))


def _shares(seen: Reals, said: Reals, off: Flags) -> list[tuple[float, float]]:
    """Return which share of their weekday holidays have brought before each place, and how far apart they were."""
    found, shares = [], list[float]()
    for place in range(len(seen)):
        middle = float(np.mean(shares)) if shares else np.nan
        apart = sum((one - middle) ** 2 for one in shares) + _HELD * _APART**2
        found.append((middle, sqrt(apart / (len(shares) + _HELD))))
        if off[place] and said[place] > 0 and not np.isnan(seen[place]):
            shares.append(float(np.clip(seen[place] / said[place], 0.0, 3.0)))
    return found


def _surprises(other: Sequence[float | None], at: Days, *, weekly: bool) -> Reals:
    """Return how far another series was from its own usual, at each place."""
    raw = np.array([np.nan if value is None else float(value) for value in other])
    spread = float(np.nanstd(raw)) if (~np.isnan(raw)).any() else 0.0
    plain = raw / (spread or 1.0)
    nobody = np.zeros(len(raw), bool)
    profile = _profiles(plain, at, nobody) if weekly else np.zeros(len(raw))
    found: Reals = plain - _follow(plain, profile, nobody, 0.01, _LEARNT if weekly else 2)
    return found


def _explained(errors: Reals, other: Reals) -> tuple[Reals, float]:
    """Return what another series' surprises say of each error by the pairs before it, and which share of them that took away.

    Nothing (zeros) where, so far, errors have not become smaller by it.
    """
    moves, with_it, without = np.zeros(len(errors)), 0.0, 0.0
    product, square, pairs = 0.0, 0.0, 0
    for place, (error, surprise) in enumerate(zip(errors, other, strict=True)):
        if np.isnan(surprise):
            continue
        by = product / (square + _DRAWN) * surprise if pairs >= _PAIRS else 0.0
        if with_it < without:
            moves[place] = by
        if np.isnan(error):
            continue
        if pairs >= _PAIRS:
            with_it, without = with_it + abs(error - by), without + abs(error)
        product, square, pairs = product + error * surprise, square + surprise**2, pairs + 1
    return moves, float(1 - with_it / without) if without > 0 else 0.0


def by_month(weeks: Sequence[float | None], days: Sequence[int], wanted: Sequence[int]) -> list[float]:
    """Return by what factor each of the ``wanted`` days is to be more than usual, for its month.

    ``weeks`` are the values of complete weeks that follow each other, ``days`` their middles. Known from thirteen months on, and
    drawn to none (1) by how much months differ beyond chance; 1 of values that are not positive.
    """
    raw = np.array([np.nan if value is None else float(value) for value in weeks])
    place = np.array([_month(day) for day in days], np.int64)
    there = ~np.isnan(raw)
    if not there.any() or (raw[there] < 0).any() or len(set(place[there].tolist())) < 13:
        return [1.0] * len(wanted)
    months = np.unique(place[there])
    means = np.array([raw[there & (place == month)].mean() for month in months])
    whole = np.array([(there & (place == month)).sum() >= 3 for month in months]) & (means > 0)
    if whole.sum() < 13:
        return [1.0] * len(wanted)
    logs, which = np.log(means[whole]), months[whole]
    rest = logs - np.polyval(np.polyfit(which - which[0], logs, 1), which - which[0])
    effects = shrunk(rest, which % 12, 12)
    return [float(np.exp(effects[_month(day) % 12])) for day in wanted]


def _month(day: int) -> int:
    local = date.fromordinal(max(day, 1))
    return local.year * 12 + local.month - 1
