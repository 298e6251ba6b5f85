"""Who may hold a connection, and for how long? Bounds that uvicorn does not set itself.

A request has to be there, whole, within :data:`REQUEST_TIME`; its head within :data:`HEAD_LIMIT` bytes, and so has whatever else
is no body: sizes of chunks, and trailers, which nobody here reads and which must not pass for headers. A connection that sends
nothing is taken for a request that does not come. Where there are as many connections as may be, the one that has kept its
request waiting longest makes room, then the one that has been idle longest: a crowd of slow senders displaces itself, and a
request that comes in one go is answered.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How long a request may take to arrive (s), how large its first line and headers may be (bytes).
REQUEST_TIME = 15.0
HEAD_LIMIT = 65_536
#: Bytes that are neither of a head nor of a body, in a row; above what one read of a socket brings at once (256 KiB).
_BARE = 320 << 10
#: Connections at a time.
CONNECTIONS = 4_000
#: A request that has been arriving for so long (s) is slow: before that, nobody has to make room.
_SLOW = 1.0

_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Bounded(HttpToolsProtocol):
    """One connection. ``since``: when the request that is arriving began (loop time); None while none is."""

    since: float | None = None
    idle: float = 0.0
    _in_head = True
    _head = 0
    _bare = 0  # bytes since the last one of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, if need be in place of another."""
        super().connection_made(transport)
        now = self.loop.time()
        self.since = now
        if len(self.connections) > CONNECTIONS:
            others = [one for one in self.connections if isinstance(one, Bounded) and one is not self]
            victim = to_make_room(others, now)
            (victim or self).cut(_FULL)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, as long as the head is not too large (what comes at once is at most 256 KiB)."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
        self._bare += len(data)
        super().data_received(data)
        if (self._in_head and self._head > HEAD_LIMIT) or self._bare > _BARE:
            self.cut(_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        if self.since is None:
            self.since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind the body is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._bare = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        self._head = self._bare = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        super().on_message_complete()
        self.since = None
        self.idle = self.loop.time()
        self._in_head = True
        self._bare = 0

    def cut(self, answer: bytes) -> None:
        """End the connection; with this answer where none has begun."""
        if self.transport.is_closing():
            return
        if self.since is not None and (self.cycle is None or self.cycle.response_complete or not self.cycle.response_started):
            self.transport.write(answer)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # whoever reads the body is told, and may not answer any more
            self.cycle.message_event.set()
        self.transport.close()


def to_make_room(connections: Iterable[Bounded], now: float) -> Bounded | None:
    """Return the connection that has to go: the slowest sender, else the longest idle one; None where all are at work."""
    slow: Bounded | None = None
    idle: Bounded | None = None
    for one in connections:
        if one.since is not None:
            if now - one.since > _SLOW and (slow is None or one.since < (slow.since or now)):
                slow = one
        elif (one.cycle is None or one.cycle.response_complete) and (idle is None or one.idle < idle.idle):
            idle = one
    return slow or idle


async def sweep(connections: Iterable[Any]) -> None:
    """Cut, each second, those whose request does not come; until cancelled. One look at all is cheaper than a timer for each."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(min(1.0, REQUEST_TIME / 4))
            due = loop.time() - REQUEST_TIME
            for one in list(connections):
                if isinstance(one, Bounded) and one.since is not None and one.since < due:
                    one.cut(_LATE)
