"""What does a year on one machine take? ``python -m bench.one_machine --days 365 --scale 2.5`` (scale 2.5: 50 representatives)

A simulated company lives day by day into the file of a ``vigie up`` with predictions, rules and everything else on. Then: how
large the file is and what is in it; how long a start takes until ``/readyz`` is 200, and how much memory it holds; what an event
a tenth of a second costs; and webhooks, each answered when the disk has it, as fast as sixteen senders go.
"""

import argparse
import asyncio
import base64
import contextlib
import hmac
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from models.calendar import epoch_ms, iso
from models.simulator import World
from stream.config.settings import Settings
from stream.engine.publisher import Publisher
from stream.ledger.store import Ledger
from tests.tools import free_port
from vigie.ledger import FILE
from vigie.running import running

_DAY = 86_400_000
_KEY = b"a key of this bench and of nobody else"
_SECRET = "whsec_" + base64.b64encode(_KEY).decode()
_SENDERS, _BATCH = 16, 5_000
_TICK = os.sysconf("SC_CLK_TCK")


async def live(folder: Path, days: int, scale: float) -> dict[str, Any]:
    """Have the company live up to this day; return what that took."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    now = [epoch_ms(start)]
    world = World(7, start, days, scale=scale, details=True)
    cpu, count = time.process_time(), 0
    async with running(Settings(data_dir=folder), ledger=Ledger(folder / FILE), clock=lambda: now[0]) as instance:
        await instance.engine.ready(60)
        with Publisher(instance.options) as publisher:

            async def settle() -> None:
                await publisher.flushed()
                await instance.engine.driver.settled(publisher.ends, cascade=True)

            for event in world.events():
                publisher.publish(orjson.dumps(event))
                count += 1
                if count % 200 == 0:
                    await asyncio.sleep(0)
                at = epoch_ms(datetime.fromisoformat(event["time"]))
                if at >= now[0] + _DAY or count % _BATCH == 0:
                    await settle()
                    now[0] = max(now[0], at)
            await settle()
    return {"events": count, "CPU µs an event": round((time.process_time() - cpu) / count * 1e6)}


def sizes(path: Path) -> dict[str, float]:
    """Return what is in a file, in MB: records and rows by topic, indexes and room beside them as ``other``."""
    found: dict[str, float] = defaultdict(float)
    with contextlib.closing(sqlite3.connect(path)) as file:
        names = {id: topic for id, topic in file.execute("SELECT id, topic FROM logs")}
        for table, log in (("records", "place >> 40"), ("latest", "log"), ("rows", "log")):
            query = f"SELECT {log}, sum(length(coalesce(key, '')) + length(coalesce(value, ''))) FROM {table} GROUP BY 1"
            for id, size in file.execute(query):
                found[names[id]] += size / 1e6
    found["other"] = path.stat().st_size / 1e6 - sum(found.values())
    return {name: round(size, 1) for name, size in sorted(found.items(), key=lambda item: -item[1])}


class Up:
    """A ``vigie up`` of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        sources = {"crm": {"adapter": "standard", "secrets": [_SECRET]}}
        (folder / "vigie.yaml").write_text(json.dumps({"data_dir": str(folder), "sources": sources}))
        command = [sys.executable, "-m", "vigie", "up", "--port", str(self.port), "--config", str(folder / "vigie.yaml")]
        began = time.monotonic()
        with (folder / "up.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.port}"
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz").json().get("ready"):
                    break
            if self.process.poll() is not None:
                raise RuntimeError((folder / "up.log").read_text()[-2000:])
            time.sleep(0.05)
        self.started, self.started_cpu = time.monotonic() - began, self.cpu()

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> float:
        """Resident memory, in MB."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def event(n: int) -> bytes:
    """A new deal, or a step of one."""
    data = {"amount": 1_000 + n % 977, "currency": "EUR", "owner": f"o{n % 50}", "stage": "qualified", "source": "web"}
    kind = "deal.created" if n % 2 == 0 else "deal.stage_changed"
    tree = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/bench",
        "type": kind,
        "time": iso(time.time_ns() // 1_000_000),
    }
    return orjson.dumps({**tree, "subject": f"B{n // 2}", "data": data})


def signed(body: bytes) -> dict[str, str]:
    """Return the headers of a Standard Webhook."""
    id, at = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    digest = hmac.digest(_KEY, f"{id}.{at}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature, "content-type": "application/json"}


async def send(url: str, numbers: Iterator[int], seconds: float, pause: float, senders: int) -> list[float]:
    """Post events, each until it is acknowledged, for so long; return the milliseconds that each took."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            body = event(next(numbers))
            answer = await client.post(f"{url}/webhooks/crm", content=body, headers=signed(body))
            answer.raise_for_status()
            took.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(max(pause - (time.monotonic() - began), 0))

    async with httpx.AsyncClient() as client:
        await asyncio.gather(*(one(client) for _ in range(senders)))
    return took


def told(took: list[float], seconds: float) -> str:
    """Say how many a second, and their median and 99th percentile."""
    cut = statistics.quantiles(took, n=100)
    return f"{len(took) / seconds:,.0f} a second, p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms"


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--scale", type=float, default=2.5)
    parser.add_argument("--folder", type=Path, help="keep the file here, or go on with the one that is here")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each load goes on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            print("lived:", asyncio.run(live(folder, options.days, options.scale)), flush=True)
        print("MB:", f"{(folder / FILE).stat().st_size / 1e6:,.0f} of which", sizes(folder / FILE), flush=True)
        up = Up(folder)
        try:
            print(f"start: {up.started:.1f} s ({up.started_cpu:.1f} CPU s), {up.memory():.0f} MB", flush=True)
            time.sleep(10)
            numbers = iter(range(10**9))
            cpu, began = up.cpu(), time.monotonic()
            time.sleep(options.seconds)
            print(f"idle: {(up.cpu() - cpu) / (time.monotonic() - began):.0%} of a core, {up.memory():.0f} MB", flush=True)
            for what, pause, senders in (("10 a second", 0.1, 1), ("as fast as it goes", 0.0, _SENDERS)):
                cpu, began = up.cpu(), time.monotonic()
                took = asyncio.run(send(up.url, numbers, options.seconds, pause, senders))
                busy = (up.cpu() - cpu) / (time.monotonic() - began)
                print(f"webhooks, {what}: {told(took, options.seconds)}; {busy:.0%} of a core, {up.memory():.0f} MB", flush=True)
        finally:
            up.close()


if __name__ == "__main__":
    main()
