"""What does the engine cost on the small job, against the same fold without an engine and with nothing durable?

On a real Kafka, each run in a process of its own, medians of three, alternated. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from typing import Any

import aiokafka
import confluent_kafka

from bench import small_job
from bench.small_fold import SmallFold
from stream.engine.app import build_app
from stream.engine.options import EngineOptions, SilentObserver
from stream.engine.topics import create, partition_for
from tests.kafka_broker import ROOT, KafkaBroker

PARTITIONS = 8


class Started(SilentObserver):
    """Remembers when the first records were folded."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.cpu = 0.0
        self.checkpoints = 0
        self.seconds = 0.0

    def folded(self, fold: str, topic: str, records: int) -> None:
        """The clock begins after the first chunk, whose records are not counted by either side."""
        if self.at is None:
            self.at = time.perf_counter()
            self.cpu = cpu()

    def checkpointed(self, lane: str, seconds: float, rows: int, outputs: int) -> None:
        """Count."""
        self.checkpoints += 1
        self.seconds += seconds


def cpu() -> float:
    """CPU seconds of this process so far."""
    times = os.times()
    return times.user + times.system


async def engine(brokers: str, ends: dict[tuple[str, int], int]) -> dict[str, float]:
    """Durable: until everything is committed."""
    seen = Started()
    options = EngineOptions(
        brokers=brokers,
        application=f"bench-{uuid.uuid4().hex[:6]}",
        partitions=PARTITIONS,
        topics=small_job.TOPICS,
        observer=seen,
    )
    create(options, small_job.specs())
    running = build_app(options, small_job.specs())
    await running.start()
    await running.driver.settled(ends)
    assert seen.at is not None
    wall = time.perf_counter() - seen.at
    used = cpu() - seen.cpu
    await running.stop()
    return {"wall": wall, "cpu": used, "checkpoints": seen.checkpoints, "transaction_seconds": seen.seconds}


async def plain(brokers: str, ends: dict[tuple[str, int], int], *, fold: bool) -> dict[str, float]:
    """aiokafka's ``getmany`` and, with ``fold``, the same fold; nothing is stored."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
    await consumer.start()
    partitions = [aiokafka.TopicPartition(small_job.TOPIC, partition) for partition in range(PARTITIONS)]
    consumer.assign(partitions)
    folds = {partition: SmallFold(partition.partition) for partition in partitions}
    left = sum(ends.values())
    began: float | None = None
    used = 0.0
    while left > 0:
        for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
            left -= len(records)
            if fold:
                folds[partition].fold(records)  # the fields have the same names
            if began is None:
                began, used = time.perf_counter(), cpu()
    assert began is not None
    wall = time.perf_counter() - began
    await consumer.stop()
    return {"wall": wall, "cpu": cpu() - used}


def preload(brokers: str, count: int) -> dict[tuple[str, int], int]:
    """The events, in their partitions."""
    options = EngineOptions(brokers=brokers, partitions=PARTITIONS, topics=small_job.TOPICS)
    create(options)
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
    )
    ends: dict[tuple[str, int], int] = {}
    for index, (key, value) in enumerate(small_job.events(count)):
        partition = partition_for(key, PARTITIONS)
        producer.produce(small_job.TOPIC, value, key, partition)
        ends[small_job.TOPIC, partition] = ends.get((small_job.TOPIC, partition), 0) + 1
        if index % 2000 == 0:
            producer.poll(0)
    producer.flush()
    return ends


def measure(mode: str, brokers: str, ends: dict[tuple[str, int], int]) -> dict[str, Any]:
    """One run in a process of its own."""
    targets = json.dumps([[topic, partition, end] for (topic, partition), end in ends.items()])
    command = [sys.executable, "-m", "bench.engine_small", "--mode", mode, "--brokers", brokers, "--targets", targets]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """All modes, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=800_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--brokers")
    parser.add_argument("--mode", choices=["raw", "fold", "engine"])
    parser.add_argument("--targets")
    arguments = parser.parse_args()
    if arguments.mode:
        ends = {(topic, partition): end for topic, partition, end in json.loads(arguments.targets)}
        if arguments.mode == "engine":
            print(json.dumps(asyncio.run(engine(arguments.brokers, ends))))
        else:
            print(json.dumps(asyncio.run(plain(arguments.brokers, ends, fold=arguments.mode == "fold"))))
        return 0
    with KafkaBroker() as broker:
        ends = preload(broker.bootstrap, arguments.events)
        runs: dict[str, list[dict[str, Any]]] = {"raw": [], "fold": [], "engine": []}
        for _ in range(arguments.runs):
            for mode, found in runs.items():
                found.append(measure(mode, broker.bootstrap, ends))
                print(mode, found[-1], file=sys.stderr)
    rates = {mode: round(statistics.median(arguments.events / run["wall"] for run in found)) for mode, found in runs.items()}
    cpus = {
        mode: round(statistics.median(run["cpu"] for run in found) / arguments.events * 1e6, 2) for mode, found in runs.items()
    }
    ratio = round(rates["engine"] / rates["fold"], 3)
    print(json.dumps({"events_per_second": rates, "cpu_seconds_per_million": cpus, "engine_to_fold": ratio}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
