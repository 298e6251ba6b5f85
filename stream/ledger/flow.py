"""How does the engine run on a ledger in this process? What it asks of Kafka elsewhere, answered from the file.

One process owns all partitions for as long as it has the file, so there are no generations: the token never changes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka.errors import OffsetOutOfRangeError
from faust.types import TP

from stream.engine.backend import Batch, GaveUp, Partition
from stream.engine.chunks import MAX_RECORDS, Chunk, Ownership
from stream.engine.driver import Driver
from stream.engine.errors import TransactionFailed
from stream.engine.options import EngineOptions, FoldSpec
from stream.ledger.log_reader import LedgerError
from stream.ledger.store import Ledger, LedgerFull

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How long a checkpoint that could not be written waits before it is tried again: first, at most (seconds).
_PAUSE, _LONGEST = 0.2, 5.0


class LedgerWriter:
    """Writes one lane's checkpoints (see :class:`stream.engine.checkpoint.Writer`, which does so to Kafka)."""

    def __init__(self, ledger: Ledger, options: EngineOptions, lane: str, retried: Callable[[str], None]) -> None:
        self.transactional_id = f"{options.group}-{options.instance}-{lane}"
        self.giving_up = False
        self.written: Mapping[Partition, int] = {}
        self._ledger = ledger
        self._retried = retried

    def open(self) -> None:
        """Nothing is to be opened: the file is."""

    def commit(self, batch: Batch, token: Ownership) -> None:
        """Write one checkpoint. Returns only when the disk has it; tries again for as long as there is no room.

        Raises :class:`TransactionFailed` where the file is broken, or :class:`GaveUp`.
        """
        pause = _PAUSE
        while True:
            try:
                self.written = {**self.written, **self._ledger.write(batch.rows, batch.outputs).result()}
                return
            except LedgerFull as error:
                log.warning("%s: %s; trying again", self.transactional_id, error)
                self._retried("DISK_FULL")
            except LedgerError as error:
                raise TransactionFailed(f"{self.transactional_id}: {error}") from error
            if self.giving_up:
                raise GaveUp(f"{self.transactional_id}: out of time")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST)

    def stuck(self) -> bool:
        """Never: a disk that does not answer holds the whole process up."""
        return False

    def abandon(self) -> bool:
        """Not asked for, as it is never stuck."""
        return True

    def close(self) -> None:
        """Nothing is left open."""


class LedgerFlow:
    """Gives the folds what the ledger holds beyond their positions, in order, as it comes.

    To the driver it is the consumer (:class:`stream.engine.chunks.ChunkConsumer`): where to read on, and who we are.
    """

    _driver: Driver
    _loop: asyncio.AbstractEventLoop

    def __init__(self, ledger: Ledger, options: EngineOptions) -> None:
        self._ledger = ledger
        self._options = options
        self._news = asyncio.Event()
        self._grown: set[Partition] = set()
        self._positions: dict[Partition, int] = {}
        self._token = Ownership(1, options.instance, options.group)
        self._task: asyncio.Task[None] | None = None
        self._readers: dict[str, list[str]] = {}
        self._flowing = False
        self._rewriting = asyncio.Lock()

    def add(self, spec: FoldSpec, doc: str) -> None:
        """Register a fold."""
        for topic in spec.topics:
            self._readers.setdefault(self._options.physical(topic), []).append(spec.name)

    def current(self) -> Ownership:
        """Return who owns everything: this process, for as long as it has the file."""
        return self._token

    async def seek_to(self, positions: Mapping[Any, int]) -> None:
        """Read on from these positions."""
        for tp, offset in positions.items():
            self._positions[tp.topic, tp.partition] = offset
            self._grown.add((tp.topic, tp.partition))
        self._news.set()

    async def bounds(self, tp: Any) -> tuple[int, int]:
        """Return the first offset that the log has, and the one after its last."""
        return self._ledger.bounds(tp.topic, tp.partition)

    def highwater(self, tp: Any) -> int:
        """Return the log's end."""
        return self._ledger.bounds(tp.topic, tp.partition)[1]

    async def start(self, driver: Driver) -> None:
        """Restore what the folds had, and let records flow."""
        self._loop = asyncio.get_running_loop()
        self._driver = driver
        driver.consumer = self
        self._driver.rebalanced(self._everything(), self._token)
        await self._driver.restore()
        await self.seek_to(self._driver.feed.positions())
        self._ledger.listen(self._heard)
        self._task = asyncio.create_task(self._run(), name="flow")
        self._flowing = True

    def _everything(self) -> list[TP]:
        return [
            TP(topic, partition)
            for topic in self._readers
            for partition in range(self._options.partitions_of(self._options.logical(topic)))
        ]

    async def rewritten(self, work: Callable[[], T]) -> T:
        """Do ``work`` (in a thread), which changes what folds hold, while none of them holds anything; then restore them.

        Raises ``RuntimeError``, with nothing done, where the folds could not write down what they hold.
        """
        async with self._rewriting:
            if not await self._driver.revoked():
                why = "not all folds could write down what they hold: nothing was changed; try again"
            else:
                why = ""
            # Not the next generation: no memory of before may stay.
            self._token = self._token._replace(generation=self._token.generation + 2)
            self._driver.rebalanced(self._everything(), self._token)
            try:
                if why:
                    raise RuntimeError(why)
                return await asyncio.to_thread(work)
            finally:
                await self._driver.restore()
                await self.seek_to(self._driver.feed.positions())

    def flowing(self) -> bool:
        """Whether records flow."""
        return self._flowing

    async def crashed(self) -> str:
        """Wait for ever: what goes wrong here is told to the driver."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def stop(self) -> None:
        """Give nothing more."""
        self._flowing = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _heard(self, grown: Iterable[Partition]) -> None:
        """Called in the ledger's thread."""
        mine = [key for key in grown if key[0] in self._readers]
        if mine:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear it
                self._loop.call_soon_threadsafe(self._tell, mine)

    def _tell(self, grown: list[Partition]) -> None:
        self._grown.update(grown)
        self._news.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                # Logs take turns, so that a long one does not hold up the others.
                while self._grown:
                    for key in sorted(self._grown):
                        await self._give(key)
                        await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._driver.fail(error)

    async def _give(self, key: Partition) -> None:
        at = self._positions.get(key)
        first, end = self._ledger.bounds(*key)
        if at is None or at == end:
            self._grown.discard(key)
            return
        topic, partition = key
        if not first <= at <= end:
            await self._driver.feed.failed(TP(topic, partition), OffsetOutOfRangeError({TP(topic, partition): at}))
            return
        logical = self._options.logical(topic)
        stretch = self._ledger.read(topic, partition, at, MAX_RECORDS, name=logical)
        self._positions[key] = stretch.end
        for name in self._readers[topic]:
            await self._driver.feed.take(name, logical, partition, Chunk(at, stretch.end, stretch.records))
