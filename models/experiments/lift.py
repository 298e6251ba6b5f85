"""By how much is one variant better, between which bounds, what does it cost to be wrong, and how long will it still take?

The bounds hold however often one looks, from some hundred cases on: a confidence sequence of the difference of two shares, by a
normal law of what it may be mixed over normal approximations (I. Waudby-Smith et al., "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 52 (6), 2024). What decides is the evidence (``coin.py``), which is exact
for few cases, too.
"""

from math import erf, exp, log, pi, sqrt
from typing import NamedTuple

from models.experiments.coin import LEVEL, CountedCases

#: A difference that is usual, as a log odds ratio: there the bounds are tightest.
_USUAL = 0.35
#: More cases than this are not foretold: nobody waits for them.
MOST_NEEDED = 10_000_000


class Lift(NamedTuple):
    """B's share won less A's, its bounds, and the shares one expects to lose by taking A, or B, if it is the worse one."""

    difference: float
    low: float
    high: float
    loss_of_a: float
    loss_of_b: float


def lift(a: CountedCases, b: CountedCases) -> Lift | None:
    """Return by how much B is better than A; None as long as one of them has no case."""
    if not a.cases or not b.cases:
        return None
    # One won and one not more than there are: no share is held for certain.
    shares = [(one.won + 1) / (one.cases + 2) for one in (a, b)]
    variance = sum(share * (1 - share) / one.cases for share, one in zip(shares, (a, b), strict=True))
    error = sqrt(variance)
    difference = b.won / b.cases - a.won / a.cases
    pooled = (a.won + b.won + 1) / (a.cases + b.cases + 2)
    known = (_USUAL * pooled * (1 - pooled)) ** 2 / variance
    half = error * sqrt((1 + known) / known * (2 * log(1 / LEVEL) + log(1 + known)))
    z = difference / error
    return Lift(
        difference, max(-1.0, difference - half), min(1.0, difference + half), error * _beyond(-z), error * _beyond(z)
    )  # fmt: skip


def needed(a: CountedCases, b: CountedCases, log_evidence: float, ratio: float = 0.5) -> int | None:
    """Return how many cases of both are still to come until it is decided, if the difference is as it looks; None: nobody knows.

    ``log_evidence`` is the logarithm of what there is by now.
    """
    if not a.cases or not b.cases:
        return None
    pooled = (a.won + b.won) / (a.cases + b.cases)
    difference = b.won / b.cases - a.won / a.cases
    if not difference or not 0 < pooled < 1:
        return None
    each = ratio * (1 - ratio) * difference**2 / (2 * pooled * (1 - pooled))  # what a case adds, to the second order
    left = (log(1 / LEVEL) - log_evidence) / each
    return None if left > MOST_NEEDED else max(0, round(left))


def _beyond(z: float) -> float:
    """Return the mean of max(0, −x) of a normal x of mean z and deviation 1."""
    return exp(-z * z / 2) / sqrt(2 * pi) - z * (1 - erf(z / sqrt(2))) / 2
