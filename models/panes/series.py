"""What do one fold's panes of one grain and segment add up to, over any stretch of them?

Each source partition's partial sum is kept as it came. The merged panes, and the sums over those stretches that were asked
for, are amended by the difference when a partial sum is replaced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from models.measures import BY_NAME, RENAMED, Kind
from models.panes.store import loads

#: Source partitions are numbered below this.
MOST_PARTITIONS = 1 << 10

#: A partial sum as it was written: by measure a whole number, or ``{value: count}``.
Sums: TypeAlias = dict[str, Any]

_KINDS = {int, dict}
_RANGES = 24  # sums over stretches kept per series
_DISTINCT = frozenset(name for name, (_, m) in BY_NAME.items() if m.kind is Kind.DISTINCT)


@dataclass(slots=True)
class SeriesCells:
    """Sums by measure; a measure that is missing is 0. ``values`` holds the multisets (``{value: count}``)."""

    numbers: dict[str, int] = field(default_factory=dict)
    values: dict[str, dict[int, int]] = field(default_factory=dict)

    def add(self, numbers: Mapping[str, int], values: Mapping[str, Mapping[int, int]]) -> None:
        """Add sums to these."""
        mine = self.numbers
        for name, number in numbers.items():
            mine[name] = mine.get(name, 0) + number
        for name, counts in values.items():
            _merge(self.values.setdefault(name, {}), counts)


def _merge(into: dict[int, int], counts: Mapping[int, int]) -> None:
    for value, count in counts.items():
        total = into.get(value, 0) + count
        if total:
            into[value] = total
        else:
            into.pop(value, None)


class Series:
    """One fold's panes of one grain and segment, by pane number."""

    __slots__ = ("multisets", "panes", "parts", "ranges")

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}  # pane and source partition -> the partial sum as it came
        self.panes: dict[int, dict[str, int]] = {}
        self.multisets: dict[int, dict[str, dict[int, int]]] = {}
        self.ranges: dict[tuple[int, int], SeriesCells] = {}

    def replace(self, pane: int, partition: int, value: bytes | None, before: Sums | None = None) -> tuple[bool, Sums | None]:
        """Put one partial sum in the place of the one before; return whether anything changed, and the sums if they were read.

        ``before`` are the sums that were returned for the one before, where they are at hand.
        Raise ``ValueError``, and change nothing, where the value is no JSON object of measures.
        """
        slot = pane * MOST_PARTITIONS + partition
        kept = self.parts.get(slot)
        if value == kept:
            return False, before
        sums = _read(value)
        deltas, moved = _difference(_read(kept) if before is None else before, sums)  # may raise: nothing has been touched yet
        if value is None:
            del self.parts[slot]
        else:
            self.parts[slot] = value
        if deltas:
            into = self.panes.get(pane)
            if into is None:
                self.panes[pane] = deltas
            else:
                for name, delta in deltas.items():
                    if name in into:
                        delta += into[name]
                    if delta:
                        into[name] = delta
                    else:
                        del into[name]
                if not into:
                    del self.panes[pane]
        for name, change in moved.items():
            held = self.multisets.setdefault(pane, {})
            _merge(held.setdefault(name, {}), change)
            if not held[name]:
                del held[name]
            if not held:
                del self.multisets[pane]
        for (first, stop), cells in self.ranges.items():
            if first <= pane < stop:
                _include(cells, first, pane, deltas, moved)
        return bool(deltas or moved), sums

    def within(self, first: int, stop: int) -> Iterator[tuple[int, Mapping[str, int], Mapping[str, Mapping[int, int]]]]:
        """Yield ``(pane, numbers, multisets)`` of each pane ``first <= number < stop`` that holds something."""
        for pane in {*_within(self.panes, first, stop), *_within(self.multisets, first, stop)}:
            yield pane, self.panes.get(pane, {}), self.multisets.get(pane, {})

    def total(self, first: int, stop: int) -> SeriesCells:
        """Return the sums over the panes ``first <= number < stop``; a distinct measure's number is its count in them."""
        found = self.ranges.get((first, stop))
        if found is None:
            found = SeriesCells()
            for pane in _within(self.panes, first, stop):
                _include(found, first, pane, self.panes[pane], {})
            for pane in _within(self.multisets, first, stop):
                _include(found, first, pane, {}, self.multisets[pane])
            if len(self.ranges) >= _RANGES:
                del self.ranges[next(iter(self.ranges))]
            self.ranges[first, stop] = found
        return found


def _within(panes: Mapping[int, object], first: int, stop: int) -> Iterator[int]:
    if stop - first < len(panes):
        return (pane for pane in range(first, stop) if pane in panes)
    return (pane for pane in panes if first <= pane < stop)


def _include(
    cells: SeriesCells, first: int, pane: int, numbers: Mapping[str, int], multisets: Mapping[str, Mapping[int, int]]
) -> None:
    into = cells.numbers
    for name, number in numbers.items():
        into[name] = into.get(name, 0) + number
    for name, counts in multisets.items():
        if name in _DISTINCT:
            # Who was active `gap` panes ago, inside the stretch, has been counted there.
            new = sum(count for gap, count in counts.items() if gap == 0 or pane - gap < first)
            into[name] = into.get(name, 0) + new
        else:
            _merge(cells.values.setdefault(name, {}), counts)


def _read(value: bytes | None) -> Sums:
    if value is None:
        return {}
    sums: Sums = orjson.loads(value)
    if type(sums) is not dict:
        raise ValueError("a pane's value is a JSON object")
    if not _KINDS.issuperset(map(type, sums.values())):
        sums = loads(value)  # a number above 64 bits, which orjson reads as a float
        if not _KINDS.issuperset(map(type, sums.values())):
            raise ValueError(f"a measure is a whole number or an object of counts, found {sums!r}")
    return (
        sums if not RENAMED or RENAMED.keys().isdisjoint(sums) else {RENAMED.get(name, name): cell for name, cell in sums.items()}
    )


def _difference(before: Sums, after: Sums) -> tuple[dict[str, int], dict[str, dict[int, int]]]:
    """Return what has to be added to the numbers and to the multisets, by measure: what is the same in both is left out."""
    deltas: dict[str, int] = {}
    moved: dict[str, dict[int, int]] = {}
    left = len(before)
    for name, new in after.items():
        if name in before:
            left -= 1
            old = before[name]
            if old == new:
                continue
        else:
            old = 0
        if type(new) is int and type(old) is int:
            if new != old:
                deltas[name] = new - old
        else:
            _differ(name, old, new, deltas, moved)
    if left:
        for name in before.keys() - after.keys():
            _differ(name, before[name], 0, deltas, moved)
    return deltas, moved


def _differ(name: str, old: Any, new: Any, deltas: dict[str, int], moved: dict[str, dict[int, int]]) -> None:
    """Note what has to be added to a measure, either side of which may be a number or a multiset."""
    if change := _moves(old if type(old) is dict else {}, new if type(new) is dict else {}):
        moved[name] = change
    old, new = (0 if type(cell) is dict else cell for cell in (old, new))
    if new != old:
        deltas[name] = new - old


def _moves(before: dict[str, Any], after: dict[str, Any]) -> dict[int, int]:
    """Return by how much the count of each value changes, where it does."""
    found = before.get
    change = {int(value): _whole(count) - found(value, 0) for value, count in after.items() if found(value, 0) != count}
    for value, count in before.items():
        if value not in after and count:
            change[int(value)] = -count
    return change


def _whole(number: object) -> int:
    if type(number) is not int:
        raise ValueError(f"a measure is a whole number, found {number!r}")
    return number
