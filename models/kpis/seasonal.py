"""Is the last complete hour, day or week out of the ordinary for its time?

The seasonal-naïve forecast of a period is the one a season before: for an hour the same hour a week ago, for a day the same
weekday, for a week the week before. What such a forecast usually misses by is seen from the periods before, and its spread told
by the median absolute deviation (times 1.4826: the standard deviation of a normal distribution), which single outliers do not
move. ``deviations`` is how many such spreads the last period lies above (or, negative, below) its forecast. R. J. Hyndman,
G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., 2021, §5.2 (seasonal naïve) and §5.4 (residuals).
"""

from collections.abc import Callable
from math import sqrt
from statistics import median
from typing import Any, NamedTuple

from models.calendar import Calendar, Grain, iso
from models.kpis.reading import Reading
from models.panes.windows import Window

#: Below so many earlier forecasts nothing is said.
LEAST = 8
_MAD = 1.4826


class Season(NamedTuple):
    """How complete periods of one window follow each other: how many are a season, and how many are looked back at."""

    step: int  # business days from one period to the next of its kind
    season: int  # such steps
    back: int  # such steps


#: Hours are kept 35 days, so that the same hour of 27 days has a forecast each.
SEASONS = {"1h": Season(1, 7, 27), "day": Season(1, 7, 56), "week": Season(7, 1, 26)}


def bucket(window: Window, at: int, calendar: Calendar) -> int:
    """Return the end of the last complete period at ``at``; raise ``KeyError`` for windows that have none."""
    SEASONS[window.name]
    if window.length:
        return calendar.hour_start(calendar.hour(at))
    start, _ = window.bounds(at + 1, calendar)
    return start


def compare(window: Window, at: int, calendar: Calendar, read: Callable[[int], Reading]) -> dict[str, Any]:
    """Return the last complete period and what was to be expected of it; ``read`` gives the reading that ends at an instant.

    ``value``, ``expected`` and ``spread`` are in the KPI's unit; ``deviations`` null always comes with ``why``.
    """
    step, season, back = SEASONS[window.name]
    ends = bucket(window, at, calendar)
    # By the clock on the wall: at the same hour of the business day, whether or not the clocks have changed.
    day = calendar.day(ends - 1)
    offset = ends - calendar.day_start(day) if window.length else 0
    values: list[float | None] = []
    first = last = read(ends)
    for n in range(back + season + 1):
        past = day - n * step
        end = calendar.day_start(past) + offset if window.length else calendar.day_start(past + 1)
        end = calendar.start(Grain.HOUR, calendar.hour(end)) if window.length else end
        first = last if n == 0 else read(end)
        values.append(first.value)
    found: dict[str, Any] = {"from": iso(last.start), "at": iso(ends), "value": last.value, "sample": _cases(last)}
    while values and not values[-1]:
        values.pop()  # before the first event there was nothing to miss
    misses = [a - b for a, b in zip(values[1:], values[1 + season :], strict=False) if a is not None and b is not None]
    expected = values[season] if len(values) > season else None
    if last.value is None or expected is None or len(misses) < LEAST:
        why = last.why or f"{len(misses)} comparable periods, fewer than the {LEAST} it takes"
        return found | {"expected": expected, "spread": None, "deviations": None, "why": why}
    usual = median(misses)
    level = median(value for value in values[1:] if value is not None)
    # A quiet KPI misses by nothing most of the time; chance alone moves a count by its root, twice.
    least = sqrt(2 * max(level, 1)) if last.unit == "count" else 0.01 * abs(level)
    spread = max(_MAD * median(abs(miss - usual) for miss in misses), least)
    expected += usual
    if not spread:
        return found | {"expected": expected, "spread": 0, "deviations": None, "why": "it has never changed"}
    return found | {
        "expected": expected,
        "spread": spread,
        "deviations": (last.value - expected) / spread,
        "periods": len(misses),
    }


def _cases(reading: Reading) -> float | None:
    return reading.denominator if reading.sample is None else reading.sample
