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
        for _ in range(600):
            assert self.process.poll() is None, (self.folder / "up.log").read_text()
            try:
                if self.get("/readyz")["ready"]:
                    return
            except (OSError, HTTPError):
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / "up.log").read_text())

    def end(self, how: int = signal.SIGKILL) -> int:
        """End it this way; return its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(40)

    def get(self, path: str) -> Any:
        """Return what a route answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
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
            with urlopen(Request(f"http://127.0.0.1:{self.port}/api/events", body, headers), timeout=20) as answer:
                return bool(answer.status == 200)
        except HTTPError as error:
            error.close()
            return False
        except (URLError, OSError):
            return False

    def reading(self, kpi: str) -> Any:
        """Return the value of a KPI over 90 days, once it has not changed for a moment."""
        before: Any = None
        for _ in range(60):
            found = self.get(f"/api/kpis?kpi={kpi}&window=90d")[0]["value"]
            if found is not None and found == before:
                return found
            before = found
            time.sleep(1.5)
        raise AssertionError(f"{kpi}: {before} still changes")


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
    assert machine.reading("sales") == DEALS
    assert float(machine.reading("revenue")) == DEALS * (DEALS + 1) / 2
    machine.end(signal.SIGKILL)
    machine.start()
    assert machine.reading("sales") == DEALS
    assert machine.end(signal.SIGTERM) == 0
    machine.start()
    assert machine.reading("sales") == DEALS
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
    assert machine.reading("sales") == 20
    assert machine.end(signal.SIGTERM) == 0
    assert "nothing is kept over a restart" in " ".join((tmp_path / "up.log").read_text().split())
    assert not (tmp_path / "data").exists()
