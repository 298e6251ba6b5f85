"""What do the panes of all source partitions say together, for a window and a segment?

The view is fed the topic ``panes``: absolute partial sums, one per source partition, pane and segment. A change is merged by
difference (``models/panes/series.py``), so a repeat changes nothing, order does not matter, and a window's total costs a few
additions whatever the window's length.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from heapq import nlargest
from typing import Any, TypeAlias, TypeVar, cast

import orjson

from models.business import Business
from models.calendar import MINUTE_MS, Grain
from models.measures import BY_NAME, MEASURES, Kind, renamed
from models.panes.series import MOST_PARTITIONS, Series, SeriesCells, Sums
from models.panes.store import BEHIND, COUNTED, SINCE, TOTAL
from models.panes.windows import FOREVER, Span, Window, after, cover
from models.targets import Targets

__all__ = ["TOTAL", "PanesExpired", "SeriesCells", "View"]

_TOTALS = 48  # window totals kept per fold and segment
_PLANS = 512  # ways in which a stretch of time is made up of panes
_QUARTER_MS = 900_000  # hours may begin at half past or a quarter to: a total outlives none of these
_FOLD_DISTINCT = {fold: tuple(m.name for m in ms if m.kind is Kind.DISTINCT) for fold, ms in MEASURES.items()}
_FOLD_HOURLY = {fold: tuple(m.name for m in ms if m.finest is Grain.HOUR and not m.stock) for fold, ms in MEASURES.items()}
_REMEMBERED = 1_000
_SCOPES = 10_000
#: So many panes that changed lately are remembered as they were read, at most twice as many, and none that is longer (bytes).
_HOT, _HOT_BYTES = 8_000, 1_000
#: fold and segment; grain; pane; partition; its series; sums
_Hot: TypeAlias = tuple[tuple[str, str], Grain, int, int, Series, Sums]
T = TypeVar("T")


class PanesExpired(LookupError):
    """The panes that this instant and window need are no longer kept, so there is no exact number."""


class View:
    """The merged panes of every fold. Not thread-safe: one loop feeds and reads it."""

    def __init__(self, business: Business) -> None:
        self.business = business
        self.calendar = business.calendar
        self.version = 0  # grows with every change
        self.live = False  # whether the topic has been read to its end
        self.targets = Targets()  # what the readings are to reach
        self.now = 0  # the latest time it was told: what has expired by then is not guessed at
        self._last_minute = -1
        self._first_day: dict[str, int] = {}  # of each fold
        self._series: dict[tuple[str, Grain, str], Series] = {}
        self._segments: dict[str, dict[str, dict[str, int]]] = {}  # dimension -> value -> fold -> series held
        self._hot: tuple[dict[bytes, _Hot], dict[bytes, _Hot]] = {}, {}  # panes that changed lately: key -> what its value said
        self._changes: dict[str, int] = {}  # segment -> panes of its that were told or changed: how much goes on there
        self._totals: dict[tuple[str, str], dict[tuple[int, int, int], SeriesCells]] = {}
        self._remembered: dict[tuple[str, str], dict[Any, Any]] = {}
        self._plans: dict[tuple[int, int, int], tuple[tuple[Span, ...], tuple[Span, ...] | None]] = {}
        self._memory: tuple[int, dict[Hashable, Any]] = (0, {})  # what was made of the panes at a version
        self._scopes: tuple[int, int, int, dict[tuple[str, str], Any]] = (0, 0, 0, {})  # likewise, at an instant
        self._notes: dict[str, dict[tuple[str, int], Mapping[str, int]]] = {SINCE: {}, BEHIND: {}, COUNTED: {}}
        self.since: dict[str, int] = {}  # measure -> from when it is whole (ms), where that is not ever
        self.behind: dict[str, int] = {}  # measure -> entities that may have still to be counted
        self._keep = {
            Grain.MINUTE: business.keep_minutes,
            Grain.HOUR: business.keep_hours,
            Grain.DAY: business.keep_days,
        }
        self._floors = dict.fromkeys(self._keep, 0)

    @property
    def last_event(self) -> int | None:
        """The beginning of the newest minute in which something happened (epoch ms); None before there is any."""
        return None if self._last_minute < 0 else self.calendar.start(Grain.MINUTE, self._last_minute)

    def began(self, folds: Iterable[str]) -> int | None:
        """Return the beginning of the first day that any of these folds knows of (epoch ms), None before there is any."""
        days = [self._first_day[fold] for fold in folds if fold in self._first_day]
        return self.calendar.start(Grain.DAY, min(days)) if days else None

    def clear(self) -> None:
        """Forget everything: the topic is about to be read from its beginning."""
        self._series.clear()
        self._segments.clear()
        self._hot = {}, {}
        self._changes.clear()
        self._totals.clear()
        self._remembered.clear()
        self._last_minute = -1
        self._first_day.clear()
        for notes in self._notes.values():
            notes.clear()
        self.since, self.behind = {}, {}
        self.live = False
        self.version += 1

    def advance(self, now: int) -> None:
        """Say what time it is (epoch ms); earlier times are ignored."""
        if now > self.now:
            self.now = now
            self._floors = {grain: self.calendar.pane(grain, max(0, now - keep)) for grain, keep in self._keep.items()}

    def put(self, key: bytes, value: bytes | None) -> tuple[str, str] | None:
        """Take one record of the topic ``panes``; return the (fold, segment) that changed, or None.

        ``key`` is ``fold:partition:grain:pane:segment``; ``value`` the partition's absolute sums there, None or ``{}`` for
        nothing. The segments ``#since``, ``#behind`` and ``#counted`` say what is whole
        (``models/folds/evolve.py``), and no sums.
        Raise ``ValueError`` where the record has not that form; the view is then unchanged.
        """
        young, old = self._hot
        lately = young.get(key) or old.get(key)
        if lately is None:
            fold, partition_text, grain_text, pane_text, segment = key.decode().split(":", 4)
            grain, pane, partition = _grain(grain_text), int(pane_text), int(partition_text)
            if fold not in MEASURES:
                raise ValueError(f"unknown fold {fold!r} (accepted: {', '.join(MEASURES)})")
            if not 0 <= partition < MOST_PARTITIONS or pane < 0:
                raise ValueError(f"partition {partition}, pane {pane} (accepted: 0 to 1023, 0 and above)")
            if segment in self._notes:
                return self._note(segment, (fold, partition), value)
            place, name = (fold, segment), (fold, grain, segment)
            series = self._series.get(name)
            if series is None:
                if value is None:
                    return None
                series = Series()
                changed, sums = series.replace(pane, partition, value)
                self._series[name] = series
                self._count_segment(fold, segment, 1)
            else:
                changed, sums = series.replace(pane, partition, value)
        else:  # a pane that is remembered is one that holds something
            place, grain, pane, partition, series, before = lately
            fold, segment = place
            changed, sums = series.replace(pane, partition, value, before)
        if not series.parts:
            del self._series[fold, grain, segment]
            self._count_segment(fold, segment, -1)
        # What was read of a pane is kept: the next change of the same one is soon, or never.
        if value is None or len(value) > _HOT_BYTES:
            young.pop(key, None)
            old.pop(key, None)
        elif sums is not None:
            young[key] = place, grain, pane, partition, series, sums
            if len(young) >= _HOT:
                self._hot = {}, young
        if not changed:
            return None
        if segment in self._changes:
            self._changes[segment] += 1
        # A prediction is made anew as time passes: that is no event.
        if grain is Grain.MINUTE and pane > self._last_minute and fold != "predictions":
            self._last_minute = pane
        elif grain is Grain.DAY and value is not None and pane < self._first_day.get(fold, pane + 1):
            self._first_day[fold] = pane
        self.version += 1
        self._totals.pop(place, None)
        self._remembered.pop(place, None)
        return place

    def _note(self, segment: str, partition: tuple[str, int], value: bytes | None) -> tuple[str, str] | None:
        notes = self._notes[segment]
        found = orjson.loads(value or b"{}")
        if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
            raise ValueError(f"{segment}: found {found!r} (accepted: an object of whole numbers)")
        if found == notes.get(partition, {}):
            return None
        notes[partition] = found
        self.since = _most(self._notes[SINCE].values())
        self.behind = _most(self._notes[BEHIND].values())
        for (fold, _), counted in self._notes[COUNTED].items():
            names = {renamed(name) for name in counted}
            self.behind |= {m.name: 1 for m in MEASURES[fold] if names and m.name not in names}
        self.version += 1
        return partition[0], TOTAL

    def _count_segment(self, fold: str, segment: str, by: int) -> None:
        dimension, sign, value = segment.partition("=")
        if not sign:
            return
        self._changes.setdefault(segment, 0)
        values = self._segments.setdefault(dimension, {})
        folds = values.setdefault(value, {})
        folds[fold] = folds.get(fold, 0) + by
        if not folds[fold]:
            del folds[fold]
            if not folds:
                del values[value]
                del self._changes[segment]
                if not values:
                    del self._segments[dimension]

    def dimensions(self) -> list[str]:
        """Return the dimensions that have values, sorted."""
        return sorted(self._segments)

    def segments(self, dimension: str, folds: frozenset[str] | None = None) -> list[str]:
        """Return the dimension's values, sorted: those known to any of the folds (all folds where none are named)."""
        values = self._segments.get(dimension, {})
        return sorted(v for v, known in values.items() if folds is None or not folds.isdisjoint(known))

    def count(self, dimension: str) -> int:
        """Return how many values the dimension has."""
        return len(self._segments.get(dimension, {}))

    def holds(self, dimension: str, value: str) -> bool:
        """Whether the dimension has this value."""
        return value in self._segments.get(dimension, {})

    def busiest(self, dimension: str, folds: frozenset[str], most: int) -> list[str]:
        """Return at most so many of :meth:`segments`, sorted: where there are more, those in which most goes on.

        What goes on is counted as the panes come, so that this costs one look at each name and no sum.
        """
        names = self.segments(dimension, folds)
        if len(names) > most:
            changes = self._changes
            names = sorted(nlargest(most, names, key=lambda name: changes.get(f"{dimension}={name}", 0)))
        return names

    def total(self, fold: str, segment: str, window: Window | int, at: int) -> SeriesCells:
        """Return the sums over a window, or over [from, at); segment is ``total`` or ``dimension=value``.

        The answer is shared: read it, do not change it. Raise :class:`PanesExpired` where panes it needs are gone. Distinct
        measures are not in it (see :meth:`distinct`); a stock's number is its net change.
        """
        start = window if isinstance(window, int) else window.bounds(at, self.calendar)[0]
        cached = self._totals.get((fold, segment))
        if cached is None:
            cached = self._totals[fold, segment] = {}
        key = (start, -(-at // MINUTE_MS), at // _QUARTER_MS)
        found = cached.get(key)
        if found is None:
            plan = self._plans.get(key)
            if plan is None:
                plan = self._plan(start, at)
                if len(self._plans) >= _PLANS:
                    self._plans.clear()
                self._plans[key] = plan
            spans, hours = plan
            found = self._sum(fold, segment, spans)
            for name in _FOLD_DISTINCT[fold]:
                found.numbers.pop(name, None)
            if hours is not None and _FOLD_HOURLY[fold]:
                whole = self._sum(fold, segment, hours)
                for name in _FOLD_HOURLY[fold]:
                    if name in whole.numbers:
                        found.numbers[name] = whole.numbers[name]
                    else:
                        found.numbers.pop(name, None)
            if len(cached) >= _TOTALS:
                cached.clear()
            cached[key] = found
        return found

    def _plan(self, start: int, at: int) -> tuple[tuple[Span, ...], tuple[Span, ...] | None]:
        """Return the panes of [start, at), and those for measures not kept by the minute where they are others."""
        calendar = self.calendar
        spans = cover(start, at, calendar)
        begins_inside = calendar.hour_start(calendar.hour(start)) != start
        rounded_up = calendar.hour(-(-at // MINUTE_MS) * MINUTE_MS) != calendar.hour(at)
        return spans, cover(start, at, calendar, Grain.HOUR) if begins_inside or rounded_up else None

    def _sum(self, fold: str, segment: str, spans: tuple[Span, ...]) -> SeriesCells:
        result: SeriesCells | None = None
        for grain, first, stop in spans:
            self._check_kept(grain, first)
            series = self._series.get((fold, grain, segment))
            if series is not None:
                part = series.total(first, stop)
                if result is None:
                    result = SeriesCells(part.numbers.copy(), {name: counts.copy() for name, counts in part.values.items()})
                else:
                    result.add(part.numbers, part.values)
        return SeriesCells() if result is None else result

    def spans_total(self, fold: str, segment: str, spans: tuple[Span, ...]) -> SeriesCells:
        """Return the sums over given panes; raise :class:`PanesExpired`."""
        return self._sum(fold, segment, spans)

    def each(self, fold: str, segment: str, spans: Iterable[Span]) -> Iterator[tuple[int, SeriesCells]]:
        """Yield the beginning (epoch ms) of each pane of these spans that holds something, and what it holds. Read it only."""
        for grain, first, stop in spans:
            series = self._series.get((fold, grain, segment))
            if series is not None:
                for pane, numbers, values in series.within(first, stop):
                    yield self.calendar.start(grain, pane), SeriesCells(numbers, values)  # type: ignore[arg-type]  # not changed

    def remembered(self, fold: str, segment: str, name: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` makes of a segment's panes, made anew where they have changed. It is shared: read it only."""
        kept = self._remembered.setdefault((fold, segment), {})
        if name not in kept:
            if len(kept) >= _TOTALS:
                kept.clear()
            kept[name] = make()
        return kept[name]

    def days_over(self, fold: str, segment: str, start: int, at: int) -> Mapping[str, int]:
        """Return the sums of the days that end in [start, at): for measures that count once their day is over."""
        calendar = self.calendar
        first = calendar.day(start)
        if calendar.day_start(first) == start:
            first -= 1
        stop = calendar.day(at - 1)
        return self._sum(fold, segment, (Span(Grain.DAY, first, stop),)).numbers if first < stop else {}

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` makes of the panes, made once for as long as nothing changes. An exception is not remembered."""
        version, held = self._memory
        if version != self.version or len(held) >= _REMEMBERED:
            self._memory = self.version, (held := {})
        found = held.get(key)
        if found is None:
            found = held[key] = make()
        return cast(T, found)

    def scopes(self, at: int) -> dict[tuple[str, str], Any]:
        """Return what was kept of this instant since something changed, by window and segment, to be added to."""
        version, now, instant, held = self._scopes
        if version != self.version or now != self.now or instant != at or len(held) >= _SCOPES:
            self._scopes = self.version, self.now, at, (held := {})
        return held

    def distinct(self, measure: str, segment: str, window: Window, at: int) -> int:
        """Return how many distinct entities the window holds, counted in panes of the window's grain, the last one whole.

        Where those panes have expired and the window begins and ends with coarser ones, it is counted exactly in these.
        """
        fold = BY_NAME[measure][0]
        span = window.panes(at, self.calendar)
        start, _ = window.bounds(at, self.calendar)
        for grain in (span.grain, Grain.HOUR, Grain.DAY):
            if self._kept(grain, span.first if grain is span.grain else self.calendar.pane(grain, start)):
                break
        if grain is not span.grain:
            first, stop = self.calendar.pane(grain, start), self.calendar.pane(grain, at)
            if self.calendar.start(grain, first) != start or self.calendar.start(grain, stop) != at:
                raise PanesExpired(f"the {_WORDS[span.grain]} of this window are no longer kept")
            span = Span(grain, first, stop)
        self._check_kept(span.grain, span.first)
        series = self._series.get((fold, span.grain, segment))
        return 0 if series is None else series.total(span.first, span.stop).numbers.get(measure, 0)

    def ever(self, measure: str, segment: str) -> bool:
        """Whether anything was ever booked of a segment where a measure is: a level of 0 may be known, or nothing at all."""
        return (BY_NAME[measure][0], Grain.ALL, segment) in self._series

    def level(self, measure: str, segment: str, at: int) -> int:
        """Return a stock's level at an instant: all that ever flowed, less what flowed from then on."""
        fold = BY_NAME[measure][0]
        ever = self._series.get((fold, Grain.ALL, segment))
        level = 0 if ever is None else ever.total(0, 1).numbers.get(measure, 0)
        return level - self._after(fold, segment, at).numbers.get(measure, 0)

    def _after(self, fold: str, segment: str, at: int) -> SeriesCells:
        """Return the sums of all that comes at or after an instant."""
        cached = self._totals.setdefault((fold, segment), {})
        key = (FOREVER, -(-at // MINUTE_MS), 0)
        found = cached.get(key)
        if found is None:
            if len(cached) >= _TOTALS:
                cached.clear()
            found = cached[key] = self._sum(fold, segment, after(at, self.calendar))
        return found

    def _kept(self, grain: Grain, first: int) -> bool:
        # The folds let a pane go when its number is below that of `now` less the time it is kept.
        return first >= self._floors[grain]

    def _check_kept(self, grain: Grain, first: int) -> None:
        if not self._kept(grain, first):
            raise PanesExpired(f"the {_WORDS[grain]} of this window are no longer kept")


def _most(notes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the greatest number of each name."""
    found: dict[str, int] = {}
    for note in notes:
        for name, number in note.items():
            found[name] = max(number, found.get(name, 0))
    return found


_GRAINS = {grain.value: grain for grain in Grain}


def _grain(text: str) -> Grain:
    grain = _GRAINS.get(text)
    if grain is None:
        raise ValueError(f"unknown grain {text!r} (accepted: {', '.join(_GRAINS)})")
    return grain


_WORDS = {Grain.MINUTE: "minutes", Grain.HOUR: "hours", Grain.DAY: "days"}
