"""A producer that is replaced says so, though the client loses the error among its callbacks."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.engine.backend import Batch, Message, Superseded
from stream.engine.checkpoint import KafkaWriter
from stream.engine.chunks import Ownership
from stream.engine.errors import Replaced
from stream.engine.fatal import called
from stream.engine.kafka_transaction import KafkaTransaction
from stream.engine.options import EngineOptions
from stream.engine.rewriting import Rewriting

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "by a newer instance", fatal=True))
UNDER_WAY = KafkaException(KafkaError(KafkaError._STATE, "begin_transaction() is not allowed in this state"))


class Ended:
    """A producer that another one replaces while it flushes: its error is lost, as are the delivery reports."""

    def __init__(self, raised: BaseException, then: BaseException = FENCED) -> None:
        self._raised, self._then, self._ended = raised, then, False

    def begin_transaction(self) -> None:
        if self._ended:
            raise self._then

    def flush(self, timeout: float) -> int:
        self._ended = True
        raise self._raised

    def commit_transaction(self, timeout: float) -> None:
        raise AssertionError("nothing is known of what was written")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **more: None


def lost() -> SystemError:
    return SystemError("<method 'flush' of 'cimpl.Producer' objects> returned NULL without setting an exception")


def covered() -> SystemError:
    error = SystemError("<method 'flush' of 'cimpl.Producer' objects> returned a result with an exception set")
    error.__cause__ = FENCED
    return error


@pytest.fixture(params=[lost, covered, lambda: FENCED], ids=["lost", "as a cause", "as it is"])
def producer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ended:
    made = Ended(request.param())
    monkeypatch.setattr("confluent_kafka.Producer", lambda *given, **more: made)
    return made


OPTIONS = EngineOptions(brokers="nowhere:1")
MESSAGE = Message("audit", b"{}", b"k", 0)


def test_a_transaction(producer: Ended) -> None:
    transaction = KafkaTransaction(OPTIONS, "redrive")
    transaction.write(MESSAGE)
    with pytest.raises(Superseded):
        transaction.commit()


def test_an_erasure(producer: Ended) -> None:
    work = Rewriting(OPTIONS, cells=None)  # type: ignore[arg-type]
    work.begin()
    work.write(MESSAGE)
    with pytest.raises(Superseded):
        work.commit()


def test_a_checkpoint(producer: Ended) -> None:
    writer = KafkaWriter(OPTIONS, "state", lambda token: True, lambda reason: None, producer)
    with pytest.raises(Replaced, match="another worker runs with the instance name"):
        writer.commit(Batch([MESSAGE], [], []), Ownership(1, "member", "vigie"))


def test_what_our_own_callback_breaks_is_not_taken_for_another_producer() -> None:
    ours = Ended(lost(), then=UNDER_WAY)
    with pytest.raises(SystemError):
        called(ours, lambda: ours.flush(1))
