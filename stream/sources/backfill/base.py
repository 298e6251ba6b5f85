"""What does an export tell, and how is a file of it read?

A backfill turns an export into the notifications that the CRM's webhook would have sent, and has the webhook's own adapter read
them: what a field means is written once, and event ids come out equal. What an export does not date is told as of the record's
last modification, at the *end* of the second or minute in which the export says it was, so that a webhook that had told of it
already was there first, and nothing changes.
"""

import codecs
import csv
import io
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from models.events.decode import Known
from models.events.scalars import EARLIEST
from stream.sources.crm.base import Ignored, Item, Unusable, checked
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import LATEST
from stream.sources.files.base import BROKEN, CsvRow, Dated, FileReject, SourceFileError, by_time, epoch_ms, open_bytes, read_csv
from stream.sources.files.mapping import ISO, CsvMapping, EventMapping

#: A JSON document is read whole: pages of an API are small; what is larger should have a record a line.
DOCUMENT_LIMIT = 256 << 20
_DELIMITERS = ",;\t|"
_CURRENCY = re.compile(r"^\s*(?:[A-Z]{3}|[$€£¥])?\s*(.*?)\s*(?:[A-Z]{3}|[$€£¥])?\s*$")
_FRACTION = re.compile(r"[.,](\d+)")


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who backfills may say about the export. ``now`` is in epoch milliseconds."""

    settings: SourceSettings
    now: int
    zone: tzinfo = UTC
    columns: Mapping[str, str] = field(default_factory=dict)
    """CSV: columns by what they are (``amount``: "Deal value"), before the names that are known."""
    dates: tuple[str, ...] = (ISO,)
    decimal: str = "."
    encoding: str | None = None
    delimiter: str | None = None
    kind: str | None = None
    """HubSpot: deals, contacts or leads, where the file does not show it."""
    before: int | None = None
    """Only what happened before (epoch ms): since then webhooks have told of it."""
    currencies: Known = None


class Place(NamedTuple):
    """Where in an export something stands."""

    file: int
    line: int


class Found(NamedTuple):
    """One event of an export, in structured mode, and the file and line that told of it."""

    file: Path
    line: int
    event: dict[str, Any]


class Reject(NamedTuple):
    """One part of an export that gives no event, and why: column or field, what was found, what is accepted."""

    file: Path
    line: int
    reason: str


class BadCell(ValueError):
    """One value cannot be understood; the text has column, found and accepted."""


@dataclass(slots=True)
class Tally:
    """What was met on the way that is no event."""

    watch: Callable[[int], None] = lambda count: None
    """Told now and then how many events have been read, before the first of them comes: they are put in order first."""
    left_out: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)
    """What somebody should know about the reading, once each, in order."""


#: What an adapter's reading gives, with its place; a text is why a part gives nothing at all.
Told = tuple[Place, Item | str]


def ordered(told: Iterable[Told], files: list[Path], options: Options, tally: Tally) -> Iterator[Found | Reject]:
    """Yield what cannot be used as it comes, then all events in time order, each checked against the contract."""

    def dated() -> Iterator[Dated | FileReject]:
        for count, (place, item) in enumerate(told, 1):
            if count % 1024 == 0:
                tally.watch(count)
            why = ""
            if isinstance(item, Ignored):
                tally.ignored[item.why] += 1
            elif isinstance(item, dict):
                at = epoch_ms(datetime.fromisoformat(item["time"]))
                wrong = checked(item, options.now, options.currencies)
                if wrong is not None:
                    why = wrong.detail
                elif options.before is not None and at >= options.before:
                    tally.left_out += 1
                else:
                    yield Dated(at, place.line, [place.file, item])
            else:
                why = item.detail if isinstance(item, Unusable) else item
            if why:
                yield FileReject(place.line, f"{place.file}:{why}")

    for one in by_time(dated()):
        if isinstance(one, FileReject):
            number, _, reason = one.reason.partition(":")
            yield Reject(files[int(number)], one.line, reason)
        else:
            number, event = one.value
            yield Found(files[number], one.line, event)


# -- CSV --------------------------------------------------------------------------------------------------------------


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: what its first bytes say, else UTF-8 where all of it is, else Excel's cp1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as file:
            chunk = file.read(1 << 20)
            if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(1 << 20)
            decoder.decode(b"", True)
    except UnicodeDecodeError:
        return "cp1252"
    except BROKEN as error:
        raise SourceFileError(f"{path}: {error}; a readable CSV file is needed") from error
    return "utf-8-sig"


class Table:
    """One CSV file: its header, and which of its columns is what."""

    def __init__(self, path: Path, options: Options, tally: Tally) -> None:
        self.path = path
        self.encoding = options.encoding or encoding_of(path)
        if self.encoding == "cp1252" and options.encoding is None:
            tally.notes[f"{path}: not UTF-8, read as cp1252 (--encoding says otherwise)"] = None
        try:
            with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=self.encoding, newline="") as text:
                first = text.readline(1 << 20)
        except (UnicodeError, LookupError, *BROKEN) as error:
            raise SourceFileError(f"{path}: {error}; a CSV file in {self.encoding} is needed (--encoding)") from error
        bare = re.sub(r'"[^"]*"', "", first)
        self.delimiter = options.delimiter or max(_DELIMITERS, key=bare.count)
        self.header = [name.strip() for name in next(csv.reader([first], delimiter=self.delimiter), [])]

    def rows(self) -> Iterator[CsvRow | FileReject]:
        """Yield the rows, and what is none."""
        return read_csv(self.path, (), delimiter=self.delimiter, encoding=self.encoding)

    def columns(self, known: Mapping[str, tuple[str, ...]], options: Options, needed: Iterable[str]) -> dict[str, str]:
        """Return which column is what: as ``options.columns`` say, else by the names that are known, whatever their case.

        Raises:
            SourceFileError: for a column that is not in the file or is there twice, and where a ``needed`` one is not found.
        """
        twice = {name for name, count in Counter(self.header).items() if count > 1}
        lower: dict[str, str] = {}
        for name in self.header:
            lower.setdefault(name.lower(), name)
        found: dict[str, str] = {}
        for what, column in options.columns.items():
            if what not in known:
                raise SourceFileError(f"--map {what}: accepted are {', '.join(known)}")
            if column not in self.header:
                raise SourceFileError(f"{self.path}:1: --map {what}: no column {column!r}; found {_listed(self.header)}")
            found[what] = column
        for what, names in known.items():
            for name in names:
                if what not in found and name.lower() in lower:
                    found[what] = lower[name.lower()]
        for what in needed:
            if what not in found:
                raise SourceFileError(
                    f"{self.path}:1: no column for {what}: accepted are {_listed(known[what])}, or --map {what}=COLUMN; "
                    f"found {_listed(self.header)}"
                )
        for what, column in found.items():
            if column in twice:
                raise SourceFileError(f"{self.path}:1: the column {column!r} ({what}) is there more than once")
        return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "nothing"


class Cells:
    """How the cells of a CSV file are read: numbers and times in the form that the options say."""

    def __init__(self, options: Options) -> None:
        self._zone = options.zone
        self._forms = options.dates
        # The reading of numbers and dates is that of `vigie publish --format csv`.
        event = EventMapping.model_validate({"type": {"value": "deal.created"}, "time": "t", "subject": "s"})
        self._mapping = CsvMapping(decimal=options.decimal, dates=list(options.dates), events=[event])

    def number(self, text: str, column: str) -> str:
        """Return a number as plain text; separators of thousands and a currency's sign go. Empty stays empty."""
        if not text:
            return ""
        plain = _CURRENCY.sub(r"\1", text)
        try:
            return str(self._mapping.field("amount", plain, self._zone))
        except ValueError:
            sign = self._mapping.decimal
            raise BadCell(f"{column}: found {text!r}, accepted is a number with the decimal sign {sign!r} (--decimal)") from None

    def moment(self, text: str, column: str) -> "Moment | None":
        """Return the moment that a cell names, and how exactly; None for an empty one."""
        if not text:
            return None
        for form in self._forms:
            try:
                at = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)  # noqa: DTZ007
            except ValueError:
                continue
            at = at if at.tzinfo else at.replace(tzinfo=self._zone)
            begin = epoch_ms(at)
            span = _span(text) if form == ISO else _span_of(form)
            # A day of 23 or 25 hours ends where the next one begins.
            end = (
                epoch_ms((at.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=at.tzinfo))
                if span == _DAY
                else begin + span
            )
            if not EARLIEST <= begin <= LATEST:
                raise BadCell(f"{column}: found {text!r}, accepted is 2000 to 2100")
            return Moment(begin, end - 1)
        forms = " or ".join("ISO 8601" if form == ISO else form for form in self._forms)
        raise BadCell(f"{column}: found {text!r}, accepted is {forms} (--dates)")


class Moment(NamedTuple):
    """When something was, as exactly as it is known: its first and last millisecond (epoch)."""

    first: int
    last: int


_DAY = 86_400_000


def _span(text: str) -> int:
    """Return how long the unit is to which an ISO 8601 text is exact, in milliseconds."""
    clock = re.split(r"[T ]", text.strip(), maxsplit=1)
    if len(clock) == 1:
        return _DAY
    plain = re.split(r"[Z+-]", clock[1], maxsplit=1)[0]
    fraction = _FRACTION.search(plain)
    if fraction is not None:
        return 1000 if set(fraction[1]) <= {"0"} else 1
    return 1000 if plain.count(":") == 2 else 60_000


def _span_of(form: str) -> int:
    if "%f" in form:
        return 1
    if "%S" in form or "%T" in form or "%X" in form or "%c" in form:
        return 1000
    return 60_000 if "%M" in form or "%R" in form else _DAY


# -- JSON -------------------------------------------------------------------------------------------------------------


def is_json(path: Path) -> bool:
    """Whether a file begins as JSON does."""
    try:
        with open_bytes(path) as file:
            head = file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    except BROKEN as error:
        raise SourceFileError(f"{path}: {error}; a readable file is needed") from error
    return head[:1] in (b"{", b"[")


def records(path: Path, envelopes: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the records of a JSON file with their line, or why there is none.

    A file is one document, or has one a line. A document is a record, an array of records, or an API's page, which has
    them under one of the names ``envelopes``. In one document over many lines, the line is the number of the record.
    """
    with open_bytes(path) as file:
        try:
            whole = file.read(DOCUMENT_LIMIT + 1)
            if len(whole) <= DOCUMENT_LIMIT:
                try:
                    yield from enumerate(_opened(orjson.loads(whole.removeprefix(codecs.BOM_UTF8)), envelopes), 1)
                    return
                except orjson.JSONDecodeError as error:
                    if not _is_document(whole.lstrip().partition(b"\n")[0]):
                        raise SourceFileError(f"{path}: not JSON: {error}; accepted are a document, or one a line") from None
            file.seek(0)
            for line, text in enumerate(file, 1):
                if text.strip():
                    try:
                        for one in _opened(orjson.loads(text.removeprefix(codecs.BOM_UTF8)), envelopes):
                            yield line, one
                    except orjson.JSONDecodeError as error:
                        yield line, f"not JSON: {error}"
        except BROKEN as error:
            raise SourceFileError(f"{path}: {error}; a readable file is needed") from error


def _is_document(line: bytes) -> bool:
    try:
        orjson.loads(line.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        return False
    return True


def _opened(document: Any, envelopes: tuple[str, ...]) -> Iterator[dict[str, Any] | str]:
    if isinstance(document, dict):
        for name in envelopes:
            if isinstance(document.get(name), list):
                document = document[name]
                break
    for one in document if isinstance(document, list) else [document]:
        if isinstance(one, dict) and any(isinstance(one.get(name), list) for name in envelopes):
            yield from _opened(one, envelopes)  # pages in an array
        else:
            yield one if isinstance(one, dict) else f"found {type(one).__name__}, accepted is an object"


# -- what belongs together --------------------------------------------------------------------------------------------


class Pieces:
    """Parts of records from several files, brought together by the record's id: on disk, as exports may be large."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None)
        self._store.execute("PRAGMA journal_mode=OFF")
        self._store.execute("BEGIN")
        self._store.execute("CREATE TABLE piece (id TEXT, kind TEXT, file INTEGER, line INTEGER, value BLOB)")

    def __enter__(self) -> "Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def add(self, id: str, kind: str, place: Place, value: Mapping[str, Any]) -> None:
        """Keep one part of the record ``id``."""
        self._store.execute("INSERT INTO piece VALUES (?, ?, ?, ?, ?)", (id, kind, *place, orjson.dumps(dict(value))))

    def together(self) -> Iterator[tuple[str, dict[str, list[tuple[Place, dict[str, Any]]]]]]:
        """Yield each record's parts by kind, in the order of the files."""
        self._store.execute("CREATE INDEX by_id ON piece (id)")
        at: str | None = None
        parts: dict[str, list[tuple[Place, dict[str, Any]]]] = {}
        for id, kind, file, line, value in self._store.execute("SELECT * FROM piece ORDER BY id, file, line, rowid"):
            if id != at:
                if at is not None:
                    yield at, parts
                at, parts = id, {}
            parts.setdefault(kind, []).append((Place(file, line), orjson.loads(value)))
        if at is not None:
            yield at, parts


#: Reads all the files of an export of one CRM.
Reader = Callable[[list[Path], Options, Tally], Iterator[Told]]
