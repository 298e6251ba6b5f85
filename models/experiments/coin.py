"""Does it matter which variant a case got? Evidence that is exact for few cases, looked at as often as one likes.

If the variant does not matter, then, whatever came of a case, a coin of the designed ratio gave it its variant. Somebody bets on
that coin, knowing what came of the case and of all before it: on an effect of log odds ratio e, the variant B is e^(e * c) times
as likely as designed, where c is the outcome (1 won, 0 not) less the share won before it. What the bets have made of 1 is a
likelihood ratio: its mean is 1 as long as the variant does not matter, so that it ever comes to 25 with a probability of at most
1/25 (J. Ville, 1939). No assumption is made of the outcomes: they may depend on season, on each other, on anything but the coin.

The bets are spread over effects, half of them on each variant: nearly all of each half on those that a script may have in
practice, odds that are 1.15 to 2.5 times the other's (a log-normal law of the log odds ratio), a little on small ones, so that
they are found at last. What that costs and brings beside other laws is in ``docs/experiments.md``. The idea of safe tests: R.
Turner, A. Ly, P. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping", Journal of
Statistical Planning and Inference 230, 2024.
"""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

#: A decision is wrong, where the variants are alike, in at most so many tests, however often one looks. One in
#: twenty is promised: with exactly that, half of all trials of it would come out above.
LEVEL = 0.04
#: The share won before the first case, and how many cases that opinion is worth.
_SHARE, _WORTH = 0.25, 4.0


class BetLaw(NamedTuple):
    """How the bets are spread: effects of B (log odds ratios), those that are better than A's first, and logarithms of shares."""

    effects: Numbers
    log_shares: Numbers

    @classmethod
    def of(cls, effects: Numbers, shares: Numbers) -> "BetLaw":
        """Return the law that bets on effects of either variant alike, in these proportions."""
        halves = np.concatenate([shares, shares]) / (2 * shares.sum())
        return cls(np.concatenate([effects, -effects]), np.log(halves))


def _usual() -> BetLaw:
    """Return log-normal effects of median 0.35, a spread of 0.4, as nine points; and small ones for a part of 0.06."""
    z = np.linspace(-2.5, 2.5, 9)
    likely, small = np.exp(-z * z / 2), np.array([0.02, 0.04, 0.07, 0.11])
    shares = np.concatenate([0.94 * likely / likely.sum(), np.full(len(small), 0.06 / len(small))])
    return BetLaw.of(np.concatenate([0.35 * np.exp(0.4 * z), small]), shares)


USUAL = _usual()


class Evidence(NamedTuple):
    """Logarithms of what the bets have made of 1: all of them, and each half's part in that."""

    total: float
    for_b: float
    for_a: float

    @property
    def decides(self) -> bool:
        """Whether it is enough to decide."""
        return self.total >= -log(LEVEL)


class CountedCases(NamedTuple):
    """Cases of a variant, and how many of them were won."""

    cases: int
    won: int


class Coin:
    """The bets on the assignment of cases, in the order in which the cases came. ``ratio`` is B's designed share."""

    def __init__(self, ratio: float = 0.5, law: BetLaw = USUAL) -> None:
        self._ratio = ratio
        self._effects = law.effects
        self._won = 0
        self.cases = 0
        self._logs = law.log_shares.copy()

    def add(self, won: Flags, to_b: Flags) -> None:
        """Bet on further cases: whether each was won, and whether B had it."""
        number = len(won)
        if not number:
            return
        before = self._won + np.cumsum(won) - won
        share = (before + _SHARE * _WORTH) / (self.cases + np.arange(number) + _WORTH)
        tilt = np.outer(won - share, self._effects)
        self._logs += np.where(to_b[:, None], tilt, 0.0).sum(0) - np.log(self._ratio * np.exp(tilt) + 1 - self._ratio).sum(0)
        self._won += int(won.sum())
        self.cases += number

    def add_day(self, a: "CountedCases", b: "CountedCases") -> None:
        """Bet on cases that came together, by how many of each variant there are: on all of them with what was known before."""
        share = (self._won + _SHARE * _WORTH) / (self.cases + _WORTH)
        for outcome, of_a, of_b in ((1.0, a.won, b.won), (0.0, a.cases - a.won, b.cases - b.won)):
            tilt = (outcome - share) * self._effects
            self._logs += of_b * tilt - (of_a + of_b) * np.log(self._ratio * np.exp(tilt) + 1 - self._ratio)
        self._won += a.won + b.won
        self.cases += a.cases + b.cases

    def evidence(self) -> Evidence:
        """Return what the bets have come to."""
        for_b, for_a = (float(np.logaddexp.reduce(half)) for half in np.split(self._logs, 2))
        return Evidence(float(np.logaddexp(for_b, for_a)), for_b, for_a)
