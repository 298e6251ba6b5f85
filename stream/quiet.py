"""How is a broker that is away reported: clearly, and not ten times a second?"""

import logging
import time
from collections.abc import Callable


class RateLimit(logging.Filter):
    """Lets a message (by its template) through once per ``seconds``, and then says how many were held back."""

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.seconds = seconds
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass; what passes after others were held back says so."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, str(record.msg)[:80])
        now = self._clock()
        last, held = self._seen.get(key, (float("-inf"), 0))
        if now - last < self.seconds:
            self._seen[key] = (last, held + 1)
            return False
        if len(self._seen) > 1_000:
            self._seen.clear()
        self._seen[key] = (now, 0)
        if held:
            record.msg = f"{record.getMessage()} ({held} more like this in {now - last:.0f} s)"
            record.args = ()
        return True


_CLIENT = "stream.kafka"


def client_logger() -> logging.Logger:
    """The logger that librdkafka's clients write to."""
    return logging.getLogger(_CLIENT)


def limit_client_logs(seconds: float = 10.0) -> None:
    """Limit what the Kafka clients say (aiokafka: ten lines a second while the broker is away). Idempotent."""
    names = [
        "aiokafka.conn",
        "aiokafka.client",
        "aiokafka.cluster",
        "aiokafka.consumer.fetcher",
        "aiokafka.consumer.group_coordinator",
        "aiokafka.producer.sender",
        "faust.transport.drivers.aiokafka",
        _CLIENT,
    ]
    names += [name for name in logging.root.manager.loggerDict if name.startswith("aiokafka")]
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(present, RateLimit) for present in logger.filters):
            logger.addFilter(RateLimit(seconds))
