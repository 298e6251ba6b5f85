"""What does a test that was declared say of the leads or deals that have come in since, day by day?

Every case is judged at one age, the maturity: reached its aim by then (converted, won), or not. The panes keep, by variant, how
many came in on each day with that variant alone, after how many days each of them reached it, and how many were seen with
another variant later (these count for neither). A late event, a merged or deleted case changes the past there, so that a test
needs no state of its own: what it says is made of the panes at each question, and is taken back with them. It is judged at the
end of each day, of the days whose cases are all of age, in their order; the first day on which the evidence was enough decides,
and later ones do not change that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import exp
from typing import Any, NamedTuple

from models.calendar import DAY_MS, Grain
from models.experiments.coin import Coin, CountedCases
from models.experiments.lift import Lift, lift, needed
from models.experiments.plan import Plan
from models.experiments.ratio import differs
from models.kpis.interval import wilson
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import Span

_NONE = CountedCases(0, 0)
#: Evidence is told up to this (25 decides): a ratio of odds that nobody can picture is no news.
_MOST_TOLD = 1e6
#: So many other variants are named.
_MOST_NAMED = 20
#: A variant that first comes after so many of the other was not given from the beginning on.
_LATE = 20


class MeasuredTest(NamedTuple):
    """Where the panes have what a test is made of."""

    fold: str
    given: str
    varied: str
    after: str
    reached: str  # in people's words


MEASURED = {
    "lead": MeasuredTest("leads", "leads_given", "leads_varied", "leads_converted_after", "converted"),
    "deal": MeasuredTest("deals", "deals_given", "deals_varied", "deals_won_after", "won"),
}


@dataclass(slots=True)
class TrialStanding:
    """What a test has come to, and by when it knew: the days of the decision and of a ratio that is off.

    ``left_out`` had both variants, ``others`` are cases of variants that are none of the test's, by variant.
    """

    plan: Plan
    maturity: int  # ms
    given: tuple[int, int] = (0, 0)
    judged: tuple[CountedCases, CountedCases] = (_NONE, _NONE)
    left_out: int = 0
    log_evidence: float = 0.0
    better: str | None = None
    decided: date | None = None
    off: date | None = None
    why: str | None = None  # why nothing can be said, for people
    others: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def lift(self) -> Lift | None:
        """By how much the second variant is better."""
        return lift(*self.judged)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it: shares from 0 to 1, days as dates."""
        open_ = self.better is None and self.off is None
        return {
            "name": self.plan.name,
            "unit": self.plan.unit,
            "since": self.plan.since.isoformat(),
            "ratio": self.plan.ratio,
            "maturity_days": self.maturity / DAY_MS,
            "decision": self.better or "none",
            "decided": self.decided and self.decided.isoformat(),
            "srm": self.off is not None,
            "srm_since": self.off and self.off.isoformat(),
            "evidence": round(min(exp(min(self.log_evidence, 50.0)), _MOST_TOLD), 3),
            "variants": variant_numbers(self.plan, self.given, self.judged),
            "left_out": self.left_out,
            "others": [{"variant": name, "entered": cases} for name, cases in self.others.items()],
            "lift": lift_json(self.lift),
            "needed": needed(*self.judged, self.log_evidence, self.plan.ratio) if open_ else None,
            "why": self.why,
            "warnings": self.warnings,
        }


def variant_numbers(plan: Plan, given: tuple[int, int], judged: tuple[CountedCases, CountedCases]) -> list[dict[str, Any]]:
    """Return both variants' numbers."""
    return [
        {"variant": name, "entered": cases, "judged": one.cases, "won": one.won} | _share(one)
        for name, cases, one in zip(plan.variants, given, judged, strict=True)
    ]


def lift_json(found: Lift | None) -> dict[str, float] | None:
    """Return a difference and its bounds, rounded."""
    return None if found is None else {name: round(value, 6) for name, value in found._asdict().items()}


def _share(of: CountedCases) -> dict[str, float | None]:
    if not of.cases:
        return {"share": None, "low": None, "high": None}
    low, high = wilson(of.won, of.cases)
    return {"share": of.won / of.cases, "low": low, "high": high}


class Cohorts:
    """The cases of a test by the day on which they came in, in total or of one segment.

    ``place`` gives the name of a variant's segment, as ``variant=A``.
    """

    def __init__(self, view: View, plan: Plan, maturity: int, at: int, segments: tuple[str, str]) -> None:
        calendar, self._where = view.calendar, MEASURED[plan.unit]
        self.today, self._begin = calendar.day(at), plan.since.toordinal()
        self._view, self._maturity = view, maturity
        self.days = tuple(self._by_day(name) for name in segments)

    def _by_day(self, segment: str) -> Mapping[int, tuple[int, int, int]]:
        """Return by day: how many were given the variant, how many of them reached the aim in time, how many had another, too."""
        where, calendar = self._where, self._view.calendar
        limit = self._maturity // DAY_MS
        found = {}
        for start, cells in self._view.each(where.fold, segment, (Span(Grain.DAY, self._begin, self.today),)):
            numbers = cells.numbers
            won = sum(count for days, count in cells.values.get(where.after, {}).items() if days < limit)
            found[calendar.day(start)] = numbers.get(where.given, 0), won, numbers.get(where.varied, 0)
        return found

    def judged_on(self, day: int) -> int | None:
        """Return the day at whose end all cases of a day are of age; None where that is still to come."""
        calendar = self._view.calendar
        age = calendar.day_start(day + 1) + self._maturity
        over = calendar.day(age - 1)
        return over if over < self.today else None

    def counted(self, day: int) -> tuple[CountedCases, CountedCases]:
        """Return the cases of a day, and those that reached their aim in time."""
        a, b = (CountedCases(*one.get(day, (0, 0, 0))[:2]) for one in self.days)
        return a, b

    def sums(self) -> tuple[tuple[int, int], tuple[CountedCases, CountedCases]]:
        """Return how many were given each variant, and those of age."""
        given, judged = [0, 0], [_NONE, _NONE]
        for day in sorted({*self.days[0], *self.days[1]}):
            for place, one in enumerate(self.counted(day)):
                given[place] += one.cases
                if self.judged_on(day) is not None:
                    judged[place] = _and(judged[place], one)
        return (given[0], given[1]), (judged[0], judged[1])


def maturity_of(view: View, plan: Plan) -> int:
    """Return the age (ms, whole days) at which a test's cases are judged."""
    return max(1, (view.business.maturity if plan.maturity is None else plan.maturity) // DAY_MS) * DAY_MS


def unreadable(view: View, plan: Plan, at: int) -> str | None:
    """Return why the panes do not tell what a test is made of; None where they do."""
    calendar, where, begin = view.calendar, MEASURED[plan.unit], plan.since.toordinal()
    if calendar.day(at) <= begin:
        return "its first day is not over yet"
    names = where.given, where.varied, where.after
    if any(name in view.behind for name in names):
        return f"{where.fold} are being counted anew from the facts that are kept"
    try:
        view.spans_total(where.fold, TOTAL, (Span(Grain.DAY, begin, calendar.day(at)),))
    except PanesExpired:
        return "days of its beginning are no longer kept"
    if max(view.since.get(name, 0) for name in names) > calendar.day_start(begin):
        return f"it began before {where.fold} were counted as they are now"
    return None


def standing(view: View, plan: Plan, at: int) -> TrialStanding:
    """Return what a test says at an instant, of the days that are over by then."""
    maturity = maturity_of(view, plan)
    found = TrialStanding(plan, maturity)
    found.why = unreadable(view, plan, at)
    if found.why is not None:
        return found
    cohorts = Cohorts(view, plan, maturity, at, (f"variant={plan.variants[0]}", f"variant={plan.variants[1]}"))
    came = sorted({*cohorts.days[0], *cohorts.days[1]})
    found.left_out = sum(varied for one in cohorts.days for _, _, varied in one.values())
    # A ratio that was seen to be off on a day is known when what is judged at that day's end is.
    for day in came:
        a, b = cohorts.counted(day)
        found.given = found.given[0] + a.cases, found.given[1] + b.cases
        if found.off is None and differs(*found.given, plan.ratio):
            found.off = date.fromordinal(day)
    coin = Coin(plan.ratio)
    for day in came:
        over = cohorts.judged_on(day)
        if over is None:
            break
        a, b = cohorts.counted(day)
        coin.add_day(a, b)
        found.judged = _and(found.judged[0], a), _and(found.judged[1], b)
        known_off = found.off is not None and found.off.toordinal() <= over
        evidence = coin.evidence()
        if found.better is None and not known_off and evidence.decides:
            found.better, found.decided = plan.variants[evidence.for_b > evidence.for_a], date.fromordinal(over)
    found.log_evidence = coin.evidence().total if coin.cases else 0.0
    found.others = _others(view, plan, cohorts.today)
    found.warnings = list(_warnings(found, cohorts, came))
    if not coin.cases:
        found.why = f"no {plan.unit} of it is of age yet: they are judged after {maturity // DAY_MS} days"
        if not any(found.given):
            found.why = f"no {plan.unit} has come in with variant {plan.variants[0]} or {plan.variants[1]}"
    elif not all(one.cases for one in found.judged):
        missing = plan.variants[0 if not found.judged[0].cases else 1]
        found.why = f"no {plan.unit} with variant {missing} is of age yet"
    return found


def _others(view: View, plan: Plan, today: int) -> dict[str, int]:
    """Return how many came in with variants that are none of the test's, the most frequent first."""
    where, found = MEASURED[plan.unit], {}
    for name in view.segments("variant", frozenset((where.fold,))):
        if name in plan.variants:
            continue
        span = Span(Grain.DAY, plan.since.toordinal(), today)
        cases = view.spans_total(where.fold, f"variant={name}", (span,)).numbers.get(where.given, 0)
        if cases:
            found[name] = cases
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:_MOST_NAMED])


def _warnings(found: TrialStanding, cohorts: Cohorts, came: list[int]) -> list[str]:
    plan, said = found.plan, []
    first = [min((day for day, (given, _, _) in one.items() if given), default=None) for one in cohorts.days]
    if first[0] is not None and first[1] is not None and first[0] != first[1]:
        late = first[1] > first[0]
        begun = max(first[0], first[1])
        before = sum(cohorts.counted(day)[not late].cases for day in came if day < begun)
        if before >= _LATE:
            name, day = plan.variants[late], date.fromordinal(begun).isoformat()
            said.append(
                f"variant {name} was first given on {day}, after {before} {plan.unit}s of the other: chance alone did not assign "
                f"them (accepted: from: {day})"
            )
    if found.others:
        names = ", ".join(f"{name} ({cases})" for name, cases in found.others.items())
        said.append(f"other variants were given meanwhile and count for nothing here: {names}")
    return said


def _and(one: CountedCases, other: CountedCases) -> CountedCases:
    return CountedCases(one.cases + other.cases, one.won + other.won)
