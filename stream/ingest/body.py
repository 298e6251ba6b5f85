"""How is the body of a stranger's request read without ever holding more of it than is allowed?

A request that has sent its headers holds nothing: it takes a place with the first byte of its body. Bodies that are still
arriving have places of their own, so that slow senders keep nobody out whose body comes in one go; where these are taken,
the one that has been arriving for longest is cut off.
"""

import asyncio
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from starlette.types import Receive

#: Encodings that are unpacked.
ENCODINGS = ("gzip", "x-gzip", "deflate")
#: How long a body may take to arrive from its first byte on, seconds; the first is waited for as long as for a request.
BODY_TIME = 10.0
#: A body that has been arriving for so long (s) may have to make room.
_SLOW = 1.0


class NotRead(Exception):
    """The body was not read: ``outcome`` for the metrics, and the answer's ``status`` and text."""

    def __init__(self, outcome: str, status: int, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.status = status

    @property
    def close(self) -> bool:
        """Whether the connection ends with the answer: the rest of the body would be in the way of the next request."""
        return self.status in (408, 413)

    @property
    def retry(self) -> int | None:
        """After how many seconds to come again, where that makes sense."""
        return 2 if self.status == 503 else None


class Bodies:
    """Reads bodies of at most ``limit`` bytes: at most ``at_once`` requests under way, as many still arriving, and
    ``bytes_at_once`` of them together.
    """

    def __init__(self, limit: int, *, at_once: int = 256, bytes_at_once: int = 32 << 20, seconds: float | None = None) -> None:
        self.limit = limit
        self.at_once = at_once
        self.bytes_at_once = bytes_at_once
        self.seconds = seconds
        self.held = 0
        self._whole = 0
        self._arriving: dict[asyncio.Timeout, float] = {}

    @property
    def under_way(self) -> int:
        """How many requests hold a place: bodies that are arriving, and those that came and are worked on."""
        return self._whole + len(self._arriving)

    async def read(self, headers: Mapping[str, str], receive: Receive) -> "Body":
        """Return the body, unpacked, with its place (leave it with ``with``); raise :class:`NotRead`."""
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", *ENCODINGS):
            raise NotRead("bad_encoding", 415, f"accepted encodings: {', '.join(ENCODINGS)}")
        announced = headers.get("content-length", "0")
        # ASCII digits only: str.isdigit() says yes to others, which int() then refuses, or takes.
        if not (announced.isascii() and announced.isdigit()) or int(announced[:12]) > self.limit:
            raise self.too_large()
        part, more = b"", True
        while more and not part:
            part, more = await _part(receive)
        body = Body(self)
        try:
            body.content = await self._rest(body, part, receive) if more else body.grown(part)
            if self._whole >= self.at_once:
                raise NotRead("busy", 503, "busy")
            body.whole = True
            self._whole += 1
            if encoding in ENCODINGS:
                body.content = self._unpacked(body.content)
        except BaseException:
            body.leave()
            raise
        return body

    async def _rest(self, body: "Body", first: bytes, receive: Receive) -> bytes:
        found = bytearray(body.grown(first))  # not a list of parts: a part may be a single byte
        if len(self._arriving) >= self.at_once and not self.displace():
            raise NotRead("busy", 503, "busy")
        more = True
        patience = asyncio.timeout(BODY_TIME if self.seconds is None else self.seconds)
        try:
            async with patience:
                self._arriving[patience] = asyncio.get_running_loop().time()
                while more:
                    part, more = await _part(receive)
                    found += body.grown(part)
        except TimeoutError:
            raise NotRead("too_slow", 408, "the body took too long") from None
        finally:
            self._arriving.pop(patience, None)
        return bytes(found)

    def displace(self) -> bool:
        """Cut off the body that has been arriving for longest, if that is long; return whether there was such a one."""
        now = asyncio.get_running_loop().time()
        slowest = next(iter(self._arriving), None)
        if slowest is None or now - self._arriving[slowest] < _SLOW:
            return False
        del self._arriving[slowest]
        slowest.reschedule(now)
        return True

    def _unpacked(self, packed: bytes) -> bytes:
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            found = unpack.decompress(packed, self.limit + 1)
        except zlib.error:
            raise NotRead("bad_encoding", 400, "not what content-encoding says") from None
        if len(found) > self.limit or unpack.unconsumed_tail:
            raise self.too_large()
        if not unpack.eof:
            raise NotRead("bad_encoding", 400, "not what content-encoding says: cut off")
        return found

    def too_large(self) -> NotRead:
        """Return what is said of a body beyond the limit."""
        return NotRead("too_large", 413, f"the body is too large; accepted are {self.limit} bytes")


class Body:
    """A body that was read, and its place, which is given back at the end of ``with``."""

    __slots__ = ("_bodies", "_size", "content", "whole")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0
        self.content = b""
        self.whole = False

    def grown(self, part: bytes) -> bytes:
        """Count a part that came, and return it; raise :class:`NotRead` where that is too much."""
        bodies = self._bodies
        self._size += len(part)
        bodies.held += len(part)
        if self._size > bodies.limit:
            raise bodies.too_large()
        if bodies.held > bodies.bytes_at_once and not bodies.displace():
            raise NotRead("busy", 503, "busy")
        return part

    def leave(self) -> None:
        """Give the place back."""
        self._bodies.held -= self._size
        self._bodies._whole -= self.whole
        self._size, self.whole = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise NotRead("gone", 400, "cut off")
    return message.get("body", b""), message.get("more_body", False)
