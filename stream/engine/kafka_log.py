"""How is a stretch of a topic of one partition read from Kafka, without a group?"""

from typing import Any

import confluent_kafka
from confluent_kafka import TopicPartition

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions

_MOST = 2_000
_PATIENCE = 5.0  # seconds


class KafkaLog:
    """One topic's only partition, open for reading (:class:`~stream.engine.backend.Log`). Blocks: for use in a thread."""

    def __init__(self, options: EngineOptions, topic: str) -> None:
        self._topic = options.physical(topic)
        self._consumer = confluent_kafka.Consumer(
            options.client(
                group_id=f"{options.group}-history",
                enable_auto_commit=False,
                isolation_level="read_committed",
                enable_partition_eof=True,
            ),
            logger=client_logger(),
        )

    def bounds(self) -> tuple[int, int]:
        """Return first offset and end; raise ``KafkaException`` where the broker does not answer, or has no such topic."""
        wrong = self._consumer.list_topics(self._topic, timeout=_PATIENCE).topics[self._topic].error
        if wrong is not None:
            raise confluent_kafka.KafkaException(wrong)
        first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=_PATIENCE)
        return first, end

    def block(self, start: int, end: int) -> list[tuple[int, bytes | None]]:
        """Return offset and value of the records of [start, end), oldest first."""
        found: list[tuple[int, bytes | None]] = []
        consumer: Any = self._consumer
        consumer.assign([TopicPartition(self._topic, 0, start)])
        while True:
            messages = consumer.consume(_MOST, _PATIENCE)
            if not messages:
                raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(confluent_kafka.KafkaError._TIMED_OUT))
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                        return found
                    if not error.retriable():
                        raise confluent_kafka.KafkaException(error)
                    continue
                if message.offset() >= end:
                    return found
                found.append((message.offset(), message.value()))
                if message.offset() == end - 1:
                    return found

    def close(self) -> None:
        """Let go."""
        self._consumer.close()
