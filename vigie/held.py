"""All that is held of one person, as JSON: from a ledger, also while an instance uses it, or from a Kafka."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from alert_rules.records.ids import digest
from models.events.dead_letter import decode
from models.privacy import audit
from models.privacy.excerpt import excerpt
from models.privacy.finder import whole
from models.privacy.rewrite import Rewriter
from models.privacy.subject import Cell, Scan, Subject, owners_of, tree_of
from models.privacy.traces import traces_of
from stream.engine import register
from stream.engine.kafka_cells import KafkaCells
from stream.engine.options import EngineOptions
from stream.ledger.copies import identify
from stream.ledger.erasing import LedgerCells
from stream.ledger.schema import reader
from vigie.redrive import shown

#: What every record of the audit has in it.
_AUDIT = b'"audit"'


def of_ledger(path: Path, options: EngineOptions, subject: Subject) -> dict[str, Any]:
    """Return what a ledger holds, as it is at one moment; raise :class:`~stream.ledger.schema.LedgerRefused`."""
    identify(path)
    with closing(reader(path)) as connection:
        connection.execute("BEGIN")
        return held(LedgerCells(options).scan(connection), subject)


def of_kafka(options: EngineOptions, subject: Subject) -> dict[str, Any]:
    """Return what a Kafka holds: all topics, and the state of all folds; raise ``KafkaException`` where it does not answer."""
    return held(KafkaCells(options).scan, subject)


def held(scan: Scan, subject: Subject) -> dict[str, Any]:
    """Return all ids of a person, every record and row that says anything of them, in words where it can be, and who looked.

    Of a record that is of several (an alert's message, a list behind a figure) only their part is told: it goes to the person,
    and others are no business of theirs. ``not_here`` are the places of the register that are read by nobody but whoever runs
    them.
    """
    known = whole(subject, scan)
    traces = traces_of(known, scan, digest)
    rewriter = Rewriter(traces)
    cells = [cell for cell in scan(traces.needles()) if rewriter(cell) is not None]
    cells.sort(key=lambda cell: (cell.where, cell.partition, -1 if cell.offset is None else cell.offset, cell.key))
    return {
        "known_as": [one._asdict() for one in sorted(known)],
        "held": [_told(cell, rewriter) for cell in cells],
        "event_ids": sorted(traces.events),
        "looked_at_by": _looked(scan, sorted(known)),
        "not_here": register.elsewhere(),
    }


def _looked(scan: Scan, known: Sequence[Subject]) -> list[dict[str, Any]]:
    """Return who read or did what of them: the audit has no ids, but what was made of them."""
    cells = sorted(
        (cell for cell in scan({_AUDIT}) if cell.where == audit.TOPIC), key=lambda cell: (cell.partition, cell.offset or 0)
    )
    values = [cell.value for cell in cells]
    return [{"kind": one.kind, "id": one.id, **entry} for one in known for entry in audit.about(values, one.kind, one.id)]


def _told(cell: Cell, rewriter: Rewriter) -> Mapping[str, Any]:
    value: Any = tree_of(cell.value)
    if not rewriter.concerns(owners_of(cell, value)):
        value = excerpt(value, rewriter.speaks)
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
