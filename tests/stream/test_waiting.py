"""No word to stop is lost, in whichever turn of the loop it comes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import RedisError

from stream.engine.waiting import end, happens, settle
from stream.readings.cache import Fallback, Snapshots

#: A cancellation comes so many turns of the loop after what was waited for.
TURNS = range(8)


async def cancelled_after(turns: int, run: Callable[[], Awaitable[Any]], answer: Callable[[], None]) -> bool:
    """Whether a task that waits ends when it is cancelled so many turns after the answer has come."""
    task = asyncio.ensure_future(run())
    for _ in range(5):
        await asyncio.sleep(0)
    answer()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=60)
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=60)
    return bool(done)


@pytest.mark.parametrize("turns", TURNS)
async def test_the_reader_of_snapshots_ends_whenever_it_is_cancelled(turns: int) -> None:
    snapshots = Snapshots("memory://")
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Client:
        async def ping(self) -> bool:
            await asyncio.shield(answered)
            return True

    snapshots._client = Client()
    fallback = Fallback(snapshots, None, None)  # type: ignore[arg-type]  # nothing is read while it is not needed

    async def run() -> None:
        await fallback.run(lambda: False, period=30.0)

    assert await cancelled_after(turns, run, lambda: answered.set_result(None))


async def test_a_client_that_takes_the_word_to_stop_for_its_own_failure_is_heard_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshots, asked = Snapshots("redis://127.0.0.1:1"), asyncio.Event()

    async def ping() -> bool:
        asked.set()
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            raise RedisError("Timeout connecting to server") from None

    monkeypatch.setattr(snapshots, "_client", SimpleNamespace(ping=ping))
    task = asyncio.create_task(snapshots.ping())
    await asked.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("turns", TURNS)
async def test_a_wait_for_an_event_ends_whenever_it_is_cancelled(turns: int) -> None:
    event = asyncio.Event()

    async def for_ever() -> None:
        while True:
            await happens(event, 30.0)
            event.clear()

    assert await cancelled_after(turns, for_ever, event.set)


async def test_an_event_that_does_not_happen() -> None:
    event = asyncio.Event()
    assert not await happens(event, 0.01)
    event.set()
    assert await happens(event, 0.01)


async def test_a_task_that_will_not_end_is_named_and_left(caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()

    async def stubborn() -> None:
        while not stop.is_set():
            try:
                await stop.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        await end(task, None, patience=0.05)
    assert "stubborn has not ended within 0.05 s" in caplog.text
    stop.set()
    await settle(task)
    assert task.done()
