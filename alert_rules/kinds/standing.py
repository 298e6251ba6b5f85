"""What does a rule on single tests, objectives, challenges or customers watch of how one of them stands?

A standing is what the topic ``standings`` says of one (``models/goals/standings.py``, ``models/customers/quiet.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from alert_rules.kinds.entity_condition import EntityCondition

#: A verdict is news for so many days.
NEWS_DAYS = 14


@dataclass(frozen=True, slots=True)
class StandingCondition(EntityCondition):
    """A kind on standings: they are looked at when they change, and once a minute."""

    WHETHER: ClassVar[bool] = False
    """something is so or not so: no threshold of anybody's is held against it"""

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return what is measured of a standing on a day (its ordinal, UTC); None: nothing to be said."""
        raise NotImplementedError

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return what people are told of it, beside its name."""
        return {}


def recent(day: str | None, today: int) -> bool:
    """Whether a day (ISO) is at most so long ago that it is news."""
    return bool(day) and today - date.fromisoformat(str(day)).toordinal() <= NEWS_DAYS


def guard_of(broken: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a guard that is broken is called, in each language."""
    labels = dict(broken.get("label") or {})
    return {"guard": labels.get("en") or broken.get("kpi"), "labels": labels or None}
