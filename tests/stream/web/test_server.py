import re
import socket

import httpx
import pytest
from fastapi import FastAPI

from stream.web.server import CannotListen, serve
from tests.stream.demo import fresh
from tests.stream.web.web import application, board


async def test_a_taken_port_is_said_clearly():
    first = await serve(FastAPI(), "127.0.0.1", 0)
    try:
        with pytest.raises(CannotListen, match=rf"127.0.0.1:{first.port} is taken by another process.*web.port"):
            await serve(FastAPI(), "127.0.0.1", first.port)
    finally:
        await first.stop()


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "not an address of this machine"), ("no.such.host.invalid", "cannot resolve")]
)
async def test_an_address_that_is_not_ours(host, words):
    with pytest.raises(CannotListen, match=words):
        await serve(FastAPI(), host, 0)


async def test_the_port_is_free_again_after_stopping():
    first = await serve(FastAPI(), "127.0.0.1", 0)
    await first.stop()
    await first.stop()
    second = await serve(FastAPI(), "127.0.0.1", first.port)
    assert second.port == first.port
    await second.stop()
    with socket.create_server(("127.0.0.1", first.port)):
        pass


async def events(lines):
    """Yield (event, data) of a stream of server-sent events."""
    name = ""
    async for line in lines:
        if found := re.fullmatch("event: (.*)", line):
            name = found[1]
        elif line.startswith("data: "):
            yield name, line.removeprefix("data: ")


async def test_a_stream_says_what_changes_and_ends_with_the_server():
    acme = fresh()
    app = application(board(acme))
    live = app.state.vigie.live
    live._period = 0.02
    listening = await serve(app, "127.0.0.1", 0, before_stop=live.stop)
    async with (
        httpx.AsyncClient(base_url=listening.url, timeout=60) as web,
        web.stream("GET", "/api/stream?window=24h") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer.aiter_lines())
        name, first = await anext(stream)
        assert name == "readings"
        assert acme.step(5_000) > 0
        name, second = await anext(stream)
        assert name == "readings"
        assert second != first
        assert live.clients == 1
        await listening.stop()
        rest = [name async for name, _ in stream]
    assert rest[-1] == "bye", "its end waits for nobody who watches"
    assert live.clients == 0
