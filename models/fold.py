"""What must a fold be, so that the engine can drive it, checkpoint it and restore it?

A fold is pure. The engine (``stream/engine/driver.py``) gives it records and later asks for what changed; it owns positions,
transactions and fencing. One object of a :class:`PartitionFold` holds one partition's state and nothing else.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

#: How far time in a fold may run ahead of the clock of the machine that folds (ms). Minute panes are kept for two hours and
#: read for one, so within this bound no window loses anything.
AHEAD_OF_CLOCK = 30 * 60_000


#: No row and no output of a fold is larger (bytes): below what topics take, so that none of them can stop a worker.
LARGEST_ROW = 7 * 1024 * 1024


#: In the headers of a record that stands for an earlier one, whose arrival is its timestamp (``stream/engine/rewriting.py``).
COPIED = ("vigie_copied", b"1")


def arrival(stamp: int, by_broker: bool, now: int) -> int:
    """Return when a record arrived (epoch ms), from its timestamp and ``now``, the reader's clock when it is read.

    Only a broker (LogAppendTime) knows when a record came; a timestamp of type CreateTime is whatever its producer wrote, and
    the reader's clock stands for it. Never more than :data:`AHEAD_OF_CLOCK` after ``now``.
    """
    return min(stamp, now + AHEAD_OF_CLOCK) if by_broker else now


class Record(NamedTuple):
    """One record as it came from the broker. Times are milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # when it arrived: see :func:`arrival`
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    read: int = 0  # the reader's clock when it was read, 0: the record does not come from a broker


class Row(NamedTuple):
    """One changed row of state: ``value`` None removes it. Keys that begin with ``@`` are the engine's own."""

    key: bytes
    value: bytes | None


class Output(NamedTuple):
    """One record to be produced in the same transaction as the rows: ``topic`` is logical, ``partition`` None = by key."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Changes(NamedTuple):
    """All that one checkpoint has to write for one partition of one fold."""

    rows: list[Row]
    outputs: list[Output]


class PartitionFold(Protocol):
    """One partition of one fold: state in memory, changes on request."""

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back from its rows (each key once, removed rows left out). Called once, before any fold."""

    def fold(self, records: Sequence[Record]) -> None:
        """Apply the records in order. Never raises for what is in them: what cannot be used becomes a dead letter."""

    def tick(self, now: int) -> None:
        """Let time pass: ``now`` in epoch milliseconds (wall clock live, watermark in a replay)."""

    def changes(self) -> Changes:
        """What has changed since the last call, encoded; the fold starts a new list. Does not await, does not fail."""
