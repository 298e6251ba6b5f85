"""Which names of Faust and aiokafka, that are nobody's promise, does the engine use, and how?

Everything private is touched here, under a name of ours: the transport and the restoration know these, and no ``_name``
of a library. What is used is listed in ``stream/engine/seam_names.py``, which is checked at the start, before this is imported.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import ConsumerStoppedError
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from faust.tables.manager import TableManager
from faust.tables.recovery import IllegalStateError, RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Tells the thread of an assignment where what it is can't change under our hands: in the coordinator's own thread."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Let the thread take note, then go on as Faust does."""
        self._thread.assigned()
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka lives."""

    def fetch_wait(self) -> float:
        """For how long the broker may hold back a fetch, seconds."""
        raise NotImplementedError

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes these; the consumer has not started yet, so its fetcher will be made with ours.
        consumer._fetch_max_wait_ms = int(self.fetch_wait() * 1000)
        consumer._isolation_level = "read_committed"
        consumer._auto_offset_reset = "none"
        return consumer

    def assigned(self) -> None:
        """There is a new assignment. Called in the thread."""

    def own(self) -> Any:
        """The aiokafka consumer; raise where there is none (yet, or any more)."""
        return self._ensure_consumer()

    def member(self) -> tuple[int, str, str]:
        """Generation, member id and group as the coordinator has them at this moment."""
        coordinator = self.own()._coordinator
        return coordinator.generation, coordinator.member_id, coordinator.group_id

    def fetched(self) -> "Fetched":
        """What has been fetched and not been taken; raise ``ConsumerStoppedError`` where the consumer is closed."""
        consumer = self.own()
        if consumer._closed or consumer._fetcher._closed:
            raise ConsumerStoppedError()
        return Fetched(consumer._fetcher)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector looks at commits, which we have none of."""


class Fetch(NamedTuple):
    """The records of one fetch and the client's positions before and after them, or why there are none."""

    start: int
    end: int
    records: list[Any]
    error: Exception | None = None


class Fetched:
    """The buffer of aiokafka's fetcher."""

    def __init__(self, of: Any) -> None:
        self._fetcher = of

    @property
    def closed(self) -> bool:
        """Whether the consumer was closed meanwhile."""
        return bool(self._fetcher._closed)

    @property
    def reassigning(self) -> bool:
        """Whether the group is at work on another assignment."""
        return bool(self._fetcher._subscriptions.reassignment_in_progress)

    def gather(self, least: int) -> None:
        """Have the broker gather so many bytes for each fetch from the next one on, as long as it may hold that back."""
        self._fetcher._fetch_min_bytes = least

    def reading(self) -> AbstractContextManager[Any]:
        """While in this context, aiokafka's max.poll.interval clock does not run."""
        context: AbstractContextManager[Any] = self._fetcher._subscriptions.fetch_context()
        return context

    def news(self) -> "asyncio.Future[None]":
        """A future that is done when there is something; its exception is what concerns the whole consumer."""
        waiter: asyncio.Future[None] = self._fetcher._create_fetch_waiter()
        return waiter

    def partitions(self) -> list[Any]:
        """Those of which something is there (aiokafka's ``TopicPartition``)."""
        return list(self._fetcher._records)

    def take(self, tp: Any, record: Callable[[Any, Any], Any]) -> Fetch | None:
        """Take what is there of a partition, its records made by ``record(tp, raw)``; None where it is out of date.

        aiokafka's own records have eleven fields and cost twice as much.
        """
        result = self._fetcher._records.pop(tp)
        try:
            if type(result) is fetcher.FetchError:
                return Fetch(0, 0, [], result._error)
            if type(result) is not fetcher.FetchResult:
                return None
            records = result._partition_records
            if records is None or not result.check_assignment(tp):
                return None
            start = records.next_fetch_offset
            records._consumer_record = record
            found = all_of(records)
            result._update_position()
            return Fetch(start, records.next_fetch_offset, found)
        finally:
            self._fetcher._notify(self._fetcher._wait_consume_future)


class Batches:
    """aiokafka's ``MemoryRecords``, with the bytes at hand: ``raw`` is a fetch, ``start`` where the present batch begins.

    Kafka says that the names of headers are UTF-8 and does not look; aiokafka raises in the middle of the batch, each time it is
    fetched, so that one such record would end every worker for ever. Batches are read as fast as ever, and only one that
    cannot be is read again, with what is not UTF-8 written out (``\\\\xff``).
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.start = self._next = 0
        self._batches: Any = MemoryRecords(raw)

    def size_in_bytes(self) -> int:
        """The size of all batches."""
        return len(self.raw)

    def has_next(self) -> bool:
        """Whether there is a whole further batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """The next batch."""
        self.start = self._next
        self._next += 12 + int.from_bytes(self.raw[self.start + 8 : self.start + 12], "big")
        return self._batches.next_batch()

    @property
    def end(self) -> int:
        """The offset after the present batch, records of it that were compacted away included."""
        return int(DefaultRecordBatch(self.raw[self.start : self._next]).next_offset)

    def again(self) -> Iterator[Any]:
        """The records of the present batch, header names that are not UTF-8 written out."""
        batch = _DefaultRecordBatchPy(self.raw[self.start : self._next])
        batch._maybe_uncompress()
        batch._buffer = _Lenient(batch._buffer)
        yield from batch


class _Lenient(bytearray):
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Lenient(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


def all_of(records: Any) -> list[Any]:
    """All records of a fetch (aiokafka's ``PartitionRecords``), whatever their headers are called."""
    found: list[Any] = []
    while True:
        try:
            found.extend(records)  # on an error, what came before it stays
            return found
        except UnicodeDecodeError:
            for record in records._records.again():
                if record.offset >= records.next_fetch_offset:
                    found.append(records._consumer_record(records._tp, record))
            records.next_fetch_offset = records._records.end
            records._records_iterator = records._unpack_records()


fetcher.MemoryRecords = Batches


class Consumer(driver.Consumer):
    """Faust's consumer, whose body is ours: :meth:`hand_over` for ever, in place of its one message after the other."""

    thread_class: ClassVar[type[ConsumerThread]]
    _thread: Any

    def _new_consumer_thread(self) -> ConsumerThread:
        return self.thread_class(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        return None  # Faust commits nothing: positions are committed with the state, in the checkpoint's transaction

    @property
    def thread(self) -> Any:
        """The thread, made by ``thread_class``."""
        return self._thread

    def active(self) -> set[TP]:
        """The partitions that are ours and not paused."""
        found: set[TP] = self._get_active_partitions()
        return found

    def queued(self) -> int:
        """Messages that wait for their agents."""
        channels = set().union(*self.app.topics._topic_name_index.values())
        return sum(channel.queue.qsize() for channel in channels)

    async def hand_over(self) -> None:
        """Give what has been fetched to the agents, once."""
        raise NotImplementedError

    async def _drain_messages(self, fetcher: Any) -> None:
        """The body of Faust's fetcher task."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self.hand_over()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise


class Restoration(Recovery):
    """In place of Faust's recovery: after each assignment, let the driver restore, then let the flow go on.

    It runs outside of the rebalance's callback, so heartbeats go on during a long restore; a new rebalance ends it.
    """

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                break
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                self._set_recovery_started()
                await self._wait(self.app.driver.restore())
                await self._wait(self.on_recovery_completed(generation))
            except (RebalanceAgain, IllegalStateError):
                continue
            except ServiceStopped:
                break
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.app.driver.fail(error)
                raise

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Changelogs are not read through Faust."""

    @Service.task
    async def _publish_stats(self) -> None:
        """The driver says what it restores."""


class Tables(TableManager):
    """Faust's table manager without its wait at the start, and with our restoration."""

    _recovery: Restoration | None = None

    @property
    def recovery(self) -> Restoration:
        """The service that restores."""
        if self._recovery is None:
            self._recovery = Restoration(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """As Faust does, without its second of sleep."""
        await self._update_channels()
        await self.recovery.start()


async def crashed(app: Any) -> None:
    """Return when a service of Faust's has crashed."""
    await app._crashed.wait()
