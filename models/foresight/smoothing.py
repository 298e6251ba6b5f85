"""What would a few hundred exponential smoothings say of a series at each of its moments?

Level, trend (none, a share of the mean drift as in Theta, or damped) and additive season; every combination of a grid of their
weights is run at once, one vector operation for all. Nothing is fitted, so what was said at a moment is what would have been said
then: past errors judge the members honestly, at the price of one pass.

R. Hyndman et al., "A state space framework for automatic forecasting using exponential smoothing methods", International Journal
of Forecasting 18 (3), 2002; V. Assimakopoulos and K. Nikolopoulos, "The theta model", ibid. 16 (4), 2000.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from models.foresight.law import Reals

Kinds = np.ndarray[Any, np.dtype[np.intp]]

#: What a member is: without trend, with a share of the mean drift, with a trend of its own.
STEADY, DRIFTING, TRENDING = 0, 1, 2
_LEVEL = (0.02, 0.06, 0.12, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
_SEASON = (0.0, 0.05, 0.15, 0.35)  # times what the level leaves over
_DRIFT = (0.5, 1.0)
_TREND, _DAMPED = (0.02, 0.08, 0.25), (0.85, 0.95, 1.0)  # the trend's weight is times the level's


class Grid(NamedTuple):
    """The weights of each member (of level, trend and season), the damping, the share of the drift, and what it is."""

    level: Reals
    trend: Reals
    season: Reals
    damped: Reals
    drift: Reals
    kind: Kinds


@cache
def grid(seasonal: bool) -> Grid:
    """Return the members' weights."""
    rows: list[tuple[float, ...]] = []
    for level in _LEVEL:
        for share in _SEASON if seasonal else (0.0,):
            season = share * max(1 - level, 0.1)
            rows.append((level, 0, season, 0, 0, STEADY))
            rows += [(level, 0, season, 0, drift, DRIFTING) for drift in _DRIFT]
            rows += [(level, level * trend, season, damped, 0, TRENDING) for trend in _TREND for damped in _DAMPED]
    columns = np.array(sorted(rows, key=lambda row: row[-1])).T
    level, trend, season, damped, drift, kind = columns
    return Grid(level, trend, season, damped, drift, kind.astype(np.intp))


class Smoothings:
    """The states of all members after each value of a series."""

    def __init__(self, values: Reals, season: int) -> None:
        """``season`` 1: none. Where there is one, two of them are needed."""
        self._grid, self._season = grid(season > 1), season
        ends = np.searchsorted(self._grid.kind, (STEADY, DRIFTING, TRENDING), "right").tolist()
        #: The members of each kind.
        self.families = [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]
        shape = len(values), len(self._grid.kind)
        self._levels, self._trends, self._seasons, self._drifts = (np.empty(shape) for _ in range(4))
        self._run(values)

    def _run(self, values: Reals) -> None:
        weights, season = self._grid, self._season
        first, slope, profile = _beginning(values, season)
        known = max(2 * season, 5)  # what the first slope weighs beside the drift, in values
        level = np.full(len(weights.kind), first)
        trend = np.where(weights.kind == TRENDING, slope, 0.0)
        drift = weights.drift * slope
        seasons = np.repeat(profile[:, None], len(weights.kind), 1)
        for at, value in enumerate(values):
            here = seasons[at % season]
            trend = weights.damped * trend
            level = level + trend + drift
            off = value - level - here
            level += weights.level * off
            trend += weights.trend * off
            here += weights.season * off
            drift = weights.drift * (level - first + slope * known) / (at + 1 + known)
            self._levels[at], self._trends[at], self._seasons[at], self._drifts[at] = level, trend, here, drift

    def ahead(self, family: slice, steps: int, moments: Kinds) -> Reals:
        """Return what each member of a family (a column) says at each moment (a row) of the value so many steps later."""
        damped = self._grid.damped[family]
        trend = np.add.reduce([damped**step for step in range(1, steps + 1)])
        said: Reals = self._levels[moments, family] + trend * self._trends[moments, family]
        said += steps * self._drifts[moments, family]
        if self._season > 1:
            said += self._seasons[moments + steps - self._season * -(-steps // self._season), family]
        return said


def _beginning(values: Reals, season: int) -> tuple[float, float, Reals]:
    """Return level, slope and season before the first value, by the first three seasons, or four values."""
    if season == 1:
        few = values[:4]
        return float(few[0]), float(few[-1] - few[0]) / max(len(few) - 1, 1), np.zeros(1)
    whole = values[: min(3, len(values) // season) * season]
    means = whole.reshape(-1, season).mean(1)
    slope = float(means[-1] - means[0]) / (len(means) - 1) / season
    start = float(whole.mean()) - slope * (len(whole) - 1) / 2
    profile = (whole - start - slope * np.arange(len(whole))).reshape(-1, season).mean(0)
    return start - slope, slope, profile - profile.mean()
