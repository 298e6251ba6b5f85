"""What do the draws of a period say, in total and by segment: open deals tilted to what they bring together, and those to come?

Open deals keep their order of likelihood: their odds are all multiplied by one number, so that they come to what is expected of
them together (nothing passes 1). The shock of a period is drawn at equal steps of its law, the same for all segments; beside it
each segment has its own. Within a step, deals are independent coins (:mod:`models.foresight.law`); how many new ones are won is
Poisson, what they bring is drawn from what was brought before.
"""

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from models.foresight.law import Reals, Units

#: Steps of the shock's law.
STEPS = 10
_NORMAL = NormalDist()
_SHOCKS = np.array([_NORMAL.inv_cdf((n + 0.5) / STEPS) for n in range(STEPS)])
#: Deals that are drawn together, and how many such are drawn at once (1,000 draws of each: 2 MB).
EIGHT, _CHUNK = 8, 256
#: Above so many new deals on average their sum is near enough to normal.
_MANY = 400.0


class SegmentPart(NamedTuple):
    """One segment: its open deals (amounts in units of money, P(won in time)), what they win together, how many new ones are won,
    and what such have brought."""

    amounts: Units
    chances: Reals
    open_wins: float
    new_wins: float
    sizes: Reals


class Drawn(NamedTuple):
    """What open deals and new ones bring, a draw each; and their means, which are not drawn."""

    open: Units
    new: Units
    open_mean: float
    new_mean: float
    new_wins: float


def draw_parts(parts: list[SegmentPart], shock: float, own: float, draws: int, random: np.random.Generator) -> list[Drawn]:
    """Return what each segment brings: draw by draw under the same shock, so that they may be added."""
    each = -(-draws // STEPS)
    found = []
    for part in parts:
        order = random.permutation(STEPS) if own else np.arange(STEPS)
        factors = np.exp(shock * _SHOCKS + own * _SHOCKS[order])
        factors /= factors.mean()
        opened, came, means = [], [], []
        sums = _sums(part.amounts)
        for factor in factors:
            tilted = tilt(part.chances, part.open_wins * factor)
            opened.append(_coins(sums, tilted, each, random))
            means.append(float(tilted @ part.amounts) if len(tilted) else 0.0)
            came.append(_new(part.new_wins * factor, part.sizes, each, random))
        size = float(part.sizes.mean()) if len(part.sizes) else 0.0
        found.append(
            Drawn(np.concatenate(opened), np.concatenate(came), float(np.mean(means)), part.new_wins * size, part.new_wins)
        )
    return found


def _sums(amounts: Units) -> Units:
    """Return what each eight deals bring in each of their 256 outcomes: a row each."""
    rows = np.zeros((-(-len(amounts) // EIGHT), EIGHT), np.int64)
    rows.ravel()[: len(amounts)] = amounts
    found = np.zeros((len(rows), 1), np.int64)
    for column in range(EIGHT):
        found = np.concatenate((found, found + rows[:, column, None]), 1)
    return found


def _coins(sums: Units, chances: Reals, draws: int, random: np.random.Generator) -> Units:
    """Return so many draws of what the deals bring: each eight of them drawn from evenly and in an order of its own.

    As :func:`models.foresight.law.drawn`, but for all at once: a thousand deals are no thousand steps.
    """
    total = np.zeros(draws, np.int64)
    padded = np.zeros(len(sums) * EIGHT)
    padded[: len(chances)] = chances
    for first in range(0, len(sums), _CHUNK):
        wins = padded.reshape(-1, EIGHT)[first : first + _CHUNK]
        likely = np.ones((len(wins), 1))
        for column in range(EIGHT):
            likely = np.concatenate((likely * (1 - wins[:, column, None]), likely * wins[:, column, None]), 1)
        ends = np.cumsum(likely, 1)
        upto = np.ceil(ends / ends[:, -1:] * draws - random.random((len(wins), 1))).astype(np.int64)
        upto = np.clip(upto, 0, draws)
        upto[:, -1] = draws
        times = np.diff(upto, axis=1, prepend=0)
        values = np.repeat(sums[first : first + _CHUNK].ravel(), times.ravel()).reshape(len(wins), draws)
        total += random.permuted(values, axis=1).sum(0)
    return total


def tilt(chances: Reals, together: float) -> Reals:
    """Return the chances with all odds multiplied by one number, so that they sum to ``together`` (as near as can be)."""
    there = chances > 0
    if not there.any() or together <= 0:
        return np.zeros(len(chances)) if together <= 0 else chances
    found = np.zeros(len(chances))
    known = np.clip(chances[there], 1e-9, 1 - 1e-9)
    wanted = min(together, 0.995 * len(known))
    odds = np.log(known / (1 - known))
    shift = float(np.log(wanted / float(known.sum())))
    for _ in range(40):
        now = 1 / (1 + np.exp(-(odds + shift)))
        off = wanted - float(now.sum())
        if abs(off) <= 1e-9 * wanted:
            break
        shift += float(np.clip(off / max(float((now * (1 - now)).sum()), 1e-9), -2.0, 2.0))
    found[there] = 1 / (1 + np.exp(-(odds + shift)))
    return found


def _new(mean: float, sizes: Reals, draws: int, random: np.random.Generator) -> Units:
    if mean <= 0 or not len(sizes):
        return np.zeros(draws, np.int64)
    if mean > _MANY:
        spread = np.sqrt(mean * float((sizes**2).mean()))
        normal: Units = np.rint(mean * sizes.mean() + spread * random.standard_normal(draws)).astype(np.int64)
        return normal
    counts = random.poisson(mean, draws)
    ends = np.cumsum(counts)
    taken = np.concatenate(((0.0,), np.cumsum(sizes[random.integers(0, len(sizes), int(ends[-1]))])))
    sums: np.ndarray[Any, np.dtype[np.float64]] = taken[ends] - taken[ends - counts]
    found: Units = np.rint(sums).astype(np.int64)
    return found
