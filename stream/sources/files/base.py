"""What is an event read from a file, and in which order does it come?

Every reader turns one file (or directory) into :class:`FileEvent` and :class:`FileReject`. Events come in event-time
order, ties in the order of the file, so that a replay's watermark only moves forward and late events are late because
somebody made them so.
"""

import csv
import heapq
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from stream.sources.files.text import BROKEN, SourceFileError, marked, open_bytes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

SORT_CHUNK = 100_000
"""Events sorted in memory at once (about 40 MB); beyond it sorted runs go to one temporary file each."""


class FileEvent(NamedTuple):
    """One event of a file: a CloudEvent in structured mode, and the line it came from (the first line is 1)."""

    line: int
    event: dict[str, Any]
    raw: bytes | None = None  # the exact bytes of the line, where the file already holds CloudEvents


class FileReject(NamedTuple):
    """One line that gives no event, and why. Equal causes have equal reasons, so that they can be counted."""

    line: int
    reason: str
    raw: bytes = b""


Item = FileEvent | FileReject


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file may leave open.

    ``zone`` is the business time zone: dates without a time are that day's midnight, naive times are local to it.
    ``mapping`` is the mapping file of the ``csv`` format; the other formats have no use for it.
    """

    zone: tzinfo = UTC
    mapping: Path | None = None


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware ``moment``, truncated; exact, where ``timestamp()`` goes through floats."""
    return (moment - EPOCH) // _MILLISECOND


class CsvRow(NamedTuple):
    """One record of a CSV file: the line on which it begins, and its fields by column name, stripped."""

    line: int
    fields: dict[str, str]


def read_csv(
    path: Path, needed: Sequence[str], *, delimiter: str = ",", encoding: str = "utf-8-sig", preamble: int = 0
) -> Iterator[CsvRow | FileReject]:
    """The rows of a CSV file with a header; rows with another number of fields are rejected, empty lines left out.

    ``encoding`` holds where no byte order mark says otherwise; ``preamble`` records stand before the header.

    Raises:
        SourceFileError: if a ``needed`` column is missing or there twice, or the file cannot be read or decoded.
    """
    encoding = marked(path) or encoding
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in range(preamble):
                next(reader, None)
            header = [name.strip() for name in next(reader, [])]
            if header and header[0].startswith("sep="):  # Excel's own way to say the delimiter
                header = [name.strip() for name in next(reader, [])]
            missing = [name for name in needed if name not in header]
            if missing:
                found = _quoted(header) or "nothing"
                raise SourceFileError(f"{path}:1: missing column {_quoted(missing)}; found {found}")
            twice = [name for name in needed if header.count(name) > 1]
            if twice:
                raise SourceFileError(f"{path}:1: column {_quoted(twice)} is there more than once; nothing says which is meant")
            previous = reader.line_num
            while True:
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    # The reader begins anew on the next line: one bad quote costs its row, not the file.
                    line, previous = previous + 1, reader.line_num
                    yield FileReject(line, f"not CSV: {error}")
                    continue
                if values is None:
                    return
                line, previous = previous + 1, reader.line_num
                if len(values) == len(header):
                    yield CsvRow(line, dict(zip(header, map(str.strip, values), strict=True)))
                elif values:
                    yield FileReject(line, f"{len(values)} fields in the row; the header has {len(header)}")
        except (csv.Error, UnicodeError, *BROKEN) as error:
            raise SourceFileError(f"{path}:{reader.line_num + 1}: {error}; a {encoding} CSV file is needed") from error


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


class Dated(NamedTuple):
    """Something with its event time (epoch ms) and line; ``value`` must be JSON, as sorting may put it on disk."""

    at: int
    line: int
    value: Any


def by_time(items: Iterable[Dated | FileReject], *, chunk: int = SORT_CHUNK) -> Iterator[Dated | FileReject]:
    """Rejects as they come, then everything dated in order of (time, position in ``items``).

    Memory is bounded by ``chunk`` items, whatever the file's size: they are kept as JSON, sorted, and beyond one chunk
    the sorted runs are merged from temporary files (as many open files as there are chunks).
    """
    run: list[tuple[int, int, int, bytes]] = []
    spilled: list[IO[bytes]] = []
    try:
        for position, item in enumerate(items):
            if isinstance(item, FileReject):
                yield item
                continue
            # The copy is not idle: orjson's own bytes stay in blocks of 1 KB, four times the memory.
            run.append((item.at, position, item.line, b"%b" % orjson.dumps(item.value)))
            if len(run) >= chunk:
                run.sort()
                spilled.append(_spill(run))
                run = []
        run.sort()
        runs: list[Iterable[tuple[int, int, int, bytes]]] = [*map(_unspill, spilled), run]
        for at, _, line, value in heapq.merge(*runs) if spilled else run:
            yield Dated(at, line, orjson.loads(value))
    finally:
        for file in spilled:
            file.close()


def _spill(run: list[tuple[int, int, int, bytes]]) -> IO[bytes]:
    file = tempfile.TemporaryFile(prefix="vigie-sort-")
    file.writelines(b"%d %d %d %b\n" % row for row in run)
    file.seek(0)
    return file


def _unspill(file: IO[bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    for text in file:
        at, position, line, value = text.split(b" ", 3)
        yield int(at), int(position), int(line), value
