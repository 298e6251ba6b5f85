"""Which folds are in this worker's hands, how far are they, and how do they get what they need?

One driver per engine. It owns the slots (one partition of one fold each), gives chunks to them in order, lets time pass,
keeps the token of the ownership under which memory was restored, and decides over a rebalance what memory may stay.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import OffsetOutOfRangeError
from confluent_kafka import KafkaException
from faust.types import TP

from stream.engine.barriers import Barriers
from stream.engine.chunks import Chunk, Ownership
from stream.engine.errors import EngineStopped, Fenced, FoldFailed, Replaced
from stream.engine.fold_partition import FoldPartition, fold_records, go_live, restore_slots
from stream.engine.lane import Lane
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.restore import Cancelled
from stream.engine.waiting import end, settle

log = logging.getLogger(__name__)


class Position(NamedTuple):
    """Next offset of a fold in one partition of one topic: folded in memory, and durable."""

    folded: int
    durable: int


class Driver:
    """Between the transport and the folds. Made inside a running event loop, used only from it."""

    def __init__(self, options: EngineOptions, specs: Sequence[FoldSpec]) -> None:
        self.options = options
        self.specs = {spec.name: spec for spec in specs}
        self.state = "starting"
        self.last_error: str | None = None
        self.jumps: dict[tuple[str, int], tuple[int, int]] = {}
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.consumer: Any = None
        self._slots: dict[tuple[str, int], FoldPartition] = {}
        self._readers: dict[str, list[str]] = {}
        for spec in specs:
            for topic in spec.topics:
                self._readers.setdefault(topic, []).append(spec.name)
        self._token: Ownership | None = None
        self._kept_by: Ownership | None = None
        self._wanted: set[tuple[str, int]] = set()
        self._restoring: Ownership | None = None
        self._barriers = Barriers(self._reached, self._force_all)
        self._seeks: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[bool]] = set()
        self._revoking = False
        self._ticker: asyncio.Task[None] | None = None
        self.lanes: dict[str, Lane] = {}
        for spec in specs:
            if spec.lane not in self.lanes:
                self.lanes[spec.lane] = Lane(
                    spec.lane,
                    options,
                    token=lambda: self._token,
                    revoking=lambda: self._revoking,
                    still_ours=self._still_ours,
                    committed=self._committed,
                    fenced=self._fenced,
                    failed=self.fail,
                )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open every lane's producer and begin to tick."""
        await asyncio.gather(*(lane.start() for lane in self.lanes.values()))
        self._ticker = asyncio.create_task(self._tick_for_ever(), name="ticker")

    def fail(self, error: BaseException) -> None:
        """The engine can't go on: stop everything that writes, tell whoever waits."""
        if self.failure.done():
            return
        self.state = "stopped-fenced" if isinstance(error, Fenced) else "stopped"
        self.last_error = str(error)
        self._token = None
        log.error("the engine stops: %s", error)
        if not isinstance(error, EngineStopped):
            stopped = EngineStopped(f"{type(error).__name__}: {error}")
            stopped.__cause__ = error
            error = stopped
        self.failure.set_exception(error)
        self.failure.exception()  # it may be that nobody waits
        self._barriers.fail(error)

    async def stop(self, *, patience: float = 8.0) -> None:
        """Last checkpoints, then let go of everything."""
        if self._ticker is not None:
            await end(self._ticker)
        if self._token is not None:
            await self._last_checkpoint(patience)
        self.give_up()
        self._token = None
        self._restoring = None
        if self.state in ("starting", "restoring", "running"):
            self.state = "stopped"
        tasks = [slot.task for slot in self._slots.values() if slot.task is not None]
        self._drop(list(self._slots))
        await settle(*tasks)
        await asyncio.gather(*(lane.stop() for lane in self.lanes.values()))

    def give_up(self) -> None:
        """Let the lanes' threads end what they wait for."""
        for lane in self.lanes.values():
            lane.writer.giving_up = True

    async def _last_checkpoint(self, patience: float) -> bool:
        """Checkpoint every lane; False when one did not commit in time, so that memory can't be trusted.

        A transaction that is still under way is left to its thread: the broker refuses it once the generation has moved
        on, and whoever restores waits for its end.
        """
        tasks = {asyncio.create_task(lane.checkpoint(last=True)) for lane in self.lanes.values()}
        self._late |= tasks
        for task in tasks:
            task.add_done_callback(self._late.discard)
        _, pending = await asyncio.wait(tasks, timeout=patience)
        if pending:
            log.warning("checkpoint not committed within %.1f s; the state will be restored", patience)
        return not pending and all(task.result() for task in tasks)

    # --- the group ----------------------------------------------------------------------------------------------------

    def _still_ours(self, token: Ownership) -> bool:
        """Whether the group knows us by this token. Called from the lanes' threads too."""
        return self.consumer is not None and self.consumer.current() == token

    def _fenced(self, error: Fenced, token: Ownership) -> None:
        """The broker refused a checkpoint made under this token: whether that ends the engine.

        Not if the memory it came from is gone already, or goes now: the group is giving us a new ownership, and what we
        hold will be restored under that. Yes if we believed to own it, or if another worker took our name.
        """
        if isinstance(error, Replaced):
            self.fail(error)
        elif token is not self._token:
            log.info("a checkpoint of generation %d came too late; what it held has been restored", token.generation)
        elif self._revoking:
            log.warning("%s; restoring", error)
            self.last_error = str(error)
        else:
            self.fail(error)

    async def revoked(self) -> None:
        """The group rebalances: a last checkpoint while the old generation still holds."""
        token, self._kept_by = self._token, None
        self._restoring = None  # what is being restored would be restored under an ownership that is over
        if token is None:
            return
        began = time.monotonic()
        self._revoking = True
        try:
            clean = await self._last_checkpoint(min(self.options.session_timeout, self.options.rebalance_timeout) * 0.5)
        finally:
            self._revoking = False
        self._token = None
        if self.state == "running":
            self.state = "restoring"
        if clean:
            self._kept_by = token
        log.info("revoked: checkpoint %s in %.3f s", "committed" if clean else "missed", time.monotonic() - began)

    def rebalanced(self, assigned: Iterable[Any], token: Ownership | None) -> None:
        """A new generation: which memory may stay, and what is to be restored.

        Memory stays only if this is exactly the next generation, for the same member, and the checkpoint at the
        revocation was committed. In any other case someone else may have folded our partitions in between.
        """
        mine = {(self.options.logical(tp.topic), tp.partition) for tp in assigned}
        self._wanted = {
            (spec.name, partition)
            for spec in self.specs.values()
            for partition in range(self.options.partitions_of(spec.topics[0]))
            if all((topic, partition) in mine for topic in spec.topics)
        }
        kept = self._kept_by
        self._kept_by = None
        self._token = None
        sure = kept is not None and token is not None and kept._replace(generation=kept.generation + 1) == token
        self._drop([key for key in self._slots if not sure or key not in self._wanted])
        for lane in self.lanes.values():
            lane.discard()
        self._restoring = token
        self.state = "restoring"
        if token is not None:
            self.options.observer.rebalanced(token.generation, len(self._wanted))
            log.info(
                "generation %d as %s: %d partitions of folds, %d kept in memory",
                token.generation,
                token.member,
                len(self._wanted),
                len(self._slots),
            )

    def _drop(self, keys: list[tuple[str, int]]) -> None:
        dropped = [self._slots.pop(key) for key in keys]
        for slot in dropped:
            if slot.task is not None:
                slot.task.cancel()
        for lane in self.lanes.values():
            lane.forget(dropped)

    async def restore(self) -> None:
        """Bring back what the latest assignment needs and memory does not hold. Ends early if another one comes."""
        token = self._restoring
        if token is None or token.generation < 0 or not token.member:
            return
        missing = sorted(self._wanted - set(self._slots))
        began = time.monotonic()
        pause = 0.2
        while missing:
            try:
                slots, rows = await asyncio.to_thread(
                    restore_slots,
                    self.options,
                    [(self.specs[name], partition) for name, partition in missing],
                    lambda: self._restoring is not token,
                )
            except Cancelled:
                return
            except KafkaException as error:
                if self._restoring is not token:
                    return
                log.warning("restore: %s; trying again", error.args[0].str())
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)
                continue
            except EngineStopped as error:
                self.fail(error)
                return
            if self._restoring is not token:
                return
            self._slots.update(slots)
            go_live(slots.values())
            self.options.observer.restored(time.monotonic() - began, rows, len(slots))
            log.info("restored %d partitions, %d rows, in %.2f s", len(slots), rows, time.monotonic() - began)
            break
        if self._restoring is not token:
            return
        self._token = token
        self.state = "running"
        self.last_error = None
        for lane in self.lanes.values():
            # A lane of which nothing is left in our hands makes no checkpoint that would clear what the last one said.
            lane.last_error = None
        for name, partition in missing:
            self._notify_durable(self._slots[name, partition])
        for slot in self._slots.values():
            self._touch(slot)
        self._barriers.check()

    # --- records ------------------------------------------------------------------------------------------------------

    async def drive(self, spec: FoldSpec, events: Any) -> None:
        """The body of an agent: take chunks from its Faust stream for ever."""
        logical = self.options.logical
        async for event in events.noack().events():
            message = event.message
            self.accept(spec.name, logical(message.topic), message.partition, event.value)
            await asyncio.sleep(0)  # let the others have the loop between two chunks

    def _touch(self, slot: FoldPartition) -> None:
        self.lanes[slot.spec.lane].touch(slot)

    def accept(self, name: str, topic: str, partition: int, chunk: Chunk) -> None:
        """Fold a chunk if it begins where the state ends; cut off what was folded before; fetch again after a gap."""
        slot = self._slots.get((name, partition))
        if slot is None or self.failure.done() or self._token is None:
            return
        expected = slot.next[topic]
        if chunk.start != expected:
            if chunk.start > expected:
                self._seek_again(slot, topic, chunk)
                return
            if chunk.end <= expected:
                return
            chunk = Chunk(expected, chunk.end, [record for record in chunk.records if record.offset >= expected])
        slot.seeking = False
        if chunk.records:
            try:
                fold_records(slot, chunk.records)
            except EngineStopped as error:
                self.fail(error)
                return
            self.options.observer.folded(name, topic, len(chunk.records))
        slot.next[topic] = chunk.end
        self._touch(slot)
        self._barriers.check()

    def _seek_again(self, slot: FoldPartition, topic: str, chunk: Chunk) -> None:
        """A chunk from beyond the state's end (under way during a seek): fetch from the end of the state on."""
        if slot.seeking:
            return  # more of the same that was queued
        slot.seeking = True
        log.info(
            "%s/%d: %s: have %d, got %d: fetched again", slot.spec.name, slot.partition, topic, slot.next[topic], chunk.start
        )
        seek = asyncio.create_task(self.consumer.seek_to(self._positions_of(topic, slot.partition)))
        self._seeks.add(seek)
        seek.add_done_callback(self._seeks.discard)

    def fetch_positions(self) -> dict[Any, int]:
        """Where to fetch from, for all partitions in our hands: the least of what the folds have."""
        positions: dict[Any, int] = {}
        for slot in self._slots.values():
            slot.seeking = False
            for topic in slot.spec.topics:
                positions.update(self._positions_of(topic, slot.partition))
        return positions

    def _positions_of(self, topic: str, partition: int) -> dict[Any, int]:
        slots = (self._slots.get((name, partition)) for name in self._readers[topic])
        offsets = [slot.next[topic] for slot in slots if slot is not None]
        return {TP(self.options.physical(topic), partition): min(offsets)} if offsets else {}

    async def fetch_failed(self, tp: Any, error: Exception) -> None:
        """A partition can't be fetched. Out of range: the log has lost what we had not folded; say it, and go on."""
        if not isinstance(error, OffsetOutOfRangeError):
            self.fail(EngineStopped(f"{tp.topic}/{tp.partition}: fetch: {error!r}"))
            return
        first, last = await self.consumer.bounds(tp)
        topic = self.options.logical(tp.topic)
        for name in self._readers.get(topic, ()):
            slot = self._slots.get((name, tp.partition))
            if slot is None or first <= slot.next[topic] <= last:
                continue
            have = slot.next[topic]
            lost = first - have if have < first else have - last
            self._jumped(topic, tp.partition, lost)
            if have < first:
                log.error(
                    "%s/%d: %s: offsets %d to %d are gone from the log before they were folded (retention): %d lost",
                    topic, tp.partition, name, have, first - 1, lost,
                )  # fmt: skip
            else:
                log.error(
                    "%s/%d: %s: the log ends at %d, the state at %d (the topic was made anew or truncated): reading it all",
                    topic, tp.partition, name, last, have,
                )  # fmt: skip
            slot.next[topic] = first
            self._touch(slot)
        await self.consumer.seek_to(self._positions_of(topic, tp.partition))
        self._barriers.check()

    def _jumped(self, topic: str, partition: int, lost: int) -> None:
        times, offsets = self.jumps.get((topic, partition), (0, 0))
        self.jumps[topic, partition] = (times + 1, offsets + lost)
        self.options.observer.jumped(topic, partition, lost)

    # --- time ---------------------------------------------------------------------------------------------------------

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.options.tick_interval)
            self._tick(list(self._slots.values()))

    def _tick(self, slots: list[FoldPartition]) -> None:
        if self._token is None:
            return
        now = self.options.clock()
        for slot in slots:
            try:
                slot.fold.tick(now)
            except Exception as error:
                failed = FoldFailed(f"{slot.spec.name}/{slot.partition}: tick({now}) raised {error!r}")
                failed.__cause__ = error
                self.fail(failed)
                return
            self._touch(slot)

    def poke(self, name: str) -> None:
        """Let time pass for one fold now, and checkpoint what follows at once."""
        self._tick([slot for slot in self._slots.values() if slot.spec.name == name])
        self.lanes[self.specs[name].lane].force()

    def request_checkpoint(self, lane: str) -> None:
        """Checkpoint a lane at once instead of at its interval."""
        self.lanes[lane].force()

    async def checkpoint(self, lane: str) -> bool:
        """Checkpoint a lane and wait for it; False when it could not be committed (no ownership at this moment)."""
        return await self.lanes[lane].checkpoint()

    # --- after a commit -----------------------------------------------------------------------------------------------

    def _committed(self, lane: Lane, slots: list[FoldPartition]) -> None:
        for slot in slots:
            if self._slots.get((slot.spec.name, slot.partition)) is not slot:
                continue  # it was taken away while its last transaction was under way
            durable = getattr(slot.fold, "durable", None)
            if durable is not None:
                durable()
            if getattr(slot.fold, "behind", 0):
                self._touch(slot)
            self._notify_durable(slot)
        self._barriers.check()

    def _notify_durable(self, slot: FoldPartition) -> None:
        callback = slot.spec.on_durable
        if callback is None:
            return
        slot.again = True
        if slot.task is not None and not slot.task.done():
            return

        async def call() -> None:
            try:
                while slot.again:
                    slot.again = False
                    await callback(slot.partition, slot.fold)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                failed = EngineStopped(f"{slot.spec.name}/{slot.partition}: on_durable raised {error!r}")
                failed.__cause__ = error
                self.fail(failed)

        slot.task = asyncio.create_task(call(), name=f"durable-{slot.spec.name}-{slot.partition}")

    async def settled(self, targets: Mapping[tuple[str, int], int], *, cascade: bool = False) -> None:
        """Wait until every fold that reads these (topic, partition) is durable up to these offsets, in this worker.

        Checkpoints are made as soon as the records are folded, whatever the interval. With ``cascade`` also what the
        folds have written to topics that other folds here read, and so on until nothing is left.
        Raises what stopped the engine, if it stops.
        """
        need = dict(targets)
        while True:
            if self.failure.done():
                self.failure.result()
            await self._barriers.wait(need)
            need = self._written_and_not_durable() if cascade else {}
            if not need:
                return

    def _written_and_not_durable(self) -> dict[tuple[str, int], int]:
        written = {}
        for lane in self.lanes.values():
            for (topic, partition), offset in lane.writer.written.items():
                logical = self.options.logical(topic)
                if logical in self._readers and not self._reached(logical, partition, offset, durable=True):
                    written[logical, partition] = offset
        return written

    def _reached(self, topic: str, partition: int, offset: int, *, durable: bool) -> bool:
        for name in self._readers.get(topic, ()):
            slot = self._slots.get((name, partition))
            if slot is None or (slot.committed if durable else slot.next)[topic] < offset:
                return False
        return True

    def _force_all(self) -> None:
        for lane in self.lanes.values():
            lane.force()

    # --- what others may know -----------------------------------------------------------------------------------------

    def fold_of(self, name: str, partition: int) -> Any:
        """The fold of a partition in this worker's hands (read only: it changes under the event loop), or None."""
        slot = self._slots.get((name, partition))
        return None if slot is None else slot.fold

    def positions(self) -> dict[tuple[str, str, int], Position]:
        """(fold, topic, partition) → positions, for all in this worker's hands."""
        return {
            (slot.spec.name, topic, slot.partition): Position(slot.next[topic], slot.committed[topic])
            for slot in self._slots.values()
            for topic in slot.spec.topics
        }

    def lag(self) -> dict[tuple[str, int], int]:
        """(topic, partition) → offsets between the log's end, as last seen, and the slowest fold's position."""
        found: dict[tuple[str, int], int] = {}
        for (_, topic, partition), position in self.positions().items():
            try:
                end = self.consumer.highwater(TP(self.options.physical(topic), partition))
            except Exception:  # not assigned, or not started: nothing is known
                end = None
            if end is not None:
                found[topic, partition] = max(found.get((topic, partition), 0), end - position.folded)
        return found

    def status(self) -> dict[str, Any]:
        """For ``/readyz`` and ``doctor``: JSON-ready."""
        owned: dict[str, list[int]] = {}
        for name, partition in sorted(self._slots):
            owned.setdefault(name, []).append(partition)
        lanes = {
            lane.name: {
                "last_checkpoint_at": lane.last_at,
                "last_checkpoint_seconds": lane.last_seconds,
                "last_error": lane.last_error,
            }
            for lane in self.lanes.values()
        }
        return {
            "state": self.state,
            "generation": self._token.generation if self._token is not None else None,
            "partitions": owned,
            "jumps": {
                f"{topic}/{partition}": {"times": times, "offsets_lost": offsets}
                for (topic, partition), (times, offsets) in self.jumps.items()
            },
            "lanes": lanes,
            "last_error": self.last_error,
        }
