"""How do state, positions and outputs become durable together, or not at all?

One checkpoint is one Kafka transaction: rows and outputs are produced and **flushed**, then the positions are sent with
the token of the ownership under which the memory was restored (KIP-447), then it is committed. The flush comes first, so
that a worker that passes the broker's check of the token has its rows below the high watermark its successor waits for.

What fails is retried, or aborted and written again (rows are absolute, so the same rows may be written again), or ends
the worker: restoring is cheap, guessing is not.
"""

import enum
import logging
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from stream.engine.acknowledged import unwritten
from stream.engine.backend import Batch, GaveUp
from stream.engine.chunks import Ownership
from stream.engine.client_logs import client_logger
from stream.engine.errors import Fenced, Replaced, TransactionFailed
from stream.engine.fatal import called
from stream.engine.options import EngineOptions
from stream.engine.topic_list import MAX_ROW_BYTES

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Answers that say that the group has gone on without us.
_FENCED_CODES = frozenset({KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID})
#: Answers that say that another producer has our transactional id.
_REPLACED_CODES = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})
#: One call into librdkafka waits so long; retriable calls are repeated, and whether to go on is looked at between.
_CALL_SECONDS = 1.0
#: A call that has not come back after so long never will: librdkafka's ``send_offsets_to_transaction`` ignores its time
#: limit, and waits for ever when the group's coordinator was away (librdkafka #5456, #5511).
_STUCK_SECONDS = 5.0
#: Retries are only worth a word when they take longer than this.
_QUIET_SECONDS = 3.0
#: Aborts in a row without any success, after which something is wrong that writing again does not cure.
_MOST_ABORTS = 20


class CheckpointVerdict(enum.Enum):
    """What an error of the transactional producer asks for."""

    RETRY = "retry"
    ABORT = "abort"
    FENCED = "fenced"
    REPLACED = "replaced"
    FATAL = "fatal"


def verdict(error: KafkaError) -> CheckpointVerdict:
    """What to do about an error. Fenced before all else: it may also carry the abortable flag."""
    code = error.code()
    if code in _FENCED_CODES:
        return CheckpointVerdict.FENCED
    if code in _REPLACED_CODES:
        return CheckpointVerdict.REPLACED
    if error.fatal():
        return CheckpointVerdict.FATAL
    if error.txn_requires_abort():
        return CheckpointVerdict.ABORT
    if error.retriable():
        return CheckpointVerdict.RETRY
    return CheckpointVerdict.ABORT


def group_metadata(token: Ownership) -> bytes:
    """The token as librdkafka wants it: what ``Consumer.consumer_group_metadata()`` would return for it.

    Version tag, generation (little endian), group, member, then 1 = no static instance id.
    """
    member = token.member.encode()
    return b"CGMDv2:" + struct.pack("<i", token.generation) + token.group.encode() + b"\0" + member + b"\0\x01"


class KafkaWriter:
    """The transactional producer of one lane. Every method blocks; all are called from the lane's one thread.

    ``still_ours(token)`` tells whether the group still knows us by the token: only then may an aborted checkpoint be
    written again. ``retried(reason)`` is told of every retry.
    """

    def __init__(
        self,
        options: EngineOptions,
        lane: str,
        still_ours: Callable[[Ownership], bool],
        retried: Callable[[str], None],
        producer: Any = None,
    ) -> None:
        self.transactional_id = f"{options.group}-{options.instance}-{lane}"
        self._still_ours = still_ours
        self._retried = retried
        self._options = options
        self._producer = producer
        self._open = False
        self.giving_up = False
        self._since: float | None = None
        self._gate = threading.Lock()
        self._abandoned = False
        self._committing = False
        #: (physical topic, partition) → offset after the last output that was committed to it. Replaced as a whole and never
        #: changed: the event loop iterates it while this thread writes.
        self.written: Mapping[tuple[str, int], int] = {}

    def open(self) -> None:
        """Register with the coordinator; this ends any transaction a predecessor of the same name left open."""
        if self._producer is None:
            timeout = int(self._options.transaction_timeout * 1000)
            self._producer = confluent_kafka.Producer(
                self._options.client(
                    transactional_id=self.transactional_id,
                    transaction_timeout_ms=timeout,
                    # librdkafka's linger is what small checkpoints would wait for; big ones fill their batches anyway.
                    linger_ms=1,
                    compression_type="lz4",
                    message_max_bytes=MAX_ROW_BYTES,
                    queue_buffering_max_messages=2_000_000,
                    queue_buffering_max_kbytes=1_000_000,
                    batch_num_messages=20_000,
                    partitioner="murmur2",
                ),
                logger=client_logger(),
            )
        self._retrying("init_transactions", lambda: self._producer.init_transactions(_CALL_SECONDS))

    def commit(self, batch: Batch, token: Ownership) -> None:
        """Write one checkpoint. Returns only when it is committed.

        Raises :class:`Fenced` (aborted; this producer can go on), :class:`Replaced` or :class:`TransactionFailed` (it
        can't), or :class:`GaveUp`.
        """
        aborts = 0
        while True:
            try:
                self._transaction(batch, token)
                return
            except KafkaException as exception:
                error = exception.args[0]
                kind = verdict(error)
                self._retried(error.name())
                if kind is CheckpointVerdict.FATAL:
                    raise TransactionFailed(f"{self.transactional_id}: {error.str()} ({error.name()})") from exception
                if kind is CheckpointVerdict.REPLACED:
                    raise self._replaced(error) from exception
                if kind is CheckpointVerdict.FENCED:
                    self._abort()
                    raise Fenced(self._fenced(token, error)) from exception
                aborts += 1
                self._abort()
                if not self._still_ours(token):
                    raise Fenced(self._fenced(token, error)) from exception
                if aborts >= _MOST_ABORTS:
                    text = f"{self.transactional_id}: aborted {aborts} times in a row, the last time for {error.str()}"
                    raise TransactionFailed(text) from exception
                log.warning("%s: aborted and written again: %s", self.transactional_id, error.str())
                time.sleep(min(0.1 * aborts, 1.0))

    def _fenced(self, token: Ownership, error: KafkaError) -> str:
        return (
            f"{self.transactional_id}: the broker refused a checkpoint of generation {token.generation} as member "
            f"{token.member}: {error.str()} ({error.name()}); nothing of it is visible. The group went on without this worker: "
            f"it was paused or cut off for longer than the session timeout of {self._options.session_timeout:g} s"
        )

    def _replaced(self, error: KafkaError) -> Replaced:
        return Replaced(
            f"{self.transactional_id}: {error.str()} ({error.name()}): another worker runs with the instance name "
            f"{self._options.instance!r}, or a transaction stayed open for longer than its time limit"
        )

    def _transaction(self, batch: Batch, token: Ownership) -> None:
        producer = self._producer
        if self._open:  # an attempt that was given up
            self._abort()
        self._call(producer.begin_transaction)
        self._open = True
        produce = producer.produce
        # A partition keeps its order, so the last output's acknowledgement says where all of them ended, and where one was
        # not written the first was not: a call back into Python for each of them would cost more than writing them.
        final = {(message.topic, message.partition): index for index, message in enumerate(batch.outputs)}
        told = set(final.values())
        ends: dict[tuple[str, int], int] = {}
        begun: set[tuple[str, int]] = set()
        lost: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                return  # which the next call will say, with what is to be done
            if (why := unwritten(error, message)) is not None:
                lost.append(why)
            else:
                ends[message.topic(), message.partition()] = message.offset() + 1

        for messages, told_of in ((batch.rows, frozenset[int]()), (batch.outputs, told)):
            for index, (topic, value, key, partition, headers) in enumerate(messages):
                done = delivered if index in told_of else None
                if (topic, partition) not in begun:
                    begun.add((topic, partition))
                    done = delivered
                while True:
                    try:
                        if headers:
                            produce(topic, value, key, partition, done, headers=list(headers))
                        elif done is not None:
                            produce(topic, value, key, partition, done)
                        else:
                            produce(topic, value, key, partition)
                        break
                    except BufferError:  # the local queue is full: let it drain
                        self._look_up()
                        self._call(lambda: producer.poll(0.1))
        while self._call(lambda: producer.flush(_CALL_SECONDS)):
            self._look_up()
        if lost:
            raise KafkaException(lost[0])
        offsets = [TopicPartition(topic, partition, offset) for topic, partition, offset in batch.positions]
        meta = group_metadata(token)
        self._retrying("offsets", lambda: producer.send_offsets_to_transaction(offsets, meta, _CALL_SECONDS))
        with self._gate:
            self._look_up()
            self._committing = True
        self._retrying("commit", lambda: producer.commit_transaction(_CALL_SECONDS))
        self._committing = self._open = False
        self.written = {**self.written, **{output: ends[output] for output in final}}

    def stuck(self) -> bool:
        """Whether a call into librdkafka has been away for longer than it ever should."""
        since = self._since
        return since is not None and time.monotonic() - since > _STUCK_SECONDS

    def abandon(self) -> bool:
        """Give this producer up, because it is stuck. False when it may have committed: then nobody knows.

        If it comes back to life it will not commit: that is checked under the same lock as here. The successor of the
        same name aborts what it left open, after which the same batch may be written again.
        """
        with self._gate:
            self._abandoned = self.giving_up = True
            return not self._committing

    def _call(self, call: Callable[[], T]) -> T:
        self._since = time.monotonic()
        try:
            return called(self._producer, call)
        finally:
            self._since = None

    def _retrying(self, what: str, call: Callable[[], object]) -> None:
        """Repeat a call of the transactional API while it asks for that: librdkafka resumes where it was."""
        pause = 0.05
        began = time.monotonic()
        while True:
            try:
                self._call(call)
                return
            except KafkaException as exception:
                error = exception.args[0]
                if verdict(error) is not CheckpointVerdict.RETRY:
                    raise
                self._retried(error.name())
                self._look_up()
                if time.monotonic() - began > _QUIET_SECONDS:
                    log.warning("%s: %s: %s; trying again", self.transactional_id, what, error.str())
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def _look_up(self) -> None:
        if self.giving_up:
            raise GaveUp(f"{self.transactional_id}: out of time")

    def _abort(self) -> None:
        self._committing = False  # an error that asks for an abort says that it was not committed
        try:
            self._retrying("abort", lambda: self._producer.abort_transaction(_CALL_SECONDS))
            self._open = False
        except KafkaException as exception:
            error = exception.args[0]
            if verdict(error) is CheckpointVerdict.REPLACED:
                raise self._replaced(error) from exception
            raise TransactionFailed(f"{self.transactional_id}: abort: {error.str()} ({error.name()})") from exception

    def close(self) -> None:
        """End an open transaction and let the producer go; waits at most a second."""
        if self._producer is None or self._abandoned:
            return
        if self._open:
            try:
                self._producer.abort_transaction(1.0)
            except KafkaException as exception:
                log.info("%s: abort at close: %s", self.transactional_id, exception.args[0].str())
        self._producer = None
