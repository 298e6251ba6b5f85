"""What is in the file, and which version of Vigie may open it?

::

    logs      one line per topic and partition: where it begins and ends
    records   topics that are kept by age: append-only, in the order of each log
    latest    topics that keep the last record of each key: append-only, too; the ones before it go when all have read past them
    rows      the state of folds: the last value of each key

``place`` is the log's number in the upper bits and the offset in the lower :data:`OFFSET_BITS`: so the primary key alone finds
a stretch of a log, and appending goes to the end of a B-tree's page.
"""

import os
import sqlite3
from pathlib import Path

from stream.ledger.checksums import COLUMN

#: The format that this version writes. Change it with a step in :data:`STEPS`; an older Vigie then refuses the file.
FORMAT = 3
#: The first format whose lines have checksums.
CHECKED = 3
#: ``PRAGMA application_id``: says of a file that it is a Vigie's ("VIGI").
APPLICATION = 0x56494749
#: A log holds 2^40 records in its life: a thousand a second for 34 years.
OFFSET_BITS = 40
OFFSETS = (1 << OFFSET_BITS) - 1

_LATEST = """
CREATE TABLE latest (place INTEGER PRIMARY KEY, log INTEGER NOT NULL, key BLOB NOT NULL, at INTEGER NOT NULL, value BLOB{});
CREATE INDEX latest_of_key ON latest (log, key);
CREATE INDEX removed ON latest (at) WHERE value IS NULL;
"""
_FIRST = f"""
CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
);
CREATE TABLE records (place INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB, {COLUMN});
{_LATEST.format(", " + COLUMN)}
CREATE TABLE rows (log INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, {COLUMN}, UNIQUE (log, key));
"""

#: What brings a file of format N to N + 1. Each runs in one transaction with the change of ``PRAGMA user_version``.
STEPS: dict[int, str] = {
    # A key had one line in `latest`: who was slower than the next record of the same key missed the one before.
    1: f"""
ALTER TABLE latest RENAME TO before;
DROP INDEX removed;
{_LATEST.format("")}
INSERT INTO latest SELECT place, log, key, at, value FROM before ORDER BY place;
DROP TABLE before;
""",
    # A line had no checksum. What is there keeps none: nothing is written anew.
    2: "\n".join(f"ALTER TABLE {table} ADD COLUMN {COLUMN};" for table in ("records", "latest", "rows")),
}


class LedgerRefused(Exception):
    """The file cannot be opened by this Vigie: what is wrong with it, and what to do."""


def opened(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Open a file for writing, made or brought up to date where that is wanted; raise :class:`LedgerRefused` where it cannot be.

    ``durable``: a commit returns when the disk has it (``synchronous=FULL``).
    """
    # What is in it is nobody else's business; the files that SQLite makes beside it are as it is.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        found = _format(connection, path)
        _set(connection, durable)
        _bring_up(connection, path, found)
    except sqlite3.Error as error:
        connection.close()
        raise LedgerRefused(f"{path}: {error}; `vigie check` looks at it, `vigie restore` puts a copy in its place") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, durable: bool) -> None:
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file: retention gives pages back bit by bit
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA temp_store = MEMORY")


def reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads: it sees what was committed when each of its queries begins."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -2048")  # each thread that reads has one
    return connection


def _format(connection: sqlite3.Connection, path: Path) -> int | None:
    """Return the file's format, None of a new one; raise :class:`LedgerRefused` where it is not ours to change."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        return None
    if owner != APPLICATION:
        raise LedgerRefused(f"{path}: a SQLite file of something else (application_id {owner:#x}); name another data_dir")
    if found > FORMAT:
        raise LedgerRefused(
            f"{path}: written by a later Vigie (format {found}; this one reads up to {FORMAT}); install that one, or restore "
            "a backup made before"
        )
    return found


def _bring_up(connection: sqlite3.Connection, path: Path, found: int | None) -> None:
    """Make the tables of a new file, or bring an older one up to date: a copy of it is kept."""
    if found is None:
        connection.executescript(
            f"BEGIN; {_FIRST} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
        )
        return
    while found < FORMAT:
        _copy(connection, path.with_suffix(f".format-{found}{path.suffix}"))
        connection.executescript(f"BEGIN; {STEPS[found]} PRAGMA user_version = {found + 1}; COMMIT;")
        found += 1


def _copy(connection: sqlite3.Connection, where: Path) -> None:
    """Keep the file as it is, consistent, before it is changed."""
    if where.exists():
        return  # a step that was cut off begins anew
    unfinished = where.with_suffix(where.suffix + ".part")
    unfinished.unlink(missing_ok=True)
    with sqlite3.connect(unfinished) as copy:
        connection.backup(copy)
    copy.close()
    unfinished.rename(where)
