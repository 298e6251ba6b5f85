"""The door on a real Kafka and a real Redis: what was acknowledged is there, however often it was sent."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from stream.config.settings import load
from stream.engine.options import EngineOptions
from stream.engine.topics import create
from stream.ingest import webhooks
from stream.ingest.door import Door, sources_of
from stream.ingest.event_ids import InMemory, InRedis
from stream.ingest.intake import Intake
from tests.kafka_broker import KafkaBroker
from tests.kafka_records import records
from tests.redis_server import Redis
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, compact

URL = "https://vigie.example.com/webhooks/hubspot"


@pytest.mark.kafka
async def test_every_delivery_that_was_acknowledged_is_on_the_topic(kafka: KafkaBroker, prefix: str) -> None:
    options = EngineOptions(brokers=kafka.bootstrap, partitions=3, topic_prefix=prefix)
    await asyncio.to_thread(create, options, [], replication=1)
    settings = load(environ={}, sources={"hubspot": {"client_secret": SECRET, "public_url": "https://vigie.example.com"}})
    intakes = [Intake(options, patience=20_000) for _ in range(2)]
    clients = []
    for intake in intakes:
        app = FastAPI()
        app.state.door = Door(sources_of(settings), intake, InMemory(), clock=lambda: NOW)
        app.include_router(webhooks.router)
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door"))
    dice = random.Random(7)
    deliveries = [
        compact([s.hubspot_change("amount", str(n), eventId=n, objectId=n % 40) | {"attemptNumber": attempt}])
        for n in range(250)
        for attempt in range(2 if dice.random() < 0.2 else 1)
    ]
    dice.shuffle(deliveries)

    again = 0

    async def deliver(body: str) -> None:
        nonlocal again
        vector = s.hubspot(body, url=URL)
        client = dice.choice(clients)
        async with asyncio.timeout(120):
            while (found := await client.post("/webhooks/hubspot", content=body, headers=vector["headers"])).status_code != 200:
                # A topic that has just been made: a broker may say that it has what it has not, and it is not believed.
                assert found.status_code == 503
                again += 1

    await asyncio.gather(*(deliver(body) for body in deliveries))
    for client, intake in zip(clients, intakes, strict=True):
        await client.aclose()
        await intake.close()
    found = await asyncio.to_thread(read_all, kafka.bootstrap, options.physical("deals"), 3)
    ids = Counter(event["id"] for event in found)
    assert len(ids) == 250 and {event["data"]["amount"] for event in found} == {str(n) for n in range(250)}
    assert max(ids.values()) <= 2 + again


@pytest.mark.kafka
async def test_while_kafka_is_killed_senders_are_asked_to_come_back_and_nothing_that_was_accepted_is_lost(
    kafka_jars: None,
) -> None:
    broker = KafkaBroker()
    try:
        await asyncio.to_thread(broker.start)
        options = EngineOptions(brokers=broker.bootstrap, partitions=2)
        await asyncio.to_thread(create, options, [], replication=1)
        settings = load(environ={}, sources={"hubspot": {"client_secret": SECRET, "public_url": "https://vigie.example.com"}})
        intake = Intake(options, patience=1_000)
        app = FastAPI()
        app.state.door = Door(sources_of(settings), intake, InMemory(), clock=lambda: NOW)
        app.include_router(webhooks.router)
        accepted = set()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:

            async def deliver(number: int) -> httpx.Response:
                body = compact([s.hubspot_change("amount", str(number), objectId=number)])
                answer = await client.post("/webhooks/hubspot", content=body, headers=s.hubspot(body, url=URL)["headers"])
                if answer.status_code == 200:
                    accepted.add(str(number))
                return answer

            async def until_taken(number: int) -> None:  # as senders do: again
                while (await deliver(number)).status_code != 200:  # noqa: ASYNC110 - the answer takes its time
                    await asyncio.sleep(0.2)

            async with asyncio.timeout(120):
                await asyncio.gather(*map(until_taken, range(50)))
            await asyncio.to_thread(broker.kill)
            refused = await asyncio.gather(*map(deliver, range(50, 150)))
            assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "5")}
            assert intake.held == 0
            await asyncio.to_thread(broker.start)
            async with asyncio.timeout(120):
                await asyncio.gather(*map(until_taken, range(50, 150)))
        await intake.close()
        found = await asyncio.to_thread(read_all, broker.bootstrap, options.physical("deals"), 2)
        assert {event["data"]["amount"] for event in found} == accepted == {str(number) for number in range(150)}
        assert len({event["id"] for event in found}) == 150
    finally:
        await asyncio.to_thread(broker.close)


def read_all(bootstrap: str, topic: str, partitions: int) -> list[dict[str, Any]]:
    return [orjson.loads(message.value() or b"") for message in records(bootstrap, topic, partitions=partitions)]


@pytest.mark.redis
async def test_ids_are_shared_by_all_doors(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    server.start()
    now = [NOW]
    first, second = (InRedis(server.url, "vigie", lambda: now[0]) for _ in range(2))
    try:
        for _ in range(200):  # until it listens
            await first.remember(["a", "b"])
            if await second.known(["a", "b", "c"]) == {"a", "b"}:
                break
            now[0] += 60_000
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the server never knew")
        server.stop()
        assert await second.known(["a"]) == set()
        server.start()
        now[0] += 60_000
    finally:
        await first.close()
        await second.close()
        server.stop()
