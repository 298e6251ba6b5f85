"""When does a compacted topic let go of what is no longer the last record of its key? Once everybody has read past the next one.

As on a Kafka, who keeps up sees every record: one may be what a fold waits for, and the next already its removal.
"""

import sqlite3
from collections.abc import Callable

from stream.engine.backend import Partition
from stream.ledger.store import Ledger

#: Records that one transaction looks at: what waits to be written meanwhile waits some milliseconds.
_STEP = 5_000
#: For so long (ms) a removed key is still told to who reads the topic.
TOMBSTONES = 86_400_000

_SUPERSEDED = """
DELETE FROM latest WHERE place IN (
    SELECT old.place FROM latest AS new JOIN latest AS old ON old.log = new.log AND old.key = new.key AND old.place < new.place
    WHERE new.place BETWEEN ? AND ?
)
"""
_REMOVED = "DELETE FROM latest WHERE value IS NULL AND at < ? AND place BETWEEN ? AND ?"


class Compaction:
    """What has been compacted of a ledger in this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._done: dict[Partition, int] = {}  # place up to which it has been

    def run(self, now: int, folded: Callable[[str, int], int | None]) -> int:
        """Compact what has come since the last time; return how many records have gone.

        ``folded`` gives the offset up to which everybody who reads a log has durably taken it, None where nobody does.
        """
        gone = 0
        for key in self._ledger.compacted():
            end, bound = self._ledger.bounds(*key)[1], folded(*key)
            first, stop = self._ledger.place(*key, 0), self._ledger.place(*key, end if bound is None else min(bound, end))
            at = self._done.get(key, first)
            while at < stop:
                at, found = self._step(at, stop)
                gone += found
            self._done[key] = at
            gone += self._changed(_REMOVED, now - TOMBSTONES, first, at - 1)
        return gone

    def _step(self, at: int, stop: int) -> tuple[int, int]:
        query = "SELECT place FROM latest WHERE place >= ? AND place < ? ORDER BY place LIMIT ?"
        places = self._ledger.do(lambda connection: connection.execute(query, (at, stop, _STEP)).fetchall())
        if not places:
            return stop, 0
        last: int = places[-1][0]
        return last + 1, self._changed(_SUPERSEDED, at, last)

    def _changed(self, statement: str, *values: int) -> int:
        def change(connection: sqlite3.Connection) -> int:
            return connection.execute(statement, values).rowcount

        found: int = self._ledger.do(change)
        return found
