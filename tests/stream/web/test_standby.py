"""While the event loop is at work for seconds, /healthz is answered; everything else waits for it and is answered then."""

import asyncio
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from fastapi import FastAPI, Request

from stream.web import standby
from stream.web.server import serve

#: So long (s) health is waited for at most: a busy machine is slow to give its threads their turn.
LONGEST = 60.0


def work(done: Callable[[], bool]) -> None:
    """Keep the processor busy, as a long computation does."""
    while not done():
        sum(range(1_000))


def wait(done: Callable[[], bool]) -> None:
    """Keep the loop waiting, as a call does that blocks."""
    while not done():
        time.sleep(0.05)


async def asked(block: Callable[[Callable[[], bool]], None]) -> dict[str, tuple[int, str, bool]]:
    """Hold the loop up until health is answered; by path the status, the text, and whether it came while it was held up."""
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/other")
    async def other(request: Request) -> str:
        return (await request.body()).decode()

    listening = await serve(app, "127.0.0.1", 0)
    found: dict[str, tuple[int, str, bool]] = {}
    held = True

    def ask(path: str, data: bytes | None) -> None:
        try:
            with urllib.request.urlopen(listening.url + path, data, timeout=60) as answer:
                found[path] = (answer.status, answer.read().decode(), held)
        except urllib.error.HTTPError as refused:
            with refused as error:
                found[path] = (error.code, error.read().decode(), held)

    threads = [threading.Thread(target=ask, args=one) for one in (("/healthz", None), ("/other", b"x" * 5_000))]
    loop = asyncio.get_running_loop()

    def ask_and_block() -> None:
        nonlocal held
        for thread in threads:
            thread.start()
        end = time.monotonic() + LONGEST
        block(lambda: "/healthz" in found or time.monotonic() > end)
        held = False

    loop.call_soon(ask_and_block)
    await asyncio.sleep(0)  # it blocks now; then the threads' answers come
    for thread in threads:
        await asyncio.to_thread(thread.join)
    again = await asyncio.to_thread(urllib.request.urlopen, listening.url + "/healthz", None, 20)
    assert again.status == 200
    again.close()
    await listening.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "web-standby"]
    return found


@pytest.mark.parametrize("block", [work, wait])
async def test_health_is_answered_while_the_loop_is_busy(block: Callable[[Callable[[], bool]], None]) -> None:
    found = await asked(block)
    assert found["/healthz"] == (200, '{"status":"ok"}', True)
    status, text, while_held = found["/other"]
    assert (status, len(text), while_held) == (200, 5_002, False), "handed over, and answered once the loop came round"


async def test_a_loop_that_is_stuck_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "STUCK", 0.4)
    status, text, _ = (await asked(wait))["/healthz"]
    assert status == 503 and '"stuck"' in text
