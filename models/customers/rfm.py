"""How recently, how often and for how much has a customer bought, against all others; and what do we call that?

**Equal values, equal scores**: a score is 1 + ⌊5 × the share of customers that are strictly worse⌋, in whole numbers. So half
of a clientele that has bought once scores 1 in F, however long it is, and quintiles cut nobody in two. The values that
customers are held against, the *cuts*, are those of one day: a score moves because the customer did, or at midnight.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.customers.segments import Named

Ints = npt.NDArray[np.int64]


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


def places(named: Named, r: Ints, f: Ints, m: Ints) -> Ints:
    """Return the place of each customer's segment in ``named.names``."""
    found: Ints = np.array(named.table, np.int64)[(r - 1) * 25 + (f - 1) * 5 + m - 1]
    return found


def counts(named: Named, found: Ints) -> Mapping[str, int]:
    """Return how many customers are in each segment."""
    many = np.bincount(found, minlength=len(named.names))
    return {name: int(count) for name, count in zip(named.names, many, strict=True)}
