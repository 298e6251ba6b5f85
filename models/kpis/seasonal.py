"""Is the last complete hour, day or week out of the ordinary for its time?

What was to be expected of it is said by the periods before: by the level, the weekday, holidays and the month
(:mod:`models.seasons.usual`). Everything is read from the panes, as they are known now; nothing is remembered. ``deviations`` is
how many spreads the last period lies above (or, negative, below) what was expected.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from models.calendar import Calendar, Grain, iso
from models.kpis.reading import Reading
from models.panes.windows import Window


class Season(NamedTuple):
    """How complete periods of one window follow each other, and how many are looked back at."""

    step: int  # business days from one period to the next of its kind
    back: int
    weekly: bool  # whether weekdays differ


#: Hours are kept 35 days.
SEASONS = {"1h": Season(1, 34, True), "day": Season(1, 63, True), "week": Season(7, 52, False)}
_WEEK = Window.parse("week")
#: Weeks by which months are told apart; the oldest of a year before that must have had something.
_WEEKS, _YEAR = 104, 57


class SeasonalPast(NamedTuple):
    """Complete periods that follow each other, the oldest first."""

    readings: list[Reading]
    days: list[int]  # the business day of each (of a week its last one)
    holidays: list[str | None]  # what that day is called


def bucket(window: Window, at: int, calendar: Calendar) -> int:
    """Return the end of the last complete period at ``at``; raise ``KeyError`` for windows that have none."""
    SEASONS[window.name]
    if window.length:
        return calendar.hour_start(calendar.hour(at))
    start, _ = window.bounds(at + 1, calendar)
    return start


def past(window: Window, at: int, calendar: Calendar, read: Callable[[int], Reading]) -> SeasonalPast:
    """Return the complete periods up to ``at``; ``read`` gives the reading that ends at an instant."""
    step, back, weekly = SEASONS[window.name]
    ends = bucket(window, at, calendar)
    # By the clock on the wall: at the same hour of the business day, whether or not the clocks have changed.
    day = calendar.day(ends - 1)
    offset = ends - calendar.day_start(day) if window.length else 0
    days = [day - n * step for n in range(back, -1, -1)]
    found = []
    for one in days:
        end = calendar.day_start(one) + offset if window.length else calendar.day_start(one + 1)
        end = calendar.start(Grain.HOUR, calendar.hour(end)) if window.length else end
        found.append(read(ends if one == day else end))
    # Before the first event there was nothing to miss.
    first = next((n for n, reading in enumerate(found[:-1]) if reading.value), len(found) - 1)
    place = next(iter(found[-1].segment.values()), None)
    holidays = [calendar.holiday(one, place) if weekly else None for one in days]
    return SeasonalPast(found[first:], days[first:], holidays[first:])


def months(window: Window, at: int, calendar: Calendar, read: Callable[[Window, int], Reading]) -> list[float]:
    """Return by what factor each period that :func:`past` looks at is more than usual for its month; [] where nobody knows.

    ``read`` gives the reading of a window that ends at an instant.
    """
    step, back, _ = SEASONS[window.name]
    last = calendar.day(bucket(_WEEK, at, calendar) - 1)
    if window.length or not read(_WEEK, calendar.day_start(last + 1 - 7 * _YEAR)).value:
        return []
    from models.seasons.usual import by_month

    days = [last - 7 * n for n in range(_WEEKS, -1, -1)]
    weeks = [read(_WEEK, calendar.day_start(day + 1)).value for day in days]
    while weeks and not weeks[0]:
        weeks, days = weeks[1:], days[1:]
    day = calendar.day(bucket(window, at, calendar) - 1)
    return by_month(weeks, [one - 3 for one in days], [day - n * step - (step - 1) // 2 for n in range(back, -1, -1)])


def compare(
    window: Window, at: int, calendar: Calendar, read: Callable[[int], Reading], factors: Sequence[float] = ()
) -> dict[str, Any]:
    """Return the last complete period and what was to be expected of it; ``factors`` are :func:`months`.

    ``value``, ``expected``, ``low``, ``high`` (four in five are between) and ``spread`` are in the KPI's unit;
    ``deviations`` null always comes with ``why``. ``weekday`` is 0 on a Monday, of days only; ``holiday`` is what it is called.
    """
    from models.seasons.usual import course

    readings, days, holidays = past(window, at, calendar, read)
    last = readings[-1]
    found: dict[str, Any] = {"from": iso(last.start), "at": iso(last.at), "value": last.value, "sample": _cases(last)}
    if window.name == "day":
        found["weekday"] = (days[-1] - 1) % 7
    if holidays[-1] is not None:
        found["holiday"] = holidays[-1]
    said = course(
        [reading.value for reading in readings],
        days,
        weekly=SEASONS[window.name].weekly,
        counted=last.unit == "count",
        holidays=[name is not None for name in holidays],
        months=factors[-len(days) :],
    )
    band, off = said.bands[-1], said.deviations[-1]
    if band is None or off is None:
        expected = None if band is None else band.expected
        return found | {"expected": expected, "spread": None, "deviations": None, "why": last.why or said.why}
    return found | {
        "expected": band.expected,
        "low": band.low,
        "high": band.high,
        "spread": band.spread,
        "deviations": off,
        "periods": said.errors,
    }


def _cases(reading: Reading) -> float | None:
    return reading.denominator if reading.sample is None else reading.sample
