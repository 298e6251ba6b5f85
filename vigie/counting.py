"""How does what the folds have counted come into the metrics? They count in plain dictionaries; here the differences are told."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from models.folds.partition import EntityPartition
from stream.engine.app import Engine
from stream.engine.owned import Owned
from stream.engine.waiting import end
from stream.metrics import Metrics
from vigie.evolving import Evolving
from vigie.faults import Teller


class Counting:
    """Carries what has been added in the last second into the metrics, from :meth:`start` to :meth:`stop`."""

    def __init__(
        self, engine: Engine, metrics: Metrics, entities: list[Owned[EntityPartition]], evolving: Evolving, faults: Teller
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._entities = entities
        self._evolving = evolving
        self._faults = faults
        self._counted: WeakKeyDictionary[EntityPartition, dict[Any, int]] = WeakKeyDictionary()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._task = asyncio.create_task(self._for_ever(), name="metrics")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            await end(self._task)

    async def _for_ever(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.count()

    def count(self) -> None:
        """Carry what the folds have counted since the last call into the metrics."""
        self._evolving.log()
        for owned in self._entities:
            for partition in owned:
                self._count(partition)
        for spec in self._engine.specs:
            for number in range(self._engine.partitions_of(spec.name)):
                found = getattr(self._engine.fold_of(spec.name, number), "faults", None)
                if found is not None:
                    self._faults.tell(spec.name, number, found)

    def _count(self, partition: EntityPartition) -> None:
        metrics = self._metrics
        before = self._counted.setdefault(partition, {})
        for (topic, kind, outcome), new in _since(before, "outcome", partition.outcomes):
            metrics.events(topic, kind, outcome if kind else "dead_letter", new)
            if not kind:
                metrics.dead_letters(outcome, new)
        for (kind, _), new in _since(before, "unknown", partition.unknown_fields):
            metrics.unknown_fields(kind, new)
        for dimension, new in _since(before, "overflow", partition.overflow):
            metrics.overflowed(dimension, new)
        for source, at in partition.last_event.items():
            metrics.source_seen(source, at)
        while partition.delays:
            metrics.delayed(partition.delays.popleft() / 1000)


def _since(before: dict[Any, int], what: str, totals: Mapping[Any, int]) -> Iterator[tuple[Any, int]]:
    """Yield what has been added to each total since the last call, and remember it."""
    for name, total in totals.items():
        new = total - before.get((what, name), 0)
        if new:
            before[what, name] = total
            yield name, new
