"""Does one machine lose or double anything, or forget to tell? ``python -m bench.ledger_kills --kills 200 --seed 1``

``vigie up`` on a ledger, with predictions, rules and a receiver, takes a simulated CRM's webhooks: several at a time, in no
order, each until it is acknowledged, one in five once more. In each round a lead of a campaign of its own is an incident to be
told, and at a random moment, under load or while it starts, the process is killed with −9. With ``--power`` its power is cut: of
what was not synced nothing, a part, or pages and sectors in any order are left (``tests/power.py``). Started again, before the
next round: every acknowledged event is in the file, six KPIs equal plain sums of what the CRM did, the incident is told under one
id. Exit code 1 if not. ``--synchronous NORMAL`` does not wait for the disk: with ``--power`` it must fail.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from aiohttp import web

from bench.door_chaos import Sender
from bench.hubspot import SETTINGS, Crm
from bench.tell import RULE
from models.calendar import iso
from stream.ledger.schema import OFFSET_BITS
from tests.integration.installation import event
from tests.power import Lost, cut, watched
from tests.tools import eventually, free_port

#: Makes processes that have all modules already: to import them would take most of the time. One line is one order.
_NURSERY = """
import os, signal, sys
import vigie.__main__, vigie.up, models.learners.live_learn, models.learners.live_predict
from stream.ledger import schema
port, synchronous = sys.argv[1:3]
if synchronous != "FULL":
    set_ = schema._set
    def set_so(connection, durable):
        set_(connection, durable)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    schema._set = set_so
print("ready", flush=True)
child = 0
for line in sys.stdin:
    if line == "start\\n":
        child = os.fork()
        if not child:
            os.dup2(os.open("up.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 1)
            os.dup2(1, 2)
            sys.argv = ["vigie", "up", "--port", port]
            vigie.__main__.main()
    elif line == "look\\n":
        print(os.waitpid(child, os.WNOHANG)[1], flush=True)
        continue
    else:
        try:
            os.kill(child, int(line))
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended by itself
    print(child, flush=True)
"""


class Receiver:
    """An HTTP receiver that takes its time, and at times refuses."""

    def __init__(self, dice: random.Random) -> None:
        self.campaigns: dict[str, set[str]] = defaultdict(set)  # keys of what said that it fired
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.times: Counter[str] = Counter()
        self.url = ""
        self._dice = dice

    async def _take(self, request: web.Request) -> web.Response:
        body, key = await request.read(), request.headers["webhook-id"]
        await asyncio.sleep(self._dice.random() * 0.2)
        if self._dice.random() < 0.1:
            return web.Response(status=503)
        tree = json.loads(body)
        self.times[key] += 1
        self.bodies[key].add(body)
        if tree["type"] == "alert.fired":
            self.campaigns[tree["data"]["segment"].get("campaign", "")].add(key)
        return web.Response()

    @contextlib.asynccontextmanager
    async def open(self) -> Any:
        """Listen until the end of the block."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield self
        await runner.cleanup()


class Machine:
    """``vigie up`` in a folder, killed and started again."""

    def __init__(self, folder: Path, dice: random.Random, *, power: bool, synchronous: str = "FULL") -> None:
        self.folder, self.port = folder, free_port()
        self.file = folder / "data" / "vigie.db"
        self._power = folder / "power.log" if power else None
        self._dice = dice
        environment = watched(folder / "data", self._power, slow=4_000) if self._power else dict(os.environ)
        kept = {name: value for name, value in environment.items() if not name.startswith("VIGIE_")}
        kept |= {"XDG_RUNTIME_DIR": str(folder), "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
        kept |= {"VIGIE_KAFKA__PARTITIONS": "2"}
        command = [sys.executable, "-c", _NURSERY, str(self.port), synchronous]
        self._nursery = subprocess.Popen(
            command, cwd=folder, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._answer()
        self.pid = 0

    def _answer(self) -> str:
        assert self._nursery.stdout is not None
        found = self._nursery.stdout.readline()
        if not found:
            raise RuntimeError("vigie cannot be started")
        return found

    def order(self, what: object) -> None:
        """Have it started, or sent a signal that ends it."""
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(f"{what}\n")
        self.pid = int(self._answer())

    def ended(self) -> int:
        """Return the signal that has ended it though none was ordered, or its exit code times 256; 0 while it runs."""
        assert self._nursery.stdin is not None
        self._nursery.stdin.write("look\n")
        return int(self._answer())

    def kill(self) -> Lost | None:
        """``kill -9``, or a power cut: what that took."""
        self.order(int(signal.SIGKILL))
        return cut(self.file.parent, self._power, self._dice) if self._power else None

    async def ask(self, path: str, body: bytes | None = None) -> Any:
        """Return what a route answers; raise ``httpx.HTTPError`` or ``OSError``."""
        file = next((self.folder / f"vigie-{os.getuid()}").glob(f"{self.port}.json"), None)
        if file is None:
            raise OSError("it has left no token yet")
        headers = {"Authorization": f"Bearer {json.loads(file.read_bytes())['token']}", "Content-Type": "application/x-ndjson"}
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            url = f"http://127.0.0.1:{self.port}{path}"
            answer = await (client.get(url) if body is None else client.post(url, content=body))
        return answer.raise_for_status().json()

    async def until(self, path: str, holds: Any, seconds: float = 90) -> Any:
        """Ask until the answer is right; return the last one."""
        end, found = time.monotonic() + seconds, None
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError, OSError, ValueError):
                found = await self.ask(path)
                if holds(found):
                    return found
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{path}: {found}")

    def close(self) -> None:
        """End it, in order."""
        self.order(int(signal.SIGTERM))
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait(20)
        self._nursery.stdout.close()


class Run:
    """Rounds, and what is wrong after each."""

    def __init__(self, folder: Path, seed: int, *, power: bool = False, synchronous: str = "FULL") -> None:
        self.dice = random.Random(seed)
        self.receiver = Receiver(random.Random(seed))
        self.crm = Crm(seed, time.time_ns() // 1_000_000)
        self.faults: list[str] = []
        self.lost: list[Lost] = []
        self.starting = 0
        self.ids: Counter[str] = Counter()
        self.sent = 0
        self._folder, self._power, self._synchronous = folder, power, synchronous
        self._seen = dict[int, int]()
        self._version = 0

    async def go(self, kills: int, batches: int = 60) -> None:
        """Kill so many times; ends early where something is wrong."""
        async with self.receiver.open():
            self._settle_in()
            self.machine = Machine(self._folder, self.dice, power=self._power, synchronous=self._synchronous)
            door: Any = SimpleNamespace(port=self.machine.port)
            sender = Sender([door], self.dice.randrange(1 << 30), within=1.5, pause=0.3)
            self.machine.order("start")
            try:
                for n in range(kills):
                    await self._round(n, sender, batches)
                    self.sent = sender.sent
                    if self.faults:
                        return
                    if n % 10 == 9:
                        print(f"{n + 1} kills, {len(self.ids)} events, {sender.sent} requests", file=sys.stderr, flush=True)
            finally:
                await asyncio.to_thread(self.machine.close)

    def _settle_in(self) -> None:
        rules = self._folder / "rules"
        rules.mkdir(parents=True, exist_ok=True)
        (rules / "bench-told.yaml").write_text(RULE)
        receivers = [{"name": "told", "type": "http", "url": self.receiver.url}]
        route = {"receivers": ["told"], "group_by": ["..."], "group_wait": 0, "group_interval": 0}
        alerting = {"rule_folders": [str(rules)], "receivers": receivers, "alerting": {"route": route}}
        (self._folder / "vigie.yaml").write_text(json.dumps({**SETTINGS, **alerting}))

    async def _round(self, n: int, sender: Sender, batches: int) -> None:
        machine = self.machine
        self.crm.first += 10_000
        sending = asyncio.create_task(sender.run(list(self.crm.batches(batches))))
        telling = asyncio.create_task(self._incident(f"c{n}"))
        if self.dice.random() < 0.8:
            await machine.until("/readyz", lambda found: found["ready"])
            await asyncio.sleep(self.dice.random() * 1.5)
        else:
            self.starting += 1
            await asyncio.sleep(self.dice.random() * 3)
        took = await asyncio.to_thread(machine.kill)
        if took is not None:
            self.lost.append(took)
        machine.order("start")
        watching: asyncio.Future[int] = asyncio.create_task(self._watch())
        both: asyncio.Future[Any] = asyncio.gather(sending, telling)
        await asyncio.wait([watching, both], return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            self.faults.append(f"kill {n}: it ended by itself with {watching.result()}")
            both.cancel()
            return
        watching.cancel()
        await both
        await machine.until("/readyz", lambda found: found["ready"])
        await self._compare(n)

    async def _watch(self) -> int:
        """Return what has ended it, though it was not ordered to end."""
        while not (ended := self.machine.ended()):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(1)
        return ended

    async def _incident(self, campaign: str) -> None:
        at = iso(time.time_ns() // 1_000_000 - 1_000)
        body = json.dumps(event("lead.created", f"e-{campaign}", f"l-{campaign}", at, campaign=campaign)).encode()
        while True:
            with contextlib.suppress(httpx.HTTPError, OSError, ValueError):
                await self.machine.ask("/api/events", body)
                break
            await asyncio.sleep(0.2)
        self.crm.truth.leads += 1
        self.crm.truth.events += 1

    async def _compare(self, n: int) -> None:
        truth = self.crm.truth.readings()

        def equal(found: list[dict[str, Any]]) -> bool:
            values = {reading["kpi"]: reading["value"] for reading in found}
            return all(values[k] is not None and math.isclose(float(values[k]), v, rel_tol=1e-8) for k, v in truth.items())

        try:
            await self.machine.until("/api/kpis?window=30d", equal, 30)
        except TimeoutError as error:
            self.faults.append(f"kill {n}: truth {truth}; found {str(error)[:3000]}")
        for id in self._new_ids():
            self.ids[id] += 1
        if len(self.ids) != self.crm.truth.events:
            self.faults.append(f"kill {n}: {len(self.ids)} ids in the file; acknowledged: {self.crm.truth.events}")
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: self.receiver.campaigns[f"c{n}"], 60)
        if len(keys := self.receiver.campaigns[f"c{n}"]) != 1:
            self.faults.append(f"kill {n}: its incident told under {len(keys)} ids")
        self.faults += [f"{key}: {len(bodies)} bodies" for key, bodies in self.receiver.bodies.items() if len(bodies) > 1]
        models = await self.machine.ask("/api/models")
        version = max((int(model["version"]) for model in models), default=0)
        if version < self._version:
            self.faults.append(f"kill {n}: models went back from version {self._version} to {version}")
        self._version = version

    def _new_ids(self) -> Iterator[str]:
        """Yield the ids of the events that came to the file since the last time."""
        with contextlib.closing(sqlite3.connect(f"file:{self.machine.file}?mode=rw", uri=True)) as file:
            file.execute("PRAGMA query_only = ON")
            for (log,) in file.execute("SELECT id FROM logs WHERE topic IN ('deals', 'leads')").fetchall():
                first, end = self._seen.get(log, log << OFFSET_BITS), (log + 1) << OFFSET_BITS
                query = "SELECT place, value FROM records WHERE place >= ? AND place < ? ORDER BY place"
                for place, value in file.execute(query, (first, end)):
                    self._seen[log] = place + 1
                    yield json.loads(value)["id"]

    def facts(self) -> dict[str, Any]:
        """Return what was done."""
        told = {campaign: keys for campaign, keys in self.receiver.campaigns.items() if campaign.startswith("c")}
        found: dict[str, Any] = {
            "events": len(self.ids), "records": sum(self.ids.values()), "requests": self.sent, "while starting": self.starting,
            "incidents": len(told), "told again": sum(self.receiver.times[k] - 1 for keys in told.values() for k in keys),
            "models' version": self._version,
        }  # fmt: skip
        if self.lost:
            found["cuts that took something"] = sum(lost.changed > 0 for lost in self.lost)
            found["sectors taken"] = sum(lost.changed for lost in self.lost)
            found["how"] = dict(Counter(lost.mode for lost in self.lost if lost.changed))
        return found


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--power", action="store_true", help="cut the power instead")
    parser.add_argument("--synchronous", default="FULL", choices=["FULL", "NORMAL", "OFF"])
    parser.add_argument("--keep", type=Path, help="directory for everything")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-kills-"))
    run, began = Run(folder, arguments.seed, power=arguments.power, synchronous=arguments.synchronous), time.monotonic()
    asyncio.run(run.go(arguments.kills))
    print(json.dumps({"kills": arguments.kills, **run.facts(), "seconds": round(time.monotonic() - began)}))
    print("\n".join(f"FAULT {fault}" for fault in run.faults) or "EXACT")
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
