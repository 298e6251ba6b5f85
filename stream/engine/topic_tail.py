"""What has been written last on a topic of one partition? Read backwards in blocks, bounded, without a group."""

from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import orjson
from confluent_kafka import TopicPartition

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions

#: So many records are looked at, at most, and so many at a time.
MOST = 20_000
BLOCK = 2_000
_PATIENCE = 5.0  # seconds


class TopicTail:
    """Reads the records of ``topic``, which are JSON objects. Blocks: to be called in a thread."""

    def __init__(self, options: EngineOptions, topic: str) -> None:
        self._options = options
        self._topic = topic

    def last(
        self, count: int, matches: Callable[[dict[str, Any]], bool], before: int | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Return the last ``count`` records that match, newest first, each with its ``offset``, and where to go on.

        ``before`` is an offset: only older ones are looked at. The second value is None where the log's beginning was reached.
        Raise ``KafkaException`` where the broker does not answer.
        """
        options = self._options
        consumer = confluent_kafka.Consumer(
            options.client(
                group_id=f"{options.group}-history",
                enable_auto_commit=False,
                isolation_level="read_committed",
                enable_partition_eof=True,
            ),
            logger=client_logger(),
        )
        where = options.physical(self._topic)
        try:
            wrong = consumer.list_topics(where, timeout=_PATIENCE).topics[where].error
            if wrong is not None:
                raise confluent_kafka.KafkaException(wrong)
            first, end = consumer.get_watermark_offsets(TopicPartition(where, 0), timeout=_PATIENCE)
            end = end if before is None else min(before, end)
            found: list[dict[str, Any]] = []
            least = max(first, end - MOST)
            while end > least:
                start = max(least, end - BLOCK)
                for offset, tree in reversed(list(_block(consumer, where, start, end))):
                    if matches(tree):
                        found.append({"offset": offset, **tree})
                        if len(found) == count:
                            return found, offset
                end = start
            return found, end if end > first else None
        finally:
            consumer.close()


def _block(consumer: Any, topic: str, start: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of [start, end) that are JSON objects, oldest first."""
    consumer.assign([TopicPartition(topic, 0, start)])
    while True:
        messages = consumer.consume(BLOCK, _PATIENCE)
        if not messages:
            raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(confluent_kafka.KafkaError._TIMED_OUT))
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    return
                if not error.retriable():
                    raise confluent_kafka.KafkaException(error)
                continue
            if message.offset() >= end:
                return
            try:
                tree = orjson.loads(message.value() or b"null")
            except ValueError:
                continue  # whoever folds the topic makes the dead letter
            if isinstance(tree, dict):
                yield message.offset(), tree
            if message.offset() == end - 1:
                return
