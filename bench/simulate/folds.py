"""Folds that see through what the engine does to them: whatever is lost, doubled, reordered or believed too early shows.

``copy`` says every number once, ``total`` adds up what both say, ``latest`` replays the sums. What they must hold and have said
is a plain walk over the numbers (:func:`expected`).
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from models.fold import Changes, Output, Record, Row
from stream.engine.options import EAGER, FoldSpec
from stream.engine.topic_list import Topic

TOPICS = (
    Topic("numbers"),
    Topic("copies"),
    Topic("sums"),
)
PARTITIONS = 2
LANES = {"light": EAGER}

#: Called with a partition and all outputs that a fold has returned, when it is told that they are durable.
Check = Callable[[int, list[Output]], None]


class Copy:
    """Says each record again, and keeps count and order of all by key and by topic."""

    def __init__(self, partition: int, check: Check, says: str = "copies") -> None:
        self.partition = partition
        self.sums: dict[bytes, int] = {}
        self._check = check
        self._says = says
        self._changed: dict[bytes, None] = {}
        self._outputs: list[Output] = []
        self._told: list[Output] = []

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the sums back."""
        self.sums = {key: int(value) for key, value in rows}

    def fold(self, records: Sequence[Record]) -> None:
        """Add, and say again."""
        for record in records:
            key, value = record.key or b"", record.value or b""
            self._add(key, int(value))
            chain = b"#" + record.topic.encode()
            self._set(chain, zlib.crc32(key + value, self.sums.get(chain, 0)))
            self._say(record)

    def _say(self, record: Record) -> None:
        self._outputs.append(Output(self._says, record.key or b"", record.value, self.partition))

    def _add(self, key: bytes, number: int) -> None:
        self._set(key, self.sums.get(key, 0) + number)

    def _set(self, key: bytes, number: int) -> None:
        self.sums[key] = number
        self._changed[key] = None

    def tick(self, now: int) -> None:
        """Time does nothing."""

    def changes(self) -> Changes:
        """Return what is new."""
        changed, self._changed = self._changed, {}
        outputs, self._outputs = self._outputs, []
        self._told += outputs
        return Changes([Row(key, b"%d" % self.sums[key]) for key in changed], outputs)

    def durable(self) -> None:
        """All that was returned is on the broker: is it?"""
        told, self._told = self._told, []
        self._check(self.partition, told)


class Total(Copy):
    """Adds up numbers and copies, and says the sum."""

    def _say(self, record: Record) -> None:
        key = record.key or b""
        self._outputs.append(Output("sums", key, b"%d" % self.sums[key], self.partition))


class Latest:
    """What the sums are, replayed."""

    def __init__(self, partition: int) -> None:
        self.values: dict[bytes, bytes | None] = {}

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are none."""
        raise AssertionError("a replayed fold has no rows")

    def fold(self, records: Sequence[Record]) -> None:
        """Keep the last."""
        for record in records:
            self.values[record.key or b""] = record.value

    def tick(self, now: int) -> None:
        """Time does nothing."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])


def specs(check: Callable[[str], Check]) -> list[FoldSpec]:
    """Return the folds; ``check(name)`` is told what each believes to be durable."""
    return [
        FoldSpec(name="copy", topics=("numbers",), make=lambda p: Copy(p, check("copy"))),
        FoldSpec(name="total", topics=("numbers", "copies"), make=lambda p: Total(p, check("total")), lane="light"),
        FoldSpec(name="latest", topics=("sums",), make=Latest, lane="light", replayed=True),
    ]


def expected(numbers: Sequence[tuple[bytes, bytes]], topics: Sequence[str]) -> dict[bytes, int]:
    """Return what a fold of these topics, each with these numbers, must hold."""
    found: dict[bytes, int] = {}
    for topic in topics:
        chain = b"#" + topic.encode()
        for key, value in numbers:
            found[key] = found.get(key, 0) + int(value)
            found[chain] = zlib.crc32(key + value, found.get(chain, 0))
    return found


def held(fold: Any) -> dict[bytes, int]:
    """Return what a fold holds."""
    sums: dict[bytes, int] = fold.sums
    return sums
