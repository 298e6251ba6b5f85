"""How much of what is due of a target by now has been reached?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.condition import Condition, against, part
from alert_rules.kinds.form import PERCENT
from alert_rules.kinds.known import Direction, Known, KpiFacts
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts
from models.config.reader import TreeReader
from models.kpis.earlier import TARGET
from models.kpis.reading import Reading
from models.panes.windows import PERIODS, Window


@dataclass(frozen=True, slots=True)
class TargetPace(Condition):
    """``after``: not judged before this share of the period has passed."""

    after: float = 0.0

    KEY = "target"
    EXAMPLE = "{pace_below: 0.9}"
    FORM = {
        "pace_below": {"description": "as a share of what is due by now", "type": "number"},
        "clear_above": {"type": "number"},
        "after": PERCENT | {"description": "of the period: not judged before"},
    }
    SHORT = {"below": "pace_below", "clear_above": "clear_above"}
    SIDE = Direction.BELOW
    MOMENT = {"target": "", "elapsed": "ratio"}

    @classmethod
    def read(cls, reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Self:
        """Read it; there must be such a target, for a calendar period of a KPI that grows over it."""
        found = reader.mapping(tree["target"], "target", tuple(cls.FORM), cls.EXAMPLE) or {}
        kpi, by = tree.get("kpi"), tree.get("by")
        if window is not None and window.length:
            reader.bad("window", f"found {window.name}: a target is for a calendar period (accepted: {', '.join(PERIODS)})")
        if facts.label and not facts.additive:
            reader.bad("target", f'"{kpi}" does not grow over the period (accepted: a KPI that is a sum, such as revenue)')
        if known.targets is not None and window is not None and not known.targets.has(str(kpi), window.name, by):
            place = f" by {by}" if by else ""
            reader.bad("target", f'there is no target of "{kpi}" for a {window.name}{place} (accepted: one under targets)')
        after = reader.percent(found["after"], "target.after") if "after" in found else 0.0
        if after is not None and not 0 <= after < 1:
            reader.bad("target.after", f"found {found['after']} (accepted: from 0% to below 100%)")
        return cls(after=after or 0.0)

    @property
    def against(self) -> frozenset[str]:
        """The target."""
        return frozenset((TARGET,))

    def unit(self, kpi_unit: str) -> str:
        """Return ``ratio``."""
        return "ratio"

    def _of_value(self, value: float, reading: Reading, min_samples: float) -> float | None:
        target = against(reading, TARGET)
        due = target.get("due")
        return value / due if due and (target.get("elapsed") or 0) >= self.after else None

    def at_moment(
        self, given: Mapping[str, float | None], value: float | None, cases: float | None
    ) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the target, and how much of it is due."""
        quota, elapsed = given["target"], given["elapsed"]
        share = 0.5 if elapsed is None else elapsed
        return {TARGET: {"value": quota, "due": None if quota is None else quota * share, "elapsed": share}}

    @classmethod
    def said(cls, facts: AlertFacts, words: Say, measured: str, value: str) -> str:
        """Return ``82 % of the pace (41,000 EUR of the 50,000 EUR due by now)``."""
        due = words.number(part(facts, TARGET, "due"), facts.unit or "", facts.currency)
        return words.phrase("pace", measured=measured, value=value, due=due)

    @classmethod
    def fields(cls, facts: AlertFacts, unit: str) -> Mapping[str, tuple[float | None, str]]:
        """Return the target, what is due of it by now, how much of the period has passed, and the pace."""
        return {
            "target": (part(facts, TARGET, "value"), unit),
            "due": (part(facts, TARGET, "due"), unit),
            "elapsed": (part(facts, TARGET, "elapsed"), "ratio"),
            "pace": (facts.measured, "ratio"),
        }
