"""What does a hazard say of one deal: will it be won, when will it close, and how sure is that?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]

#: Where the buckets of time end, in days from the moment of asking. The last is open: what closes later is not told apart.
EDGES = np.array(
    [1 / 24, 1 / 4, *range(1, 7), *range(8, 34, 2), 35, 40, 45, 52, 60, 67, 75, 82, 90, 100, 110, 122, 135],
    dtype=np.float64,
)
_KNOTS = np.concatenate(([0.0], EDGES))
_MIDDLES = (_KNOTS[1:] + _KNOTS[:-1]) / 2


def bucket_of(days: float) -> int:
    """Return the bucket in which a moment lies; ``len(EDGES)`` beyond the last edge."""
    return int(np.searchsorted(EDGES, days, side="left"))


@dataclass(frozen=True, slots=True)
class Curve:
    """P(won) and P(lost) of a deal in each bucket from now; what is missing to 1 is still open at the last edge."""

    won: Vector
    lost: Vector

    @property
    def win(self) -> float:
        """P(won | it closes within the last edge)."""
        won = float(self.won.sum())
        return won / max(won + float(self.lost.sum()), 1e-12)

    def closes_within(self, days: float) -> float:
        """P(it closes, won or lost, within so many days), at most the last edge's."""
        return float(np.interp(days, _KNOTS, np.concatenate(([0.0], np.cumsum(self.won + self.lost)))))

    def distribution(self) -> Vector:
        """P(closed by each edge | it closes): the cumulative distribution at 0 and at every edge."""
        closed = np.cumsum(self.won + self.lost)
        return np.concatenate(([0.0], closed / max(float(closed[-1]), 1e-12)))

    def place(self, days: float) -> float:
        """Return the rank of a time to close among those expected (its probability integral transform), 0 to 1."""
        return float(np.interp(days, _KNOTS, self.distribution()))

    def days(self, ranks: tuple[float, ...]) -> list[float]:
        """Return the days by which these shares (0 to 1) of such deals have closed, of those that do."""
        found: list[float] = np.interp(ranks, self.distribution(), _KNOTS).tolist()
        return found

    def mean_days(self) -> float:
        """Return the mean days to close of those that do, by bucket middles."""
        closed = self.won + self.lost
        return float(_MIDDLES @ closed) / max(float(closed.sum()), 1e-12)
