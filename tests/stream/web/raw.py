"""Requests byte by byte: what no HTTP library would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.stream.sources.crm import senders as s

URL = "https://vigie.example.com/webhooks/hubspot"


def signed(body: str | bytes, *, at: int, more: Iterable[str] = (), length: str | None = None) -> bytes:
    """Return the bytes of a HubSpot request; ``length`` replaces the line of the body's length."""
    content = body if isinstance(body, bytes) else body.encode()
    headers = s.hubspot(content, at=at, url=URL)["headers"] | {"Content-Type": "application/json", "Host": "door"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(content)}" if length is None else length, *more]
    return "\r\n".join(["POST /webhooks/hubspot HTTP/1.1", *(line for line in lines if line), "", ""]).encode("latin-1") + content


async def exchange(port: int, data: bytes, patience: float = 60) -> tuple[int, bytes]:
    """Send bytes on a connection of their own; return the status (0: cut without an answer) and all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await answered(reader, patience)
    finally:
        writer.transport.abort()


async def answered(reader: asyncio.StreamReader, patience: float = 60) -> tuple[int, bytes]:
    """Read one answer; the status is 0 where the connection ended without one."""
    async with asyncio.timeout(patience):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        try:
            body = await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            body = b""
        return int(head[9:12]), head + body
