"""How long from an event's production until it is folded, durable, visible in a KPI, and until its alert has arrived?

A whole worker (folds, panes, readings, rules, delivery, page and metrics) in a process of its own, the load and the HTTP receiver
in another one, 500 events a second. Begins at the producer's time stamp, taken when the record is handed to the client:

    folded    the fold has applied the event
    durable   the transaction with its rows and position is committed
    visible   the view has merged the partial sums it changed: every reading from now on, on page, API and metrics, has it
    alerted   the receiver has the HTTP request of an alert that this event has caused

Every event counts for the first three. For the last, four events a second each create a lead in a campaign of its own, on which a
rule without a waiting time fires.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
from aiohttp import web

from bench.whole_job import Mix
from models.calendar import iso
from models.fold import Changes, PartitionFold, Record
from stream.config.settings import Settings
from stream.engine.options import EngineOptions, FoldSpec
from tests.kafka_broker import ROOT

PARTITIONS = 8
WARM = 5.0  # seconds whose events are in no figure
PROBES = 4  # alerts a second
PROBE_RULE = """\
id: bench-probe
kpi: leads
window: 24h
by: campaign
warn: {above: 0.5, clear_below: 0.5}
summary: "{value:d} leads from {campaign}"
runbook: docs/runbooks/none.md
tests:
  - name: fires
    timeline:
      - {at: 0m, value: 1, sample: 1, expect: warn}
  - name: stays silent
    timeline:
      - {at: 0m, value: 0, sample: 1, expect: inactive}
"""


def now_ms() -> float:
    """Milliseconds since the epoch."""
    return time.time_ns() / 1e6


class Samples:
    """Latencies in ms by stage, of events produced after the warm-up."""

    def __init__(self) -> None:
        self.after = float("inf")
        self.found: dict[str, list[float]] = {"folded": [], "durable": [], "visible": []}

    def add(self, stage: str, produced: Iterable[int]) -> None:
        """The stage has been reached now by the events produced at these times."""
        now = now_ms()
        self.found[stage] += [now - at for at in produced if at >= self.after]


class Watched:
    """A fold of entities, watched from outside: what went in, what came out, what was committed."""

    #: By (fold, partition): what each checkpoint's panes say last, and when its events were produced.
    waiting: ClassVar[dict[bytes, deque[tuple[tuple[bytes, bytes | None], list[int]]]]] = {}

    def __init__(self, fold: Any, samples: Samples) -> None:
        self._fold = fold
        self._samples = samples
        self._folded: list[int] = []
        self._written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fold, name)

    def fold(self, records: Sequence[Record]) -> None:
        """Fold, then look at the clock."""
        self._fold.fold(records)
        produced = [record.timestamp for record in records]
        self._samples.add("folded", produced)
        self._folded += produced

    def changes(self) -> Changes:
        """Remember what this checkpoint carries."""
        changes: Changes = self._fold.changes()
        produced, self._folded = self._folded, []
        self._written += produced
        panes = [(output.key, output.value) for output in changes.outputs if output.topic == "panes"]
        if panes:
            fold, partition, _ = panes[-1][0].split(b":", 2)
            self.waiting.setdefault(fold + b":" + partition, deque()).append((panes[-1], produced))
        return changes

    def durable(self) -> None:
        """All that was written is committed."""
        self._samples.add("durable", self._written)
        self._written = []


class WatchedRoll:
    """The fold of panes, watched: which checkpoints has it merged?"""

    def __init__(self, fold: Any, samples: Samples) -> None:
        self._fold = fold
        self._samples = samples

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fold, name)

    def fold(self, records: Sequence[Record]) -> None:
        """Merge; a checkpoint whose last pane is in here is visible."""
        self._fold.fold(records)
        for record in records:
            source = b":".join((record.key or b"").split(b":", 2)[:2])
            queue = Watched.waiting.get(source)
            if queue and queue[0][0] == (record.key, record.value):
                self._samples.add("visible", queue.popleft()[1])


def _watch(spec: FoldSpec, samples: Samples, how: type[Any]) -> FoldSpec:
    make = spec.make

    def watched(partition: int) -> PartitionFold:
        found: PartitionFold = how(make(partition), samples)
        return found

    return dataclasses.replace(spec, make=watched)


@contextlib.contextmanager
def probe_rule() -> Iterator[str]:
    """Give a folder with the rule that every probe breaks."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        Path(directory, "bench-probe.yaml").write_text(PROBE_RULE)
        yield directory


async def worker(brokers: str, receiver: str, prefix: str) -> None:
    """A whole worker until SIGTERM; prints ``ready``, and at the end the samples."""
    from vigie import instance as wiring
    from vigie.up import start_web

    samples = Samples()
    folds = wiring.entity_folds

    class Roller(wiring.Roller):
        """The roller, watched."""

        def spec(self) -> FoldSpec:
            """See the base."""
            return _watch(super().spec(), samples, WatchedRoll)

    wiring.entity_folds = lambda *given: [_watch(spec, samples, Watched) for spec in folds(*given)]
    wiring.Roller = Roller  # type: ignore[misc]
    with probe_rule() as directory:
        settings = Settings.model_validate(
            {
                "application": f"bench-{uuid.uuid4().hex[:6]}",
                "kafka": {"brokers": brokers, "partitions": PARTITIONS, "topic_prefix": prefix},
                "web": {"port": 0},
                "rule_folders": [directory],
                "receivers": [{"name": "bench", "type": "http", "url": receiver}],
                # Each by itself, at once: where nobody configures routes, a rule's first alert waits for others.
                "alerting": {"route": {"receiver": "bench", "group_by": ["..."], "group_wait": 0, "group_interval": 0}},
            }
        )
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        async with wiring.running(settings) as instance, contextlib.AsyncExitStack() as stack:
            await start_web(instance, stack)
            await instance.engine.ready()
            samples.after = now_ms() + WARM * 1000
            print("ready", flush=True)
            await stopping.wait()
            times = os.times()
            print(json.dumps({**samples.found, "cpu": times.user + times.system}), flush=True)


async def load(brokers: str, seconds: float, rate: float, prefix: str) -> None:
    """Print the receiver's URL, wait for a line, send; at the end print the alerts' latencies."""
    from stream.engine.publisher import Publisher

    sent: dict[str, int] = {}
    alerted: dict[str, float] = {}

    async def receive(request: web.Request) -> web.Response:
        arrived = now_ms()
        alert = orjson.loads(await request.read())["data"]
        campaign = alert["segment"].get("campaign", "")
        if campaign in sent:
            alerted.setdefault(campaign, arrived - sent[campaign])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(f"http://127.0.0.1:{port}/", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    publisher = Publisher(EngineOptions(brokers=brokers, partitions=PARTITIONS, topic_prefix=prefix))
    count = int(seconds * rate)
    began = now_ms()
    every = int(rate / PROBES)
    for number, (topic, key, value) in enumerate(Mix(count, int(began), rate=rate)):
        due = began + number * 1000 / rate
        await asyncio.sleep(max(0.0, due - now_ms()) / 1000)
        publisher.send(topic, key, value)
        if number % every == 0:
            name = f"probe-{number}"
            at = int(now_ms())
            if at - began > WARM * 1000:
                sent[name] = at
            lead = {
                "specversion": "1.0",
                "id": name,
                "source": "/bench",
                "type": "lead.created",
                "time": iso(at),
                "subject": name,
                "data": {"campaign": name},
            }
            publisher.publish(orjson.dumps(lead))
        if number % 50 == 0:
            publisher.poll()
    lasted = now_ms() - began
    await publisher.flushed()
    await asyncio.sleep(3)
    await runner.cleanup()
    print(
        json.dumps({"alerted": list(alerted.values()), "probes": len(sent), "rate": count / lasted * 1000, "sent": count}),
        flush=True,
    )


def quantile(values: list[float], q: float) -> float:
    """The value below which a share ``q`` lies."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * q))]


def measure(brokers: str, seconds: float, rate: float) -> dict[str, Any]:
    """One run; p50 and p99 in ms by stage."""
    # Topics of its own: the load is the same each time, and a worker would find the last run's events to be duplicates.
    prefix = f"late-{uuid.uuid4().hex[:6]}."
    command = [sys.executable, "-m", "bench.latency", "--brokers", brokers, "--seconds", str(seconds), "--rate", str(rate)]
    command += ["--prefix", prefix]
    pipes: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    loading = subprocess.Popen([*command, "--load"], **pipes)
    working: subprocess.Popen[str] | None = None
    try:
        assert loading.stdout and loading.stdin
        url = loading.stdout.readline().strip()
        working = subprocess.Popen([*command, "--worker", "--receiver", url], **pipes)
        assert working.stdout
        if working.stdout.readline().strip() != "ready":
            raise RuntimeError("latency: the worker did not start; see above")
        loading.stdin.write("go\n")
        loading.stdin.flush()
        sent = json.loads(loading.stdout.readline())
        working.send_signal(signal.SIGTERM)
        seen = json.loads(working.stdout.readline())
        working.wait(30)
    finally:
        for process in (loading, working):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    stages = {"folded": seen["folded"], "durable": seen["durable"], "visible": seen["visible"], "alerted": sent["alerted"]}
    return {
        "rate": round(sent["rate"], 1),
        "probes": sent["probes"],
        "stages": {
            name: {"n": len(values), "p50": round(quantile(values, 0.5), 1), "p99": round(quantile(values, 0.99), 1)}
            for name, values in stages.items()
            if values
        },
    }


def main() -> int:
    """One of the two processes, or (without a role) one run on a Kafka that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--receiver", default="")
    parser.add_argument("--prefix", default="late.", help="of the topics, in the two processes")
    arguments = parser.parse_args()
    if arguments.worker:
        asyncio.run(worker(arguments.brokers, arguments.receiver, arguments.prefix))
    elif arguments.load:
        asyncio.run(load(arguments.brokers, arguments.seconds, arguments.rate, arguments.prefix))
    else:
        print(json.dumps(measure(arguments.brokers, arguments.seconds, arguments.rate)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
