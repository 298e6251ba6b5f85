"""How is a ledger copied while it is used, brought back, and known to be whole?"""

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from stream.engine.backend import POSITION
from stream.ledger.checksums import checksum
from stream.ledger.disk import synced
from stream.ledger.lock import LedgerLock
from stream.ledger.log_reader import flipped
from stream.ledger.schema import APPLICATION, CHECKED, FORMAT, OFFSET_BITS, OFFSETS, LedgerRefused

#: SQLite's own files beside a ledger.
_BESIDE = ("-wal", "-shm")
#: Lines of one kind of damage that are told.
_MANY = 20


def backup(source: Path, target: Path) -> int:
    """Write a copy of a ledger as it is at one moment, also while an instance uses it; return its size in bytes.

    The copy is there whole or not at all, readable by this user alone. Raises :class:`LedgerRefused` where ``source`` is none,
    and ``FileExistsError`` where ``target`` is there.
    """
    if target.exists():
        raise FileExistsError(f"{target}: is there; name a file that is not")
    identify(source)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(_open(source)) as from_, closing(sqlite3.connect(part)) as to:
            # In one step: the reader's view holds all the while, and whoever writes is not held up (WAL).
            from_.backup(to, pages=-1)
            # A copy is one file: it must not want a log beside it.
            to.execute("PRAGMA journal_mode = DELETE")
        synced(part)
        part.rename(target)
        synced(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def restore(source: Path, target: Path) -> Path | None:
    """Put a copy in a ledger's place; return where what was there has been kept, None where nothing was.

    Raises :class:`~stream.ledger.lock.LedgerTaken` while an instance has it, :class:`LedgerRefused` where the copy is not whole.
    """
    wrong = list(problems(source))
    if wrong:
        raise LedgerRefused(f"{source}: {wrong[0]}")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = LedgerLock(target.with_suffix(".lock")).take()
    try:
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        backup(source, part)
        kept = None
        if target.exists():
            kept = target.with_name(f"{target.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
            with closing(sqlite3.connect(target)) as there:
                there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            target.rename(kept)
        for beside in _BESIDE:
            Path(f"{target}{beside}").unlink(missing_ok=True)
        part.rename(target)
        synced(target.parent)
        return kept
    finally:
        lock.release()


def problems(path: Path) -> Iterator[str]:
    """Yield what is wrong with a ledger: nothing where it is whole. Reads all of it.

    Looked at are the file's pages and indexes, the checksum of each line, and whether state and logs fit together: no fold is
    past the end of a log that it reads, none has lost records, and no record lies outside of its log.

    Raises :class:`LedgerRefused` where it is no ledger.
    """
    identify(path)
    with closing(_open(path)) as file:
        try:
            for (line,) in file.execute(f"PRAGMA integrity_check({_MANY})"):
                if line != "ok":
                    yield f"damaged: {line}"
            yield from _misfits(file)
            yield from itertools.islice(_flipped(file), _MANY)
        except sqlite3.DatabaseError as error:
            yield f"damaged: {error}"


def _flipped(file: sqlite3.Connection) -> Iterator[str]:
    if file.execute("PRAGMA user_version").fetchone()[0] < CHECKED:
        return
    logs = {id: (topic, partition) for id, topic, partition in file.execute("SELECT id, topic, partition FROM logs")}
    for table, headers in (("records", "headers"), ("latest", "NULL")):
        for place, at, key, value, pack, crc in file.execute(
            f"SELECT place, at, key, value, {headers}, crc FROM {table} WHERE crc IS NOT NULL"
        ):
            if crc != checksum(place, at, key, value, pack):
                yield f"damaged: {flipped(*logs[place >> OFFSET_BITS], place)}"
    for log, key, value, crc in file.execute("SELECT log, key, value, crc FROM rows WHERE crc IS NOT NULL"):
        if crc != checksum(log, 0, key, value):
            yield f"damaged: {flipped(*logs[log])}"


def state(path: Path) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Yield changelog, partition, key and value of all the state in a ledger, also while an instance uses it.

    Raises :class:`LedgerRefused` where it is none.
    """
    identify(path)
    with closing(_open(path)) as file:
        yield from file.execute("SELECT topic, partition, key, value FROM rows JOIN logs ON logs.id = rows.log")


def latest(path: Path, topic: str) -> list[tuple[bytes, bytes]]:
    """Return the last record of each key of a compacted topic, also while an instance uses the ledger.

    Raises :class:`LedgerRefused` where it is no ledger.
    """
    identify(path)
    with closing(_open(path)) as file:
        return file.execute(
            "SELECT latest.key, latest.value FROM latest JOIN logs ON latest.log = logs.id "
            "WHERE logs.topic = ? AND latest.value IS NOT NULL",
            (topic,),
        ).fetchall()


def records(path: Path, topic: str) -> Iterator[tuple[int, bytes | None]]:
    """Yield offset and value of all records of a topic of one partition, also while an instance uses the ledger.

    Raises :class:`LedgerRefused` where it is no ledger.
    """
    identify(path)
    with closing(_open(path)) as file:
        query = "SELECT place, value FROM records WHERE place >> ? = (SELECT id FROM logs WHERE topic = ?) ORDER BY place"
        for place, value in file.execute(query, (OFFSET_BITS, topic)):
            yield place & OFFSETS, value


def _misfits(file: sqlite3.Connection) -> Iterator[str]:
    logs = {id: (topic, partition, first, stop) for id, topic, partition, first, stop in file.execute("SELECT * FROM logs")}
    for table in ("records", "latest"):
        query = f"SELECT place >> {OFFSET_BITS}, min(place), max(place) FROM {table} GROUP BY 1"
        for id, least, most in file.execute(query):
            if id not in logs:
                yield f"{table}: records of log {id}, which there is not"
                continue
            topic, partition, first, stop = logs[id]
            start, end = least - (id << OFFSET_BITS), most - (id << OFFSET_BITS)
            if start < first or end >= stop:
                yield f"{topic}/{partition}: records {start} to {end} in a log from {first} to {stop}"
    # Positions name logical topics; all topics of an installation begin alike.
    prefix = next((topic.removesuffix("dead-letters") for topic, *_ in logs.values() if topic.endswith("dead-letters")), "")
    by_name = {(topic, partition): (first, stop) for topic, partition, first, stop in logs.values()}
    query = "SELECT log, key, value FROM rows WHERE key >= ? AND key < ?"
    for id, key, value in file.execute(query, (POSITION, b"A")):
        changelog, partition, *_ = logs[id]
        topic, at = key[len(POSITION) :].decode(), int(value)
        first, end = by_name.get((prefix + topic, partition), (0, 0))
        if at > end:
            yield f"{changelog}/{partition}: has folded {topic} up to {at}, which ends at {end}"
        elif at < first:
            yield f"{changelog}/{partition}: {first - at} records of {topic} are gone before they were folded"


def identify(path: Path) -> None:
    """Raise :class:`LedgerRefused` where a file is no ledger that this version reads."""
    if not path.is_file():
        raise LedgerRefused(f"{path}: there is no such file")
    try:
        with closing(_open(path)) as file:
            owner = file.execute("PRAGMA application_id").fetchone()[0]
            found = file.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise LedgerRefused(f"{path}: not readable as a ledger ({error})") from None
    if owner != APPLICATION:
        raise LedgerRefused(f"{path}: no ledger (application_id {owner:#x}; accepted: {APPLICATION:#x})")
    if found > FORMAT:
        raise LedgerRefused(f"{path}: written by a later Vigie (format {found}; this one reads up to {FORMAT})")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path.absolute()}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection
