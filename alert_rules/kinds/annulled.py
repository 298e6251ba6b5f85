"""Has a guard annulled a challenge?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.kinds.standing import StandingCondition, guard_of, recent


@dataclass(frozen=True, slots=True)
class Annulled(StandingCondition):
    """1 where it lately has; never of one that is tried out."""

    KEY = "annulled"
    ENTITY = "challenge"
    TITLE = "Challenge annulled"
    EXAMPLE = "{}"
    DEFAULT = 0.5
    WHETHER = True

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return 1, or nothing."""
        annulled = standing.get("annulled") or {}
        return 1.0 if recent(annulled.get("on"), today) and not standing.get("dry_run") else None

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return the guard."""
        return guard_of(standing.get("annulled") or {})
