"""How do the folds of several consumer groups run in one process? As engines side by side that look like one.

A group is a role (``EngineOptions.role``): whoever runs a role is a member of its group, in whichever process and on whichever
machine, so that no partition of a fold is ever in two hands, however the roles are shared out.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from stream.engine.app import Engine
from stream.engine.driver import Driver
from stream.engine.holdings import Backlog
from stream.engine.merged_status import merged
from stream.engine.options import FoldSpec
from stream.engine.waiting import end


class Engines(Engine):
    """Several engines, each with its group, as one. What concerns one consumer only (``driver``, ``flow``) is not here."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        """By the names they are told by in a status."""
        self._engines = dict(engines)
        self.options = next(iter(self._engines.values())).options
        self.specs = [spec for engine in self._engines.values() for spec in engine.specs]

    @property
    def driver(self) -> Driver:
        """There is none: each group has its own."""
        raise RuntimeError(f"several groups run here: {', '.join(self._engines)}")

    def _of(self, fold: str) -> Engine | None:
        return next((engine for engine in self._engines.values() if any(fold == spec.name for spec in engine.specs)), None)

    def fold_of(self, name: str, partition: int) -> Any:
        """See :meth:`Engine.fold_of`."""
        engine = self._of(name)
        return None if engine is None else engine.fold_of(name, partition)

    def behind(self) -> dict[tuple[str, str], Backlog]:
        """See :meth:`Engine.behind`."""
        return {key: backlog for engine in self._engines.values() for key, backlog in engine.behind().items()}

    def partitions_of(self, name: str) -> int:
        """See :meth:`Engine.partitions_of`."""
        engine = self._of(name)
        return 0 if engine is None else engine.partitions_of(name)

    def agent(self, spec: FoldSpec, doc: str | None = None) -> Any:
        """Refused: which group is it of?"""
        raise TypeError(f"{spec.name}: a fold is registered with the engine of its group")

    async def start(self, *, patience: float | None = None) -> None:
        """Start the first, which waits for the broker and says so once; then the others, at the same time."""
        first, *others = self._engines.values()
        await first.start(patience=patience)
        starting = [asyncio.create_task(engine.start(patience=patience)) for engine in others]
        try:
            await asyncio.gather(*starting)
        finally:
            await end(*starting)

    async def ready(self, patience: float = 60.0) -> None:
        """See :meth:`Engine.ready`."""
        await asyncio.gather(*(engine.ready(patience) for engine in self._engines.values()))

    async def run_until_stopped(self) -> None:
        """Return after :meth:`stop`; raise :class:`EngineStopped` when one of them can't go on."""
        running = [asyncio.create_task(engine.run_until_stopped()) for engine in self._engines.values()]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await end(*running)

    async def stop(self) -> None:
        """See :meth:`Engine.stop`."""
        await asyncio.gather(*(engine.stop() for engine in self._engines.values()))

    def status(self) -> Mapping[str, Any]:
        """See :func:`merged`."""
        return merged({name: engine.status() for name, engine in self._engines.items()})

    def poke(self, name: str) -> None:
        """See :meth:`Engine.poke`."""
        engine = self._of(name)
        if engine is not None:
            engine.poke(name)

    async def settled(self, targets: Mapping[tuple[str, int], int], *, cascade: bool = False) -> None:
        """See :meth:`Engine.settled`."""
        need = dict(targets)
        while need:
            for engine in self._engines.values():
                read = {topic for spec in engine.specs for topic in spec.topics}
                mine = {place: offset for place, offset in need.items() if place[0] in read}
                await engine.settled(mine, cascade=cascade)
            need = self._left() if cascade else {}

    def _left(self) -> dict[tuple[str, int], int]:
        """Return what they have written to topics that others of them read, and that is not durable there."""
        drivers = [engine.driver for engine in self._engines.values()]
        left: dict[tuple[str, int], int] = {}
        for driver in drivers:
            for place, offset in driver.written().items():
                if not all(other.holdings.reached(*place, offset, durable=True) for other in drivers):
                    left[place] = offset
        return left
