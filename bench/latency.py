"""How long from an event's production until it is folded, durable, visible in a KPI, and until its alert has arrived?

A whole worker (folds, panes, readings, rules, delivery, page and metrics) in processes of its own, the load and the HTTP receiver
in another one, 500 events a second. Begins at the producer's time stamp, taken when the record is handed to the client:

    folded    the fold has applied the event
    durable   the transaction with its rows and position is committed
    visible   the view has merged the partial sums it changed: every reading from now on, on page, API and metrics, has it
    alerted   the receiver has the HTTP request of an alert that this event has caused

With ``--processes`` the worker is one process or one for each role, as `vigie worker` has it. ``loop`` are the loop's delays as
``vigie_loop_delay_seconds`` counts them; ``turns`` how long (CPU of the loop's thread, whatever else the machine does) single
pieces of work kept it.

Every event counts for the first three. For the last, four events a second each create a lead in a campaign of its own, on which
a rule without a waiting time fires.
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
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from bench.whole_job import Mix
from models.calendar import iso
from models.fold import Changes, PartitionFold, Record
from stream.config.settings import Settings
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.waiting import end
from stream.loop_delay import watch
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
    """Latencies in ms by stage, of events produced after the warm-up; and what ties a checkpoint to its merging elsewhere."""

    def __init__(self) -> None:
        self.after = float("inf")
        self.found: dict[str, list[float]] = {"folded": [], "durable": []}
        #: Of each checkpoint: the last of its panes (partition of a fold, key and digest), and when its events were produced.
        self.written: list[tuple[str, str, list[int]]] = []
        #: Of each pane that was merged: its record, and when. What it says is worked out at the end.
        self.merged: list[tuple[Record, float]] = []

    def add(self, stage: str, produced: Iterable[int]) -> None:
        """The stage has been reached now by the events produced at these times."""
        now = now_ms()
        self.found[stage] += [now - at for at in produced if at >= self.after]


def _pane(key: bytes, value: bytes | None) -> tuple[str, str]:
    return b":".join(key.split(b":", 2)[:2]).decode(), f"{key.decode()} {zlib.crc32(value or b'')}"


def visible(written: Iterable[Sequence[Any]], merged: Iterable[Sequence[Any]], after: float) -> list[float]:
    """Return the latencies of the events whose checkpoint's last pane has been merged, each pane in its turn."""
    waiting: dict[str, deque[tuple[str, list[int]]]] = {}
    for source, pane, produced in written:
        waiting.setdefault(source, deque()).append((pane, produced))
    found: list[float] = []
    for source, pane, at in merged:
        queue = waiting.get(source)
        if queue and queue[0][0] == pane:
            found += [at - made for made in queue.popleft()[1] if made >= after]
    return found


class Watched:
    """A fold of entities, watched from outside: what went in, what came out, what was committed."""

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
            self._samples.written.append((*_pane(*panes[-1]), produced))
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
        now = now_ms()
        self._samples.merged += [(record, now) for record in records if record.topic == "panes"]


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


class Turns:
    """How long single pieces of work keep the event loop: CPU of its thread, so that it does not matter what else runs."""

    BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1)

    def __init__(self) -> None:
        self.count = 0
        self.over: dict[float, int] = dict.fromkeys(self.BOUNDS, 0)
        self.longest = 0.0
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            took = time.thread_time() - began
            self.count += 1
            if took > self.BOUNDS[0]:
                self.longest = max(self.longest, took)
                for bound in self.BOUNDS:
                    if took > bound:
                        self.over[bound] += 1

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]

    def reset(self) -> None:
        """Begin anew: what a start takes is not asked for."""
        self.count, self.longest, self.over = 0, 0.0, dict.fromkeys(self.BOUNDS, 0)

    def told(self) -> dict[str, Any]:
        """What was found; bounds and the longest in ms."""
        over = {f"{bound * 1000:g}": n for bound, n in self.over.items()}
        return {"count": self.count, "over_ms": over, "longest_ms": round(self.longest * 1000, 1)}


async def worker(brokers: str, receiver: str, prefix: str, roles: Sequence[Any], live: bool) -> None:
    """One process of a worker until SIGTERM; prints ``ready``, and at the end the samples."""
    from vigie import instance as parts
    from vigie.roles import stand_back
    from vigie.running import running
    from vigie.up import start_web

    stand_back(roles)
    wiring: Any = parts  # its parts are exchanged for ones that are watched
    samples, turns = Samples(), Turns()
    folds = wiring.entity_folds

    class Roller(wiring.Roller):
        """The roller, watched."""

        def spec(self) -> FoldSpec:
            """See the base."""
            return _watch(super().spec(), samples, WatchedRoll)

    wiring.entity_folds = lambda *given: [_watch(spec, samples, Watched) for spec in folds(*given)]
    wiring.Roller = Roller
    with probe_rule() as directory:
        settings = Settings.model_validate(
            {
                "application": "bench",
                "models": {"live": live},
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
        async with running(settings, roles=roles) as instance, contextlib.AsyncExitStack() as stack:
            if "serve" in roles:
                await start_web(instance, stack)
            else:
                stack.push_async_callback(end, asyncio.create_task(watch(instance.metrics.late)))
            await instance.engine.ready()
            samples.after = now_ms() + WARM * 1000
            asyncio.get_running_loop().call_later(WARM, turns.reset)
            begun = os.times()  # what a start takes (imports, some 2 s) is not asked for
            print("ready", flush=True)
            await stopping.wait()
            times, told_of_turns = os.times(), turns.told()
            told = {
                "written": samples.written,
                "merged": [(*_pane(record.key or b"", record.value), at) for record, at in samples.merged],
                "after": samples.after,
                "loop": await _loop(instance),
                "turns": told_of_turns,
            }
            cpu = times.user + times.system - begun.user - begun.system
            print(json.dumps({**samples.found, **told, "cpu": cpu}), flush=True)


async def _loop(instance: Any) -> list[Any]:
    """Return the loop's delays: (at most so many seconds, how many)."""
    families = {family[0]: family[4] for family in await instance.metrics.exported()}
    return [[labels["le"], n] for name, labels, n in families["vigie_loop_delay_seconds"] if name.endswith("_bucket")]


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


def measure(brokers: str, seconds: float, rate: float, processes: int = 3, live: bool = True) -> dict[str, Any]:
    """One run; p50 and p99 in ms by stage."""
    # Topics of its own: the load is the same each time, and a worker would find the last run's events to be duplicates.
    prefix = f"late-{uuid.uuid4().hex[:6]}."
    command = [sys.executable, "-m", "bench.latency", "--brokers", brokers, "--seconds", str(seconds), "--rate", str(rate)]
    command += ["--prefix", prefix, *([] if live else ["--no-predictions"])]
    pipes: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    loading = subprocess.Popen([*command, "--load"], **pipes)
    working: dict[str, subprocess.Popen[str]] = {}
    roles = ["fold", "serve", *(["predict"] if live else [])]
    try:
        assert loading.stdout and loading.stdin
        url = loading.stdout.readline().strip()
        for role in [",".join(roles)] if processes == 1 else roles:
            working[role] = subprocess.Popen([*command, "--worker", role, "--receiver", url], **pipes)
        for role, process in working.items():
            assert process.stdout
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"latency: the worker did not start ({role}); see above")
        loading.stdin.write("go\n")
        loading.stdin.flush()
        sent = json.loads(loading.stdout.readline())
        found = {}
        for role, process in working.items():
            process.send_signal(signal.SIGTERM)
            found[role] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            process.wait(30)
    finally:
        for process in (loading, *working.values()):
            if process.poll() is None:
                process.kill()
                process.wait()
    seen = [*found.values()]
    stages: dict[str, list[float]] = {name: [at for one in seen for at in one[name]] for name in ("folded", "durable")}
    after = max(one["after"] for one in seen)
    written, merged = ([one for process in seen for one in process[name]] for name in ("written", "merged"))
    stages |= {"visible": visible(written, merged, after), "alerted": sent["alerted"]}
    return {
        "rate": round(sent["rate"], 1),
        "probes": sent["probes"],
        "processes": len(working),
        "cpu": {role: round(one["cpu"], 1) for role, one in found.items()},
        "loop": {role: one["loop"] for role, one in found.items()},
        "turns": {role: one["turns"] for role, one in found.items()},
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
    parser.add_argument("--processes", type=int, default=3, choices=(1, 3), help="of the worker: one, or one for each role")
    parser.add_argument("--no-predictions", action="store_true")
    parser.add_argument("--worker", default="", metavar="ROLES")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--receiver", default="")
    parser.add_argument("--prefix", default="late.", help="of the topics, in the two processes")
    arguments = parser.parse_args()
    if arguments.worker:
        roles = arguments.worker.split(",")
        asyncio.run(worker(arguments.brokers, arguments.receiver, arguments.prefix, roles, not arguments.no_predictions))
    elif arguments.load:
        asyncio.run(load(arguments.brokers, arguments.seconds, arguments.rate, arguments.prefix))
    else:
        live = not arguments.no_predictions
        print(json.dumps(measure(arguments.brokers, arguments.seconds, arguments.rate, arguments.processes, live)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
