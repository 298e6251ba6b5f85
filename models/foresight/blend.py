"""How far are those who forecast to be believed, and how far off are they together, judging by their forecasts that came due?

Two of them say how many deals the rest of a period wins: the *pipeline* (open deals by their hazards, and arrivals) and the
*rate* (what is won a day, by the calendar). Each is weighted by how little it was off at about this share of the periods before,
errors of the rate at earlier stretches of the same length counting too. What both were off by together is the shock that all
deals of a period have in common: it does not average out over deals, as luck does.
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
#: How sharply they are told apart (as families of members are).
_SHARP = 0.35
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


class Blend(NamedTuple):
    """How much the pipeline weighs (the rest is the rate's), by what both are multiplied, the common and a segment's shock."""

    weight: float
    pipeline: float
    rate: float
    shock: float
    own: float

    def of(self, pipeline: Reals, rate: Reals) -> Reals:
        """Return what both say together."""
        logs = self.weight * np.log(pipeline * self.pipeline + 1e-6) + (1 - self.weight) * np.log(rate * self.rate + 1e-6)
        found: Reals = np.maximum(np.exp(logs) - 1e-6, 0.0)
        return found


def blended(past: Sequence[Past], phase: float, rolling: float = 0.0, lengths: float = 0.0) -> Blend:
    """Return the blend at this share of a period.

    ``rolling`` is the mean square of the rate's errors (log-ratios) at earlier stretches as long as what is left; ``lengths`` for
    how many that counts.
    """
    near = _by_period([one for one in past if abs(one.phase - phase) <= NEAR])
    counts = FADES ** np.arange(len(near))[::-1] * np.array([min(one.known / _KNOWN, 1.0) for one in near])
    luck = np.array([1 / max(one.said, 1.0) for one in near])
    of_pipeline = np.array([_off(one.actual, one.pipeline) for one in near])
    of_rate = np.array([_off(one.actual, one.rate) for one in near])
    together = np.array([_off(one.actual, one.said) for one in near])
    bias_p, spread_p = _bias_spread(of_pipeline, luck, counts, _PIPELINE, 0.0, 0.0)
    bias_r, spread_r = _bias_spread(of_rate, luck, counts, _RATE, rolling, lengths)
    # As in the pool of series (:mod:`models.foresight.pool`): told apart the more sharply, the more is known.
    worth = _SHARP * (4 + float(counts.sum())) / 2
    weight = 1 / (1 + (spread_p / spread_r) ** worth)
    # The shock: what both were off by together; before there is much of it, what the better of them was off by.
    seen, known = float(counts.sum()), min(spread_r, spread_p)
    start = (_SHOCKS * _SHOCK**2 + known) / (_SHOCKS + 1)
    sums = float(counts @ np.maximum(together**2 - luck, 0.0))
    shock = (sums + (_SHOCKS + 1) * start) / (seen + _SHOCKS + 1)
    apart, size = (float(counts @ np.array([one.segments[n] for one in near])) for n in (0, 1))
    usual = size / max(seen, 1e-9) or 1.0
    own = (apart - shock * size + _OWNS * _OWN**2 * usual) / (size + _OWNS * usual)
    return Blend(weight, float(np.exp(bias_p)), float(np.exp(bias_r)), float(np.sqrt(shock)), float(np.sqrt(max(own, _LEAST**2))))


def _off(actual: float, said: float) -> float:
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
        rows = np.array([(*one[1:6], one.known) for one in past if one.period == period])
        pairs = np.array([one.segments for one in past if one.period == period])
        phase, pipeline, rate, said, actual, known = rows.mean(0).tolist()
        found.append(
            Past(period, phase, pipeline, rate, said, actual, (float(pairs[:, 0].mean()), float(pairs[:, 1].mean())), known)
        )
    return found
