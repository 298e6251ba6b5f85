"""How good were the forecasts of the periods that are over, beside the yardsticks, and which is best lately?

CRPS is twice the mean pinball loss over the shares that are told; a yardstick's law is normal around what it says, as wide as it
was off in the periods before (one without such a past is not scored). T. Gneiting and A. Raftery, "Strictly proper scoring rules,
prediction, and estimation", Journal of the American Statistical Association 102 (477), 2007.
"""

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from models.foresight.kept import Said
from models.foresight.law import Reals
from models.foresight.outlook import SHARES
from models.foresight.yardsticks import NAMES

FORECAST = "forecast"
#: At which share of the period it was asked: before this share of it.
ASKED = {"start": 0.125, "quarter": 0.375, "half": 0.625, "rest": 1.1}
#: Periods that are lately.
LATELY = 6
_SHARES = np.array(SHARES)
_NORMAL = np.array([NormalDist().inv_cdf(share) for share in SHARES])
_P10, _P50, _P90 = (SHARES.index(share) for share in (0.1, 0.5, 0.9))
_BINS = 10


class Score(NamedTuple):
    """Of one forecast: losses in the unit of what was forecast, the rank of what came among what was said, and P10 to P90."""

    crps: float
    pinball: float
    pit: float
    covered: bool
    off: float  # the mean, less what came


def score(quantiles: Reals, mean: float, actual: float) -> Score:
    """Return the score of a law that is told by its quantiles at SHARES."""
    losses = np.maximum(_SHARES * (actual - quantiles), (_SHARES - 1) * (actual - quantiles))
    below, upto = float(np.mean(quantiles < actual)), float(np.mean(quantiles <= actual))
    covered = bool(quantiles[_P10] <= actual <= quantiles[_P90])
    return Score(2 * float(losses.mean()), float(losses[[_P10, _P50, _P90]].mean()), (below + upto) / 2, covered, mean - actual)


class Scored(NamedTuple):
    """A record with its score, and those of the yardsticks (None: not told, or never off before)."""

    said: Said
    score: Score
    yardsticks: tuple[Score | None, ...]

    @property
    def asked(self) -> str:
        """At which share of the period it was made."""
        return next(name for name, before in ASKED.items() if self.said.phase < before)


def scored(records: Iterable[Said]) -> list[Scored]:
    """Return the scores of one or more segments' records that have come due. Yardsticks are as wide as they were off before."""
    off: dict[tuple[str, str, str, int], list[tuple[int, float]]] = {}
    found = []
    for one in sorted(records, key=lambda one: (one.start, one.day)):
        if one.actual is None or not one.quantiles:
            continue
        asked = next(name for name, before in ASKED.items() if one.phase < before)
        beside: list[Score | None] = []
        for number, point in enumerate(one.yardsticks):
            misses = off.setdefault((one.by, one.value, asked, number), [])
            earlier = [miss for end, miss in misses if end <= one.start]
            if point is None or not earlier:
                beside.append(None)
            else:
                spread = float(np.sqrt(np.mean(np.square(earlier)))) + 1e-9
                beside.append(score(point + _NORMAL * spread, point, one.actual))
            if point is not None:
                misses.append((one.end, float(one.actual - point)))
        found.append(Scored(one, score(np.array(one.quantiles, float), one.mean, one.actual), tuple(beside)))
    return found


class ScoreSummary(NamedTuple):
    """Of many forecasts."""

    forecasts: int
    crps: float
    pinball: float
    coverage: float
    bias: float  # Σ (mean - what came) / Σ what came
    pit: float


def summary(scores: Sequence[Scored]) -> dict[str, ScoreSummary]:
    """Return the measures of the forecast, and of each yardstick where it was scored."""
    found: dict[str, ScoreSummary] = {}
    for number, name in enumerate((FORECAST, *NAMES)):
        rows = [(one, mine) for one in scores if (mine := one.score if not number else _nth(one, number - 1)) is not None]
        if not rows:
            continue
        came = sum(abs(one.said.actual or 0) for one, _ in rows)
        found[name] = ScoreSummary(
            len(rows),
            float(np.mean([mine.crps for _, mine in rows])),
            float(np.mean([mine.pinball for _, mine in rows])),
            float(np.mean([mine.covered for _, mine in rows])),
            sum(mine.off for _, mine in rows) / came if came else 0.0,
            float(np.mean([mine.pit for _, mine in rows])),
        )
    return found


def _nth(one: Scored, number: int) -> Score | None:
    return one.yardsticks[number] if number < len(one.yardsticks) else None


def best_lately(scores: Sequence[Scored]) -> tuple[str, int, dict[str, float]] | None:
    """Return which was best over the latest periods, of how many, and the CRPS of each; of forecasts that all compared have."""
    periods = sorted({one.said.start for one in scores})[-LATELY:]
    lately = [one for one in scores if one.said.start in periods]
    if not lately:
        return None
    compared = [n for n in range(len(NAMES)) if sum(_nth(one, n) is not None for one in lately) * 2 >= len(lately)]
    both = [one for one in lately if all(_nth(one, n) is not None for n in compared)]
    if not both:
        compared, both = [], lately
    crps = {FORECAST: float(np.mean([one.score.crps for one in both]))}
    for n in compared:
        crps[NAMES[n]] = float(np.mean([mine.crps for one in both if (mine := _nth(one, n)) is not None]))
    return min(crps, key=lambda name: crps[name]), len({one.said.start for one in both}), crps


def calibration(records: Iterable[Said]) -> tuple[float | None, list[tuple[float, float, int]]]:
    """Return the expected calibration error of the targets' probabilities, and (said, came, how many) by tenths."""
    rows = [(one.p_target, one.actual >= one.target) for one in records if None not in (one.p_target, one.target, one.actual)]  # type: ignore[operator]
    bins: list[tuple[float, float, int]] = []
    for step in range(_BINS):
        mine = [(said, came) for said, came in rows if said is not None and min(int(said * _BINS), _BINS - 1) == step]
        if mine:
            bins.append((float(np.mean([said for said, _ in mine])), float(np.mean([came for _, came in mine])), len(mine)))
    if not bins:
        return None, []
    return sum(abs(said - came) * count for said, came, count in bins) / len(rows), bins
