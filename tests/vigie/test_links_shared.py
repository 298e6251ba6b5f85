"""Does a link work once, whichever of several processes its presses come to?"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from alert_rules.tell.delivery import Delivery
from alert_rules.tell.signed_links import LinkKey, Links
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.topic_tail import TopicTail
from stream.engine.topics import declared
from stream.web.acting import Acting
from vigie.acts import Acts

VALID = 3_600_000
LINKS = Links((LinkKey("k1", b"k" * 32),), "http://vigie", VALID)


def token(number: int) -> str:
    now = wall_clock()
    alert = {"kind": "fired", "group": {"incident": f"i{number}"}}
    message = Delivery(f"msg_{number}", "boss", f"i{number}", 0, now, 0, now, None, alert)
    return LINKS.actions(message)[0].token


@pytest.fixture
def options() -> Iterator[EngineOptions]:
    with EmbeddedBroker() as broker:
        found = EngineOptions(brokers=broker.bootstrap, embedded=True)
        broker.create(declared(found))
        yield found


class Process:
    """What `vigie web` has of it: the routes, and no fold."""

    def __init__(self, options: EngineOptions) -> None:
        self.acts = Acts(options, VALID)
        app = FastAPI()
        app.include_router(Acting(LINKS, self.acts.put, first=self.acts.first).router())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie")

    async def press(self, token: str) -> tuple[int, str]:
        answer = await self.client.post(f"/act/{token}")
        return answer.status_code, answer.text


async def test_of_presses_at_several_processes_the_first_in_the_log_acts_and_the_others_say_so(options: EngineOptions) -> None:
    processes = [Process(options) for _ in range(3)]
    for number in range(4):
        link = token(number)
        answers = await asyncio.gather(*(process.press(link) for process in processes))
        assert sorted(status for status, _ in answers) == [200, 410, 410]
        assert all("used before" in text for status, text in answers if status == 410)
        # And long after, at a process that was not there.
        assert (await Process(options).press(link))[0] == 410
    records, _ = TopicTail(options, "alerts").last(100, lambda tree: tree.get("type") == "act")
    assert len(records) >= 12, "each press is in the log: the fold takes the first"


def press_in_a_process(options: EngineOptions, link: str, ready: Any, answers: Any) -> None:
    async def pressed() -> int:
        process = Process(options)
        ready.wait(120)
        return (await process.press(link))[0]

    answers.put(asyncio.run(pressed()))


def test_two_processes_of_the_system(options: EngineOptions) -> None:
    context = multiprocessing.get_context("spawn")
    ready, answers = context.Barrier(2), context.Queue()
    running = [context.Process(target=press_in_a_process, args=(options, token(9), ready, answers)) for _ in range(2)]
    for one in running:
        one.start()
    found = [answers.get(timeout=60) for _ in running]
    for one in running:
        one.join(120)
    assert sorted(found) == [200, 410]


async def test_where_the_log_does_not_tell_nobody_is_told_more_than_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def put(key: bytes, value: bytes) -> None:
        assert orjson.loads(value)["press"]

    async def first(link: Any, press: str) -> str | None:
        raise OSError("no broker")

    app = FastAPI()
    app.include_router(Acting(LINKS, put, first=first).router())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie")
    answer = await client.post(f"/act/{token(1)}")
    assert answer.status_code == 202 and "If this link was used before, nothing more is done" in answer.text
