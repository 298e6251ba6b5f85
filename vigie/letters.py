"""Which dead letters stand, and how is one sent again exactly once?

What is sent again, and that it was (:class:`models.events.dead_letter.Redrive`), is one Kafka transaction. A letter that comes
back keeps its id, and stands again; one that does not is done with.
"""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from models.events.dead_letter import DeadLetter, Redrive, decode, decode_redrive
from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.publisher import address
from stream.engine.topics import partition_for

_PATIENCE = 30.0  # seconds
#: Letters that are sent again in one transaction.
_BATCH = 100


class Found(NamedTuple):
    """A record of ``dead-letters``: its offset, and the letter, or that one was sent again."""

    offset: int
    said: DeadLetter | Redrive


def read(options: EngineOptions, damaged: Callable[[str], None] = lambda text: None, end: int | None = None) -> Iterator[Found]:
    """Yield what is on ``dead-letters`` at the call (below ``end``), oldest first; ``damaged`` is told of what is neither.

    Raise ``KafkaException`` where the broker does not answer. What is written meanwhile is left out.
    """
    consumer = confluent_kafka.Consumer(
        options.client(
            group_id=f"{options.group}-dead-letters",
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
        ),
        logger=client_logger(),
    )
    topic = options.physical("dead-letters")
    try:
        wrong = consumer.list_topics(topic, timeout=5).topics[topic].error
        if wrong is not None:
            raise KafkaException(wrong)
        if end is None:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)
        consumer.assign([TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
        while True:
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    if not error.retriable():
                        raise KafkaException(error)
                elif message.offset() >= end:
                    return
                elif (value := message.value()) is not None:
                    try:
                        yield Found(message.offset(), decode_redrive(value) or decode(value))
                    except ValueError as problem:  # somebody else has written it
                        damaged(f"{topic}, offset {message.offset()}: {problem}")
    finally:
        consumer.close()


def standing(options: EngineOptions, damaged: Callable[[str], None] = lambda text: None) -> Iterator[DeadLetter]:
    """Yield each letter that was not sent again since it last came, once, in the order in which they last came.

    The topic is read twice, so that letters need not be held: they may be many and large.
    """
    last: dict[tuple[str, str], int] = {}
    sent: dict[tuple[str, str], int] = {}
    end = 0
    for offset, said in read(options, damaged):
        if isinstance(said, Redrive):
            of = said.redriven, said.sha256
            sent[of] = max(sent.get(of, 0), said.number)
        else:
            last[said.id, said.sha256] = offset
        end = offset + 1
    if not last:
        return
    for offset, said in read(options, end=end):
        if isinstance(said, DeadLetter):
            of = said.id, said.sha256
            if last[of] == offset and said.redrives >= sent.get(of, 0):
                yield said


class AnotherRedrive(RuntimeError):
    """Somebody else has begun to send dead letters again: what was not committed here was not sent."""


class Redriver:
    """Sends letters again in transactions. A context manager: what is not committed at its end is not sent.

    To be opened before the letters are read: it ends whoever does the same, so that nobody sends what another has sent.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self.sent = self._waiting = 0
        settings = options.client(
            transactional_id=f"{options.group}-redrive", transaction_timeout_ms=60_000, linger_ms=5, compression_type="lz4"
        )
        self._producer = confluent_kafka.Producer(settings, logger=client_logger())
        self._call(lambda: self._producer.init_transactions(_PATIENCE))
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        elif self._open and kind is not AnotherRedrive:
            self._producer.abort_transaction(_PATIENCE)

    def send(self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> None:
        """Write one record in the transaction under way."""
        if not self._open:
            self._call(self._producer.begin_transaction)
            self._open = True
        partition = partition_for(key, self._options.partitions_of(topic))
        more: dict[str, Any] = {"headers": headers} if headers else {}
        self._call(lambda: self._producer.produce(self._options.physical(topic), value, key, partition, **more))

    def publish(self, value: bytes) -> None:
        """Write one event in structured mode."""
        self.send(*address(value), value)

    def done(self, letter: DeadLetter) -> None:
        """All that is to be sent of the letter was: write that down."""
        said = Redrive(redriven=letter.id, sha256=letter.sha256, number=letter.redrives + 1, at=wall_clock())
        self.send("dead-letters", letter.id.encode(), said.encode())
        self._waiting += 1
        if self._waiting >= _BATCH:
            self.commit()

    def commit(self) -> None:
        """Make all that was written visible, or nothing of it."""
        if self._open:
            self._call(lambda: self._producer.commit_transaction(_PATIENCE))
            self._open = False
        self.sent, self._waiting = self.sent + self._waiting, 0

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
                raise AnotherRedrive(
                    "another `vigie dead-letters redrive` has begun; see what is left: vigie dead-letters list"
                ) from None
            raise
