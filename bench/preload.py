"""How do a job's events come into their topics before anybody is measured?"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import confluent_kafka
import orjson

from bench import small_job, whole_job
from models.simulator import World
from stream.engine.address import address
from stream.engine.options import EngineOptions
from stream.engine.topic_list import TOPICS
from stream.engine.topics import create, partition_for

PARTITIONS = 8
#: Logical topic and partition to the next offset.
Ends = dict[tuple[str, int], int]


#: How long the simulated company's history is: its events are as many as are asked for.
COMPANY_DAYS = 30


def options_of(brokers: str, job: str, prefix: str) -> EngineOptions:
    """What is read of a job. Nothing else is created, so that each contender makes topics of its own kind for what it writes."""
    declared = small_job.TOPICS if job == "small" else tuple(topic for topic in TOPICS if topic.name in whole_job.TOPICS)
    return EngineOptions(brokers=brokers, partitions=PARTITIONS, topics=declared, topic_prefix=prefix)


def preload(brokers: str, job: str, count: int, prefix: str = "", *, by_partition: bool = False) -> Ends:
    """Create the job's topics under ``prefix`` and put ``count`` events into them; return where they end.

    ``by_partition`` keys each record by its partition (see ``bench/quix_small.py``).
    """
    create(options_of(brokers, job, prefix))
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
    )
    ends: Ends = {}
    for index, (topic, key, value) in enumerate(events(job, count)):
        partition = partition_for(key, PARTITIONS)
        producer.produce(prefix + topic, value, b"%d" % partition if by_partition else key, partition)
        ends[topic, partition] = ends.get((topic, partition), 0) + 1
        if index % 2000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("preload: the broker has not taken all events within 60 s")
    return ends


def events(job: str, count: int) -> Iterator[tuple[str, bytes, bytes]]:
    """The events of a job: topic, key and value.

    The last one has just happened: none is of the future, none too old for its panes.
    """
    if job == "small":
        yield from ((small_job.TOPIC, key, value) for key, value in small_job.events(count))
    elif job == "whole":
        yield from whole_job.Mix(count, time.time_ns() // 1_000_000 - count * 1000 // whole_job.RATE)
    else:
        yield from company(count)


def company(count: int) -> Iterator[tuple[str, bytes, bytes]]:
    """A simulated company's history of a month, with owners and sources as they are: some ``count`` events."""
    start = datetime.now(UTC) - timedelta(days=COMPANY_DAYS)
    world = World(7, start, COMPANY_DAYS, scale=count / 2_000 / COMPANY_DAYS, details=False)
    for event in world.events():
        value = orjson.dumps(event)
        topic, key = address(value)
        if topic in whole_job.TOPICS:
            yield topic, key, value
