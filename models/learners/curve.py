"""What does a hazard say of one deal: will it be won, when will it close, and how sure is that?"""

from bisect import bisect_left
from functools import cached_property
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]

#: Where the buckets of time end, in days from the moment of asking. The last is open: what closes later is not told apart.
EDGES = np.array(
    [1 / 24, 1 / 4, *range(1, 7), *range(8, 34, 2), 35, 40, 45, 52, 60, 67, 75, 82, 90, 100, 110, 122, 135],
    dtype=np.float64,
)
#: The horizon of P(closes within), in days: an edge.
HORIZON = 30.0
_KNOTS: list[float] = [0.0, *EDGES.tolist()]
_MIDDLES = (np.array(_KNOTS[1:]) + np.array(_KNOTS[:-1])) / 2


def bucket_of(days: float) -> int:
    """Return the bucket in which a moment lies; ``len(EDGES)`` beyond the last edge."""
    return bisect_left(_KNOTS, days, 1) - 1


def _between(at: float, x: list[float], y: list[float]) -> float:
    """Interpolate on ascending ``x``: numpy's costs five times as much for one value."""
    if not at > x[0]:
        return y[0]
    right = bisect_left(x, at)
    if right >= len(x):
        return y[-1]
    left = right - 1
    return y[left] + (y[right] - y[left]) * (at - x[left]) / (x[right] - x[left])


class Curve:
    """P(won) and P(lost) of a deal in each bucket from now; what is missing to 1 is still open at the last edge."""

    def __init__(self, won: Vector, lost: Vector) -> None:
        """``won`` and ``lost`` hold a probability for each edge."""
        self.won, self.lost = won, lost

    @cached_property
    def closed(self) -> list[float]:
        """P(it has closed, won or lost) at 0 and by each edge."""
        return [0.0, *np.add.accumulate(self.won + self.lost).tolist()]

    @cached_property
    def win(self) -> float:
        """P(won | it closes within the last edge)."""
        return float(np.add.reduce(self.won)) / max(self.closed[-1], 1e-12)

    def closes_within(self, days: float) -> float:
        """P(it closes, won or lost, within so many days), at most the last edge's."""
        return _between(days, _KNOTS, self.closed)

    @cached_property
    def _won(self) -> list[float]:
        return [0.0, *np.add.accumulate(self.won).tolist()]

    def won_within(self, days: float) -> float:
        """P(it is won within so many days), at most the last edge's."""
        return _between(days, _KNOTS, self._won)

    def place(self, days: float) -> float:
        """Return the rank of a time to close among those expected (its probability integral transform), 0 to 1."""
        return self.closes_within(days) / max(self.closed[-1], 1e-12)

    def days(self, ranks: tuple[float, ...]) -> list[float]:
        """Return the days by which these shares (0 to 1) of such deals have closed, of those that do."""
        return [_between(rank * self.closed[-1], self.closed, _KNOTS) for rank in ranks]

    @cached_property
    def _mean(self) -> float:
        return float(_MIDDLES @ (self.won + self.lost)) / max(self.closed[-1], 1e-12)

    def mean_days(self) -> float:
        """Return the mean days to close of those that do, by bucket middles."""
        return self._mean


def curves(both: Vector) -> list[Curve]:
    """Return the curves of several deals (deal × cause × edge); what is always asked of them is computed for all at once."""
    total = np.add.reduce(both, 1)
    sums, means = np.add.accumulate(total, 1).tolist(), (total @ _MIDDLES).tolist()
    found = []
    for (won, lost), closed, mean in zip(both, sums, means, strict=True):
        curve = Curve(won, lost)
        curve.closed = [0.0, *closed]
        curve._mean = mean / max(closed[-1], 1e-12)
        found.append(curve)
    return found
