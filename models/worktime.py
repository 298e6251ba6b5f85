"""How much time within some intervals lies between two instants, and when has so much of it passed?"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from models.time_intervals import TimeInterval

#: The unit of working time in words: this and how many seconds a working day has.
WORKING = "working:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Beyond so many days nothing is looked for: a year and some holidays.
LONGEST_DAYS = 400


def worked(intervals: Sequence[TimeInterval], start: int, end: int) -> int:
    """Return the milliseconds of [start, end) that lie in any of the intervals (none given: all of them count)."""
    if end <= start:
        return 0
    if not intervals:
        return end - start
    return sum(min(stop, end) - max(begin, start) for begin, stop in _spans(intervals, start, end))


def reach(intervals: Sequence[TimeInterval], start: int, amount: int) -> int | None:
    """Return the instant at which so many milliseconds within the intervals have passed since ``start``.

    None where they do not pass within 400 days.
    """
    if not intervals:
        return start + amount
    left = amount
    for begin, stop in _spans(intervals, start, start + LONGEST_DAYS * 86_400_000):
        begin = max(begin, start)
        if stop - begin >= left:
            return begin + left
        left -= stop - begin
    return None


def _spans(intervals: Sequence[TimeInterval], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches in any of the intervals that meet [start, end), in order, none overlapping."""
    first, last = (_EPOCH + timedelta(milliseconds=at) for at in (start, end))
    reached = start
    # A local day may begin up to a day before, or after, the same date in UTC.
    for ordinal in range(first.toordinal() - 1, last.toordinal() + 2):
        day = date.fromordinal(ordinal)
        for begin, stop in sorted(span for interval in intervals for span in _day(interval, day)):
            begin = max(begin, reached)
            if begin < stop and begin < end:
                yield begin, min(stop, end)
                reached = stop


def _day(interval: TimeInterval, day: date) -> Iterator[tuple[int, int]]:
    if interval.on(day):
        for start, end in interval.times or ((0, 1440),):
            yield _instant(interval.zone, day, start), _instant(interval.zone, day, end)


def _instant(zone: ZoneInfo, day: date, minute: int) -> int:
    """Return the instant of a time on the clock on the wall; 24:00 is the next day's beginning."""
    day = day + timedelta(days=minute // 1440)
    local = datetime(day.year, day.month, day.day, minute % 1440 // 60, minute % 60, tzinfo=zone)
    return (local.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
