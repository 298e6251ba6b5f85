"""How does state come back, quickly, and never with less than what was committed?

A plain librdkafka consumer reads the changelog partitions, ``read_committed``, until it has passed the high watermark
that the log had at the start, *uncommitted* records included: an open transaction below it (a predecessor that was killed
in the middle of a checkpoint) must end first, or its rows would be missed.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from models.fold import COPIED, Record, arrival
from stream.engine.backend import POSITION, Cancelled, Partition, Restored
from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions, wall_clock

log = logging.getLogger(__name__)

_CALL_SECONDS = 10.0
_WAIT_SECONDS = 0.1
_BATCH = 20_000


def _bounds(admin: Any, tps: Sequence[TopicPartition], spec: OffsetSpec) -> dict[Partition, int]:
    futures = admin.list_offsets(
        {tp: spec for tp in tps}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_CALL_SECONDS
    )
    return {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}


def first_and_last(options: EngineOptions, wanted: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
    """First offset of each partition, and the high watermark (what is not committed yet included).

    Raises :class:`KafkaException` when the broker does not answer.
    """
    tps = [TopicPartition(topic, partition) for topic, partition in wanted]
    if not tps:
        return {}
    admin = AdminClient(options.client(), logger=client_logger())
    first = _bounds(admin, tps, OffsetSpec.earliest())
    last = _bounds(admin, tps, OffsetSpec.latest())
    return {key: (first[key], last[key]) for key in first}


def stamped(message: Any) -> tuple[int, bool]:
    """Return a message's timestamp, and whether it says when the record arrived: where a broker has set it, also of a copy."""
    kind, stamp = message.timestamp()
    return stamp, kind == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME or COPIED in (message.headers() or ())


def read_through(
    options: EngineOptions,
    bounds: dict[Partition, tuple[int, int]],
    take: Callable[[Partition, Any], None],
    cancelled: Callable[[], bool],
    *,
    committed: bool = True,
) -> dict[Partition, int]:
    """Give every committed record of these partitions to ``take``; the position reached in each, at or past the mark.

    ``committed`` False: those of transactions that were aborted, or are under way, too.

    Raises :class:`Cancelled`, or :class:`KafkaException` for what is not cured by waiting.
    """
    reached = {key: first for key, (first, last) in bounds.items() if last <= first}
    waiting = {key for key in bounds if key not in reached}
    if not waiting:
        return reached
    consumer = confluent_kafka.Consumer(
        options.client(
            group_id=f"{options.group}-restore",
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
            enable_partition_eof=True,
            auto_offset_reset="earliest",
            fetch_wait_max_ms=20,
            fetch_message_max_bytes=4 * 1024 * 1024,
            queued_min_messages=200_000,
        ),
        logger=client_logger(),
    )
    try:
        consumer.assign([TopicPartition(topic, partition, bounds[topic, partition][0]) for topic, partition in waiting])
        said = time.monotonic()
        while waiting:
            if cancelled():
                raise Cancelled
            for message in consumer.consume(_BATCH, _WAIT_SECONDS):
                error = message.error()
                if error is None:
                    take((message.topic(), message.partition()), message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    key = message.topic(), message.partition()
                    if message.offset() >= bounds[key][1] and key in waiting:
                        waiting.discard(key)
                        reached[key] = message.offset()
                elif not error.retriable() and error.code() not in (
                    KafkaError._ALL_BROKERS_DOWN,
                    KafkaError._TRANSPORT,
                ):
                    raise KafkaException(error)
            if time.monotonic() - said > 5:
                said = time.monotonic()
                log.info("restore: waiting for %s", ", ".join(f"{topic}/{partition}" for topic, partition in waiting))
    finally:
        consumer.close()
    return reached


def read_changelogs(
    options: EngineOptions, wanted: Sequence[Partition], cancelled: Callable[[], bool]
) -> dict[Partition, Restored]:
    """The state of all these changelog partitions, read in one go."""
    found: dict[Partition, dict[bytes, bytes]] = {key: {} for key in wanted}

    def take(key: Partition, message: Any) -> None:
        value = message.value()
        if value is None:
            found[key].pop(message.key(), None)
        else:
            found[key][message.key()] = value

    read_through(options, first_and_last(options, wanted), take, cancelled)
    restored = {}
    for key, rows in found.items():
        own = [name for name in rows if name.startswith(POSITION)]
        restored[key] = Restored(rows, {name[1:].decode(): int(rows.pop(name)) for name in own})
    return restored


def replay(
    options: EngineOptions,
    wanted: Sequence[Partition],
    fold: Callable[[Partition, list[Record]], None],
    cancelled: Callable[[], bool],
) -> dict[Partition, int]:
    """Give each partition's whole log to ``fold``, in its order; the position reached in each."""
    pending: dict[Partition, list[Record]] = {key: [] for key in wanted}

    def take(key: Partition, message: Any) -> None:
        records = pending[key]
        topic = options.logical(key[0])
        now = wall_clock()
        stamp, known = stamped(message)
        arrived = arrival(stamp, known, now)
        records.append(Record(topic, key[1], message.offset(), arrived, message.key(), message.value(), (), now))
        if len(records) >= _BATCH:
            fold(key, records)
            pending[key] = []

    reached = read_through(options, first_and_last(options, wanted), take, cancelled)
    for key, records in pending.items():
        if records:
            fold(key, records)
    return reached
