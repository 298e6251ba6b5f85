"""How do records, state and positions get into the file together, durable before anybody is told?

One thread writes. All that waits when it looks goes into one transaction (group commit): what comes while the disk is busy with
the one before shares the next. A job is whole or not in the file at all, and its future is done once the disk has it.

Statements take many rows at once: SQLite is left and entered again, and with it the interpreter's lock, once a statement.
"""

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from stream.engine.backend import Message, Partition
from stream.engine.options import wall_clock
from stream.ledger.checksums import checksum
from stream.ledger.disk import remote, synced
from stream.ledger.lock import LedgerLock
from stream.ledger.log_reader import LedgerError, LogEntry, LogReader, packed
from stream.ledger.schema import OFFSET_BITS, LedgerRefused, opened

log = logging.getLogger(__name__)

#: Next offset of each log that a job has written to.
Ends: TypeAlias = dict[Partition, int]
T = TypeVar("T")

#: Jobs that share one transaction, and rows of one statement: each size is a statement that SQLite keeps compiled.
_JOBS = 500
_SIZES = (200, 20, 1)

RECORDS = "INSERT INTO records (place, at, key, value, headers, crc) VALUES {}"
LATEST = "INSERT INTO latest (place, log, key, at, value, crc) VALUES {}"
_ROWS = (
    "INSERT INTO rows (log, key, value, crc) VALUES {} "
    "ON CONFLICT (log, key) DO UPDATE SET value = excluded.value, crc = excluded.crc"
)
_FORGET = "DELETE FROM rows WHERE (log, key) IN (VALUES {})"


def record_line(
    place: int, at: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> tuple[Any, ...]:
    """Return one line of ``records``, in the order of :data:`RECORDS`."""
    pack = packed(headers)
    return place, at, key, value, pack, checksum(place, at, key, value, pack)


def latest_line(place: int, log: int, at: int, key: bytes | None, value: bytes | None) -> tuple[Any, ...]:
    """Return one line of ``latest``, in the order of :data:`LATEST`."""
    return place, log, key or b"", at, value, checksum(place, at, key, value)


class LedgerFull(LedgerError):
    """There is no room left for it."""


class _Job(NamedTuple):
    rows: Sequence[Message]
    entries: Sequence[Message]
    future: "Future[Ends]"
    do: Callable[[sqlite3.Connection], Sequence[Message] | None] | None = None
    alone: bool = False  # not in a transaction


class Ledger(LogReader):
    """The file of one instance. Every method may be called from any thread; what is written is written by one.

    ``durable`` False is for what keeps nothing anyway (a demo): commits then do not wait for the disk. ``clock`` gives the
    arrival of a record (epoch ms).
    """

    def __init__(self, path: Path, *, durable: bool = True, clock: Callable[[], int] = wall_clock) -> None:
        super().__init__(path, clock)
        #: Whether records from outside are refused because the disk is nearly full (see ``keeping.py``).
        self.refusing = False
        #: What a record is to be before it is written: see ``stream/ledger/erasing.py``.
        self.screen: Callable[[Message], Message] | None = None
        if durable and (kind := remote(path)):
            raise LedgerRefused(
                f"{path}: on {kind}; accepted: a disk of this machine (data_dir). A network may hold copies of it"
            )
        try:
            new = not path.parent.exists()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if new and durable:
                synced(path.parent.parent)  # else a power cut might take the folder, with all that is in it
            self._lock = LedgerLock(path.with_suffix(".lock")).take()
        except OSError as error:
            raise LedgerRefused(
                f"{path.parent}: cannot be written ({error.strerror}); accepted: a folder of this user"
            ) from error
        try:
            self._connection = opened(path, durable=durable)
        except OSError as error:
            self._lock.release()
            raise LedgerRefused(f"{path}: cannot be written ({error.strerror}); accepted: a file of this user") from error
        except BaseException:
            self._lock.release()
            raise
        self._listeners: list[Callable[[Iterable[Partition]], None]] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    # --- writing ------------------------------------------------------------------------------------------------------

    def declare(self, topics: Iterable[tuple[str, int, bool]]) -> list[str]:
        """Make the logs of these topics (physical name, partitions, whether only the last record of a key is kept).

        Return the names of those that are new. Raise ``ValueError`` where one is there with other partitions.
        """
        wanted = list(topics)

        def make(connection: sqlite3.Connection) -> list[str]:
            new = []
            for topic, partitions, _ in wanted:
                query = "SELECT count(*) FROM logs WHERE topic = ?"
                found = connection.execute(query, (topic,)).fetchone()[0]
                if found and found != partitions:
                    raise ValueError(f"topic {topic}: found {found} partitions; accepted: {partitions} (kafka.partitions)")
                if not found:
                    new.append(topic)
                    lines = [(topic, partition) for partition in range(partitions)]
                    connection.executemany("INSERT INTO logs (topic, partition) VALUES (?, ?)", lines)
            return new

        new: list[str] = self.do(make)
        compact = {topic for topic, _, kept in wanted if kept}
        for id, topic, partition, first, next in self._read("SELECT id, topic, partition, first, next FROM logs"):
            if (topic, partition) not in self._logs:
                self._logs[topic, partition] = LogEntry(id, topic, partition, topic in compact, first, next)
        return new

    def append(self, entries: Sequence[Message]) -> "Future[Ends]":
        """Append records to their logs: all of them or none; the future is done once they are durable."""
        return self.write((), entries)

    def write(self, rows: Sequence[Message], entries: Sequence[Message]) -> "Future[Ends]":
        """Write rows of state (changelog, value or None, key, partition) and records, as one.

        The future's error is a :class:`LedgerError`: nothing of it is in the file, and it may be written again.
        """
        future: Future[Ends] = Future()
        self._put(_Job(rows, entries, future))
        return future

    def _put(self, job: _Job) -> None:
        with self._closing:
            if self._closed:
                job.future.set_exception(LedgerError(f"{self.path}: closed"))
            else:
                self._jobs.put(job)

    def do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Have ``work`` done in a transaction of the writing thread; return what it returns, raise what it raises."""
        return self.rewrite(lambda connection: (work(connection), ()))

    def rewrite(self, work: Callable[[sqlite3.Connection], tuple[T, Sequence[Message]]], *, alone: bool = False) -> T:
        """Have ``work`` done as :meth:`do` does, and the records that it returns written in the same transaction.

        ``alone``: in no transaction, for what SQLite does in none; it returns no records then.
        """
        found: list[T] = []

        def do(connection: sqlite3.Connection) -> Sequence[Message]:
            result, entries = work(connection)
            found.append(result)
            return entries

        future: Future[Ends] = Future()
        self._put(_Job((), (), future, do, alone))
        future.result()
        return found[0]

    def listen(self, listener: Callable[[Iterable[Partition]], None]) -> None:
        """Have ``listener`` called, in the writing thread, with the logs that have grown: after each commit."""
        self._listeners.append(listener)

    def _run(self) -> None:
        last = False
        while not last:
            first = self._jobs.get()
            if first is None:
                return
            jobs = [first]
            while len(jobs) < _JOBS:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                    break
                jobs.append(job)
            waiting: list[_Job] = []
            for job in jobs:
                if not job.alone:
                    waiting.append(job)
                    continue
                if waiting:
                    self._transact(waiting)
                    waiting = []
                self._alone(job)
            if waiting:
                self._transact(waiting)

    def _alone(self, job: _Job) -> None:
        try:
            if job.do is not None:
                job.do(self._connection)
        except Exception as error:  # who waits must hear of it, and this thread must go on
            job.future.set_exception(error)
        else:
            job.future.set_result({})

    def _transact(self, jobs: list[_Job]) -> None:
        connection = self._connection
        done: list[tuple[_Job, Ends]] = []
        grown: dict[Partition, LogEntry] = {}
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                connection.execute("SAVEPOINT job")
                before = {key: found.coming for key, found in grown.items()}
                try:
                    done.append((job, self._write(job, grown)))
                except sqlite3.OperationalError:
                    raise  # no room, no file: SQLite may have rolled everything back already
                except Exception as error:
                    connection.execute("ROLLBACK TO job")
                    for key, found in grown.items():
                        found.coming = before.get(key, found.next)
                    job.future.set_exception(self._damaged(error) if type(error) is sqlite3.DatabaseError else error)
                connection.execute("RELEASE job")
            ends = [(found.coming, found.id) for found in grown.values()]
            connection.executemany("UPDATE logs SET next = ? WHERE id = ?", ends)
            connection.execute("COMMIT")
        except Exception as error:  # whatever it is: who waits must hear of it, and this thread must go on
            self._failed(jobs, grown, error)
            return
        for found in grown.values():
            found.next = found.coming
        for job, written in done:
            job.future.set_result(written)
        if grown:
            for listener in self._listeners:
                listener(grown)

    def _failed(self, jobs: list[_Job], grown: dict[Partition, LogEntry], error: Exception) -> None:
        """Nothing of these jobs is in the file."""
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled it back by itself
            self._connection.execute("ROLLBACK")
        for found in grown.values():
            found.coming = found.next
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        kind = LedgerFull if full else LedgerError
        for job in jobs:
            if not job.future.done():
                failed = kind(f"{self.path}: {error}")
                failed.__cause__ = error
                job.future.set_exception(failed)

    def _write(self, job: _Job, grown: dict[Partition, LogEntry]) -> Ends:
        entries = job.entries if job.do is None else job.do(self._connection) or ()
        screen = self.screen
        now = self._clock()
        kept: list[Any] = []
        latest: list[Any] = []
        ends: Ends = {}
        for entry in entries if screen is None else map(screen, entries):
            found = self._logs[entry.topic, entry.partition]
            offset = found.coming
            found.coming = offset + 1
            grown[entry.topic, entry.partition] = found
            ends[entry.topic, entry.partition] = offset + 1
            place = found.id << OFFSET_BITS | offset
            if found.compact:
                latest.append(latest_line(place, found.id, now, entry.key, entry.value))
            else:
                kept.append(record_line(place, now, entry.key, entry.value, entry.headers))
        self._many(RECORDS, kept)
        self._many(LATEST, latest)
        put: list[Any] = []
        gone: list[Any] = []
        for topic, value, key, partition, _ in job.rows:
            id = self._logs[topic, partition].id
            if value is None:
                gone.append((id, key))
            else:
                put.append((id, key, value, checksum(id, 0, key, value)))
        self._many(_FORGET, gone)
        self._many(_ROWS, put)
        return ends

    def _many(self, statement: str, lines: Sequence[Any]) -> None:
        """Run a statement for many lines, as many at once as one of the compiled sizes takes."""
        start = 0
        for size in _SIZES:
            while len(lines) - start >= size:
                some = lines[start : start + size]
                start += size
                line = "(" + ",".join("?" * len(some[0])) + ")"
                self._connection.execute(statement.format(",".join([line] * size)), [value for one in some for value in one])

    # --- what housekeeping and moves do ---------------------------------------------------------------------------------

    def forget(self, topic: str, partition: int, end: int) -> None:
        """Delete the records of a log before offset ``end``: it begins there then."""
        found = self._logs[topic, partition]
        base = found.id << OFFSET_BITS

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM records WHERE place >= ? AND place < ?", (base, base + end))
            connection.execute("UPDATE logs SET first = ? WHERE id = ?", (end, found.id))

        self.do(delete)
        found.first = end

    def set_bounds(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        """Say where logs begin and end: of a new ledger whose records came with their offsets."""
        lines = [(first, next, self._logs[key].id) for key, (first, next) in bounds.items()]
        self.do(lambda connection: connection.executemany("UPDATE logs SET first = ?, next = ? WHERE id = ?", lines))
        for key, (first, next) in bounds.items():
            found = self._logs[key]
            found.first, found.next, found.coming = first, next, next

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what waits, then let go of the file. Calling it twice does no harm."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self._close_readers()
        self._connection.close()
        self._lock.release()
