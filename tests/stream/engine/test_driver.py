import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from faust.types import TP

import stream.engine.restore
from models.fold import Changes, Record
from stream.engine.backend import Batch, GaveUp, Message, Restored
from stream.engine.chunks import Chunk, Ownership
from stream.engine.driver import Driver
from stream.engine.errors import EngineStopped, Fenced, FoldFailed, Replaced
from stream.engine.holdings import Position
from stream.engine.options import EngineOptions, FoldSpec, SilentObserver
from tests.stream.engine.counting import TOPICS, Adder, adder, latest
from tests.tools import eventually

FIRST = Ownership(5, "me", "g")


def at(offset: int, value: int = 1) -> Record:
    return Record("numbers", 0, offset, 0, b"k", b"%d" % value, ())


def chunk(start: int, end: int) -> Chunk:
    return Chunk(start, end, [at(offset) for offset in range(start, end)])


class Broker:
    """What the driver sees of the broker: changelogs, log bounds, and where the consumer was told to seek."""

    def __init__(self) -> None:
        self.changelogs: dict[tuple[str, int], Restored] = {}
        self.log_bounds: tuple[int, int] = (0, 1000)
        self.sought: list[dict[Any, int]] = []
        self.member: Ownership = FIRST
        self.restores = 0
        self.replayed: list[Record] = []

    def read_changelogs(self, options: Any, wanted: Any, cancelled: Any) -> dict[tuple[str, int], Restored]:
        self.restores += len(wanted)
        return {
            key: Restored(dict(self.changelogs[key].rows), dict(self.changelogs[key].positions))
            if key in self.changelogs
            else Restored({}, {})
            for key in wanted
        }

    def first_and_last(self, options: Any, wanted: Any) -> dict[tuple[str, int], tuple[int, int]]:
        return dict.fromkeys(wanted, self.log_bounds)

    def replay(self, options: Any, wanted: Any, fold: Any, cancelled: Any) -> dict[tuple[str, int], int]:
        for key in wanted:
            if self.replayed:
                fold(key, self.replayed)
        return {key: 40 for key in wanted}

    async def seek_to(self, positions: Mapping[Any, int]) -> None:
        self.sought.append(dict(positions))

    async def bounds(self, tp: Any) -> tuple[int, int]:
        return self.log_bounds

    def current(self) -> Ownership:
        return self.member

    def highwater(self, tp: Any) -> int:
        return 10


class Writer:
    """Commits at once, or as told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.tokens: list[Ownership] = []
        self.errors: list[Exception] = []
        self.giving_up = False
        self.written: dict[tuple[str, int], int] = {}
        self.arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        pass

    def commit(self, batch: Batch, token: Ownership) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(batch)
        self.tokens.append(token)
        self._loop.call_soon_threadsafe(self.arrived.set)

    def close(self) -> None:
        pass

    def stuck(self) -> bool:
        return False


class Seen(SilentObserver):
    def __init__(self) -> None:
        self.jumps: list[tuple[str, int, int]] = []

    def jumped(self, topic: str, partition: int, lost: int) -> None:
        self.jumps.append((topic, partition, lost))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    for name in ("read_changelogs", "first_and_last", "replay"):
        monkeypatch.setattr(stream.engine.restore, name, getattr(broker, name))
    return broker


class Bench:
    """A driver with fakes around it."""

    def __init__(self, broker: Broker, *specs: FoldSpec) -> None:
        self.observer = Seen()
        options = EngineOptions(
            brokers="nowhere:1",
            topics=TOPICS,
            partitions=2,
            observer=self.observer,
            clock=lambda: 777,
            tick_interval=3600,
            checkpoint_interval=3600,
        )
        self.driver = Driver(options, specs)
        self.driver.consumer = broker
        self.writers: dict[str, Writer] = {}
        for lane in self.driver.lanes.values():
            lane.writer = self.writers[lane.name] = Writer()  # type: ignore[assignment]
        self.writer = self.writers[specs[0].lane]
        self.broker = broker

    async def assign(self, *tps: tuple[str, int], token: Ownership | None = FIRST) -> None:
        self.driver.rebalanced([TP(*tp) for tp in tps], token)
        if token is not None:
            self.broker.member = token
        await self.driver.restore()

    def fold(self, partition: int = 0, name: str = "add") -> Adder:
        fold = self.driver.fold_of(name, partition)
        assert isinstance(fold, Adder)
        return fold


@pytest.fixture
async def bench(broker: Broker) -> AsyncIterator[Bench]:
    bench = Bench(broker, adder())
    await bench.assign(("numbers", 0))
    await bench.driver.checkpoint("state")  # pins the position at which the fresh partition began
    bench.writer.batches.clear()
    bench.writer.tokens.clear()
    bench.fold().durable_calls = 0
    yield bench
    await bench.driver.stop()


def next_of(bench: Bench, name: str = "add", topic: str = "numbers", partition: int = 0) -> Position:
    return bench.driver.positions()[name, topic, partition]


async def test_chunks_that_follow_the_state_are_folded(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 5))
    assert bench.fold().offsets == [0, 1, 2, 3, 4]
    assert next_of(bench) == Position(5, 0)


async def test_a_chunk_that_comes_again_is_not_folded_again(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.driver.feed.accept("add", "numbers", 0, chunk(1, 6))
    assert bench.fold().offsets == [0, 1, 2, 3, 4, 5]
    assert next_of(bench).folded == 6


async def test_a_chunk_from_beyond_the_state_is_dropped_and_fetched_again_once(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.driver.feed.accept("add", "numbers", 0, chunk(10, 12))
    bench.driver.feed.accept("add", "numbers", 0, chunk(12, 14))
    await asyncio.sleep(0)
    assert bench.fold().offsets == [0, 1, 2]
    assert bench.broker.sought == [{TP("numbers", 0): 3}]
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 10))
    bench.driver.feed.accept("add", "numbers", 0, chunk(20, 21))
    await asyncio.sleep(0)
    assert bench.broker.sought[1:] == [{TP("numbers", 0): 10}]


async def test_a_chunk_without_records_moves_the_position(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, Chunk(0, 2, []))
    assert next_of(bench).folded == 2
    assert await bench.driver.checkpoint("state")
    assert bench.writer.batches[0].positions == [("numbers", 0, 2)]


async def test_a_fresh_partition_begins_where_the_log_begins(broker: Broker) -> None:
    broker.log_bounds = (17, 20)
    bench = Bench(broker, adder())
    await bench.assign(("numbers", 1))
    assert bench.driver.feed.positions() == {TP("numbers", 1): 17}


async def test_state_and_position_come_back_from_the_changelog(broker: Broker) -> None:
    broker.changelogs["vigie-add-changelog", 1] = Restored({b"k": b"5"}, {"numbers": 30})
    bench = Bench(broker, adder())
    await bench.assign(("numbers", 1))
    assert bench.fold(1).sums == {b"k": 5}
    assert bench.fold(1).was_live
    assert bench.driver.feed.positions() == {TP("numbers", 1): 30}
    assert next_of(bench, partition=1) == Position(30, 30)


async def test_one_checkpoint_has_rows_outputs_and_positions(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    assert await bench.driver.checkpoint("state")
    [batch] = bench.writer.batches
    assert set(batch.rows) == {
        Message("vigie-add-changelog", b"3", b"k", 0),
        Message("vigie-add-changelog", b"3", b"@numbers", 0),
    }
    assert batch.outputs == [Message("sums", b"3", b"k", 0)]
    assert batch.positions == [("numbers", 0, 3)]
    assert bench.writer.tokens == [FIRST]
    assert next_of(bench) == Position(3, 3)
    assert bench.fold().durable_calls == 1
    assert await bench.driver.checkpoint("state")
    assert len(bench.writer.batches) == 1, "nothing has changed"


async def test_a_row_that_is_removed_is_a_tombstone(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, Chunk(0, 2, [at(0, 4), at(1, -4)]))
    await bench.driver.checkpoint("state")
    assert Message("vigie-add-changelog", None, b"k", 0) in bench.writer.batches[0].rows


NEXT = FIRST._replace(generation=6)


@pytest.mark.parametrize(
    ("token", "kept"),
    [
        (NEXT, True),
        (FIRST._replace(generation=7), False),
        (FIRST._replace(generation=6, member="someone else"), False),
        (FIRST, False),
    ],
    ids=["the next generation", "one was missed", "another member", "the same generation"],
)
async def test_memory_stays_only_over_exactly_the_next_generation(bench: Bench, token: Ownership, kept: bool) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    before = bench.fold()
    await bench.driver.revoked()
    assert len(bench.writer.batches) == 1, "the last checkpoint"
    await bench.assign(("numbers", 0), token=token)
    assert (bench.fold() is before) is kept


async def test_memory_goes_when_the_checkpoint_at_the_revocation_failed(bench: Bench, broker: Broker) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    before = bench.fold()
    bench.writer.errors = [GaveUp()]
    await bench.driver.revoked()
    await bench.assign(("numbers", 0), token=NEXT)
    assert bench.fold() is not before
    assert bench.fold().sums == {}
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 1))
    await bench.driver.checkpoint("state")
    assert bench.writer.batches[0].positions == [("numbers", 0, 1)], "nothing of the old snapshot is written"


async def test_memory_goes_when_there_was_no_revocation(bench: Bench) -> None:
    before = bench.fold()
    await bench.assign(("numbers", 0), token=NEXT)
    assert bench.fold() is not before


async def test_partitions_that_leave_are_forgotten(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    await bench.driver.revoked()
    await bench.assign(("numbers", 1), token=NEXT)
    assert bench.driver.fold_of("add", 0) is None
    assert bench.driver.fold_of("add", 1) is not None
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 4))


async def test_nothing_is_folded_or_written_without_a_token(bench: Bench) -> None:
    bench.driver.rebalanced([TP("numbers", 0)], None)
    await bench.driver.restore()
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    assert not await bench.driver.checkpoint("state")
    assert bench.writer.batches == []


async def test_a_refused_checkpoint_stops_the_engine_and_says_why(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.writer.errors = [Fenced("the broker refused it")]
    assert not await bench.driver.checkpoint("state")
    with pytest.raises(Fenced, match="refused"):
        bench.driver.failure.result()
    status = bench.driver.status()
    assert (status["state"], status["last_error"]) == ("stopped-fenced", "the broker refused it")
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 4))
    assert bench.fold().offsets == [0, 1, 2]


async def test_a_refusal_at_the_revocation_means_restoring_not_stopping(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.writer.errors = [Fenced("unknown member")]
    await bench.driver.revoked()
    assert not bench.driver.failure.done()
    assert bench.driver.status()["last_error"] == "unknown member"
    await bench.assign(("numbers", 0), token=NEXT)
    assert bench.fold().offsets == []
    assert bench.driver.status()["last_error"] is None


async def test_a_lane_that_has_lost_all_its_partitions_no_longer_says_what_was_wrong(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.writer.errors = [Fenced("unknown member")]
    await bench.driver.revoked()
    assert bench.driver.status()["lanes"]["state"]["last_error"] == "unknown member"
    await bench.assign(token=NEXT)  # the partitions are another worker's now
    assert bench.driver.status()["lanes"]["state"]["last_error"] is None


async def test_another_worker_of_the_same_name_stops_the_engine_even_at_the_revocation(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.writer.errors = [Replaced("twin")]
    await bench.driver.revoked()
    with pytest.raises(Replaced):
        bench.driver.failure.result()


async def test_a_fold_that_raises_stops_the_engine_and_names_the_place(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, Chunk(0, 1, [at(0)._replace(value=b"no number")]))
    with pytest.raises(FoldFailed, match=r"add at numbers/0 from offset 0: fold\(\) raised ValueError"):
        bench.driver.failure.result()
    assert next_of(bench).folded == 0


async def test_what_retention_took_is_counted_logged_and_shown(
    bench: Bench, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    broker.log_bounds = (50, 60)
    await bench.driver.feed.failed(TP("numbers", 0), OffsetOutOfRangeError({}))
    assert "offsets 3 to 49 are gone from the log" in caplog.text
    assert bench.observer.jumps == [("numbers", 0, 47)]
    assert bench.driver.status()["jumps"] == {"numbers/0": {"times": 1, "offsets_lost": 47}}
    assert broker.sought == [{TP("numbers", 0): 50}]
    bench.driver.feed.accept("add", "numbers", 0, chunk(50, 51))
    assert bench.fold().offsets == [0, 1, 2, 50]


async def test_a_log_that_is_shorter_than_the_state_is_read_again_from_its_beginning(
    bench: Bench, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 9))
    broker.log_bounds = (0, 4)
    await bench.driver.feed.failed(TP("numbers", 0), OffsetOutOfRangeError({}))
    assert "the log ends at 4, the state at 9" in caplog.text
    assert broker.sought == [{TP("numbers", 0): 0}]


async def test_a_partition_that_may_not_be_read_stops_the_engine(bench: Bench) -> None:
    await bench.driver.feed.failed(TP("numbers", 0), TopicAuthorizationFailedError("numbers"))
    with pytest.raises(EngineStopped, match="numbers/0: fetch"):
        bench.driver.failure.result()


async def test_two_folds_of_one_topic_each_go_on_where_they_are(broker: Broker) -> None:
    broker.changelogs["vigie-slow-changelog", 0] = Restored({}, {"numbers": 2})
    broker.changelogs["vigie-fast-changelog", 0] = Restored({}, {"numbers": 4})
    bench = Bench(broker, adder("slow"), adder("fast"))
    await bench.assign(("numbers", 0))
    assert bench.driver.feed.positions() == {TP("numbers", 0): 2}
    for name in ("slow", "fast"):
        bench.driver.feed.accept(name, "numbers", 0, chunk(2, 6))
    assert bench.fold(name="slow").offsets == [2, 3, 4, 5]
    assert bench.fold(name="fast").offsets == [4, 5]


async def test_a_fold_of_two_topics_has_a_position_in_each(broker: Broker) -> None:
    bench = Bench(broker, adder(topics=("numbers", "letters")))
    await bench.assign(("numbers", 0), ("letters", 0), ("numbers", 1))
    assert bench.driver.status()["partitions"] == {"add": [0]}, "partition 1 lacks a topic"
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 2))
    bench.driver.feed.accept("add", "letters", 0, chunk(0, 5))
    await bench.driver.checkpoint("state")
    assert set(bench.writer.batches[0].positions) == {("numbers", 0, 2), ("letters", 0, 5)}


async def test_a_replayed_fold_reads_its_topic_and_then_is_live(broker: Broker) -> None:
    broker.replayed = [Record("sums", 0, 3, 0, b"k", b"9", ())]
    bench = Bench(broker, latest())
    await bench.assign(("sums", 0))
    fold = bench.driver.fold_of("latest", 0)
    assert (fold.values, fold.is_live, fold.records_before_live) == ({b"k": b"9"}, True, 1)
    assert bench.driver.feed.positions() == {TP("sums", 0): 40}
    bench.driver.feed.accept("latest", "sums", 0, Chunk(40, 42, []))
    await bench.driver.checkpoint("light")
    assert bench.writer.batches[0].rows == [], "no changelog"
    assert bench.writer.batches[0].positions == [("sums", 0, 42)], "but fenced all the same"


async def test_poke_lets_time_pass_and_checkpoints_at_once(bench: Bench) -> None:
    await bench.driver.start()
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.driver.poke("add")
    async with asyncio.timeout(120):
        await bench.writer.arrived.wait()
    assert bench.fold().ticks == [777]


async def test_settled_forces_checkpoints_instead_of_waiting_for_the_interval(bench: Bench) -> None:
    await bench.driver.start()  # the interval (an hour) has begun with the fixture's checkpoint
    waiting = asyncio.create_task(bench.driver.settled({("numbers", 0): 4}))
    await asyncio.sleep(0)
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 5))
    async with asyncio.timeout(120):
        await waiting
    assert next_of(bench) == Position(5, 5)


async def test_settled_raises_what_stops_the_engine(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.driver.settled({("numbers", 0): 4}))
    await asyncio.sleep(0)
    bench.driver.fail(Fenced("over"))
    with pytest.raises(Fenced):
        await waiting


async def test_on_durable_comes_after_the_restore_and_after_each_commit_one_at_a_time(broker: Broker) -> None:
    calls: list[tuple[int, int]] = []
    running = 0
    most = 0

    async def told(partition: int, fold: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        calls.append((partition, len(fold.offsets)))
        await asyncio.sleep(0.005)
        running -= 1

    spec = FoldSpec(name="add", topics=("numbers",), make=Adder, on_durable=told)
    bench = Bench(broker, spec)
    await bench.assign(("numbers", 0))
    await asyncio.sleep(0)
    assert calls == [(0, 0)]
    for first in range(3):
        bench.driver.feed.accept("add", "numbers", 0, chunk(first, first + 1))
        await bench.driver.checkpoint("state")
    await eventually(lambda: calls[-1] == (0, 3) and not running)
    assert most == 1
    await bench.driver.stop()


async def test_an_abandoned_snapshot_is_written_again_before_a_new_one_is_taken(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    bench.writer.errors = [GaveUp()]
    assert not await bench.driver.checkpoint("state")
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 4))
    assert await bench.driver.checkpoint("state")
    assert await bench.driver.checkpoint("state")
    assert [batch.positions for batch in bench.writer.batches] == [[("numbers", 0, 3)], [("numbers", 0, 4)]]


async def test_changes_that_raise_stop_the_engine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Changes:
        raise ZeroDivisionError

    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    monkeypatch.setattr(bench.fold(), "changes", broken)
    await bench.driver.checkpoint("state")
    with pytest.raises(FoldFailed, match=r"add/0: changes\(\) raised ZeroDivisionError"):
        bench.driver.failure.result()


async def test_how_long_what_is_left_has_waited(bench: Bench) -> None:
    """The end is at 10; what was folded last had arrived at its own time, and before that all was folded."""
    asked = lambda now: bench.driver.holdings.behind(lambda tp: end[0], now)["numbers"]  # noqa: E731
    end = [0]
    assert asked(1_000_000) == (0, 0)
    # Nothing came for an hour, then ten at once: they have waited for a second, not for an hour.
    end[0] = 10
    assert asked(4_600_000) == (10, 3_600.0), "nobody has looked since"
    end[0] = 0
    assert asked(4_601_000) == (0, 0)
    end[0] = 10
    assert asked(4_602_000) == (10, 1.0)
    assert asked(4_605_000) == (10, 4.0)
    bench.driver.feed.accept("add", "numbers", 0, Chunk(0, 3, [at(offset)._replace(timestamp=4_603_000) for offset in range(3)]))
    assert asked(4_606_000) == (7, 3.0), "the oldest that is left came after those that are folded"
    bench.driver.feed.accept("add", "numbers", 0, chunk(3, 10))
    assert asked(4_700_000) == (0, 0)


async def test_lag_is_the_distance_to_the_end_of_the_log(bench: Bench) -> None:
    bench.driver.feed.accept("add", "numbers", 0, chunk(0, 3))
    assert bench.driver.lag() == {("numbers", 0): 7}
