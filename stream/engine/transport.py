"""How do records come from the broker to a fold, so that none is missed and none is taken twice?

A Faust transport, ``chunk://host:port``, over aiokafka. One Faust message is one :class:`~stream.engine.chunks.Chunk`.

Positions are given by the driver after each assignment; nothing is ever read from the group's commits. An offset that the
log no longer has is an error that reaches the driver (aiokafka is told to reset nothing by itself).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, cast

import aiokafka
from aiokafka.errors import KafkaError, NoOffsetForPartitionError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from models.fold import COPIED, Record, arrival
from stream.engine import seam
from stream.engine.chunks import MAX_RECORDS, Chunk, Ownership, split
from stream.engine.options import wall_clock
from stream.engine.pace import FetchPace

log = logging.getLogger(__name__)

#: The type of a timestamp that is the broker's own (0, CreateTime, is the producer's).
_LOG_APPEND_TIME = 1
#: Chunks that wait for their fold, over all partitions, before fetching pauses.
MAX_QUEUED = 16
#: What the broker gathers before it answers (bytes), at least, where little comes at a time: for at most ``fetch_wait``.
GATHERED = 64 * 1024


class Taken(NamedTuple):
    """What one look into the fetcher's buffer brought."""

    chunks: list[tuple[TP, Chunk]]
    errors: list[tuple[TP, Exception]]


def _maker(topic: str, partition: int, now: int) -> Callable[[Any, Any], Record]:
    """Makes records in the folds' own form, for aiokafka to call."""
    new = tuple.__new__

    def record(tp: Any, raw: Any) -> Record:
        arrived = arrival(raw.timestamp, raw.timestamp_type == _LOG_APPEND_TIME or COPIED in raw.headers, now)
        return new(Record, (topic, partition, raw.offset, arrived, raw.key, raw.value, raw.headers, now))

    return record


class ChunkConsumerThread(seam.ConsumerThread):
    """The thread in which aiokafka lives."""

    ownership: Ownership | None = None

    def fetch_wait(self) -> float:
        """For how long the broker may hold back a fetch, seconds."""
        return float(self.app.driver.options.fetch_wait)

    def assigned(self) -> None:
        """Remember generation and member id as they are at this assignment."""
        self.ownership = self.current()

    async def on_thread_stop(self) -> None:
        """End the consumer. Without a broker aiokafka's own end trips over the tasks that it cancels; nothing is left to do."""
        try:
            await super().on_thread_stop()
        except (asyncio.CancelledError, KafkaError) as error:
            log.info("the consumer ended without a word to the broker: %r", error)

    def current(self) -> Ownership:
        """The member that the group knows us as at this moment (generation −1 and no id after a lost session)."""
        return Ownership(*self.member())

    async def take(self, active: set[TP], wait: float, least: int) -> Taken:
        """All that has been fetched for the active partitions, waiting up to ``wait`` seconds for something.

        ``least`` is how many bytes the broker gathers for the next fetch, as long as it may hold that back.
        """
        return cast(Taken, await self.call_thread(self._take, active, wait, least))

    async def _take(self, active: set[TP], wait: float, least: int) -> Taken:
        fetched = self.fetched()
        fetched.gather(least)
        with fetched.reading():
            taken = self._drain(fetched, active)
            if not taken.chunks and not taken.errors:
                news = fetched.news()
                done, _ = await asyncio.wait([news], timeout=wait)
                if not done:
                    news.cancel()
                elif not fetched.closed:
                    news.result()  # raises what concerns the whole consumer: authorisation
                    taken = self._drain(fetched, active)
        return taken

    def _drain(self, fetched: seam.Fetched, active: set[TP]) -> Taken:
        taken = Taken([], [])
        logical = self.app.driver.options.logical
        now = wall_clock()
        if fetched.reassigning or not self.consumer.flow_active:
            return taken
        for tp in fetched.partitions():
            if tp not in active:
                continue
            found = fetched.take(tp, _maker(logical(tp.topic), tp.partition, now))
            if found is None:
                continue
            own = TP(tp.topic, tp.partition)
            if found.error is not None:
                taken.errors.append((own, found.error))
            elif found.end > found.start:
                taken.chunks.append((own, Chunk(found.start, found.end, found.records)))
        return taken

    async def seek_to(self, positions: Mapping[TP, int]) -> None:
        """Fetch from these positions on; partitions that are no longer ours are left out."""
        await self.call_thread(self._seek_to, dict(positions))

    async def _seek_to(self, positions: dict[TP, int]) -> None:
        consumer = self.own()
        mine = consumer.assignment()
        for tp, offset in positions.items():
            own = aiokafka.TopicPartition(tp.topic, tp.partition)
            if own in mine:
                consumer.seek(own, offset)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """First offset that the log has, and the one after its last."""
        own = aiokafka.TopicPartition(tp.topic, tp.partition)
        consumer = self.own()
        first = await self.call_thread(consumer.beginning_offsets, [own])
        last = await self.call_thread(consumer.end_offsets, [own])
        return first[own], last[own]


class ChunkConsumer(seam.Consumer):
    """Faust's consumer with chunks for messages and with positions from the driver."""

    RebalanceListener: ClassVar[type[seam.RebalanceListener]] = seam.RebalanceListener
    thread_class: ClassVar[type[ChunkConsumerThread]] = ChunkConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pace = FetchPace()

    @property
    def ownership(self) -> Ownership | None:
        """The token of the latest assignment."""
        found: Ownership | None = self.thread.ownership
        return found

    def current(self) -> Ownership:
        """Who the group takes us for at this moment."""
        return cast(Ownership, self.thread.current())

    async def perform_seek(self) -> None:
        """Go where the restored state ends. Called by Faust before the flow is resumed after a rebalance."""
        await self.thread.seek_to(self.app.driver.feed.positions())

    async def seek_to(self, positions: Mapping[TP, int]) -> None:
        """Fetch from these positions on."""
        await self.thread.seek_to(positions)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """First offset that the log has, and the one after its last."""
        return cast(tuple[int, int], await self.thread.bounds(tp))

    async def hand_over(self) -> None:
        """Give chunks to the agents, once the flow is on and there is room for more."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        # Faust's queues tell nobody when they empty: look, a thousand times a second, while there is more than enough
        while self.queued() >= MAX_QUEUED and self.flow_active and not self.should_stop:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        active = self.active()
        if not active:
            await asyncio.sleep(0.02)
            return
        generation = self.app.consumer_generation_id
        taken = await self.thread.take(active, 1.0, GATHERED if self._pace.gathers else 1)
        self._pace.took(sum(len(chunk.records) for _, chunk in taken.chunks), self.loop.time())
        for tp, error in taken.errors:
            if not isinstance(error, NoOffsetForPartitionError):  # before the first seek: a position is on its way
                await self.app.driver.feed.failed(tp, error)
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
