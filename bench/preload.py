"""How do a job's events come into their topics before anybody is measured?"""

import time
from collections.abc import Iterator

import confluent_kafka

from bench import small_job, whole_job
from stream.engine.options import EngineOptions
from stream.engine.topic_list import TOPICS
from stream.engine.topics import create, partition_for

PARTITIONS = 8
#: Logical topic and partition to the next offset.
Ends = dict[tuple[str, int], int]


def preload(brokers: str, job: str, count: int, prefix: str = "", *, by_partition: bool = False) -> Ends:
    """Create the job's topics under ``prefix`` and put ``count`` events into them; return where they end.

    ``by_partition`` keys each record by its partition (see ``bench/quix_small.py``).
    """
    declared = small_job.TOPICS if job == "small" else TOPICS
    options = EngineOptions(brokers=brokers, partitions=PARTITIONS, topics=declared, topic_prefix=prefix)
    create(options)
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000}
    )
    ends: Ends = {}
    stream: Iterator[tuple[str, bytes, bytes]]
    if job == "small":
        stream = ((small_job.TOPIC, key, value) for key, value in small_job.events(count))
    else:
        # The last event has just happened: none is of the future, none so old that its panes are gone.
        stream = iter(whole_job.Mix(count, time.time_ns() // 1_000_000 - count * 1000 // whole_job.RATE))
    for index, (topic, key, value) in enumerate(stream):
        partition = partition_for(key, PARTITIONS)
        producer.produce(prefix + topic, value, b"%d" % partition if by_partition else key, partition)
        ends[topic, partition] = ends.get((topic, partition), 0) + 1
        if index % 2000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("preload: the broker has not taken all events within 60 s")
    return ends
