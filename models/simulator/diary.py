"""What is going to happen, and in which order is it told?

Whole lives are drawn when they begin and written into the diary; the diary gives them back in time order as CloudEvents.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any

from models.simulator.rhythm import MINUTE

Event = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_minute(minute: int) -> str:
    """The beginning of an RFC 3339 time, up to the seconds, for a minute counted from the epoch."""
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")


def iso_time(at: int) -> str:
    """The RFC 3339 time of an instant (epoch ms), in UTC."""
    minute, rest = divmod(at, MINUTE)
    return f"{iso_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


def iso_day(at: int) -> str:
    """The UTC date of an instant, as 2026-03-31."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d")


class Diary:
    """A priority queue of future events; equal times come out in the order in which they were written."""

    __slots__ = ("_entries", "_minute", "_number", "_prefix", "end", "name")

    def __init__(self, name: str, end: int | None = None) -> None:
        """``name`` begins every event id; what would happen at or after ``end`` (epoch ms) is not kept."""
        self.name = name
        self.end = end
        self._entries: list[tuple[int, int, str, str, Event]] = []
        self._number = 0
        self._minute = -1
        self._prefix = ""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, at: int, kind: str, subject: str, data: Event) -> None:
        """Write down that an event of type ``kind`` happens to ``subject`` at ``at`` (epoch ms)."""
        self._number += 1  # also for what is not kept: a longer history begins with the same ids
        if self.end is None or at < self.end:
            heappush(self._entries, (at, self._number, kind, subject, data))

    def until(self, at: int) -> Iterator[Event]:
        """Take out the events before ``at``, in time order, as CloudEvents in structured mode."""
        entries = self._entries
        name = self.name
        while entries and entries[0][0] < at:
            when, number, kind, subject, data = heappop(entries)
            minute, rest = divmod(when, MINUTE)
            if minute != self._minute:
                self._minute, self._prefix = minute, iso_minute(minute)
            yield {
                "specversion": "1.0",
                "id": f"{name}-{number:09d}",
                "source": "/simulator",
                "type": kind,
                "time": f"{self._prefix}{rest // 1000:02d}.{rest % 1000:03d}Z",
                "subject": subject,
                "data": data,
            }

    def retime(self, change: Callable[[int], int]) -> None:
        """Move all that is to come: ``change`` gives the new instant of an old one, and must never fall."""
        self._entries = [(change(at), number, kind, subject, data) for at, number, kind, subject, data in self._entries]
        heapify(self._entries)
