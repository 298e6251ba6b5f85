"""Records, state and positions in a file of this machine: the engine's backend without a Kafka."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from models.fold import Record
from stream.engine.backend import POSITION, Cancelled, Flow, Log, Message, Partition, Producer, Restored, Transaction, Writer
from stream.engine.chunks import Ownership
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import declared
from stream.ledger.flow import LedgerFlow, LedgerWriter
from stream.ledger.store import Ends, Ledger, LedgerFull

#: Records of a log that are read at once when it is replayed.
_REPLAYED = 20_000
#: Records that a producer takes before it wants its acknowledgements looked at.
_WAITING = 50_000


class OnLedger:
    """A ledger in this process (:class:`~stream.engine.backend.Backend`)."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def create(self, options: EngineOptions, specs: Iterable[FoldSpec]) -> list[str]:
        """Make the topics that are missing; return their names. Raise ``ValueError`` where one has other partitions."""
        return self.ledger.declare(
            (topic.name, topic.partitions, topic.config["cleanup.policy"] == "compact") for topic in declared(options, specs)
        )

    def check(self, options: EngineOptions, specs: Iterable[FoldSpec]) -> list[str]:
        """Make the topics; return what is wrong with those that are there."""
        try:
            self.create(options, specs)
        except ValueError as error:
            return [str(error)]
        return []

    def writer(
        self, options: EngineOptions, lane: str, still_ours: Callable[[Ownership], bool], retried: Callable[[str], None]
    ) -> Writer:
        """Return the writer of a lane's checkpoints."""
        return LedgerWriter(self.ledger, options, lane, retried)

    def first_and_last(self, options: EngineOptions, wanted: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return first offset and end of each log."""
        return {key: self.ledger.bounds(*key) for key in wanted}

    def read_changelogs(
        self, options: EngineOptions, wanted: Sequence[Partition], cancelled: Callable[[], bool]
    ) -> dict[Partition, Restored]:
        """Return the state in all these changelogs."""
        found = {}
        for key in wanted:
            if cancelled():
                raise Cancelled
            rows = self.ledger.rows(*key)
            own = [name for name in rows if name.startswith(POSITION)]
            found[key] = Restored(rows, {name[1:].decode(): int(rows.pop(name)) for name in own})
        return found

    def replay(
        self,
        options: EngineOptions,
        wanted: Sequence[Partition],
        fold: Callable[[Partition, list[Record]], None],
        cancelled: Callable[[], bool],
    ) -> dict[Partition, int]:
        """Give each log as it stands to ``fold``, in its order; return the position reached in each."""
        reached = {}
        for key in wanted:
            at, end = self.ledger.bounds(*key)
            while at < end:
                if cancelled():
                    raise Cancelled
                stretch = self.ledger.read(*key, at, _REPLAYED, name=options.logical(key[0]))
                if stretch.records:
                    fold(key, stretch.records)
                at = stretch.end
            reached[key] = at
        return reached

    def screen(self, options: EngineOptions) -> None:
        """Return nothing: late events of people who were erased do not get into the file (``erasing.py``)."""

    def flow(self, options: EngineOptions) -> Flow:
        """Return what gives the folds their records."""
        return LedgerFlow(self.ledger, options)

    def producer(self, options: EngineOptions, settings: Mapping[str, Any]) -> Producer:
        """Return who appends to the ledger; of ``settings`` nothing is needed."""
        return LedgerProducer(self.ledger)

    def log(self, options: EngineOptions, topic: str) -> Log:
        """Return a reader of a topic."""
        return _Log(self.ledger, options.physical(topic))

    def transaction(self, options: EngineOptions, name: str) -> Transaction:
        """Return who writes records as one."""
        return _Transaction(self.ledger)


class _Transaction:
    """Some records that are written together."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._messages: list[Message] = []

    def write(self, message: Message) -> None:
        """Have it written with the next commit."""
        self._messages.append(message)

    def commit(self) -> None:
        """Write them, and wait for the disk; raise ``LedgerError`` where nothing of it could be."""
        if self._messages:
            self._ledger.append(self._messages).result()
            self._messages = []

    def abort(self) -> None:
        """Forget them."""
        self._messages = []


class _Log:
    """One topic's only partition."""

    def __init__(self, ledger: Ledger, topic: str) -> None:
        self._ledger = ledger
        self._topic = topic

    def bounds(self) -> tuple[int, int]:
        """Return first offset and end."""
        return self._ledger.bounds(self._topic, 0)

    def block(self, start: int, end: int) -> list[tuple[int, bytes | None]]:
        """Return offset and value of the records of [start, end), oldest first."""
        found = self._ledger.read(self._topic, 0, start, end - start).records
        return [(record.offset, record.value) for record in found if record.offset < end]

    def close(self) -> None:
        """Nothing is open."""


class _Acknowledged:
    """What an acknowledgement says of a record, as ``confluent_kafka.Message`` does."""

    __slots__ = ("_offset", "_partition", "_topic")

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self._topic, self._partition, self._offset = topic, partition, offset

    def topic(self) -> str:
        """Physical topic."""
        return self._topic

    def partition(self) -> int:
        """Partition."""
        return self._partition

    def offset(self) -> int:
        """Offset."""
        return self._offset


class _Failed:
    """Why a record was not written, as ``confluent_kafka.KafkaError`` says it."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def str(self) -> str:
        """In words."""
        return str(self._error)

    __str__ = str


_Told = Callable[[Any, Any], None]


class LedgerProducer:
    """Appends records: what is handed over between two looks goes into the file together.

    It has the face of ``confluent_kafka.Producer`` (:class:`~stream.engine.backend.Producer`) and is used from one thread.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._entries: list[Message] = []
        self._tells: list[_Told] = []
        self._jobs: deque[tuple[Future[Ends], list[Message], list[_Told]]] = deque()
        self._waiting = 0

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        told: _Told,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Hand one record over; raise ``BufferError`` while too many wait."""
        if self._waiting >= _WAITING:
            raise BufferError("too many records wait for the disk")
        self._entries.append(Message(topic, value, key or b"", partition, headers))
        self._tells.append(told)
        self._waiting += 1

    def _submit(self) -> None:
        if self._entries and self._ledger.refusing:
            future: Future[Ends] = Future()
            future.set_exception(LedgerFull(f"the disk is nearly full where {self._ledger.path} is"))
            self._jobs.append((future, self._entries, self._tells))
            self._entries, self._tells = [], []
        elif self._entries:
            self._jobs.append((self._ledger.append(self._entries), self._entries, self._tells))
            self._entries, self._tells = [], []

    def poll(self, timeout: float) -> int:
        """Have what was handed over written, and tell of what is."""
        self._submit()
        if timeout and self._jobs:
            wait([self._jobs[0][0]], timeout)
        count = 0
        while self._jobs and self._jobs[0][0].done():
            future, entries, tells = self._jobs.popleft()
            self._waiting -= len(entries)
            count += len(entries)
            error = future.exception()
            ends = {} if error is not None else dict(future.result())
            for entry, told in zip(reversed(entries), reversed(tells), strict=True):
                key = entry.topic, entry.partition
                if error is not None:
                    told(_Failed(error), _Acknowledged(*key, -1))
                    continue
                ends[key] -= 1
                told(None, _Acknowledged(*key, ends[key]))
        return count

    def flush(self, timeout: float) -> int:
        """Wait until all is written, at most ``timeout`` seconds; return how many records are not."""
        self._submit()
        wait([future for future, _, _ in self._jobs], timeout)
        self.poll(0)
        return self._waiting

    def purge(self) -> None:
        """Give up what has not been handed to the ledger yet."""
        entries, tells = self._entries, self._tells
        self._entries, self._tells = [], []
        self._waiting -= len(entries)
        for entry, told in zip(entries, tells, strict=True):
            told(_Failed(TimeoutError("given up")), _Acknowledged(entry.topic, entry.partition, -1))

    def __len__(self) -> int:
        return self._waiting
