"""Which test is run? Apart from what judges it, so that settings load no arithmetic."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Guard:
    """A KPI that the better variant must not spoil: beyond a limit (in the KPI's unit), or surely worse than with the other."""

    kpi: str
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A test that was declared: the two values of ``variant``, the day of its first cases, and B's designed share.

    ``unit`` is what is given a variant, a lead or a deal; ``maturity`` (ms) the age at which each is judged, None for the
    business's own.
    """

    name: str
    variants: tuple[str, str]
    since: date
    ratio: float = 0.5
    unit: str = "lead"
    maturity: int | None = None
    guards: tuple[Guard, ...] = ()
