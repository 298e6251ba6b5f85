"""How do records and assignments reach a driver on the simulated broker? As Faust and aiokafka bring them, in their order.

The group's member joins, lets go of everything at each rebalance, and beats beside. The driver is told of a revocation, then of
the assignment, and restores in a task of its own, which another assignment ends. What was fetched before a rebalance or a seek
waits in the queues of the folds and comes all the same.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from faust.types import TP

from bench.simulate.broker import Partition
from bench.simulate.clients import Network, Producer, Request
from models.fold import Record
from stream.engine import restore
from stream.engine.backend import Restored, Writer
from stream.engine.checkpoint import KafkaWriter
from stream.engine.chunks import Chunk, Ownership
from stream.engine.options import EngineOptions, FoldSpec, wall_clock
from stream.engine.waiting import end, happens

_NOBODY = ""


class Backend:
    """Kafka as the engine sees it (:class:`stream.engine.backend.Backend`), as far as folds need it."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def check(self, options: EngineOptions, specs: Iterable[FoldSpec]) -> list[str]:
        """All topics are there."""
        return []

    def writer(
        self, options: EngineOptions, lane: str, still_ours: Callable[[Ownership], bool], retried: Callable[[str], None]
    ) -> Writer:
        """Return the engine's own, on a simulated producer."""
        producer = Producer(self._network, f"{options.group}-{options.instance}-{lane}")
        return KafkaWriter(options, lane, still_ours, retried, producer)

    def first_and_last(self, options: EngineOptions, wanted: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """As on Kafka."""
        return restore.first_and_last(options, wanted)

    def read_changelogs(
        self, options: EngineOptions, wanted: Sequence[Partition], cancelled: Callable[[], bool]
    ) -> dict[Partition, Restored]:
        """As on Kafka."""
        return restore.read_changelogs(options, wanted, cancelled)

    def replay(
        self,
        options: EngineOptions,
        wanted: Sequence[Partition],
        fold: Callable[[Partition, list[Record]], None],
        cancelled: Callable[[], bool],
    ) -> dict[Partition, int]:
        """As on Kafka."""
        return restore.replay(options, wanted, fold, cancelled)

    def flow(self, options: EngineOptions) -> "Flow":
        """Return a member of the group."""
        return Flow(self._network, options)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"not simulated: {name}")


class Flow:
    """A member of the group, and what it fetches (:class:`stream.engine.backend.Flow`). To the driver it is the consumer."""

    def __init__(self, network: Network, options: EngineOptions) -> None:
        self._network = network
        self._options = options
        self._readers: dict[str, list[FoldSpec]] = {}
        self._driver: Any = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._queues: dict[str, asyncio.Queue[tuple[Partition, Chunk]]] = {}
        self._positions: dict[Partition, int] = {}
        self._assigned: list[Partition] = []
        self._member = _NOBODY
        self._generation = -1
        self._rejoin = asyncio.Event()
        self._recover = asyncio.Event()
        self._active = False

    def add(self, spec: FoldSpec, doc: str) -> None:
        """Register a fold."""
        self._queues[spec.name] = asyncio.Queue(4)
        for topic in spec.topics:
            self._readers.setdefault(topic, []).append(spec)

    async def start(self, driver: Any) -> None:
        """Join the group."""
        self._driver = driver
        driver.consumer = self
        specs = {spec.name: spec for readers in self._readers.values() for spec in readers}
        bodies = [self._belong(), self._beat(), self._restore(), self._fetch(), *map(self._drive, specs.values())]
        self._tasks = [asyncio.create_task(body) for body in bodies]

    async def stop(self) -> None:
        """Leave it."""
        await end(*self._tasks)
        self._active = False
        if self._member:
            await self._ask(lambda: self._network.broker.leave(self._member))

    def flowing(self) -> bool:
        """Whether records flow."""
        return self._active

    async def crashed(self) -> str:
        """It never does."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    # --- what the driver asks of a consumer ---------------------------------------------------------------------------

    def current(self) -> Ownership:
        """Who the group takes us for, as far as we know."""
        return Ownership(self._generation, self._member, self._options.group)

    async def seek_to(self, positions: Mapping[Any, int]) -> None:
        """Fetch from here on."""
        await asyncio.sleep(self._network.delay())
        for tp, offset in positions.items():
            if (tp.topic, tp.partition) in self._assigned:
                self._positions[tp.topic, tp.partition] = offset

    async def bounds(self, tp: Any) -> tuple[int, int]:
        """First and last offset."""
        return 0, self._network.broker.logs[tp.topic, tp.partition].end

    def highwater(self, tp: Any) -> int:
        """The log's end."""
        return self._network.broker.logs[tp.topic, tp.partition].end

    # --- the group ----------------------------------------------------------------------------------------------------

    async def _ask(self, effect: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Ask the broker; raise ``TimeoutError`` where no answer comes."""
        request: Request = self._network.send(effect)
        answered = asyncio.Event()
        request.tell(answered.set)
        async with asyncio.timeout(seconds):
            await answered.wait()
        if request.error is not None:
            raise request.error
        return request.result

    async def _belong(self) -> None:
        while True:
            self._rejoin.clear()
            self._active = False
            await self._driver.revoked()
            try:
                self._generation, self._assigned = await self._join()
            except TimeoutError:
                self._lost()
                continue
            self._positions.clear()
            token = self.current()
            await asyncio.sleep(self._network.delay())  # from aiokafka's thread to the engine's
            self._driver.rebalanced([TP(*tp) for tp in self._assigned], token)
            self._recover.set()
            await self._rejoin.wait()

    async def _join(self) -> tuple[int, list[Partition]]:
        future: asyncio.Future[tuple[int, list[Partition]]] = asyncio.get_running_loop().create_future()

        def joined(generation: int, assigned: list[Partition]) -> None:
            def answer() -> None:
                if not future.done():
                    future.set_result((generation, assigned))

            self._network.broker._later(self._network.delay(), answer)

        self._member = await self._ask(lambda: self._network.broker.join(self._member, joined))
        async with asyncio.timeout(30):
            return await future

    def _lost(self) -> None:
        self._member, self._generation = _NOBODY, -1
        self._rejoin.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_interval)
            member, generation = self._member, self._generation
            if generation < 0:
                continue
            try:
                answer = await self._ask(lambda: self._network.broker.beat(member, generation), self._options.session_timeout)  # noqa: B023
            except TimeoutError:
                continue
            if (member, generation) != (self._member, self._generation):
                continue
            if answer == "rejoin":
                self._rejoin.set()
            elif answer == "unknown":
                self._lost()

    async def _restore(self) -> None:
        while True:
            await self._recover.wait()
            self._recover.clear()
            generation = self._generation
            again = asyncio.create_task(self._recover.wait())
            work = asyncio.create_task(self._driver.restore())
            await asyncio.wait([again, work], return_when=asyncio.FIRST_COMPLETED)
            await end(again)
            if not work.done():
                await end(work)
                continue
            work.result()
            await self.seek_to(self._driver.feed.positions())
            if generation == self._generation and not self._recover.is_set() and not self._rejoin.is_set():
                self._active = True

    # --- records ------------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        dice, logs = self._network.dice, self._network.broker.logs
        news = asyncio.Event()
        while True:
            generation = self._generation
            came = False
            for where in list(self._assigned):
                at = self._positions.get(where)
                if not self._active or at is None:
                    continue
                end_at, found = logs[where].read(at, dice.randrange(1, 12))
                if end_at == at:
                    continue
                came = True
                self._positions[where] = end_at
                now = wall_clock()
                records = [Record(where[0], where[1], offset, now, m.key, m.value, m.headers, now) for offset, m in found]
                for spec in self._readers[where[0]]:
                    if self._generation != generation:
                        break
                    await self._queues[spec.name].put((where, Chunk(at, end_at, records)))
            if came:
                await asyncio.sleep(self._network.delay())
                continue
            news.clear()
            if self._active:
                self._network.broker.grows(news.set)
            await happens(news, 0.5)

    async def _drive(self, spec: FoldSpec) -> None:
        queue = self._queues[spec.name]
        while True:
            (topic, partition), chunk = await queue.get()
            await self._driver.feed.take(spec.name, topic, partition, chunk)
