"""What do the folds make of a history, without a broker? Drives the specs of an instance in this process and this thread.

The folds are those that run live, and get the same records in the same order; only the way between them is short: what one
writes, its readers have at the next :meth:`InMemoryEngine.settle`. Nothing is kept: for trying out.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from models.fold import Output, PartitionFold, Record
from stream.engine.options import FoldSpec
from stream.engine.topics import partition_for

#: Records that wait for a fold before it is given them.
_CHUNK = 2_000


class InMemoryEngine:
    """Every partition of every fold, in memory. ``partitions_of`` gives a logical topic's number of partitions."""

    def __init__(self, specs: Sequence[FoldSpec], partitions_of: Callable[[str], int]) -> None:
        self._partitions_of = partitions_of
        self._readers: defaultdict[str, list[FoldSpec]] = defaultdict(list)
        self._folds: dict[tuple[str, int], PartitionFold] = {}
        for spec in specs:
            for topic in spec.topics:
                self._readers[topic].append(spec)
            for partition in range(partitions_of(spec.topics[0])):
                fold = spec.make(partition)
                fold.restore([])
                if spec.at_hand is not None:
                    spec.at_hand(partition, fold)
                if (live := getattr(fold, "live", None)) is not None:
                    live()
                self._folds[spec.name, partition] = fold
        self._waiting: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self._offsets: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._dirty: dict[tuple[str, int], None] = {}  # folds whose changes have not been asked for, in order
        self._taps: defaultdict[str, list[Callable[[Record], Any]]] = defaultdict(list)

    def tap(self, topic: str, take: Callable[[Record], Any]) -> None:
        """Call ``take`` with every record that is written to a topic from now on."""
        self._taps[topic].append(take)

    def fold_of(self, name: str, partition: int) -> Any:
        """Return a fold."""
        return self._folds[name, partition]

    def publish(self, topic: str, key: bytes, value: bytes | None, timestamp: int, partition: int | None = None) -> None:
        """Append a record to a topic; ``timestamp`` is its time of arrival (epoch ms)."""
        if partition is None:
            partition = partition_for(key, self._partitions_of(topic))
        where = (topic, partition)
        record = Record(topic, partition, self._offsets[where], timestamp, key, value, ())
        self._offsets[where] += 1
        for take in self._taps.get(topic, ()):
            take(record)
        if topic not in self._readers:
            return
        waiting = self._waiting[where]
        waiting.append(record)
        if len(waiting) >= _CHUNK:
            self._deliver(where)

    def _deliver(self, where: tuple[str, int]) -> None:
        records = self._waiting.pop(where, None)
        if records:
            for spec in self._readers[where[0]]:
                name = (spec.name, where[1])
                self._folds[name].fold(records)
                self._dirty[name] = None

    def settle(self, timestamp: int) -> None:
        """Carry what the folds have written to its readers until nothing is left; ``timestamp`` is what it arrives at."""
        while self._waiting or self._dirty:
            for where in list(self._waiting):
                self._deliver(where)
            dirty, self._dirty = self._dirty, {}
            for name in dirty:
                for output in self._folds[name].changes().outputs:
                    self._write(output, timestamp)

    def _write(self, output: Output, timestamp: int) -> None:
        self.publish(output.topic, output.key, output.value, timestamp, output.partition)

    def tick(self, now: int, timestamp: int, last: str) -> None:
        """Let time pass for all folds, for the one called ``last`` when the others have settled; and settle."""
        for lot in (False, True):
            for (name, partition), fold in self._folds.items():
                if (name == last) is lot:
                    fold.tick(now)
                    self._dirty[name, partition] = None
            self.settle(timestamp)
