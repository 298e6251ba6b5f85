"""How recently, how often and for how much has a customer bought, against all others; and what do we call that?

**Equal values, equal scores**: a score is 1 + ⌊5 × the share of customers that are strictly worse⌋, in whole numbers. So half
of a clientele that has bought once scores 1 in F, however long it is, and quintiles cut nobody in two. The values that
customers are held against, the *cuts*, are those of one day: a score moves because the customer did, or at midnight.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
SCORES = range(1, 6)
Range = tuple[int, int]
_ALL: Range = (1, 5)


class Segment(NamedTuple):
    """A name for customers whose scores are in these ranges, ends included."""

    name: str
    r: Range = _ALL
    f: Range = _ALL
    m: Range = _ALL

    def holds(self, r: int, f: int, m: int) -> bool:
        """Whether a customer with these scores is of the segment."""
        return all(low <= score <= high for score, (low, high) in zip((r, f, m), self[1:], strict=True))


#: What there is where the settings name no segments.
SEGMENTS = (
    Segment("champions", (4, 5), (4, 5), (4, 5)),
    Segment("new", (4, 5), (1, 1)),
    Segment("loyal", (3, 5), (3, 5)),
    Segment("promising", (3, 5), (1, 2)),
    Segment("at risk", (1, 2), (3, 5)),
    Segment("hibernating", (1, 2), (1, 2)),
)


class Named:
    """Names the 125 combinations of scores: the first segment that holds one has it, and each has one."""

    def __init__(self, segments: Sequence[Segment] = SEGMENTS) -> None:
        """Raise ``ValueError`` where a combination has no name, or a name no combination."""
        table = np.zeros((5, 5, 5), np.int64)
        met: set[int] = set()
        for r in SCORES:
            for f in SCORES:
                for m in SCORES:
                    place = next((at for at, one in enumerate(segments) if one.holds(r, f, m)), None)
                    if place is None:
                        raise ValueError(f"segments: no one holds r {r}, f {f}, m {m} (accepted: ranges that together hold all)")
                    table[r - 1, f - 1, m - 1] = place
                    met.add(place)
        never = [one.name for at, one in enumerate(segments) if at not in met]
        if never:
            raise ValueError(f"segments: {', '.join(never)}: everything they hold is in segments before them")
        self.names = tuple(one.name for one in segments)
        self._table = table

    def of(self, r: Ints, f: Ints, m: Ints) -> Ints:
        """Return the place of each customer's segment in ``names``."""
        found: Ints = self._table[r - 1, f - 1, m - 1]
        return found


class Cuts:
    """The values of one day: last purchase days, purchase days, totals, each in order. ``day`` is the day (an ordinal)."""

    def __init__(self, day: int, last: Ints, frequency: Ints, total: Ints) -> None:
        self.day = day
        self._last, self._frequency, self._total = np.sort(last), np.sort(frequency), np.sort(total)

    def scores(self, last: Ints, frequency: Ints, total: Ints) -> tuple[Ints, Ints, Ints]:
        """Return R, F and M of customers by their last purchase day (later is better), purchase days and total."""
        return _score(last, self._last), _score(frequency, self._frequency), _score(total, self._total)


def _score(values: Ints, among: Ints) -> Ints:
    if not len(among):
        return np.ones(len(values), np.int64)
    worse = np.searchsorted(among, values, side="left")
    # Better than all of the cuts' day: still 5.
    return np.minimum(1 + 5 * worse // len(among), 5).astype(np.int64)


def counts(names: Sequence[str], places: Ints) -> Mapping[str, int]:
    """Return how many customers are in each segment."""
    found = np.bincount(places, minlength=len(names))
    return {name: int(count) for name, count in zip(names, found, strict=True)}
