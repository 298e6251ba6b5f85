"""How do chunks come to the folds: each where the fold's state ends, none twice, and what the log has lost is said?"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from aiokafka.errors import OffsetOutOfRangeError

from stream.engine.chunks import Chunk, cut
from stream.engine.errors import EngineStopped
from stream.engine.fold_partition import FoldPartition, fold_records
from stream.engine.holdings import Holdings
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.pace import Turn

log = logging.getLogger(__name__)


class Feed:
    """Gives chunks to the folds in hand. Used on the event loop only.

    ``open()`` is whether anything may be folded now; ``touch`` is told of a fold that may have changed, ``folded`` of one that
    had so many records, ``moved`` that some position has, ``fail`` of what ends the engine; ``consumer()`` is who fetches.
    """

    def __init__(
        self,
        options: EngineOptions,
        holdings: Holdings,
        *,
        consumer: Callable[[], Any],
        open: Callable[[], bool],
        touch: Callable[[FoldPartition], None],
        folded: Callable[[FoldPartition, int], None],
        moved: Callable[[], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._options = options
        self._holdings = holdings
        self._consumer = consumer
        self._open = open
        self._touch = touch
        self._folded = folded
        self._turns: defaultdict[str, Turn] = defaultdict(Turn)
        self._moved = moved
        self._fail = fail
        self._seeks: set[asyncio.Task[None]] = set()
        #: (topic, partition) → how often offsets were lost, and how many.
        self.jumps: dict[tuple[str, int], tuple[int, int]] = {}

    async def drive(self, spec: FoldSpec, events: Any) -> None:
        """The body of an agent: take chunks from its Faust stream for ever."""
        logical = self._options.logical
        async for event in events.noack().events():
            message = event.message
            await self.take(spec.name, logical(message.topic), message.partition, event.value)

    async def take(self, name: str, topic: str, partition: int, chunk: Chunk) -> None:
        """Fold a chunk, piece by piece, and let the others have the loop after each."""
        left: Chunk | None = chunk
        while left is not None:
            piece, left = cut(left, self._turns[name].records)
            self.accept(name, topic, partition, piece)
            await asyncio.sleep(0)

    def accept(self, name: str, topic: str, partition: int, chunk: Chunk) -> None:
        """Fold a chunk if it begins where the state ends; cut off what was folded before; fetch again after a gap."""
        slot = self._holdings.all.get((name, partition))
        if slot is None or not self._open():
            return
        expected = slot.next[topic]
        if chunk.start != expected:
            if chunk.start > expected:
                self._seek_again(slot, topic, chunk)
                return
            if chunk.end <= expected:
                return
            chunk = Chunk(expected, chunk.end, [record for record in chunk.records if record.offset >= expected])
        slot.seeking = False
        if chunk.records:
            began = time.perf_counter()
            try:
                fold_records(slot, chunk.records)
            except EngineStopped as error:
                self._fail(error)
                return
            self._turns[name].took(len(chunk.records), time.perf_counter() - began)
            self._options.observer.folded(name, topic, len(chunk.records))
        slot.next[topic] = chunk.end
        self._folded(slot, len(chunk.records))
        self._moved()

    def _seek_again(self, slot: FoldPartition, topic: str, chunk: Chunk) -> None:
        """A chunk from beyond the state's end (under way during a seek): fetch from the end of the state on."""
        if slot.seeking:
            return  # more of the same that was queued
        slot.seeking = True
        log.info(
            "%s/%d: %s: have %d, got %d: fetched again", slot.spec.name, slot.partition, topic, slot.next[topic], chunk.start
        )
        seek = asyncio.create_task(self._consumer().seek_to(self._holdings.fetch_from(topic, slot.partition)))
        self._seeks.add(seek)
        seek.add_done_callback(self._seeks.discard)

    def positions(self) -> dict[Any, int]:
        """Where to fetch from, for all partitions in our hands."""
        positions: dict[Any, int] = {}
        for slot in self._holdings.all.values():
            slot.seeking = False
            for topic in slot.spec.topics:
                positions.update(self._holdings.fetch_from(topic, slot.partition))
        return positions

    async def failed(self, tp: Any, error: Exception) -> None:
        """A partition can't be fetched. Out of range: the log has lost what we had not folded; say it, and go on."""
        if not isinstance(error, OffsetOutOfRangeError):
            self._fail(EngineStopped(f"{tp.topic}/{tp.partition}: fetch: {error!r}"))
            return
        first, last = await self._consumer().bounds(tp)
        topic = self._options.logical(tp.topic)
        for slot in self._holdings.reading(topic, tp.partition):
            if first <= slot.next[topic] <= last:
                continue
            name, have = slot.spec.name, slot.next[topic]
            lost = first - have if have < first else have - last
            self._jumped(topic, tp.partition, lost)
            if have < first:
                log.error(
                    "%s/%d: %s: offsets %d to %d are gone from the log before they were folded (retention): %d lost",
                    topic, tp.partition, name, have, first - 1, lost,
                )  # fmt: skip
            else:
                log.error(
                    "%s/%d: %s: the log ends at %d, the state at %d (the topic was made anew or truncated): reading it all",
                    topic, tp.partition, name, last, have,
                )  # fmt: skip
            slot.next[topic] = first
            self._touch(slot)
        await self._consumer().seek_to(self._holdings.fetch_from(topic, tp.partition))
        self._moved()

    def _jumped(self, topic: str, partition: int, lost: int) -> None:
        times, offsets = self.jumps.get((topic, partition), (0, 0))
        self.jumps[topic, partition] = (times + 1, offsets + lost)
        self._options.observer.jumped(topic, partition, lost)
