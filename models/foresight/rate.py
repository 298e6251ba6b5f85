"""How much is won a day, by the days before: a level that fades, and the calendar's profile on it?

Deals won are counted by business day. The level is a mean of the days before, later ones counting more, each divided by its
calendar: weekday, part of the month, month of the quarter, month of the year, each shrunk (:mod:`models.seasons.profile`). All
of a company's segments share its calendar; levels are their own. What a won deal brings is a mean of sizes, those of a segment
drawn to those of all.
"""

from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from models.foresight.law import Reals
from models.seasons.holidays import holiday
from models.seasons.profile import shrunk

Days = np.ndarray[Any, np.dtype[np.int64]]

#: How much a day counts one day later, for the level: half after some sixty.
FADES = 0.9885
#: The least days of history that say anything of the month's parts; days of a month, at least, that make it a month seen.
LEAST, MONTH_SEEN = 21, 20
#: A segment's level is drawn to its share of so many days of the company; its size to all sizes by so many deals.
_DAYS, _SIZES = 10.0, 5.0
#: What a holiday does is drawn to nothing by so many of them.
_HOLIDAY = 1.0
_BLOCK = 1_024


class Year(NamedTuple):
    """Where quarters begin (the fiscal year's first month, and three months later), and whose holidays there are."""

    first_month: int = 1
    countries: tuple[str, ...] = ()


PLAIN = Year()


class CalendarPlaces(NamedTuple):
    """The places of days in the calendar: weekday, part of the month, month of the quarter, month of the year, and the month."""

    weekday: Days
    part: Days
    of_quarter: Days
    of_year: Days
    month: Days  # months since year 0
    holiday: Days  # 1 where it is one


def places(days: Days, year: Year = PLAIN) -> CalendarPlaces:
    """Return where these days (ordinals) are."""
    if not len(days):
        none = np.zeros(0, np.int64)
        return CalendarPlaces(none, none, none, none, none, none)
    first, last = int(days.min()) // _BLOCK, int(days.max()) // _BLOCK
    table = np.concatenate([_block(number, year) for number in range(first, last + 1)])
    return CalendarPlaces(*table[days - first * _BLOCK].T)


@lru_cache(64)
def _block(number: int, year: Year) -> Days:
    """Return the places of so many days: they are asked for again and again."""
    days = map(date.fromordinal, range(max(number * _BLOCK, 1), (number + 1) * _BLOCK))
    rows = [
        (
            d.weekday(), min((d.day - 1) // 8, 3), (d.month - year.first_month) % 3, d.month - 1, d.year * 12 + d.month - 1,
            int(holiday(d.toordinal(), year.countries) is not None),
        )
        for d in days
    ]  # fmt: skip
    return np.array(rows, np.int64)


class Rate(NamedTuple):
    """What is won a day: the log-effects of the calendar, the level of each series (deals a day of no effect)."""

    weekday: Reals
    part: Reals
    of_quarter: Reals
    of_year: Reals
    level: Reals
    holiday: float = 0.0

    def effects(self, at: CalendarPlaces) -> Reals:
        """Return by what factor each of some days is above the usual."""
        found: Reals = np.exp(
            self.weekday[at.weekday]
            + self.part[at.part]
            + self.of_quarter[at.of_quarter]
            + self.of_year[at.of_year]
            + self.holiday * at.holiday
        )
        return found


def learnt(counts: Reals, first: int, year: Year = PLAIN) -> Rate:
    """Return the rate by days that are over: ``counts`` of each series (a row each, the first of all), from day ``first`` on."""
    length = counts.shape[1]
    days = np.arange(first, first + length, dtype=np.int64)
    at, total = places(days, year), counts[0]
    weekday, part, of_quarter, of_year, off = np.zeros(7), np.zeros(4), np.zeros(3), np.zeros(12), 0.0
    if length >= LEAST and total.any():
        weekday = _within(total, at.weekday, 7, (days - first) // 7)
        if at.holiday.any():
            off = _holiday(total / np.exp(weekday[at.weekday]), at.holiday > 0)
            total = total / np.exp(off * at.holiday)
            weekday = _within(total, at.weekday, 7, (days - first) // 7)
    if length >= 2 * LEAST and total.any():
        part = _within(total / np.exp(weekday[at.weekday]), at.part, 4, at.month)
        even = total / np.exp(weekday[at.weekday] + part[at.part])
        months = np.arange(at.month[0], at.month[-1] + 1)
        seen = np.bincount(at.month - months[0])
        brought = np.bincount(at.month - months[0], even)
        whole = (seen >= MONTH_SEEN) & (brought > 0)
        if whole.sum() >= 2:
            logs, which = np.log(brought[whole] / seen[whole]), months[whole]
            if whole.sum() >= 4:
                of_quarter = shrunk(logs - _trend(logs, which), (which - year.first_month + 1) % 3, 3)
            if whole.sum() >= 13:
                rest = logs - of_quarter[(which - year.first_month + 1) % 3]
                of_year = shrunk(rest - _trend(rest, which), which % 12, 12)
    flat = Rate(weekday, part, of_quarter, of_year, np.zeros(len(counts)), off)
    weights = FADES ** np.arange(length)[::-1]
    due = weights * flat.effects(at)
    worth = float(due.sum())
    sums = counts @ weights
    share = counts.sum(1) / max(float(counts[0].sum()), 1e-12)
    company = float(sums[0]) / max(worth, 1e-12)
    # A segment's own level, drawn to what its share of all days would be of the company's level now.
    level = (sums + _DAYS * share * company) / (worth + _DAYS) if length else np.zeros(len(counts))
    if length:
        level[0] = company
    return flat._replace(level=level)


def _within(values: Reals, place: Days, count: int, blocks: Days) -> Reals:
    """Return the effects of places within blocks of time (weeks, months): each block is its own usual."""
    block = blocks - blocks[0]
    usual = np.bincount(block, values) / np.maximum(np.bincount(block), 1)
    key = block * count + place
    sums, days = np.bincount(key, values), np.bincount(key)
    keys = np.flatnonzero(days)
    there = usual[keys // count] > 0
    keys = keys[there]
    expected = usual[keys // count] * days[keys]
    # Half a deal on both sides: a day without any is no proof that there never is one.
    return shrunk(np.log((sums[keys] + 0.5) / (expected + 0.5)), keys % count, count, expected)


def _holiday(even: Reals, off: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return the log-effect of a holiday, drawn to none by a few days' cases; ``even`` has no weekdays any more."""
    usual = float(even[~off].mean()) if (~off).any() else 0.0
    due = usual * int(off.sum())
    return float(np.log((even[off].sum() + _HOLIDAY * usual) / (due + _HOLIDAY * usual) + 1e-9)) if usual > 0 else 0.0


def _trend(logs: Reals, months: Days) -> Reals:
    """Return the usual against which months are seen: their mean, from six of them on the line through them."""
    if len(logs) < 6:
        return np.full(len(logs), logs.mean())
    found: Reals = np.polyval(np.polyfit(months - months[0], logs, 1), months - months[0])
    return found


def sizes(won: Reals, groups: Days, count: int) -> Reals:
    """Return what a won deal of each group brings on average, drawn to the mean of all; ``won`` are amounts, not empty."""
    mean = float(won.mean())
    sums, number = np.bincount(groups, won, count), np.bincount(groups, minlength=count)
    found: Reals = (sums + _SIZES * mean) / (number + _SIZES)
    return found
