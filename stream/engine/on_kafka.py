"""Records, state and positions on Kafka: the engine's backend where no other is named."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException

from models.fold import Record
from stream.engine import refusing, restore
from stream.engine.backend import Backend, Flow, Log, Partition, Producer, Restored, Screen, Transaction, Writer
from stream.engine.checkpoint import KafkaWriter
from stream.engine.chunks import Ownership
from stream.engine.client_logs import client_logger
from stream.engine.groups import in_one_group
from stream.engine.kafka_log import KafkaLog
from stream.engine.kafka_transaction import KafkaTransaction
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import check, summary


class OnKafka:
    """Kafka, wherever the options say it is (:class:`~stream.engine.backend.Backend`)."""

    def check(self, options: EngineOptions, specs: Iterable[FoldSpec]) -> list[str]:
        """Return what is wrong with the topics, so that the engine cannot run; raise ``OSError`` where no broker answers."""
        try:
            return [*summary(problem for problem in check(options, specs, timeout=5) if problem.fatal), *in_one_group(options)]
        except KafkaException as error:
            raise OSError(f"no broker answers at {options.brokers}: {error.args[0].str()}") from error

    def writer(
        self, options: EngineOptions, lane: str, still_ours: Callable[[Ownership], bool], retried: Callable[[str], None]
    ) -> Writer:
        """Return a transactional producer."""
        return KafkaWriter(options, lane, still_ours, retried)

    def first_and_last(self, options: EngineOptions, wanted: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return first offset and high watermark of each partition."""
        return restore.first_and_last(options, wanted)

    def read_changelogs(
        self, options: EngineOptions, wanted: Sequence[Partition], cancelled: Callable[[], bool]
    ) -> dict[Partition, Restored]:
        """Return the state in these changelogs."""
        return restore.read_changelogs(options, wanted, cancelled)

    def replay(
        self,
        options: EngineOptions,
        wanted: Sequence[Partition],
        fold: Callable[[Partition, list[Record]], None],
        cancelled: Callable[[], bool],
    ) -> dict[Partition, int]:
        """Give each log as it stands to ``fold``."""
        return restore.replay(options, wanted, fold, cancelled)

    def screen(self, options: EngineOptions) -> Screen | None:
        """Return what keeps late events of people who were erased from the folds: others write to its topics as they like."""
        return None if options.embedded else refusing.screen(options)

    def flow(self, options: EngineOptions) -> Flow:
        """Return a Faust app."""
        from stream.engine.faust_flow import FaustFlow  # who only publishes, or reads, needs no Faust

        return FaustFlow(options)

    def producer(self, options: EngineOptions, settings: Mapping[str, Any]) -> Producer:
        """Return a librdkafka producer."""
        found: Producer = confluent_kafka.Producer(options.client() | dict(settings), logger=client_logger())
        return found

    def log(self, options: EngineOptions, topic: str) -> Log:
        """Return a reader of a topic."""
        return KafkaLog(options, topic)

    def transaction(self, options: EngineOptions, name: str) -> Transaction:
        """Return a transactional producer."""
        return KafkaTransaction(options, name)


_KAFKA = OnKafka()


def backend_of(options: EngineOptions) -> Backend:
    """Return what keeps records and state: Kafka, unless the options name another."""
    return options.backend or _KAFKA
