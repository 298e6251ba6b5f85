"""How is an engine put together, started and stopped?

::

    engine = build_app(EngineOptions(brokers="127.0.0.1:9092"), specs)
    await engine.start()                # waits for the broker and the topics, then joins the group
    try:
        await engine.run_until_stopped()    # raises EngineStopped (Fenced, …) with the reason
    finally:
        await engine.stop()             # last checkpoint, leaves the group

An agent is one file with one function that connects its fold::

    def fold_deals(engine: Engine) -> None:
        \"\"\"Keep each deal's state, and what it contributes to the panes.\"\"\"
        engine.agent(FoldSpec(name="fold_deals", topics=("deals",), make=DealFold), fold_deals.__doc__)

Signals are the caller's business: call ``stop()`` on SIGTERM. There is no state outside of the engine: two may run in one
process.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models.structs import look_at_all
from stream.engine.backend import GaveUp
from stream.engine.client_logs import limit_client_logs
from stream.engine.driver import Driver
from stream.engine.errors import EngineStopped
from stream.engine.holdings import Backlog
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.waiting import end, happens

log = logging.getLogger(__name__)

#: How long a stop waits for a broker that does not answer, seconds.
_PATIENCE = 5.0


class Engine:
    """The driver of some folds, the flow of records to it, and their life."""

    def __init__(self, options: EngineOptions, specs: Sequence[FoldSpec] = ()) -> None:
        self.options = options
        self.specs: list[FoldSpec] = []
        self.flow = backend_of(options).flow(options)
        self._driver: Driver | None = None
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._started = False
        for spec in specs:
            self.agent(spec, spec.doc)

    @property
    def driver(self) -> Driver:
        """The driver; it exists from the start on."""
        if self._driver is None:
            raise RuntimeError("the engine has not been started")
        return self._driver

    def fold_of(self, name: str, partition: int) -> Any:
        """The fold of a partition while it is in this worker's hands (:meth:`Driver.fold_of`), else None."""
        return None if self._driver is None else self._driver.fold_of(name, partition)

    def behind(self) -> dict[tuple[str, str], Backlog]:
        """How far the folds in this worker's hands are behind, by topic and group (:meth:`Driver.behind`); nothing before the
        start."""
        found = {} if self._driver is None else self._driver.behind()
        return {(topic, self.options.group): backlog for topic, backlog in found.items()}

    def poke(self, name: str) -> None:
        """Let time pass for one fold now (:meth:`Driver.poke`)."""
        self.driver.poke(name)

    async def settled(self, targets: Mapping[tuple[str, int], int], *, cascade: bool = False) -> None:
        """Wait until what reads these offsets is durable (:meth:`Driver.settled`)."""
        await self.driver.settled(targets, cascade=cascade)

    def partitions_of(self, name: str) -> int:
        """How many partitions a fold has; 0 where this engine does not run it."""
        return next((self.options.partitions_of(spec.topics[0]) for spec in self.specs if spec.name == name), 0)

    def agent(self, spec: FoldSpec, doc: str | None = None) -> Any:
        """Register a fold; on Kafka, return its Faust agent."""
        if any(spec.name == other.name for other in self.specs):
            raise ValueError(f"FoldSpec.name: {spec.name!r} is used twice")
        counts = {topic: self.options.partitions_of(topic) for topic in spec.topics}
        if len(set(counts.values())) > 1:
            raise ValueError(f"FoldSpec {spec.name}: topics: found {counts}; accepted: the same number of partitions")
        self.specs.append(spec)
        return self.flow.add(spec, doc or spec.doc or f"Drive the fold {spec.name}.")

    async def start(self, *, patience: float | None = None) -> None:
        """Wait for broker and topics (for ever, or ``patience`` seconds), open the producers, join the group.

        Returns when the app runs; the folds may still be restoring (see ``driver.status()``, :meth:`ready`).
        Raises :class:`EngineStopped` when patience ends, or when the engine is stopped meanwhile.
        """
        async with self._changing:
            self._starting = asyncio.current_task()
            try:
                await self._start(patience)
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                raise EngineStopped("stopped before the start was complete") from None
            finally:
                self._starting = None

    async def _start(self, patience: float | None) -> None:
        limit_client_logs()
        look_at_all()  # before restoring and lanes have threads of their own
        self._driver = Driver(self.options, self.specs)
        await self._wait_for_topics(patience)
        if self._stopping.is_set():
            raise EngineStopped("stopped before the start was complete")
        self._started = True
        try:
            await self._driver.start()
            await self.flow.start(self._driver)
        except GaveUp as error:
            raise EngineStopped("stopped before the start was complete") from error

    async def _wait_for_topics(self, patience: float | None) -> None:
        began = asyncio.get_running_loop().time()
        pause = 0.5
        said: str | None = None
        while not self._stopping.is_set():
            try:
                fatal = await asyncio.to_thread(backend_of(self.options).check, self.options, self.specs)
                if not fatal:
                    self.driver.last_error = None
                    return
                why = "; ".join(fatal)
            except OSError as error:
                why = str(error)
            self.driver.last_error = why
            waited = asyncio.get_running_loop().time() - began
            if patience is not None and waited >= patience:
                raise EngineStopped(why)
            if why != said:
                log.error("%s; trying again", why)
                said = why
            await happens(self._stopping, pause)
            pause = min(pause * 1.5, 5)
        raise EngineStopped("stopped before the start was complete")

    async def ready(self, patience: float = 60.0) -> None:
        """Wait until all assigned folds are restored and records flow. Raises what stopped the engine, or TimeoutError."""
        async with asyncio.timeout(patience):
            while not (self.driver.state == "running" and self.flow.flowing()):
                if self.driver.failure.done():
                    self.driver.failure.result()
                await asyncio.sleep(0.005)

    async def run_until_stopped(self) -> None:
        """Return after :meth:`stop`; raise :class:`EngineStopped` when the engine can't go on."""
        crashed = asyncio.create_task(self.flow.crashed())
        stopping = asyncio.create_task(self._stopping.wait())
        ends: list[asyncio.Future[Any]] = [self.driver.failure, crashed, stopping]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self.driver.failure.done():
                self.driver.failure.result()
            if crashed.done() and not self._stopping.is_set():
                self.driver.fail(EngineStopped(crashed.result()))
                self.driver.failure.result()
        finally:
            await end(crashed, stopping)

    async def stop(self) -> None:
        """Last checkpoint, leave the group, let all clients go. Can be called at any time, more than once."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._driver is not None and self._changing.locked():
            self._driver.give_up()  # a start that waits for the transaction coordinator
        await self._end_start()
        async with self._changing:
            if self._driver is None or not self._started:
                return
            await self._driver.stop()
            await self.flow.stop()

    async def _end_start(self) -> None:
        """A start under way may come to its end, but not wait for a broker that is away."""
        starting = self._starting
        if starting is None or starting is asyncio.current_task():
            return
        await asyncio.wait([starting], timeout=_PATIENCE)
        if self._starting is starting and not starting.done():
            starting.cancel()

    def status(self) -> Mapping[str, Any]:
        """See :meth:`Driver.status`."""
        if self._driver is None:
            return {"state": "starting", "last_error": None}
        return self._driver.status()


def build_app(options: EngineOptions, specs: Sequence[FoldSpec] = ()) -> Engine:
    """An engine with these folds; more can be added with :meth:`Engine.agent` before it starts.

    Raises :class:`~stream.engine.seam_names.Unsupported` where Faust or aiokafka lack what it uses of them.
    """
    return Engine(options, specs)
