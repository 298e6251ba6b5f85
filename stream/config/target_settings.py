"""What is a KPI to reach, and beside which value is it shown?"""

from datetime import date
from typing import Literal

from pydantic import Field

from models.benchmarks import Benchmark
from models.targets import Target
from stream.config.sections import Section


class TargetSettings(Section):
    """A quota: what a KPI is to reach by the end of each such period, in its own unit; ``for`` names one owner, team …"""

    kpi: str
    period: Literal["day", "week", "month", "quarter", "year"]
    value: float = Field(gt=0, allow_inf_nan=False)
    segment: dict[str, str] = Field({}, alias="for", max_length=2)
    since: date = Field(date.min, alias="from")

    def target(self) -> Target:
        """Return the pure code's form."""
        place = "total"
        if self.segment:  # of two: a pair of dimensions that is declared (business.pairs), in that order
            place = f"{'.'.join(self.segment)}={' × '.join(self.segment.values())}"
        return Target(self.kpi, self.period, place, self.value, self.since.toordinal())


class BenchmarkSettings(Section):
    """A value that readings of a KPI are shown beside, and that rules may name; ``unit`` is the KPI's own."""

    kpi: str
    name: str = Field(min_length=1, max_length=60)
    value: float = Field(allow_inf_nan=False)
    unit: str
    segment: dict[str, str] = Field({}, alias="for", max_length=1)

    def benchmark(self) -> Benchmark:
        """Return the pure code's form."""
        place = next((f"{name}={value}" for name, value in self.segment.items()), "total")
        return Benchmark(self.kpi, self.name, self.value, self.unit, place)
