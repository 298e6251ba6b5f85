"""How does any CSV file read as events, given a mapping?"""

from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from models.events.catalogue import TOPIC_OF
from models.events.decode import decode
from models.events.refused import Refused
from stream.sources.files.base import (
    CsvRow,
    Dated,
    FileEvent,
    FileReject,
    Item,
    ReadOptions,
    by_time,
    read_csv,
)
from stream.sources.files.ids import damage
from stream.sources.files.mapping import IDS, TYPES, CellSource, CsvMapping, EventMapping, event_time, fields_of, load_mapping
from stream.sources.files.numbers import currency_of, money
from stream.sources.files.text import SourceFileError

SKIPPED = "left out by the mapping"


def read(path: Path, options: ReadOptions) -> Iterator[Item]:
    """The events of the CSV file ``path`` as ``options.mapping`` says, in time order.

    A row gives all of its events or, with the first problem as the reason, none.

    Raises:
        SourceFileError: without a mapping, for problems in it, and for columns that the file has not.
    """
    if options.mapping is None:
        raise SourceFileError(f"{path}: no mapping; the csv format needs one (--mapping FILE)")
    mapping = load_mapping(options.mapping)
    for item in by_time(_dated(path, mapping, options.zone)):
        yield item if isinstance(item, FileReject) else FileEvent(item.line, item.value)


def _dated(path: Path, mapping: CsvMapping, zone: tzinfo) -> Iterator[Dated | FileReject]:
    for row in read_csv(path, mapping.columns(), delimiter=mapping.delimiter, encoding=mapping.encoding):
        if isinstance(row, FileReject):
            yield row
            continue
        try:
            told = [_event(row, event, mapping, zone) for event in mapping.events if event.applies(row.fields)]
        except ValueError as error:
            yield FileReject(row.line, str(error))
            continue
        if found := [event for event in told if event is not None]:
            yield from found
        else:
            yield FileReject(row.line, SKIPPED)


def _event(row: CsvRow, event: EventMapping, mapping: CsvMapping, zone: tzinfo) -> Dated | None:
    """The event, None if the mapping leaves it out. Raises ValueError with column, found and accepted."""
    kind = event.type.read(row.fields)
    if kind == "skip":
        return None
    if kind not in TYPES:
        accepted = ", ".join(event.type.values) or "an event type such as deal.won"
        raise ValueError(f'{event.type.column}: found "{kind}"; {accepted} are accepted')
    subject = event.subject.read(row.fields)
    if not subject:
        raise ValueError(f"{event.subject.column}: empty; the subject is needed")
    _check_id(event.subject, subject)
    try:
        at, time = event_time(mapping.moment(event.time.read(row.fields), zone))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{event.time.column or 'time'}: {error}") from None
    identity = event.id.read(row.fields) if event.id is not None else f"{subject}:{kind}:{time}"
    if not identity:
        raise ValueError(f"{event.id.column if event.id else 'id'}: empty; the event's id is needed")
    if event.id is not None:
        _check_id(event.id, identity)
    data: dict[str, Any] = {}
    known = fields_of(kind)
    for name, cell in event.data.items():
        text = cell.read(row.fields)
        if not text or name not in known:  # one mapping may serve several types: a won deal has no reason
            continue
        if name in IDS:
            _check_id(cell, text)
        try:
            data[name] = mapping.field(name, text, zone, cell.scale)
        except ValueError as error:
            raise ValueError(f"{cell.column or name}: {error}") from None
    worth = [name for name in ("amount", "cost") if name in data and "currency" in known]
    for name in worth:
        text = event.data[name].read(row.fields)
        try:
            currency = currency_of(money(text, mapping.decimal)[1], data.get("currency"), mapping.currency, text)
        except ValueError as error:
            raise ValueError(f"{event.data[name].column or name}: {error}") from None
        if currency is not None:
            data["currency"] = currency
    if worth and mapping.currency is not None and "currency" not in data:
        # Which currency a deal has is for its fold to know: here it is a default.
        data["default_currency" if "default_currency" in known else "currency"] = mapping.currency
    told = {
        "specversion": "1.0",
        "id": identity,
        "source": mapping.source,
        "type": kind,
        "time": time,
        "subject": subject,
        "data": data,
    }
    try:
        decode(orjson.dumps(told), (), topic=TOPIC_OF[kind], arrival=at)
    except Refused as error:
        raise ValueError(f"{kind}: {error.detail}") from None
    return Dated(at, row.line, told)


def _check_id(cell: CellSource, text: str) -> None:
    wrong = damage(text) if cell.column is not None else None
    if wrong is not None:
        raise ValueError(f"{cell.column}: {wrong}")
