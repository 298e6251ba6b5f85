"""What do all members together say of a series, now and at each earlier moment?

Members (smoothings and regressions, of the values and, where all are positive, of their logarithms) are weighted by how far off
they were up to that moment, the latest errors counting most: sharply among those of one family, mildly among families. So what
was said at an earlier moment used nothing that came later, and its errors are those of real forecasts.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from models.foresight import autoregression
from models.foresight.law import Reals
from models.foresight.smoothing import Kinds, Smoothings

#: How many of the latest moments are looked at, beside the horizon.
MOMENTS = 300
#: How sharply members of a family, and families, are told apart; how much an error counts one value later.
_WITHIN, _ACROSS, _FADES = 1.0, 0.35, 0.985
#: What everybody is taken to have been off before, in mean differences of a season, and how many cases that is.
_OFF, _CASES = 0.3, 2.0


class SaidColumns(NamedTuple):
    """At each of the ``moments`` (places in the series, the last one now): what is said of the next values, a column each."""

    moments: Kinds
    ahead: Reals


def pooled(values: Reals, season: int, horizon: int) -> SaidColumns:
    """Return what all members say together; there are at least three values."""
    count = len(values)
    warm = min(max(2 * season, 8), count - 2)
    moments = np.arange(max(warm, count - 1 - MOMENTS - horizon), count)
    families = list(_families(values, season, horizon, moments))
    # Nobody is believed far outside of all that was seen until then.
    low, high = np.minimum.accumulate(values)[moments, None], np.maximum.accumulate(values)[moments, None]
    usual = _usual(values, season)[moments]
    ahead = np.empty((len(moments), horizon))
    for steps in range(1, horizon + 1):
        target = moments + steps
        actual = np.where(target < count, values[np.minimum(target, count - 1)], np.nan)[:, None]
        chosen = []
        for family in families:
            with np.errstate(over="ignore"):
                said = np.clip(family(steps), 2 * low - high, 2 * high - low)
            chosen.append(_weighted(said, actual, usual, steps, _WITHIN))
        ahead[:, steps - 1] = _weighted(np.stack(chosen, 1), actual, usual, steps, _ACROSS)
    return SaidColumns(moments, ahead)


def _families(values: Reals, season: int, horizon: int, moments: Kinds) -> Iterator[Callable[[int], Reals]]:
    """Yield, for each family, what its members say (a column each) at the moments of the value so many steps later."""
    for inner, outer in ((values, _same), (np.log(values), np.exp)) if values.min() > 0 else ((values, _same),):
        for cycle in sorted({season, 1}):  # what has a season by the calendar need not have one
            bank = Smoothings(inner, cycle)
            yield from (partial(_smoothed, bank, family, outer, moments) for family in bank.families)
            forms = autoregression.forms(len(inner), cycle)
            paths = [autoregression.ahead(inner, cycle, form, horizon, moments) for form in forms]
            if paths:
                yield partial(_regressed, np.stack(paths, 2), outer)


def _smoothed(bank: Smoothings, family: slice, outer: Callable[[Reals], Reals], moments: Kinds, steps: int) -> Reals:
    return outer(bank.ahead(family, steps, moments))


def _regressed(paths: Reals, outer: Callable[[Reals], Reals], steps: int) -> Reals:
    return outer(paths[:, steps - 1])


def _same(values: Reals) -> Reals:
    return values


def _usual(values: Reals, season: int) -> Reals:
    """Return, at each moment, how much values a season apart have differed until then."""
    apart = np.abs(values[season:] - values[:-season])
    means = np.cumsum(apart) / np.arange(1, len(apart) + 1)
    return np.concatenate((np.full(season, means[0]), means)) + np.finfo(float).tiny


def _weighted(said: Reals, actual: Reals, usual: Reals, steps: int, sharpness: float) -> Reals:
    """Return, at each moment, the mean of what members say, weighted by how far off they were in what was known by then."""
    off = np.abs(said - actual)
    sums = np.repeat(_OFF * _CASES * usual[:, None], said.shape[1], 1)
    cases = np.full(len(said), _CASES)
    errors, weight = np.zeros(said.shape[1]), 0.0
    for moment in range(steps, len(said)):
        errors = errors * _FADES + off[moment - steps]
        weight = weight * _FADES + 1
        sums[moment] += errors
        cases[moment] += weight
    # Errors of forecasts so many steps ahead overlap: they are worth fewer cases.
    worth = sharpness * (4 + (cases - _CASES) / np.sqrt(steps))
    logs = -np.log(sums / cases[:, None]) * worth[:, None]
    logs -= logs.max(1, keepdims=True)
    weights = np.exp(logs, out=logs)
    weights /= weights.sum(1, keepdims=True)
    found: Reals = (weights * said).sum(1)
    return found
