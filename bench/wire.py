"""Requests over a kept connection, cheaply: the sender must not be what a measurement of the receiver measures."""

import asyncio
import contextlib


class Gone(ConnectionError):
    """The connection ended before the answer was whole."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with one request under way at a time; answers must have a ``content-length``."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._buffer = b""
        self.closed = False
        self.body = b""

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect; raise ``OSError``."""
        _, made = await asyncio.get_running_loop().create_connection(cls, host, port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer."""
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(data) < end + 4 + length:
            return
        self.body = data[end + 4 : end + 4 + length]
        self._buffer = b""
        answer, self._answer = self._answer, None
        if b"connection: close" in head:
            self.close()
        if answer is not None and not answer.done():
            answer.set_result(int(data[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Gone("cut off"))

    async def ask(self, request: bytes, patience: float = 5.0) -> int:
        """Send a request and return the status of its answer; raise :class:`Gone`, ``TimeoutError``."""
        if self.closed or self._transport is None:
            raise Gone("closed")
        self._answer = answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        handle = asyncio.get_running_loop().call_later(patience, self._late, answer)
        try:
            return await answer
        finally:
            handle.cancel()

    def _late(self, answer: "asyncio.Future[int]") -> None:
        if not answer.done():
            answer.set_exception(TimeoutError("no answer in time"))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.closed = True
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.abort()
