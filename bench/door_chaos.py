"""Is each event counted exactly once, when the doors are killed and the sender tries again as HubSpot does?

Two ``vigie web`` on a real Kafka and a real Redis are killed with −9 in turn, every few seconds, and started again; Redis is
killed once and comes back empty; a ``vigie worker`` folds. The sender tries again what was answered 5xx or 429, cut off, or not
answered in five seconds, with HubSpot's back-off shortened, until it is acknowledged; and one in five that *was* acknowledged
comes again as well. At the end the KPIs must equal plain sums over what was sent.
"""

import asyncio
import heapq
import itertools
import json
import math
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.hubspot import SETTINGS, Crm, Note, request, retried
from bench.site import Door, installed
from bench.wire import Connection
from tests.kafka_broker import KafkaBroker
from tests.kafka_records import records
from tests.redis_server import Redis

#: Requests that the sender has under way at a time.
AT_ONCE = 40
#: HubSpot's own patience, in seconds.
PATIENCE = 5.0
AGAIN = 0.2


@dataclass(order=True)
class Delivery:
    """One batch to be sent at ``due`` (loop time); ``again`` where it had been acknowledged before."""

    due: float
    number: int
    notes: list[Note] = field(compare=False)
    attempt: int = field(default=0, compare=False)
    again: bool = field(default=False, compare=False)


class Sender:
    """Delivers batches to the doors until each has been acknowledged."""

    def __init__(self, doors: list[Door], seed: int, *, within: float = 15.0, pause: float = 3.0) -> None:
        """What was acknowledged comes again ``within`` so many seconds, if it does; what was not after ``pause`` at most."""
        self._doors = doors
        self._within, self._pause = within, pause
        self._random = random.Random(seed)
        self._idle: list[list[Connection]] = [[] for _ in doors]
        self._later: list[Delivery] = []
        self._numbers = itertools.count()
        self.answers: Counter[str] = Counter()
        self.most_attempts = 0
        self.sent = 0

    async def run(self, batches: list[list[Note]]) -> None:
        """Deliver all, and what follows from it."""
        left = iter(batches)
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        told = loop.time()
        while True:
            if loop.time() > told + 10:
                told = loop.time()
                print(f"sent {self.sent}, {dict(self.answers)}, {len(self._later)} to come again", file=sys.stderr, flush=True)
            while len(tasks) < AT_ONCE:
                if self._later and self._later[0].due <= loop.time():
                    delivery = heapq.heappop(self._later)
                elif (batch := next(left, None)) is not None:
                    delivery = Delivery(loop.time(), next(self._numbers), batch)
                else:
                    break
                task = asyncio.create_task(self._deliver(delivery))
                tasks.add(task)
            if not tasks and not self._later:
                break
            if tasks:
                done, tasks = await asyncio.wait(tasks, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            else:
                await asyncio.sleep(max(0.0, self._later[0].due - loop.time()))
        for connection in itertools.chain(*self._idle):
            connection.close()

    async def _deliver(self, delivery: Delivery) -> None:
        at = (delivery.number + delivery.attempt) % len(self._doors)  # tries alternate, as behind a balancer
        notes = retried(delivery.notes, delivery.attempt) if delivery.attempt else delivery.notes
        self.sent += 1
        loop = asyncio.get_running_loop()
        try:
            idle = self._idle[at]
            connection = idle.pop() if idle else await Connection.open("127.0.0.1", self._doors[at].port)
            status = await connection.ask(request(notes), PATIENCE)
            if not connection.closed:
                idle.append(connection)
            said = str(status)
        except TimeoutError:
            said = "no answer"
        except OSError as error:
            said = "cut off" if isinstance(error, ConnectionResetError) or "cut off" in str(error) else "no connection"
        self.answers[said] += 1
        if said == "200":
            self.most_attempts = max(self.most_attempts, delivery.attempt)
            if not delivery.again and self._random.random() < AGAIN:
                due = loop.time() + self._random.uniform(0.05, self._within)
                self._push(due, delivery.notes, delivery.attempt + 1, True, next(self._numbers))
            return
        if said.startswith("4") and said != "429":
            raise RuntimeError(f"the door answered {said}: {connection.body!r} to {notes}")
        wait = min(0.2 * 2 ** min(delivery.attempt, 16), self._pause) * self._random.uniform(0.5, 1.5)
        self._push(loop.time() + wait, delivery.notes, delivery.attempt + 1, delivery.again, delivery.number)

    def _push(self, due: float, notes: list[Note], attempt: int, again: bool, number: int) -> None:
        heapq.heappush(self._later, Delivery(due, number, notes, attempt, again))


@dataclass
class Report:
    """What was done, what came out, and what is wrong with it."""

    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


async def _disturb(
    doors: list[Door], redis: Redis, dice: random.Random, kills: int, pause: tuple[float, float], done: list[str]
) -> None:
    """Kill one door after the other, each once the one before is back, now and then both; and Redis once."""
    for number in range(kills):
        await asyncio.sleep(dice.uniform(*pause))
        both = number > 1 and dice.random() < 0.2
        dying = [number % 2, (number + 1) % 2] if both else [number % 2]
        for index in dying:
            await asyncio.to_thread(doors[index].kill)
            done.append(f"k{index}")
        for index in dying:
            doors[index].start()
        if number == min(kills, 6) // 2:
            redis.stop()
            done.append("R")
            await asyncio.sleep(dice.uniform(1, 4))
            redis.start()
        for index in dying:
            while not await asyncio.to_thread(doors[index].answers):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)


def run(
    broker: KafkaBroker, directory: Path, prefix: str, *, deliveries: int, seed: int, kills: int = 10_000,
    pause: tuple[float, float] = (3.0, 6.0), partitions: int = 4,
) -> Report:  # fmt: skip
    """Make one run; ``kills`` bounds how many there are."""
    report, dice = Report(), random.Random(seed)
    redis = Redis(directory)
    redis.start()
    site = installed(broker.bootstrap, prefix, directory, SETTINGS, partitions=partitions, REDIS__URL=redis.url)
    crm = Crm(seed, time.time_ns() // 1_000_000)
    batches = list(crm.batches(math.ceil(deliveries / (1 + AGAIN))))
    doors = [Door(site, f"web{index}") for index in range(2)]
    done: list[str] = []
    try:
        with site.worker() as worker:
            for door in doors:
                door.start()
            worker.ready()
            for door in doors:
                door.up()
            sender = Sender(doors, seed)

            async def play() -> None:
                disturbing = asyncio.create_task(_disturb(doors, redis, dice, kills, pause, done))
                try:
                    await sender.run(batches)
                finally:
                    disturbing.cancel()
                    await asyncio.gather(disturbing, return_exceptions=True)

            began = time.monotonic()
            asyncio.run(play())
            took = time.monotonic() - began
            site.settle(180)
            readings, outcomes = worker.readings(), worker.outcomes()
    finally:
        for door in doors:
            door.kill()
        redis.stop()
    written = _ids(broker, prefix, partitions)
    truth = crm.truth
    report.facts = {
        "seed": seed, "deliveries": sender.sent, "batches": len(batches), "events": truth.events, "seconds": round(took),
        "answers": dict(sorted(sender.answers.items())), "most attempts": sender.most_attempts, "happened": " ".join(done),
        "records on the topics": sum(written.values()), "folded": dict(outcomes),
    }  # fmt: skip
    faults = report.faults
    if odd := set(sender.answers) - {"200", "503", "no answer", "cut off", "no connection"}:
        faults.append(f"answers: found {sorted(odd)}")
    if len(written) != truth.events:
        faults.append(f"ids on the topics: found {len(written)}; truth {truth.events}")
    if outcomes["applied"] != truth.events or outcomes["dead_letter"]:
        faults.append(f"applied: found {dict(outcomes)}; truth {truth.events}")
    for name, value in truth.readings().items():
        found = readings[name]["value"]
        if found is None or not math.isclose(float(found), value, rel_tol=1e-8):
            faults.append(f"{name}: found {found}; truth {value}")
    report.facts["readings"] = {name: readings[name]["value"] for name in truth.readings()}
    return report


def _ids(broker: KafkaBroker, prefix: str, partitions: int) -> Counter[str]:
    """How often each event id is on the topics."""
    topics = (f"{prefix}deals", f"{prefix}leads")
    return Counter(json.loads(one.value() or b"{}")["id"] for one in records(broker.bootstrap, *topics, partitions=partitions))
