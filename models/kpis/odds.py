"""How likely is it, given few cases of one's own and many of others like it?

**Empirical Bayes.** The rates of peers (owners, stages) are taken as draws from one Beta distribution, whose mean is the rate of
all cases together and whose spread is what the peers differ by beyond chance (moments)::

    p = Σ x / Σ n      τ² = (Σ n (x/n − p)² − (k − 1) p (1 − p)) / (Σ n − Σ n² / Σ n)      m = p (1 − p) / τ² − 1

A peer's rate is then (x + m p) / (n + m): ``m`` cases are lent by all, at least one, so that one of one is no certainty. Where
peers differ by no more than chance would have it, as many are lent as there are at all.

J. C. Kleinman, "Proportions with extraneous variance: single and independent samples", Journal of the American Statistical
Association 68 (341), 1973, pp. 46–54; B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations", same
journal 70 (350), 1975, pp. 311–319.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from models.kpis.terms import CountedRate, UndefinedBecause
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window

#: The stages' odds are learnt from the deals closed in so much time; ``OVERALL`` is no stage's name.
LEARNT = Window.parse("365d")
OVERALL = ""
_DEALS = frozenset(("deals",))


class Prior(NamedTuple):
    """What peers have in common: the rate of all, and how many cases that is worth to each."""

    rate: Fraction
    cases: Fraction


def prior(counts: Iterable[tuple[int, int]]) -> Prior:
    """Return what (successes, trials) of peers have in common; raise :class:`UndefinedBecause` where there are no trials."""
    cells = [(x, n) for x, n in counts if n > 0]
    total = sum(n for _, n in cells)
    if not total:
        raise UndefinedBecause("none of them has a case")
    rate = Fraction(sum(x for x, _ in cells), total)
    chance = rate * (1 - rate)
    spread = sum((n * (Fraction(x, n) - rate) ** 2 for x, n in cells), Fraction(0)) - (len(cells) - 1) * chance
    room = total - Fraction(sum(n * n for _, n in cells), total)
    if spread <= 0 or not room:
        return Prior(rate, Fraction(total))
    return Prior(rate, min(Fraction(total), max(Fraction(1), chance * room / spread - 1)))


def rates(view: View, fold: str, successes: str, failures: str, segment: str, start: int, at: int) -> CountedRate:
    """Return a segment's successes and trials with what its peers lend it; of the total, what was counted."""

    def counted(name: str) -> tuple[int, int]:
        numbers = view.total(fold, name, start, at).numbers
        won = numbers.get(successes, 0)
        return won, won + numbers.get(failures, 0)

    won, trials = counted(segment)
    dimension, sign, _ = segment.partition("=")
    if not sign:
        if not trials:
            raise UndefinedBecause("there are no cases")
        return CountedRate(Fraction(won), Fraction(trials))

    def peers() -> Prior:
        return prior(counted(f"{dimension}={value}") for value in view.segments(dimension, frozenset((fold,))))

    common = view.remember(("rates", fold, successes, failures, dimension, start, at), peers)
    return CountedRate(won + common.cases * common.rate, trials + common.cases)


def stage_odds(view: View, at: int) -> dict[str, Fraction]:
    """Return, by stage, the share won of the deals that have been in it; under ``OVERALL`` that of all deals.

    Raise :class:`UndefinedBecause` where no deal was closed in the time that is looked at.
    """

    def learn() -> dict[str, Fraction]:
        start, _ = LEARNT.bounds(at, view.calendar)
        whole = view.total("deals", TOTAL, start, at).numbers
        won = whole.get("deals_won", 0)
        closed = won + whole.get("deals_lost", 0)
        if not closed:
            raise UndefinedBecause("no deal was closed in the 365 days before")
        counts: dict[str, tuple[int, int]] = {}
        for stage in view.segments("stage", _DEALS):
            numbers = view.total("deals", f"stage={stage}", start, at).numbers
            gained = numbers.get("stage_won", 0)
            counts[stage] = gained, gained + numbers.get("stage_lost", 0)
        found = {OVERALL: Fraction(won, closed)}
        if any(n for _, n in counts.values()):
            common = prior(counts.values())
            for stage, (x, n) in counts.items():
                if n:
                    found[stage] = (x + common.cases * common.rate) / (n + common.cases)
        return found

    return view.remember(("stage odds", at), learn)
