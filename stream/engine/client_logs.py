"""How is a broker that is away reported: clearly, and not ten times a second?"""

import logging
import re
import time
from collections.abc import Callable

#: What a group or a transaction coordinator that is just starting says, and what the clients then try again by themselves.
_STARTING = re.compile(
    r"GroupCoordinatorNotAvailable|GroupLoadInProgress|CoordinatorLoadInProgress|NotCoordinatorForGroup|"
    r"[Cc]oordinator (load in progress|not available)|Not coordinator|Failed to acquire transactional PID.*retrying"
)
#: What the clients say of a broker that is away, each in its own words and once per request.
_AWAY = re.compile(
    r"NodeNotReady|KafkaConnectionError|Unable (to )?connect|Connect to .* failed|Connection refused|Disconnected|"
    r"Unable to update metadata|[Cc]oordinator dead|"
    r"Heartbeat (send request failed|session expired)|LeaveGroup request failed|brokers are down|Timed out"
)


class RateLimit(logging.Filter):
    """Lets a message (by its template) through once per ``seconds``, and then says how many were held back."""

    _away = "the broker is away"

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.seconds = seconds
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass; what passes after others were held back says so.

        A coordinator that is just starting is no news, and a broker that is away is one warning whatever client says it:
        what comes of it (not ready, a checkpoint that fails) is said by who waits for it.
        """
        if record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        if _STARTING.search(text):
            return logging.root.isEnabledFor(logging.DEBUG)
        key = (record.name, str(record.msg)[:80])
        if _AWAY.search(text):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
            key = (self._away, "")
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
    loggers = [logging.getLogger(name) for name in names]
    # One for all: whichever client finds the broker away, it is one piece of news.
    present = (known for logger in loggers for known in logger.filters if isinstance(known, RateLimit))
    limit = next(present, None) or RateLimit(seconds)
    for logger in loggers:
        if limit not in logger.filters:
            logger.addFilter(limit)
