"""What would regressions of a series on its own past say at each of its moments?

Cycles that are no season (sunspots, business cycles) are what smoothings cannot know. Each form (the level, its differences, its
differences from a season ago) is regressed on its lags, shrunk towards little more than the last value, and more so for lags long
ago. The sums behind a regression are cumulated, so that those of all moments are solved in one go, each from what was known then.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from models.foresight.law import Reals
from models.foresight.smoothing import Kinds

#: What the last value counts for before anything is known, of a level.
_LAST = 0.9
#: The least values that a regression is of.
_ROWS = 4
#: Nothing is said beyond so many times the usual difference.
_WILD = 60.0


class Form(NamedTuple):
    """What is regressed on which lags: differences over so many values, one after the other; how much is shrunk; with a wave
    through the season or not."""

    lags: tuple[int, ...]
    over: tuple[int, ...]
    shrunk: float
    waves: bool = False


def forms(count: int, season: int) -> Iterator[Form]:
    """Yield the forms for which so many values suffice."""
    yield from (form for form in _forms(count, season) if count > sum(form.over) + form.lags[-1] + _ROWS)


def _forms(count: int, season: int) -> Iterator[Form]:
    if season == 1:
        for lags in (1, 2, 4, 9, 14):
            if count > 4 * lags + 8:
                upto = tuple(range(1, lags + 1))
                yield from (Form(upto, (), shrunk) for shrunk in (1.0, 6.0))
                if lags < 14:
                    yield Form(upto, (1,), 3.0)
        return
    near = tuple(sorted({1, 2, 3, season}))
    for shrunk in (1.0, 8.0):
        yield Form(near, (season,), shrunk)
        yield Form((1, 2), (season,), shrunk)
        if count > 5 * season:
            yield Form(tuple(sorted({*range(1, min(4, season) + 1), season, season + 1})), (), shrunk, waves=True)
            yield Form(tuple(range(1, season + 2)), (1,), shrunk)
            yield Form(near, (season, 1), shrunk)
    if count > 8 * season:
        yield Form(tuple(range(1, 2 * season + 1)), (), 4.0, waves=season <= 4)


def ahead(values: Reals, season: int, form: Form, horizon: int, moments: Kinds) -> Reals:
    """Return what a form says at each moment (a row) of the next values (a column each)."""
    differences = [values]
    for over in form.over:
        last = differences[-1]
        differences.append(np.concatenate((np.full(over, np.nan), last[over:] - last[:-over])))
    said = _regressed(differences[-1], sum(form.over), season, form, horizon, moments)
    for over, before in zip(reversed(form.over), reversed(differences[:-1]), strict=True):
        for step in range(horizon):
            back = step - over
            said[:, step] += said[:, back] if back >= 0 else before[np.maximum(moments + back + 1, 0)]
    return said


def _regressed(values: Reals, first: int, season: int, form: Form, horizon: int, moments: Kinds) -> Reals:
    """Return what a regression says; ``values`` are there from ``first`` on."""
    early = values[first : first + max(3 * season, 20)]
    middle = float(early.mean())
    unit = float(np.abs(early - middle).mean()) or 1.0
    z = (values - middle) / unit
    lags = np.array(form.lags)
    longest = int(lags[-1])
    rows = np.arange(first + longest, len(values))
    x = np.concatenate([z[rows[:, None] - lags], _waves(rows, season, form.waves)], 1)
    prior = np.zeros(x.shape[1])
    prior[0] = 0.0 if form.over else _LAST
    penalty = np.full(x.shape[1], form.shrunk)
    penalty[: len(lags)] *= 1 + np.sqrt(lags)
    penalty[len(lags)] = 0.5
    off = z[rows] - x @ prior
    squares, products = np.cumsum(x[:, :, None] * x[:, None, :], 0), np.cumsum(x * off[:, None], 0)
    seen = moments - rows[0]
    upto = np.maximum(seen, 0)
    weights = np.linalg.solve(squares[upto] + np.diag(penalty), products[upto][..., None])[..., 0]
    weights = np.where(seen[:, None] >= 0, weights, 0.0) + prior

    path = np.zeros((len(moments), longest + horizon))
    path[:, :longest] = np.nan_to_num(z[np.maximum(moments[:, None] - longest + 1 + np.arange(longest), 0)])
    for step in range(horizon):
        end = longest + step
        asked = np.concatenate([path[:, end - lags], _waves(moments + step + 1, season, form.waves)], 1)
        path[:, end] = np.clip((asked * weights).sum(1), -_WILD, _WILD)
    said: Reals = path[:, longest:] * unit + middle
    return said


def _waves(at: np.ndarray[Any, Any], season: int, waves: bool) -> Reals:
    """Return a column of ones, and the first waves through the season."""
    ones = np.ones((len(at), 1))
    if not waves:
        return ones
    angle = 2 * np.pi * at[:, None] * np.arange(1, min(season // 2, 4) + 1) / season
    return np.concatenate([ones, np.cos(angle), np.sin(angle)], 1)
