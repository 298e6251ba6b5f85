"""What does the engine need of whatever keeps its records, state and positions?

Two keep them: Kafka (``on_kafka.py``) and, on one machine, a file (``stream/ledger/``). The driver, its lanes and the folds are
the same on both, and so is the promise: rows, outputs and positions of a checkpoint in one transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from models.fold import Record

#: Physical topic and partition.
Partition: TypeAlias = tuple[str, int]
#: Gives records as folds may have them.
Screen: TypeAlias = Callable[[Sequence[Record]], Sequence[Record]]
#: The engine's own rows (a partition's position in a topic) have keys that begin with this.
POSITION = b"@"


class Message(NamedTuple):
    """One record to write, in the order of librdkafka's ``produce``."""

    topic: str
    value: bytes | None
    key: bytes
    partition: int
    headers: Sequence[tuple[str, bytes | None]] = ()


class Batch(NamedTuple):
    """All that one checkpoint writes; the positions are (physical topic, partition, next offset)."""

    rows: Sequence[Message]
    outputs: Sequence[Message]
    positions: Sequence[tuple[str, int, int]]


class Restored(NamedTuple):
    """The state of one partition of a fold: the last value of each key, and the positions by logical topic."""

    rows: dict[bytes, bytes]
    positions: dict[str, int]


class GaveUp(Exception):
    """The writer was told to stop trying (revoke or shutdown ran out of time); whether it is committed is unknown."""


class Superseded(Exception):
    """Another process has begun the same: what was not committed here was not written."""


class Cancelled(Exception):
    """Another rebalance has begun, or the engine stops."""


class Writer(Protocol):
    """Writes the checkpoints of one lane. Every method blocks; all are called from the lane's one thread."""

    transactional_id: str
    giving_up: bool
    #: (physical topic, partition) → offset after the last output that was written to it.
    written: Mapping[Partition, int]

    def open(self) -> None:
        """Be ready to write."""

    def commit(self, batch: Batch, token: Any) -> None:
        """Write one checkpoint; return only when it is committed.

        Raises :class:`~stream.engine.errors.Fenced`, :class:`~stream.engine.errors.TransactionFailed`, or :class:`GaveUp`.
        """

    def stuck(self) -> bool:
        """Whether a call has been away for longer than it ever should."""

    def abandon(self) -> bool:
        """Give it up, because it is stuck. False when it may have committed: then nobody knows."""

    def close(self) -> None:
        """Let go."""


class Producer(Protocol):
    """What of ``confluent_kafka.Producer`` is used to write events: ``told(error, message)`` is called from :meth:`poll`."""

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        told: Callable[[Any, Any], None],
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Hand one record over. Raises ``BufferError`` while there is no room for it."""

    def poll(self, timeout: float) -> int:
        """Take in acknowledgements."""

    def flush(self, timeout: float) -> int:
        """Wait until all is acknowledged, at most ``timeout`` seconds; return how many are not."""

    def purge(self) -> None:
        """Give up what is not acknowledged yet."""

    def __len__(self) -> int:
        """Return how many records are not acknowledged yet."""


class Transaction(Protocol):
    """Writes records as one, again and again."""

    def write(self, message: Message) -> None:
        """Write one record in the transaction under way. Raises :class:`Superseded`."""

    def commit(self) -> None:
        """Make all that was written visible, or nothing of it. Raises :class:`Superseded`."""

    def abort(self) -> None:
        """Let nothing of what was written be seen."""


class Log(Protocol):
    """One topic's only partition, open for reading."""

    def bounds(self) -> tuple[int, int]:
        """Return first offset and end."""

    def block(self, start: int, end: int) -> list[tuple[int, bytes | None]]:
        """Return offset and value of the records of [start, end), oldest first."""

    def close(self) -> None:
        """Let go."""


class Flow(Protocol):
    """How records reach the driver."""

    def add(self, spec: Any, doc: str) -> Any:
        """Register a fold."""

    async def start(self, driver: Any) -> None:
        """Let records flow. Raises :class:`~stream.engine.errors.EngineStopped`."""

    def flowing(self) -> bool:
        """Whether they do."""

    async def crashed(self) -> str:
        """Return why it broke, when it does; else wait for ever."""

    async def stop(self) -> None:
        """Let none through any more."""


class Backend(Protocol):
    """Keeps records, state and positions."""

    def check(self, options: Any, specs: Iterable[Any]) -> list[str]:
        """Return what keeps the engine from running on the topics as they are. Blocks; ``OSError`` where nobody answers."""

    def writer(self, options: Any, lane: str, still_ours: Callable[[Any], bool], retried: Callable[[str], None]) -> Writer:
        """Return the writer of a lane's checkpoints."""

    def first_and_last(self, options: Any, wanted: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return first offset and end of each log."""

    def read_changelogs(
        self, options: Any, wanted: Sequence[Partition], cancelled: Callable[[], bool]
    ) -> dict[Partition, Restored]:
        """Return the state in these changelogs."""

    def replay(
        self,
        options: Any,
        wanted: Sequence[Partition],
        fold: Callable[[Partition, list[Record]], None],
        cancelled: Callable[[], bool],
    ) -> dict[Partition, int]:
        """Give each log as it stands to ``fold``; return the position reached in each."""

    def screen(self, options: Any) -> Screen | None:
        """Return what keeps late events of people who were erased from the folds; None where there are none. Blocks."""

    def flow(self, options: Any) -> Flow:
        """Return how records reach the driver of an engine."""

    def producer(self, options: Any, settings: Mapping[str, Any]) -> Producer:
        """Return who writes events; ``settings`` are librdkafka's."""

    def log(self, options: Any, topic: str) -> Log:
        """Return a topic of one partition, open for reading."""

    def transaction(self, options: Any, name: str) -> Transaction:
        """Return who writes records as one; it ends what another one of that name has not committed."""
