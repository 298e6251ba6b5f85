import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiokafka.consumer.fetcher
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from faust.types import TP

from models.fold import AHEAD_OF_CLOCK, Record
from stream.engine.chunks import Chunk, split
from stream.engine.pace import SMALL_BURST, FetchPace
from stream.engine.seam import Batches, Fetched
from stream.engine.transport import GATHERED, ChunkConsumer, ChunkConsumerThread, Taken

WHERE = TopicPartition("p.numbers", 0)


NOW = 1_780_000_000_000


def batch(first: int, count: int, *, by_broker: int | None = None) -> bytes:
    """Records stamped 1000, 1001, … by their producer, or at ``by_broker`` (ms) by the broker."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for i in range(count):
        builder.append(i, timestamp=1000 + i, key=b"k%d" % (first + i), value=b"1", headers=[("h", b"x")])
    raw = bytearray(builder.build())
    raw[:8] = first.to_bytes(8, "big")  # the broker sets the base offset
    if by_broker is not None:
        raw[22] |= 0b1000  # what the broker does where the topic says LogAppendTime: the type, and the time of all records
        raw[35:43] = by_broker.to_bytes(8, "big")
        raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


class Fetcher:
    """The parts of aiokafka's fetcher that hold what has been fetched."""

    def __init__(self) -> None:
        self._subscriptions = SubscriptionState()
        self._subscriptions.assign_from_user([WHERE])
        self.assignment = self._subscriptions.subscription.assignment
        self._records: dict[TopicPartition, Any] = {}
        self._wait_consume_future = None
        self._closed = False
        self._fetch_min_bytes = 0

    def _notify(self, future: Any) -> None:
        pass

    def seek(self, offset: int) -> None:
        self.assignment.state_value(WHERE).seek(offset)

    def arrives(self, fetched_from: int, data: bytes) -> None:
        records = PartitionRecords(WHERE, Batches(data), [], fetched_from, None, None, True, 1)
        self._records[WHERE] = FetchResult(WHERE, assignment=self.assignment, partition_records=records, backoff=0)


@pytest.fixture
async def fetcher() -> Fetcher:
    return Fetcher()


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChunkConsumerThread]:
    monkeypatch.setattr("stream.engine.transport.wall_clock", lambda: NOW)
    thread = ChunkConsumerThread.__new__(ChunkConsumerThread)
    options = SimpleNamespace(logical=lambda name: name.removeprefix("p."))
    thread.app = SimpleNamespace(driver=SimpleNamespace(options=options))
    thread.consumer = SimpleNamespace(flow_active=True)
    yield thread


def drain(thread: ChunkConsumerThread, fetcher: Fetcher, active: set[TP]) -> Taken:
    return thread._drain(Fetched(fetcher), active)


ACTIVE = {TP(*WHERE)}


async def test_a_chunk_has_the_positions_before_and_after_it(fetcher: Fetcher, thread: ChunkConsumerThread) -> None:
    fetcher.seek(5)
    fetcher.arrives(5, batch(5, 3))
    [(tp, chunk)] = drain(thread, fetcher, ACTIVE).chunks
    assert tp == TP("p.numbers", 0)
    assert (chunk.start, chunk.end) == (5, 8)
    assert chunk.records[0] == Record("numbers", 0, 5, NOW, b"k5", b"1", [("h", b"x")], NOW)
    assert [record.offset for record in chunk.records] == [5, 6, 7]


@pytest.mark.parametrize(
    ("stamp", "arrived"),
    [
        (None, NOW),  # whatever a producer has written, an hour ago or in 1970, is no time of arrival
        (NOW - 3_600_000, NOW - 3_600_000),  # the broker's word is
        (NOW + 400 * 86_400_000, NOW + AHEAD_OF_CLOCK),  # as far as this machine's clock can follow it
    ],
)
async def test_arrival_is_the_brokers_word_or_this_machines_never_a_producers(
    fetcher: Fetcher, thread: ChunkConsumerThread, stamp: int | None, arrived: int
) -> None:
    fetcher.seek(0)
    fetcher.arrives(0, batch(0, 2, by_broker=stamp))
    [(_, chunk)] = drain(thread, fetcher, ACTIVE).chunks
    assert [(record.timestamp, record.read) for record in chunk.records] == [(arrived, NOW)] * 2


async def test_a_header_whose_name_is_not_utf_8_ends_nobody(fetcher: Fetcher, thread: ChunkConsumerThread) -> None:
    strange = bytearray(batch(0, 5))
    for place in (0, 2):  # the first, and the third of those that are left
        strange[_nth(strange, b"\x02h", place) + 1] = 0xFF
    strange[17:21] = calc_crc32c(bytes(strange[21:])).to_bytes(4, "big")
    later = bytearray(strange)
    later[:8] = (7).to_bytes(8, "big")
    fetcher.seek(0)
    fetcher.arrives(0, bytes(strange) + batch(5, 2) + bytes(later) + batch(12, 1))
    [(_, chunk)] = drain(thread, fetcher, ACTIVE).chunks
    assert (chunk.start, chunk.end) == (0, 13)
    assert [record.offset for record in chunk.records] == list(range(13))
    odd = [record.offset for record in chunk.records if record.headers == [(r"\xff", b"x")]]
    assert odd == [0, 3, 7, 10]
    assert aiokafka.consumer.fetcher.MemoryRecords is Batches, "what the real fetcher reads with"
    assert all(record.headers == [("h", b"x")] for record in chunk.records if record.offset not in odd)


def _nth(found: bytes | bytearray, what: bytes, count: int) -> int:
    """Return where ``what`` is found for the ``count``-th time, from 0."""
    place = -1
    for _ in range(count + 1):
        place = found.index(what, place + 1)
    return place


async def test_compacted_and_control_records_lie_inside_a_chunk(fetcher: Fetcher, thread: ChunkConsumerThread) -> None:
    fetcher.seek(2)
    fetcher.arrives(2, batch(5, 1) + batch(9, 1))
    [(_, chunk)] = drain(thread, fetcher, ACTIVE).chunks
    assert (chunk.start, chunk.end, [r.offset for r in chunk.records]) == (2, 10, [5, 9])


async def test_chunks_follow_each_other_without_a_gap(fetcher: Fetcher, thread: ChunkConsumerThread) -> None:
    fetcher.seek(0)
    ends = [0]
    for first, count in ((0, 2), (4, 1), (5, 3)):
        fetcher.arrives(ends[-1], batch(first, count))
        [(_, chunk)] = drain(thread, fetcher, ACTIVE).chunks
        assert chunk.start == ends[-1]
        ends.append(chunk.end)
    assert ends == [0, 2, 5, 8]


async def test_a_fetch_that_was_under_way_during_a_seek_is_dropped(fetcher: Fetcher, thread: ChunkConsumerThread) -> None:
    fetcher.seek(100)
    fetcher.arrives(100, batch(100, 5))
    fetcher.seek(40)
    assert drain(thread, fetcher, ACTIVE).chunks == []
    assert fetcher._records == {}


async def test_nothing_is_taken_while_the_flow_is_off_or_the_partition_is_not_active(
    fetcher: Fetcher, thread: ChunkConsumerThread
) -> None:
    fetcher.seek(0)
    fetcher.arrives(0, batch(0, 1))
    assert drain(thread, fetcher, set()).chunks == []
    thread.consumer.flow_active = False
    assert drain(thread, fetcher, ACTIVE).chunks == []
    thread.consumer.flow_active = True
    assert len(drain(thread, fetcher, ACTIVE).chunks) == 1


async def test_an_offset_that_the_log_no_longer_has_is_an_error_of_its_partition(
    fetcher: Fetcher, thread: ChunkConsumerThread
) -> None:
    fetcher._records[WHERE] = FetchError(error=OffsetOutOfRangeError({WHERE: 3}), backoff=0)
    taken = drain(thread, fetcher, ACTIVE)
    assert taken.chunks == []
    [(tp, error)] = taken.errors
    assert tp == TP("p.numbers", 0)
    assert isinstance(error, OffsetOutOfRangeError)


async def test_what_the_broker_gathers_is_asked_for_with_the_next_fetch(
    fetcher: Fetcher, thread: ChunkConsumerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "fetched", lambda: Fetched(fetcher), raising=False)
    fetcher.seek(0)
    for least in (1, GATHERED, 1):
        fetcher.arrives(0, batch(0, 1))
        fetcher.seek(0)
        await thread._take(ACTIVE, 1.0, least)
        assert fetcher._fetch_min_bytes == least


class Steady(ChunkConsumer):
    """A consumer that finds one record each time it looks, all at one moment."""

    flow_active, should_stop, now = True, False, 1_000.0

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.given = 0
        self._pace = FetchPace()
        self._thread = SimpleNamespace(take=self.take)
        self.app = SimpleNamespace(consumer_generation_id=1)
        self.loop = SimpleNamespace(time=lambda: self.now)

    def active(self) -> set[TP]:
        return ACTIVE

    def queued(self) -> int:
        return 0

    async def take(self, active: set[TP], wait: float, least: int) -> Taken:
        self.asked.append(least)
        at = len(self.asked)
        return Taken([(TP(*WHERE), Chunk(at, at + 1, [Record("numbers", 0, at, 0, None, None, ())]))], [])

    async def callback(self, message: Any) -> None:
        self.given += 1


async def test_a_burst_passes_at_once_and_a_steady_trickle_is_gathered() -> None:
    consumer = Steady()
    for _ in range(SMALL_BURST + 5):
        await consumer.hand_over()
    assert consumer.asked == [1] * SMALL_BURST + [GATHERED] * 5
    consumer.now += 1  # a pause
    await consumer.hand_over()
    await consumer.hand_over()
    assert consumer.asked[-1] == 1
    assert consumer.given == SMALL_BURST + 7


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_splitting_keeps_the_chain_and_the_records(most: int) -> None:
    records = [Record("t", 0, offset, 0, None, None, ()) for offset in (3, 4, 7, 9, 10, 20)]
    pieces = split(Chunk(1, 25, records), most)
    assert [record for piece in pieces for record in piece.records] == records
    assert pieces[0].start == 1
    assert pieces[-1].end == 25
    assert all(before.end == after.start for before, after in itertools.pairwise(pieces))
    assert all(len(piece.records) <= most for piece in pieces)
    assert all(piece.start <= record.offset < piece.end for piece in pieces for record in piece.records)
