"""From a reading to a receiver, through the real engine on every backend; and across restarts."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from confluent_kafka import Producer

from agents import deliver_notifications, dispatch_alerts, evaluate_alerts
from agents.deliver_notifications import Deliverer
from agents.dispatch_alerts import Dispatcher
from agents.evaluate_alerts import Evaluator
from agents.notifiers.http import HttpNotifier
from alert_rules.parse.plan_file import everything_to
from stream.engine.app import Engine
from stream.engine.backend import Message
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EAGER, EngineOptions
from stream.engine.topics import create, declared
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from tests.agents.doubles import Receiver, receiver
from tests.alert_rules.readings import reading, rule

PATIENCE = 120.0
RULE = rule(**{"for": 0})


class Place(NamedTuple):
    """A broker whose topics exist, or a ledger."""

    bootstrap: str
    prefix: str = ""
    embedded: bool = True
    backend: OnLedger | None = None


class Running:
    """One worker: evaluation and delivery to one URL."""

    def __init__(self, place: Place, url: str) -> None:
        self.evaluator = Evaluator([RULE])
        self.deliverer = Deliverer({"ops": HttpNotifier("ops", url, timeout=PATIENCE)})
        self.dispatcher = Dispatcher(everything_to(("ops",)))
        self.options = EngineOptions(
            brokers=place.bootstrap,
            partitions=2,
            topic_prefix=place.prefix,
            embedded=place.embedded,
            backend=place.backend,
            tick_interval=0.1,
            lane_intervals={evaluate_alerts.LANE: EAGER, dispatch_alerts.LANE: EAGER, deliver_notifications.LANE: EAGER},
        )
        self.engine = Engine(self.options, [self.evaluator.spec(), self.dispatcher.spec(), self.deliverer.spec()])
        vars(self.evaluator)["owned"] = lambda: self.engine.driver.fold_of(evaluate_alerts.NAME, 0)
        vars(self.deliverer)["owned"] = lambda: self.engine.driver.fold_of(deliver_notifications.NAME, 0)
        self.deliverer.wrote = lambda: self.engine.driver.poke(deliver_notifications.NAME)


@asynccontextmanager
async def worker(place: Place, url: str) -> AsyncIterator[Running]:
    running = Running(place, url)
    await running.engine.start(patience=PATIENCE)
    try:
        await running.engine.ready(PATIENCE)
        yield running
    finally:
        await running.engine.stop()
        await running.deliverer.close()


@pytest.fixture(params=["embedded", "ledger", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest, prefix: str, tmp_path: Path) -> Iterator[Place]:
    """The embedded broker, a ledger, or a real Kafka."""
    if request.param == "ledger":
        with closing(Ledger(tmp_path / "vigie.db")) as ledger:
            found = Place("", backend=OnLedger(ledger))
            plan = Running(found, "http://127.0.0.1:9/")
            OnLedger(ledger).create(plan.options, plan.engine.specs)
            yield found
        return
    if request.param == "kafka":
        found = Place(request.getfixturevalue("kafka").bootstrap, prefix, embedded=False)
        plan = Running(found, "http://127.0.0.1:9/")
        create(plan.options, plan.engine.specs)
        yield found
        return
    with EmbeddedBroker() as broker:
        found = Place(broker.bootstrap)
        plan = Running(found, "http://127.0.0.1:9/")
        broker.create(declared(plan.options, plan.engine.specs))
        yield found


def publish(place: Place, *values: bytes) -> None:
    key = b"win_rate|7d|source=web"
    if place.backend is not None:
        place.backend.ledger.append([Message("readings", value, key, 0) for value in values]).result()
        return
    producer = Producer({"bootstrap.servers": place.bootstrap})
    for value in values:
        producer.produce(f"{place.prefix}readings", value, key, 0)
    assert producer.flush(PATIENCE) == 0


async def told(server: Receiver, count: int) -> list[dict[str, Any]]:
    """Wait for so many messages; return them all."""
    async with asyncio.timeout(PATIENCE):
        while len(server.received) < count:  # noqa: ASYNC110 - the receiver is on the other side of a socket
            await asyncio.sleep(0.01)
    return [json.loads(one.body) | {"key": one.headers["webhook-id"]} for one in server.received]


async def empty(running: Running) -> None:
    """Wait until every result is durable."""
    driver = running.engine.driver
    async with asyncio.timeout(PATIENCE):
        while running.deliverer.depth:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await driver.checkpoint(deliver_notifications.LANE)


async def test_from_a_reading_to_a_receiver_and_across_a_restart(place: Place) -> None:
    async with receiver() as server:
        async with worker(place, server.url) as running:
            publish(place, reading(0, 0.19).encode(), reading(1, 0.10).encode())
            fired, upgraded = await told(server, 2)
            assert (fired["type"], upgraded["type"]) == ("alert.fired", "alert.upgraded")
            assert upgraded["data"]["message"]["title"] == "[WARN → CRITICAL] Win rate · source web: 10 %"
            assert [a["severity"] for a in running.evaluator.current()] == ["critical"]
            await empty(running)
        async with worker(place, server.url) as running:
            # The state is back: a further breach is no news, the end belongs to the same incident.
            assert [a["severity"] for a in running.evaluator.current()] == ["critical"]
            publish(place, reading(2, 0.10).encode(), reading(3, 0.40).encode())
            resolved = (await told(server, 3))[2]
            assert (resolved["type"], resolved["data"]["incident"]) == ("alert.resolved", fired["data"]["incident"])
            await empty(running)
            assert running.evaluator.current() == []
        assert len({message["key"] for message in await told(server, 3)}) == 3


async def test_a_worker_that_stops_between_intent_and_result_leaves_the_intent_to_its_successor(place: Place) -> None:
    async with receiver(hang=True) as stuck:
        async with worker(place, stuck.url):
            publish(place, reading(0, 0.10).encode())
            (first,) = await told(stuck, 1)  # the receiver has it, the worker does not know
    async with receiver(web.Response(status=503), web.Response(status=200)) as server, worker(place, server.url) as running:
        again, once_more = await told(server, 2)
        await empty(running)
    assert first == again == once_more
