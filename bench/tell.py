"""Is every incident told, when the worker that tells it is killed between intent and result?

Two whole workers (``vigie worker``) on a real Kafka, one HTTP receiver here. Leads are created in campaigns of their own; a rule
fires for each, so that every campaign is one incident to be told. When a message arrives, whoever sent it is killed with −9, by
turns before it is answered (the receiver has it, the worker will never know) and right after (the worker knows, and may or may
not have written it down). A supervisor starts it again. In the end every incident must have been told, and what was told twice
must carry the same idempotency key and the same bytes. Exit code 1 if not.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
from aiohttp import web

from models.calendar import iso
from tests.integration.installation import Installation, event
from tests.kafka_broker import KafkaBroker
from tests.tools import free_port

WORKERS = 2
RULE = """\
id: bench-told
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
_GONE = 60.0  # seconds in which whoever takes over must have told the next one


@dataclass
class Told:
    """What the receiver has had."""

    bodies: dict[str, set[bytes]] = field(default_factory=dict)  # by key
    times: Counter[str] = field(default_factory=Counter)  # by key
    campaigns: dict[str, set[str]] = field(default_factory=dict)  # campaign -> keys of what said that it fired
    kills: int = 0
    unanswered: list[str] = field(default_factory=list)  # keys
    faults: list[str] = field(default_factory=list)


class Stage:
    """The receiver, the workers and their killer."""

    def __init__(self, brokers: str, prefix: str, directory: Path, kills: int, session: float) -> None:
        self.kills = kills
        self.told = Told()
        self._site = Installation(brokers, prefix, directory, KAFKA__SESSION_TIMEOUT=f"{session:g}s")
        self._directory = directory
        self._workers: list[asyncio.subprocess.Process] = []
        self._log = (directory / "tell.log").open("wb")
        self._next = asyncio.Event()
        self._ending = False

    # ── the receiver ──

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Note a message, and kill its sender if it is still to be."""
        body = await request.read()
        key = request.headers["webhook-id"]
        tree = orjson.loads(body)
        told = self.told
        told.times[key] += 1
        told.bodies.setdefault(key, set()).add(body)
        if tree["type"] == "alert.fired":
            told.campaigns.setdefault(tree["data"]["segment"].get("campaign", "?"), set()).add(key)
        if request.headers["idempotency-key"] != key:
            told.faults.append(f"{key}: another Idempotency-Key")
        kill = told.kills < self.kills and told.times[key] == 1
        if kill:
            told.kills += 1
            peer = request.transport.get_extra_info("peername") if request.transport else None
            if told.kills % 2:
                told.unanswered.append(key)
                self._kill(peer)
                self._next.set()
                return web.Response(status=200)  # nobody is there to hear it
        answer = web.Response(status=200)
        await answer.prepare(request)
        await answer.write_eof()
        if kill:
            self._kill(peer)
        self._next.set()
        return answer

    def _kill(self, peer: Any) -> None:
        """Kill the worker that has this end of the connection."""
        for worker in self._workers:
            with contextlib.suppress(psutil.Error):
                for connection in psutil.Process(worker.pid).net_connections("tcp"):
                    if connection.laddr and connection.laddr.port == peer[1]:
                        os.kill(worker.pid, signal.SIGKILL)
                        return
        self.told.faults.append("a message came from nobody we know")

    # ── the workers ──

    async def _start(self, index: int) -> asyncio.subprocess.Process:
        environment = self._site.environment | {"VIGIE_INSTANCE": f"w{index}", "VIGIE_WEB__PORT": str(free_port())}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vigie", "worker", env=environment, cwd=self._directory, stdout=self._log, stderr=self._log
        )

    async def _supervise(self, index: int) -> None:
        while not self._ending:
            await self._workers[index].wait()
            if not self._ending:
                self._workers[index] = await self._start(index)

    # ── the run ──

    async def go(self) -> Told:
        """Tell as many incidents as there are kills, and one more."""
        app = web.Application()
        app.router.add_post("/hook", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        rules = self._directory / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "bench-told.yaml").write_text(RULE)
        receivers = [{"name": "told", "type": "http", "url": f"http://127.0.0.1:{port}/hook"}]
        route = {"receivers": ["told"], "group_by": ["..."], "group_wait": 0, "group_interval": 0}  # each by itself, at once
        given = {"RULE_FOLDERS": [str(rules)], "RECEIVERS": receivers, "ALERTING": {"route": route}}
        self._site.set(**{name: orjson.dumps(value).decode() for name, value in given.items()})
        await asyncio.to_thread(self._site.done, "topics", "create")
        self._workers = [await self._start(index) for index in range(WORKERS)]
        supervisors = [asyncio.create_task(self._supervise(index)) for index in range(WORKERS)]
        try:
            campaigns = [f"c{n}" for n in range(self.kills + 1)]
            for campaign in campaigns:
                self._next.clear()
                await asyncio.to_thread(self._create, campaign)
                await self._until_told(campaign)
            await asyncio.sleep(1.0)  # what is still on its way
        finally:
            self._ending = True
            for worker in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    worker.terminate()
            for worker in self._workers:
                try:
                    async with asyncio.timeout(15):
                        await worker.wait()
                except TimeoutError:
                    worker.kill()
                    await worker.wait()
            for task in supervisors:
                task.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)
            await runner.cleanup()
            self._log.close()
        return self._judged(campaigns)

    def _create(self, campaign: str) -> None:
        at = iso(time.time_ns() // 1_000_000 - 1_000)
        lead = event("lead.created", f"e-{campaign}", f"l-{campaign}", at, campaign=campaign)
        self._site.produce([("leads", f"l-{campaign}".encode(), orjson.dumps(lead), None)])

    async def _until_told(self, campaign: str) -> None:
        try:
            async with asyncio.timeout(_GONE):
                while campaign not in self.told.campaigns:
                    await self._next.wait()
                    self._next.clear()
        except TimeoutError:
            self.told.faults.append(f"{campaign}: not told within {_GONE:g} s")

    def _judged(self, campaigns: list[str]) -> Told:
        told = self.told
        for campaign in campaigns:
            keys = told.campaigns.get(campaign, set())
            if len(keys) != 1:
                told.faults.append(f"{campaign}: told under {len(keys)} keys (accepted: one)")
        for key in told.unanswered:
            if told.times[key] < 2:
                told.faults.append(f"{key}: was not answered, and not sent again")
        for key, bodies in told.bodies.items():
            if len(bodies) != 1:
                told.faults.append(f"{key}: {len(bodies)} different bodies under one key")
        return told


def summary(told: Told, seconds: float) -> str:
    """Return the result in one line."""
    twice = sum(count - 1 for count in told.times.values())
    return (
        f"{told.kills} × kill −9 ({len(told.unanswered)} before the answer, {told.kills - len(told.unanswered)} after it), "
        f"{len(told.campaigns)} incidents, all told: {'no' if told.faults else 'yes'}; {twice} duplicates, "
        f"each under its first key and with the same bytes; at most {max(told.times.values(), default=0)} times one message; "
        f"{seconds:.0f} s"
    )


def tell(brokers: str, prefix: str, directory: Path, kills: int, session: float = 6.0) -> Told:
    """Run it; raise nothing for what is found wrong: it is in ``faults``."""
    return asyncio.run(Stage(brokers, prefix, directory, kills, session).go())


def main() -> int:
    """Run with a broker of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--session", type=float, default=3.0, help="session time-out of the workers, seconds")
    parser.add_argument("--keep", type=Path, help="directory for the workers' log")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-tell-"))
    directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with KafkaBroker(measured=True) as broker:
        told = tell(broker.bootstrap, f"tell{uuid.uuid4().hex[:6]}-", directory, arguments.kills, arguments.session)
    print(summary(told, time.monotonic() - began), flush=True)
    for fault in told.faults:
        print(f"FAULT {fault} (log: {directory / 'tell.log'})", flush=True)
    return 1 if told.faults else 0


if __name__ == "__main__":
    sys.exit(main())
