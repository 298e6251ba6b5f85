"""What has a customer brought in a year that has gone from one segment to another?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.entity_condition import Where
from alert_rules.kinds.form import TEXTS
from alert_rules.kinds.known import Known
from alert_rules.kinds.standing import StandingCondition
from models.config.reader import TreeReader


@dataclass(frozen=True, slots=True)
class Quiet(StandingCondition):
    """``left`` and ``joined``: the segments it was in and is in now; none: any."""

    left: frozenset[str] = frozenset()
    joined: frozenset[str] = frozenset()

    KEY = "quiet"
    ENTITY = "customer"
    UNIT = "money"
    TITLE = "A customer has gone quiet"
    EXAMPLE = "{above: 10000, left: [champions]}"
    FORM = {
        "above": {"description": "what it brought in a year", "type": "number", "exclusiveMinimum": 0},
        "left": TEXTS | {"description": "segments of customers it was in"},
        "joined": TEXTS | {"description": "segments it is in now"},
    }
    THRESHOLD = "above"
    NUMBERS = {"worth": "money", "quiet_days": "count"}

    @classmethod
    def read(cls, reader: TreeReader, found: Mapping[str, Any], where: Where, known: Known) -> Self:
        """Read the segments."""
        return cls(where, _names(reader, found, "left"), _names(reader, found, "joined"))

    def of_standing(self, standing: Mapping[str, Any], today: int) -> float | None:
        """Return what it brought."""
        left, joined = str(standing.get("left") or ""), str(standing.get("joined") or "")
        fits = (not self.left or left in self.left) and (not self.joined or joined in self.joined)
        return float(standing["worth"]) if fits else None

    @classmethod
    def known(cls, standing: Mapping[str, Any]) -> dict[str, Any]:
        """Return both segments, what it brought, and for how long it has been quiet."""
        return {name: standing.get(name) for name in ("left", "joined", "worth", "quiet_days")}


def _names(reader: TreeReader, found: Mapping[str, Any], name: str) -> frozenset[str]:
    given = found.get(name, [])
    names = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) and one for one in names):
        reader.bad(f"quiet.{name}", f"found {given!r} (accepted: a name, or a list of names)")
        return frozenset()
    return frozenset(names)
