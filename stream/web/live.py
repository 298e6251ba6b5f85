"""How do the numbers reach an open page, each second and only when they have changed?"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from stream.engine.waiting import end, happens

log = logging.getLogger(__name__)

#: What a stream shows of a reading; times are left out so that a standing number is not news.
_SHOWN = ("kpi", "value", "numerator", "denominator", "low", "high", "why")

Compute = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]


@dataclass(slots=True)
class _Channel:
    """What the clients of one window are given: the latest frame only, so that a slow client holds no queue."""

    clients: int = 0
    number: int = 0
    frame: bytes = b""
    shown: Any = None
    fresh: asyncio.Event = field(default_factory=asyncio.Event)


class Full(Exception):
    """As many pages are open as are allowed."""


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"id: {number}\n" if number is not None else ""
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), name.encode(), orjson.dumps(data))


class LiveFeed:
    """One clock for all open pages: each period, per window that someone watches, compute once and tell whoever listens.

    ``compute`` gives the readings of the totals for a window, ``state`` what to say about the connection and the alerts.
    Nothing is computed while nobody watches.
    """

    def __init__(
        self,
        compute: Compute,
        state: Callable[[], Mapping[str, Any]],
        *,
        period: float = 1.0,
        heartbeat: float = 5.0,
        limit: int = 200,
    ) -> None:
        self._compute = compute
        self._state = state
        self._period = period
        self._heartbeat = heartbeat
        self._limit = limit
        self._channels: dict[str, _Channel] = {}
        self._others = 0
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """How many pages are open."""
        return self._others + sum(channel.clients for channel in self._channels.values())

    @property
    def stopped(self) -> bool:
        """Whether every stream has to end."""
        return self._stopped.is_set()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a page that computes its own numbers."""
        self._others += 1
        try:
            yield
        finally:
            self._others -= 1

    def start(self) -> None:
        """Start the clock; needs a running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="web-live")

    def stop(self) -> None:
        """End every stream now; pages reconnect by themselves."""
        self._stopped.set()
        for channel in self._channels.values():
            channel.fresh.set()

    async def close(self) -> None:
        """Stop, and wait for the clock to end."""
        self.stop()
        await end(self._task)
        self._task = None

    def admit(self) -> None:
        """Raise :class:`Full` where one more page would be too many, or the server is stopping."""
        if self._stopped.is_set() or self.clients >= self._limit:
            raise Full

    async def stream(self, window: str) -> AsyncIterator[bytes]:
        """Yield the events of one page until it goes away or the server stops."""
        channel = self._channels.setdefault(window, _Channel())
        channel.clients += 1
        try:
            # Two seconds before a browser comes back; a random part comes from the browsers' own timers.
            yield b"retry: 2000\n\n"
            if not channel.frame:
                await self._refresh(window, channel)
            seen = -1
            while not self._stopped.is_set():
                if channel.number != seen and channel.frame:
                    seen = channel.number
                    yield channel.frame
                    continue  # sending may have taken long: there may be a newer one already
                fresh = channel.fresh
                if not await happens(fresh, self._heartbeat):
                    yield event("beat", dict(self._state()))
            yield event("bye", {"reason": "stopping"})
        finally:
            channel.clients -= 1
            if not channel.clients:
                self._channels.pop(window, None)

    async def _run(self) -> None:
        while not self._stopped.is_set():
            await happens(self._stopped, self._period)
            for window, channel in list(self._channels.items()):
                try:
                    await self._refresh(window, channel)
                except asyncio.CancelledError:
                    raise
                except Exception:
                    # The page must survive a bad moment of the view; the next second tries again.
                    log.exception("live page: readings of window %s failed", window)

    async def _refresh(self, window: str, channel: _Channel) -> None:
        readings = await self._compute(window)
        state = dict(self._state())
        shown = (tuple(tuple(r.get(key) for key in _SHOWN) for r in readings), state.get("state"), state.get("alerts"))
        if shown == channel.shown:
            return
        channel.shown = shown
        channel.number += 1
        channel.frame = event("readings", {**state, "window": window, "readings": list(readings)}, channel.number)
        fresh, channel.fresh = channel.fresh, asyncio.Event()
        fresh.set()
        if self._stopped.is_set():
            channel.fresh.set()
