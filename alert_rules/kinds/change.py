"""How much has a KPI changed against the period before, or the same a week ago?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.condition import Condition, against, cases_of, part
from alert_rules.kinds.form import LEVEL, STEP_KEYS
from alert_rules.kinds.known import Direction, Known, KpiFacts, Statistic
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts, Severity
from models.config.reader import TreeReader, is_percent
from models.kpis.earlier import PREVIOUS, WEEK_AGO
from models.kpis.reading import Reading
from models.panes.windows import Window

#: Hours are kept 35 days: for longer rolling windows below 30 days there is no period before.
_LONGEST_COMPARED = 17 * 86_400_000


@dataclass(frozen=True, slots=True)
class Change(Condition):
    """``versus`` names the earlier period; ``relative``: the change as a share of the earlier value, else in the KPI's unit."""

    versus: str = PREVIOUS
    relative: bool = True

    KEY = "change"
    EXAMPLE = "{versus: previous, below: -30%}"
    FORM = {"versus": {"enum": [PREVIOUS, WEEK_AGO]}} | dict.fromkeys(STEP_KEYS, LEVEL)
    SHORT = {name: name for name in STEP_KEYS}
    MOMENT = {"previous": "", "previous_sample": "count"}

    @classmethod
    def read(cls, reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Self:
        """Read the earlier period, and from the thresholds in which unit the change is."""
        found = reader.mapping(tree["change"], "change", tuple(cls.FORM), cls.EXAMPLE) or {}
        versus = reader.choice(found, "versus", "change.", (PREVIOUS, WEEK_AGO), PREVIOUS)
        if window is not None and window.grain == "h" and window.length > _LONGEST_COMPARED and versus == PREVIOUS:
            reader.bad("window", f"found {window.name}: hours are not kept for two of it (accepted: up to 17d, or from 30d)")
        steps = [found, *(tree[s.value] for s in Severity if isinstance(tree.get(s.value), dict))]
        limits = [step[side.value] for step in steps for side in Direction if side.value in step]
        return cls(versus, relative=any(is_percent(limit) for limit in limits))

    @property
    def against(self) -> frozenset[str]:
        """The earlier period."""
        return frozenset((self.versus,))

    def unit(self, kpi_unit: str) -> str:
        """Return ``change`` (told in percent), or the KPI's own unit."""
        return "change" if self.relative else kpi_unit

    def _of_value(self, value: float, reading: Reading, min_samples: float) -> float | None:
        past = against(reading, self.versus)
        before = past.get("value")
        if before is None or (min_samples and (cases_of(past) or 0) < min_samples):
            return None
        if not self.relative:
            return float(value - before)
        return (value - before) / abs(before) if before else None

    def bounds(self, facts: KpiFacts) -> tuple[float | None, float | None, str]:
        """Return that nothing which is never below 0 falls by more than all of it."""
        if not self.relative:
            return None, None, ""
        return (None if facts.unit in ("score", "money") else -1.0), None, "a change (nothing falls by more than all of it)"

    def statistic(self, facts: KpiFacts) -> Statistic | None:
        """Return the test for the change of a share, or of a count."""
        if self.relative and facts.bounded:
            return Statistic.BETAS
        return Statistic.POISSON if self.relative and facts.unit == "count" and facts.additive else None

    def at_moment(
        self, given: Mapping[str, float | None], value: float | None, cases: float | None
    ) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the earlier period's reading."""
        before, its_cases = given["previous"], given["previous_sample"]
        hits = None if before is None or its_cases is None else before * its_cases
        return {self.versus: {"value": before, "numerator": hits, "denominator": its_cases}}

    @classmethod
    def said(cls, facts: AlertFacts, words: Say, measured: str, value: str) -> str:
        """Return ``−34 % (9,200 EUR, 14,000 EUR in the period before)``."""
        versus = facts.versus or PREVIOUS
        when = words.phrase("previous" if versus == PREVIOUS else "week_before")
        before = words.number(part(facts, versus, "value"), facts.unit or "", facts.currency)
        return words.phrase("change", measured=measured, value=value, before=before, when=when)

    @classmethod
    def fields(cls, facts: AlertFacts, unit: str) -> Mapping[str, tuple[float | None, str]]:
        """Return the earlier value and the change."""
        return {"previous": (part(facts, facts.versus, "value"), unit), "change": (facts.measured, facts.threshold_unit or unit)}
