"""How many deals would the rest of a period win if it were again as it was a season ago, and how far off has that been?

The yardstick of that name (:mod:`models.foresight.yardsticks`), in deals: the same stretch a year ago; of a month whose year is
not known, a quarter ago. It follows from the days on which was won alone: what it would have said at an earlier moment is known
without having been kept.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.foresight.blend import FADES, Past, SeasonForecast, off
from models.foresight.law import Reals

#: Earlier stretches by which is judged who knows no deals: how many, how far apart (days).
STRETCHES, APART = 13, 14


class Earlier(NamedTuple):
    """The days on which periods began, this one first, going back; how many periods make a season, the one preferred first."""

    starts: Sequence[int] = ()
    seasons: Sequence[int] = ()


#: Where nothing is known of them.
NONE = Earlier()


class SeasonAgo:
    """What was won in the same stretch of the season before, of this period and of earlier ones.

    ``wins`` are the deals won by day, from day ``first`` to today, which is not among them; ``stop`` is the day after the period.
    """

    def __init__(self, wins: Reals, first: int, stop: int, earlier: Earlier) -> None:
        self._wins, self._first, self._ends, self._earlier = wins, first, (stop, *earlier.starts), earlier

    def season(self, today: int, shares: Reals) -> SeasonForecast | None:
        """Return what it says of the rest of this period; None where no season ago is known, or how far off one has been.

        ``shares`` says how much of each day to come is still ahead.
        """
        found = self._at(0, today) if len(shares) else None
        if found is None:
            return None
        said, begin, back = found
        said -= (1 - float(shares[0])) * self._won(begin, begin + 1)
        return SeasonForecast(said, *self._rolling(len(shares), self._earlier.starts[0] - self._earlier.starts[back]))

    def judged(self, past: Sequence[Past], starts: Sequence[int]) -> list[Past]:
        """Return forecasts that have come due with what this would have said then; ``starts`` are their periods' first days."""
        places = {start: place for place, start in enumerate(self._earlier.starts)}
        found = []
        for one, start in zip(past, starts, strict=True):
            then = self._at(places[start], one.day) if start in places else None
            found.append(one if then is None else one._replace(season=then[0]))
        return found

    def _at(self, place: int, day: int) -> tuple[float, int, int] | None:
        """Return what was won a season before the period at a place, from the same day on; that day; periods back."""
        for back in self._earlier.seasons:
            if place + back + 1 < len(self._ends) and self._ends[place + back + 1] >= self._first:
                start, stop = self._ends[place + 1], self._ends[place]
                begin, end = self._ends[place + back + 1], self._ends[place + back]
                same = begin + min(round((day - start) * (end - begin) / (stop - start)), end - begin)
                return self._won(same, end), same, back
        return None

    def _won(self, begin: int, end: int) -> float:
        return float(self._wins[begin - self._first : end - self._first].sum())

    def _rolling(self, length: int, back: int) -> tuple[float, float]:
        """Return the mean square of its errors (log-ratios) at earlier stretches as long, and for how many they count."""
        squares, weights = list[float](), list[float]()
        last = len(self._wins) - length
        for at in range(last, back - 1, -APART)[:STRETCHES]:
            said, actual = float(self._wins[at - back : at - back + length].sum()), float(self._wins[at : at + length].sum())
            squares.append(max(off(actual, said) ** 2 - 1 / max(said, 1.0), 0.0))
            weights.append(FADES ** ((last - at) / max(length, APART)))
        if not squares:
            return 0.0, 0.0
        counts = np.array(weights)
        return float(counts @ np.array(squares) / counts.sum()), float(counts.sum()) * min(APART / max(length, APART), 1.0)
