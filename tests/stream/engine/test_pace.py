"""Checkpoints are made soon while little happens and seldom while there is a backlog; folds keep the loop for a turn at most."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from models.fold import Record
from stream.engine.backend import Message
from stream.engine.chunks import Chunk, cut, split
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.pace import (
    BACKLOG,
    FEW,
    MANY,
    MOST_BYTES,
    MOST_MESSAGES,
    SMALL_BURST,
    SMALL_FETCH,
    SMALL_RATE,
    TURN,
    CheckpointPace,
    FetchPace,
    Turn,
)
from tests.stream.engine.counting import Adder
from tests.stream.engine.test_driver import Bench, Broker, broker, chunk, next_of

__all__ = ["broker"]  # a fixture


def rows(count: int, size: int = 10) -> list[Message]:
    return [Message("t", b"x" * size, b"k", 0)] * count


def test_intervals_between_the_shortest_and_the_longest() -> None:
    pace = EngineOptions(brokers="b").pace("state")
    assert pace.interval == 0.25
    pace.taken(0.001, rows(10), [], left=0)
    assert pace.interval == pytest.approx(0.1)  # little happens
    pace.taken(0.01, rows(100), [], left=0)
    assert pace.interval == pytest.approx(0.17)  # it may take a tenth of the time, what its rows cost others included
    pace.taken(0.5, rows(1000), [], left=0)
    assert pace.interval == 0.25
    seen = []
    for _ in range(5):
        pace.folded(5_000)
        pace.taken(0.5, rows(1000), [], left=1_000_000)
        seen.append(pace.interval)
    assert seen == [0.5, 1.0, 2.0, 2.0, 2.0]  # a backlog
    pace.folded(5_000)
    pace.taken(0.5, rows(1000), [], left=4_999)
    assert pace.interval == 0.25  # what is on its way is no backlog
    pace.taken(0.001, rows(1), [], left=BACKLOG)
    assert pace.interval == pytest.approx(0.1)


def test_lanes_with_an_interval_of_their_own_are_never_sooner() -> None:
    options = EngineOptions(brokers="b", lane_intervals={"eager": 0.005, "slow": 1.0, "slower": 3.0})
    for lane, idle, busy in (("eager", 0.005, 0.25), ("slow", 1.0, 2.0), ("slower", 3.0, 3.0)):
        pace = options.pace(lane)
        pace.taken(0.0, rows(1), [], left=0)
        assert pace.interval == idle, lane
        for _ in range(10):
            pace.taken(0.0, rows(1), [], left=10**6)
        assert pace.interval == busy, lane
    assert options.pace("slower").fixed and not options.pace("eager").fixed
    assert EngineOptions(brokers="b", checkpoint_interval=60).pace("state").interval == 60


def test_a_checkpoint_is_made_before_it_is_too_large() -> None:
    pace = CheckpointPace(0.1, 0.25, 2.0)
    assert not pace.folded(499) and pace.folded(1)  # nothing is known yet
    pace.folded(9_500)
    pace.taken(0.1, rows(15_000), rows(5_000), left=10**6)  # two messages a record
    assert not pace.folded(MOST_MESSAGES // 2 - 1) and pace.folded(1)
    pace.taken(0.1, rows(10), [], left=10**6)
    pace.folded(100)
    pace.taken(0.1, rows(100, size=1024 * 1024 - 1), [], left=10**6)  # a megabyte a record
    assert not pace.folded(MOST_BYTES // (1024 * 1024) - 5) and pace.folded(10)


def test_a_turn_is_as_many_records_as_fit_into_it() -> None:
    turn = Turn()
    assert turn.records == 64
    turn.took(100, 0.002)
    assert turn.records == int(TURN / 0.00002)
    turn.took(1, 1.0)  # one that was very large is not the rule, but it is seen
    assert turn.records == FEW
    for _ in range(200):
        turn.took(1_000, 0.0001)
    assert turn.records == MANY


def test_pieces_of_a_chunk_are_the_chunk() -> None:
    records = [Record("t", 0, offset, 0, b"", b"", ()) for offset in (3, 4, 7, 9)]  # gaps: markers of transactions
    chunk = Chunk(1, 12, records)
    piece, left = cut(chunk, 2)
    assert piece == Chunk(1, 5, records[:2]) and left == Chunk(5, 12, records[2:])
    assert cut(chunk, 4) == (chunk, None)
    assert split(chunk, 3) == [Chunk(1, 8, records[:3]), Chunk(8, 12, records[3:])]


class Slow(Adder):
    """Takes a millisecond for each record."""

    def fold(self, records: Sequence[Record]) -> None:
        time.sleep(0.001 * len(records))
        super().fold(records)

    def tick(self, now: int) -> None:
        time.sleep(0.005)
        super().tick(now)


def slow() -> FoldSpec:
    return FoldSpec(name="add", topics=("numbers",), make=lambda partition: Slow(partition))


async def most_between_turns(work: asyncio.Task[None], done: Callable[[], int]) -> int:
    """Return how much is done at most while the loop does not get its turn: on a busy machine all takes longer."""
    most, last = 0, done()
    while not work.done():
        await asyncio.sleep(0)
        most, last = max(most, done() - last), done()
    work.result()
    return most


async def test_a_chunk_is_folded_piece_by_piece(broker: Broker) -> None:
    bench = Bench(broker, slow())
    await bench.assign(("numbers", 0))
    for start in (0, 200):  # the second time it is known how long a record takes
        whole = Chunk(start, start + 200, chunk(start, start + 200).records)
        taking = asyncio.create_task(bench.driver.feed.take("add", "numbers", 0, whole))
        most = await most_between_turns(taking, lambda: len(bench.fold().offsets))
    assert 0 < most < 100, "not the 200 of the chunk"
    assert next_of(bench).folded == 400 and bench.fold().sums == {b"k": 400}
    await bench.driver.stop()


async def test_what_is_left_of_a_chunk_after_a_rebalance_is_not_folded(broker: Broker) -> None:
    bench = Bench(broker, slow())
    await bench.assign(("numbers", 0))
    work = asyncio.create_task(bench.driver.feed.take("add", "numbers", 0, chunk(0, 300)))
    await asyncio.sleep(0.05)
    assert await bench.driver.revoked()
    folded = next_of(bench).folded
    ((_, _, written),) = bench.writer.batches[-1].positions
    assert 0 < written <= folded < 300, "in the middle of it"
    await work
    assert next_of(bench).folded == folded == len(bench.fold().offsets)
    await bench.driver.stop()


async def test_time_passes_for_all_folds_and_the_loop_goes_on_between_them(broker: Broker) -> None:
    bench = Bench(broker, slow())
    await bench.assign(("numbers", 0), ("numbers", 1))
    ticking = asyncio.create_task(bench.driver._tick_all())
    most = await most_between_turns(ticking, lambda: sum(len(bench.fold(partition).ticks) for partition in (0, 1)))
    assert most == 1, "a turn of the loop between the two"
    await bench.driver.stop()


def test_fetches_are_gathered_while_many_of_them_bring_little() -> None:
    pace, now = FetchPace(), 1_000.0
    for _ in range(SMALL_BURST - 1):  # what follows from one event passes at once
        pace.took(1, now)
        assert not pace.gathers
    pace.took(1, now)
    assert pace.gathers
    for _ in range(200):  # gathered ones are 20 ms apart: still more than are affordable
        now += 0.02
        pace.took(10, now)
        assert pace.gathers
    now += 1.5 / SMALL_RATE
    pace.took(0, now)
    assert not pace.gathers  # it is quiet again


def test_fetches_that_bring_much_or_come_seldom_are_never_gathered() -> None:
    much, seldom, now = FetchPace(), FetchPace(), 1_000.0
    for _ in range(1_000):
        now += 1.01 / SMALL_RATE
        seldom.took(1, now)
        much.took(SMALL_FETCH, now)
        much.took(SMALL_FETCH, now)
        assert not seldom.gathers and not much.gathers
