"""What do one fold's panes of one grain and segment add up to, over any stretch of them?

Each source partition's partial sum is kept as it came. The merged panes, and the sums over those stretches that were asked
for, are amended by the difference when a partial sum is replaced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from models.measures import BY_NAME, RENAMED, Kind
from models.panes.store import loads

#: Source partitions are numbered below this.
MOST_PARTITIONS = 1 << 10

_RANGES = 24  # sums over stretches kept per series
_DISTINCT = frozenset(name for name, (_, m) in BY_NAME.items() if m.kind is Kind.DISTINCT)


@dataclass(slots=True)
class Cells:
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
        self.ranges: dict[tuple[int, int], Cells] = {}

    def replace(self, pane: int, partition: int, value: bytes | None) -> bool:
        """Put one partial sum in the place of the one before; return whether anything changed.

        Raise ``ValueError``, and change nothing, where the value is no JSON object of measures.
        """
        slot = pane * MOST_PARTITIONS + partition
        before = self.parts.get(slot)
        if value == before:
            return False
        old_numbers, old_counts = _parse(before)
        numbers, counts = _parse(value)  # may raise: nothing has been touched yet
        if value is None:
            del self.parts[slot]
        else:
            self.parts[slot] = value
        deltas = numbers
        if old_numbers:
            deltas = {n: d for n in numbers.keys() | old_numbers.keys() if (d := numbers.get(n, 0) - old_numbers.get(n, 0))}
        into = self.panes.get(pane)
        if into is None:
            if deltas:
                self.panes[pane] = dict(deltas)
        elif deltas:
            for name, delta in deltas.items():
                total = into.get(name, 0) + delta
                if total:
                    into[name] = total
                else:
                    del into[name]
            if not into:
                del self.panes[pane]
        moved: dict[str, dict[int, int]] = {}
        for name in counts.keys() | old_counts.keys():
            change = dict(counts.get(name, {}))
            _merge(change, {v: -c for v, c in old_counts.get(name, {}).items()})
            if change:
                moved[name] = change
                held = self.multisets.setdefault(pane, {})
                _merge(held.setdefault(name, {}), change)
                if not held[name]:
                    del held[name]
                if not held:
                    del self.multisets[pane]
        for (first, stop), cells in self.ranges.items():
            if first <= pane < stop:
                _include(cells, first, pane, deltas, moved)
        return bool(deltas or moved)

    def within(self, first: int, stop: int) -> Iterator[tuple[int, Mapping[str, int], Mapping[str, Mapping[int, int]]]]:
        """Yield ``(pane, numbers, multisets)`` of each pane ``first <= number < stop`` that holds something."""
        for pane in {*_within(self.panes, first, stop), *_within(self.multisets, first, stop)}:
            yield pane, self.panes.get(pane, {}), self.multisets.get(pane, {})

    def total(self, first: int, stop: int) -> Cells:
        """Return the sums over the panes ``first <= number < stop``; a distinct measure's number is its count in them."""
        found = self.ranges.get((first, stop))
        if found is None:
            found = Cells()
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


def _include(cells: Cells, first: int, pane: int, numbers: Mapping[str, int], multisets: Mapping[str, Mapping[int, int]]) -> None:
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


def _parse(value: bytes | None) -> tuple[dict[str, int], dict[str, dict[int, int]]]:
    numbers: dict[str, int] = {}
    counts: dict[str, dict[int, int]] = {}
    if value is not None:
        try:
            found = loads(value)
        except AttributeError as error:
            raise ValueError("a pane's value is a JSON object") from error
        for name, cell in found.items():
            name = RENAMED.get(name, name)
            if type(cell) is int:
                if cell:
                    numbers[name] = cell
            elif type(cell) is dict:
                counts[name] = {int(key): _whole(count) for key, count in cell.items() if count != 0}
            else:
                _whole(cell)
    return numbers, counts


def _whole(number: object) -> int:
    if type(number) is not int:
        raise ValueError(f"a measure is a whole number, found {number!r}")
    return number
