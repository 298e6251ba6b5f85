"""Has a test of two variants lately been decided?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.kinds.standing import StandingCondition, recent


@dataclass(frozen=True, slots=True)
class Decided(StandingCondition):
    """The evidence of a test that was decided, and whose ratio is as designed."""

    KEY = "decided"
    ENTITY = "experiment"
    TITLE = "Test decided"
    EXAMPLE = "{}"
    WHETHER = True
    NUMBERS = {"evidence": "count", "judged": "count"}

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return the evidence."""
        undecided = standing.get("decision", "none") == "none" or standing.get("srm")
        return None if undecided or not recent(standing.get("decided"), today) else float(standing["evidence"])

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return the better variant, and of how many cases."""
        judged = sum(one.get("judged", 0) for one in standing.get("variants", ()))
        return {"variant": standing.get("decision"), "evidence": standing.get("evidence"), "judged": judged}
