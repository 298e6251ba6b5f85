import asyncio
from typing import Any

import orjson
import pytest

from stream.web.live import Full, LiveFeed, event
from tests.stream.web.web import application, client


def decoded(frame: bytes) -> tuple[str, dict]:
    lines = dict(line.split(": ", 1) for line in frame.decode().strip().split("\n"))
    return lines["event"], orjson.loads(lines["data"])


class Numbers:
    def __init__(self) -> None:
        self.value = 1
        self.calls = 0
        self.broken = False
        self._called = asyncio.Event()

    async def until(self, calls: int) -> None:
        while self.calls < calls:
            self._called.clear()
            await self._called.wait()

    async def compute(self, window: str) -> list[dict]:
        self.calls += 1
        self._called.set()
        if self.broken:
            raise RuntimeError("a bad moment")
        return [{"kpi": "sales", "value": self.value, "at": str(self.calls)}]


def live_of(numbers: Numbers, **more) -> LiveFeed:
    return LiveFeed(numbers.compute, lambda: {"state": "live"}, period=0.01, **{"heartbeat": 10.0, **more})


async def test_only_changes_are_sent_and_a_change_of_time_is_none():
    numbers = Numbers()
    live = live_of(numbers)
    live.start()
    stream: Any = live.stream("7d")
    assert (await anext(stream)).startswith(b"retry:")
    name, data = decoded(await anext(stream))
    assert (name, data["readings"][0]["value"]) == ("readings", 1)
    coming = asyncio.ensure_future(anext(stream))
    await numbers.until(5)
    assert not coming.done()
    numbers.value = 2
    assert decoded(await coming)[1]["readings"][0]["value"] == 2
    await stream.aclose()
    await live.close()


async def test_a_slow_page_gets_the_newest_and_no_queue():
    numbers = Numbers()
    live = live_of(numbers)
    live.start()
    stream: Any = live.stream("7d")
    await anext(stream)
    await anext(stream)
    for value in range(2, 6):
        numbers.value = value
        calls = numbers.calls
        await numbers.until(calls + 2)
    assert decoded(await anext(stream))[1]["readings"][0]["value"] == 5
    await stream.aclose()
    await live.close()


async def test_silence_is_broken_by_a_beat():
    live = live_of(Numbers(), heartbeat=0.01)
    stream: Any = live.stream("7d")
    await anext(stream)
    await anext(stream)
    assert decoded(await anext(stream)) == ("beat", {"state": "live"})
    await stream.aclose()


async def test_nothing_is_computed_while_nobody_watches():
    numbers = Numbers()
    live = live_of(numbers)
    stream: Any = live.stream("7d")
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert live.clients == 0
    calls = numbers.calls
    live.start()
    task = live._task
    assert task is not None
    for _ in range(20):
        await asyncio.wait({task}, timeout=0.005)
    assert numbers.calls == calls
    await live.close()


async def test_a_bad_moment_does_not_end_the_page(caplog):
    numbers = Numbers()
    live = live_of(numbers)
    live.start()
    stream: Any = live.stream("7d")
    await anext(stream)
    await anext(stream)
    numbers.broken = True
    calls = numbers.calls
    await numbers.until(calls + 2)
    numbers.broken, numbers.value = False, 3
    assert decoded(await anext(stream))[1]["readings"][0]["value"] == 3
    assert "a bad moment" in caplog.text
    await stream.aclose()
    await live.close()


async def test_no_more_pages_than_allowed():
    live = live_of(Numbers(), limit=1)
    live.admit()
    stream: Any = live.stream("7d")
    await anext(stream)
    with pytest.raises(Full):
        live.admit()
    await stream.aclose()
    live.admit()
    live.stop()
    with pytest.raises(Full):
        live.admit()


async def test_the_route_refuses_windows_that_would_be_computed_for_one_page_only():
    async with client(application()) as web:
        answer = await web.get("/api/stream?window=13h")
    assert answer.status_code == 400
    assert answer.json()["accepted"] == ["24h", "7d", "30d", "month"]


def test_an_event_is_one_block_whatever_its_text():
    assert event("beat", {"why": "a\nb"}, 7) == b'id: 7\nevent: beat\ndata: {"why":"a\\nb"}\n\n'
