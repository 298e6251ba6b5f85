"""What does an objective lack of what was due by now?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.kinds.standing import StandingCondition


@dataclass(frozen=True, slots=True)
class Behind(StandingCondition):
    """1 less its pace; of a single person nothing, as nobody else is told of these."""

    KEY = "behind"
    ENTITY = "objective"
    UNIT = "ratio"
    TITLE = "Objective behind"
    EXAMPLE = "{by: 0.2}"
    FORM = {"by": {"description": "of what was due by now; 0.2 is a fifth", "type": "number", "exclusiveMinimum": 0}}
    THRESHOLD = "by"
    NUMBERS = {"progress": "ratio", "pace": "ratio"}

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return the share that is missing."""
        pace = (standing.get("main") or {}).get("pace")
        single = (standing.get("of") or {}).get("owner")
        return None if single or pace is None or standing.get("state") not in ("behind", "guarded") else 1.0 - float(pace)

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return whose it is, and how far."""
        main = standing.get("main") or {}
        shown = {"period": standing.get("period"), "team": standing.get("who")}
        return shown | {"progress": main.get("progress"), "pace": main.get("pace")}
