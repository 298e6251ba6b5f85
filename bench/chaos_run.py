"""Do the numbers stay exact when everything that can be killed, paused or restarted is?

Two workers under load on a real Kafka; at random times one is killed with −9, stopped with SIGTERM, or paused for longer
than its session and let go on; once a run the broker is killed with −9 and started again. A supervisor restarts what exits.
Then a fresh worker alone restores everything, folds what is left, and its totals must equal the truth. Run by ``bench.chaos``.
"""

import contextlib
import json
import random
import shlex
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TextIO

import confluent_kafka

from stream.engine.options import EngineOptions
from stream.engine.topics import create
from tests.kafka_broker import KafkaBroker

WORKERS = 2
SESSION = 6.0


@dataclass
class Worker:
    """A supervised process; ``paused_until`` while it is under SIGSTOP."""

    command: list[str]
    log: TextIO
    process: subprocess.Popen[bytes] | None = None
    paused_until: float | None = None

    def start(self) -> None:
        """Start it (again)."""
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.paused_until = None

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass
class Run:
    """One seed."""

    seed: int
    seconds: float
    rate: int
    job: Any
    broker: KafkaBroker
    template: str
    directory: Path
    partitions: int = 8
    broker_dies: ClassVar[bool] = True  # once a run
    stops_within: ClassVar[float] = 15  # seconds after SIGTERM
    operations: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.application = f"chaos{self.seed}-{uuid.uuid4().hex[:6]}"
        self.log = (self.directory / f"chaos-{self.seed}.log").open("w")
        self.ends: dict[tuple[str, int], int] = {}

    def note(self, text: str) -> None:
        """Into the log, between the workers' lines."""
        self.log.write(f"#### {time.strftime('%H:%M:%S')} {text}\n")
        self.log.flush()

    def command(self, instance: str, *more: str) -> list[str]:
        """The worker's command line."""
        values = {
            "python": sys.executable,
            "brokers": self.broker.bootstrap,
            "application": self.application,
            "instance": instance,
            "job": self.job.__name__,
            "partitions": str(self.partitions),
            "session": str(SESSION),
        }
        return [part.format(**values) for part in shlex.split(self.template)] + list(more)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.faults.append(f"produce: {error}")
            return
        key = message.topic(), message.partition()
        self.ends[key] = max(self.ends.get(key, 0), message.offset() + 1)

    def go(self) -> bool:
        """The whole run; whether the totals are exact."""
        options = EngineOptions(
            brokers=self.broker.bootstrap,
            application=self.application,
            partitions=self.partitions,
            topics=self.job.TOPICS,
        )
        create(options, self.job.specs())
        events = list(self.job.stream_of(int(self.rate * self.seconds), self.seed))
        workers = self.workers(WORKERS)
        for worker in workers:
            worker.start()
        try:
            self._load(events, workers)
        finally:
            for worker in workers:
                worker.end()
        return self._compare(events)

    def workers(self, count: int) -> list[Worker]:
        """Return the workers, not started yet."""
        return [Worker(self.command(str(i)), self.log) for i in range(count)]

    def go_on(self, worker: Worker) -> None:
        """Let a worker that is paused go on."""
        with contextlib.suppress(ProcessLookupError):
            if worker.process is not None:
                worker.process.send_signal(signal.SIGCONT)

    def settle_in(self, workers: list[Worker]) -> None:
        """Wait until the workers are at work."""
        time.sleep(4)

    def _load(self, events: list[tuple[str, bytes, bytes]], workers: list[Worker]) -> None:
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2",
                "linger.ms": 2,
                "delivery.timeout.ms": 120_000,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )
        self.settle_in(workers)
        began = time.monotonic()
        due = began + 2
        broker_dies = began + self.random.uniform(0.3, 0.7) * self.seconds if self.broker_dies else float("inf")
        broker_back: float | None = None
        sent = 0
        while sent < len(events):
            target = min(len(events), int((time.monotonic() - began) * self.rate))
            for topic, key, value in events[sent:target]:
                producer.produce(topic, value, key, on_delivery=self._delivered)
            sent = max(sent, target)
            # Seen once (confluent-kafka 2.16): "exception <class 'str'> is not a BaseException subclass". What was sent goes on.
            with contextlib.suppress(SystemError):
                producer.poll(0.01)
            now = time.monotonic()
            self._supervise(workers, now)
            if now >= broker_dies:
                self.operations.append("B")
                self.note("broker kill -9")
                self.broker.kill()
                broker_dies, broker_back = float("inf"), now + self.random.uniform(1, 4)
            if broker_back is not None and now >= broker_back:
                self.broker.start()
                self.note("broker is back")
                broker_back = None
            if now >= due:
                due = now + self.random.uniform(4, 10)
                self._disturb(workers, now)
        if broker_back is not None:
            self.broker.start()
        if producer.flush(60):
            self.faults.append("the producer could not deliver everything")
        end = time.monotonic() + 6
        while time.monotonic() < end:
            self._supervise(workers, time.monotonic())
            time.sleep(0.1)

    def _supervise(self, workers: list[Worker], now: float) -> None:
        for index, worker in enumerate(workers):
            process = worker.process
            if process is None:
                continue
            if worker.paused_until is not None and now >= worker.paused_until:
                worker.paused_until = None
                self.go_on(worker)
                self.note(f"SIGCONT {index}")
            if process.poll() is not None:
                self.operations.append(f"x{index}={process.returncode}")
                self.note(f"worker {index} exited with {process.returncode}; restarted")
                worker.start()

    def _disturb(self, workers: list[Worker], now: float) -> None:
        index = self.random.randrange(len(workers))
        self._disturb_worker(workers, index, self.random.choice(["kill", "term", "stop"]), now)

    def _disturb_worker(self, workers: list[Worker], index: int, what: str, now: float) -> None:
        worker = workers[index]
        process = worker.process
        if worker.paused_until is not None or process is None:
            return
        self.operations.append(f"{what[0]}{index}")
        self.note(f"{what} {index}")
        if what == "kill":
            worker.end()
            worker.start()
        elif what == "term":
            process.terminate()
            try:
                code = process.wait(self.stops_within)
                if code != 0:
                    self.note(f"worker {index}: exit code {code} after SIGTERM")
            except subprocess.TimeoutExpired:
                self.faults.append(f"worker {index} hung after SIGTERM")
                worker.end()
            worker.start()
        else:
            process.send_signal(signal.SIGSTOP)
            worker.paused_until = now + 8 + self.random.uniform(0, 3)

    def _reach_for_what_folds_wrote(self) -> None:
        """Folds read topics that folds write (merges): the final worker must be past what there is in them, too."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "chaos", "log_level": 0})
        for topic in {topic for spec in self.job.specs() for topic in spec.topics}:
            for partition in range(self.partitions):
                end = _end(consumer, confluent_kafka.TopicPartition(topic, partition))
                self.ends[topic, partition] = max(end, self.ends.get((topic, partition), 0))
        consumer.close()

    def _compare(self, events: list[tuple[str, bytes, bytes]]) -> bool:
        self.note("final")
        self._reach_for_what_folds_wrote()
        targets = self.directory / f"targets-{self.seed}.json"
        targets.write_text(json.dumps([[topic, partition, end] for (topic, partition), end in self.ends.items()]))
        totals = self.directory / f"totals-{self.seed}.json"
        final = Worker(self.command("final", "--targets", str(targets), "--totals", str(totals)), self.log)
        final.start()
        assert final.process is not None
        try:
            final.process.wait(90)
        except subprocess.TimeoutExpired:
            self.faults.append("the final worker did not get there in 90 s")
            final.end()
        if not totals.exists():
            self.faults.append("no totals")
            return False
        found = json.loads(totals.read_text())
        truth = json.loads(json.dumps(self.job.truth(events)))
        if found["totals"] != truth:
            self.faults.append(f"totals: found {found['totals']}; truth {truth}")
        if found["status"]["jumps"]:
            self.faults.append(f"jumps: {found['status']['jumps']}")
        return not self.faults


WORKER = (
    "{python} -m bench.worker --brokers {brokers} --application {application} --instance {instance} --job {job} "
    "--partitions {partitions} --session-timeout {session}"
)


def _end(consumer: confluent_kafka.Consumer, place: confluent_kafka.TopicPartition) -> int:
    """Return where a partition ends; a broker that has just come back does not lead it at once."""
    until = time.monotonic() + 60
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=20)[1])
        except confluent_kafka.KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
