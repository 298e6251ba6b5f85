"""Which minute, hour and business day does an instant belong to?

A pane's number is an index, not a time: minutes and hours count from the epoch, a day is the ordinal of the local date in
the business time zone, so that a day is 23 or 25 hours long when the clocks change.

Hours are cut where the local clock strikes, so that every day is made of whole hour panes: in Kolkata (+5:30) at half past by
UTC. Where the clocks shift by half an hour (Lord Howe) the hour pane before or after is 30 or 90 minutes long.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from models.seasons.holidays import holiday

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_QUARTER_MS = 900_000  # no zone in use today shifts at anything finer than a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grain(StrEnum):
    """The size of a pane; ``ALL`` is the one pane that holds a stock's whole history."""

    MINUTE = "m"
    HOUR = "h"
    DAY = "d"
    ALL = "a"


class Calendar:
    """The business time zone's panes. All instants are integer milliseconds since the epoch (UTC)."""

    __slots__ = ("_days", "_shifts", "_since", "_starts", "countries", "first_month", "zone", "zone_name")

    def __init__(self, zone_name: str, first_month: int = 1, countries: tuple[str, ...] = ()) -> None:
        """``first_month`` begins the fiscal year (1: January), holidays are those of ``countries``.

        Raise ``ZoneInfoNotFoundError`` for a zone there is none of.
        """
        self.countries = countries
        self.zone_name = zone_name
        self.first_month = first_month
        self.zone = ZoneInfo(zone_name)
        #: From when on (ms) local hours begin so much (ms) before those of UTC; the first is from ever.
        self._since, self._shifts = _hour_shifts(self.zone)
        self._days: dict[int, int] = {}
        self._starts: dict[int, int] = {}

    def day(self, at: int) -> int:
        """Return the local date's proleptic ordinal at the instant."""
        quarter = at // _QUARTER_MS
        day = self._days.get(quarter)
        if day is None:
            if len(self._days) > 200_000:
                self._days.clear()
            local = (_EPOCH + timedelta(milliseconds=quarter * _QUARTER_MS)).astimezone(self.zone)
            day = self._days[quarter] = local.toordinal()
        return day

    def day_start(self, day: int) -> int:
        """Return the instant at which the local date begins."""
        start = self._starts.get(day)
        if start is None:
            local = date.fromordinal(day)
            begin = datetime(local.year, local.month, local.day, tzinfo=self.zone)
            start = self._starts[day] = (begin.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        return start

    def holiday(self, day: int, place: str | None = None) -> str | None:
        """Return what a holiday is called, None of other days; of a ``place`` that is one of the countries, its own ones."""
        mine = tuple(code for code in self.countries if place is not None and code.lower() == place.lower())
        return holiday(day, mine or self.countries)

    def hour(self, at: int) -> int:
        """Return the number of the hour pane that holds the instant."""
        shifts = self._shifts
        if len(shifts) == 1:
            return (at + shifts[0]) // HOUR_MS
        return (at + shifts[bisect_right(self._since, at) - 1]) // HOUR_MS

    def hour_start(self, hour: int) -> int:
        """Return the instant at which an hour pane begins."""
        shifts = self._shifts
        if len(shifts) == 1:
            return hour * HOUR_MS - shifts[0]
        # It begins before the clocks change or after: in the earlier stretch that has it.
        for number in range(max(0, bisect_right(self._since, (hour - 1) * HOUR_MS) - 1), len(shifts)):
            begin = max(self._since[number], hour * HOUR_MS - shifts[number])
            if number + 1 == len(shifts) or begin < self._since[number + 1]:
                return begin
        raise AssertionError("the last stretch has no end")

    def minute(self, at: int) -> int:
        """Return the number of the minute pane that holds the instant."""
        return at // MINUTE_MS

    def pane(self, grain: Grain, at: int) -> int:
        """Return the number of the grain's pane that holds the instant (0 for ``ALL``)."""
        match grain:
            case Grain.MINUTE:
                return at // MINUTE_MS
            case Grain.HOUR:
                return self.hour(at)
            case Grain.DAY:
                return self.day(at)
            case Grain.ALL:
                return 0

    def start(self, grain: Grain, pane: int) -> int:
        """Return the instant at which the grain's pane begins (0 for ``ALL``)."""
        match grain:
            case Grain.MINUTE:
                return pane * MINUTE_MS
            case Grain.HOUR:
                return self.hour_start(pane)
            case Grain.DAY:
                return self.day_start(pane)
            case Grain.ALL:
                return 0

    def local(self, at: int) -> datetime:
        """Return the instant as a local datetime."""
        return (_EPOCH + timedelta(milliseconds=at)).astimezone(self.zone)


def _hour_shifts(zone: ZoneInfo) -> tuple[list[int], list[int]]:
    """Return since when (ms) local hours begin how long (ms) before those of UTC, from 1990 to 2100."""

    def shift(at: int) -> int:
        offset = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone).utcoffset() or timedelta()
        return offset // timedelta(milliseconds=1) % HOUR_MS

    low, end, step = epoch_ms(datetime(1990, 1, 1, tzinfo=UTC)), epoch_ms(datetime(2100, 1, 1, tzinfo=UTC)), 28 * DAY_MS
    since, shifts = [-(1 << 62)], [shift(low)]
    for high in range(low + step, end, step):
        while shifts[-1] != shift(high):
            before, after = high - step, high
            while after - before > MINUTE_MS:
                middle = (before + after) // (2 * MINUTE_MS) * MINUTE_MS
                before, after = (middle, after) if shift(middle) == shifts[-1] else (before, middle)
            old, new = shifts[-1], shift(after)
            # Panes are numbered on. So soon after an hour's beginning that it would fall into the one before: from its end on.
            passed = (after + old) % HOUR_MS
            since.append(after if new > old or passed >= old - new else after - passed + HOUR_MS)
            shifts.append(new)
    return since, shifts


@cache
def time_zones() -> frozenset[str]:
    """Return the names of the tz database; the folders they are found in are gone through once."""
    return frozenset(available_timezones())


@lru_cache(maxsize=32)
def calendar(zone_name: str, first_month: int = 1, countries: tuple[str, ...] = ()) -> Calendar:
    """Return the one calendar of a zone, fiscal year and countries (its caches are shared)."""
    return Calendar(zone_name, first_month, countries)


def month_on(day: int, months: int) -> int:
    """Return the first day (its ordinal) of the month so many months after the one that holds the day."""
    local = date.fromordinal(day)
    number = local.year * 12 + local.month - 1 + months
    return date(number // 12, number % 12 + 1, 1).toordinal()


def iso(at: int) -> str:
    """Return an instant as RFC 3339 in UTC, to the millisecond where there are any: ``2026-11-21T12:00:00Z``."""
    moment = _EPOCH + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds" if at % 1000 else "seconds").replace("+00:00", "Z")


def epoch_ms(moment: datetime) -> int:
    """Return an aware datetime as milliseconds since the epoch; raise ``ValueError`` where it is naive."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without an offset: {moment.isoformat()}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
