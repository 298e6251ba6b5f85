"""How do events get onto the topics, every one acknowledged?

One librdkafka producer: idempotent, ``acks=all``, keyed by the entity as all who write here must (``topics.partition_for``).
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import confluent_kafka
import orjson

from stream.engine.acknowledged import unwritten
from stream.engine.address import address
from stream.engine.client_logs import limit_client_logs
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, client_settings
from stream.engine.topics import partition_for


class Publisher:
    """Produces records and keeps count of what the broker has acknowledged: ``sent = acknowledged + failed`` once flushed.

    A context manager: what is not acknowledged at its end is given up, so that nobody waits for a broker that has gone.
    """

    def __init__(self, options: EngineOptions, **more: Any) -> None:
        self._options = options
        self._closed = False
        self.sent = 0
        self.acknowledged = 0
        self.errors: list[str] = []
        self.failed = 0
        #: Next offset after the last acknowledged record, by logical topic and partition: what folds have to reach.
        self.ends: dict[tuple[str, int], int] = {}
        settings = client_settings(
            enable_idempotence=not options.embedded,
            acks="all",
            linger_ms=5,
            compression_type="lz4",
            queue_buffering_max_messages=200_000,
            message_max_bytes=8 * 1024 * 1024,
            **more,
        )
        limit_client_logs()
        self._producer = backend_of(options).producer(options, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> None:
        """Hand one record over; it is acknowledged later. Waits while the local queue is full."""
        options = self._options
        partition = partition_for(key, options.partitions_of(topic))
        self.sent += 1
        while True:
            try:
                if headers:
                    self._producer.produce(options.physical(topic), value, key, partition, self._told, headers=headers)
                else:
                    self._producer.produce(options.physical(topic), value, key, partition, self._told)
                return
            except BufferError:
                self._producer.poll(0.1)
            except confluent_kafka.KafkaException as error:  # too large for the broker, and the like: this record only
                self._failed(f"{topic}: {error.args[0].str()}")
                return

    def publish(self, value: bytes) -> None:
        """Hand over one event in structured mode; raise :class:`NoTopic`."""
        topic, key = address(value)
        if self._options.minimise is not None:
            value = orjson.dumps(self._options.minimise(orjson.loads(value)))
        self.send(topic, key, value)

    def _failed(self, why: str) -> None:
        self.failed += 1
        if len(self.errors) < 20:
            self.errors.append(why)

    def _told(self, error: Any, message: Any) -> None:
        if error is None and unwritten(error, message) is not None:
            self.sent -= 1  # it is counted again
            self.send(self._options.logical(message.topic()), message.key(), message.value(), message.headers())
            return
        if error is not None:
            self._failed(f"{message.topic()}: {error.str()}")
            return
        self.acknowledged += 1
        key = (self._options.logical(message.topic()), message.partition())
        end = message.offset() + 1
        if end > self.ends.get(key, 0):
            self.ends[key] = end

    def poll(self) -> None:
        """Take in acknowledgements without waiting."""
        self._producer.poll(0)

    def flush(self, patience: float = 60.0) -> int:
        """Wait until all is acknowledged or has failed; return how many are neither after ``patience`` seconds.

        :meth:`close`, from another thread, ends the waiting.
        """
        end = time.monotonic() + patience
        left = len(self._producer)
        while left and not self._closed and time.monotonic() < end:
            left = self._producer.flush(0.5)
        return left

    def close(self) -> None:
        """Give up what is not acknowledged yet (each counts as failed) and wait for nothing. Calling it twice does no harm."""
        self._closed = True
        self._producer.purge()
        self._producer.poll(0)

    async def flushed(self, patience: float = 60.0) -> int:
        """:meth:`flush` without holding the event loop up. Cancelled, it gives up what is left: the thread ends at once."""
        try:
            return await asyncio.to_thread(self.flush, patience)
        except asyncio.CancelledError:
            self.close()
            raise
