"""At which instants does a replay hold, to read or to let the rules' time pass; and what is now meanwhile?"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from models.calendar import Calendar
from models.events.scalars import check_time, parse_time
from models.panes.boundaries import boundaries

#: Every window but 1h, whose minute panes a replay of years would not want.
WINDOWS = ("24h", "7d", "30d", "90d", "day", "week", "month", "quarter", "year")


@dataclass
class ReadingRequest:
    """What is to be read, and when."""

    at: list[int] = field(default_factory=list)
    every: str | None = None
    kpis: list[str] | None = None
    windows: Sequence[str] = WINDOWS
    by: list[str] = field(default_factory=list)
    restated: bool = False
    predictions: bool = False
    forecasts: bool = False  # made once a business day
    tick: str | None = None  # how often the rules are evaluated; None: not at all


class Watermark:
    """The replay's clock: the latest event time so far (epoch ms)."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        """Return now."""
        return self.at


class Stops:
    """The instants at which to hold: those to be read at, and the ticks of the rules."""

    def __init__(self, request: ReadingRequest, calendar: Calendar) -> None:
        self._request = request
        self._calendar = calendar
        self._at = sorted(set(request.at))
        self._every: Iterator[int] | None = None
        self._tick: Iterator[int] | None = None
        self._next_every = self._next_tick = 0
        self.read: list[int] = []

    def _begin(self, first: int) -> None:
        request, calendar = self._request, self._calendar
        if request.every is not None and self._every is None:
            self._every = boundaries(request.every, first, calendar)
            self._next_every = next(self._every)
        tick = request.tick or ("1d" if request.forecasts else None)
        if tick is not None and self._tick is None:
            self._tick = boundaries(tick, first, calendar)
            self._next_tick = next(self._tick)

    def passed(self, at: int) -> list[tuple[int, bool]]:
        """Return the instants up to and including ``at`` (no event counted yet is as late), each with whether to read."""
        self._begin(at)
        found: dict[int, bool] = {}
        while self._tick is not None and self._next_tick <= at:
            found[self._next_tick] = False
            self._next_tick = next(self._tick)
        while self._every is not None and self._next_every <= at:
            found[self._next_every] = True
            self._next_every = next(self._every)
        while self._at and self._at[0] <= at:
            found[self._at.pop(0)] = True
        self.read += sorted(when for when, read in found.items() if read)
        return sorted(found.items())

    def closing(self, last: int) -> list[tuple[int, bool]]:
        """Return what remains after the last event: times asked for, the end of the period that holds it, a last tick."""
        found = dict.fromkeys(self._at, True)
        if self._every is not None and last >= 0:
            found[self._next_every] = True
        self.read += sorted(found)
        if self._tick is not None:
            found.setdefault(self._next_tick, False)
        return sorted(found.items())


def event_time(value: bytes) -> int | None:
    """Return an event's time; None where it has none that its fold will accept: what is refused must not move the clock."""
    try:
        return check_time(parse_time(orjson.loads(value)["time"]), int(time.time() * 1000))
    except (ValueError, KeyError, TypeError):
        return None
