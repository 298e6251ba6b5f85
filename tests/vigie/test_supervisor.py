"""Processes of one worker: started again when they die, told on /readyz, ended together."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.config.settings import load
from stream.merged_metrics import Merger
from stream.web.server import bind
from tests.tools import free_port
from vigie import supervisor as supervising
from vigie.front import fronted
from vigie.roles import FOLD, PREDICT, SERVE, Member, cores, instance_of, parse, plan
from vigie.supervisor import Supervisor

#: A process of a worker, as far as its supervisor sees it: it says that it runs, and ends as it is told.
_PROGRAM = """
import json, os, signal, socket, sys, time
name, mode, channel = sys.argv[1], sys.argv[2], socket.socket(fileno=int(sys.argv[3]))
open(sys.argv[4], "a").write(f"{name} {os.getpid()}\\n")
def tell(what, about):
    channel.sendall(json.dumps(["ask", None, what, about]).encode() + b"\\n")
if mode == "refuses":
    tell("ending", "models.start.deal: found no JSON")
    sys.exit(1)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
status = {"state": "running", "generation": 1, "partitions": {name: [0]}, "lanes": {}, "jumps": {}, "last_error": None}
tell("status", {"status": status, "warnings": [], "listening": False})
buffer = b""
while data := channel.recv(65536):
    buffer += data
    *lines, buffer = buffer.split(b"\\n")
    for line in lines:
        _, number, what, about = json.loads(line)
        if what == "metrics":
            families = [
                ["done", "Done", "counter", "", [["done_total", {"by": "all"}, 5.0]]],
                ["open", "Open", "gauge", "", [["open", {}, 2.0]]],
            ]
            channel.sendall(json.dumps(["answer", number, families]).encode() + b"\\n")
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # on its way out already: Python gives its handlers back before it has gone
"""


class Running:
    def __init__(self, url: str, supervisor: Supervisor, started: Path) -> None:
        self.url, self.supervisor, self._started = url, supervisor, started

    def starts(self) -> list[str]:
        return [line.split()[0] for line in self._started.read_text().splitlines()] if self._started.exists() else []

    def pid(self, name: str) -> int:
        found = self.supervisor.reports()[name].pid
        assert found is not None
        return found

    async def readyz(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.url}/readyz")
        told: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) is told["ready"]
        return told

    async def until(self, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        async with asyncio.timeout(120):
            while not holds(told := await self.readyz()):  # noqa: ASYNC110 - it is another process that gets there
                await asyncio.sleep(0.02)
        return told


@asynccontextmanager
async def worker(folder: Path, **modes: str) -> AsyncIterator[Running]:
    """A supervisor of such processes, one each by name and mode; stopped at the end."""
    started = folder / "started"
    members = [Member(name, (SERVE,) if name == "serve" else (FOLD,)) for name in modes]
    settings = load(environ={}, web__port=free_port())

    def command(member: Member, channel: int) -> Sequence[str]:
        return [sys.executable, "-c", _PROGRAM, member.name, modes[member.name], str(channel), str(started)]

    with bind(settings.web.host, settings.web.port) as sock:
        supervisor = Supervisor(members, command, sock)
        async with fronted(supervisor, settings, sock):
            task = asyncio.create_task(supervisor.run())
            try:
                yield Running(f"http://127.0.0.1:{settings.web.port}", supervisor, started)
            finally:
                task.cancel()
                await asyncio.wait([task])


async def test_one_that_is_killed_is_started_again_and_readyz_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE", 4.0)  # long enough to be seen
    async with worker(tmp_path, fold="runs", predict="runs") as running:
        await running.until(lambda told: told["ready"])
        before = running.pid("fold"), running.pid("predict")
        os.kill(before[0], signal.SIGKILL)
        told = await running.until(lambda told: not told["ready"])
        assert told["reasons"] == [f"fold: was killed (signal 9); started again in {told['reasons'][0][-3]} s"]
        told = await running.until(lambda told: told["ready"])
        assert told["notices"][0].startswith("fold: was killed (signal 9) at ") and told["notices"][0].endswith("(restart 1)")
        assert told["roles"]["fold"] == {
            "pid": running.pid("fold"), "state": "running", "restarts": 1, "last_end": "was killed (signal 9)",
        }  # fmt: skip
        assert running.pid("fold") != before[0] and running.pid("predict") == before[1]


async def test_one_that_cannot_start_says_so_and_waits_longer_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE", 0.2)
    began = time.monotonic()
    async with worker(tmp_path, fold="runs", predict="refuses") as running:
        await running.until(lambda told: len(told["reasons"]) == 1 and told["roles"]["fold"]["state"] == "running")
        told = await running.until(lambda told: told["roles"]["predict"]["restarts"] >= 3)
        restarts = told["roles"]["predict"]["restarts"]
        assert time.monotonic() - began > 0.2 * (2**restarts - 1), "0.2, 0.4, 0.8 s, and so on"
        assert "ended with exit code 1: models.start.deal: found no JSON" in told["reasons"][0]
        assert running.starts().count("fold") == 1


async def test_all_end_when_told_and_who_does_not_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "PATIENCE", 8.0)  # who ends does so in time, on a busy machine too
    async with worker(tmp_path, fold="runs", predict="stubborn") as running:
        await running.until(lambda told: told["ready"])
        pids = [running.pid("fold"), running.pid("predict")]
        processes = [one.process for one in running.supervisor.processes]
        began = time.monotonic()
    assert time.monotonic() - began >= 8.0
    assert [process.returncode for process in processes if process is not None] == [0, -9]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_at_once_means_all_of_them(tmp_path: Path) -> None:
    async with worker(tmp_path, fold="stubborn", predict="stubborn") as running:
        await running.until(lambda told: told["ready"])
        running.supervisor.kill()
        await running.until(lambda told: not told["ready"])


async def test_metrics_are_one_page_and_no_counter_goes_back(tmp_path: Path) -> None:
    async with worker(tmp_path, fold="runs", predict="runs") as running:
        await running.until(lambda told: told["ready"])

        async def page() -> list[str]:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{running.url}/metrics")).text.splitlines()

        lines = await page()
        assert 'done_total{by="all"} 10.0' in lines and "open 4.0" in lines and 'vigie_role_up{process="fold"} 1.0' in lines
        names = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
        assert len(names) == len(set(names)) and "process_cpu_seconds_total" in names
        os.kill(running.pid("predict"), signal.SIGKILL)
        await running.until(lambda told: told["roles"]["predict"]["restarts"] == 1 and told["ready"])
        lines = await page()
        assert 'done_total{by="all"} 15.0' in lines  # what the one that died had counted is still counted
        assert "open 4.0" in lines and 'vigie_role_restarts_total{process="predict"} 1.0' in lines


def test_histograms_and_gauges_are_merged_by_what_they_mean() -> None:
    merger = Merger()
    for name, delay, behind in (("a", 1.0, 3.0), ("b", 2.0, 5.0)):
        samples: list[Any] = [["late_bucket", {"le": "1"}, delay], ["late_created", {}, delay * 100]]
        merger.take(
            name,
            [
                ["late", "", "histogram", "", samples],
                ["vigie_behind_seconds", "", "gauge", "", [["vigie_behind_seconds", {}, behind]]],
            ],
        )
    found = {sample[0]: sample[2] for family in merger.merged() for sample in family[4]}
    assert found == {"late_bucket": 3.0, "late_created": 100.0, "vigie_behind_seconds": 5.0}
    merger.end("b")
    found = {sample[0]: sample[2] for family in merger.merged() for sample in family[4]}
    assert found["late_bucket"] == 3.0 and found["vigie_behind_seconds"] == 3.0


@pytest.mark.parametrize(
    ("roles", "processes", "cores_", "names"),
    [
        ("fold,serve,predict", "auto", 1, ["fold+serve+predict"]),
        ("fold,serve,predict", "auto", 2, ["fold", "serve", "predict"]),
        ("fold,serve,predict", "auto", 4, ["fold", "fold-2", "serve", "predict"]),
        ("fold,serve,predict", "auto", 64, ["fold", "fold-2", "fold-3", "fold-4", "serve", "predict"]),  # four partitions
        ("fold,serve,predict", 1, 8, ["fold+serve+predict"]),
        ("fold,serve,predict", 2, 8, ["fold", "serve+predict"]),
        ("predict,fold", "auto", 2, ["fold", "predict"]),
        ("predict, fold", 1, 2, ["fold+predict"]),
        ("serve,predict", 5, 8, ["serve", "predict"]),
        ("fold", "auto", 3, ["fold", "fold-2", "fold-3"]),
        ("fold", "auto", 1, ["fold"]),
        ("serve", "auto", 8, ["serve"]),
    ],
)
def test_which_processes_there_are(roles: str, processes: Any, cores_: int, names: list[str]) -> None:
    members = plan(parse(roles), processes, cores_, 4)
    assert [member.name for member in members] == names
    assert [instance_of(member, "w", members) for member in members if member.roles == (FOLD,)][:2] in (["w"], ["w", "w.2"], [])


def test_no_such_role() -> None:
    with pytest.raises(ValueError, match="--role: found 'folds'; accepted: fold, serve, predict"):
        parse("folds")
    assert parse("predict,serve") == (SERVE, PREDICT)


def test_a_container_has_the_cores_it_is_given(tmp_path: Path) -> None:
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cores(tmp_path) == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert cores(tmp_path) == 1
