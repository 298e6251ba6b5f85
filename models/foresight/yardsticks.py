"""What would be said without a model: the last period again, that of a year ago, that and its growth, the weighted pipeline?

Each takes what is won already for certain, and of the rest what came in the same stretch then; the weighted pipeline takes every
open deal times the share won of those that were in its stage, whenever that may be. Money is 1/10,000 of the business currency.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.calendar import Calendar
from models.deal_outlook import DIMENSIONS
from models.foresight.again import Earlier
from models.foresight.book import OPEN, WON, Columns
from models.foresight.deals_at import ForecastSpan, days_of
from models.foresight.law import Reals, Units
from models.foresight.outlook import Segment
from models.panes.windows import Window

NAMES = ("last_period", "season_ago", "last_year_growth", "stage_weighted")
#: Periods in a year, and in the season that is taken where no year is known (months: the quarter's third).
_YEAR, _SEASON = {"month": 12, "quarter": 4, "year": 1}, {"month": 3}


def yardsticks(
    columns: Columns, span: ForecastSpan, period: str, calendar: Calendar, by: str | None
) -> Callable[[Segment], tuple[int | None, ...]]:
    """Return what gives each segment's, in the order of :data:`NAMES`; None where the history does not reach back so far."""
    return _Yardsticks(columns, span, period, calendar, by)


class _Yardsticks:
    def __init__(self, columns: Columns, span: ForecastSpan, period: str, calendar: Calendar, by: str | None) -> None:
        won = np.flatnonzero((columns.status == WON) & (columns.closed < span.now))
        self._days = days_of(columns.closed[won], calendar)
        self._amounts = np.where(columns.amount[won] == -1, 0, columns.amount[won]).astype(float)
        self._codes = columns.values[won, DIMENSIONS.index(by)] if by is not None else np.zeros(len(won), np.int32)
        self._names = columns.names[by] if by is not None else ("",)
        self._first = int(self._days.min()) if len(won) else None
        self._starts = starts(period, span, calendar, _YEAR[period] + 1)
        self._gone = calendar.day(span.now) - calendar.day(span.start)
        self._length = calendar.day(span.end - 1) + 1 - calendar.day(span.start)
        self._year, self._season = _YEAR[period], _SEASON.get(period)
        openings = np.flatnonzero((columns.status == OPEN) | (columns.closed >= span.now))
        openings = openings[columns.created[openings] < span.now]
        odds = _odds(columns, span.now)
        amounts = np.maximum(columns.amount[openings], 0).astype(float)
        self._weighted = amounts * odds[columns.stage[openings]]
        self._open_codes = columns.values[openings, DIMENSIONS.index(by)] if by is not None else np.zeros(len(openings), np.int32)

    def __call__(self, segment: Segment) -> tuple[int | None, ...]:
        code = None if segment.value is None else self._names.index(segment.value)
        mine = np.ones(len(self._days), bool) if code is None else self._codes == code
        weighted = self._weighted if code is None else self._weighted[self._open_codes == code]

        def rest(back: int) -> int | None:
            """What came so many periods ago from this day of it on."""
            begin, stop = self._starts[back], self._starts[back - 1]
            day = begin + min(round(self._gone * (stop - begin) / self._length), stop - begin)
            if self._first is None or begin < self._first:
                return None
            return round(float(self._amounts[mine & (self._days >= day) & (self._days < stop)].sum()))

        def whole(back: int) -> float:
            begin, stop = self._starts[back], self._starts[back - 1]
            return float(self._amounts[mine & (self._days >= begin) & (self._days < stop)].sum())

        last, year = rest(1), rest(self._year)
        season = year if year is not None or self._season is None else rest(self._season)
        grown = None
        if year is not None and self._year > 1 and self._starts[self._year + 1] >= (self._first or 0):
            before = whole(self._year + 1)
            grown = year * min(max(whole(1) / before, 0.2), 5.0) if before > 0 else None
        found = (last, season, None if grown is None else round(grown), round(float(weighted.sum())) if len(self._days) else None)
        return tuple(None if one is None else segment.won + one for one in found)


def earlier(period: str, span: ForecastSpan, calendar: Calendar) -> Earlier:
    """Return when the periods before began, so far back that the season ago of those is known that count."""
    seasons = tuple(back for back in (_YEAR[period], _SEASON.get(period)) if back is not None)
    return Earlier(starts(period, span, calendar, 2 * _YEAR[period]), seasons)


def starts(period: str, span: ForecastSpan, calendar: Calendar, count: int) -> list[int]:
    """Return the first days of this period and of so many before it, going back."""
    found, at = [calendar.day(span.start)], span.start
    for _ in range(count):
        at = Window.parse(period).period(at, calendar)[0]
        found.append(calendar.day(at))
    return found


def _odds(columns: Columns, now: int) -> Reals:
    """Return the share won of the closed deals that have been in each stage; the last place is of deals without one."""
    over = np.flatnonzero((columns.status != OPEN) & (columns.closed < now))
    won: Any = columns.status[over] == WON
    count = len(columns.names["stage"])
    odds = np.full(count + 1, (float(won.sum()) + 1) / (len(over) + 2))
    stages: Units = columns.stages[over]
    for stage in range(min(count, 62)):
        been = (stages >> stage) & 1 > 0
        odds[stage] = (float(won[been].sum()) + 1) / (int(been.sum()) + 2)
    return odds
