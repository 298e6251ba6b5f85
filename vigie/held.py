"""All that is held of one person, as JSON: from a ledger, also while an instance uses it, or from a Kafka."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from alert_rules.records.ids import digest
from models.events.dead_letter import decode
from models.privacy.rewrite import Rewriter
from models.privacy.subject import Cell, Scan, Subject, tree_of, whole
from models.privacy.traces import traces_of
from stream.engine.backend import Partition
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.restore import first_and_last, read_through
from stream.engine.topics import declared
from stream.ledger.copies import identify
from stream.ledger.erasing import LedgerCells
from stream.ledger.schema import reader
from vigie.redrive import shown


def of_ledger(path: Path, options: EngineOptions, subject: Subject) -> dict[str, Any]:
    """Return what a ledger holds, as it is at one moment; raise :class:`~stream.ledger.schema.LedgerRefused`."""
    identify(path)
    with closing(reader(path)) as connection:
        connection.execute("BEGIN")
        return held(LedgerCells(options).scan(connection), subject)


def of_kafka(options: EngineOptions, specs: Iterable[FoldSpec], subject: Subject) -> dict[str, Any]:
    """Return what a Kafka holds: all topics, and the state of these folds; raise ``KafkaException`` where it does not answer."""
    topics = declared(options, specs)
    return held(_scan(options, [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]), subject)


def _scan(options: EngineOptions, logs: Sequence[Partition]) -> Scan:
    cells = LedgerCells(options)

    def scan(wanted: Iterable[bytes]) -> Iterator[Cell]:
        found: list[Cell] = []
        looked = tuple(wanted)

        def take(log: Partition, message: Message) -> None:
            where, key, value = cells.where(log[0]), message.key() or b"", message.value()
            headers = [(name, body) for name, body in message.headers() or ()]
            parts = (key, value or b"", *(body or b"" for _, body in headers))
            if where == "dead-letters" or any(needle in part for part in parts for needle in looked):
                found.append(Cell(where, log[1], message.offset(), key, value, headers))

        read_through(options, first_and_last(options, logs), take, lambda: False)
        yield from found

    return scan


def held(scan: Scan, subject: Subject) -> dict[str, Any]:
    """Return all ids of a person, and every record and row that says anything of them, in words where it can be."""
    known = whole(subject, scan)
    traces = traces_of(known, scan, digest)
    rewriter = Rewriter(traces)
    cells = [cell for cell in scan(traces.needles()) if rewriter(cell) is not None]
    cells.sort(key=lambda cell: (cell.where, cell.partition, -1 if cell.offset is None else cell.offset, cell.key))
    return {
        "known_as": [one._asdict() for one in sorted(known)],
        "held": [_told(cell) for cell in cells],
        "event_ids": sorted(traces.events),
    }


def _told(cell: Cell) -> Mapping[str, Any]:
    value: Any = tree_of(cell.value)
    if cell.where == "dead-letters" and cell.value is not None:
        value = shown(decode(cell.value)) if isinstance(value, dict) and "reason" in value else value
    elif value is None and cell.value is not None:
        value = cell.value.decode("utf-8", "backslashreplace")
    told = {
        "where": cell.where,
        "partition": cell.partition,
        "offset": cell.offset,
        "key": cell.key.decode("utf-8", "backslashreplace"),
    }
    headers = {name: None if body is None else body.decode("utf-8", "backslashreplace") for name, body in cell.headers}
    return told | {"value": value} | ({"headers": headers} if headers else {})
