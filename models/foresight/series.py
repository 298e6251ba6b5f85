"""What will a series bring in its next periods: P10, P50 and P90?

A history, the periods of its season, how far ahead. What cannot be said is not said, and why; what was decided for the asker (no
season, gaps filled) is said as well. The same history gives the same answer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.foresight.asked import converted
from models.foresight.band import band, rough
from models.foresight.law import Reals
from models.foresight.pool import pooled
from models.unusable import UnusableQuestion

#: Periods of a season, where the question does not say.
SEASONS = {"hour": 24, "day": 7, "week": 52, "month": 12, "quarter": 4, "year": 1}
MOST_SEASON = MOST_HORIZON = 400
#: The latest values that are looked at, and the most that are taken.
LATEST, MOST = 3_000, 100_000
_LARGEST = 1e15
#: The least values of which members make anything.
_LEAST = 5


class Question(msgspec.Struct):
    """A series: ``history`` from the first period to the last, null where a value is not known."""

    horizon: int
    history: list[float | None]
    id: Any = None
    period: str | None = None
    start: str | None = None
    season: int | None = None


class Forecast(NamedTuple):
    """Quantiles of each of the next periods, None where there is no saying; ``why`` says what was decided, or is missing."""

    p10: list[float | None]
    p50: list[float | None]
    p90: list[float | None]
    why: list[str]


def read(document: Any) -> Question:
    """Return the question that a JSON document asks, checked.

    Raises:
        UnusableQuestion: at the first thing that is wrong with it.
    """
    asked = converted(document, Question, "a JSON object with history and horizon")
    if asked.season is None and asked.period is None:
        raise UnusableQuestion("season", None, f"1 (none) to {MOST_SEASON} periods, or a period")
    if asked.season is None and asked.period not in SEASONS:
        raise UnusableQuestion("period", asked.period, f"{', '.join(SEASONS)}; or a season")
    if asked.season is not None and not 1 <= asked.season <= MOST_SEASON:
        raise UnusableQuestion("season", asked.season, f"1 (none) to {MOST_SEASON} periods")
    if not 1 <= asked.horizon <= MOST_HORIZON:
        raise UnusableQuestion("horizon", asked.horizon, f"1 to {MOST_HORIZON} periods")
    if len(asked.history) > MOST:
        raise UnusableQuestion("history", f"{len(asked.history):,} values", f"at most {MOST:,}")
    for place, value in enumerate(asked.history):
        if value is not None and not abs(value) < _LARGEST:
            raise UnusableQuestion(f"history[{place}]", value, "a number between -1e15 and 1e15, or null")
    return asked


def answer(asked: Question) -> Forecast:
    """Return what a checked question's series will bring."""
    season = asked.season if asked.season is not None else SEASONS[asked.period or "year"]
    return forecast(asked.history, season, asked.horizon)


def forecast(history: Sequence[float | None], season: int, horizon: int) -> Forecast:
    """Return the quantiles of the next ``horizon`` periods; ``season`` 1: none."""
    why: list[str] = []
    known = [place for place, value in enumerate(history) if value is not None]
    none: list[float | None] = [None] * horizon
    if len(known) < 2:
        return Forecast(none, none, none, [f"values known: {len(known)}; two are needed, and some more to be of use"])
    gone = len(history) - 1 - known[-1]  # periods at the end that are not known: they are to be forecast as well
    if gone >= MOST_HORIZON:
        return Forecast(none, none, none, [f"the last value is {gone} periods ago: nothing is known of what was since"])
    if gone:
        why.append(f"the last {gone} periods are not known: forecast from the one before")
    values = np.array([np.nan if value is None else value for value in history[known[0] : known[-1] + 1]], float)
    if len(values) > LATEST:
        why.append(f"the latest {LATEST:,} of {len(values):,} values are looked at")
        values = values[-LATEST:]
    values = _filled(values, season, why)
    if values.min() == values.max():
        same: list[float | None] = [float(values[0])] * horizon
        return Forecast(same, same, same, [*why, f"all {len(known)} values are the same: no other is known to be possible"])
    if 1 < season and len(values) < 2 * season:
        why.append(f"{len(values)} values are less than two seasons of {season}: no season is assumed")
        season = 1
    rows = _rows(values, season, gone + horizon, why)
    if values.min() >= 0:
        rows = np.maximum(rows, 0.0)  # what was never negative is not said to become so
    p10, p50, p90 = (row.tolist() for row in np.sort(rows, 0)[:, gone:])
    return Forecast(p10, p50, p90, why)


def _rows(values: Reals, season: int, horizon: int, why: list[str]) -> Reals:
    unit = float(np.abs(values).max())
    scaled = values / unit
    middle, bounds = np.full(horizon, scaled[-1]), None
    if len(values) < _LEAST:
        why.append(f"only {len(values)} values are known: the last one goes on")
    else:
        said = pooled(scaled, season, horizon)
        middle, bounds = said.ahead[-1], band(scaled, said, season)
    if bounds is None:
        why.append("too short to have been forecast often: the band is by how much values differ")
        half = rough(scaled, season if len(values) > season else 1, horizon, drifts=len(values) >= _LEAST)
        bounds = middle - half, middle + half
    if np.array_equal(*bounds):
        why.append("what would have been forecast was never off: nothing is known of how far it may be")
    return np.stack((bounds[0], middle, bounds[1])) * unit


def _filled(values: Reals, season: int, why: list[str]) -> Reals:
    """Return a series without gaps: the change from a season before and after is taken where it is known, else a line."""
    gaps = np.flatnonzero(np.isnan(values))
    if not len(gaps):
        return values
    why.append(f"{len(gaps)} values within are not known: filled between their neighbours" + (" by season" if season > 1 else ""))
    places = np.arange(len(values))
    known = ~np.isnan(values)
    line: Reals = np.interp(places, places[known], values[known])
    if season > 1 and known.sum() >= 2 * season:
        profile = _profile(line, known, season)
        line = np.interp(places, places[known], (values - profile)[known]) + profile
    return np.where(known, values, line)


def _profile(line: Reals, known: np.ndarray[Any, np.dtype[np.bool_]], season: int) -> Reals:
    """Return how far each place of the season is from the moving mean of a season, on average; 0 where that is not known."""
    smooth = np.convolve(np.pad(line, (season // 2, season - 1 - season // 2), mode="edge"), np.ones(season) / season, "valid")
    phase = np.arange(len(line)) % season
    sums = np.bincount(phase[known], weights=(line - smooth)[known], minlength=season)
    profile: Reals = (sums / np.maximum(np.bincount(phase[known], minlength=season), 1))[phase]
    return profile
