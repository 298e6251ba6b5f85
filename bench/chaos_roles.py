"""Chaos with roles: two whole workers (`vigie worker`), each a supervisor and a process for every role.

What is killed, stopped or paused is one process of a worker (`k0f` is worker 0's that folds), or the worker: its supervisor alone
(`k0`, whose processes then end by themselves), or all of it, as when a machine dies (`m0`). At the end the sums must equal the
truth, as without roles, and no lesson for the models may be on its topic twice.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from bench.chaos_run import SESSION, WORKER, Run, Worker
from tests.kafka_broker import ROOT
from tests.kafka_records import records
from tests.tools import free_port


@dataclass
class Several(Worker):
    """A `vigie worker` of several processes."""

    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    paused: int | None = None  # the process of a role that is under SIGSTOP

    def start(self) -> None:
        """Start it (again)."""
        self.port = free_port()
        environment = {**self.environment, "VIGIE_WEB__PORT": str(self.port)}
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment, cwd=ROOT
        )
        self.paused_until = None

    def pids(self) -> dict[str, int]:
        """The processes that run, by name; none while nobody answers."""
        try:
            roles = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).json()["roles"]
        except (httpx.HTTPError, KeyError, ValueError):
            return {}
        return {name: role["pid"] for name, role in roles.items() if role["pid"] is not None}

    def level(self) -> bool:
        """Whether it is ready, and has nothing left to fold."""
        try:
            ready = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).json()["ready"]
            metrics = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except (httpx.HTTPError, KeyError, ValueError):
            return False
        left = [float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith("vigie_lag_records{")]
        return ready and bool(left) and not any(left)

    def end(self) -> None:
        """All of it, as when the machine dies."""
        pids = self.pids()
        super().end()
        if self.paused is not None:  # it could not say which processes there are, if it was the one that serves
            pids["paused"], self.paused = self.paused, None
        for pid in pids.values():
            _signal(pid, signal.SIGKILL)


class RoleRun(Run):
    """One seed."""

    def environment(self, instance: str) -> dict[str, str]:
        """The settings of a worker."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
        return plain | {
            "VIGIE_APPLICATION": self.application,
            "VIGIE_INSTANCE": instance,
            "VIGIE_PROCESSES": "3",
            "VIGIE_KAFKA__BROKERS": self.broker.bootstrap,
            "VIGIE_KAFKA__PARTITIONS": str(self.partitions),
            "VIGIE_KAFKA__SESSION_TIMEOUT": f"{SESSION:g}s",
            "VIGIE_BUSINESS__TIMEZONE": "Europe/Paris",
            "VIGIE_MODELS__INTERVAL": "1s",
            "VIGIE_DATA_DIR": str(self.directory / "data"),
        }

    def workers(self, count: int) -> list[Worker]:
        """Return the workers, not started yet."""
        vigie = [sys.executable, "-m", "vigie"]
        subprocess.run(
            [*vigie, "topics", "create"], env=self.environment("0"), cwd=ROOT, check=True, stdout=self.log, stderr=self.log
        )
        return [Several([*vigie, "worker"], self.log, environment=self.environment(str(i))) for i in range(count)]

    def _disturb(self, workers: list[Worker], now: float) -> None:
        index = self.random.randrange(len(workers))
        what = self.random.choice(["kill", "term", "stop", "kill", "term", "stop", "supervisor", "machine"])
        role = self.random.choice(["fold", "serve", "predict"])
        worker = workers[index]
        assert isinstance(worker, Several)
        if worker.paused_until is not None or worker.process is None:
            return
        pid = worker.pids().get(role)
        if what == "machine" or pid is None:
            self._note(f"m{index}", f"machine {index}")
            worker.end()
            worker.start()
        elif what == "supervisor":
            self._note(f"k{index}", f"kill the supervisor of {index}")
            Worker.end(worker)
            worker.start()
        elif what == "stop":
            self._note(f"s{index}{role[0]}", f"stop {role} of {index}")
            _signal(pid, signal.SIGSTOP)
            worker.paused, worker.paused_until = pid, now + 8 + self.random.uniform(0, 3)
        else:
            self._note(f"{what[0]}{index}{role[0]}", f"{what} {role} of {index}")
            _signal(pid, signal.SIGKILL if what == "kill" else signal.SIGTERM)

    def settle_in(self, workers: list[Worker]) -> None:
        """Wait until all processes are there."""
        self._until(workers, lambda: all(isinstance(w, Several) and len(w.pids()) == 3 and w.level() for w in workers), 90)

    def _load(self, events: list[tuple[str, bytes, bytes]], workers: list[Worker]) -> None:
        super()._load(events, workers)
        # What nobody has predicted yet, nobody has learnt from.
        if not self._until(workers, lambda: all(isinstance(w, Several) and w.level() for w in workers), 90):
            self.faults.append("the workers did not come to the end of the logs in 90 s")

    def _until(self, workers: list[Worker], holds: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._supervise(workers, time.monotonic())
            if holds():
                return True
            time.sleep(0.5)
        return False

    def _note(self, short: str, text: str) -> None:
        self.operations.append(short)
        self.note(text)

    def go_on(self, worker: Worker) -> None:
        """Let what is paused go on."""
        assert isinstance(worker, Several)
        if worker.paused is not None:
            _signal(worker.paused, signal.SIGCONT)
            worker.paused = None

    def _compare(self, events: list[tuple[str, bytes, bytes]]) -> bool:
        self.template = WORKER  # who adds it up runs the folds alone
        exact = super()._compare(events)
        lessons = self._lessons()
        twice = sum(1 for count in lessons.values() if count > 1)
        self.note(f"{lessons.total()} lessons, {len(lessons)} different ones")
        if twice or not lessons:
            self.faults.append(f"lessons: {twice} of {len(lessons)} are there more than once")
        return exact and not self.faults

    def _lessons(self) -> Counter[Any]:
        return Counter(orjson.loads(message.value() or b"{}")["id"] for message in records(self.broker.bootstrap, "examples"))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it has ended meanwhile
        return
