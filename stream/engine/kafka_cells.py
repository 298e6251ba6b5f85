"""All that an installation keeps on a Kafka, as cells: its topics, and the state of its folds."""

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka.admin import AdminClient

from models.privacy.finder import Finder
from models.privacy.subject import Cell
from stream.engine.backend import Partition
from stream.engine.client_logs import client_logger
from stream.engine.erasing import Names
from stream.engine.options import EngineOptions
from stream.engine.restore import first_and_last, read_through

_PATIENCE = 10.0


class KafkaCells:
    """Reads a Kafka as cells; every reading is of all there is. Raises ``KafkaException`` where it does not answer."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self.names = Names(options)
        declared = {options.physical(topic.name) for topic in options.topics}
        there = AdminClient(options.client(), logger=client_logger()).list_topics(timeout=_PATIENCE).topics
        self.logs: list[Partition] = sorted(
            (name, partition)
            for name, found in there.items()
            if name in declared or self.names.changelog(name)
            for partition in found.partitions
        )

    def of(self, log: Partition, message: Any) -> Cell:
        """Return a record as a cell."""
        headers = [(name, body) for name, body in message.headers() or ()]
        where = self.names.where(log[0])
        offset = None if self.names.changelog(log[0]) else message.offset()
        return Cell(where, log[1], offset, message.key() or b"", message.value(), headers, log)

    def scan(self, wanted: Iterable[bytes]) -> Iterator[Cell]:
        """Give the cells in which any of these bytes may be, and all dead letters, whose bytes are encoded."""
        found: list[Cell] = []
        finder = Finder(dict.fromkeys(wanted, ()))

        def take(log: Partition, message: Any) -> None:
            cell = self.of(log, message)
            if cell.where == "dead-letters" or finder.holds(cell.key, cell.value, *(body for _, body in cell.headers)):
                found.append(cell)

        read_through(self._options, first_and_last(self._options, self.logs), take, lambda: False)
        yield from found
