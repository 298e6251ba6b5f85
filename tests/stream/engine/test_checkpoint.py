import threading
import time
from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.engine.backend import Batch, GaveUp, Message
from stream.engine.checkpoint import CheckpointVerdict, KafkaWriter, group_metadata, verdict
from stream.engine.chunks import Ownership
from stream.engine.embedded import EmbeddedBroker
from stream.engine.errors import Fenced, Replaced, TransactionFailed
from stream.engine.options import EngineOptions
from stream.engine.topics import Physical

TOKEN = Ownership(7, "member-1", "group")
BATCH = Batch([Message("log", b"1", b"a", 0), Message("log", None, b"b", 0)], [Message("out", b"x", b"k", 2)], [("in", 0, 9)])

RETRIABLE = KafkaError(KafkaError._TIMED_OUT, "slow", retriable=True)
ABORTABLE = KafkaError(KafkaError.REQUEST_TIMED_OUT, "transaction timed out", txn_requires_abort=True)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost", fatal=True)
ZOMBIE = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "who are you", txn_requires_abort=True)
OLD = KafkaError(KafkaError.ILLEGAL_GENERATION, "too late", txn_requires_abort=True)
TWIN = KafkaError(KafkaError._FENCED, "a newer producer", fatal=True)


class FakeProducer:
    """librdkafka's transactional producer as its state machine sees it; ``script`` has the errors of coming calls."""

    def __init__(self, **script: list[KafkaError | None]) -> None:
        self.script = script
        self.calls: list[str] = []
        self.visible: list[tuple[str, bytes, bytes | None, int]] = []
        self.pending: list[tuple[str, bytes, bytes | None, int]] = []
        self.metas: list[bytes] = []
        self.offsets: list[tuple[str, int, int]] = []
        self.full = 0

    def _call(self, name: str) -> None:
        self.calls.append(name)
        errors = self.script.get(name, [])
        error = errors.pop(0) if errors else None
        if error is not None:
            raise KafkaException(error)

    def init_transactions(self, timeout: float) -> None:
        self._call("init")

    def begin_transaction(self) -> None:
        self._call("begin")
        self.pending = []

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        partition: int,
        done: Callable[..., None] | None = None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> None:
        if self.full:
            self.full -= 1
            raise BufferError
        self._call("produce")
        self.pending.append((topic, key, value, partition))
        if done is not None:
            done(None, Delivered(topic, partition, len(self.pending)))

    def poll(self, timeout: float) -> int:
        self.calls.append("poll")
        return 0

    def flush(self, timeout: float) -> int:
        self.calls.append("flush")
        return 0

    def send_offsets_to_transaction(self, offsets: list[Any], meta: bytes, timeout: float) -> None:
        self._call("offsets")
        self.metas.append(meta)
        self.offsets = [(tp.topic, tp.partition, tp.offset) for tp in offsets]

    def commit_transaction(self, timeout: float) -> None:
        self._call("commit")
        self.visible += self.pending

    def abort_transaction(self, timeout: float) -> None:
        self._call("abort")
        self.pending = []


class Delivered:
    def __init__(self, topic: str, partition: int, offset: int | None) -> None:
        self._values = topic, partition, offset

    def topic(self) -> str:
        return self._values[0]

    def partition(self) -> int:
        return self._values[1]

    def offset(self) -> int | None:
        return self._values[2]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def writer(producer: FakeProducer, *, ours: bool = True, reasons: list[str] | None = None) -> KafkaWriter:
    retried = (reasons if reasons is not None else []).append
    writer = KafkaWriter(EngineOptions(brokers="nowhere:1"), "state", lambda token: ours, retried, producer)
    writer.open()
    return writer


WRITTEN = [("log", b"a", b"1", 0), ("log", b"b", None, 0), ("out", b"k", b"x", 2)]


def test_one_transaction_with_the_flush_before_the_offsets() -> None:
    producer = FakeProducer()
    one = writer(producer)
    one.commit(BATCH, TOKEN)
    assert producer.calls == ["init", "begin", "produce", "produce", "produce", "flush", "offsets", "commit"]
    assert producer.visible == WRITTEN
    assert producer.metas == [group_metadata(TOKEN)]
    assert producer.offsets == [("in", 0, 9)]
    assert one.written == {("out", 2): 4}


def test_what_the_loop_iterates_is_not_changed_by_the_thread_that_writes() -> None:
    one = writer(FakeProducer())
    one.commit(BATCH, TOKEN)
    seen = []
    for topic, offset in one.written.items():  # as the driver does, on the event loop, at any moment
        seen.append((topic, offset))
        one.commit(Batch([], [Message("elsewhere", b"y", b"k", 0)], [("in", 0, 10)]), TOKEN)
    assert seen == [(("out", 2), 4)]
    assert one.written == {("out", 2): 4, ("elsewhere", 0): 2}


@pytest.mark.parametrize("where", ["init", "offsets", "commit"])
def test_a_retriable_error_repeats_the_same_call_only(where: str) -> None:
    reasons: list[str] = []
    producer = FakeProducer(**{where: [RETRIABLE, RETRIABLE]})
    writer(producer, reasons=reasons).commit(BATCH, TOKEN)
    assert producer.calls.count(where) == 3
    assert producer.calls.count("begin") == 1
    assert producer.visible == WRITTEN
    assert reasons == ["_TIMED_OUT"] * 2


@pytest.mark.parametrize("where", ["produce", "offsets", "commit"])
def test_an_abortable_error_aborts_and_writes_the_same_rows_again(where: str) -> None:
    producer = FakeProducer(**{where: [ABORTABLE]})
    writer(producer).commit(BATCH, TOKEN)
    assert producer.calls.count("abort") == 1
    assert producer.calls.count("begin") == 2
    assert producer.visible == WRITTEN


def test_what_was_aborted_is_not_written_again_once_the_partitions_are_others() -> None:
    producer = FakeProducer(commit=[ABORTABLE])
    with pytest.raises(Fenced, match=r"generation 7 as member member-1"):
        writer(producer, ours=False).commit(BATCH, TOKEN)
    assert producer.calls[-1] == "abort"
    assert producer.visible == []


@pytest.mark.parametrize("error", [ZOMBIE, OLD], ids=lambda error: error.name())
def test_a_refused_token_ends_the_worker_even_if_it_believes_to_own(error: KafkaError) -> None:
    producer = FakeProducer(offsets=[error])
    with pytest.raises(Fenced, match="nothing of it is visible"):
        writer(producer, ours=True).commit(BATCH, TOKEN)
    assert producer.visible == []
    assert producer.calls.count("begin") == 1


def test_another_worker_of_the_same_name_ends_the_worker() -> None:
    producer = FakeProducer(offsets=[TWIN])
    with pytest.raises(Replaced, match="another worker runs with the instance name '0'"):
        writer(producer).commit(BATCH, TOKEN)


def test_a_fatal_error_ends_the_worker() -> None:
    producer = FakeProducer(commit=[FATAL])
    with pytest.raises(TransactionFailed, match="lost"):
        writer(producer).commit(BATCH, TOKEN)


def test_an_abort_that_is_refused_ends_the_worker() -> None:
    producer = FakeProducer(commit=[ABORTABLE], abort=[TWIN])
    with pytest.raises(Replaced):
        writer(producer).commit(BATCH, TOKEN)


def test_aborts_without_end_do_not_go_on_for_ever() -> None:
    producer = FakeProducer(commit=[ABORTABLE] * 100)
    with pytest.raises(TransactionFailed, match="times in a row"):
        writer(producer).commit(BATCH, TOKEN)


def test_a_full_local_queue_is_waited_for() -> None:
    producer = FakeProducer()
    producer.full = 3
    writer(producer).commit(BATCH, TOKEN)
    assert producer.calls.count("poll") == 3
    assert producer.visible == WRITTEN


def test_giving_up_leaves_the_transaction_to_be_aborted_by_the_next_one() -> None:
    producer = FakeProducer(commit=[RETRIABLE])
    one = writer(producer)
    one.giving_up = True
    with pytest.raises(GaveUp):
        one.commit(BATCH, TOKEN)
    one.giving_up = False
    one.commit(BATCH, TOKEN)
    assert producer.calls.count("abort") == 1
    assert producer.visible == WRITTEN


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RETRIABLE, CheckpointVerdict.RETRY),
        (ABORTABLE, CheckpointVerdict.ABORT),
        (FATAL, CheckpointVerdict.FATAL),
        (ZOMBIE, CheckpointVerdict.FENCED),
        (OLD, CheckpointVerdict.FENCED),
        (TWIN, CheckpointVerdict.REPLACED),
        (KafkaError(KafkaError.REBALANCE_IN_PROGRESS, "wait", txn_requires_abort=True), CheckpointVerdict.ABORT),
        (KafkaError(KafkaError._STATE, "no transaction"), CheckpointVerdict.ABORT),
    ],
    ids=lambda value: value.name() if isinstance(value, KafkaError) else value.name,
)
def test_verdicts(error: KafkaError, expected: CheckpointVerdict) -> None:
    assert verdict(error) is expected


def test_the_token_is_what_librdkafka_would_send_for_it() -> None:
    with EmbeddedBroker() as broker:
        broker.create([Physical("x", 1, {})])
        consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "the-group"})
        try:
            consumer.subscribe(["x"])
            for _ in range(200):
                consumer.poll(0.05)
                if consumer.assignment():
                    break
            real = consumer.consumer_group_metadata()
            generation = int.from_bytes(real[7:11], "little")
            assert generation > 0
            assert group_metadata(Ownership(generation, consumer.memberid(), "the-group")) == real
        finally:
            consumer.close()


def test_a_call_that_does_not_come_back_is_noticed_and_never_commits_later() -> None:
    blocked, entered = threading.Event(), threading.Event()

    class Hanging(FakeProducer):
        def send_offsets_to_transaction(self, offsets: list[Any], meta: bytes, timeout: float) -> None:
            entered.set()
            blocked.wait(120)

    producer = Hanging()
    one = writer(producer)
    ends: list[BaseException] = []

    def commit() -> None:
        try:
            one.commit(BATCH, TOKEN)
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    assert entered.wait(120)
    assert not one.stuck()
    one._since = time.monotonic() - 60
    assert one.stuck()
    assert one.abandon(), "the commit was not called: nothing of it can be visible"
    blocked.set()
    thread.join(120)
    assert [type(error) for error in ends] == [GaveUp]
    assert producer.visible == []


def test_a_commit_that_does_not_come_back_may_have_happened() -> None:
    one = writer(FakeProducer(commit=[RETRIABLE] * 3))
    one.commit(BATCH, TOKEN)
    one._committing = True
    assert not one.abandon()


def test_rows_that_are_acknowledged_without_an_offset_are_written_again() -> None:
    """As librdkafka has it of records that the broker took for ones it had: the first of a partition are nowhere."""

    class Forgetful(FakeProducer):
        def produce(self, topic: str, value: Any, key: bytes, partition: int, done: Any = None, headers: Any = None) -> None:
            if self.calls.count("begin") > 1 or self.calls[-1] != "begin":
                super().produce(topic, value, key, partition, done, headers)
                return
            self.calls.append("produce")
            assert done is not None, "nobody would know"
            done(None, Delivered(topic, partition, None))

    producer, reasons = Forgetful(), list[str]()
    one = writer(producer, reasons=reasons)
    one.commit(BATCH, TOKEN)
    assert producer.visible == WRITTEN
    assert producer.calls.count("abort") == 1 and reasons == ["_STATE"]
    assert one.written == {("out", 2): 4}  # and of rows nothing
