"""What have the folds written down, wherever they run: on a Kafka, in a file, with whichever worker?"""

from collections.abc import Callable, Iterator

from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions
from stream.engine.topics import partition_for


class Changelogs:
    """Reads the state of folds. ``named`` gives the physical name of a fold's changelog."""

    def __init__(self, options: EngineOptions, named: Callable[[str], str]) -> None:
        self._options, self._named = options, named

    def rows(self, fold: str) -> Iterator[dict[bytes, bytes]]:
        """Yield the rows of each partition in turn. Blocks; raise ``KafkaException`` or ``OSError`` where nobody answers."""
        backend = backend_of(self._options)
        for partition in range(self._options.partitions):
            log = (self._named(fold), partition)
            yield backend.read_changelogs(self._options, [log], _never)[log].rows

    def rows_of(self, fold: str, key: str) -> dict[bytes, bytes]:
        """Return the rows of the partition in which a key is; as :meth:`rows`."""
        log = (self._named(fold), partition_for(key.encode(), self._options.partitions))
        return backend_of(self._options).read_changelogs(self._options, [log], _never)[log].rows


def _never() -> bool:
    return False
