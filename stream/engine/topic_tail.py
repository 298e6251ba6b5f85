"""What has been written last on a topic of one partition? Read backwards in blocks, bounded, without a group."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from stream.engine.backend import Log
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions

#: So many records are looked at, at most, and so many at a time.
MOST = 20_000
BLOCK = 2_000


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
        with contextlib.closing(backend_of(self._options).log(self._options, self._topic)) as log:
            first, end = log.bounds()
            end = end if before is None else min(before, end)
            found: list[dict[str, Any]] = []
            least = max(first, end - MOST)
            while end > least:
                start = max(least, end - BLOCK)
                for offset, tree in reversed(list(_objects(log, start, end))):
                    if matches(tree):
                        found.append({"offset": offset, **tree})
                        if len(found) == count:
                            return found, offset
                end = start
            return found, end if end > first else None


def _objects(log: Log, start: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of [start, end) that are JSON objects, oldest first."""
    for offset, value in log.block(start, end):
        try:
            tree = orjson.loads(value or b"null")
        except ValueError:
            continue  # whoever folds the topic makes the dead letter
        if isinstance(tree, dict):
            yield offset, tree
