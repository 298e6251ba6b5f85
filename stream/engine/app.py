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
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError as AIOKafkaError
from confluent_kafka import KafkaException
from faust.types import TP

from stream.engine import chunks
from stream.engine.checkpoint import GaveUp
from stream.engine.client_logs import limit_client_logs
from stream.engine.driver import Driver
from stream.engine.errors import EngineStopped
from stream.engine.kafka_security import faust_credentials
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.store import FoldTables
from stream.engine.topics import check, summary
from stream.engine.waiting import end, happens, settle

log = logging.getLogger(__name__)

#: How long a stop waits for a broker that does not answer, seconds.
_PATIENCE = 5.0


class FoldApp(faust.App):
    """Faust's app, with the driver at hand for transport and tables."""

    driver: Driver

    async def on_first_start(self) -> None:
        """No directories: nothing is kept on the disk."""


class Engine:
    """A Faust app, the driver of its folds, and their life."""

    def __init__(self, options: EngineOptions, specs: Sequence[FoldSpec] = ()) -> None:
        self.options = options
        self.specs: list[FoldSpec] = []
        self.app = _faust_app(options)
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

    def agent(self, spec: FoldSpec, doc: str | None = None) -> Any:
        """Register a fold: its Faust agent (named as the fold), and its table unless it is replayed."""
        if any(spec.name == other.name for other in self.specs):
            raise ValueError(f"FoldSpec.name: {spec.name!r} is used twice")
        counts = {topic: self.options.partitions_of(topic) for topic in spec.topics}
        if len(set(counts.values())) > 1:
            raise ValueError(f"FoldSpec {spec.name}: topics: found {counts}; accepted: the same number of partitions")
        self.specs.append(spec)
        partitions = next(iter(counts.values()))
        channel = self.app.topic(
            *(self.options.physical(topic) for topic in spec.topics),
            schema=chunks.RawSchema(),
            partitions=partitions,
            acks=False,
            allow_empty=True,
        )

        async def agent(events: Any) -> None:
            await self.driver.drive(spec, events)

        agent.__name__ = agent.__qualname__ = spec.name.replace("-", "_")
        agent.__doc__ = doc or spec.doc or f"Drive the fold {spec.name}."
        if not spec.replayed:
            changelog = self.app.topic(
                self.options.changelog(spec.name), schema=chunks.RawSchema(), partitions=partitions, compacting=True
            )
            self.app.Table(
                spec.name,
                partitions=partitions,
                key_type=bytes,
                value_type=bytes,
                store="fold://state",
                changelog_topic=changelog,
                help=agent.__doc__,
            )
        return self.app.agent(channel, name=spec.name)(agent)

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
        self._driver = Driver(self.options, self.specs)
        self.app.driver = self._driver
        await self._wait_for_topics(patience)
        if self._stopping.is_set():
            raise EngineStopped("stopped before the start was complete")
        self._started = True
        try:
            await self._driver.start()
            self.app.on_partitions_revoked.connect(self._revoked)
            # The app resolves its loop lazily; the consumer exists from here on.
            self._driver.consumer = self.app.consumer
            await self.app.start()
        except GaveUp as error:
            raise EngineStopped("stopped before the start was complete") from error
        except AIOKafkaError as error:  # the broker has gone again since the topics were looked at
            raise EngineStopped(f"{self.options.brokers}: {error}") from error
        limit_client_logs()

    async def _wait_for_topics(self, patience: float | None) -> None:
        began = asyncio.get_running_loop().time()
        pause = 0.5
        said: str | None = None
        while not self._stopping.is_set():
            try:
                fatal = [p for p in await asyncio.to_thread(check, self.options, self.specs, timeout=5) if p.fatal]
                if not fatal:
                    self.driver.last_error = None
                    return
                why = "; ".join(summary(fatal))
            except KafkaException as error:
                why = f"no broker answers at {self.options.brokers}: {error.args[0].str()}"
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

    async def _revoked(self, app: Any, revoked: set[TP], **kwargs: Any) -> None:
        await self.driver.revoked()

    async def ready(self, patience: float = 60.0) -> None:
        """Wait until all assigned folds are restored and records flow. Raises what stopped the engine, or TimeoutError."""
        async with asyncio.timeout(patience):
            while not (self.driver.state == "running" and self.app.consumer.flow_active and not self.app.rebalancing):
                if self.driver.failure.done():
                    self.driver.failure.result()
                await asyncio.sleep(0.005)

    async def run_until_stopped(self) -> None:
        """Return after :meth:`stop`; raise :class:`EngineStopped` when the engine can't go on."""
        crashed = asyncio.create_task(self.app._crashed.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([self.driver.failure, crashed, stopping], return_when=asyncio.FIRST_COMPLETED)
            if self.driver.failure.done():
                self.driver.failure.result()
            if crashed.done() and not self._stopping.is_set():
                self.driver.fail(EngineStopped(f"Faust crashed: {self.app.crash_reason!r}"))
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
            # Without a broker, leaving the group can take for ever; the group will notice by itself.
            leaving = asyncio.create_task(self.app.stop(), name="leaving the group")
            await settle(leaving, patience=_PATIENCE)
            if leaving.done():
                leaving.result()
            else:
                await end(leaving, patience=1.0)

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


def _faust_app(options: EngineOptions) -> FoldApp:
    brokers = ";".join(f"chunk://{broker.strip()}" for broker in options.brokers.split(","))
    return FoldApp(
        options.group,
        broker=brokers,
        broker_credentials=faust_credentials(options.security),
        store="memory://",
        datadir=tempfile.gettempdir(),
        TableManager=FoldTables,
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=options.partitions,
        table_standby_replicas=0,
        stream_buffer_maxsize=100_000,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_session_timeout=options.session_timeout,
        broker_heartbeat_interval=options.heartbeat_interval,
        broker_rebalance_timeout=options.rebalance_timeout,
        broker_request_timeout=max(90.0, options.session_timeout),
        # librdkafka's mock cluster (seen in 2.16.0) writes a transaction's end with 0 for a checksum.
        broker_check_crcs=not options.embedded,
        worker_redirect_stdouts=False,
    )


def build_app(options: EngineOptions, specs: Sequence[FoldSpec] = ()) -> Engine:
    """An engine with these folds; more can be added with :meth:`Engine.agent` before it starts."""
    return Engine(options, specs)
