"""Which test is run? Apart from what judges it, so that settings load no arithmetic."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Plan:
    """A test that was declared: the two values of ``variant``, the day of its first leads, and B's designed share."""

    name: str
    variants: tuple[str, str]
    since: date
    ratio: float = 0.5
