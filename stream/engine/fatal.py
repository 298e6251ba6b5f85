"""What does a transactional producer say that has been ended for good (another one has its name)? The same, wherever it does.

librdkafka tells it by a callback that it makes while it polls or flushes, and the client raises it there. Callbacks that come
after that one in the same call find an exception set: the call then ends with a ``SystemError`` about itself, mostly with the
error as its cause, once in a while with none, and delivery reports of that call are lost (confluent-kafka 2.16). So what those
calls raise, and what was acknowledged in them, says little; the producer itself still knows.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")


def called(producer: Any, call: Callable[[], T]) -> T:
    """Make a call to a transactional producer; raise what has ended it as a ``KafkaException``."""
    try:
        return call()
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        try:
            producer.begin_transaction()  # refused in any case: why, is what is asked for
        except KafkaException as told:
            if told.args[0].code() != KafkaError._STATE:  # it is fit for use, and has another one under way
                raise told from None
        raise
