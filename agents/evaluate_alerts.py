"""Which alerts stand, and what has just happened to them? Connects the rules to the stream of readings."""

from collections.abc import Sequence
from typing import Any

from alert_rules.evaluator import EvaluateAlerts
from alert_rules.rule import Rule
from stream.options import FoldSpec

NAME = "evaluate-alerts"
#: A lane of its own: an alert must not wait for the entity folds' checkpoint.
LANE = "alerts"


class Evaluator:
    """The rules and, where this worker owns the readings' one partition, the alerts that stand."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._fold = EvaluateAlerts(self.rules)

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return FoldSpec(
            name=NAME,
            topics=("readings",),
            make=self._make,
            lane=LANE,
            doc="Judge the readings by the alert rules and keep the state of every alert.",
        )

    def _make(self, partition: int) -> EvaluateAlerts:
        self._fold = EvaluateAlerts(self.rules)
        return self._fold

    @property
    def wanted(self) -> set[tuple[str, str, str | None]]:
        """The (KPI, window, dimension or None for the total) whose readings must be published for the rules."""
        return self._fold.wanted

    def current(self) -> list[dict[str, Any]]:
        """Return the alerts that stand, gravest and oldest first: ``GET /api/alerts``."""
        return self._fold.current()

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many alerts stand by (rule, severity, state), zeros included: ``vigie_alerts``."""
        return self._fold.counts()
