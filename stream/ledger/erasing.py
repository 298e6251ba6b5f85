"""How is somebody taken out of a ledger, for good, while every figure stays what it is?

One transaction rewrites all that says anything of them (``models/privacy/rewrite.py``), remembers a keyed hash of their ids and
writes the certificate: it is done, or not begun. Then the file is written anew without the bytes that SQLite leaves where
something was, and the certificate says when. Nobody may hold state in memory meanwhile.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.calendar import iso
from models.events.refused import ERASED_MARK
from models.privacy.certificate import SALT, TOPIC, Certificate, decode
from models.privacy.finder import Finder
from models.privacy.refusals import Refusals
from models.privacy.requests import TOPIC as REQUESTS
from models.privacy.requests import ErasureRequest, waiting
from models.privacy.rewrite import Rewritten
from models.privacy.subject import Cell, Scan, Subject
from stream.engine.backend import Message
from stream.engine.erasing import AskedBy, Erasure, ErasureResult, Names, before, latest_certificates, record, refused
from stream.engine.options import EngineOptions
from stream.ledger.checksums import checksum
from stream.ledger.log_reader import packed, unpacked
from stream.ledger.schema import OFFSET_BITS, OFFSETS
from stream.ledger.store import Ledger

#: Tables, with what names a line of each, and its headers.
_TABLES = {"records": ("place", "headers"), "latest": ("place", "NULL"), "rows": ("rowid", "NULL")}
#: So many needles SQLite is given one by one.
_FEW = 12


class _Line(NamedTuple):
    table: str
    number: int


class LedgerCells:
    """Reads a ledger as cells. Used with any connection, also one that only reads while an instance writes."""

    def __init__(self, options: EngineOptions) -> None:
        self.where = Names(options).where

    def scan(self, connection: sqlite3.Connection) -> Scan:
        """Return what finds cells: those in which any of some bytes are, and all dead letters, whose bytes are encoded."""
        logs = {id: (topic, partition) for id, topic, partition in connection.execute("SELECT id, topic, partition FROM logs")}
        letters = ", ".join(str(id) for id, (topic, _) in logs.items() if self.where(topic) == "dead-letters")

        def found(wanted: Iterable[bytes]) -> Iterator[Cell]:
            looked = tuple(wanted)
            connection.create_function("holds", -1, Finder(dict.fromkeys(looked, ())).holds)
            for table, (number, headers) in _TABLES.items():
                log = "log" if table != "records" else f"place >> {OFFSET_BITS}"
                # SQLite looks for a few by itself, four times as fast as by a function of ours.
                columns = ("key", "value", "headers") if headers == "headers" else ("key", "value")
                few = " OR ".join(f"instr({column}, ?{n})" for n in range(1, len(looked) + 1) for column in columns) or "0"
                holding, values = (few, looked) if len(looked) <= _FEW else (f"holds({', '.join(columns)})", ())
                query = f"SELECT {number}, {log}, key, value, {headers} FROM {table} WHERE {log} IN ({letters}) OR {holding}"
                for line, log_, key, value, pack in connection.execute(query, values).fetchall():
                    topic, partition = logs[log_]
                    offset = line & OFFSETS if table != "rows" else None
                    yield Cell(self.where(topic), partition, offset, key or b"", value, unpacked(pack), _Line(table, line))

        return found


class LedgerPrivacy:
    """Finds and erases people in one ledger."""

    def __init__(self, ledger: Ledger, options: EngineOptions) -> None:
        self._ledger = ledger
        self._options = options
        self._cells = LedgerCells(options)
        #: Who was erased.
        self.refusals = self._remembered()
        ledger.screen = self._screen

    @property
    def path(self) -> Path:
        """Where the ledger is."""
        return self._ledger.path

    # -- what is remembered --------------------------------------------------------------------------------------------

    def certificates(self) -> list[Certificate]:
        """Return all there are, the oldest first."""
        found = (decode(value) for key, value in self._kept().items() if key != SALT and value)
        return sorted(found, key=lambda one: (one.asked, one.id))

    def _kept(self) -> dict[bytes, bytes | None]:
        topic = self._options.physical(TOPIC)
        start, end = self._ledger.bounds(topic, 0)
        return {one.key or b"": one.value for one in self._ledger.read(topic, 0, start, max(end - start, 1)).records}

    def _remembered(self) -> Refusals:
        salt = self._kept().get(SALT)
        if salt is None:
            salt = secrets.token_hex(32).encode()
            self._ledger.append([Message(self._options.physical(TOPIC), salt, SALT, 0)]).result()
        return Refusals(bytes.fromhex(salt.decode()), refused(self.certificates()))

    def _screen(self, message: Message) -> Message:
        """Keep out what late events say of who was erased."""
        if not len(self.refusals):
            return message
        where = self._cells.where(message.topic)
        cell = Cell(where, message.partition, None, message.key, message.value, message.headers)
        screened = self.refusals.screen(cell)
        if screened.refused:
            return Message(message.topic, None, b"", message.partition, (ERASED_MARK,))
        return message if screened.value is message.value else message._replace(value=screened.value)

    # -- erasing -------------------------------------------------------------------------------------------------------

    def requests(self) -> list[ErasureRequest]:
        """Return what CRMs have asked for and nobody has done yet."""
        topic = self._options.physical(REQUESTS)
        start, end = self._ledger.bounds(topic, 0)
        found: list[bytes | None] = []
        while start < end:
            stretch = self._ledger.read(topic, 0, start, 5_000)
            found += [one.value for one in stretch.records]
            start = stretch.end
        return waiting(found)

    def erase(self, subjects: Sequence[Subject], asked: AskedBy) -> ErasureResult:
        """Erase people, all in one pass; return once no byte of them is in the file. Blocks; nobody may hold state meanwhile.

        Whoever was erased before is not erased again, but where somebody has asked for it since, who is in that request: what
        there is of them to be told is the certificate of that time.
        """
        known = self.certificates()
        again = {Subject(one.kind, one.id) for one in self.requests()}
        new = [one for one in dict.fromkeys(subjects) if one in again or before(self.refusals, known, one) is None]
        events: list[str] = []
        if new:
            at = self._options.clock()
            asked = asked._replace(left=(*asked.left, *map(str, self._copies())))
            try:
                events = self._ledger.rewrite(lambda connection: self._work(connection, new, asked, at))
            except BaseException:
                self.refusals = self._remembered()
                raise
        self.finish()
        return ErasureResult(latest_certificates(subjects, self.refusals, self.certificates()), events)

    def _work(
        self, connection: sqlite3.Connection, subjects: Sequence[Subject], asked: AskedBy, at: int
    ) -> tuple[list[str], list[Message]]:
        scan = self._cells.scan(connection)
        erasure = Erasure(self._options, self.refusals, subjects, scan)
        for cell in scan(erasure.needles()):
            new = erasure(cell)
            if new is not None:
                self._put(connection, cell, new)
        certificates = erasure.certificates(asked, at, self.certificates())
        self.refusals.add(refused(certificates))
        return erasure.events(), [*erasure.gone(), *(record(self._options, one) for one in certificates)]

    @staticmethod
    def _put(connection: sqlite3.Connection, cell: Cell, new: Rewritten) -> None:
        table, number = cell.at if isinstance(cell.at, _Line) else ("", 0)
        name, headers = _TABLES[table]
        of = "log, 0" if table == "rows" else "place, at"
        [(place, at)] = connection.execute(f"SELECT {of} FROM {table} WHERE {name} = ?", (number,))
        pack = packed(new.headers) if headers != "NULL" else None
        values = [new.key, new.value, checksum(place, at, new.key, new.value, pack)]
        sets = "key = ?, value = ?, crc = ?"
        if headers != "NULL":
            values.append(pack)
            sets += ", headers = ?"
        connection.execute(f"UPDATE {table} SET {sets} WHERE {name} = ?", [*values, number])

    # -- the last byte -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write the file anew where an erasure has left bytes behind, and say in its certificate when that was done.

        One that was cut off is finished when this is called the next time.
        """
        waiting = [one for one in self.certificates() if one.gone is None]
        if not waiting:
            return
        self.clean()
        gone = iso(self._options.clock())
        self._ledger.append([record(self._options, msgspec.structs.replace(one, gone=gone)) for one in waiting]).result()

    def clean(self) -> None:
        """Write the file anew, without what was in it before."""

        def work(connection: sqlite3.Connection) -> tuple[None, list[Message]]:
            # What VACUUM needs meanwhile is as large as the file: not in memory.
            connection.execute("PRAGMA temp_store = FILE")
            try:
                connection.execute("VACUUM")
            finally:
                connection.execute("PRAGMA temp_store = MEMORY")
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise TimeoutError(f"{self._ledger.path}: somebody reads an earlier state of it; try again")
            return None, []

        self._ledger.rewrite(work, alone=True)

    def _copies(self) -> list[Path]:
        """Return the copies of the ledger that lie beside it."""
        path = self._ledger.path
        beside = [*path.parent.glob(f"{path.name}.before-*"), *path.parent.glob(f"{path.stem}.format-*{path.suffix}")]
        return sorted(beside)
