"""What does a file hold: records of logs, and rows of state? Any thread may ask; each has a connection of its own."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from models.fold import Record
from stream.engine.backend import Partition
from stream.engine.errors import EngineStopped
from stream.ledger.checksums import checksum
from stream.ledger.schema import OFFSET_BITS, OFFSETS, reader

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode


def packed(headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """Return headers as they are in the file, None for none."""
    return _pack(list(headers)) if headers else None


def unpacked(pack: bytes | None) -> Sequence[tuple[str, bytes | None]]:
    """Return the headers that are in the file as ``pack``."""
    return () if pack is None else _unpack(pack)


def flipped(topic: str, partition: int, place: int | None = None) -> str:
    """Say where a line is not what was written: a record by its ``place``, or a row of state."""
    what = "a row of state" if place is None else f"offset {place & OFFSETS}"
    return f"{topic}/{partition}: {what} has other bytes than were written"


class LedgerError(EngineStopped):
    """The file could not be written, and nothing of the job is in it; or not be read."""


class Stretch(NamedTuple):
    """Consecutive records of one log: all that it holds from where it was asked for up to, not including, ``end``."""

    end: int
    records: list[Record]


class LogEntry:
    """One topic and partition: what kind, and where it begins and ends; ``next`` is committed, ``coming`` may be."""

    __slots__ = ("coming", "compact", "first", "id", "next", "partition", "topic")

    def __init__(self, id: int, topic: str, partition: int, compact: bool, first: int, next: int) -> None:
        self.id, self.topic, self.partition, self.compact = id, topic, partition, compact
        self.first, self.next, self.coming = first, next, next


class _Reader:
    """A thread's connection, and who has it."""

    __slots__ = ("connection", "used")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection, self.used = connection, threading.Lock()


class LogReader:
    """Reads what is committed. ``clock`` is the reader's (epoch ms)."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self.path = path
        self._clock = clock
        self._logs: dict[Partition, LogEntry] = {}
        self._own = threading.local()
        self._readers: list[_Reader] = []
        self._ended = False

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        own: _Reader | None = getattr(self._own, "reader", None)
        if own is None:
            own = self._own.reader = _Reader(reader(self.path))
            self._readers.append(own)
        with own.used:  # by its thread, and at the end by the one that closes it
            if self._ended:
                raise LedgerError(f"{self.path}: has been let go of")
            try:
                return own.connection.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self._damaged(error) from error

    def _damaged(self, error: Exception | str) -> LedgerError:
        return LedgerError(f"{self.path}: {error}; `vigie check` looks at it, `vigie restore` puts a copy in its place")

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that the log has, and the one after its last."""
        found = self._logs[topic, partition]
        return found.first, found.next

    def read(self, topic: str, partition: int, start: int, most: int, *, name: str = "") -> Stretch:
        """Return up to ``most`` records from ``start`` on; ``name`` is the topic's in them (default: ``topic``).

        ``start`` must be within :meth:`bounds`; the stretch ends at the log's end where there are fewer.
        """
        found = self._logs[topic, partition]
        end = found.next  # before the query, which may see more
        base = found.id << OFFSET_BITS
        table = "key, value, NULL, crc FROM latest" if found.compact else "key, value, headers, crc FROM records"
        query = f"SELECT place, at, {table} WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
        now = self._clock()
        name = name or topic
        records = []
        for place, at, key, value, headers, crc in self._read(query, (base + start, base + end, most)):
            if crc is not None and crc != checksum(place, at, key, value, headers):
                raise self._damaged(flipped(topic, partition, place))
            records.append(Record(name, partition, place & OFFSETS, at, key, value, unpacked(headers), now))
        if len(records) == most:
            end = records[-1].offset + 1
        return Stretch(end, records)

    def rows(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """Return a fold's state in one partition: the last value of each key."""
        log = self._logs[topic, partition].id
        rows = {}
        for key, value, crc in self._read("SELECT key, value, crc FROM rows WHERE log = ?", (log,)):
            if crc is not None and crc != checksum(log, 0, key, value):
                raise self._damaged(flipped(topic, partition))
            rows[key] = value
        return rows

    def logs(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield topic, partition, first offset and next one, of every log."""
        for found in self._logs.values():
            yield found.topic, found.partition, found.first, found.next

    def oldest(self, topic: str, partition: int, before: int, stop: int, most: int) -> int:
        """Return the offset up to which the log's oldest records arrived before ``before`` (epoch ms): of ``most`` looked at."""
        found = self._logs[topic, partition]
        base = found.id << OFFSET_BITS
        query = "SELECT place, at FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
        lines = self._read(query, (base + found.first, base + min(stop, found.next), most))
        for place, at in lines:
            if at >= before:
                return int(place & OFFSETS)
        return int(lines[-1][0] & OFFSETS) + 1 if lines else found.first

    def count(self, topic: str, partition: int, stop: int) -> int:
        """Return how many records a log has before offset ``stop``."""
        found = self._logs[topic, partition]
        base = found.id << OFFSET_BITS
        table = "latest" if found.compact else "records"
        [(count,)] = self._read(f"SELECT count(*) FROM {table} WHERE place >= ? AND place < ?", (base, base + stop))
        return int(count)

    def compacted(self) -> list[Partition]:
        """Return the logs that keep the last record of each key."""
        return [key for key, found in list(self._logs.items()) if found.compact]

    def place(self, topic: str, partition: int, offset: int) -> int:
        """Return where a record is in its table."""
        return self._logs[topic, partition].id << OFFSET_BITS | offset

    def _close_readers(self) -> None:
        """Let go of the file. Who reads just then is waited for: SQLite does not survive that a connection in use is closed."""
        self._ended = True
        for one in list(self._readers):
            with one.used:
                one.connection.close()
