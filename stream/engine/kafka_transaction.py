"""How are some records written to Kafka as one, outside of a checkpoint?"""

from collections.abc import Callable
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from stream.engine.acknowledged import unwritten
from stream.engine.backend import Message, Superseded
from stream.engine.client_logs import client_logger
from stream.engine.fatal import called
from stream.engine.options import EngineOptions

_PATIENCE = 30.0  # seconds
_SUPERSEDED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})


class KafkaTransaction:
    """A transactional producer of a name (:class:`~stream.engine.backend.Transaction`): it ends its predecessor's work."""

    def __init__(self, options: EngineOptions, name: str) -> None:
        settings = options.client(
            transactional_id=f"{options.group}-{name}", transaction_timeout_ms=60_000, linger_ms=5, compression_type="lz4"
        )
        self._producer = confluent_kafka.Producer(settings, logger=client_logger())
        self._call(lambda: self._producer.init_transactions(_PATIENCE))
        self._open = False
        self._lost: KafkaError | None = None

    def write(self, message: Message) -> None:
        """Write one record in the transaction under way."""
        if not self._open:
            self._call(self._producer.begin_transaction)
            self._open, self._lost = True, None
        topic, value, key, partition, headers = message
        self._call(lambda: self._producer.produce(topic, value, key, partition, self._told, headers=list(headers)))

    def _told(self, error: KafkaError | None, message: Any) -> None:
        if error is None:  # the next call says what went wrong
            self._lost = self._lost or unwritten(error, message)

    def commit(self) -> None:
        """Make all that was written visible, or nothing of it."""
        if self._open:
            self._call(lambda: self._producer.flush(_PATIENCE))
            if self._lost is not None:
                raise KafkaException(self._lost)
            self._call(lambda: self._producer.commit_transaction(_PATIENCE))
            self._open = False

    def abort(self) -> None:
        """Let nothing of what was written be seen."""
        if self._open:
            self._producer.abort_transaction(_PATIENCE)
            self._open = False

    def _call(self, call: Callable[[], object]) -> None:
        try:
            called(self._producer, call)
        except KafkaException as error:
            if error.args[0].code() in _SUPERSEDED:
                self._open = False
                raise Superseded from None
            raise
