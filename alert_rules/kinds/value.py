"""A threshold on a KPI's value itself: what a rule means that names no other kind."""

from dataclasses import dataclass

from alert_rules.kinds.condition import Condition
from alert_rules.kinds.known import KpiFacts, Statistic
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts
from models.kpis.reading import Reading


@dataclass(frozen=True, slots=True)
class Value(Condition):
    """The value."""

    KEY = "value"

    def _of_value(self, value: float, reading: Reading, min_samples: float) -> float | None:
        return value

    def is_share(self, facts: KpiFacts) -> bool:
        """Whether the KPI is a share."""
        return facts.bounded

    def bounds(self, facts: KpiFacts) -> tuple[float | None, float | None, str]:
        """Return what the KPI can be."""
        if facts.bounded:
            return 0.0, 1.0, "a share from 0 to 1"
        if facts.interval:
            return -100.0, 100.0, "a score from -100 to 100"
        if facts.unit in ("count", "seconds", "days"):
            return 0.0, None, f"a number of {facts.unit if facts.unit != 'count' else 'cases'}, which is never below 0"
        return None, None, ""

    def statistic(self, facts: KpiFacts) -> Statistic | None:
        """Return the test for a share, or for a mean with its interval."""
        return Statistic.BETA if facts.bounded else Statistic.NORMAL if facts.interval else None

    @classmethod
    def headline(cls, facts: AlertFacts, words: Say, value: str) -> str:
        """Return the value."""
        return value


VALUE = Value()
