"""Do probabilities and intervals mean what they say? Corrections learnt from how earlier answers turned out."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

from river import stats

from models.learners.curve import Curve
from models.learners.finite import all_finite, finite

#: How many answers an interval is judged by.
ROLLING = 800
#: Below so many nothing is corrected.
ENOUGH = 50
#: The share of outcomes that an interval should hold.
HELD = 0.8
#: The share of misses that is steered for: the outcomes it is steered by come sooner than the rest, which are missed more.
MISSED = 0.185
#: How far the expected days may lean from the median (0) to the mean (1).
_LEAN = 0.6


def logit(probability: float) -> float:
    """Return the log-odds, within ±6."""
    return math.log(min(max(probability, 0.0025), 0.9975) / (1 - min(max(probability, 0.0025), 0.9975)))


class Calibrator:
    """A shift and a slope of the log-odds around their mean, learnt slowly online. It begins as no correction.

    Slowly, as labels arrive in an order of their own: what closes early would be taken for a change. Around the mean, so that
    log-odds without any signal end at the usual rate, not at one half.
    """

    def __init__(self, rate: float = 0.0005, steepness: float = 4.0) -> None:
        """``rate`` is the step of the shift; the slope's is ``steepness`` times that, 0 to leave it."""
        self.rate, self.steepness = rate, steepness
        self.shift = 0.0
        self.slope = 1.0
        self.mean = stats.Mean()

    def dump(self) -> list[float]:
        """Return the correction, as a document has it."""
        return [self.shift, self.slope, self.mean.n, self.mean.get()]

    def load(self, state: Sequence[float]) -> None:
        """Go on from what :meth:`dump` gave."""
        shift, slope, count, mean = state
        all_finite("a correction", shift, slope, count, mean)
        self.shift, self.slope, self.mean = shift, slope, stats.Mean._from_state(count, mean)

    def learn_one(self, given: float, happened: bool) -> None:
        """Learn what became of an answer that gave this (uncorrected) probability."""
        self.mean.update(logit(given))
        wrong = happened - self.predict_proba_one(given)
        self.shift += self.rate * wrong
        apart = min(max(logit(given) - self.mean.get(), -3.0), 3.0)
        self.slope = min(max(self.slope + self.steepness * self.rate * wrong * apart, 0.0), 1.5)

    def unsharpen(self) -> None:
        """Begin anew with a slope above 1, as what it was learnt from has changed; one that damps stays."""
        self.slope = min(self.slope, 1.0)

    def predict_proba_one(self, given: float) -> float:
        """Return the corrected probability."""
        if not self.mean.n:
            return given
        middle = self.mean.get()
        return 1 / (1 + math.exp(-(middle + self.slope * (logit(given) - middle) + self.shift)))


class Residuals:
    """Intervals and a middle for times to close, from the ranks that the last outcomes had among those expected.

    The interval's ends are quantiles of these ranks, the share outside is steered by what is missed, also when
    the process changes; the middle lies between median and mean, where errors cancel out.
    """

    def __init__(self) -> None:
        self.ranks: deque[float] = deque()
        self._sorted: list[float] = []
        self.learnt = 0
        self.outside = 1 - HELD
        self.lean = 0.5
        self._levels = (0.1, 0.5, 0.9)

    def dump(self) -> dict[str, list[float]]:
        """Return the ranks, and what was learnt of them, as a document has them."""
        return {"ranks": list(self.ranks), "residuals": [self.learnt, self.outside, self.lean, *self._levels]}

    @classmethod
    def load(cls, ranks: Sequence[float], learnt: Sequence[float]) -> "Residuals":
        """Go on from what :meth:`dump` gave."""
        found = cls()
        for rank in finite(ranks).tolist():
            found.add(rank)
        count, found.outside, found.lean, low, middle, high = learnt
        found.learnt, found._levels = int(count), (low, middle, high)
        return found

    def learn_one(self, curve: Curve, days: float) -> None:
        """Learn that a deal with this curve closed after so many days."""
        low, _, high = curve.days(self._levels)
        median, mean = self._middle(curve)
        gap = days - (median + self.lean * (mean - median))
        self.lean = min(max(self.lean + 0.01 * math.tanh(gap / (abs(mean - median) + 1)), 0.0), _LEAN)
        self.outside = min(max(self.outside + 0.004 * (MISSED - (not low <= days <= high)), 0.04), 0.4)
        self.add(round(curve.place(days), 4))
        self.learnt += 1
        if len(self.ranks) >= ENOUGH:
            self._levels = (self._quantile(self.outside / 2), self._quantile(0.5), self._quantile(1 - self.outside / 2))

    def add(self, rank: float) -> None:
        """Remember a rank, and forget the oldest beyond ``ROLLING``."""
        self.ranks.append(rank)
        insort(self._sorted, rank)
        if len(self.ranks) > ROLLING:
            del self._sorted[bisect_left(self._sorted, self.ranks.popleft())]

    def _quantile(self, share: float) -> float:
        place = share * (len(self._sorted) - 1)
        left = int(place)
        right = min(left + 1, len(self._sorted) - 1)
        return self._sorted[left] + (self._sorted[right] - self._sorted[left]) * (place - left)

    def predict_one(self, curve: Curve) -> tuple[float, float, float, float]:
        """Return P10, P50, P90 of the days to close (of those that close), and the middle where errors cancel out."""
        low, half, high = curve.days(self._levels)
        median, mean = self._middle(curve)
        return low, half, high, median + self.lean * (mean - median)

    def _middle(self, curve: Curve) -> tuple[float, float]:
        return curve.days((self._levels[1],))[0], curve.mean_days()
