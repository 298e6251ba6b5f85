"""How is a table written as a file: CSV, JSON Lines, Parquet?"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from models.calendar import iso
from models.feeds.query import Query, shown
from models.feeds.tables import Column, ColumnKind, Row
from stream.web.api import cell

FORMATS = ("csv", "jsonl", "parquet")
#: How a country writes CSV: what is between cells, and what before decimals.
LOCALES = {"en": (",", "."), "fr": (";", ","), "de": (";", ","), "es": (";", ","), "it": (";", ","), "nl": (";", ",")}
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


class FileForm(NamedTuple):
    """How a file is written. ``bom`` and ``locale`` are CSV's."""

    format: str
    bom: bool = False
    locale: str = "en"

    @property
    def media(self) -> str:
        """The kind of content."""
        return {
            "csv": "text/csv; charset=utf-8; header=present",
            "jsonl": "application/x-ndjson",
            "parquet": "application/vnd.apache.parquet",
        }[self.format]


class NoParquet(ImportError):
    """The library that writes Parquet is not installed."""


def written(query: Query, rows: Sequence[Row], form: FileForm) -> bytes:
    """Return a file of rows, with the columns that are asked for."""
    columns = [column for column in query.table.columns if column.name in query.columns]
    chosen = shown(query, rows)
    match form.format:
        case "csv":
            return to_csv(columns, chosen, form)
        case "jsonl":
            return to_lines(columns, chosen)
    return to_parquet(columns, chosen)


def to_csv(columns: Sequence[Column], rows: Sequence[Row], form: FileForm) -> bytes:
    """Return CSV (RFC 4180): a header, CRLF; no text that a spreadsheet would run as a formula."""
    between, point = LOCALES[form.locale]
    out = io.StringIO()
    out.write(_BOM if form.bom else "")
    writer = csv.writer(out, delimiter=between, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    makers = [_cell(column.kind, point) for column in columns]
    writer.writerows([make(value) for make, value in zip(makers, row, strict=True)] for row in rows)
    return out.getvalue().encode()


def _cell(kind: ColumnKind, point: str) -> Callable[[Any], Any]:
    if kind is ColumnKind.TIME:
        return lambda value: "" if value is None else iso(value)
    if kind in (ColumnKind.NUMBER, ColumnKind.MONEY) and point != ".":
        return lambda value: "" if value is None else str(value).replace(".", point)
    return cell


def to_lines(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Return an object a line."""
    times = {at for at, column in enumerate(columns) if column.kind is ColumnKind.TIME}
    names = [column.name for column in columns]
    lines = (
        {
            name: iso(value) if at in times and value is not None else value
            for at, (name, value) in enumerate(zip(names, row, strict=True))
        }
        for row in rows
    )
    # Each copied: all are there at once, and as it comes each holds some 4 KB.
    return b"".join(b"%b" % orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def to_parquet(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Return Parquet; raise :class:`NoParquet`. Types are those that every reader knows: none is unsigned, or an interval."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise NoParquet(
            "parquet needs pyarrow, which is not installed here (accepted: pip install 'vigie[parquet]'; csv, jsonl)"
        ) from error
    types = {
        ColumnKind.TEXT: pa.string(),
        ColumnKind.WHOLE: pa.int64(),
        ColumnKind.NUMBER: pa.float64(),
        ColumnKind.MONEY: pa.decimal128(19, 4),
        ColumnKind.DAY: pa.date32(),
        ColumnKind.TIME: pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema([
        pa.field(column.name, types[column.kind], metadata={"description": column.doc}) for column in columns
    ])  # fmt: skip
    by_column = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    arrays = [
        pa.array([_parquet(column.kind, value) for value in values], types[column.kind])
        for column, values in zip(columns, by_column, strict=True)
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd")
    return out.getvalue()


def _parquet(kind: ColumnKind, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case ColumnKind.MONEY:
            return Decimal(str(value)).quantize(Decimal("0.0001"))
        case ColumnKind.NUMBER:
            return float(value)
        case ColumnKind.DAY:
            return date.fromisoformat(value)
    return value
