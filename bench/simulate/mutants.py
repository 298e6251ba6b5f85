"""Would the simulation notice? Kinds of fault that an engine like this has had, made anew; a test asks that seeds find each.

Each is a context in which the engine (or the broker's check) is as it was with the fault.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from bench.simulate.broker import Broker
from bench.simulate.clients import network_of_process
from stream.engine import restore
from stream.engine.backend import POSITION, Batch
from stream.engine.checkpoint import KafkaWriter
from stream.engine.chunks import Ownership
from stream.engine.driver import Driver
from stream.engine.feed import Feed
from stream.engine.lane import Lane


def positions_before_rows() -> AbstractContextManager[Any]:
    """Positions are committed first, rows and outputs after them: a crash between the two loses records."""
    commit = KafkaWriter.commit

    def faulty(self: KafkaWriter, batch: Batch, token: Ownership) -> None:
        ours = [row for row in batch.rows if row.key.startswith(POSITION)]
        commit(self, Batch(ours, [], batch.positions), token)
        commit(self, batch._replace(rows=[row for row in batch.rows if row not in ours]), token)

    return mock.patch.object(KafkaWriter, "commit", faulty)


def no_fencing() -> AbstractContextManager[Any]:
    """Nobody looks at the token: who was paused writes on what is another's by now."""

    def faulty(self: Broker, name: str, epoch: int, positions: Any, token: Ownership) -> None:
        self._transaction(self._producing(name, epoch))

    return mock.patch.object(Broker, "offsets", faulty)


def the_token_of_now() -> AbstractContextManager[Any]:
    """Checkpoints carry whom the group takes us for now, and not the ownership under which memory was restored."""
    commit = KafkaWriter.commit

    def faulty(self: KafkaWriter, batch: Batch, token: Ownership) -> None:
        consumer = self._still_ours.__self__.consumer  # type: ignore[attr-defined]
        commit(self, batch, consumer.current())

    return mock.patch.object(KafkaWriter, "commit", faulty)


def a_snapshot_in_the_middle() -> AbstractContextManager[Any]:
    """Rows are of one moment and positions of a later one."""
    take = Lane._take_snapshot

    async def faulty(self: Lane) -> Any:
        taken = await take(self)
        if taken is None:
            return None
        await asyncio.sleep(0)
        batch, slots = taken
        now = {
            (slot.changelog, slot.partition, POSITION + topic.encode()): at
            for slot, _ in slots
            for topic, at in slot.next.items()
        }
        rows = [
            row._replace(value=b"%d" % now.get((row.topic, row.partition, row.key), 0)) if row.key[:1] == POSITION else row
            for row in batch.rows
        ]
        return taken._replace(batch=batch._replace(rows=rows))

    return mock.patch.object(Lane, "_take_snapshot", faulty)


def restored_up_to_what_is_committed() -> AbstractContextManager[Any]:
    """A restore ends where the committed records end at its start, and misses a checkpoint that is being committed."""
    through = restore.read_through

    def faulty(options: Any, bounds: Any, take: Any, cancelled: Any, **more: Any) -> Any:
        logs = network_of_process().broker.logs
        return through(
            options, {key: (first, min(last, logs[key].stable)) for key, (first, last) in bounds.items()}, take, cancelled, **more
        )

    return mock.patch.object(restore, "read_through", faulty)


def memory_kept_over_a_generation() -> AbstractContextManager[Any]:
    """Memory is kept at any assignment, also where somebody else had the partition in between."""
    rebalanced = Driver.rebalanced

    def faulty(self: Driver, assigned: Any, token: Ownership | None) -> None:
        self._kept_by = None if token is None else token._replace(generation=token.generation - 1)
        rebalanced(self, assigned, token)

    return mock.patch.object(Driver, "rebalanced", faulty)


def chunks_taken_as_they_come() -> AbstractContextManager[Any]:
    """A chunk is folded wherever it begins: one from before a seek comes twice, or leaves a gap."""
    accept = Feed.accept

    def faulty(self: Feed, name: str, topic: str, partition: int, chunk: Any) -> None:
        slot = self._holdings.all.get((name, partition))
        if slot is not None:
            slot.next[topic] = chunk.start
        accept(self, name, topic, partition, chunk)

    return mock.patch.object(Feed, "accept", faulty)


MUTANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    one.__name__: one
    for one in (
        positions_before_rows,
        no_fencing,
        the_token_of_now,
        a_snapshot_in_the_middle,
        restored_up_to_what_is_committed,
        memory_kept_over_a_generation,
        chunks_taken_as_they_come,
    )
}
