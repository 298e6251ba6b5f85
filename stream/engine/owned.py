"""Which partitions of a fold are in this worker's hands, and how do they hear of what has changed in the settings?"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from stream.engine.options import FoldSpec

Fold = TypeVar("Fold")


class Holder(Protocol):
    """Who holds folds: the engine."""

    def fold_of(self, name: str, partition: int) -> Any:
        """Return the fold of a partition while it is in this worker's hands, else None."""

    def partitions_of(self, name: str) -> int:
        """Return how many partitions a fold has."""


class Owned(Generic[Fold]):
    """The partitions of one fold that are in this worker's hands at this moment: none before :meth:`bind`.

    ``brief(fold)`` tells one what is in force (rules, plan). One that is being restored was made with what was in force when that
    began: it is told once it is at hand.
    """

    def __init__(self, name: str, brief: Callable[[Fold], object] = lambda fold: None) -> None:
        self.name = name
        self._brief = brief
        self._holder: Holder | None = None
        self._version = 0
        self._made: dict[int, int] = {}  # partition → the version it was made with

    def spec(self, make: Callable[[int], Fold], **more: Any) -> FoldSpec:
        """Return the fold as the engine runs it; ``more`` is of :class:`~stream.engine.options.FoldSpec`."""

        def made(partition: int) -> Any:  # in the thread that restores
            self._made[partition] = self._version
            return make(partition)

        def at_hand(partition: int, fold: Any) -> None:
            if self._made.get(partition) != self._version:
                self._brief(fold)

        return FoldSpec(name=self.name, make=made, at_hand=at_hand, **more)

    def bind(self, holder: Holder) -> None:
        """From now on, ask this one."""
        self._holder = holder

    def __call__(self, partition: int = 0) -> Fold | None:
        """Return the fold of a partition, None where another worker has it or it is being restored."""
        found: Fold | None = None if self._holder is None else self._holder.fold_of(self.name, partition)
        return found

    def __iter__(self) -> Iterator[Fold]:
        """Yield all that are at hand, by partition."""
        if self._holder is not None:
            for partition in range(self._holder.partitions_of(self.name)):
                if (found := self(partition)) is not None:
                    yield found

    def brief(self) -> None:
        """Tell all that are at hand, and those that will be, what is in force from now on."""
        self._version += 1
        for fold in self:
            self._brief(fold)
