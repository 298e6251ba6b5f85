"""Between which bounds will a value lie, judging by how far off forecasts have been?

The errors of what was said at earlier moments are real forecasts' errors: those of each horizon give its scale, and those that
were known at a moment say how rough times were then, beside the usual. Of all together, each as a multiple of what its scale was
when it was said, the band is as wide as one in five exceeds to either side: so it is judged by bands that were bands ahead.
Both sides are alike: what tells them apart is mostly chance (bands with sides of their own were worse). Errors are relative to
the forecast where they have grown with it. Later errors count more; few of them make the band wider.

I. Gibbs and E. Candès, "Adaptive conformal inference under distribution shift", NeurIPS 34, 2021, for what it is to follow times.
"""

import numpy as np

from models.foresight.law import Reals
from models.foresight.pool import SaidColumns

#: How much an error counts one value later.
_FADES = 0.98
#: How much wider the band is with one error that is of its own (those of one horizon's length overlap).
_WIDER = 0.2
#: Half the band is never less of the mean error: where one forecast was far off and all others right, it happens again.
_NARROW = 0.5
#: How rough times are: how much an error counts for it one value later, for how many usual ones before it counts, and by which
#: power the band follows.
_ROUGH_FADES, _CALM, _FOLLOWS = 0.8, 6.0, 0.6
#: Errors of the next value, at least, by which it is judged whether they grow with the level; and by which a band is made at all.
_ENOUGH, _SOME = 12, 6


def band(values: Reals, said: SaidColumns, season: int) -> tuple[Reals, Reals] | None:
    """Return P10 and P90 of the next values; None where there were too few forecasts to be off."""
    now, horizon = said.ahead[-1], said.ahead.shape[1]
    targets = said.moments[:, None] + np.arange(1, horizon + 1)
    actual = np.where(targets < len(values), values[np.minimum(targets, len(values) - 1)], np.nan)
    learnt = min(max(season, 4), len(said.moments) // 3)  # at first members were not told apart yet
    ahead, actual = said.ahead[learnt:], actual[learnt:]
    if len(ahead) <= _SOME:
        return None
    relative = values.min() > 0 and ahead.min() > 0 and now.min() > 0 and _grows(ahead[:, 0], np.abs(actual - ahead)[:, 0])
    off = np.log(actual / ahead) if relative else actual - ahead

    weights = np.repeat(_FADES ** np.arange(len(off))[::-1, None], horizon, 1)
    scale = _scales(off, weights)
    shape, known = np.abs(np.divide(off, scale, out=np.where(np.isnan(off), np.nan, 0.0), where=scale > 0)), ~np.isnan(off)
    rough_ = _roughness(shape)
    shape = shape / rough_[:, None]
    alone = max(float(weights[:, 0].sum()) / (horizon / 2 + 1), 1.0)
    usual = max(_quantile(shape[known], weights[known], 0.8), _NARROW)
    half = (1 + _WIDER / np.sqrt(alone)) * usual * rough_[-1] * scale
    return (now * np.exp(-half), now * np.exp(half)) if relative else (now - half, now + half)


def rough(values: Reals, season: int, horizon: int, *, drifts: bool = True) -> Reals:
    """Return half the band around the next values where little is known: by how different values a season apart have been.

    Student's t with as many degrees of freedom, of a walk that goes on by season; ``drifts``: what is said follows its mean
    step, else it stands still and the steps themselves are what it is off by. There are two values at least, and more than a
    season.
    """
    apart = values[season:] - values[:-season]
    free = max(len(apart) - drifts, 1)
    ninety = 1.2816 + 0.846 / free + 0.6 / free**2 + 0.35 / free**3  # within a hundredth of t's P90
    middle = apart.mean() if drifts and len(apart) > 1 else 0.0
    spread = np.sqrt(((apart - middle) ** 2).sum() / free)
    half: Reals = ninety * spread * np.sqrt(np.ceil(np.arange(1, horizon + 1) / season))
    return half


def _roughness(shape: Reals) -> Reals:
    """Return, at each moment, by how much the errors known by then are above the usual; a row a moment, a column a horizon."""
    steps, found = np.arange(shape.shape[1]), np.ones(len(shape))
    level = 1.0
    weight = _CALM
    for moment in range(1, len(shape)):
        said = moment - 1 - steps  # when those errors were made that have just become known
        level, weight = _CALM + (level * weight - _CALM) * _ROUGH_FADES, _CALM + (weight - _CALM) * _ROUGH_FADES
        level, weight = level + float(shape[said[said >= 0], steps[said >= 0]].mean()), weight + 1
        level /= weight
        found[moment] = level**_FOLLOWS
    return found


def _grows(level: Reals, off: Reals) -> bool:
    """Tell whether errors grow with the level, at least by its root; so they are taken to where too little is known."""
    there = off > 0
    spread = np.log(level[there])
    if there.sum() < _ENOUGH or spread.std() < 0.05:
        return True
    return bool(np.polyfit(spread, np.log(off[there]), 1)[0] > 0.5)


def _scales(off: Reals, weights: Reals) -> Reals:
    """Return the mean absolute error of each horizon, smoothed; beyond those that are known it grows by the root of the time."""
    known = ~np.isnan(off)
    sums = (np.where(known, np.abs(off), 0) * weights).sum(0) / np.maximum((known * weights).sum(0), 1e-9)
    there = np.flatnonzero((known.sum(0) >= 3) & (sums > 0))
    if not len(there):
        return np.zeros(len(sums))
    last = there[-1]
    for step in range(len(sums)):
        if step not in there:
            sums[step] = sums[last] * np.sqrt((step + 1) / (last + 1))
    padded = np.pad(sums, 1, mode="reflect") if len(sums) > 1 else np.pad(sums, 1, mode="edge")
    smooth: Reals = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth


def _quantile(values: Reals, weights: Reals, share: float) -> float:
    order = np.argsort(values)
    ends = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(ends, share * ends[-1])), len(values) - 1)])
