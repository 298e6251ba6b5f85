"""How do changes of entities become sums per pane and segment, cheaply and reversibly?

The hot path only adds to the *deltas* of this checkpoint, at the finest pane. ``roll`` carries them into minute, hour and day
panes (and into ``all`` for stocks) once per checkpoint, so its cost grows with what changed, not with events times panes.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import orjson

from models.business import Business
from models.calendar import MINUTE_MS, Grain
from models.measures import RENAMED, Kind, Measure

#: Numbers to add: (slot of the measure, amount), each slot once.
Cells = tuple[tuple[int, int], ...]
#: One booking: minute, segments, numbers, and single values for the VALUES measures: (slot, value).
Booking = tuple[int, tuple[str, ...], Cells, Cells]

TOTAL = "total"

#: In the topic ``panes``, segments that say what is whole, by measure: since when (ms); what has still to be looked at; and 1 for
#: each that the partition's worker counts at all: another may still be of an earlier version.
SINCE, BEHIND, COUNTED = "#since", "#behind", "#counted"

#: A pane's sums by segment and measure, and the segments that have changed.
_Pane = tuple[dict[str, dict[str, Any]], set[str]]
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
        "_measures",
        "_moved",
        "_multisets",
        "_names",
        "_stocks",
        "_sums",
        "_values",
    )

    def __init__(self, measures: Sequence[Measure], business: Business) -> None:
        self._business = business
        self._names = tuple(m.name for m in measures)
        self._measures = {name: name for name in self._names}
        self._measures |= {old: new for old, new in RENAMED.items() if new in self._measures}
        many = (Kind.VALUES, Kind.DURATIONS, Kind.NUMBERS, Kind.DISTINCT)
        self._multisets = frozenset(m.name for m in measures if m.kind in many)
        self._stocks = frozenset(m.name for m in measures if m.stock)
        self._coarse = frozenset(m.name for m in measures if m.finest is not Grain.MINUTE)
        self._daily = frozenset(m.name for m in measures if m.finest is Grain.DAY)
        self._deltas: dict[int, dict[str, dict[int, int]]] = {}
        self._moved: tuple[tuple[str, ...], tuple[str, ...], Collection[str], Collection[str]] = ((), (), (), ())
        self._values: dict[tuple[int, str, int], Counter[int]] = {}
        self._distinct: dict[tuple[Grain, int, str, int], Counter[int]] = {}
        self._sums: dict[Grain, dict[int, dict[str, dict[str, Any]]]] = {g: {} for g in Grain}
        self._dirty: dict[Grain, dict[int, set[str]]] = {g: {} for g in Grain}
        self._floor: dict[Grain, int] = {g: -(1 << 62) for g in Grain}

    def add(self, minute: int, segments: Iterable[str], cells: Cells, sign: int = 1) -> None:
        """Add the numbers to the minute's pane in every segment; ``sign`` −1 takes them back."""
        if sign != 1:
            cells = tuple([(slot, number * sign) for slot, number in cells])
        by_segment = self._deltas.get(minute)
        if by_segment is None:
            by_segment = self._deltas[minute] = {}
        fresh: dict[int, int] | None = None
        for segment in segments:
            sums = by_segment.get(segment)
            if sums is None:
                if fresh is None:
                    fresh = dict(cells)
                by_segment[segment] = fresh.copy()
                continue
            for slot, number in cells:
                if slot in sums:
                    sums[slot] += number
                else:
                    sums[slot] = number

    def book(self, booking: Booking, sign: int) -> None:
        """Add a whole booking, single values included, or take it back."""
        minute, segments, cells, values = booking
        if cells:
            self.add(minute, segments, cells, sign)
        if values:
            self._add_values(minute, segments, values, sign)

    def _add_values(self, minute: int, segments: Iterable[str], values: Cells, sign: int) -> None:
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
            had, has = set(before), set(after)
            gone, come = had - has, has - had
            self._moved = before, after, gone, come
        if gone or come:
            self.add(minute, gone, cells, -sign)
            self.add(minute, come, cells, sign)
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
        names, coarse, daily, stocks = self._names, self._coarse, self._daily, self._stocks
        for minute, by_segment in self._deltas.items():
            at = minute * MINUTE_MS
            hour, day = calendar.hour(at), calendar.day(at)
            # The panes of a minute are looked up once, whatever the number of segments.
            fine = self._pane(Grain.MINUTE, minute) if minute >= floors[Grain.MINUTE] else None
            hourly = self._pane(Grain.HOUR, hour) if hour >= floors[Grain.HOUR] else None
            whole = self._pane(Grain.DAY, day) if day >= floors[Grain.DAY] else None
            ever = self._pane(Grain.ALL, 0) if stocks else None
            for segment, sums in by_segment.items():
                cells = {names[slot]: number for slot, number in sums.items() if number}
                if not cells:
                    continue
                if coarse.isdisjoint(cells):
                    if fine is not None:
                        _pour(fine, segment, cells)
                    if hourly is not None:
                        _pour(hourly, segment, cells)
                else:
                    if fine is not None:
                        _pour(fine, segment, {name: number for name, number in cells.items() if name not in coarse})
                    if hourly is not None:
                        _pour(hourly, segment, {name: number for name, number in cells.items() if name not in daily})
                if whole is not None:
                    _pour(whole, segment, cells)
                if ever is not None and not stocks.isdisjoint(cells):
                    _pour(ever, segment, {name: number for name, number in cells.items() if name in stocks})
        for (minute, segment, slot), counts in self._values.items():
            at, name = minute * MINUTE_MS, names[slot]
            if name not in coarse and minute >= floors[Grain.MINUTE]:
                self._merge_counts(Grain.MINUTE, minute, segment, name, counts)
            if name not in daily and (hour := calendar.hour(at)) >= floors[Grain.HOUR]:
                self._merge_counts(Grain.HOUR, hour, segment, name, counts)
            if (day := calendar.day(at)) >= floors[Grain.DAY]:
                self._merge_counts(Grain.DAY, day, segment, name, counts)
        for (grain, pane, segment, slot), counts in self._distinct.items():
            if pane >= floors[grain]:
                self._merge_counts(grain, pane, segment, names[slot], counts)
        self._deltas = {}
        self._values = {}
        self._distinct = {}
        self._expire(floors)

    def back(self) -> None:
        """Forget what was added since the last :meth:`roll`."""
        self._deltas = {}
        self._values = {}
        self._distinct = {}

    def _merge_counts(self, grain: Grain, pane: int, segment: str, name: str, counts: Counter[int]) -> None:
        if not any(counts.values()):
            return
        by_segment, changed = self._pane(grain, pane)
        changed.add(segment)
        sums = by_segment.get(segment)
        if sums is None:
            sums = by_segment[segment] = {}
        kept = sums.setdefault(name, {})
        for value, count in counts.items():
            total = kept.get(value, 0) + count
            if total:
                kept[value] = total
            else:
                kept.pop(value, None)
        if not kept:
            del sums[name]

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
        multisets = self._multisets
        for grain, dirty in self._dirty.items():
            panes = self._sums[grain]
            for pane, segments in dirty.items():
                by_segment = panes.get(pane, {})
                prefix = f"{grain.value}:{pane}:"
                for segment in segments:
                    sums = by_segment.get(segment)
                    if sums:
                        out.append((prefix + segment, dumps(sums, plain=multisets.isdisjoint(sums))))
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
        sums: dict[str, Any] = {}
        for measure, number in loads(body).items():
            known = self._measures.get(measure)
            if known is not None and (only is None or known in only):
                sums[known] = {int(k): v for k, v in number.items()} if known in self._multisets else number
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
                    for name, number in sums.items():
                        yield grain, pane, segment, name, number

    def segments(self) -> set[str]:
        """Return the segments of everything held."""
        return {segment for panes in self._sums.values() for by_segment in panes.values() for segment in by_segment}

    def sums(self, grain: Grain, pane: int, segment: str) -> dict[str, Any]:
        """Return what a pane holds, by measure name (for tests and ``explain``)."""
        return dict(self._sums[grain].get(pane, {}).get(segment, {}))


def _pour(pane: _Pane, segment: str, cells: dict[str, int]) -> None:
    """Add numbers, none of which is 0, to one segment of a pane."""
    if not cells:
        return
    by_segment, changed = pane
    changed.add(segment)
    sums = by_segment.get(segment)
    if not sums:
        by_segment[segment] = cells.copy()
        return
    for name, number in cells.items():
        total = sums.get(name, 0) + number
        if total:
            sums[name] = total
        else:
            del sums[name]


def dumps(value: dict[str, Any], *, plain: bool = False) -> bytes:
    """Return JSON with string keys; whole numbers above 64 bits keep all their digits. ``plain``: there are no other keys."""
    try:
        # Copied, for what orjson gives keeps some 4 KB as long as it lives, however short it is.
        return b"%b" % (orjson.dumps(value) if plain else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def loads(body: bytes) -> dict[str, Any]:
    """Return what ``dumps`` wrote."""
    value: dict[str, Any] = orjson.loads(body)
    # orjson reads whole numbers above 64 bits as floats, which no pane ever holds.
    return json.loads(body) if float in map(type, value.values()) else value
