"""How is the body of a stranger's request read without ever holding more of it than is allowed?"""

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from starlette.requests import ClientDisconnect

#: Encodings that are unpacked.
ENCODINGS = ("gzip", "x-gzip", "deflate")


class NotRead(Exception):
    """The body was not read: ``outcome`` for the metrics, and the answer's ``status`` and text."""

    def __init__(self, outcome: str, status: int, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.status = status


@dataclass
class Bodies:
    """Reads bodies of at most ``limit`` bytes, in at most ``seconds``, and at most ``at_once`` of them, one door's together."""

    limit: int
    seconds: float = 10.0
    at_once: int = 256
    under_way: int = field(default=0, init=False)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Take one of the places for as long as the request is under way; raise :class:`NotRead` where there is none."""
        if self.under_way >= self.at_once:
            raise NotRead("busy", 503, "busy")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def read(self, request: Request) -> bytes:
        """Return the body, unpacked; raise :class:`NotRead`."""
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", *ENCODINGS):
            raise NotRead("bad_encoding", 415, f"accepted encodings: {', '.join(ENCODINGS)}")
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._raw(request)
        except TimeoutError:
            raise NotRead("too_slow", 408, "the body took too long") from None
        except ClientDisconnect:
            raise NotRead("gone", 400, "cut off") from None
        return self._unpacked(body) if encoding in ENCODINGS else body

    async def _raw(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()) or int(announced[:12]) > self.limit:
            raise self._too_large()
        found = bytearray()
        async for chunk in request.stream():
            if len(found) + len(chunk) > self.limit:
                raise self._too_large()
            found += chunk
        return bytes(found)

    def _unpacked(self, body: bytes) -> bytes:
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            found = unpack.decompress(body, self.limit + 1)
        except zlib.error:
            raise NotRead("bad_encoding", 400, "not what content-encoding says") from None
        if len(found) > self.limit or unpack.unconsumed_tail:
            raise self._too_large()
        if not unpack.eof:
            raise NotRead("bad_encoding", 400, "not what content-encoding says: cut off")
        return found

    def _too_large(self) -> NotRead:
        return NotRead("too_large", 413, f"the body is too large; accepted are {self.limit} bytes")
