import asyncio
import threading
from typing import Any

import pytest

import stream.engine.on_kafka
from models.events.dead_letter import decode
from models.fold import LARGEST_ROW, Changes, Output, Record, Row
from models.sizes import LARGEST_RECORD
from stream.engine.blocking_thread import BlockingThread
from stream.engine.chunks import Ownership
from stream.engine.errors import TransactionFailed
from stream.engine.fold_partition import FoldPartition, fold_records
from stream.engine.lane import Lane
from stream.engine.options import EngineOptions
from stream.engine.topic_list import Topic
from tests.stream.engine.counting import TOPICS, Adder, adder

TOKEN = Ownership(1, "me", "g")


class Stuck:
    """The first writer never comes back; those after it do."""

    made: list["Stuck"]
    may_have_committed = False

    def __init__(self, *_: Any) -> None:
        self.made.append(self)
        self.written: dict[tuple[str, int], int] = {}
        self.giving_up = False
        self.transactional_id = "g-0-state"
        self.calls: list[str] = []
        self.release = threading.Event()

    def open(self) -> None:
        self.calls.append("open")

    def commit(self, batch: Any, token: Ownership) -> None:
        self.calls.append("commit")
        if self is self.made[0]:
            self.release.wait(120)

    def stuck(self) -> bool:
        return self is self.made[0] and "commit" in self.calls

    def abandon(self) -> bool:
        self.calls.append("abandon")
        return not self.may_have_committed

    def close(self) -> None:
        pass


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> type[Stuck]:
    made = type("Made", (Stuck,), {"made": []})
    monkeypatch.setattr(stream.engine.on_kafka, "KafkaWriter", made)
    return made


class Told:
    def __init__(self) -> None:
        self.committed: list[list[FoldPartition]] = []
        self.failures: list[BaseException] = []


def lane_with_a_change(told: Told, partitions: int = 1, revoking: bool = False, topics: tuple[Topic, ...] = TOPICS) -> Lane:
    lane = Lane(
        "state",
        EngineOptions(brokers="b:1", topics=topics),
        token=lambda: TOKEN,
        revoking=lambda: revoking,
        still_ours=lambda token: True,
        committed=lambda lane, slots: told.committed.append(slots),
        fenced=lambda error, token: told.failures.append(error),
        failed=told.failures.append,
        left=lambda lane: 0,
    )
    for partition in range(partitions):
        slot = FoldPartition(adder(), partition, "changelog", Adder(partition))
        slot.next = {"numbers": 5}
        lane.touch(slot)
    return lane


class Prompt(Stuck):
    """A writer that commits at once, and keeps what it was given."""

    batches: list[Any]

    def commit(self, batch: Any, token: Ownership) -> None:
        self.batches.append(batch)

    def stuck(self) -> bool:
        return False


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    batches: list[Any] = []
    monkeypatch.setattr(stream.engine.on_kafka, "KafkaWriter", type("Made", (Prompt,), {"made": [], "batches": batches}))
    return batches


async def test_what_is_folded_while_the_snapshot_is_taken_is_in_the_next_one(batches: list[Any]) -> None:
    told = Told()
    lane = lane_with_a_change(told, partitions=2)
    first, second = lane._touched
    checkpoint = asyncio.create_task(lane.checkpoint())
    await asyncio.sleep(0)  # the first partition is taken, the loop is let go
    for slot in (first, second):
        slot.next = {"numbers": 7}
        lane.touch(slot)
    assert await checkpoint
    assert [position[2] for position in batches[0].positions] == [5, 7], "each with the position of its own moment"
    assert await lane.checkpoint()
    assert [position[2] for position in batches[1].positions] == [7], "the second was already at 7"


async def test_a_snapshot_of_memory_that_is_gone_is_not_written(batches: list[Any]) -> None:
    lane = lane_with_a_change(Told(), partitions=2)
    checkpoint = asyncio.create_task(lane.checkpoint())
    await asyncio.sleep(0)
    lane.discard()
    assert not await checkpoint
    assert batches == []


async def test_after_the_last_checkpoint_of_an_ownership_none_is_begun(batches: list[Any]) -> None:
    lane = lane_with_a_change(Told(), revoking=True)
    assert not await lane.checkpoint()
    assert batches == []
    assert await lane.checkpoint(last=True), "what was touched is still to be written"
    assert len(batches) == 1


async def test_a_stuck_producer_is_replaced_and_the_same_batch_is_written(writers: type[Stuck]) -> None:
    told = Told()
    lane = lane_with_a_change(told)
    async with asyncio.timeout(120):
        assert await lane.checkpoint()
    first, second = writers.made
    assert first.calls == ["commit", "abandon"]
    assert second.calls == ["open", "commit"]
    assert len(told.committed) == 1
    first.release.set()


async def test_a_stuck_commit_stops_the_engine_because_nobody_knows(writers: type[Stuck]) -> None:
    writers.may_have_committed = True
    told = Told()
    lane = lane_with_a_change(told)
    assert not await lane.checkpoint()
    [failure] = told.failures
    assert isinstance(failure, TransactionFailed)
    assert "whether it happened shows when restored" in str(failure)
    writers.made[0].release.set()


async def test_a_courier_brings_results_and_errors_one_after_the_other() -> None:
    courier = BlockingThread("test", asyncio.get_running_loop())
    order: list[int] = []
    futures = [courier.submit(order.append, number) for number in range(5)]
    await asyncio.gather(*futures)
    assert order == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        await courier.submit(lambda: 1 // 0)
    courier.close()


async def test_what_is_too_large_for_its_topic_is_left_out_of_the_transaction(batches: list[Any]) -> None:
    told = Told()
    lane = lane_with_a_change(told, topics=(*TOPICS, Topic("dead-letters", partitioned=False)))
    [slot] = lane._touched
    large = b"7" * (LARGEST_ROW + 1)
    slot.fold.changes = lambda: Changes([Row(b"a", large), Row(b"b", b"1")], [Output("sums", b"a", large)])  # type: ignore[method-assign]
    assert await lane.checkpoint()
    [batch] = batches
    assert [row.key for row in batch.rows] == [b"b", b"@numbers"], "its position moves on: no restart meets the record again"
    assert [output.topic for output in batch.outputs] == ["dead-letters", "dead-letters"]
    assert not told.failures


def test_a_record_that_is_too_large_for_its_fold_is_a_dead_letter_of_the_next_checkpoint() -> None:
    slot = FoldPartition(adder(), 0, "changelog", Adder(0))
    slot.fold.fold = lambda records: heard.extend(records)  # type: ignore[method-assign]
    heard: list[Record] = []
    records = [Record("alerts", 0, n, 0, b"k", b"7" * size, ()) for n, size in enumerate((10, LARGEST_RECORD, 20))]
    fold_records(slot, records)
    assert [record.offset for record in heard] == [0, 2]
    changes, _ = slot.sizes.fit(Changes([], []), 0)
    [letter] = [decode(output.value or b"") for output in changes.outputs]
    assert (letter.id, letter.reason, letter.cut) == ("alerts-0-1", "too_large", ["value"])
