"""By how much is a weekday, a part of the month, a month of the quarter or of the year above or below the usual, shrunk?

A profile is learnt early and believed slowly: each place's mean log-ratio to the usual is drawn towards 0 by empirical Bayes, by
how much places differ beyond what chance and the same place's own repetitions do (the moments of a one-way analysis of variance).
So the first quarter of a company says little, and a company without a season keeps none.

G. Casella, "An introduction to empirical Bayes data analysis", The American Statistician 39 (2), 1985, pp. 83-87.
"""

from typing import Any

import numpy as np

Reals = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.integer[Any]]]

#: What repetitions of one place differ by before any is known (a log-ratio), and for how many repetitions that counts.
_USUAL, _CASES = 0.2, 2.0
#: No place is said to be further from the usual than by this factor.
_FARTHEST = 20.0


def shrunk(ratios: Reals, places: Places, count: int, weights: Reals | None = None) -> Reals:
    """Return the log-effect of each of ``count`` places, 0 where nothing is known of one.

    ``ratios`` are log-ratios to the usual, each seen at one of the ``places``, with its weight (its cases; default: 1).
    """
    effects = np.zeros(count)
    if not len(ratios):
        return effects
    weights = np.ones(len(ratios)) if weights is None else weights
    cases = np.bincount(places, weights, count)
    there = cases > 0
    means = np.divide(np.bincount(places, weights * ratios, count), cases, out=np.zeros(count), where=there)
    seen = np.bincount(places, minlength=count)
    mean_weight = float(weights.sum() / len(weights))
    off = float((weights * (ratios - means[places]) ** 2).sum()) / mean_weight
    free = float(np.maximum(seen - 1, 0).sum())
    within = (off + _CASES * _USUAL**2) / (free + _CASES)
    number = int(there.sum())
    if number < 2:
        return effects
    middle = float(means[there].mean())
    spread = float(((means[there] - middle) ** 2).sum()) / (number - 1)
    error = within * mean_weight / cases[there]
    between = max(spread - float(error.mean()), 0.0)
    effects[there] = (means[there] - middle) * between / (between + error + 1e-12)
    limit = np.log(_FARTHEST)
    clipped: Reals = np.clip(effects, -limit, limit)
    return clipped
