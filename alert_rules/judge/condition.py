"""What does a rule hold against its thresholds: the value itself, its change, how unusual it is, its pace, or its absence?

Whatever it is becomes one number, the *measured*: the ladder's steps, ``for``, clearing levels and life cycle are the same for
all kinds of rules. What the number is made of comes with the reading (``models/kpis/earlier.py``), exact, from the panes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from alert_rules.judge.reading import sample
from models.kpis.earlier import LATELY, PREVIOUS, SEASONAL, TARGET
from models.kpis.reading import Reading


class ConditionKind(StrEnum):
    """The kinds of condition."""

    VALUE = "value"
    CHANGE = "change"  # against the period before, or the same a week ago
    ANOMALY = "anomaly"  # of the last complete period, in spreads from what was to be expected
    TARGET = "target"  # the value over what is due of the quota by now
    ABSENT = "absent"  # nothing was counted


@dataclass(frozen=True, slots=True)
class Condition:
    """What is measured, beside the ladder."""

    kind: ConditionKind = ConditionKind.VALUE
    versus: str = PREVIOUS  # change: previous or same_last_week
    relative: bool = True  # change: as a share of the earlier value, or in the KPI's unit
    side: str = "both"  # anomaly: both, above or below
    after: float = 0.0  # target: not judged before this share of the period has passed

    @property
    def against(self) -> frozenset[str]:
        """What the readings must be compared with."""
        match self.kind:
            case ConditionKind.CHANGE:
                return frozenset((self.versus,))
            case ConditionKind.ANOMALY:
                return frozenset((SEASONAL,))
            case ConditionKind.TARGET:
                return frozenset((TARGET,))
            case ConditionKind.ABSENT:
                return frozenset((LATELY,))
        return frozenset()

    def unit(self, kpi_unit: str) -> str:
        """Return the unit of what is measured, and of the thresholds."""
        match self.kind:
            case ConditionKind.CHANGE:
                return "change" if self.relative else kpi_unit
            case ConditionKind.ANOMALY:
                return "deviations"
            case ConditionKind.TARGET:
                return "ratio"
        return kpi_unit


#: A threshold on the value itself.
VALUE = Condition()


def measured(condition: Condition, reading: Reading, min_samples: float) -> float | None:
    """Return the number that the thresholds are for, None where the reading says nothing."""
    if reading.since is not None:
        return None  # counted in part: what is missing is no fall, and nobody's absence
    kind, value = condition.kind, reading.value
    if kind is ConditionKind.ABSENT:
        lately = against(reading, LATELY)
        if lately and not (lately.get("value") or cases_of(lately)):
            return None  # a company without leads does not miss any
        # Nothing counted is what such a rule waits for: a reading without a value says so too.
        return float(not (value if (cases := sample(reading)) is None else cases))
    if kind is ConditionKind.ANOMALY:
        return _unusual(condition, against(reading, SEASONAL), min_samples)
    if value is None or (min_samples and (sample(reading) or 0) < min_samples):
        return None
    match kind:
        case ConditionKind.CHANGE:
            past = against(reading, condition.versus)
            before = past.get("value")
            if before is None or (min_samples and (cases_of(past) or 0) < min_samples):
                return None
            if not condition.relative:
                return float(value - before)
            return (value - before) / abs(before) if before else None
        case ConditionKind.TARGET:
            target = against(reading, TARGET)
            due = target.get("due")
            return value / due if due and (target.get("elapsed") or 0) >= condition.after else None
    return value


def _unusual(condition: Condition, period: Mapping[str, Any], min_samples: float) -> float | None:
    found = period.get("deviations")
    if found is None or (min_samples and (period.get("sample") or 0) < min_samples):
        return None
    return abs(found) if condition.side == "both" else -found if condition.side == "below" else float(found)


def against(reading: Reading, name: str) -> Mapping[str, Any]:
    """Return one of the things a reading is compared with, empty where it has none."""
    return (reading.against or {}).get(name) or {}


def cases_of(past: Mapping[str, Any]) -> float | None:
    """Return how many cases are behind an earlier value."""
    found: float | None = past.get("sample", past.get("denominator"))
    return found
