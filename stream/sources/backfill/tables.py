"""How are the tables of a CSV export read, whoever has written or touched them?"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stream.sources.backfill.base import BackfillTally, Options
from stream.sources.crm.words import plain
from stream.sources.files.base import CsvRow, FileReject, read_csv
from stream.sources.files.text import BROKEN, SourceFileError, encoding_of, open_bytes

_DELIMITERS = ",;\t|"
#: Characters in which the header is looked for, behind what reports write above it.
_HEAD = 1 << 16
_QUOTED = re.compile(r'"[^"]*"')
_EXCEL = re.compile(r"sep=(.)\r?\n")  # Excel's own way to say the delimiter, a line before the header


class Table:
    """One CSV file: its header, and which of its columns is what.

    The header is the first record that has two of the ``known`` names; without one, the first record.
    """

    def __init__(self, path: Path, options: Options, tally: BackfillTally, known: Mapping[str, tuple[str, ...]]) -> None:
        self.path = path
        self._tally = tally
        self.encoding = options.encoding or encoding_of(path)
        if self.encoding == "cp1252" and options.encoding is None:
            tally.notes[f"{path}: not UTF-8, read as cp1252 (--encoding says otherwise)"] = None
        try:
            with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=self.encoding, newline="") as text:
                head = text.read(_HEAD)
        except (UnicodeError, LookupError, *BROKEN) as error:
            raise SourceFileError(f"{path}: {error}; a CSV file in {self.encoding} is needed (--encoding)") from error
        said = _EXCEL.match(head)
        lines = _QUOTED.sub("", head).splitlines()
        self.delimiter = options.delimiter or (said[1] if said else _delimiter(lines))
        names = {plain(name) for labels in known.values() for name in labels} | set(map(plain, options.columns.values()))
        first = list(_first(head, self.delimiter))
        self._preamble = next(
            (number for number, record in enumerate(first) if len(names & set(map(plain, record))) > 1), 1 if said else 0
        )
        self.header = [name.strip() for name in first[self._preamble]] if self._preamble < len(first) else []

    def rows(self) -> Iterator[CsvRow | FileReject]:
        """Yield the rows, and what is none."""
        for row in read_csv(self.path, (), delimiter=self.delimiter, encoding=self.encoding, preamble=self._preamble):
            self._tally.met()
            yield row

    def columns(self, known: Mapping[str, tuple[str, ...]], options: Options, needed: Iterable[str]) -> dict[str, str]:
        """Return which column is what: as ``options.columns`` say, else by the names that are known, whatever their case.

        Raises:
            SourceFileError: for a column that is not in the file or is there twice, and where a ``needed`` one is not found.
        """
        twice = {name for name, count in Counter(self.header).items() if count > 1}
        alike: dict[str, list[str]] = {}
        for name in self.header:
            alike.setdefault(plain(name), []).append(name)
        found: dict[str, str] = {}
        for what, column in options.columns.items():
            if what not in known:
                raise SourceFileError(f"--map {what}: accepted are {', '.join(known)}")
            if column not in self.header:
                raise SourceFileError(f"{self.path}:1: --map {what}: no column {column!r}; found {listed(self.header)}")
            found[what] = column
        for what, names in known.items():
            for name in names:
                if what not in found and plain(name) in alike:
                    found[what] = self._one(what, name, alike[plain(name)])
        for what in needed:
            if what not in found:
                raise SourceFileError(
                    f"{self.path}:1: no column for {what}: accepted are {listed(known[what])}, or --map {what}=COLUMN; "
                    f"found {listed(self.header)}"
                )
        for what, column in found.items():
            if column in twice:
                raise SourceFileError(f"{self.path}:1: the column {column!r} ({what}) is there more than once")
        return found

    def _one(self, what: str, name: str, alike: list[str]) -> str:
        """Return the column that is called so to the letter, or the only one that is called alike."""
        names = [column for column in alike if column == name] or [column for column in alike if column.lower() == name.lower()]
        columns = list(dict.fromkeys(names or alike))
        if len(columns) > 1:
            raise SourceFileError(f"{self.path}:1: {what} may be {listed(columns)}; --map {what}=COLUMN says which")
        return columns[0]


def _delimiter(lines: list[str]) -> str:
    """Return the sign that the first line has most of; where it has none (a report's title), the one that any line has."""
    for line in lines:
        best = max(_DELIMITERS, key=line.count)
        if best in line:
            return best
    return _DELIMITERS[0]


def _first(head: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    for _ in range(30):
        try:
            record = next(reader, None)
        except csv.Error:
            return
        if record is None:
            return
        yield record


def listed(names: Iterable[str]) -> str:
    """Return names as an error message has them."""
    return ", ".join(f'"{name}"' for name in names) or "nothing"
