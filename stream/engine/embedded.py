"""How does everything run without a Kafka to install?

librdkafka carries a mock cluster: a real listener that speaks Kafka's protocol, in this process, in memory. It serves
demos, replays and most tests with the same code as Kafka. It keeps nothing over a restart, about 5 MB or 100,000
messages of each partition (older ones go: whoever publishes must wait for the folds), compacts nothing, and serves one
worker per group. Durability, groups and crashes are tested on a real Kafka.
"""

import ctypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import confluent_kafka

from stream.engine.topics import Physical

_PRODUCER = 0
_TEXT = 512


def _library() -> Any:
    """The librdkafka that the confluent-kafka wheel brought (already loaded: this is the same one)."""
    package = Path(confluent_kafka.__file__).parent
    for folder in (package.parent / "confluent_kafka.libs", package / ".dylibs"):
        for path in sorted(folder.glob("librdkafka*")):
            return _typed(ctypes.CDLL(str(path)))
    from ctypes.util import find_library  # a build from source uses the system's

    name = find_library("rdkafka")
    if name is None:
        raise RuntimeError(
            f"embedded broker: no librdkafka beside {package} nor in the system; install confluent-kafka from a wheel, "
            "or give kafka.brokers"
        )
    return _typed(ctypes.CDLL(name))


def _typed(library: Any) -> Any:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, ctypes.c_char_p, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, ctypes.c_char_p, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class EmbeddedBroker:
    """A broker in this process. ``bootstrap`` is its address, on the loopback, from :meth:`start` on."""

    def __init__(self) -> None:
        self.bootstrap = ""
        self._library: Any = None
        self._client: int | None = None
        self._cluster: int | None = None

    def start(self, topics: Iterable[Physical] = ()) -> "EmbeddedBroker":
        """Begin to listen, with these topics. Raises ``RuntimeError`` if librdkafka can't."""
        self._library = _library()
        message = ctypes.create_string_buffer(_TEXT)
        settings = self._library.rd_kafka_conf_new()
        # The client that carries the cluster connects to nothing, and would warn about that.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", message, _TEXT)
        self._client = self._library.rd_kafka_new(_PRODUCER, settings, message, _TEXT)
        if not self._client:
            raise RuntimeError(f"embedded broker: {message.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise RuntimeError("embedded broker: librdkafka could not open its listener on the loopback")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self.create(topics)
        return self

    def create(self, topics: Iterable[Physical]) -> None:
        """Create topics; one that exists already is an error of the caller (``RuntimeError``)."""
        for topic in topics:
            error = self._library.rd_kafka_mock_topic_create(self._cluster, topic.name.encode(), topic.partitions, 1)
            if error:
                raise RuntimeError(f"embedded broker: topic {topic.name}: librdkafka error {error} (it exists?)")

    def stop(self) -> None:
        """Stop listening; all that was kept is gone."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        if self._client:
            self._library.rd_kafka_destroy(self._client)
        self._cluster = self._client = None
        self.bootstrap = ""

    def __enter__(self) -> "EmbeddedBroker":
        return self.start() if not self._cluster else self

    def __exit__(self, *exc: object) -> None:
        self.stop()
