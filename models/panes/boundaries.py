"""At which instants is a history read: every so many hours or days, or at the ends of weeks, months, quarters and years?"""

import re
from collections.abc import Iterator
from datetime import date

from models.calendar import HOUR_MS, Calendar, month_on

ACCEPTED = "a number of h or d, such as 1d, or week, month, quarter, year"
_EVERY = re.compile(r"([1-9]\d{0,3})([hd])")


def boundaries(every: str, first: int, calendar: Calendar) -> Iterator[int]:
    """Yield the boundaries after the instant ``first`` (epoch ms), without end, in the business time zone.

    Days and longer periods begin at local midnight; hours are counted from the first local midnight before ``first``.
    Raise ``ValueError`` for a period there is none of.
    """
    day = calendar.day(first)
    if every in ("week", "month", "quarter", "year"):
        while True:
            day = _next(every, day, calendar.first_month)
            yield calendar.day_start(day)
    found = _EVERY.fullmatch(every)
    if found is None:
        raise ValueError(f"every: found {every!r}; accepted: {ACCEPTED}")
    step = int(found[1])
    if found[2] == "d":
        while True:
            day += step
            yield calendar.day_start(day)
    at = calendar.day_start(day)
    while True:
        at += step * HOUR_MS
        if at > first:
            yield at


def _next(period: str, day: int, first_month: int) -> int:
    """Return the first day (its ordinal) of the period after the one that holds the day."""
    local = date.fromordinal(day)
    if period == "week":
        return day - local.weekday() + 7
    length = {"month": 1, "quarter": 3, "year": 12}[period]
    return month_on(day, length - (local.month - first_month) % length)
