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


def work(seconds: float) -> None:
    """Keep the processor busy, as a long computation does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1_000))


async def asked(block: Callable[[float], None], seconds: float) -> dict[str, tuple[int, str, float]]:
    """Hold the loop up, and ask meanwhile: by path the status, the text and when it came."""
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/other")
    async def other(request: Request) -> str:
        return (await request.body()).decode()

    listening = await serve(app, "127.0.0.1", 0)
    found: dict[str, tuple[int, str, float]] = {}
    began = time.monotonic()

    def ask(path: str, data: bytes | None) -> None:
        try:
            with urllib.request.urlopen(listening.url + path, data, timeout=20) as answer:
                found[path] = (answer.status, answer.read().decode(), time.monotonic() - began)
        except urllib.error.HTTPError as refused:
            with refused as error:
                found[path] = (error.code, error.read().decode(), time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=one) for one in (("/healthz", None), ("/other", b"x" * 5_000))]
    loop = asyncio.get_running_loop()

    def ask_and_block() -> None:
        for thread in threads:
            thread.start()
        block(seconds)

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


@pytest.mark.parametrize("block", [work, time.sleep])
async def test_health_is_answered_while_the_loop_is_busy(block: Callable[[float], None]) -> None:
    found = await asked(block, 4.0)
    status, text, after = found["/healthz"]
    assert (status, text) == (200, '{"status":"ok"}') and after < 3.5
    status, text, after = found["/other"]
    assert (status, len(text)) == (200, 5_002) and after >= 4.0, "handed over, and answered once the loop came round"


async def test_a_loop_that_is_stuck_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "STUCK", 0.4)
    status, text, _ = (await asked(time.sleep, 3.0))["/healthz"]
    assert status == 503 and '"stuck"' in text
