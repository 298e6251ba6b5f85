"""How does one request's batch of records get onto the broker, acknowledged before the request is answered?

One librdkafka producer for all requests: what comes in together goes out together. Acknowledgements are taken in by the event
loop itself, every few milliseconds while any are awaited: a thread for them would fight the loop for the interpreter at every
batch, which under load costs more than the batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import confluent_kafka
import orjson

from models.events.catalogue import TOPIC_OF
from stream.engine.acknowledged import unwritten
from stream.engine.client_logs import limit_client_logs
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, client_settings
from stream.engine.topics import partition_for

#: Records and bytes handed over and not acknowledged yet; beyond either, senders are asked to come back later.
RECORDS_HELD = 20_000
BYTES_HELD = 64 << 20
#: How long the broker has, in milliseconds: less than the five seconds after which HubSpot gives up.
PATIENCE = 4_000
#: How long a record waits for others to the same partition, in milliseconds. Each partition's records go out in a request of
#: their own: at 2 ms and 8 partitions, making and answering them cost more than all the rest.
LINGER = 8
#: How often acknowledgements are taken in while some are awaited, and while none are (the client's log lines), in seconds.
_BUSY, _IDLE = 0.002, 0.5


class NotAcknowledged(Exception):
    """The broker did not acknowledge: nothing may be said to have been accepted. It may have been written all the same."""


class Outgoing(NamedTuple):
    """One record to be written; ``topic`` is the logical one."""

    topic: str
    key: bytes
    value: bytes


#: Of a record, as Kafka has them.
Headers = Sequence[tuple[str, bytes | None]]
#: What an event is to be before it is written.
Change = Callable[[dict[str, Any]], dict[str, Any]]


def outgoing(event: dict[str, Any], minimise: Change | None) -> Outgoing:
    """Return the record of an event of the contract."""
    # Copied, for many wait at once, and what orjson gives keeps some 4 KB.
    value = b"%b" % orjson.dumps(event if minimise is None else minimise(event))
    return Outgoing(TOPIC_OF[event["type"]], event["subject"].encode(), value)


class _Batch:
    __slots__ = ("error", "future", "left")

    def __init__(self, future: "asyncio.Future[None]", left: int) -> None:
        self.future = future
        self.left = left
        self.error = ""


class Intake:
    """Writes batches; :meth:`put` returns when the broker has all of one."""

    def __init__(self, options: EngineOptions, *, patience: int = PATIENCE, headers: Callable[[], Headers] = lambda: ()) -> None:
        """``patience`` is in milliseconds; ``headers()`` are those of a batch's records. Must be made, used and closed in one
        running event loop."""
        limit_client_logs()
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._records = 0
        self._bytes = 0
        self._closing = False
        self._headers = headers
        settings = client_settings(
            enable_idempotence=not options.embedded,
            acks="all",
            linger_ms=LINGER,
            compression_type="lz4",
            queue_buffering_max_messages=RECORDS_HELD * 2,
            queue_buffering_max_kbytes=BYTES_HELD // 512,
            message_timeout_ms=patience,
            message_max_bytes=8 * 1024 * 1024,
        )
        self._producer = backend_of(options).producer(options, settings)
        self._partitions: dict[str, int] = {}
        self._timer = self._loop.call_later(_IDLE, self._poll)
        self._often = False

    @property
    def held(self) -> int:
        """Records that the broker has not acknowledged yet."""
        return self._records

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Write all the records; raise :class:`NotAcknowledged` where the broker has not acknowledged every one of them."""
        if not records:
            return
        size = sum(len(record.value) for record in records)
        if self._records + len(records) > RECORDS_HELD or self._bytes + size > BYTES_HELD:
            raise NotAcknowledged(f"{self._records} records wait for the broker already")
        count = len(records)
        batch = _Batch(self._loop.create_future(), count)
        self._records += count
        self._bytes += size
        told = partial(self._told, batch)
        headers = self._headers()
        produce = partial(self._producer.produce, headers=list(headers)) if headers else self._producer.produce
        try:
            for place, (topic, key, value) in enumerate(records):
                partitions = self._partitions.get(topic) or self._declared(topic)
                try:
                    produce(self._options.physical(topic), value, key, partition_for(key, partitions), told)
                except (BufferError, confluent_kafka.KafkaException) as error:
                    self._settled(batch, error, count - place)
                    break
            self._hurry()
            await batch.future
        finally:
            self._records -= count
            self._bytes -= size
        if batch.error:
            raise NotAcknowledged(batch.error)

    def _declared(self, topic: str) -> int:
        self._partitions[topic] = found = self._options.partitions_of(topic)
        return found

    def _told(self, batch: _Batch, error: Any, message: Any) -> None:
        self._settled(batch, unwritten(error, message), 1)

    def _settled(self, batch: _Batch, error: Any, count: int) -> None:
        batch.left -= count
        if error is not None:
            batch.error = str(error)[:200]
        if batch.left <= 0 and not batch.future.done():
            batch.future.set_result(None)

    def _hurry(self) -> None:
        if not self._often and not self._closing:
            self._often = True
            self._timer.cancel()
            self._timer = self._loop.call_later(_BUSY, self._poll)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
        finally:
            if not self._closing:
                self._often = self._records > 0
                self._timer = self._loop.call_later(_BUSY if self._often else _IDLE, self._poll)

    async def close(self) -> None:
        """Wait for what is under way, then let go."""
        end = self._loop.time() + PATIENCE / 1000
        while len(self._producer) and self._loop.time() < end:
            self._producer.poll(0)
            await asyncio.sleep(_BUSY)
        self._closing = True
        self._timer.cancel()
