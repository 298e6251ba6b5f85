"""Of which deals is it known what became of them, so that a faster variant is not taken for a better one?

Of the deals that are closed, the fast ones are too many: a variant that only wins faster looks better on them, for as long as the
test runs. So deals are judged in the order in which they entered, from the first to one before which (nearly) all are settled.
Which one that is may depend on anything: the evidence holds at every deal in that order.

A deal is settled when it is closed, or so old that it is not won any more. How old that is, the *maturity*, is declared, or
learnt: the shortest time m such that, of deals at least twice as old, nearly all that were won within 2 m were won within m, in
both variants. What is settled by its age and not won counts as not won.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.experiments.coin import Flags, Numbers

#: Of the deals judged, so many of each variant may still be open.
OPEN = 0.01
#: After the maturity that is learnt, so many of the wins may still come, by the data and one win more.
LATE = 0.05
#: So many ages are tried as maturity, from the median time to win to half of the time the test has run.
_TRIED = 40


class Deals(NamedTuple):
    """Deals in any order: when they entered, when they were closed (infinite: open), whether they were won, and by B."""

    entered: Numbers
    closed: Numbers
    won: Flags
    to_b: Flags

    def at(self, places: NDArray[np.intp]) -> "Deals":
        """Return those at some places, in that order."""
        return Deals(self.entered[places], self.closed[places], self.won[places], self.to_b[places])


class JudgedDeals(NamedTuple):
    """Deals of which it is known what became of them, in the order they entered: whether each was won, and whether B had it."""

    won: Flags
    to_b: Flags


def judged(deals: Deals, now: float, maturity: float | None = None) -> JudgedDeals:
    """Return the deals that can be judged at an instant. With a declared maturity: those so old, won by that age or not."""
    order = np.argsort(deals.entered, kind="stable")
    deals = deals.at(order[: int((deals.entered <= now).sum())])
    if maturity is not None:
        old = int((deals.entered <= now - maturity).sum())
        won = deals.won & (deals.closed - deals.entered <= maturity)
        return JudgedDeals(won[:old], deals.to_b[:old])
    closed = deals.closed <= now
    won = deals.won & closed
    age = learnt_maturity(deals._replace(won=won), now)
    settled = closed if age is None else closed | (deals.entered <= now - age)
    enough = np.ones(len(closed), dtype=np.bool_)
    for arm in (deals.to_b, ~deals.to_b):
        enough &= np.cumsum(arm & ~settled) <= OPEN * np.cumsum(arm)
    until = int(np.flatnonzero(enough)[-1]) + 1 if enough.any() else 0
    return JudgedDeals(won[:until], deals.to_b[:until])


def learnt_maturity(deals: Deals, now: float) -> float | None:
    """Return the age after which nearly no win comes any more, in both variants; None where that cannot be known yet."""
    took = deals.closed - deals.entered
    least = 1 / LATE - 1  # with fewer wins, one more that comes late is too many
    if min((deals.won & deals.to_b).sum(), (deals.won & ~deals.to_b).sum()) < least:
        return None
    shortest, longest = max(float(np.median(took[deals.won])), 1e-3), float(now - deals.entered.min()) / 2
    for age in np.geomspace(shortest, longest, _TRIED) if shortest < longest else ():
        seen = deals.won & (deals.entered <= now - 2 * age) & (took <= 2 * age)
        late = seen & (took > age)
        if all((late & arm).sum() + 1 <= LATE * (seen & arm).sum() for arm in (deals.to_b, ~deals.to_b)):
            return float(age)
    return None
