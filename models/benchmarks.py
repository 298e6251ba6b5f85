"""What do others reach, or what did we, that a reading is shown beside?"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Benchmark(NamedTuple):
    """A value of a KPI, in its own unit, under a name of somebody's choice: own past, industry, a competitor."""

    kpi: str
    name: str
    value: float
    unit: str
    segment: str = "total"  # or dimension=value


class Benchmarks:
    """All of them."""

    def __init__(self, benchmarks: Iterable[Benchmark] = ()) -> None:
        """Take them; of two of one KPI, name and segment the last one stands."""
        self._by_place = {(found.kpi, found.segment, found.name): found for found in benchmarks}

    def __iter__(self) -> Iterator[Benchmark]:
        return iter(self._by_place.values())

    def of(self, kpi: str, segment: str = "total") -> dict[str, float]:
        """Return the values by name: those of the segment, and of the total where the segment has none of that name."""
        if not self._by_place:
            return {}
        return {
            found.name: found.value
            for place in ("total", segment)
            for found in self._by_place.values()
            if found.kpi == kpi and found.segment == place
        }
