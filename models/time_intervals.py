"""Is it a time at which alerts may speak? Alertmanager's time intervals.

All fields of an interval must hold, one entry of each is enough. Times run from the start (inclusive) to the end (exclusive,
``24:00`` allowed), on the clock on the wall of the interval's zone: when the clocks change, an hour is missing or comes twice
here as it does there. Days of the month may be negative: ``-1`` is the last; what lies beyond the month's end is cut.
"""

import calendar as months_
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from models.calendar import time_zones
from models.config.suggest import near

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
KEYS = ("times", "weekdays", "days_of_month", "months", "years", "location")
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """When: an empty field means any. ``times`` are minutes of the day [start, end); the other ranges include both ends."""

    zone: ZoneInfo
    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()  # 0 is Sunday
    days: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()

    def holds(self, now: int) -> bool:
        """Whether the instant (milliseconds since the epoch) lies in it."""
        local = (_EPOCH + timedelta(milliseconds=now)).astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.times and not any(start <= minute < end for start, end in self.times):
            return False
        return self.on(local)

    def on(self, day: date) -> bool:
        """Whether it holds at any time of a day (a date in its own zone)."""
        last = months_.monthrange(day.year, day.month)[1]
        return (
            _within(self.weekdays, day.isoweekday() % 7)
            and (not self.days or any(_day_in(days, day.day, last) for days in self.days))
            and _within(self.months, day.month)
            and _within(self.years, day.year)
        )

    def possible(self) -> bool:
        """Whether there is any day at all at which it holds: the 30th of February is none."""
        lengths = {2: 29, **dict.fromkeys((4, 6, 9, 11), 30)}
        return not self.days or any(
            _day_in(days, day, lengths.get(month, 31))
            for month in range(1, 13)
            if _within(self.months, month)
            for days in self.days
            for day in range(1, lengths.get(month, 31) + 1)
        )


def usual(zone_name: str) -> dict[str, tuple[TimeInterval, ...]]:
    """Return the intervals that are there without being defined, in a zone; a plan may define them otherwise."""
    zone, weekdays = ZoneInfo(zone_name), ((1, 5),)
    return {
        "business_hours": (TimeInterval(zone, times=((9 * 60, 18 * 60),), weekdays=weekdays),),
        "weekdays": (TimeInterval(zone, weekdays=weekdays),),
    }


def _within(ranges: tuple[Range, ...], value: int) -> bool:
    return not ranges or any(start <= value <= end for start, end in ranges)


def _day_in(days: Range, day: int, last: int) -> bool:
    start, end = (value + last + 1 if value < 0 else value for value in days)
    return start <= day <= min(end, last)


def parse_interval(tree: Any, zone_name: str) -> tuple[TimeInterval | None, list[tuple[str, str]]]:
    """Return the interval of some parsed YAML, ``zone_name`` where it names no ``location``, and (key, problem) pairs."""
    if not isinstance(tree, Mapping):
        return None, [("", f"found {tree!r} (accepted: a mapping with the keys {', '.join(KEYS)})")]
    problems = [(str(name), f'unknown key "{name}"{near(name, KEYS)}') for name in tree if name not in KEYS]
    location = tree.get("location", zone_name)
    if location not in time_zones():
        problems.append(("location", f"unknown time zone {location!r}{near(location, time_zones(), listed=False)}"))
    fields: dict[str, tuple[Range, ...]] = {}
    readers: dict[str, tuple[str, Callable[[Any], Range]]] = {
        "times": ("times", _times),
        "weekdays": ("weekdays", lambda v: _range(v, _weekday)),
        "days_of_month": ("days", _days),
        "months": ("months", lambda v: _range(v, _month)),
        "years": ("years", lambda v: _range(v, _year)),
    }
    for key, (field, read) in readers.items():
        if key not in tree:
            continue
        values = tree[key]
        if not isinstance(values, list) or not values:
            problems.append((key, f"found {values!r} (accepted: a list)"))
            continue
        ranges: list[Range] = []
        for n, value in enumerate(values):
            try:
                ranges.append(read(value))
            except ValueError as error:
                problems.append((f"{key}[{n}]", str(error)))
        fields[field] = tuple(ranges)
    if problems:
        return None, problems
    interval = TimeInterval(ZoneInfo(location), **fields)
    if not interval.possible():
        return None, [("days_of_month", f"found {tree['days_of_month']!r}: never comes in these months")]
    return interval, []


def _times(value: Any) -> Range:
    if not isinstance(value, Mapping) or set(value) != {"start_time", "end_time"}:
        raise ValueError(f"found {value!r} (accepted: {{start_time: '09:00', end_time: '17:00'}})")
    start, end = minutes(value["start_time"]), minutes(value["end_time"])
    if start >= end:
        raise ValueError(f"ends before it starts: {value!r} (accepted: two entries, one to 24:00 and one from 00:00)")
    return start, end


def minutes(value: Any) -> int:
    """Return the minutes since midnight of ``09:00``; raise ``ValueError``."""
    if type(value) is int:
        # YAML 1.1 reads an unquoted 17:00 as 17 * 60.
        if 0 <= value <= 1440:
            return value
    elif isinstance(value, str) and len(value) == 5 and value[2] == ":" and (value[:2] + value[3:]).isdigit():
        found = int(value[:2]) * 60 + int(value[3:])
        if int(value[3:]) < 60 and found <= 1440:
            return found
    raise ValueError(f"not a time of day: {value!r} (accepted: 00:00 to 24:00)")


def _range(value: Any, read: Callable[[str], int]) -> Range:
    first, colon, second = str(value).strip().lower().partition(":")
    start = read(first.strip())
    end = read(second.strip()) if colon else start
    if end < start:
        raise ValueError(f"ends before it starts: {value!r} (accepted: two entries)")
    return start, end


def _weekday(text: str) -> int:
    if text in WEEKDAYS:
        return WEEKDAYS.index(text)
    raise ValueError(f"not a weekday: {text!r}{near(text, WEEKDAYS)}")


def _month(text: str) -> int:
    if text in MONTHS:
        return MONTHS.index(text) + 1
    if text.isdigit() and 1 <= int(text) <= 12:
        return int(text)
    raise ValueError(f"not a month: {text!r} (accepted: 1 to 12, or its English name)")


def _year(text: str) -> int:
    if text.isdigit() and 1970 <= int(text) <= 9999:
        return int(text)
    raise ValueError(f"not a year: {text!r} (accepted: 1970 to 9999)")


def _day(text: str) -> int:
    try:
        day = int(text)
    except ValueError:
        day = 0
    if 1 <= abs(day) <= 31:
        return day
    raise ValueError(f"not a day of the month: {text!r} (accepted: 1 to 31, or -1 for the last to -31)")


def _days(value: Any) -> Range:
    first, colon, second = str(value).strip().partition(":")
    start = _day(first.strip())
    end = _day(second.strip()) if colon else start
    if start < 0 < end:
        raise ValueError(f"{value!r}: the end must be negative where the start is (accepted: such as -3:-1)")
    if (31 + start if start < 0 else start) > (31 + end if end < 0 else end):
        raise ValueError(f"ends before it starts: {value!r}")
    return start, end
