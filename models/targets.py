"""What was promised for this KPI, period and segment, and what do others reach?"""

from collections.abc import Iterable
from typing import NamedTuple

from models.benchmarks import Benchmarks


class Target(NamedTuple):
    """A quota: the KPI's value (in its own unit) at the end of each such calendar period that begins within some days."""

    kpi: str
    period: str  # day, week, month, quarter or year
    segment: str  # total, or dimension=value
    value: float
    since: int = 0  # the first day's ordinal
    until: int = 1 << 31  # the last one's


class Targets:
    """All quotas, and the benchmarks."""

    def __init__(self, targets: Iterable[Target] = (), benchmarks: Benchmarks | None = None) -> None:
        self.benchmarks = benchmarks or Benchmarks()
        self._by_place: dict[tuple[str, str, str], list[Target]] = {}
        for target in sorted(targets, key=lambda target: target.since):
            self._by_place.setdefault((target.kpi, target.period, target.segment), []).append(target)

    def beside(self, more: Iterable[Target]) -> "Targets":
        """Return these, and more of them; of one place and day the later ones hold."""
        mine = [target for found in self._by_place.values() for target in found]
        return Targets([*mine, *more], self.benchmarks)

    def __len__(self) -> int:
        """How many KPIs, periods and segments have one."""
        return len(self._by_place)

    def places(self) -> list[tuple[str, str, str]]:
        """Return (KPI, period, segment) of each, sorted."""
        return sorted(self._by_place)

    def find(self, kpi: str, period: str, segment: str, day: int) -> float | None:
        """Return the quota of the period that begins on a day (its ordinal): the latest that was set by then."""
        found = [target.value for target in self._by_place.get((kpi, period, segment), ()) if target.since <= day <= target.until]
        return found[-1] if found else None

    def has(self, kpi: str, period: str, dimension: str | None) -> bool:
        """Whether there is any quota of this KPI and period, by the dimension (None: for the total)."""
        return any(
            place[:2] == (kpi, period) and (place[2].partition("=")[0] if "=" in place[2] else None) == dimension
            for place in self._by_place
        )
