"""How do records come from the broker to a fold, so that none is missed and none is taken twice?

A Faust transport, ``chunk://host:port``, over aiokafka. One Faust message is one *chunk*: what a fetch brought for one
partition, with the position before it (``start``) and the position after it (``end``). Both are the fetch positions of
the client, not offsets of records: what lies between and is no record (transaction markers, aborted and compacted
records) is accounted for. A fold takes a chunk only if it begins where its state ends, so a chunk that was under way
during a seek or a rebalance can't slip in, and none can be skipped.

Positions are given by the driver after each assignment; nothing is ever read from the group's commits. An offset that the
log no longer has is an error that reaches the driver (aiokafka is told to reset nothing by itself).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, cast

import aiokafka
from aiokafka.consumer.fetcher import FetchError, FetchResult
from aiokafka.errors import ConsumerStoppedError, KafkaError, NoOffsetForPartitionError
from faust.serializers.schemas import Schema
from faust.transport import drivers
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from models.fold import Record, arrival
from stream.engine.batches import all_of
from stream.engine.options import wall_clock

log = logging.getLogger(__name__)

#: Records of one chunk: bounds how long a fold keeps the event loop (2,000 × 5 µs = 10 ms).
MAX_RECORDS = 2_000
#: The type of a timestamp that is the broker's own (0, CreateTime, is the producer's).
_LOG_APPEND_TIME = 1
#: Chunks that wait for their fold, over all partitions, before fetching pauses.
MAX_QUEUED = 16


class Chunk(NamedTuple):
    """Consecutive records of one partition: all that the log holds from ``start`` up to, not including, ``end``."""

    start: int
    end: int
    records: list[Record]


class Ownership(NamedTuple):
    """Under which generation of the group, and as which member, partitions are owned: the fencing token."""

    generation: int
    member: str
    group: str


class RawSchema(Schema):
    """Chunks go to the agents as they are."""

    def __init__(self) -> None:
        super().__init__(key_type=None, value_type=None, key_serializer="raw", value_serializer="raw")

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The key as it is."""
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The chunk as it is."""
        return message.value


class Taken(NamedTuple):
    """What one look into the fetcher's buffer brought."""

    chunks: list[tuple[TP, Chunk]]
    errors: list[tuple[TP, Exception]]


def split(chunk: Chunk, most: int) -> list[Chunk]:
    """The same records in chunks of at most ``most``; the chain start → end stays whole."""
    if len(chunk.records) <= most:
        return [chunk]
    pieces = []
    start = chunk.start
    for first in range(0, len(chunk.records), most):
        records = chunk.records[first : first + most]
        last = first + most >= len(chunk.records)
        end = chunk.end if last else records[-1].offset + 1
        pieces.append(Chunk(start, end, records))
        start = end
    return pieces


def _maker(topic: str, partition: int, now: int) -> Callable[[Any, Any], Record]:
    """Makes records in the folds' own form, for aiokafka to call (its own have eleven fields and cost twice as much)."""
    new = tuple.__new__

    def record(tp: Any, raw: Any) -> Record:
        arrived = arrival(raw.timestamp, raw.timestamp_type == _LOG_APPEND_TIME, now)
        return new(Record, (topic, partition, raw.offset, arrived, raw.key, raw.value, raw.headers, now))

    return record


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Takes the token where it can't change under our hands: in the coordinator's own thread."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Remember generation and member id as they are at this assignment, then go on as Faust does."""
        coordinator = self._thread._ensure_consumer()._coordinator
        self._thread.ownership = Ownership(coordinator.generation, coordinator.member_id, coordinator.group_id)
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka lives."""

    ownership: Ownership | None = None

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes these; the consumer has not started yet, so its fetcher will be made with ours.
        consumer._fetch_max_wait_ms = int(self.app.driver.options.fetch_wait * 1000)
        consumer._isolation_level = "read_committed"
        consumer._auto_offset_reset = "none"
        return consumer

    async def on_thread_stop(self) -> None:
        """End the consumer. Without a broker aiokafka's own end trips over the tasks that it cancels; nothing is left to do."""
        try:
            await super().on_thread_stop()
        except (asyncio.CancelledError, KafkaError) as error:
            log.info("the consumer ended without a word to the broker: %r", error)

    def current(self) -> Ownership:
        """The member that the group knows us as at this moment (generation −1 and no id after a lost session)."""
        coordinator = self._ensure_consumer()._coordinator
        return Ownership(coordinator.generation, coordinator.member_id, coordinator.group_id)

    async def take(self, active: set[TP], wait: float) -> Taken:
        """All that has been fetched for the active partitions, waiting up to ``wait`` seconds for something."""
        return cast(Taken, await self.call_thread(self._take, active, wait))

    async def _take(self, active: set[TP], wait: float) -> Taken:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        # The fetch context keeps aiokafka's max.poll.interval clock from running while we wait.
        with fetcher._subscriptions.fetch_context():
            taken = self._drain(fetcher, active)
            if not taken.chunks and not taken.errors:
                waiter = fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([waiter], timeout=wait)
                if not done:
                    waiter.cancel()
                elif not fetcher._closed:
                    waiter.result()  # raises what concerns the whole consumer: authorisation
                    taken = self._drain(fetcher, active)
        return taken

    def _drain(self, fetcher: Any, active: set[TP]) -> Taken:
        chunks: list[tuple[TP, Chunk]] = []
        errors: list[tuple[TP, Exception]] = []
        logical = self.app.driver.options.logical
        now = wall_clock()
        if fetcher._subscriptions.reassignment_in_progress or not self.consumer.flow_active:
            return Taken(chunks, errors)
        for tp in list(fetcher._records):
            if tp not in active:
                continue
            result = fetcher._records.pop(tp)
            own = TP(tp.topic, tp.partition)
            if type(result) is FetchResult:
                records = result._partition_records
                if records is not None and result.check_assignment(tp):
                    start = records.next_fetch_offset
                    records._consumer_record = _maker(logical(tp.topic), tp.partition, now)
                    found = all_of(records)
                    result._update_position()
                    end = records.next_fetch_offset
                    if end > start:
                        chunks.append((own, Chunk(start, end, found)))
            elif type(result) is FetchError:
                errors.append((own, result._error))
            fetcher._notify(fetcher._wait_consume_future)
        return Taken(chunks, errors)

    async def seek_to(self, positions: Mapping[TP, int]) -> None:
        """Fetch from these positions on; partitions that are no longer ours are left out."""
        await self.call_thread(self._seek_to, dict(positions))

    async def _seek_to(self, positions: dict[TP, int]) -> None:
        consumer = self._ensure_consumer()
        mine = consumer.assignment()
        for tp, offset in positions.items():
            own = aiokafka.TopicPartition(tp.topic, tp.partition)
            if own in mine:
                consumer.seek(own, offset)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """First offset that the log has, and the one after its last."""
        own = aiokafka.TopicPartition(tp.topic, tp.partition)
        consumer = self._ensure_consumer()
        first = await self.call_thread(consumer.beginning_offsets, [own])
        last = await self.call_thread(consumer.end_offsets, [own])
        return first[own], last[own]

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector looks at commits, which we have none of."""


class ChunkConsumer(driver.Consumer):
    """Faust's consumer with chunks for messages and with positions from the driver."""

    RebalanceListener: ClassVar[type[RebalanceListener]] = RebalanceListener
    _thread: ConsumerThread

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        return None  # Faust commits nothing: positions are committed with the state, in the checkpoint's transaction

    @property
    def ownership(self) -> Ownership | None:
        """The token of the latest assignment."""
        return self._thread.ownership

    def current(self) -> Ownership:
        """Who the group takes us for at this moment."""
        return self._thread.current()

    async def perform_seek(self) -> None:
        """Go where the restored state ends. Called by Faust before the flow is resumed after a rebalance."""
        await self._thread.seek_to(self.app.driver.fetch_positions())

    async def seek_to(self, positions: Mapping[TP, int]) -> None:
        """Fetch from these positions on."""
        await self._thread.seek_to(positions)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """First offset that the log has, and the one after its last."""
        return await self._thread.bounds(tp)

    def _queued(self) -> int:
        channels = set().union(*self.app.topics._topic_name_index.values())
        return sum(channel.queue.qsize() for channel in channels)

    async def _drain_messages(self, fetcher: Any) -> None:
        """The body of Faust's fetcher task: hand over chunks as long as the flow is on."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_once()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        # Faust's queues tell nobody when they empty: look, a thousand times a second, while there is more than enough
        while self._queued() >= MAX_QUEUED and self.flow_active and not self.should_stop:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        active = self._get_active_partitions()
        if not active:
            await asyncio.sleep(0.02)
            return
        generation = self.app.consumer_generation_id
        taken = await self._thread.take(active, 1.0)
        for tp, error in taken.errors:
            if not isinstance(error, NoOffsetForPartitionError):  # before the first seek: a position is on its way
                await self.app.driver.fetch_failed(tp, error)
        for tp, chunk in taken.chunks:
            for piece in split(chunk, MAX_RECORDS):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return  # a rebalance: perform_seek will come, and what is dropped here will be fetched again
                await self.callback(_message(tp, piece, generation))


def _message(tp: TP, chunk: Chunk, generation: int) -> Any:
    """A chunk as Faust's message: its offset is that of the last position it covers."""
    return ConsumerMessage(
        tp.topic, tp.partition, chunk.end - 1, 0.0, 0, [], None, chunk, None, 0, 0, tp, generation_id=generation
    )


class Transport(driver.Transport):
    """``chunk://``."""

    Consumer: ClassVar[type[ChunkConsumer]] = ChunkConsumer


drivers.TRANSPORTS.aliases["chunk"] = "stream.engine.chunks:Transport"
