"""After how long have half, or nine of ten, left, when some are still there?

Those that are still there have stayed *at least* so long: they are *censored* at their age. To leave them out would make every
quantile too short, most of all the high ones. The product-limit estimate counts each of them among those that could have left,
for as long as it was seen to stay:

    S(t) = product over the times a <= t at which some left of (1 - left(a) / staying(a))

E. L. Kaplan and P. Meier, "Nonparametric estimation from incomplete observations", Journal of the American Statistical
Association 53 (282), 1958, pp. 457-481. Of what had begun before one began to look, only the time since is counted (delayed
entry): it is not known how many like it had left by then.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Shares of a product of many factors are compared with so much tolerance.
_ROUNDING = 1e-12


class Stay(NamedTuple):
    """So many that stayed alike: from which age to which they were seen to be there (ms), and whether they then left."""

    since: int
    until: int
    left: bool
    number: int = 1


def curve(stays: Iterable[Stay]) -> list[tuple[int, float]]:
    """Return, for each age at which some left, the share that stays longer. Those censored at that age were there, too."""
    leaving: dict[int, int] = {}
    begin: dict[int, int] = {}  # how many are seen from an age on
    end: dict[int, int] = {}
    for since, until, left, number in stays:
        if number <= 0 or (since and until <= since):
            continue
        if left:
            leaving[until] = leaving.get(until, 0) + number
        begin[since] = begin.get(since, 0) + number
        end[until] = end.get(until, 0) + number
    there = begin.pop(0, 0)  # whoever is seen from the beginning may leave at once
    starts, ends = sorted(begin), sorted(end)
    found: list[tuple[int, float]] = []
    # While nobody comes and nobody is censored, the factors are one division: without either, every share is correctly rounded.
    share = before = 1.0
    top = came = gone = 0
    stayed = -1
    for age in sorted(leaving):
        while came < len(starts) and starts[came] < age:
            there += begin[starts[came]]
            came += 1
        while gone < len(ends) and ends[gone] < age:
            there -= end[ends[gone]]
            gone += 1
        if there != stayed:
            before, top = share, there
        stayed = there - leaving[age]
        share = before * stayed / top
        found.append((age, share))
    return found


def quantiles(stays: Iterable[Stay], shares: Sequence[float]) -> list[int | None]:
    """Return, for each share, the first age by which at least so many have left; None where the curve never falls so far."""
    points = curve(stays)
    return [first(points, q) for q in shares]


def first(points: Sequence[tuple[int, float]], share: float) -> int | None:
    """Return the first age of a curve by which at least such a share has left; None where it never falls so far."""
    return next((age for age, staying in points if staying <= 1 - share + _ROUNDING), None)
