"""When is a checkpoint made, and of what?

A lane is a checkpoint loop: some folds, one transactional producer, one thread. It wakes when a fold has changed and
checkpoints as soon as its interval since the last one is over: at once after a pause, at the interval under load.
The snapshot is taken on the event loop: each partition of a fold at one moment, with its position, and the loop is let go
between two of them, so that records are folded meanwhile. The transaction is then written in the lane's thread.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from stream.engine.backend import POSITION, Batch, GaveUp, Message, Writer
from stream.engine.blocking_thread import BlockingThread
from stream.engine.chunks import Ownership
from stream.engine.errors import EngineStopped, Fenced, FoldFailed, TransactionFailed
from stream.engine.fold_partition import FoldPartition
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions
from stream.engine.topics import partition_for
from stream.engine.waiting import end, happens

log = logging.getLogger(__name__)

#: Taking a partition's changes for longer than this (seconds) is a long piece of work for the event loop.
_LONG = 0.002


class _Snapshot(NamedTuple):
    batch: Batch
    slots: list[tuple[FoldPartition, dict[str, int]]]


def _open(writer: Writer) -> None:
    writer.open()


class Lane:
    """One checkpoint loop.

    ``token()`` is the ownership of the memory, None while there is none; ``revoking()`` whether the last checkpoint under it
    is being made, after which no other may begin; ``committed(slots)`` is called on the event
    loop after each commit, ``fenced(error, token)`` when the broker refused one made under that token, ``failed(error)``
    when the engine can't go on. ``left(lane)`` is how many records its folds have not folded yet.
    """

    def __init__(
        self,
        name: str,
        options: EngineOptions,
        *,
        token: Callable[[], Ownership | None],
        revoking: Callable[[], bool],
        still_ours: Callable[[Ownership], bool],
        committed: Callable[["Lane", list[FoldPartition]], None],
        fenced: Callable[[Fenced, Ownership], None],
        failed: Callable[[BaseException], None],
        left: Callable[[str], int],
    ) -> None:
        self.name = name
        self.pace = options.pace(name)
        self.last_error: str | None = None
        self.last_seconds: float | None = None
        self.last_at: int | None = None
        self._options = options
        self._token = token
        self._revoking = revoking
        self._committed = committed
        self._fenced = fenced
        self._failed = failed
        self._left = left
        self._touched: dict[FoldPartition, None] = {}
        self._snapshot: _Snapshot | None = None
        self._discarded = 0  # how often: a snapshot that was being taken meanwhile is of memory that is gone
        self._places: dict[str, tuple[str, int]] = {}  # logical topic -> its name with the broker, and its partitions
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._force = asyncio.Event()
        self._started = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._still_ours = still_ours
        self._courier = BlockingThread(f"lane-{name}", self._loop)
        self.writer = self._new_writer()

    def _new_writer(self) -> Writer:
        return backend_of(self._options).writer(self._options, self.name, self._still_ours, self._retried)

    def _retried(self, reason: str) -> None:
        """Called from the lane's thread: what the loop reads is changed on the loop."""
        self._loop.call_soon_threadsafe(self._note_retry, reason)

    def _note_retry(self, reason: str) -> None:
        self.last_error = reason
        self._options.observer.checkpoint_retried(self.name, reason)

    async def start(self) -> None:
        """Open the producer (this waits for the transaction coordinator), then begin the loop."""
        await self._have(_open)
        self._task = asyncio.create_task(self._run(), name=f"lane-{self.name}")

    async def _have(self, do: Callable[[Writer], None]) -> None:
        """Have the writer do something in its thread; if it gets stuck, put another in its place, which does it again."""
        while True:
            writer = self.writer
            work = self._courier.submit(do, writer)
            while not work.done() and not writer.stuck():
                await asyncio.wait([work], timeout=1.0)
            if work.done():
                return work.result()  # type: ignore[no-any-return]
            if not writer.abandon():
                raise TransactionFailed(
                    f"{writer.transactional_id}: the commit does not come back; whether it happened shows when restored"
                )
            log.warning("%s: a call does not come back (librdkafka #5456): a new producer", writer.transactional_id)
            self._retried("_STUCK")
            self._courier.close()
            self._courier = BlockingThread(f"lane-{self.name}", self._loop)
            self.writer = self._new_writer()
            self.writer.written = writer.written
            if do is not _open:
                await self._have(_open)

    def touch(self, slot: FoldPartition) -> None:
        """This slot's fold or position may have changed."""
        self._touched[slot] = None
        self._wake.set()

    def folded(self, slot: FoldPartition, records: int) -> None:
        """This slot's fold has had so many records."""
        self.touch(slot)
        if self.pace.folded(records):
            self._force.set()

    def force(self) -> None:
        """Checkpoint now, if there is anything to write."""
        self._force.set()
        self._wake.set()

    def forget(self, slots: list[FoldPartition]) -> None:
        """These slots are no longer ours, or were restored: nothing of them is to be written any more."""
        for slot in slots:
            self._touched.pop(slot, None)

    def discard(self) -> None:
        """Throw away a snapshot of memory that is gone."""
        self._snapshot = None
        self._discarded += 1

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            wait = self._started + self.pace.interval - time.monotonic()
            if wait > 0 and not self._force.is_set():
                await happens(self._force, wait)
            self._wake.clear()
            self._force.clear()
            await self.checkpoint()

    async def checkpoint(self, *, last: bool = False) -> bool:
        """Write what has changed, if anything. True when all that was touched before is durable.

        ``last`` is the one at a revocation. None may follow it under the same ownership: it could fail unseen, and what it
        held would be missing from memory that is kept because the last one was committed.
        """
        async with self._lock:
            token = self._token()
            if token is None or (self._revoking() and not last):
                return False
            try:
                return await self._checkpoint(token)
            except Fenced as error:
                self.last_error = str(error)
                self._snapshot = None
                self._fenced(error, token)
                return False
            except EngineStopped as error:
                self.last_error = str(error)
                self._failed(error)
                return False

    async def _checkpoint(self, token: Ownership) -> bool:
        self._started = began = time.monotonic()
        if self._snapshot is None:
            discarded = self._discarded
            taken = await self._take_snapshot()
            if discarded != self._discarded:
                return False
            self._snapshot = taken
        snapshot = self._snapshot
        if snapshot is None:
            return True
        try:
            await self._have(lambda writer: writer.commit(snapshot.batch, token))
        except GaveUp as error:
            self.last_error = str(error)
            return False
        self._snapshot = None
        for slot, positions in snapshot.slots:
            slot.committed.update(positions)
        self.last_seconds = time.monotonic() - began
        self.last_at = self._options.clock()
        self.last_error = None
        batch = snapshot.batch
        self._options.observer.checkpointed(self.name, self.last_seconds, len(batch.rows), len(batch.outputs))
        self._committed(self, [slot for slot, _ in snapshot.slots])
        return True

    async def _take_snapshot(self) -> _Snapshot | None:
        """All touched folds, encoded: each as it is at one moment, state and positions together."""
        touched, self._touched = list(self._touched), {}
        rows: list[Message] = []
        outputs: list[Message] = []
        positions: list[tuple[str, int, int]] = []
        slots: list[tuple[FoldPartition, dict[str, int]]] = []
        options, places = self._options, self._places
        new = tuple.__new__  # of thousands of messages: their own constructor takes three times as long
        took = kept = 0.0
        for index, slot in enumerate(touched):
            if index:
                # A record passes many turns of the loop before it is folded: after a long piece of work the loop gets as
                # long for itself, so that one lane's folds do not hold up another's.
                await asyncio.sleep(took if took > _LONG else 0)
            # No await below this line: a slot's changes and its positions are one moment.
            began = time.monotonic()
            try:
                changes, unfit = slot.sizes.fit(slot.fold.changes(), options.clock())
            except Exception as error:
                raise FoldFailed(f"{slot.spec.name}/{slot.partition}: changes() raised {error!r}") from error
            for said in unfit:
                log.error("not written, and a dead letter: %s", said)
            moved = {topic: offset for topic, offset in slot.next.items() if slot.recorded.get(topic) != offset}
            if not (changes.rows or changes.outputs or moved):
                took = time.monotonic() - began
                kept += took
                continue
            partition = slot.partition
            if slot.changelog is not None:
                changelog = slot.changelog
                rows.extend([new(Message, (changelog, value, key, partition, ())) for key, value in changes.rows])
                rows.extend(
                    Message(changelog, b"%d" % offset, POSITION + topic.encode(), partition) for topic, offset in moved.items()
                )
            for topic, key, value, where, headers in changes.outputs:
                place = places.get(topic)
                if place is None:
                    place = places[topic] = options.physical(topic), options.partitions_of(topic)
                if where is None:
                    where = partition_for(key, place[1])
                outputs.append(new(Message, (place[0], value, key, where, headers)))
            slot.recorded.update(moved)
            took = time.monotonic() - began
            kept += took
            # Unmoved positions are sent too when only time has passed: they carry the token that is checked.
            now = dict(slot.next)
            reported = slot.spec.reported or slot.spec.topics
            tell = {topic: offset for topic, offset in moved.items() if topic in reported} or {
                topic: now[topic] for topic in reported
            }
            positions.extend((options.physical(topic), partition, offset) for topic, offset in tell.items())
            slots.append((slot, now))
        if not slots:
            return None
        if not self.pace.fixed:
            self.pace.taken(kept, rows, outputs, self._left(self.name))
        return _Snapshot(Batch(rows, outputs, positions), slots)

    async def stop(self) -> None:
        """End the loop and the producer. A transaction under way gets 2 s more to end."""
        if self._task is not None:
            await end(self._task)
        self.writer.giving_up = True
        await asyncio.wait([self._courier.submit(self.writer.close)], timeout=2)
        self._courier.close()
