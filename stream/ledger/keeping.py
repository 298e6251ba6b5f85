"""How does the file stay bounded? Records that are older than their topic keeps go, and their pages with them."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping

from stream.engine.driver import Driver
from stream.engine.options import EngineOptions
from stream.engine.waiting import happens
from stream.ledger.compaction import Compaction
from stream.ledger.log_reader import LedgerError
from stream.ledger.store import Ledger

log = logging.getLogger(__name__)

#: Records that one transaction deletes: what waits to be written meanwhile waits a few milliseconds.
_STEP = 5_000
#: With less room than this (bytes) on the disk nothing new is taken: what is there can still be folded and written.
FLOOR = 256 << 20
#: How often the room is looked at, topics are compacted, and old records go (seconds).
_LOOK, _COMPACT, _EXPIRE = 5.0, 60.0, 600.0
#: Pages given back in one transaction.
_PAGES = 2_000


def expire(ledger: Ledger, keep: Mapping[str, int], now: int, folded: Callable[[str, int], int | None]) -> int:
    """Delete what topics no longer keep; return how many records that was.

    ``keep`` says how long (ms) by physical topic. ``folded`` gives the offset up to which everybody who reads a log has durably
    taken it, None where nobody does: what is beyond it stays, however old.
    """
    gone = 0
    for topic, partition, _, next in list(ledger.logs()):
        if topic in keep:
            bound = folded(topic, partition)
            stop = next if bound is None else min(bound, next)
            gone += _forget(ledger, topic, partition, now - keep[topic], stop)
    return gone


def _forget(ledger: Ledger, topic: str, partition: int, before: int, stop: int) -> int:
    """Delete the oldest records of a log that arrived before ``before``, none from offset ``stop`` on."""
    gone = 0
    while True:
        first = ledger.bounds(topic, partition)[0]
        end = ledger.oldest(topic, partition, before, stop, _STEP)
        if end <= first:
            return gone
        ledger.forget(topic, partition, end)
        gone += end - first


def give_back(ledger: Ledger) -> None:
    """Give pages that nothing is in any more back to the file system, and the write-ahead log's room."""
    while ledger.do(lambda connection: connection.execute("PRAGMA freelist_count").fetchone()[0]) > _PAGES:
        # The statement gives back a page a row, so it has to be read to its end.
        ledger.do(lambda connection: connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall())


def free(ledger: Ledger) -> int:
    """Return how many bytes the file system has left for the file."""
    return shutil.disk_usage(ledger.path.parent).free


class Housekeeper:
    """Keeps the file of a running engine bounded, and nothing new out of it while the disk is nearly full."""

    def __init__(self, ledger: Ledger, options: EngineOptions, driver: Callable[[], Driver]) -> None:
        self._ledger = ledger
        self._options = options
        self._driver = driver
        self._keep = {options.physical(topic.name): topic.retention for topic in options.topics if topic.retention is not None}
        self._compaction = Compaction(ledger)
        self._stopping = asyncio.Event()
        self._left = 0

    def warnings(self) -> list[str]:
        """Return what an operator should do: for ``/readyz``."""
        if not self._ledger.refusing:
            return []
        left, least = self._left >> 20, FLOOR >> 20
        return [f"disk: {left} MB free where {self._ledger.path} is; nothing new is taken below {least} MB: make room"]

    async def run(self) -> None:
        """Look after the file until cancelled."""
        expired = compacted = -_EXPIRE
        loop = asyncio.get_running_loop()
        while True:
            self._left = await asyncio.to_thread(free, self._ledger)
            if (self._left < FLOOR) != self._ledger.refusing:
                self._ledger.refusing = self._left < FLOOR
                said = "refused" if self._ledger.refusing else "taken again"
                log.warning("disk: %d MB free: new records are %s", self._left >> 20, said)
            # Only while all folds are in our hands: who has folded what is not known before.
            if loop.time() - compacted >= _COMPACT and self._driver().state == "running":
                compacted = loop.time()
                old = compacted - expired >= _EXPIRE
                expired = compacted if old else expired
                try:
                    await asyncio.to_thread(self._tidy, self._options.clock(), self._folded(), old=old)
                except LedgerError as error:
                    log.warning("old records stay for now: %s", error)
            await happens(self._stopping, _LOOK)

    def _tidy(self, now: int, folded: Mapping[tuple[str, int], int], *, old: bool) -> None:
        def taken(topic: str, partition: int) -> int | None:
            return folded.get((topic, partition))

        self._compaction.run(now, taken)
        if old and (gone := expire(self._ledger, self._keep, now, taken)):
            give_back(self._ledger)
            log.info("%d records are older than their topics keep, and gone", gone)

    def _folded(self) -> dict[tuple[str, int], int]:
        """Return up to where every fold that reads a log has it durably."""
        found: dict[tuple[str, int], int] = {}
        for (_, topic, partition), position in self._driver().positions().items():
            key = self._options.physical(topic), partition
            found[key] = min(position.durable, found.get(key, position.durable))
        return found
