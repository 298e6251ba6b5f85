"""The morning's summary through the real engine: once a day, though the worker is another one each time."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from agents.send_digest import LANE, NAME, send_digest, summed
from alert_rules.tell.plan import Alerting, Digest
from alert_rules.tell.stages.route import Route
from models.calendar import epoch_ms
from models.kpis.reading import Reading
from stream.config.kpi_files import load_catalogue
from stream.engine.app import Engine
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EAGER, EngineOptions
from stream.engine.topic_tail import TopicTail
from stream.engine.topics import declared

PLAN = Alerting(Route("{}", (), ("mail",)), digest=Digest(("mail",), kpis=("revenue",)))


def at(day: int, hour: int, minute: int = 0) -> int:
    return epoch_ms(datetime(2026, 1, day, hour, minute, tzinfo=UTC))


async def test_once_a_day_though_the_worker_is_another_one_each_time() -> None:
    now = at(5, 12)
    with EmbeddedBroker() as broker:
        options = EngineOptions(
            brokers=broker.bootstrap,
            partitions=2,
            embedded=True,
            tick_interval=0.05,
            clock=lambda: now,
            lane_intervals={LANE: EAGER},
        )

        def spec() -> Any:
            found = send_digest(PLAN, load_catalogue(), clock=lambda: now)
            assert found is not None and found.name == NAME
            return found

        broker.create(declared(options, [spec()]))
        history = TopicTail(options, "outbox")

        async def worker(*moments: int) -> list[dict[str, Any]]:
            """Run a worker through some moments; return what there is on the outbox then."""
            nonlocal now
            engine = Engine(options, [spec()])
            await engine.start(patience=120)
            try:
                await engine.ready(30)
                for now in moments:
                    reading = Reading("revenue", "7d", {}, now - 1, now, float(now % 1000), None, None, None, None, "money")
                    producer = Producer({"bootstrap.servers": broker.bootstrap})
                    producer.produce("readings", reading.encode(), reading.key.encode(), 0)
                    producer.flush(120)
                    await engine.driver.settled({("readings", 0): end_of_readings(broker)})
                    engine.driver.poke(NAME)
                    assert await engine.driver.checkpoint(LANE)
            finally:
                await engine.stop()
            return (await asyncio.to_thread(history.last, 10, lambda tree: True))[0]

        # A first start waits for the morning.
        (first,) = await worker(at(5, 12), at(6, 7, 59), at(6, 8))
        assert await worker(at(6, 8, 1), at(6, 9)) == [first]
        second, _ = await worker(at(7, 8, 5), at(7, 8, 6), at(7, 12))
    assert [one["incident"] for one in (first, second)] == ["digest-2026-01-06", "digest-2026-01-07"]
    assert first["receivers"] == ["mail"] and "Revenue, 7 days" in first["message"]["text"]
    assert {tuple(one)[:3] for one in summed(PLAN)} == {("revenue", "7d", None)}


def end_of_readings(broker: EmbeddedBroker) -> int:
    """The end of the topic of readings."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "end"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition("readings", 0), timeout=60)[1])
    finally:
        consumer.close()
