"""Which folds are in this worker's hands, how far are they, and how do they get what they need?

One driver per engine. The partitions in its hands are ``holdings.py``, what comes to them is ``feed.py``. The driver lets time
pass, keeps the token of the ownership under which memory was restored, and decides over a rebalance what memory may stay.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException

from stream.engine.backend import Cancelled
from stream.engine.barriers import Barriers
from stream.engine.chunks import Ownership
from stream.engine.durable_calls import DurableCalls
from stream.engine.errors import EngineStopped, Fenced, FoldFailed, Replaced
from stream.engine.feed import Feed
from stream.engine.fold_partition import FoldPartition, go_live, restore_slots
from stream.engine.holdings import Backlog, Holdings, Position
from stream.engine.lane import Lane
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.pace import TURN
from stream.engine.waiting import end, settle

log = logging.getLogger(__name__)


class Driver:
    """Between the transport and the folds. Made inside a running event loop, used only from it."""

    def __init__(self, options: EngineOptions, specs: Sequence[FoldSpec]) -> None:
        self.options = options
        self.specs = {spec.name: spec for spec in specs}
        self.state = "starting"
        self.last_error: str | None = None
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.consumer: Any = None
        self.holdings = Holdings(options, specs)
        self.feed = Feed(
            options,
            self.holdings,
            consumer=lambda: self.consumer,
            open=lambda: self._token is not None and not self.failure.done(),
            touch=self._touch,
            folded=lambda slot, records: self.lanes[slot.spec.lane].folded(slot, records),
            moved=lambda: self._barriers.check(),
            fail=self.fail,
        )
        self._durable = DurableCalls(self.fail)
        self._token: Ownership | None = None
        self._kept_by: Ownership | None = None
        self._wanted: set[tuple[str, int]] = set()
        self._restoring: Ownership | None = None
        self._barriers = Barriers(self.holdings.reached, self._force_all)
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
                    left=self._left,
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
        tasks = [slot.task for slot in self.holdings.all.values() if slot.task is not None]
        self._drop(list(self.holdings.all))
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

    async def revoked(self) -> bool:
        """The group rebalances: a last checkpoint while the old generation still holds; return whether all is written."""
        token, self._kept_by = self._token, None
        self._restoring = None  # what is being restored would be restored under an ownership that is over
        if token is None:
            return False
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
        return clean

    def rebalanced(self, assigned: Iterable[Any], token: Ownership | None) -> None:
        """A new generation: which memory may stay, and what is to be restored.

        Memory stays only if this is exactly the next generation, for the same member, and the checkpoint at the
        revocation was committed. In any other case someone else may have folded our partitions in between.
        """
        self._wanted = self.holdings.wanted(assigned)
        kept = self._kept_by
        self._kept_by = None
        self._token = None
        sure = kept is not None and token is not None and kept._replace(generation=kept.generation + 1) == token
        self._drop([key for key in self.holdings.all if not sure or key not in self._wanted])
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
                len(self.holdings.all),
            )

    def _drop(self, keys: list[tuple[str, int]]) -> None:
        dropped = [self.holdings.all.pop(key) for key in keys]
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
        missing = sorted(self._wanted - set(self.holdings.all))
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
            self.holdings.all.update(slots)
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
            self._durable.notify(self.holdings.all[name, partition])
        for slot in self.holdings.all.values():
            self._touch(slot)
        self._barriers.check()

    # --- time ---------------------------------------------------------------------------------------------------------

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.options.tick_interval)
            await self._tick_all()
            self.behind()

    async def _tick_all(self) -> None:
        """Let time pass for all, and the loop go on between two of them when they have kept it for a turn."""
        began = time.monotonic()
        for slot in list(self.holdings.all.values()):
            if time.monotonic() - began > TURN:
                await asyncio.sleep(0)
                began = time.monotonic()
            if self.holdings.all.get((slot.spec.name, slot.partition)) is slot:  # it may have been taken away meanwhile
                self._tick([slot])

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
        self._tick([slot for slot in self.holdings.all.values() if slot.spec.name == name])
        self.lanes[self.specs[name].lane].force()

    async def checkpoint(self, lane: str) -> bool:
        """Checkpoint a lane and wait for it; False when it could not be committed (no ownership at this moment)."""
        return await self.lanes[lane].checkpoint()

    # --- after a commit -----------------------------------------------------------------------------------------------

    def _committed(self, lane: Lane, slots: list[FoldPartition]) -> None:
        for slot in slots:
            if self.holdings.all.get((slot.spec.name, slot.partition)) is not slot:
                continue  # it was taken away while its last transaction was under way
            durable = getattr(slot.fold, "durable", None)
            if durable is not None:
                durable()
            if getattr(slot.fold, "behind", 0):
                self._touch(slot)
            self._durable.notify(slot)
        self._barriers.check()

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

    def written(self) -> dict[tuple[str, int], int]:
        """(logical topic, partition) → offset after the last output that the folds here have written to it."""
        logical = self.options.logical
        return {
            (logical(topic), partition): offset
            for lane in self.lanes.values()
            for (topic, partition), offset in lane.writer.written.items()
        }

    def _written_and_not_durable(self) -> dict[tuple[str, int], int]:
        return {
            (topic, partition): offset
            for (topic, partition), offset in self.written().items()
            if topic in self.holdings.readers and not self.holdings.reached(topic, partition, offset, durable=True)
        }

    def _force_all(self) -> None:
        for lane in self.lanes.values():
            lane.force()

    # --- what others may know -----------------------------------------------------------------------------------------

    def _touch(self, slot: FoldPartition) -> None:
        self.lanes[slot.spec.lane].touch(slot)

    def fold_of(self, name: str, partition: int) -> Any:
        """The fold of a partition in this worker's hands (read only: it changes under the event loop), or None."""
        slot = self.holdings.all.get((name, partition))
        return None if slot is None else slot.fold

    def positions(self) -> dict[tuple[str, str, int], Position]:
        """See :meth:`Holdings.positions`."""
        return self.holdings.positions()

    def _left(self, lane: str) -> int:
        return self.holdings.left(lane, lambda tp: self.consumer.highwater(tp))

    def lag(self) -> dict[tuple[str, int], int]:
        """See :meth:`Holdings.lag`."""
        return self.holdings.lag(lambda tp: self.consumer.highwater(tp))

    def behind(self) -> dict[str, Backlog]:
        """See :meth:`Holdings.behind`."""
        return self.holdings.behind(lambda tp: self.consumer.highwater(tp), self.options.clock())

    def status(self) -> dict[str, Any]:
        """For ``/readyz`` and ``doctor``: JSON-ready."""
        lanes = {
            lane.name: {
                "last_checkpoint_at": lane.last_at,
                "last_checkpoint_seconds": lane.last_seconds,
                "last_error": lane.last_error,
                "interval_seconds": lane.pace.interval,
            }
            for lane in self.lanes.values()
        }
        return {
            "state": self.state,
            "generation": self._token.generation if self._token is not None else None,
            "partitions": self.holdings.owned(),
            "jumps": {
                f"{topic}/{partition}": {"times": times, "offsets_lost": offsets}
                for (topic, partition), (times, offsets) in self.feed.jumps.items()
            },
            "lanes": lanes,
            "last_error": self.last_error,
        }
