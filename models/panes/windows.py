"""Which panes does a KPI's window hold at an instant?

A rolling window is [the pane boundary at or before ``at`` − W, ``at``): minute panes up to one hour, hour panes below 30
days, business days from there on. A calendar window is the period that holds the instant just before ``at``, to date, so
that at a month's end it is the whole month. Years begin with the fiscal year's first month, and quarters with it or three, six,
nine months later.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Grain, month_on

#: A pane number that no pane reaches: the end of a span without end.
FOREVER = 10**12

#: What is shown where no window is asked for.
DEFAULT_WINDOWS = ("24h", "7d", "30d")

PERIODS = ("day", "week", "month", "quarter", "year")
ACCEPTED = "a rolling window of hours or days (1h, 24h, 7d, 30d, 90d) or day, week, month, quarter, year"

#: Days after a period's first that lie in the next one, whatever the calendar.
_BEYOND = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}

_ROLLING = re.compile(r"([1-9]\d{0,3})([hd])")
_LONGEST_DAYS = 750  # day panes are kept for 800 days


class WindowError(ValueError):
    """The text names no window."""


class Span(NamedTuple):
    """The panes ``first <= number < stop`` of one grain."""

    grain: Grain
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that ends at the reading's instant. ``length`` is in milliseconds, 0 for a calendar period.

    ``first``: the day (its ordinal) it begins with, whatever the instant; 0 for all others.
    """

    name: str
    grain: Grain  # in which the window's beginning is cut, and in which distinct entities are counted
    length: int
    first: int = 0

    @classmethod
    def parse(cls, name: str) -> "Window":
        """Return the window of that name; raise :class:`WindowError` where it is none."""
        if name in PERIODS:
            return cls(name, Grain.DAY, 0)
        found = _ROLLING.fullmatch(name)
        if found:
            length = int(found[1]) * (HOUR_MS if found[2] == "h" else DAY_MS)
            if length <= _LONGEST_DAYS * DAY_MS:
                grain = Grain.MINUTE if length <= HOUR_MS else Grain.HOUR if length < 30 * DAY_MS else Grain.DAY
                return cls(name, grain, length)
        raise WindowError(f"unknown window {name!r} (accepted: {ACCEPTED}, at most {_LONGEST_DAYS}d)")

    @classmethod
    def since(cls, first: int) -> "Window":
        """Return the window that begins with a day (its ordinal)."""
        return cls(f"since {date.fromordinal(first).isoformat()}", Grain.DAY, 0, first)

    def bounds(self, at: int, calendar: Calendar) -> tuple[int, int]:
        """Return ``(from, at)`` in epoch milliseconds."""
        if self.first:
            return calendar.day_start(self.first), at
        if self.length:
            return calendar.start(self.grain, calendar.pane(self.grain, at - self.length)), at
        return calendar.day_start(_period_start(self.name, calendar.day(at - 1), calendar.first_month)), at

    def period(self, at: int, calendar: Calendar) -> tuple[int, int]:
        """Return the whole calendar period that holds the instant just before ``at``; a rolling window raises ``ValueError``."""
        if self.length:
            raise ValueError(f"{self.name} is no calendar period (accepted: {', '.join(PERIODS)})")
        first, stop = self.period_days(at, calendar)
        return calendar.day_start(first), calendar.day_start(stop)

    def period_days(self, at: int, calendar: Calendar) -> tuple[int, int]:
        """Return the first day (its ordinal) of the whole period, and the first day after it. Not of a rolling one."""
        if self.first:
            return self.first, calendar.day(at - 1) + 1
        first = _period_start(self.name, calendar.day(at - 1), calendar.first_month)
        return first, _period_start(self.name, first + _BEYOND[self.name], calendar.first_month)

    def previous(self, at: int, calendar: Calendar) -> int:
        """Return the instant at which this window, read, is the stretch of time before the one it is at ``at``.

        A rolling window's ends where the present one begins. A calendar period's is the period before, up to as much of it as
        has passed of the present one, to the hour (to the day from a quarter on: hours are not kept so long).
        """
        start, _ = self.bounds(at, calendar)
        if self.length:
            return calendar.hour_start(calendar.hour(start)) if self.grain is Grain.MINUTE else start
        before = calendar.day_start(_period_start(self.name, calendar.day(start - 1), calendar.first_month))
        passed = before + (at - start)
        grain = Grain.DAY if self.name in ("quarter", "year") else Grain.HOUR
        end = calendar.start(grain, calendar.pane(grain, passed))
        return min(start, max(end, before + 1))

    def week_ago(self, at: int, calendar: Calendar) -> int:
        """Return the instant a week ago at the same time of the business day, to the hour (to the day for long windows)."""
        day = calendar.day(at)
        moved = calendar.day_start(day - 7) + (at - calendar.day_start(day))
        grain = Grain.DAY if self.grain is Grain.DAY and self.name not in ("day", "week", "month") else Grain.HOUR
        return calendar.start(grain, calendar.pane(grain, moved))

    def panes(self, at: int, calendar: Calendar) -> Span:
        """Return the window in panes of its own grain, the last one whole: what distinct entities are counted in."""
        start, _ = self.bounds(at, calendar)
        return Span(self.grain, calendar.pane(self.grain, start), calendar.pane(self.grain, at - 1) + 1)

    def cover(self, at: int, calendar: Calendar, finest: Grain = Grain.MINUTE) -> tuple[Span, ...]:
        """Return the fewest panes that make up the window, none twice."""
        return cover(*self.bounds(at, calendar), calendar, finest)


def _period_start(period: str, day: int, first_month: int) -> int:
    """Return the first day (its ordinal) of the calendar period that holds the day."""
    local = date.fromordinal(day)
    match period:
        case "week":
            return day - local.weekday()
        case "month":
            return month_on(day, 0)
        case "quarter":
            return month_on(day, -((local.month - first_month) % 3))
        case "year":
            return month_on(day, -((local.month - first_month) % 12))
    return day


def cover(start: int, at: int, calendar: Calendar, finest: Grain = Grain.MINUTE) -> tuple[Span, ...]:
    """Return the panes that make up [start, at): whole days, the hours and minutes before and after them.

    The minute that holds the last millisecond before ``at`` counts whole. With ``finest`` HOUR the stretch begins with the
    hour that holds ``start`` and ends with the last whole hour at or before ``at``.
    """
    if finest is Grain.HOUR:
        start, end = calendar.hour_start(calendar.hour(start)), calendar.hour_start(calendar.hour(at))
    else:
        end = _minute_end(at)
    if start >= end:
        return ()
    first, stop = calendar.day(start), calendar.day(end)
    if calendar.day_start(first) < start:
        first += 1
    if first < stop:
        head, tail = calendar.day_start(first), calendar.day_start(stop)
        return (*_hours(start, head, calendar), Span(Grain.DAY, first, stop), *_hours(tail, end, calendar))
    return _hours(start, end, calendar)


def after(at: int, calendar: Calendar) -> tuple[Span, ...]:
    """Return the panes of all that comes at or after ``at``, the complement of ``cover``: a level at ``at`` is all less these."""
    end = _minute_end(at)
    day = calendar.day(end)
    if calendar.day_start(day) < end:
        day += 1
    return (*_hours(end, calendar.day_start(day), calendar), Span(Grain.DAY, day, FOREVER))


def _minute_end(at: int) -> int:
    return -(-at // MINUTE_MS) * MINUTE_MS


def _hours(start: int, end: int, calendar: Calendar) -> tuple[Span, ...]:
    first, stop = calendar.hour(start), calendar.hour(end)
    if calendar.hour_start(first) < start:
        first += 1
    if first >= stop:
        return _minutes(start, end)
    head, tail = calendar.hour_start(first), calendar.hour_start(stop)
    return (*_minutes(start, head), Span(Grain.HOUR, first, stop), *_minutes(tail, end))


def _minutes(start: int, end: int) -> tuple[Span, ...]:
    return (Span(Grain.MINUTE, start // MINUTE_MS, end // MINUTE_MS),) if start < end else ()
