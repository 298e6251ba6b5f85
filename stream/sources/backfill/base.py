"""What does an export tell, and how is a file of it read?

A backfill turns an export into the notifications that the CRM's webhook would have sent, and has the webhook's own adapter read
them: what a field means is written once, and event ids come out equal. What an export does not date is told as of the record's
last modification, at the *end* of the second or minute in which the export says it was, so that a webhook that had told of it
already was there first, and nothing changes.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from models.events.decode import Known
from stream.sources.backfill.names import Lists
from stream.sources.crm.base import Erase, Ignored, Item, Unusable, checked
from stream.sources.crm.settings import SourceSettings
from stream.sources.files.base import Dated, FileReject, by_time, epoch_ms
from stream.sources.files.times import ISO


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who backfills may say about the export. ``now`` is in epoch milliseconds."""

    settings: SourceSettings
    now: int
    zone: tzinfo = UTC
    columns: Mapping[str, str] = field(default_factory=dict)
    """CSV: columns by what they are (``amount``: "Deal value"), before the names that are known."""
    dates: tuple[str, ...] = (ISO,)
    decimal: str | None = None
    """CSV: the decimal sign of numbers; None: the one that each shows, and what can be read two ways is refused."""
    encoding: str | None = None
    delimiter: str | None = None
    lists: Lists = field(default_factory=Lists)
    """The CRM's own lists of stages, pipelines and people."""
    kind: str | None = None
    """HubSpot: deals, contacts or leads, where the file does not show it."""
    before: int | None = None
    """Only what happened before (epoch ms): since then webhooks have told of it."""
    currencies: Known = None


class ExportPlace(NamedTuple):
    """Where in an export something stands."""

    file: int
    line: int


class FoundEvent(NamedTuple):
    """One event of an export, in structured mode, and the file and line that told of it."""

    file: Path
    line: int
    event: dict[str, Any]


class Reject(NamedTuple):
    """One part of an export that gives no event, and why: column or field, what was found, what is accepted."""

    file: Path
    line: int
    reason: str


@dataclass(slots=True)
class BackfillTally:
    """What was met on the way that is no event."""

    watch: Callable[[int], None] = lambda count: None
    """Told now and then how many rows, records and events have been read, before the first event comes: they are sorted first."""
    read: int = 0
    left_out: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)
    """What somebody should know about the reading, once each, in order."""
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Words of which nobody knows what they mean, by the field that has them: one each record that has it now."""

    def met(self) -> None:
        """Count one more row, record or event."""
        self.read += 1
        if self.read % 1024 == 0:
            self.watch(self.read)


#: What an adapter's reading gives, with its place; a text is why a part gives nothing at all.
PlacedItem = tuple[ExportPlace, Item | str]


def ordered(
    told: Iterable[PlacedItem], files: list[Path], options: Options, tally: BackfillTally
) -> Iterator[FoundEvent | Reject]:
    """Yield what cannot be used as it comes, then all events in time order, each checked against the contract."""

    def dated() -> Iterator[Dated | FileReject]:
        for place, item in told:
            tally.met()
            why = ""
            if isinstance(item, Erase):
                tally.ignored["somebody is to be erased: not taken from a file (vigie privacy erase)"] += 1
            elif isinstance(item, Ignored):
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
            yield FoundEvent(files[number], one.line, event)


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

    def add(self, id: str, kind: str, place: ExportPlace, value: Mapping[str, Any]) -> None:
        """Keep one part of the record ``id``."""
        self._store.execute("INSERT INTO piece VALUES (?, ?, ?, ?, ?)", (id, kind, *place, orjson.dumps(dict(value))))

    def together(self) -> Iterator[tuple[str, dict[str, list[tuple[ExportPlace, dict[str, Any]]]]]]:
        """Yield each record's parts by kind, in the order of the files."""
        self._store.execute("CREATE INDEX by_id ON piece (id)")
        at: str | None = None
        parts: dict[str, list[tuple[ExportPlace, dict[str, Any]]]] = {}
        for id, kind, file, line, value in self._store.execute("SELECT * FROM piece ORDER BY id, file, line, rowid"):
            if id != at:
                if at is not None:
                    yield at, parts
                at, parts = id, {}
            parts.setdefault(kind, []).append((ExportPlace(file, line), orjson.loads(value)))
        if at is not None:
            yield at, parts


#: Reads all the files of an export of one CRM.
Reader = Callable[[list[Path], Options, BackfillTally], Iterator[PlacedItem]]
