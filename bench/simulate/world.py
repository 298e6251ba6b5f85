"""One run: workers under load, whatever the dice do to them, and whether all is there once and in its order afterwards.

First comes the stretch in which everything may happen (:class:`Plan`), then a calm in which the workers must come to the end by
themselves; a reader of nothing but the topics then compares with a walk over the numbers.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from unittest import mock

import confluent_kafka

from bench.simulate.broker import Broker
from bench.simulate.clients import AdminClient, Consumer, Faults, Network
from bench.simulate.flow import Backend
from bench.simulate.folds import LANES, PARTITIONS, TOPICS, Check, expected, held, specs
from bench.simulate.loop import Process, SimulatedLoop, simulated
from models.fold import Output
from stream.engine import restore
from stream.engine.app import Engine, build_app
from stream.engine.backend import POSITION, Message
from stream.engine.errors import EngineStopped, Fenced, TransactionFailed
from stream.engine.options import EngineOptions
from stream.engine.topic_list import Topic
from stream.engine.topics import partition_for

SESSION = 6.0
TRANSACTION = 10.0
#: How long the workers have in the calm (simulated seconds).
PATIENCE = 240.0


@dataclass
class Plan:
    """What a seed does: how many workers, how much load, which disturbances how often (each a mean number a run)."""

    workers: int
    numbers: int
    seconds: float
    faults: Faults
    kills: float
    stops: float
    freezes: float
    guests: float  # a worker more comes and goes


def plan_of(dice: random.Random, harsh: bool = False) -> Plan:
    """Draw what happens: most runs have some kinds of faults only, and those often; all of them where it is to be ``harsh``."""

    def some(most: float) -> float:
        return dice.random() * most if harsh or dice.random() < 0.5 else 0.0

    return Plan(
        workers=dice.choice((1, 2, 2, 3)),
        numbers=dice.randrange(10, 40),
        seconds=dice.uniform(4, 16),
        faults=Faults(slow=some(0.05), retry=some(0.2), abort=some(0.15), stuck=some(0.05)),
        kills=some(4),
        stops=some(3),
        freezes=some(3),
        guests=some(3),
    )


class Outcome:
    """What came of a seed. ``wrong`` says what is not as it must be; empty: all is."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wrong: list[str] = []
        self.done: dict[str, int] = {}
        self.steps = 0
        self.seconds = 0.0
        self.trace = 0

    def saw(self, kind: str) -> None:
        """Count a disturbance."""
        self.done[kind] = self.done.get(kind, 0) + 1


class _Worker(Process):
    """One process: an engine, until it is killed or ends."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(name)
        self.network = world.network
        self._world = world
        self.engine: Engine | None = None
        self.ended = False
        self.stopping = False
        self.returned: dict[tuple[str, int], list[Output]] = {}
        world.loop.call_soon(self._begin, context=self.context)

    def _begin(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """As SIGTERM asks."""
        engine, loop = self.engine, self._world.loop
        if engine is not None:
            self.stopping = True
            loop.call_soon(lambda: loop.create_task(engine.stop()) and None, context=self.context)

    async def _run(self) -> None:
        world = self._world
        engine = self.engine = world.build(replace(world.options, instance=self.name))
        try:
            await engine.start(patience=60)
            await engine.run_until_stopped()
        except (Fenced, TransactionFailed) as error:
            world.outcome.saw(type(error).__name__)
        except EngineStopped as error:
            if self.stopping:
                return
            world.say(f"{self.name}: {type(error).__name__}: {error}")
        except Exception as error:
            world.say(f"{self.name}: {error!r}")
        finally:
            await engine.stop()
            self.ended = True


class World:
    """Broker, network, workers, and what disturbs them; the folds are those of ``folds.py``."""

    topics: ClassVar[tuple[Topic, ...]] = TOPICS

    def __init__(self, loop: SimulatedLoop, outcome: Outcome, plan: Plan) -> None:
        self.loop = loop
        self.dice = loop.dice
        self.outcome = outcome
        self.plan = plan
        partitions = [(topic.name, p) for topic in self.topics for p in range(PARTITIONS if topic.partitioned else 1)]
        self.broker = Broker(loop, self.dice, partitions, timeout=TRANSACTION, session=SESSION)
        self.network = Network(loop, self.broker, self.dice, plan.faults)
        self.options = EngineOptions(
            brokers="simulated:1",
            topics=self.topics,
            partitions=PARTITIONS,
            lane_intervals=LANES,
            session_timeout=SESSION,
            transaction_timeout=TRANSACTION,
            backend=Backend(self.network),
        )
        self.numbers: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in range(PARTITIONS)}
        self.workers: list[_Worker] = []
        self.over = False

    def build(self, options: EngineOptions) -> Engine:
        """Return a worker's engine."""
        return build_app(options, specs(self.check))

    # --- what disturbs ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Disturb, let come to the end, compare."""
        plan = self.plan
        self.workers = [_Worker(self, f"w{index}") for index in range(plan.workers)]
        for at, what in self._drawn():
            await asyncio.sleep(at - self.loop.now)
            getattr(self, f"_{what}")()
        self.network.faults.on = False
        for worker in self.workers:
            if worker.frozen:
                self.loop.thaw(worker)
        end = self.loop.now + PATIENCE
        while not self._level():
            if self.loop.now > end or self.outcome.wrong:
                self.outcome.wrong.append(f"not at the end after {PATIENCE:g} s of calm")
                return
            self._revive()
            await asyncio.sleep(0.5)
        self._compare()

    def _drawn(self) -> list[tuple[float, str]]:
        plan, dice = self.plan, self.dice
        drawn = [(dice.random() * plan.seconds, "publish") for _ in range(plan.numbers)]
        for what, mean in (("kill", plan.kills), ("stop", plan.stops), ("freeze", plan.freezes), ("guest", plan.guests)):
            drawn += [(dice.random() * plan.seconds, what) for _ in range(round(mean * dice.uniform(0, 2)))]
        drawn += [(second / 2, "revive") for second in range(int(plan.seconds * 2))]
        return sorted(drawn)

    def _publish(self) -> None:
        key = b"k%d" % self.dice.randrange(5)
        value = b"%d" % self.dice.randrange(1, 1000)
        partition = partition_for(key, PARTITIONS)
        self.numbers[partition].append((key, value))
        self.broker.publish(Message("numbers", value, key, partition))

    def _any(self) -> _Worker | None:
        able = [worker for worker in self.workers if worker.alive and not worker.frozen and not worker.ended]
        return self.dice.choice(able) if able else None

    def _kill(self) -> None:
        if (worker := self._any()) is not None:
            self.outcome.saw("kill")
            self.loop.kill(worker)

    def _stop(self) -> None:
        if (worker := self._any()) is not None:
            self.outcome.saw("stop")
            worker.stop()

    def _freeze(self) -> None:
        if (worker := self._any()) is not None:
            self.outcome.saw("freeze")
            worker.frozen = True
            self.loop.call_later(self.dice.uniform(0.05, SESSION * 2.5), self._thaw, worker)

    def _thaw(self, worker: _Worker) -> None:
        if worker.frozen:
            self.loop.thaw(worker)

    def _guest(self) -> None:
        self.outcome.saw("guest")
        guest = _Worker(self, f"g{len(self.workers)}")
        self.workers.append(guest)
        self.loop.call_later(self.dice.uniform(0.5, 8), self._leave, guest)

    def _leave(self, guest: _Worker) -> None:
        if guest.alive:
            guest.stop()

    def _revive(self) -> None:
        """The supervisor: what has ended is started again under its name. Guests are not."""
        for index, worker in enumerate(self.workers):
            if worker.name[0] == "w" and (worker.ended or not worker.alive):
                self.workers[index] = _Worker(self, worker.name)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def check(self, name: str) -> Check:
        """Return who looks whether what a fold believes to be durable is: its outputs are in the log, decided."""
        topic = {"copy": "copies", "total": "sums"}[name]

        def durable(partition: int, outputs: list[Output]) -> None:
            if not outputs:
                return
            log = self.broker.logs[topic, partition]
            there = {
                (e.message.key, e.message.value)
                for e in log.entries
                if e.message is not None and (e.transaction and e.transaction.end)
            }
            if missing := [output for output in outputs if (output.key, output.value) not in there]:
                self.say(f"{name}/{partition} was told that {len(missing)} outputs are durable that are not, {missing[0]}")

        return durable

    def say(self, wrong: str) -> None:
        """Something is not as it must be."""
        if not self.over:
            self.outcome.wrong.append(wrong)

    def _rows(self, name: str, partition: int) -> dict[bytes, bytes | None]:
        log = self.broker.logs[self.options.changelog(name), partition]
        return {message.key: message.value for _, message in log.read(0, log.end)[1]}

    def _level(self) -> bool:
        """Whether all that was published is folded, durable and told on."""
        if any(log.open for log in self.broker.logs.values()):
            return False
        for name, topics in (("copy", ("numbers",)), ("total", ("numbers", "copies"))):
            for partition in range(PARTITIONS):
                rows = self._rows(name, partition)
                for topic in topics:
                    log = self.broker.logs[topic, partition]
                    last = max((i + 1 for i, entry in enumerate(log.entries) if entry.message is not None), default=0)
                    if int(rows.get(POSITION + topic.encode()) or 0) < last:
                        return False
        return True

    def _read(self, topic: str, partition: int) -> list[tuple[bytes, bytes]]:
        log = self.broker.logs[topic, partition]
        return [(message.key, message.value or b"") for _, message in log.read(0, log.end)[1]]

    def _compare(self) -> None:
        for partition, numbers in self.numbers.items():
            copies = self._read("copies", partition)
            if copies != numbers:
                self.say(f"copies/{partition}: {len(copies)} of {len(numbers)} numbers: {_differ(copies, numbers)}")
            for name, topics in (("copy", ("numbers",)), ("total", ("numbers", "copies"))):
                rows = {key: int(value or b"0") for key, value in self._rows(name, partition).items() if key[:1] != POSITION}
                wanted = expected(numbers, topics)
                if rows != wanted:
                    self.say(f"{name}/{partition}: rows {_differ(sorted(rows.items()), sorted(wanted.items()))}")
                self._memory(name, partition, wanted)
            said: dict[bytes, list[int]] = {}
            for key, value in self._read("sums", partition):
                said.setdefault(key, []).append(int(value))
            for key, sums in said.items():
                count = 2 * sum(1 for number in numbers if number[0] == key)
                if sums != sorted(set(sums)) or len(sums) != count:
                    self.say(
                        f"sums/{partition} of {key!r}: {len(sums)} said, {count} wanted, rising: {sums == sorted(set(sums))}"
                    )

    def _memory(self, name: str, partition: int, wanted: dict[bytes, int]) -> None:
        for worker in self.workers:
            if worker.alive and not worker.ended and worker.engine is not None and worker.engine.status()["state"] == "running":
                fold = worker.engine.fold_of(name, partition)
                if (
                    fold is not None
                    and held(fold) != wanted
                    and worker.engine.driver.consumer.current().generation == self.broker.generation
                ):
                    self.say(
                        f"{name}/{partition}: {worker.name} holds {_differ(sorted(held(fold).items()), sorted(wanted.items()))}"
                    )


def _differ(found: list[Any], wanted: list[Any]) -> str:
    for index, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            return f"at {index} {one} and not {other}"
    return f"{len(found)} and not {len(wanted)}"


@contextlib.contextmanager
def _clients() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(confluent_kafka, "Consumer", Consumer))
        stack.enter_context(mock.patch.object(restore, "AdminClient", AdminClient))
        yield


def run(seed: int, *, harsh: bool = False, kind: type[World] = World) -> Outcome:
    """Run a seed, with all kinds of faults where it is to be ``harsh``."""
    outcome = Outcome(seed)
    with _clients(), simulated(seed) as loop:
        world = kind(loop, outcome, plan_of(loop.dice, harsh))
        try:
            loop.run_until_complete(world.run())
        except Exception as error:
            outcome.wrong.append(f"the run itself: {error!r}")
        world.over = True
        outcome.steps, outcome.seconds, outcome.trace = loop.steps, loop.now, loop.trace
        outcome.done |= world.network.seen
    return outcome
