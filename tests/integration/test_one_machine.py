"""``vigie up`` without a Kafka keeps everything: killed at any moment, it goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.integration.installation import until
from tests.tools import free_port

DEALS = 400


class Machine:
    """One ``vigie up`` in a folder of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Return what it and its commands run with."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
        return {**plain, "XDG_RUNTIME_DIR": str(self.folder), "VIGIE_MODELS__LIVE": "false", **self.settings}

    def start(self, *more: str) -> None:
        """Start it and wait until it is ready."""
        with open(self.folder / "up.log", "ab") as log:
            command = [sys.executable, "-m", "vigie", "up", "--port", str(self.port), *more]
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        until(self.ready, why=lambda: (self.folder / "up.log").read_text())

    def ready(self) -> bool:
        """Return whether it is; raise ``AssertionError`` where it has ended."""
        assert self.process is not None and self.process.poll() is None, (self.folder / "up.log").read_text()
        try:
            return bool(self.get("/readyz")["ready"])
        except (OSError, HTTPError):
            return False

    def end(self, how: int = signal.SIGKILL) -> int:
        """End it this way; return its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(120)

    def get(self, path: str) -> Any:
        """Return what a route answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            error.close()  # it holds the connection
            raise

    def send(self, events: list[dict[str, Any]]) -> bool:
        """Send events; return whether they were acknowledged."""
        [file] = (self.folder / f"vigie-{os.getuid()}").glob(f"{self.port}.json")
        token = json.loads(file.read_bytes())["token"]
        body = "\n".join(json.dumps(event) for event in events).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        try:
            with urlopen(Request(f"http://127.0.0.1:{self.port}/api/events", body, headers), timeout=60) as answer:
                return bool(answer.status == 200)
        except HTTPError as error:
            error.close()
            return False
        except (URLError, OSError):
            return False

    def value(self, kpi: str) -> float | None:
        """Return the value of a KPI over 90 days as it is now."""
        found = self.get(f"/api/kpis?kpi={kpi}&window=90d")[0]["value"]
        return None if found is None else float(found)

    def comes_to(self, kpi: str, value: float) -> None:
        """Wait until a KPI over 90 days has this value, and see that it stays so."""
        until(lambda: self.value(kpi) == value, why=lambda: f"{kpi}: {self.value(kpi)}, not {value}")
        time.sleep(1.5)
        assert self.value(kpi) == value, kpi


def won() -> list[list[dict[str, Any]]]:
    """Batches of deals, each created and won, with amounts 1, 2, 3 …"""
    now = datetime.now(UTC)
    batches = []
    for first in range(0, DEALS, 20):
        batch = []
        for n in range(first, first + 20):
            created = (now - timedelta(days=3 + n % 30)).isoformat()
            closed = (now - timedelta(days=2, minutes=n)).isoformat()
            same = {"specversion": "1.0", "source": "test", "subject": f"d{n}"}
            batch.append(
                {**same, "id": f"c{n}", "type": "deal.created", "time": created, "data": {"amount": n + 1, "currency": "EUR"}}
            )
            batch.append({**same, "id": f"w{n}", "type": "deal.won", "time": closed, "data": {}})
        batches.append(batch)
    return batches


def test_what_was_acknowledged_is_counted_once_however_often_it_is_killed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    dice = random.Random(4)
    left = won()
    kill_at = {len(left) - 4, len(left) - 9, len(left) - 14}
    machine.start()
    while left:
        sender = ThreadPoolExecutor(1)
        sending = sender.submit(machine.send, left[0])
        killed = len(left) in kill_at
        if killed:
            kill_at.remove(len(left))
            time.sleep(dice.random() * 0.1)
            machine.end(signal.SIGKILL)
        sender.shutdown()
        if killed:
            machine.start()
        if sending.result():
            batch = left.pop(0)
            if dice.random() < 0.2:
                machine.send(batch)  # a sender that did not hear the answer
    machine.comes_to("sales", DEALS)
    machine.comes_to("revenue", DEALS * (DEALS + 1) / 2)
    machine.end(signal.SIGKILL)
    machine.start()
    machine.comes_to("sales", DEALS)
    assert machine.end(signal.SIGTERM) == 0
    machine.start()
    machine.comes_to("sales", DEALS)
    second = subprocess.run(
        [sys.executable, "-m", "vigie", "up", "--port", str(free_port())],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "held by process" in " ".join((second.stdout + second.stderr).split())
    assert machine.end(signal.SIGTERM) == 0


def test_in_memory_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.start("--in-memory")
    assert machine.send(won()[0])
    machine.comes_to("sales", 20)
    assert machine.end(signal.SIGTERM) == 0
    assert "nothing is kept over a restart" in " ".join((tmp_path / "up.log").read_text().split())
    assert not (tmp_path / "data").exists()
