"""Three brokers, each of which may die: Kafka with replication 3 and two replicas in sync at least, from the tests' jars."""

import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka_broker import KafkaBroker, free_port

NODES = 3


class Node(KafkaBroker):
    """One broker and controller of a cluster, on ``address``."""

    def __init__(self, number: int, address: str, controllers: dict[int, int]) -> None:
        self._number = number
        self._address = address
        self._controller = controllers[number]
        super().__init__(
            heap="400m",
            node_id=str(number),
            controller_quorum_voters=",".join(f"{node}@{address}:{port}" for node, port in controllers.items()),
            default_replication_factor="3",
            min_insync_replicas="2",
            offsets_topic_replication_factor="3",
            transaction_state_log_replication_factor="3",
            transaction_state_log_min_isr="2",
            replica_lag_time_max_ms="4000",
            unclean_leader_election_enable="false",
        )
        self.bootstrap = f"{address}:{self.port}"

    def _format(self, data: Any) -> None:
        text = self._settings.read_text()
        text = re.sub(r"CONTROLLER://[\d.]+:\d+", f"CONTROLLER://{self._address}:{self._controller}", text)
        self._settings.write_text(text.replace(f"PLAINTEXT://127.0.0.1:{self.port}", f"PLAINTEXT://{self._address}:{self.port}"))
        self._java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(self._settings))

    def _answers(self) -> bool:
        try:
            found = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=3).brokers
        except KafkaException:
            return False
        return self._number in found

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)


class Cluster:
    """Three of them. One at a time may be away: with two, no leader could be written to."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        controllers = {number: free_port() for number in range(1, NODES + 1)}
        with ThreadPoolExecutor(NODES) as pool:
            self.nodes = list(pool.map(lambda number: Node(number, address, controllers), controllers))
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)
        self._coming: threading.Thread | None = None

    @property
    def whole(self) -> bool:
        """Whether none is on its way back."""
        return self._coming is None or not self._coming.is_alive()

    def start(self) -> "Cluster":
        """Start all at once: one alone has no quorum."""
        with ThreadPoolExecutor(NODES) as pool:
            list(pool.map(lambda node: node.start(180), self.nodes))
        return self

    def bring_back(self, node: Node) -> None:
        """Start one again, beside whatever else happens."""
        self._coming = threading.Thread(target=node.start, args=(180,), daemon=True)
        self._coming.start()

    def leader(self) -> Node:
        """Return who leads most partitions."""
        counts = dict.fromkeys(range(1, NODES + 1), 0)
        for topic in AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=10).topics.values():
            for partition in topic.partitions.values():
                counts[partition.leader] = counts.get(partition.leader, 0) + 1
        return self.nodes[max(range(NODES), key=lambda index: counts[index + 1])]

    def in_sync(self) -> bool:
        """Whether every partition has all its replicas in sync again."""
        try:
            topics = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=10).topics.values()
        except KafkaException:
            return False
        return all(len(part.isrs) == len(part.replicas) for topic in topics for part in topic.partitions.values())

    def close(self) -> None:
        """End all."""
        if self._coming is not None:
            self._coming.join(180)
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.close()

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()
