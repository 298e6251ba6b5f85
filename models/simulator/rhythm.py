"""When do things happen in the simulated company: which days are busy, which hours, and when is the office open?

All times are UTC; a day begins at 00:00 UTC. Weekday 0 is Monday.
"""

from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from random import Random

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

WEEKDAYS_OFFICE = (1.12, 1.2, 1.15, 1.05, 0.85, 0.0, 0.0)
WEEKDAYS_WEB = (1.12, 1.18, 1.15, 1.1, 0.95, 0.7, 0.8)
MONTHS = (0.95, 1.0, 1.1, 1.02, 0.98, 1.05, 0.85, 0.68, 1.12, 1.12, 1.1, 0.83)
"""January to December: a dip in the summer and before the new year, a push at the quarters' ends."""

_OFFICE_HOURS = (0, 0, 0, 0, 0, 0, 0, 0, 4, 9, 11, 10, 5, 7, 10, 10, 9, 6, 2, 0, 0, 0, 0, 0)
_WEB_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 12, 10, 11, 12, 12, 11, 10, 9, 9, 9, 8, 6, 4)
_OPEN, _CLOSE = 8 * HOUR, 19 * HOUR


def weekday(at: int) -> int:
    """The weekday of an instant; 1970-01-01 was a Thursday."""
    return (at // DAY + 3) % 7


@lru_cache(maxsize=1024)
def month(day: int) -> int:
    """The month, 1 to 12, of a day counted from the epoch (civil-from-days, exact for all dates)."""
    of_era = (day + 719_468) % 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    day_of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    return shifted + 3 if shifted < 10 else shifted - 9


def busy(at: int, weekdays: Sequence[float]) -> float:
    """How busy the day of ``at`` is, 1 on average."""
    return weekdays[weekday(at)] * MONTHS[month(at // DAY) - 1]


class HourOfDay:
    """Draws instants within a day that follow an hourly profile."""

    __slots__ = ("_cumulated",)

    def __init__(self, hours: Sequence[int]) -> None:
        self._cumulated = list(accumulate(hours))

    def draw(self, random: Random) -> int:
        """Milliseconds after midnight."""
        u = random.random() * self._cumulated[-1]
        hour = bisect(self._cumulated, u)
        return hour * HOUR + int(random.random() * HOUR)


OFFICE = HourOfDay(_OFFICE_HOURS)
WEB = HourOfDay(_WEB_HOURS)


def office(at: int, random: Random) -> int:
    """``at`` itself in office hours, otherwise an instant in the first hours of the next working day."""
    day, time = divmod(at, DAY)
    if _OPEN <= time < _CLOSE and (day + 3) % 7 < 5:
        return at
    if time >= _CLOSE:
        day += 1
    while (day + 3) % 7 >= 5:
        day += 1
    later = day * DAY + _OPEN + int(random.random() * 3 * HOUR)
    return max(later, at)


def office_time(at: int) -> int:
    """How long the office has been open up to ``at``, in ms from an arbitrary beginning; it never falls."""
    day, time = divmod(at, DAY)
    week, of_week = divmod(day + 3, 7)
    today = min(max(time - _OPEN, 0), _CLOSE - _OPEN) if of_week < 5 else 0
    return (5 * week + min(of_week, 5)) * (_CLOSE - _OPEN) + today


OFFICE_SHARE = 5 * (_CLOSE - _OPEN) / (7 * DAY)
"""Share of a week in which the office is open."""


def poisson(random: Random, mean: float) -> int:
    """A Poisson number; by the normal approximation where the mean is large, as Knuth's way takes time ∝ mean."""
    if mean <= 0:
        return 0
    if mean > 60:
        return max(0, round(random.gauss(mean, mean**0.5)))
    number, left = 0, random.expovariate(1.0)
    while left < mean:
        number += 1
        left += random.expovariate(1.0)
    return number
