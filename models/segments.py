"""Under which names is a number booked: the total, and one segment per dimension's value?

A dimension may take a bounded number of values in a partition; further ones are booked as ``other``. The admitted values are
part of the state: what was booked under a name is taken back under the same one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from models.panes import TOTAL

OTHER = "other"


class Segments:
    """The segment names of one partition."""

    __slots__ = ("_admitted", "_limit", "changed", "overflow")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted: dict[str, dict[str, str]] = {}
        self.changed = False
        self.overflow: dict[str, int] = {}  # dimension -> bookings that went to `other`

    def name(self, dimension: str, value: str) -> str:
        """Return ``dimension=value``, or ``dimension=other`` where the dimension is full."""
        names = self._admitted.get(dimension)
        if names is None:
            names = self._admitted[dimension] = {}
        name = names.get(value)
        if name is None:
            if len(names) >= self._limit:
                self.overflow[dimension] = self.overflow.get(dimension, 0) + 1
                return f"{dimension}={OTHER}"
            name = names[value] = f"{dimension}={value}"
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

    def of(self, pairs: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
        """Return the total and the segment of each pair that has a value."""
        return (TOTAL, *[self.name(dimension, value) for dimension, value in pairs if value])

    def full(self, limit: int) -> bool:
        """Whether a dimension holds as many values as this, so that under such a limit further ones went to ``other``."""
        return any(len(names) >= limit for names in self._admitted.values())

    def dump(self) -> dict[str, list[str]]:
        """Return the admitted values by dimension."""
        self.changed = False
        return {dimension: list(names) for dimension, names in self._admitted.items()}

    def load(self, admitted: dict[str, list[str]]) -> None:
        """Take the admitted values back."""
        self._admitted = {d: {v: f"{d}={v}" for v in values} for d, values in admitted.items()}
