"""A receiver that behaves badly in every way there is, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from alert_rules.tell.delivery import Action, Delivery
from stream.config.settings import ReceiverEntry, Settings

ALERT: dict[str, Any] = {
    "type": "transition", "id": "t1", "incident": "i1", "kind": "fired", "rule": "win-rate-drop", "severity": "critical",
    "segment": {"source": "web"}, "at": "2026-01-01T00:30:00Z", "value": 0.1, "runbook": "docs/runbooks/win-rate-drop.md",
    "message": {"title": "[CRITICAL] Win rate · source=web: 10 %", "text": "Win rate from web is 10%"},
}  # fmt: skip


def delivery(receiver: str = "ops") -> Delivery:
    """A message to be sent."""
    return Delivery("msg_1", receiver, "i1", 0, 0, 0, 0, None, ALERT)


def having(*receivers: dict[str, Any]) -> Settings:
    """Settings with these receivers."""
    return Settings(receivers=[ReceiverEntry(**one) for one in receivers])


def about(alert: dict[str, Any], actions: tuple[Action, ...] = ()) -> Delivery:
    """A message to be sent, of a record."""
    return Delivery("msg_1", "ops", str(alert.get("incident", "i1")), 0, 0, 0, 0, None, alert, actions=actions)


@dataclass
class Received:
    """What came: headers and body, as sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server on loopback; ``answers`` are given in turn, the last one for ever."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    hang: bool = False
    endless: bool = False
    drips: float = 0.0  # seconds between the bytes of an endless body
    body: bytes = b"no"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path_qs, headers, await request.read()))
        if self.hang:
            await asyncio.Event().wait()
        if self.endless:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"x")
            await asyncio.Event().wait()
        if self.drips:
            answer = web.StreamResponse()
            await answer.prepare(request)
            while True:
                await answer.write(b" ")
                await asyncio.sleep(self.drips)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] if self.answers else web.Response()
        return web.Response(status=status.status, headers=dict(status.headers), body=self.body)


@asynccontextmanager
async def receiver(*answers: web.Response, **more: Any) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    server = Receiver(answers=list(answers), **more)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: bytes | None) -> AsyncIterator[str]:
    """Run a socket that answers with these bytes, or resets the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        if answer is None:
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        await server.wait_closed()
