"""Under which names is a number booked: the total, and one segment per dimension's value?

A dimension may take a bounded number of values in a partition; further ones are booked as ``other``. The admitted values are
part of the state: what was booked under a name is taken back under the same one.

A name that no pane and no entity holds any more gives its place back. Entities are stepped through anew, so a value of theirs
must keep the name it had: while a full dimension is looked over, which takes a sweep over all entities, their values are
*marked*, and those that were booked as ``other`` stay so for as long as an entity has them.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import product
from typing import Any

from models.panes.store import TOTAL

OTHER = "other"
#: Dimensions that may take fewer values than the others: strangers name pages, and each is kept by the hour.
_FEWER = {"page": 200}
#: All names together, and all that stay ``other``, hold no more bytes than this: each of both is one row, which is at most twice
#: as large (where every sign is escaped) and must fit into a record.
MOST_BYTES = 3 * 1024 * 1024


class Segments:
    """The segment names of one partition."""

    __slots__ = ("_admitted", "_limit", "_marked", "_others", "_pairs", "_size", "changed", "others_changed", "overflow")

    def __init__(self, limit: int, pairs: Collection[tuple[str, str]] = ()) -> None:
        """``pairs``: dimensions that are counted together, too, as :func:`pair_name` has it."""
        self._limit = limit
        self._pairs = tuple(pairs)
        self._admitted: dict[str, dict[str, str]] = {}
        self._size = 0  # bytes of the admitted values
        self._others: dict[str, set[str]] = {}  # values that entities have and that are not admitted though there is room
        self._marked: dict[str, set[str]] | None = None
        self.changed = self.others_changed = False
        self.overflow: dict[str, int] = {}  # dimension -> bookings that went to `other`

    def name(self, dimension: str, value: str) -> str:
        """Return ``dimension=value``, or ``dimension=other`` where the dimension is full."""
        names = self._admitted.get(dimension)
        if names is None:
            names = self._admitted[dimension] = {}
        name = names.get(value)
        if name is None:
            size = _size((value,))
            if len(names) >= self._most(dimension) or self._size + size > MOST_BYTES or value in self._others.get(dimension, ()):
                self.overflow[dimension] = self.overflow.get(dimension, 0) + 1
                return f"{dimension}={OTHER}"
            name = names[value] = f"{dimension}={value}"
            self._size += size
            self.changed = True
        return name

    def extend(self, names: tuple[str, ...], dimensions: tuple[str, ...], attributes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names and the segment of each dimension that has a value among the attributes."""
        found = list(names)
        admitted = self._admitted
        for dimension in dimensions:
            value = attributes.get(dimension)
            if value:
                # The look-up of `name`, in place: this is the hottest line of the folds.
                by_value = admitted.get(dimension)
                found.append((by_value.get(value) if by_value else None) or self.name(dimension, value))
        return tuple(found)

    def paired(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names, and those of the declared pairs of dimensions of which both are among them."""
        if not self._pairs:
            return names
        values = dict([name.split("=", 1) for name in names if "=" in name])
        both = [(one, two) for one, two in self._pairs if one in values and two in values]
        return (*names, *[self.name(pair_name(one, two), f"{values[one]} × {values[two]}") for one, two in both])

    def of(self, pairs: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
        """Return the total and the segment of each pair that has a value."""
        return (TOTAL, *[self.name(dimension, value) for dimension, value in pairs if value])

    def _most(self, dimension: str) -> int:
        return min(self._limit, _FEWER.get(dimension, self._limit))

    def full(self, limit: int) -> bool:
        """Whether a dimension holds as many values as this, or did, so that under such a limit further ones went to ``other``."""
        return bool(self._others) or self._crowded or any(len(names) >= limit for names in self._admitted.values())

    @property
    def _crowded(self) -> bool:
        """Whether long names alone may have sent values to ``other``."""
        return self._size > MOST_BYTES // 2

    def begin_marks(self) -> None:
        """Begin to look which names are in use, where a dimension has met its limit: all entities are about to be gone over."""
        full = self._crowded or any(len(names) >= self._most(dimension) for dimension, names in self._admitted.items())
        self._marked = {} if full or self._others else None

    @property
    def marking(self) -> bool:
        """Whether entities that are gone over or changed are to be marked."""
        return self._marked is not None

    def mark(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Note the dimensions and values of an entity: it may book under them again, or take back."""
        marked = self._marked
        if marked is not None:
            mine: dict[str, set[str]] = {}
            for dimension, value in pairs:
                if value:
                    mine.setdefault(dimension, set()).add(value)
            for one, two in self._pairs:
                both = product((*mine.get(one, ()), OTHER), (*mine.get(two, ()), OTHER))
                marked.setdefault(pair_name(one, two), set()).update(f"{a} × {b}" for a, b in both)
            for dimension, values in mine.items():
                marked.setdefault(dimension, set()).update(values)

    def release(self, held: Collection[str]) -> None:
        """Let go of the admitted values that are neither marked nor, as names, ``held``: all entities have been gone over."""
        marked, self._marked = self._marked or {}, None
        if sum(_size(marked.get(dimension, set()) - names.keys()) for dimension, names in self._admitted.items()) > MOST_BYTES:
            return  # more than can be remembered stay `other`: they do for as long as no place is given back
        crowded = self._crowded
        for dimension, names in self._admitted.items():
            live = marked.get(dimension, set())
            if crowded or len(names) >= self._most(dimension):
                for value in [value for value, name in names.items() if value not in live and name not in held]:
                    del names[value]
                    self._size -= _size((value,))
                    self.changed = True
            others = live - names.keys()
            if others != self._others.get(dimension, set()):
                self._others[dimension] = others
                self.others_changed = True
        self._others = {dimension: values for dimension, values in self._others.items() if values}

    def dump_others(self) -> dict[str, list[str]]:
        """Return, by dimension, the values that stay ``other`` though there is room."""
        self.others_changed = False
        return {dimension: sorted(values) for dimension, values in self._others.items()}

    def forget_others(self) -> None:
        """Admit the values that stay ``other``, where there is room: all that was booked there is booked anew."""
        self.others_changed = bool(self._others)
        self._others = {}

    def load_others(self, others: dict[str, list[str]]) -> None:
        """Take them back."""
        self._others = {dimension: set(values) for dimension, values in others.items()}

    def dump(self) -> dict[str, list[str]]:
        """Return the admitted values by dimension."""
        self.changed = False
        return {dimension: list(names) for dimension, names in self._admitted.items()}

    def load(self, admitted: dict[str, list[str]]) -> None:
        """Take the admitted values back."""
        self._admitted = {d: {v: f"{d}={v}" for v in values} for d, values in admitted.items()}
        self._size = sum(map(_size, admitted.values()))


def pair_name(one: str, two: str) -> str:
    """Return the dimension that counts two together; its values are ``value × value``."""
    return f"{one}.{two}"


def metric_name(name: str, unit: str = "") -> str:
    """Return what a metric of one's own is called: in each unit it is one of its own, so that no kWh is added to MWh."""
    return f"{name} ({unit})" if unit else name


def _size(values: Iterable[str]) -> int:
    return sum(len(value.encode()) for value in values)
