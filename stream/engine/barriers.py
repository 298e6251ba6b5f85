"""Who waits for what to be folded and durable?"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol

Targets = dict[tuple[str, int], int]


class Reached(Protocol):
    """Whether all folds have reached an offset of a topic's partition, in memory or durably."""

    def __call__(self, topic: str, partition: int, offset: int, *, durable: bool) -> bool:
        """Of all folds in this worker that read the topic."""
        ...


class Force(Protocol):
    """Make a checkpoint of everything now."""

    def __call__(self) -> None:
        """Returns at once; the checkpoint comes."""


class _Barrier(NamedTuple):
    targets: Targets
    reached: "asyncio.Future[None]"


class Barriers:
    """Those who wait. They make the checkpoints come at once, instead of at their interval."""

    def __init__(self, reached: Reached, force: Force) -> None:
        self._reached = reached
        self._force = force
        self._waiting: list[_Barrier] = []

    async def wait(self, targets: Mapping[tuple[str, int], int]) -> None:
        """Wait until all targets are durable. Raises what :meth:`fail` is given."""
        barrier = _Barrier(dict(targets), asyncio.get_running_loop().create_future())
        self._waiting.append(barrier)
        try:
            self.check()
            await barrier.reached
        finally:
            self._waiting.remove(barrier)

    def check(self) -> None:
        """Something has been folded or committed: let those go on who have what they waited for."""
        for barrier in self._waiting:
            if barrier.reached.done():
                continue
            if self._all(barrier.targets, durable=True):
                barrier.reached.set_result(None)
            elif self._all(barrier.targets, durable=False):
                self._force()

    def _all(self, targets: Targets, *, durable: bool) -> bool:
        return all(self._reached(*where, offset, durable=durable) for where, offset in targets.items())

    def fail(self, error: BaseException) -> None:
        """What they wait for will never be."""
        for barrier in self._waiting:
            if not barrier.reached.done():
                barrier.reached.set_exception(error)
