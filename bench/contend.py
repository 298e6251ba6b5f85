"""One contender reads one job from Kafka, once, in this process: how many events a second, at how many CPU seconds?

Prints one JSON object. The clock begins when the first records have come, so that start-up is in no figure, and ends when the
last one is dealt with: folded for those that store nothing, committed for those that store.

    raw        aiokafka's ``getmany``, the records thrown away
    orjson     the same, and every value parsed
    decode     the same, and every value checked against the contract (whole job only)
    fold       the same fold as ours, without an engine: nothing stored; the whole job's panes stay deltas in memory
    rolled     the same, and every 0.25 s what a checkpoint takes from the folds is made, and thrown away (whole job only)
    durable    ours: the small fold in the engine, or the whole worker with panes, readings and rules, without predictions
    kpis       the worker's folds of the KPIs alone, as a process of `vigie worker --role fold` has them
    everything the whole worker in this process, predictions and all
    roles      the same as `vigie worker` runs it: a process for each role (``bench/by_role.py``)
    faust      stock Faust (``bench/stock_faust.py``)

The last five but `durable` are of the whole job or the company's. Quix Streams runs in an environment of its own:
``bench/quix_small.py``.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import aiokafka
import orjson

from agents.worker import entity_folds
from bench import small_job, whole_job
from bench.engine_small import Started, cpu
from bench.small_fold import SmallFold
from models.business import Business
from models.events.decode import decoder
from models.events.refused import Refused
from models.fold import PartitionFold, Record
from stream.config.settings import Settings
from stream.engine.app import build_app
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.topics import create
from vigie.collector import calm_collector
from vigie.roles import FOLD, Role

PARTITIONS = 8
#: What a checkpoint would be made after, for the contender that makes none.
INTERVAL = 0.25

Ends = dict[tuple[str, int], int]
Take = Callable[[str, int, Sequence[Any]], None]


class Takers:
    """What the engine-less contenders do with the records of one partition."""

    def __init__(self, job: str, contender: str) -> None:
        self.folds: dict[tuple[str, int], PartitionFold] = {}
        self._makers: dict[str, Callable[[int], PartitionFold]] = {}
        if job == "small":
            self._makers[small_job.TOPIC] = SmallFold
        else:
            for spec in entity_folds(Business(), PARTITIONS):
                self._makers |= dict.fromkeys(spec.topics, spec.make)
        self._decoders = {topic: decoder(topic) for topic in whole_job.TOPICS} if contender == "decode" else {}
        self.take: Take = getattr(self, contender)

    def raw(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """Nothing."""

    def orjson(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """Parse the JSON."""
        loads = orjson.loads
        for record in records:
            loads(record.value)

    def decode(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """Check against the contract."""
        read = self._decoders[topic]
        for record in records:
            try:
                read(record.value, record.headers, record.timestamp)
            except Refused as refused:  # the mix has no bad events: a figure with some would be of another job
                raise RuntimeError(f"{topic}/{partition}: {refused}") from refused

    def fold(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """Fold."""
        fold = self.folds.get((topic, partition))
        if fold is None:
            fold = self.folds[topic, partition] = self._makers[topic](partition)
        read = wall_clock()
        fold.fold([Record(topic, partition, r.offset, r.timestamp, r.key, r.value, r.headers, read) for r in records])

    rolled = fold


async def engineless(brokers: str, job: str, contender: str, ends: Ends, prefix: str) -> dict[str, float]:
    """aiokafka's ``getmany`` and a taker; the garbage collector at rest, as in a worker."""
    calm_collector()
    takers = Takers(job, contender)
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    await consumer.start()
    consumer.assign([aiokafka.TopicPartition(prefix + topic, partition) for topic, partition in ends])
    left = sum(ends.values())
    counted = 0
    began: float | None = None
    used = due = 0.0
    while left > 0:
        for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
            takers.take(partition.topic.removeprefix(prefix), partition.partition, records)
            left -= len(records)
            if began is None:
                began, used = time.perf_counter(), cpu()
                due = began + INTERVAL
            else:
                counted += len(records)
        if contender == "rolled" and time.perf_counter() >= due:
            due = time.perf_counter() + INTERVAL
            for fold in takers.folds.values():
                fold.changes()
    assert began is not None
    wall = time.perf_counter() - began
    result = {"wall": wall, "cpu": cpu() - used, "events": counted}
    await consumer.stop()
    return result


class Started_(Started):
    """Also counts what came after the first chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.first = 0

    def folded(self, fold: str, topic: str, records: int) -> None:
        """See :class:`Started`."""
        if self.at is None:
            self.first = records
        super().folded(fold, topic, records)


def _result(seen: Started_, ends: Ends) -> dict[str, float]:
    assert seen.at is not None
    return {
        "wall": time.perf_counter() - seen.at,
        "cpu": cpu() - seen.cpu,
        "events": sum(ends.values()) - seen.first,
        "checkpoints": seen.checkpoints,
        "transaction_seconds": round(seen.seconds, 3),
    }


async def durable_small(brokers: str, ends: Ends, prefix: str) -> dict[str, float]:
    """The small fold in the engine, until everything is committed."""
    seen = Started_()
    options = EngineOptions(
        brokers=brokers,
        application=f"bench-{uuid.uuid4().hex[:6]}",
        topic_prefix=prefix,
        partitions=PARTITIONS,
        topics=small_job.TOPICS,
        observer=seen,
    )
    create(options, small_job.specs())
    running = build_app(options, small_job.specs())
    await running.start()
    await running.driver.settled(ends)
    result = _result(seen, ends)
    await running.stop()
    return result


async def durable_whole(brokers: str, ends: Ends, prefix: str, *, live: bool, roles: list[Role] | None) -> dict[str, float]:
    """The worker, until everything is committed, and what the folds have written is read, judged and committed too."""
    from vigie.instance import Instance

    seen = Started_()
    settings = Settings.model_validate(
        {
            "application": f"bench-{uuid.uuid4().hex[:6]}",
            "models": {"live": live},
            "kafka": {"brokers": brokers, "partitions": PARTITIONS, "topic_prefix": prefix},
        }
    )
    instance = Instance(settings, brokers, roles=roles)
    engine = instance.engine if roles is None else instance.engine._of("fold-deals")  # type: ignore[attr-defined]
    metrics: Any = engine.options.observer

    def folded(fold: str, topic: str, records: int, before: Any = metrics.folded) -> None:
        if fold.startswith("fold-"):
            seen.folded(fold, topic, records)
        before(fold, topic, records)

    def checkpointed(lane: str, seconds: float, rows: int, outputs: int, before: Any = metrics.checkpointed) -> None:
        if lane == "state":
            seen.checkpointed(lane, seconds, rows, outputs)
        before(lane, seconds, rows, outputs)

    metrics.folded, metrics.checkpointed = folded, checkpointed
    create(instance.options, instance.engine.specs)
    await instance.start()
    await engine.driver.settled(ends, cascade=True)
    result = _result(seen, ends)
    await instance.stop()
    return result


async def contend(brokers: str, job: str, contender: str, ends: Ends, prefix: str) -> dict[str, float]:
    """Run one contender."""
    if contender == "durable" and job == "small":
        return await durable_small(brokers, ends, prefix)
    if contender in {"durable", "kpis", "everything"}:
        roles = [FOLD] if contender == "kpis" else None
        return await durable_whole(brokers, ends, prefix, live=contender == "everything", roles=roles)
    if contender == "faust":
        from bench.stock_faust import run

        return await run(brokers, job, ends, prefix)
    return await engineless(brokers, job, contender, ends, prefix)


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--job", choices=["small", "whole", "company"], required=True)
    parser.add_argument("--contender", required=True)
    parser.add_argument("--prefix", default="", help="of the topics")
    parser.add_argument("--ends", required=True, help="JSON list of [topic, partition, next offset]")
    arguments = parser.parse_args()
    ends = {(topic, partition): end for topic, partition, end in json.loads(arguments.ends)}
    asyncio.run(run(arguments.brokers, arguments.job, arguments.contender, ends, arguments.prefix))
    return 0


async def run(*given: Any) -> None:
    """Print one run's figures, and end: clients' threads may still be on their way out, or never end where it failed."""
    code = 1
    try:
        print(json.dumps(await contend(*given)), flush=True)
        code = 0
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
