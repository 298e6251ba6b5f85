"""What will the rest of a period bring, and so the whole of it, by the days before?

Each day before was once a day on which the same stretch lay ahead. What the pool of members (:mod:`models.foresight.pool`) would
have said of the sum of that stretch, against what it was, are the errors around what it says today: sums are forecast as sums,
so that nothing is assumed of how days hang together. The days know their week; they do not know their year.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.foresight.beside import Adds, explained
from models.foresight.pool import pooled

#: Days of a week, the least days before (four weeks and as many errors as there are), and stretches that have gone by.
WEEK, LEAST, STRETCHES = 7, 28, 10
#: How much an error counts a day later.
_FADES = 0.995
#: How much wider the band is with one stretch that is of its own (those that overlap are alike).
_WIDER = 0.25


class Outcome(NamedTuple):
    """Of the whole period: ``p_target`` None where no target was given; ``so_far`` of it is there already; ``adds`` of other
    series."""

    so_far: float
    mean: float
    p10: float
    p50: float
    p90: float
    p_target: float | None
    adds: Mapping[str, Adds] = MappingProxyType({})


def whole(
    days: Sequence[float],
    so_far: float,
    left: float,
    target: float | None = None,
    beside: Mapping[str, Sequence[float | None]] = MappingProxyType({}),
) -> Outcome | None:
    """Return the outlook on a period of which ``so_far`` is there and ``left`` days are to come, a part of today included.

    ``days`` are the values of the days before today, oldest first. None where they are too few to have been forecast
    :data:`STRETCHES` times over such a stretch. ``beside`` has other series of the same days; ``adds`` says by what share each
    has made errors smaller (:mod:`models.foresight.beside`).
    """
    horizon = int(np.ceil(left))
    if not left:
        return Outcome(so_far, so_far, so_far, so_far, so_far, None if target is None else float(so_far >= target))
    values = np.array(days, float)
    if len(values) < LEAST + horizon + STRETCHES:
        return None
    if not values.any():
        return Outcome(so_far, so_far, so_far, so_far, so_far, None if target is None else float(so_far >= target))
    unit = float(np.abs(values).max())
    values = values / unit
    said = pooled(values, WEEK, horizon)
    # Of today only what is left of it is to come: the same share of the first day of each stretch.
    shares = np.ones(horizon)
    shares[0] = left - (horizon - 1)
    gone = said.moments + horizon < len(values)
    ahead = said.ahead @ shares
    actual = np.array([values[moment + 1 : moment + 1 + horizon] @ shares for moment in said.moments[gone]])
    added, adds = explained(actual - ahead[gone], said.moments, horizon, beside)
    ahead = ahead + added
    off = actual - ahead[gone]
    weights = _FADES ** np.arange(len(off))[::-1]
    weights /= weights.sum()
    middle = float(weights @ off)
    alone = max(len(off) / horizon, 1.0)
    sums = ahead[-1] + middle + (1 + _WIDER / np.sqrt(alone)) * (off - middle)
    if values.min() >= 0:
        sums = np.maximum(sums, 0.0)  # what was never negative is not said to become so
    order = np.argsort(sums)
    sums, weights = so_far + sums[order] * unit, weights[order]
    ends = np.cumsum(weights)
    p10, p50, p90 = (float(sums[min(int(np.searchsorted(ends, share - 1e-9)), len(sums) - 1)]) for share in (0.1, 0.5, 0.9))
    return Outcome(
        so_far, float(weights @ sums), p10, p50, p90, None if target is None else _share(weights, sums >= target), adds
    )


def _share(weights: NDArray[np.floating], reached: NDArray[np.bool_]) -> float:
    """The weight of those that reach it, of all. Their sum is 1 only up to rounding, which differs between processors."""
    return 1.0 if reached.all() else float(weights[reached].sum())
