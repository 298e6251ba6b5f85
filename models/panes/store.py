"""How do changes of entities become sums per pane and segment, cheaply and reversibly?

The hot path only adds to the *deltas* of this checkpoint, at the finest pane. ``roll`` carries them into minute, hour and day
panes (and into ``all`` for stocks) once per checkpoint, so its cost grows with what changed, not with events times panes.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import orjson

from models.business import Business
from models.calendar import MINUTE_MS, Grain
from models.measures import RENAMED, Kind, Measure

#: Numbers to add: (slot of the measure, amount).
Cells = tuple[tuple[int, int], ...]
#: One booking: minute, segments, numbers, and single values for the VALUES measures: (slot, value).
Booking = tuple[int, tuple[str, ...], Cells, Cells]

TOTAL = "total"

#: In the topic ``panes``, segments that say what is whole, by measure: since when (ms); what has still to be looked at; and 1 for
#: each that the partition's worker counts at all: another may still be of an earlier version.
SINCE, BEHIND, COUNTED = "#since", "#behind", "#counted"

#: A pane's sums by segment and slot, and the segments that have changed.
_Pane = tuple[dict[str, dict[int, Any]], set[str]]
#: So many panes back a distinct entity's visit before is of interest: no window is longer in panes of that grain.
REACH = {Grain.MINUTE: 120, Grain.HOUR: 35 * 24, Grain.DAY: 800}


class Panes:
    """One partition's sums of one fold."""

    __slots__ = (
        "_business",
        "_coarse",
        "_daily",
        "_deltas",
        "_dirty",
        "_distinct",
        "_floor",
        "_moved",
        "_names",
        "_scalars",
        "_slots",
        "_stocks",
        "_sums",
        "_values",
    )

    def __init__(self, measures: Sequence[Measure], business: Business) -> None:
        self._business = business
        self._names = tuple(m.name for m in measures)
        self._slots = {n: i for i, n in enumerate(self._names)}
        self._slots |= {old: self._slots[new] for old, new in RENAMED.items() if new in self._slots}
        self._scalars = [m.kind not in (Kind.VALUES, Kind.DURATIONS, Kind.NUMBERS, Kind.DISTINCT) for m in measures]
        self._stocks = frozenset(i for i, m in enumerate(measures) if m.stock)
        self._coarse = frozenset(i for i, m in enumerate(measures) if m.finest is not Grain.MINUTE)
        self._daily = frozenset(i for i, m in enumerate(measures) if m.finest is Grain.DAY)
        self._deltas: dict[int, dict[str, defaultdict[int, int]]] = {}
        self._moved: tuple[tuple[str, ...], ...] = ((), (), (), ())
        self._values: dict[tuple[int, str, int], Counter[int]] = {}
        self._distinct: dict[tuple[Grain, int, str, int], Counter[int]] = {}
        self._sums: dict[Grain, dict[int, dict[str, dict[int, Any]]]] = {g: {} for g in Grain}
        self._dirty: dict[Grain, dict[int, set[str]]] = {g: {} for g in Grain}
        self._floor: dict[Grain, int] = {g: -(1 << 62) for g in Grain}

    def add(self, minute: int, segments: tuple[str, ...], cells: Cells, sign: int = 1) -> None:
        """Add the numbers to the minute's pane in every segment; ``sign`` −1 takes them back."""
        by_segment = self._deltas.get(minute)
        if by_segment is None:
            by_segment = self._deltas[minute] = {}
        if len(cells) == 1:
            slot, number = cells[0]
            number *= sign
            for segment in segments:
                sums = by_segment.get(segment)
                if sums is None:
                    sums = by_segment[segment] = defaultdict(int)
                sums[slot] += number
            return
        if sign != 1:
            cells = tuple([(slot, number * sign) for slot, number in cells])
        for segment in segments:
            sums = by_segment.get(segment)
            if sums is None:
                sums = by_segment[segment] = defaultdict(int)
            for slot, number in cells:
                sums[slot] += number

    def book(self, booking: Booking, sign: int) -> None:
        """Add a whole booking, single values included, or take it back."""
        minute, segments, cells, values = booking
        if cells:
            self.add(minute, segments, cells, sign)
        if values:
            self._add_values(minute, segments, values, sign)

    def _add_values(self, minute: int, segments: tuple[str, ...], values: Cells, sign: int) -> None:
        for slot, value in values:
            for segment in segments:
                key = (minute, segment, slot)
                counts = self._values.get(key)
                if counts is None:
                    counts = self._values[key] = Counter()
                counts[value] += sign

    def rebook(self, before: Booking | None, after: Booking | None, sign: int = 1) -> None:
        """Replace one booking by another, either of which may be none; ``sign`` −1 does the reverse."""
        if before is not None and after is not None and before[0] == after[0] and before[3] == after[3]:
            # What of them stays the same, numbers and segments, is not touched.
            if before[1] != after[1]:
                self.move(before[0], before[1], after[1], before[2], sign, before[3])
            if before[2] != after[2]:
                numbers = dict(after[2])
                for slot, number in before[2]:
                    numbers[slot] = numbers.get(slot, 0) - number
                self.add(after[0], after[1], tuple([cell for cell in numbers.items() if cell[1]]), sign)
            return
        if before is not None:
            self.book(before, -sign)
        if after is not None:
            self.book(after, sign)

    def move(
        self, minute: int, before: tuple[str, ...], after: tuple[str, ...], cells: Cells, sign: int, values: Cells = ()
    ) -> None:
        """Move numbers of one minute from some segments to others; those in both are not touched."""
        last_before, last_after, gone, come = self._moved
        if before is not last_before or after is not last_after:  # what moves, moves several numbers
            gone = tuple([name for name in before if name not in after])
            come = tuple([name for name in after if name not in before])
            self._moved = before, after, gone, come
        if gone or come:
            by_segment = self._deltas.get(minute)
            if by_segment is None:
                by_segment = self._deltas[minute] = {}
            for segments, times in ((gone, -sign), (come, sign)):
                for segment in segments:
                    sums = by_segment.get(segment)
                    if sums is None:
                        sums = by_segment[segment] = defaultdict(int)
                    for slot, number in cells:
                        sums[slot] += number * times
        if values:
            self._add_values(minute, gone, values, -sign)
            self._add_values(minute, come, values, sign)

    def present(self, grain: Grain, pane: int, segment: str, slot: int, gap: int, sign: int) -> None:
        """Count an entity as active in a pane, ``gap`` panes after it was active before (0: never, or out of reach)."""
        key = (grain, pane, segment, slot)
        counts = self._distinct.get(key)
        if counts is None:
            counts = self._distinct[key] = Counter()
        counts[gap if gap <= REACH[grain] else 0] += sign

    def take(self, other: "Panes", slots: frozenset[int]) -> None:
        """Book what another of the same measures was booked since this was last called, of these measures only."""
        for minute, by_segment in other._deltas.items():
            for segment, sums in by_segment.items():
                cells = tuple((slot, number) for slot, number in sums.items() if number and slot in slots)
                if cells:
                    self.add(minute, (segment,), cells)
        for key, counts in other._values.items():
            if key[2] in slots:
                self._values.setdefault(key, Counter()).update(counts)
        for place, counts in other._distinct.items():
            if place[3] in slots:
                self._distinct.setdefault(place, Counter()).update(counts)
        other._deltas, other._values, other._distinct = {}, {}, {}

    def drain(self, wanted: Callable[[str], bool]) -> Iterator[tuple[int, str, str, int | Counter[int]]]:
        """Yield ``(minute, segment, measure, number)`` of what was booked since this was last called, and forget it.

        Of single values the number is their counts. ``wanted`` says of which segments. Of distinct ones nothing is told.
        """
        deltas, values, names = self._deltas, self._values, self._names
        self.back()
        for minute, by_segment in deltas.items():
            for segment, sums in by_segment.items():
                if wanted(segment):
                    for slot, number in sums.items():
                        if number:
                            yield minute, segment, names[slot], number
        for (minute, segment, slot), counts in values.items():
            if wanted(segment) and (found := Counter({value: count for value, count in counts.items() if count})):
                yield minute, segment, names[slot], found

    def roll(self, watermark: int) -> None:
        """Carry the deltas into the panes that are kept, and let go of the ones that have passed their time.

        ``watermark`` (ms) only grows, so what a pane holds while it is kept never depends on the order of arrival; it is set
        back only where it had run ahead of all clocks.
        """
        business, calendar = self._business, self._business.calendar
        floors = {
            Grain.MINUTE: (watermark - business.keep_minutes) // MINUTE_MS,
            Grain.HOUR: calendar.hour(watermark - business.keep_hours),
            Grain.DAY: calendar.day(watermark - business.keep_days) if watermark > business.keep_days else 0,
            Grain.ALL: 0,
        }
        coarse, daily, stocks = self._coarse, self._daily, self._stocks
        for minute, by_segment in self._deltas.items():
            at = minute * MINUTE_MS
            hour, day = calendar.hour(at), calendar.day(at)
            # The panes of a minute are looked up once, whatever the number of segments.
            fine = self._pane(Grain.MINUTE, minute) if minute >= floors[Grain.MINUTE] else None
            hourly = self._pane(Grain.HOUR, hour) if hour >= floors[Grain.HOUR] else None
            whole = self._pane(Grain.DAY, day) if day >= floors[Grain.DAY] else None
            ever = self._pane(Grain.ALL, 0) if stocks else None
            for segment, sums in by_segment.items():
                cells = [cell for cell in sums.items() if cell[1]]
                if not cells:
                    continue
                if fine is not None:
                    kept = cells if coarse.isdisjoint(sums) else [c for c in cells if c[0] not in coarse]
                    if kept:
                        _pour(fine, segment, kept)
                if hourly is not None:
                    kept = cells if daily.isdisjoint(sums) else [c for c in cells if c[0] not in daily]
                    if kept:
                        _pour(hourly, segment, kept)
                if whole is not None:
                    _pour(whole, segment, cells)
                if ever is not None and not stocks.isdisjoint(sums):
                    levels = [c for c in cells if c[0] in stocks]
                    if levels:
                        _pour(ever, segment, levels)
        for (minute, segment, slot), counts in self._values.items():
            at = minute * MINUTE_MS
            if slot not in coarse and minute >= floors[Grain.MINUTE]:
                self._merge_counts(Grain.MINUTE, minute, segment, slot, counts)
            if slot not in self._daily and (hour := calendar.hour(at)) >= floors[Grain.HOUR]:
                self._merge_counts(Grain.HOUR, hour, segment, slot, counts)
            if (day := calendar.day(at)) >= floors[Grain.DAY]:
                self._merge_counts(Grain.DAY, day, segment, slot, counts)
        for (grain, pane, segment, slot), counts in self._distinct.items():
            if pane >= floors[grain]:
                self._merge_counts(grain, pane, segment, slot, counts)
        self._deltas = {}
        self._values = {}
        self._distinct = {}
        self._expire(floors)

    def back(self) -> None:
        """Forget what was added since the last :meth:`roll`."""
        self._deltas = {}
        self._values = {}
        self._distinct = {}

    def _merge_counts(self, grain: Grain, pane: int, segment: str, slot: int, counts: Counter[int]) -> None:
        if not any(counts.values()):
            return
        sums = self._cell(grain, pane, segment)
        kept = sums.setdefault(slot, {})
        for value, count in counts.items():
            total = kept.get(value, 0) + count
            if total:
                kept[value] = total
            else:
                kept.pop(value, None)
        if not kept:
            del sums[slot]

    def _pane(self, grain: Grain, pane: int) -> _Pane:
        """Return a pane's sums by segment, and where to note which of them change."""
        panes, dirty = self._sums[grain], self._dirty[grain]
        by_segment = panes.get(pane)
        if by_segment is None:
            by_segment = panes[pane] = {}
        changed = dirty.get(pane)
        if changed is None:
            changed = dirty[pane] = set()
        return by_segment, changed

    def _cell(self, grain: Grain, pane: int, segment: str) -> dict[int, Any]:
        by_segment, changed = self._pane(grain, pane)
        changed.add(segment)
        return by_segment.setdefault(segment, {})

    def _expire(self, floors: dict[Grain, int]) -> None:
        for grain, floor in floors.items():
            if floor == self._floor[grain]:
                continue
            self._floor[grain] = floor
            panes = self._sums[grain]
            for pane in [p for p in panes if p < floor]:
                self._dirty[grain].setdefault(pane, set()).update(panes.pop(pane))

    def changes(self) -> list[tuple[str, bytes | None]]:
        """Return ``("grain:pane:segment", JSON or None)`` for each pane that has changed since the last call."""
        out: list[tuple[str, bytes | None]] = []
        names = self._names
        for grain, dirty in self._dirty.items():
            panes = self._sums[grain]
            for pane, segments in dirty.items():
                by_segment = panes.get(pane, {})
                prefix = f"{grain.value}:{pane}:"
                for segment in segments:
                    sums = by_segment.get(segment)
                    if sums:
                        out.append((prefix + segment, dumps({names[slot]: number for slot, number in sums.items()})))
                    else:
                        by_segment.pop(segment, None)
                        out.append((prefix + segment, None))
                if not by_segment:
                    panes.pop(pane, None)
            dirty.clear()
        return out

    def restore(self, name: str, body: bytes, only: Collection[str] | None = None) -> None:
        """Take one pane back from what ``changes`` gave; measures that there are no more are left out.

        ``only`` names the measures that count, where not all do.
        """
        grain, pane, segment = name.split(":", 2)
        slots = self._slots
        sums: dict[int, Any] = {}
        for measure, number in loads(body).items():
            slot = slots.get(measure)
            if slot is not None and (only is None or self._names[slot] in only):
                sums[slot] = number if self._scalars[slot] else {int(k): v for k, v in number.items()}
        if sums or only is None:
            self._sums[Grain(grain)].setdefault(int(pane), {})[segment] = sums

    def touch(self, name: str) -> bool:
        """Have a pane handed over with the next changes; return whether there is anything in it."""
        grain, pane, segment = name.split(":", 2)
        if not self._sums[Grain(grain)].get(int(pane), {}).get(segment):
            return False
        self._dirty[Grain(grain)].setdefault(int(pane), set()).add(segment)
        return True

    def cells(self, grains: Iterable[Grain]) -> Iterator[tuple[Grain, int, str, str, Any]]:
        """Yield ``(grain, pane, segment, measure, number)`` of everything held in these grains."""
        for grain in grains:
            for pane, by_segment in self._sums[grain].items():
                for segment, sums in by_segment.items():
                    for slot, number in sums.items():
                        yield grain, pane, segment, self._names[slot], number

    def segments(self) -> set[str]:
        """Return the segments of everything held."""
        return {segment for panes in self._sums.values() for by_segment in panes.values() for segment in by_segment}

    def sums(self, grain: Grain, pane: int, segment: str) -> dict[str, Any]:
        """Return what a pane holds, by measure name (for tests and ``explain``)."""
        return {self._names[s]: n for s, n in self._sums[grain].get(pane, {}).get(segment, {}).items()}


def _pour(pane: _Pane, segment: str, cells: Iterable[tuple[int, int]]) -> None:
    """Add numbers to one segment of a pane."""
    by_segment, changed = pane
    changed.add(segment)
    sums = by_segment.get(segment)
    if sums is None:
        sums = by_segment[segment] = {}
    for slot, number in cells:
        total = sums.get(slot, 0) + number
        if total:
            sums[slot] = total
        else:
            del sums[slot]


def dumps(value: dict[str, Any]) -> bytes:
    """Return JSON with string keys; whole numbers above 64 bits keep all their digits."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def loads(body: bytes) -> dict[str, Any]:
    """Return what ``dumps`` wrote."""
    value: dict[str, Any] = orjson.loads(body)
    # orjson reads whole numbers above 64 bits as floats, which no pane ever holds.
    return json.loads(body) if any(type(v) is float for v in value.values()) else value
