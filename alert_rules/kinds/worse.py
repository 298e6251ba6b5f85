"""Is a variant worse by a guard of its test?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.kinds.standing import StandingCondition, guard_of


@dataclass(frozen=True, slots=True)
class Worse(StandingCondition):
    """How many variants are, by any guard."""

    KEY = "worse"
    ENTITY = "experiment"
    TITLE = "A variant spoils its guard"
    EXAMPLE = "{}"
    DEFAULT = 0.5
    WHETHER = True

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return the number."""
        return float(sum(len(guard["worse"]) for guard in standing.get("guards", ()) if guard.get("status") == "warning"))

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return the first guard that warns, and the variants."""
        first: Mapping[str, Any] = next((one for one in standing.get("guards", ()) if one.get("worse")), {})
        return {"variant": ", ".join(first.get("worse", ())), **guard_of(first)}
