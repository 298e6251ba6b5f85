"""What does the whole job cost as `vigie worker` runs it, with a process for each role? From the first event until none is left.

The worker is started on empty topics and paused; then the events are put there, and it goes on. So neither its start nor the
producer is in a figure. *Durable* is when the positions of the folds of entities are committed behind the last event, the whole
when no role has anything left to read.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import confluent_kafka
import psutil
from confluent_kafka.admin import AdminClient

from bench.preload import PARTITIONS, Ends, options_of, preload
from bench.scraped import page, waiting
from stream.engine.topics import create
from tests.kafka_broker import ROOT
from tests.tools import free_port

#: Longer than the events take to be put there, so that nobody who is paused is thrown out.
SESSION = 45
PATIENCE = 180.0


class Workers:
    """A `vigie worker` and its processes."""

    def __init__(self, brokers: str, prefix: str, folder: Path) -> None:
        """Start it; its topics are created."""
        self.application = f"bench-{uuid.uuid4().hex[:6]}"
        self.port = free_port()
        self._log = (folder / "worker.log").open("wb")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")} | {
            "VIGIE_APPLICATION": self.application,
            "VIGIE_PROCESSES": "3",
            "VIGIE_KAFKA__BROKERS": brokers,
            "VIGIE_KAFKA__PARTITIONS": str(PARTITIONS),
            "VIGIE_KAFKA__TOPIC_PREFIX": prefix,
            "VIGIE_KAFKA__SESSION_TIMEOUT": f"{SESSION}s",
            "VIGIE_DATA_DIR": str(folder / "data"),
            "VIGIE_WEB__PORT": str(self.port),
        }
        vigie = [sys.executable, "-m", "vigie"]
        subprocess.run([*vigie, "topics", "create"], env=environment, cwd=ROOT, check=True, stdout=self._log, stderr=self._log)
        self.process = subprocess.Popen([*vigie, "worker"], env=environment, cwd=ROOT, stdout=self._log, stderr=self._log)

    def all(self) -> list[psutil.Process]:
        """The supervisor and its children."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def cpu(self) -> float:
        """CPU seconds of all so far."""
        return float(sum(sum(one.cpu_times()[:2]) for one in self.all()))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each."""
        for one in self.all():
            one.send_signal(number)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)
        self._log.close()


def measure(brokers: str, job: str, count: int, prefix: str) -> dict[str, Any]:
    """One run. Raises :class:`TimeoutError` where it does not come to its end."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        create(options_of(brokers, job, prefix))
        workers = Workers(brokers, prefix, Path(directory))
        try:
            _until(lambda: bool(page(workers.port, "/readyz")) and waiting(workers.port) == 0, 0.5, "it was not ready")
            workers.signal(signal.SIGSTOP)
            ends = preload(brokers, job, count, prefix)
            used, began = workers.cpu(), time.perf_counter()
            workers.signal(signal.SIGCONT)
            admin = AdminClient({"bootstrap.servers": brokers})
            group = prefix + workers.application
            _until(lambda: _behind(admin, group, prefix, ends) == 0, 0.1, "its folds did not come to the last event")
            durable, durable_cpu = time.perf_counter() - began, workers.cpu() - used
            _until(lambda: waiting(workers.port) == 0, 0.5, "a role did not come to the end")
            return {
                "wall": time.perf_counter() - began, "cpu": workers.cpu() - used, "events": sum(ends.values()),
                "durable": durable, "durable_cpu": durable_cpu,
            }  # fmt: skip
        finally:
            workers.signal(signal.SIGCONT)
            workers.stop()


def _behind(admin: Any, group: str, prefix: str, ends: Ends) -> int:
    wanted = [confluent_kafka.TopicPartition(prefix + topic, partition) for topic, partition in ends]
    request = [confluent_kafka.ConsumerGroupTopicPartitions(group, wanted)]
    found: Iterable[Any] = admin.list_consumer_group_offsets(request)[group].result().topic_partitions
    return sum(max(0, ends[one.topic.removeprefix(prefix), one.partition] - max(0, one.offset)) for one in found)


def _until(holds: Any, every: float, otherwise: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"roles: {otherwise} within {PATIENCE:g} s")
        time.sleep(every)
