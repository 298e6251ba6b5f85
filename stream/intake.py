"""How does one request's batch of records get onto the broker, acknowledged before the request is answered?

One librdkafka producer for all requests: what comes in together goes out together. A thread takes in the acknowledgements and
tells the event loop once for all the batches that they complete.
"""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import confluent_kafka

from stream.options import EngineOptions
from stream.quiet import client_logger, limit_client_logs
from stream.topics import partition_for

#: Records and bytes handed over and not acknowledged yet; beyond either, senders are asked to come back later.
RECORDS_HELD = 20_000
BYTES_HELD = 64 << 20
#: How long the broker has, in milliseconds: less than the five seconds after which HubSpot gives up.
PATIENCE = 4_000


class Unavailable(Exception):
    """The broker did not acknowledge: nothing may be said to have been accepted. It may have been written all the same."""


class Outgoing(NamedTuple):
    """One record to be written; ``topic`` is the logical one."""

    topic: str
    key: bytes
    value: bytes


class _Batch:
    __slots__ = ("error", "future", "left", "size")

    def __init__(self, future: "asyncio.Future[None]", left: int, size: int) -> None:
        self.future = future
        self.left = left
        self.size = size
        self.error = ""


class Intake:
    """Writes batches; :meth:`put` returns when the broker has all of one."""

    def __init__(self, options: EngineOptions, *, patience: int = PATIENCE) -> None:
        """``patience`` is in milliseconds. Must be made, used and closed in one running event loop."""
        limit_client_logs()
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._records = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._done: list[_Batch] = []
        self._scheduled = False
        self._closing = False
        settings = options.client(
            enable_idempotence=not options.embedded,
            acks="all",
            linger_ms=2,
            compression_type="lz4",
            queue_buffering_max_messages=RECORDS_HELD * 2,
            queue_buffering_max_kbytes=BYTES_HELD // 512,
            message_timeout_ms=patience,
            message_max_bytes=8 * 1024 * 1024,
        )
        self._producer = confluent_kafka.Producer(settings, logger=client_logger())
        self._thread = threading.Thread(target=self._poll, name="intake", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Records that the broker has not acknowledged yet."""
        return self._records

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Write all the records; raise :class:`Unavailable` where the broker has not acknowledged every one of them."""
        if not records:
            return
        size = sum(len(record.value) for record in records)
        if self._records + len(records) > RECORDS_HELD or self._bytes + size > BYTES_HELD:
            raise Unavailable(f"{self._records} records wait for the broker already")
        batch = _Batch(self._loop.create_future(), len(records), size)
        count = len(records)
        self._records += count
        self._bytes += size
        options = self._options
        try:
            for place, (topic, key, value) in enumerate(records):
                partition = partition_for(key, options.partitions_of(topic))
                try:
                    self._producer.produce(
                        options.physical(topic), value, key, partition, lambda error, _, b=batch: self._told(b, error)
                    )
                except (BufferError, confluent_kafka.KafkaException) as error:
                    self._told(batch, error, count - place)
                    break
            await asyncio.shield(batch.future)
        finally:
            self._records -= count
            self._bytes -= size
        if batch.error:
            raise Unavailable(batch.error)

    def _told(self, batch: _Batch, error: Any, count: int = 1) -> None:
        with self._lock:
            batch.left -= count
            if error is not None:
                batch.error = str(error)[:200]
            if batch.left > 0:
                return
            self._done.append(batch)
            if self._scheduled or self._closing:
                return
            self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop has been closed: nobody waits any more
            self._closing = True

    def _settle(self) -> None:
        with self._lock:
            done, self._done = self._done, []
            self._scheduled = False
        for batch in done:
            if not batch.future.done():
                batch.future.set_result(None)

    def _poll(self) -> None:
        while not self._closing:
            self._producer.poll(0.1)

    async def close(self) -> None:
        """Wait for what is under way, then let go."""
        await asyncio.to_thread(self._producer.flush, PATIENCE / 1000)
        self._closing = True
        await asyncio.to_thread(self._thread.join, 2)
        self._settle()
