"""The whole engine on a real Kafka: groups, fencing, crashes."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from bench import learning
from models.fold import Record
from stream.engine.chunks import Ownership
from stream.engine.errors import EngineStopped, Fenced
from stream.engine.options import FoldSpec, wall_clock
from stream.engine.topics import check, create, summary
from tests.kafka_broker import ROOT, KafkaBroker
from tests.stream.engine.counting import Adder, adder, latest
from tests.stream.engine.running import Site, until
from vigie.doctor_kafka import _remedy

pytestmark = pytest.mark.kafka


async def test_folds_and_restores(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder(), latest()], prefix=prefix)
    site.publish(3000)
    async with site.running() as engine:
        await engine.driver.settled(site.ends, cascade=True)
        assert site.folded(engine) == site.sums
    site.publish(100)
    async with site.running() as engine:
        await engine.driver.settled(site.ends, cascade=True)
        assert site.folded(engine) == site.sums
        fold = engine.driver.fold_of("latest", 0)
        assert {key: int(value) for key, value in fold.values.items()} == site.sums
        assert set(engine.driver.lag().values()) == {0}, "the markers of transactions count as read"


async def test_topics_are_created_once_and_checked(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix)
    assert create(site.options, site.specs) == []
    assert check(site.options, site.specs) == []
    wrong = FoldSpec(name="other", topics=("numbers",), make=adder().make)
    problems = check(site.options, [wrong])
    assert [str(problem) for problem in problems] == [
        f"topic {prefix}vigie-other-changelog: missing; accepted: 2 partitions (run: vigie topics create)"
    ]


async def test_when_a_record_arrived_is_the_brokers_word_and_a_topic_where_it_is_not_is_named(
    kafka: KafkaBroker, prefix: str
) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix)
    topic, arrived = site.options.physical("numbers"), list[tuple[int, int]]()

    class Timed(Adder):
        def fold(self, records: Sequence[Record]) -> None:
            arrived.extend((record.timestamp, record.read) for record in records)
            super().fold(records)

    began = wall_clock()
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.bootstrap})
    for stamp in (began // 1000, began + 86_400_000):  # in seconds, so in 1970; and tomorrow
        producer.produce(topic, b"1", b"k", 0, timestamp=stamp)
    assert producer.flush(120) == 0
    site.specs = [replace(adder(), make=Timed)]
    async with site.running() as engine:
        await engine.driver.settled({("numbers", 0): 2})
    assert len(arrived) == 2
    assert all(began <= stamp <= read + 1_000 and read <= wall_clock() for stamp, read in arrived)

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    change = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
    [problem] = check(site.options, site.specs)
    assert (str(problem), problem.fatal) == (
        f"topic {topic}: message.timestamp.type: found CreateTime; advised: LogAppendTime", False
    )  # fmt: skip
    [text] = summary([problem])
    assert _remedy(text).endswith("--add-config message.timestamp.type=LogAppendTime")


async def test_two_workers_share_the_partitions_and_take_over(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix)
    site.publish(1000)
    async with site.running("0") as first:
        await first.driver.settled(site.ends)
        kept = [first.driver.fold_of("add", partition) for partition in range(2)]
        async with site.running("1") as second:
            await until(lambda: sizes(first, second) == [1, 1])
            [mine] = [fold for fold in (first.driver.fold_of("add", p) for p in range(2)) if fold is not None]
            assert mine in kept, "memory stays over a clean rebalance"
            site.publish(1000)
            await until(lambda: site.folded(first, second) == site.sums)
        site.publish(1000)
        await first.driver.settled(site.ends)
        assert site.folded(first) == site.sums


def sizes(*engines: Any) -> list[int]:
    return [len(engine.driver.positions()) if engine.driver.state == "running" else 0 for engine in engines]


async def test_a_zombie_is_refused_and_nothing_of_it_is_visible(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix, checkpoint_interval=60.0)
    site.publish(100)
    async with site.running("0") as engine:
        await engine.driver.settled(site.ends)
        before, said = (
            dict(site.sums),
            await asyncio.to_thread(learning.committed, kafka.bootstrap, site.options.physical("sums")),
        )
        assert said
        driver = engine.driver
        # As after a pause longer than the session: the memory was restored under an ownership that is over.
        assert driver._token is not None
        driver._token = driver._token._replace(generation=driver._token.generation - 1)
        site.publish(100)
        await until(lambda: site.folded(engine) == site.sums)
        assert not await driver.checkpoint("state")
        with pytest.raises(Fenced, match="the broker refused a checkpoint"):
            await engine.run_until_stopped()
        assert engine.status()["state"] == "stopped-fenced"
    assert await asyncio.to_thread(learning.committed, kafka.bootstrap, site.options.physical("sums")) == said
    restored: dict[int, dict[bytes, int]] = {}

    class Restored(Adder):
        def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
            super().restore(rows)
            restored.setdefault(self.partition, dict(self.sums))

    site.specs = [replace(adder(), make=Restored)]
    async with site.running("1", checkpoint_interval=0.1) as successor:
        assert restored[0] | restored[1] == before
        await successor.driver.settled(site.ends)
        assert site.folded(successor) == site.sums


async def test_a_member_that_the_group_has_forgotten_is_refused(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix, checkpoint_interval=60.0)
    async with site.running() as engine:
        driver = engine.driver
        assert driver._token is not None
        driver._token = Ownership(driver._token.generation, "somebody", driver._token.group)
        site.publish(10)
        await until(lambda: site.folded(engine) == site.sums)
        await driver.checkpoint("state")
        with pytest.raises(Fenced, match="UNKNOWN_MEMBER_ID"):
            driver.failure.result()


async def test_an_open_transaction_of_a_dead_worker_is_waited_for(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix)
    changelog = site.options.changelog("add")
    dead = confluent_kafka.Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": prefix + "dead", "transaction.timeout.ms": 3000}
    )
    dead.init_transactions(10)
    dead.begin_transaction()
    dead.produce(changelog, b"666", b"k1", 0)
    dead.flush(120)
    async with site.running() as engine:
        assert engine.driver.fold_of("add", 0).sums == {}, "what was never committed is not restored"
    dead.purge()


def worker(kafka: KafkaBroker, prefix: str, instance: str, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.worker", "--brokers", kafka.bootstrap, "--application", "crash"]
    command += ["--instance", instance, "--prefix", prefix, "--partitions", "4", *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def committed(kafka: KafkaBroker, group: str) -> int:
    """How many partitions the group has committed."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap})
    [future] = admin.list_consumer_group_offsets([confluent_kafka.ConsumerGroupTopicPartitions(group)]).values()
    return sum(position.offset >= 0 for position in future.result().topic_partitions)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
async def test_a_worker_process_that_ends_in_the_middle_loses_and_doubles_nothing(
    kafka: KafkaBroker, prefix: str, tmp_path: Path, how: signal.Signals
) -> None:
    from bench import small_job

    topics: dict[str, Any] = {"application": "crash", "topics": small_job.TOPICS, "partitions": 4}
    site = Site(kafka.bootstrap, small_job.specs(), prefix=prefix, **topics)
    events = list(small_job.stream_of(20_000, 3))
    truth = small_job.truth(events)
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2"})
    ends: dict[tuple[str, int], int] = {}

    def delivered(error: Any, message: Any) -> None:
        ends[site.options.logical(message.topic()), message.partition()] = message.offset() + 1

    first = worker(kafka, prefix, "0")
    try:
        for index, (topic, key, value) in enumerate(events):
            producer.produce(site.options.physical(topic), value, key, on_delivery=delivered)
            if index % 500 == 499:
                producer.flush(120)
                await asyncio.sleep(0.1)
            if index == 12_000:
                # It must be in the middle: in the group, with something committed (a busy machine is slow to get there).
                await until(lambda: committed(kafka, site.options.group) > 0)
                assert first.poll() is None
                first.send_signal(how)
                code = await asyncio.to_thread(first.wait, 180)
                assert code == (0 if how is signal.SIGTERM else -9)
                first = worker(kafka, prefix, "0")
        producer.flush(120)
    finally:
        first.kill()
        first.wait()
    (tmp_path / "targets").write_text(json.dumps([[topic, partition, end] for (topic, partition), end in ends.items()]))
    last = worker(kafka, prefix, "1", "--targets", str(tmp_path / "targets"), "--totals", str(tmp_path / "totals"))
    assert await asyncio.to_thread(last.wait, 180) == 0
    assert json.loads((tmp_path / "totals").read_text())["totals"] == json.loads(json.dumps(truth))


async def test_a_broker_that_goes_and_comes_back_needs_no_restart(kafka: KafkaBroker, prefix: str) -> None:
    """In flight: the worker says so, keeps what it has folded, and goes on."""
    with KafkaBroker() as own:
        site = Site(own.bootstrap, [adder()], prefix=prefix, session_timeout=30.0)
        site.publish(500)
        async with site.running() as engine:
            await engine.driver.settled(site.ends)
            await asyncio.to_thread(own.kill)
            await asyncio.sleep(2)
            await asyncio.to_thread(own.start)
            await asyncio.to_thread(site.publish, 500)
            async with asyncio.timeout(120):
                await engine.driver.settled(site.ends)
            assert site.folded(engine) == site.sums
            assert engine.status()["state"] == "running"
            assert engine.status()["jumps"] == {}


async def test_the_start_waits_for_a_broker_that_is_not_there_yet(prefix: str, kafka: KafkaBroker) -> None:
    with KafkaBroker() as own:
        site = Site(own.bootstrap, [adder()], prefix=prefix)
        site.publish(10)
        await asyncio.to_thread(own.stop)
        engine = site.engine()
        starting = asyncio.create_task(engine.start())
        try:
            await until(lambda: "no broker answers at" in (engine.status()["last_error"] or ""))
            assert engine.status()["state"] == "starting"
            await asyncio.to_thread(own.start)
            async with asyncio.timeout(120):
                await starting
            await engine.driver.settled(site.ends)
            assert site.folded(engine) == site.sums
        finally:
            await engine.stop()


async def test_a_start_that_waits_for_the_coordinator_can_be_stopped(kafka: KafkaBroker, prefix: str) -> None:
    site = Site(kafka.bootstrap, [adder()], prefix=prefix)
    engine = site.engine()
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0)
    await engine.stop()
    with pytest.raises(EngineStopped, match="stopped before the start was complete"):
        async with asyncio.timeout(120):
            await starting
