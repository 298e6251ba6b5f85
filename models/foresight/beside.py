"""What does another series, such as the weather or an index, know of what forecasts of sums will be off by?

Of the future it says nothing; what is held against a forecast's error is how far it was lately (a week) above the four weeks
before, when the forecast was made. The slope is of pairs that were known by then, drawn to none, so that what it takes away of
each error is said ahead; it is used only while it has made errors smaller so far, by more than chance may: of few stretches
that do not overlap much must have gone.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from models.foresight.law import Reals

_LATELY, _BEFORE = 7, 28
#: Pairs from which on a slope is told, and by how many it is drawn to none: of stretches that do not overlap.
_PAIRS, _DRAWN = 4, 4.0


class Adds(NamedTuple):
    """By what share a series has made errors smaller, each said ahead, and whether it is used now."""

    share: float
    used: bool


def explained(
    off: Reals, moments: np.ndarray[tuple[int], np.dtype[np.intp]], horizon: int, series: Mapping[str, Sequence[float | None]]
) -> tuple[Reals, dict[str, Adds]]:
    """Return what is to be added to what was said at each moment, the last one now, and what each series adds.

    ``off`` has the errors of the moments that are over. What a series adds is the share by which it made errors smaller, each
    said ahead (negative: larger), and whether it is used now.
    """
    added, adds = np.zeros(len(moments)), dict[str, Adds]()
    for name, values in series.items():
        by, adds[name] = _one(off - added[: len(off)], _lately(values)[moments], horizon)
        added += by
    return added, adds


def _lately(values: Sequence[float | None]) -> Reals:
    """Return how far the latest values were above those before them, after each; in multiples of how much that varies."""
    raw = np.array([np.nan if value is None else float(value) for value in values])
    found = np.full(len(raw), np.nan)
    for place in range(_LATELY + _BEFORE - 1, len(raw)):
        late, before = raw[place - _LATELY + 1 : place + 1], raw[place - _LATELY - _BEFORE + 1 : place - _LATELY + 1]
        if not np.isnan(late).all() and not np.isnan(before).all():
            found[place] = np.nanmean(late) - np.nanmean(before)
    spread = float(np.nanstd(found)) if (~np.isnan(found)).any() else 0.0
    return found / (spread or 1.0)


def _one(off: Reals, at: Reals, horizon: int) -> tuple[Reals, Adds]:
    by, added = np.zeros(len(at)), np.zeros(len(at))
    product = square = pairs = judged = with_it = without = 0.0
    used = False
    for place, here in enumerate(at.tolist()):
        over = place - horizon  # the forecast whose stretch has just gone by
        if 0 <= over < len(off) and at[over] == at[over]:
            product, square, pairs = product + off[over] * at[over], square + at[over] ** 2, pairs + 1
            if by[over]:
                with_it, without, judged = with_it + abs(off[over] - by[over]), without + abs(off[over]), judged + 1
        used = with_it * (1 + horizon / max(judged, 1.0)) < without
        if here == here and pairs >= _PAIRS * horizon:
            by[place] = product / (square + _DRAWN * horizon) * here
            added[place] = by[place] if used else 0.0
    return added, Adds(float(1 - with_it / without) if without > 0 else 0.0, bool(used))
