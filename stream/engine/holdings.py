"""Which partitions of which folds are in this worker's hands, and how far is each?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from faust.types import TP

from stream.engine.fold_partition import FoldPartition, Key
from stream.engine.options import EngineOptions, FoldSpec


class Position(NamedTuple):
    """Next offset of a fold in one partition of one topic: folded in memory, and durable."""

    folded: int
    durable: int


class Backlog(NamedTuple):
    """What of a topic is not folded yet: how many records, and for how many seconds the oldest of them has waited at most."""

    records: int
    seconds: float


class Holdings:
    """The folds' partitions by name and partition, and who reads which topic. Used on the event loop only."""

    def __init__(self, options: EngineOptions, specs: Sequence[FoldSpec]) -> None:
        self._options = options
        self._specs = tuple(specs)
        self.all: dict[Key, FoldPartition] = {}
        self.readers: dict[str, list[str]] = {}
        #: (topic, partition) → the last instant (epoch ms) at which nothing was left, as far as it has been looked at.
        self._level: dict[tuple[str, int], int] = {}
        for spec in specs:
            for topic in spec.topics:
                self.readers.setdefault(topic, []).append(spec.name)

    def wanted(self, assigned: Iterable[Any]) -> set[Key]:
        """Which there should be under an assignment: those of whose topics the same partition is ours throughout."""
        options = self._options
        mine = {(options.logical(tp.topic), tp.partition) for tp in assigned}
        return {
            (spec.name, partition)
            for spec in self._specs
            for partition in range(options.partitions_of(spec.topics[0]))
            if all((topic, partition) in mine for topic in spec.topics)
        }

    def reading(self, topic: str, partition: int) -> Iterator[FoldPartition]:
        """Those that read this."""
        for name in self.readers.get(topic, ()):
            found = self.all.get((name, partition))
            if found is not None:
                yield found

    def fetch_from(self, topic: str, partition: int) -> dict[Any, int]:
        """Where to fetch a partition from: the least of what the folds have."""
        offsets = [held.next[topic] for held in self.reading(topic, partition)]
        return {TP(self._options.physical(topic), partition): min(offsets)} if offsets else {}

    def reached(self, topic: str, partition: int, offset: int, *, durable: bool) -> bool:
        """Whether all folds that read a topic are here and have reached an offset of its partition."""
        for name in self.readers.get(topic, ()):
            held = self.all.get((name, partition))
            if held is None or (held.committed if durable else held.next)[topic] < offset:
                return False
        return True

    def positions(self) -> dict[tuple[str, str, int], Position]:
        """(fold, topic, partition) → positions."""
        return {
            (held.spec.name, topic, held.partition): Position(held.next[topic], held.committed[topic])
            for held in self.all.values()
            for topic in held.spec.topics
        }

    def lag(self, highwater: Callable[[Any], int | None]) -> dict[tuple[str, int], int]:
        """(topic, partition) → offsets between the log's end, as last seen, and the slowest fold's position."""
        found: dict[tuple[str, int], int] = {}
        for (_, topic, partition), position in self.positions().items():
            end = self._end(highwater, topic, partition)
            if end is not None:
                found[topic, partition] = max(found.get((topic, partition), 0), end - position.folded)
        return found

    def left(self, lane: str, highwater: Callable[[Any], int | None]) -> int:
        """How many records the folds of a lane have not folded yet, as far as the ends of the logs are known."""
        total = 0
        for held in self.all.values():
            if held.spec.lane == lane:
                for topic, at in held.next.items():
                    total += max(0, (self._end(highwater, topic, held.partition) or at) - at)
        return total

    def _end(self, highwater: Callable[[Any], int | None], topic: str, partition: int) -> int | None:
        try:
            return highwater(TP(self._options.physical(topic), partition))
        except Exception:  # not assigned, or not started: nothing is known
            return None

    def behind(self, highwater: Callable[[Any], int | None], now: int) -> dict[str, Backlog]:
        """Topic → how far the slowest fold of its partitions is behind the end of the log, at ``now`` (epoch ms).

        To be asked every second or so: nobody waits longer than since the last time that nothing was left.
        """
        found: dict[str, Backlog] = {}
        left = self.lag(highwater)
        self._level = {key: self._level.get(key, now) if records > 0 else now for key, records in left.items()}
        for (topic, partition), records in left.items():
            arrived = [held.arrived[topic] for held in self.reading(topic, partition) if topic in held.arrived]
            since = max(self._level[topic, partition], min(arrived, default=0))
            before = found.get(topic, Backlog(0, 0.0))
            found[topic] = Backlog(before.records + records, max(before.seconds, (now - since) / 1000))
        return found

    def owned(self) -> dict[str, list[int]]:
        """Fold → partitions, in order."""
        found: dict[str, list[int]] = {}
        for name, partition in sorted(self.all):
            found.setdefault(name, []).append(partition)
        return found
