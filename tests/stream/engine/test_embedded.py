"""The whole engine on the embedded broker."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from stream.engine.app import build_app
from stream.engine.embedded import EmbeddedBroker
from stream.engine.errors import EngineStopped
from stream.engine.options import EngineOptions
from stream.engine.topics import Physical, check, declared
from tests.stream.engine.counting import TOPICS, adder
from tests.stream.engine.running import Site


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


def folds(engine: Any, name: str = "add", partitions: int = 2) -> list[Any]:
    return [engine.driver.fold_of(name, partition) for partition in range(partitions)]


async def test_two_engines_in_one_process_know_nothing_of_each_other() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as two:
        sites = [Site(broker.bootstrap, [adder()], embedded=broker) for broker in (one, two)]
        for site, count in zip(sites, (300, 400), strict=True):
            site.publish(count)
        async with sites[0].running() as first, sites[1].running() as second:
            await first.driver.settled(sites[0].ends)
            await second.driver.settled(sites[1].ends)
            assert sites[0].folded(first) == sites[0].sums
            assert sites[1].folded(second) == sites[1].sums


async def test_what_the_bounded_memory_dropped_is_counted_and_shown(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(broker.bootstrap, [adder()], embedded=broker)
    site.publish(100, keys=1)
    async with site.running() as engine:
        await engine.driver.settled(site.ends)
    site.publish(400, size=50_000, keys=1)  # 20 MB into one partition
    async with site.running() as engine:
        await engine.driver.settled(site.ends)
        [jump] = engine.status()["jumps"].values()
        assert jump["times"] == 1
        [fold] = [fold for fold in folds(engine) if fold.offsets]
        assert jump["offsets_lost"] == 400 - len(fold.offsets) > 0
        assert "are gone from the log before they were folded" in caplog.text


async def test_a_missing_topic_is_named_and_waited_for(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    options = EngineOptions(brokers=broker.bootstrap, topics=TOPICS, partitions=2, embedded=True)
    physical = declared(options, [adder()])
    broker.create(topic for topic in physical if topic.name != "letters")
    engine = build_app(options, [adder()])
    starting = asyncio.create_task(engine.start())
    while "letters" not in (engine.status()["last_error"] or ""):  # noqa: ASYNC110 - nothing sets an event
        await asyncio.sleep(0.02)
    assert "topic letters: missing" in engine.status()["last_error"]
    broker.create(topic for topic in physical if topic.name == "letters")
    async with asyncio.timeout(120):
        await starting
    await engine.ready(120)
    await engine.stop()


async def test_too_few_partitions_are_named(broker: EmbeddedBroker) -> None:
    options = EngineOptions(brokers=broker.bootstrap, topics=TOPICS, partitions=4, embedded=True)
    broker.create(topic if topic.name != "numbers" else Physical("numbers", 2, {}) for topic in declared(options))
    assert [str(problem) for problem in check(options)] == ["topic numbers: found 2 partitions; accepted: 4"]
    engine = build_app(options, [adder()])
    with pytest.raises(EngineStopped, match="numbers: found 2 partitions"):
        await engine.start(patience=0)
    await engine.stop()


async def test_no_broker_is_said_with_its_address_and_the_start_can_be_given_up() -> None:
    engine = build_app(EngineOptions(brokers="127.0.0.1:1", topics=TOPICS), [adder()])
    with pytest.raises(EngineStopped, match=r"no broker answers at 127\.0\.0\.1:1"):
        await engine.start(patience=0)
    await engine.stop()
