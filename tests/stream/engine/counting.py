"""A fold small enough to see through: it adds numbers, and writes down what it was told."""

from collections.abc import Iterable, Sequence

from models.fold import Changes, Output, Record, Row
from stream.engine.options import FoldSpec
from stream.engine.topic_list import Topic

TOPICS = (Topic("numbers"), Topic("letters"), Topic("sums", partitioned=False, compact=True))


class Adder:
    """Per key the sum of the numbers seen; each change also goes to the topic ``sums``."""

    def __init__(self, partition: int, output: str | None = "sums") -> None:
        self.partition = partition
        self.output = output
        self.sums: dict[bytes, int] = {}
        self.offsets: list[int] = []
        self.ticks: list[int] = []
        self.was_live = False
        self.durable_calls = 0
        self._changed: set[bytes] = set()

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self.sums = {key: int(value) for key, value in rows}

    def fold(self, records: Sequence[Record]) -> None:
        for record in records:
            self.offsets.append(record.offset)
            key = record.key or b""
            self.sums[key] = self.sums.get(key, 0) + int(record.value or b"0")
            self._changed.add(key)

    def tick(self, now: int) -> None:
        self.ticks.append(now)

    def live(self) -> None:
        self.was_live = True

    def durable(self) -> None:
        self.durable_calls += 1

    def changes(self) -> Changes:
        changed, self._changed = sorted(self._changed), set()
        rows = [Row(key, b"%d" % self.sums[key] if self.sums[key] else None) for key in changed]
        outputs = [Output(self.output, key, b"%d" % self.sums[key]) for key in changed] if self.output else []
        return Changes(rows, outputs)


class Latest:
    """What a compacted topic says: the last value of each key."""

    def __init__(self, partition: int) -> None:
        self.values: dict[bytes, bytes | None] = {}
        self.records_before_live = 0
        self.records = 0
        self.is_live = False

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        raise AssertionError("a replayed fold has no rows")

    def fold(self, records: Sequence[Record]) -> None:
        self.records += len(records)
        if not self.is_live:
            self.records_before_live += len(records)
        for record in records:
            self.values[record.key or b""] = record.value

    def tick(self, now: int) -> None:
        pass

    def live(self) -> None:
        self.is_live = True

    def changes(self) -> Changes:
        return Changes([], [])


def adder(name: str = "add", topics: tuple[str, ...] = ("numbers",), lane: str = "state") -> FoldSpec:
    return FoldSpec(name=name, topics=topics, make=Adder, lane=lane)


def latest() -> FoldSpec:
    return FoldSpec(name="latest", topics=("sums",), make=Latest, lane="light", replayed=True)
