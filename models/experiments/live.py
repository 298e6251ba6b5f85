"""What does a test that was declared say of the leads that have come in since, day by day?

Every lead is judged at one age, the maturity: converted by then, or not. The panes keep, by variant, how many leads came of age
on each day and how many of them were converted (a late event, a merged or deleted lead changes the past there), so that a test
needs no state of its own: what it says is made of the panes at each question, and is taken back with them. It is judged at the
end of each day; the first day on which the evidence was enough decides, and later ones do not change that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import exp
from typing import Any

from models.calendar import Grain
from models.experiments.coin import Coin, Counted
from models.experiments.lift import Lift, lift, needed
from models.experiments.plan import Plan
from models.experiments.ratio import differs
from models.kpis.interval import wilson
from models.panes.view import PanesExpired, View
from models.panes.windows import Span

_NONE = Counted(0, 0)
#: Evidence is told up to this (25 decides): a ratio of odds that nobody can picture is no news.
_MOST_TOLD = 1e6


@dataclass(slots=True)
class Standing:
    """What a test has come to, and by when it knew: the days of the decision and of a ratio that is off."""

    plan: Plan
    given: tuple[int, int] = (0, 0)
    judged: tuple[Counted, Counted] = (_NONE, _NONE)
    log_evidence: float = 0.0
    better: str | None = None
    decided: date | None = None
    off: date | None = None
    why: str | None = None  # why nothing can be said, for people

    @property
    def lift(self) -> Lift | None:
        """By how much the second variant is better."""
        return lift(*self.judged)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it: shares from 0 to 1, days as dates."""
        found, open_ = self.lift, self.better is None and self.off is None
        return {
            "name": self.plan.name,
            "since": self.plan.since.isoformat(),
            "ratio": self.plan.ratio,
            "decision": self.better or "none",
            "decided": self.decided and self.decided.isoformat(),
            "srm": self.off is not None,
            "srm_since": self.off and self.off.isoformat(),
            "evidence": round(min(exp(min(self.log_evidence, 50.0)), _MOST_TOLD), 3),
            "variants": [
                {"variant": name, "entered": given, "judged": one.cases, "won": one.won} | _share(one)
                for name, given, one in zip(self.plan.variants, self.given, self.judged, strict=True)
            ],
            "lift": None if found is None else {name: round(value, 6) for name, value in found._asdict().items()},
            "needed": needed(*self.judged, self.log_evidence, self.plan.ratio) if open_ else None,
            "why": self.why,
        }


def _share(of: Counted) -> dict[str, float | None]:
    if not of.cases:
        return {"share": None, "low": None, "high": None}
    low, high = wilson(of.won, of.cases)
    return {"share": of.won / of.cases, "low": low, "high": high}


def standing(view: View, plan: Plan, at: int) -> Standing:
    """Return what a test says at an instant, of the days that are over by then."""
    calendar, found = view.calendar, Standing(plan)
    today, begin = calendar.day(at), plan.since.toordinal()
    # Of the first day on which leads of the test come of age, those of before are left out, and with them the day.
    age = calendar.day_start(begin) + view.business.maturity
    of_age = calendar.day(age) + (calendar.day_start(calendar.day(age)) < age)
    if today <= begin:
        found.why = "its first day is not over yet"
        return found
    try:
        view.spans_total("leads", "total", (Span(Grain.DAY, begin, today),))
    except PanesExpired:
        found.why = "days of its beginning are no longer kept"
        return found
    counted_from = max((view.since.get(name, 0) for name in ("leads", "leads_matured", "leads_matured_converted")), default=0)
    if counted_from > calendar.day_start(begin):
        found.why = "it began before leads were counted as they are now"
        return found
    days = [_by_day(view, name, begin, today) for name in plan.variants]
    coin, evidence = Coin(plan.ratio), None
    for day in sorted({*days[0], *days[1]}):
        numbers = [one.get(day, {}) for one in days]
        a, b = (one.get("leads", 0) for one in numbers)
        found.given = found.given[0] + a, found.given[1] + b
        if found.off is None and differs(*found.given, plan.ratio):
            found.off = date.fromordinal(day)
        if day >= of_age:
            new = [Counted(one.get("leads_matured", 0), one.get("leads_matured_converted", 0)) for one in numbers]
            coin.add_day(new[0], new[1])
            before = found.judged
            found.judged = _and(before[0], new[0]), _and(before[1], new[1])
            evidence = coin.evidence()
            if found.better is None and found.off is None and evidence.decides:
                found.better, found.decided = plan.variants[evidence.for_b > evidence.for_a], date.fromordinal(day)
    found.log_evidence = 0.0 if evidence is None else evidence.total
    if not any(one.cases for one in found.judged):
        found.why = f"no lead of it is of age yet: they are judged after {view.business.maturity / 86_400_000:g} days"
    return found


def _and(one: Counted, other: Counted) -> Counted:
    return Counted(one.cases + other.cases, one.won + other.won)


def _by_day(view: View, variant: str, first: int, stop: int) -> Mapping[int, Mapping[str, int]]:
    panes = view.each("leads", f"variant={variant}", (Span(Grain.DAY, first, stop),))
    return {view.calendar.day(start): cells.numbers for start, cells in panes}
