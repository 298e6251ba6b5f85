"""One installation of Vigie on a real Kafka: its settings, its commands in this process, its workers as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka
import httpx
import orjson
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from typer.testing import CliRunner, Result

from models.calendar import iso
from stream.engine.options import wall_clock
from tests.tools import free_port
from vigie.__main__ import app

EVENTS = ("deals", "leads", "engagement", "customers", "spend")
#: KPIs that go on while nothing happens: what is open grows older, and a model goes on learning.
CLOCKED = frozenset(("lead_response_time", "lead_conversion", "pipeline_age", "bottleneck", "weighted_pipeline_model"))
_OUTCOMES = re.compile(r'^vigie_events_total\{outcome="(\w+)",topic="([\w-]+)",type="([\w.]*)"\} (\S+)$', re.MULTILINE)


def until(holds: Callable[[], Any], seconds: float = 180.0, why: Callable[[], str] = str) -> Any:
    """Return what holds, once it does: another process has to get there. The limit is for machines that do much else."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {why()}"
        time.sleep(0.05)
    return found


class Installation:
    """``settings`` are environment variables without the prefix ``VIGIE_``."""

    def __init__(self, brokers: str, prefix: str, directory: Path, *, partitions: int = 2, **settings: str) -> None:
        self.brokers, self.prefix, self.directory = brokers, prefix, directory
        self.partitions = partitions
        self.settings = {
            "VIGIE_KAFKA__BROKERS": brokers,
            "VIGIE_KAFKA__TOPIC_PREFIX": prefix,
            "VIGIE_KAFKA__PARTITIONS": str(partitions),
            "VIGIE_KAFKA__SESSION_TIMEOUT": "6s",
            "VIGIE_CHECKPOINT_INTERVAL": "100ms",
            "VIGIE_INSTANCE": "w0",
            "VIGIE_PROCESSES": "1",  # one to kill, and to look into; tests/integration/test_roles.py has several
            "VIGIE_DATA_DIR": str(directory / "data"),
        }
        self.set(**settings)

    def set(self, **settings: str) -> None:
        self.settings |= {f"VIGIE_{name}": value for name, value in settings.items()}

    @property
    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
        return plain | self.settings

    def vigie(self, *arguments: object) -> Result:
        """Run a command in this process, with these settings only."""
        hidden: Mapping[str, str | None] = {name: None for name in os.environ if name.startswith("VIGIE_")}
        return CliRunner().invoke(app, [str(a) for a in arguments], env={**hidden, **self.settings})

    def done(self, *arguments: object, code: int = 0) -> str:
        """Run a command that has to end with this code; return its standard output."""
        result = self.vigie(*arguments)
        assert result.exit_code == code, f"{result.exit_code}: {result.output} {result.exception!r}"
        return result.stdout

    def letters(self, *arguments: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.done("dead-letters", "list", "--json", *arguments).splitlines()]

    def produce(self, records: Iterable[tuple[str, bytes, bytes, int | None]]) -> int:
        """Write records as any producer could: (topic, key, value, partition or by key); return how many were acknowledged."""
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": self.brokers,
                "partitioner": "murmur2",
                "enable.idempotence": True,
                "max.in.flight.requests.per.connection": 1,  # else one may be acknowledged and be nowhere: acknowledged.py
                "message.max.bytes": 64 * 1024 * 1024,
                "compression.type": "lz4",
            }
        )
        acknowledged = 0

        def told(error: Any, message: Any) -> None:
            nonlocal acknowledged
            assert error is None, error
            acknowledged += 1

        for topic, key, value, partition in records:
            where = {} if partition is None else {"partition": partition}
            producer.produce(self.prefix + topic, value, key, on_delivery=told, **where)
        assert producer.flush(120) == 0
        return acknowledged

    def worker(self, **settings: str) -> Worker:
        return Worker(self, settings)

    # -- how far ---------------------------------------------------------------------------------------------------------

    def ends(self) -> dict[tuple[str, int], int]:
        parts = [TopicPartition(self.prefix + topic, p) for topic in EVENTS for p in range(self.partitions)]
        parts += [TopicPartition(f"{self.prefix}{topic}-merges", p) for topic in ("deal", "lead") for p in range(self.partitions)]
        parts.append(TopicPartition(f"{self.prefix}panes", 0))
        # A new one each time: librdkafka's keeps the leader's epoch from before a restart of the broker, and is refused.
        admin = AdminClient({"bootstrap.servers": self.brokers})
        found = admin.list_offsets(dict.fromkeys(parts, OffsetSpec.latest()), request_timeout=30)
        return {(tp.topic, tp.partition): future.result().offset for tp, future in found.items()}

    def committed(self) -> dict[tuple[str, int], int]:
        admin = AdminClient({"bootstrap.servers": self.brokers})
        found: dict[tuple[str, int], int] = {}
        for group in ("vigie-serve", "vigie"):  # what both read, the folds' position counts
            asked = [confluent_kafka.ConsumerGroupTopicPartitions(self.prefix + group)]
            (future,) = admin.list_consumer_group_offsets(asked, request_timeout=30).values()
            found |= {(tp.topic, tp.partition): tp.offset for tp in future.result().topic_partitions}
        return found

    def behind(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Partitions whose end the group has not durably reached: (committed, end)."""
        try:
            ends = self.ends()
            committed = self.committed()
        except confluent_kafka.KafkaException:  # it has just been started again, and is still finding itself
            return {("", 0): (0, 0)}
        return {key: (committed.get(key, 0), end) for key, end in ends.items() if committed.get(key, 0) < end}

    def settle(self, seconds: float = 180) -> None:
        """Wait until all that is in the topics is folded, durable, and in the view."""

        def twice() -> bool:
            return not self.behind() and not self.behind()

        until(twice, seconds, lambda: str(self.behind()))


class Worker:
    """A ``vigie worker`` process. Stopped at the end of the ``with`` block."""

    def __init__(self, installation: Installation, settings: Mapping[str, str], command: str = "worker", *more: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = installation.directory / f"{command}-{self.port}.log"
        environment = installation.environment | {f"VIGIE_{name}": value for name, value in settings.items()}
        environment["VIGIE_WEB__PORT"] = str(self.port)
        installation.set(WEB__PORT=str(self.port))
        with self._log.open("wb") as output:
            arguments = [sys.executable, "-m", "vigie", command, *more]
            self.process = subprocess.Popen(
                arguments, env=environment, cwd=installation.directory, stdout=output, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(120)

    def readyz(self) -> dict[str, Any]:
        """What it says of itself; ``{}`` while it does not answer."""
        try:
            return dict(httpx.get(f"{self.url}/readyz", timeout=5).json())
        except httpx.TransportError:
            return {}

    def ready(self, seconds: float = 180) -> Worker:
        until(lambda: self.readyz().get("ready") or not self.alive, seconds, lambda: f"{self.readyz()} {self.log}")
        assert self.alive, self.log
        return self

    def readings(self, window: str = "30d") -> dict[str, dict[str, Any]]:
        """The totals, made after this call: the API keeps them for the rest of a second."""
        called = iso(wall_clock() // 1000 * 1000)

        def read() -> list[dict[str, Any]]:
            found = httpx.get(f"{self.url}/api/kpis", params={"window": window}, timeout=60).raise_for_status().json()
            return list(found) if found[0]["at"] > called else []

        return {reading["kpi"]: reading for reading in until(read)}

    def outcomes(self) -> Counter[str]:
        """Records by outcome, over all topics and types."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        found: Counter[str] = Counter()
        for outcome, _, _, count in _OUTCOMES.findall(text):
            found[outcome] += int(float(count))
        return found


def event(kind: str, id: str, subject: str, at: str, **data: Any) -> dict[str, Any]:
    """Return an event as a CRM would send it."""
    return {"specversion": "1.0", "id": id, "source": "crm", "type": kind, "time": at, "subject": subject, "data": data}
