"""How far are those who forecast to be believed, and how far off are they together, judging by their forecasts that came due?

Three of them say how many deals the rest of a period wins: the *pipeline* (open deals by their hazards, and arrivals), the
*rate* (what is won a day, by the calendar), and the *season* ago (:mod:`models.foresight.again`). Each weighs by how probable it
has made what came at about this share of the periods before, errors of rate and season at earlier stretches of the same length
counting too. What those together would have been off by is the shock that all deals of a period have in common: it does not
average out over deals, as luck does.

Weights by fading likelihoods: A. Raftery, M. Kárný, P. Ettler, "Online prediction under model uncertainty via dynamic model
averaging: application to a cold rolling mill", Technometrics 52 (1), 2010, pp. 52-66. J. Bates, C. Granger, "The combination of
forecasts", Operational Research Quarterly 20 (4), 1969, pp. 451-468, for weights that fall with the square of the errors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.foresight.law import Reals

#: Forecasts made at about the same share of their period are compared.
NEAR = 0.2
#: What each is taken to be off by (a log-ratio) before anything is known, and for how many periods that counts.
_PIPELINE, _RATE, _CASES = 0.4, 0.3, 1.0
_SHOCK, _SHOCKS = 0.15, 2.0
#: By which power of its errors' variance a forecaster weighs less: a half for each period that is known, as likelihoods do; and
#: for what was taken of them before. With how much of the others' weight the season begins.
_EACH, _BEFORE, _SEASON = 0.5, 0.7, 0.3
#: A bias is believed after so many periods by half.
_BIAS = 2.0
#: What a segment is off by beyond the company's shock before anything is known, and for how many periods that counts.
_OWN, _OWNS = 0.15, 2.0
_LEAST = 0.02
#: How much a period's errors count a period later; and the largest error (a log-ratio) that is taken as it is: where nothing was
#: known yet forecasts are off by any factor, which says nothing of what they are off by now.
FADES, _WORST = 0.8, 0.8
#: What was said with fewer days of history than this counts in proportion.
_KNOWN = 90.0


class Past(NamedTuple):
    """A forecast that has come due: at which share of which period it was made, of how many deals, and how many there were."""

    period: int  # its first day
    phase: float
    pipeline: float
    rate: float
    said: float
    actual: float
    segments: tuple[float, float] = (0.0, 0.0)  # Σ (actual - said)² - said over the segments, and Σ said²
    known: float = 90.0  # days of history when it was made
    day: int = 0  # on which it was made
    season: float | None = None  # what the season ago would have said; None: it was not known


class SeasonForecast(NamedTuple):
    """What the season ago says, the mean square of its errors (log-ratios) at earlier stretches, and for how many that counts."""

    said: float
    rolling: float = 0.0
    lengths: float = 0.0


class Blend(NamedTuple):
    """How much the pipeline weighs (the rest is the rate's), by what both are multiplied, the common and a segment's shock.

    ``season`` is what the season ago says of the total, and ``share`` how much that weighs beside both.
    """

    weight: float
    pipeline: float
    rate: float
    shock: float
    own: float
    season: float = 0.0
    share: float = 0.0

    def of(self, pipeline: Reals, rate: Reals) -> Reals:
        """Return what they say together, of the total (the first place) and of the segments: those know no season ago."""
        logs = self.weight * np.log(pipeline * self.pipeline + 1e-6) + (1 - self.weight) * np.log(rate * self.rate + 1e-6)
        found: Reals = np.maximum(np.exp(logs) - 1e-6, 0.0)
        if self.share:
            found[0] = (found[0] + 0.5) ** (1 - self.share) * (self.season + 0.5) ** self.share - 0.5
        return np.maximum(found, 0.0)


def blended(
    past: Sequence[Past], phase: float, rolling: float = 0.0, lengths: float = 0.0, season: SeasonForecast | None = None
) -> Blend:
    """Return the blend at this share of a period.

    ``rolling`` is the mean square of the rate's errors (log-ratios) at earlier stretches as long as what is left; ``lengths`` for
    how many that counts. ``season`` counts where anything is known of what it was off by.
    """
    near = _by_period([one for one in past if abs(one.phase - phase) <= NEAR])
    counts = FADES ** np.arange(len(near))[::-1] * np.array([min(one.known / _KNOWN, 1.0) for one in near])
    luck = np.array([1 / max(one.said, 1.0) for one in near])
    of_pipeline = np.array([off(one.actual, one.pipeline) for one in near])
    of_rate = np.array([off(one.actual, one.rate) for one in near])
    bias_p, spread_p = _bias_spread(of_pipeline, luck, counts, _PIPELINE, 0.0, 0.0)
    bias_r, spread_r = _bias_spread(of_rate, luck, counts, _RATE, rolling, lengths)
    spreads, begins, offs = [spread_p, spread_r], [1.0, 1.0], [of_pipeline - bias_p, of_rate - bias_r]
    there = np.array([one.season is not None for one in near], bool)
    if season is not None and (there.any() or season.lengths):
        of_season = np.array([0.0 if one.season is None else off(one.actual, one.season) for one in near])
        squares = np.maximum(of_season[there] ** 2 - luck[there], 0.0)
        sums = float(counts[there] @ squares) + season.rolling * season.lengths + _CASES * _RATE**2
        spreads.append(max(sums / (float(counts[there].sum()) + season.lengths + _CASES), _LEAST**2))
        begins.append(_SEASON)
        offs.append(of_season)
    weights = np.array(begins) * np.array(spreads) ** -(_BEFORE + _EACH * float(counts.sum()))
    weights /= weights.sum()
    then = np.ones((len(weights), len(near)))
    then[2:] = there
    then *= weights[:, None]
    together = (then * np.array(offs)).sum(0) / then.sum(0)
    # The shock: what they, weighed as they are now, would have been off by together (what was said of a season when none was
    # known yet says nothing of now); before there is much of it, what the best of them was off by.
    seen, known = float(counts.sum()), min(spreads)
    start = (_SHOCKS * _SHOCK**2 + known) / (_SHOCKS + 1)
    sums = float(counts @ np.maximum(together**2 - luck, 0.0))
    shock = (sums + (_SHOCKS + 1) * start) / (seen + _SHOCKS + 1)
    apart, size = (float(counts @ np.array([one.segments[n] for one in near])) for n in (0, 1))
    usual = size / max(seen, 1e-9) or 1.0
    own = (apart - shock * size + _OWNS * _OWN**2 * usual) / (size + _OWNS * usual)
    share = float(weights[2]) if len(weights) > 2 else 0.0
    return Blend(
        float(weights[0] / weights[:2].sum()), float(np.exp(bias_p)), float(np.exp(bias_r)), float(np.sqrt(shock)),
        float(np.sqrt(max(own, _LEAST**2))), 0.0 if season is None else season.said, share,
    )  # fmt: skip


def off(actual: float, said: float) -> float:
    """Return by how much (a log-ratio) what came is above what was said."""
    return float(np.clip(np.log((actual + 0.5) / (said + 0.5)), -_WORST, _WORST))


def _bias_spread(off: Reals, luck: Reals, counts: Reals, usual: float, extra: float, cases: float) -> tuple[float, float]:
    """Return the bias, shrunk, and the variance of what is left, without luck; ``extra`` is the mean square of other errors."""
    bias = float(counts @ off) / (float(counts.sum()) + _BIAS)
    sums = float(counts @ np.maximum((off - bias) ** 2 - luck, 0.0)) + extra * cases + _CASES * usual**2
    return bias, max(sums / (float(counts.sum()) + cases + _CASES), _LEAST**2)


def _by_period(past: Sequence[Past]) -> list[Past]:
    """Return one for each period, the mean of those made in it: forecasts a few days apart are off together."""
    found = []
    for period in sorted({one.period for one in past}):
        mine = [one for one in past if one.period == period]
        rows = np.array([(*one[1:6], one.known) for one in mine])
        pairs = np.array([one.segments for one in mine])
        phase, pipeline, rate, said, actual, known = rows.mean(0).tolist()
        seasons = [one.season for one in mine if one.season is not None]
        season = float(np.mean(seasons)) if len(seasons) == len(mine) else None
        apart = float(pairs[:, 0].mean()), float(pairs[:, 1].mean())
        found.append(Past(period, phase, pipeline, rate, said, actual, apart, known, season=season))
    return found
