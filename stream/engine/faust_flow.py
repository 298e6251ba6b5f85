"""How do records flow from Kafka to the driver? By a Faust app: its agents, its tables, its group membership."""

import asyncio
import logging
import tempfile
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.serializers.schemas import Schema
from faust.transport import drivers
from faust.types import TP

from stream.engine import seam_names
from stream.engine.client_logs import limit_client_logs
from stream.engine.errors import EngineStopped
from stream.engine.kafka_security import faust_credentials
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.waiting import end, settle

log = logging.getLogger(__name__)

#: How long a stop waits for a broker that does not answer, seconds.
_PATIENCE = 5.0

# By name, so that neither is imported before the names that they need have been looked at.
drivers.TRANSPORTS.aliases["chunk"] = "stream.engine.transport:Transport"


class RawSchema(Schema):
    """Chunks go to the agents as they are."""

    def __init__(self) -> None:
        super().__init__(key_type=None, value_type=None, key_serializer="raw", value_serializer="raw")

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The key as it is."""
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """The chunk as it is."""
        return message.value


class FoldApp(faust.App):
    """Faust's app, with the driver at hand for transport and tables."""

    driver: Any

    async def on_first_start(self) -> None:
        """No directories: nothing is kept on the disk."""


class FaustFlow:
    """A Faust app, with an agent and a table for each fold (:class:`~stream.engine.backend.Flow`)."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._driver: Any = None
        self.app = _faust_app(options)

    def add(self, spec: FoldSpec, doc: str) -> Any:
        """Register a fold's agent, named as the fold, and its table unless it is replayed; return the agent."""
        partitions = self._options.partitions_of(spec.topics[0])
        channel = self.app.topic(
            *(self._options.physical(topic) for topic in spec.topics),
            schema=RawSchema(),
            partitions=partitions,
            acks=False,
            allow_empty=True,
        )

        async def agent(events: Any) -> None:
            await self._driver.feed.drive(spec, events)

        agent.__name__ = agent.__qualname__ = spec.name.replace("-", "_")
        agent.__doc__ = doc
        if not spec.replayed:
            changelog = self.app.topic(
                self._options.changelog(spec.name), schema=RawSchema(), partitions=partitions, compacting=True
            )
            self.app.Table(
                spec.name,
                partitions=partitions,
                key_type=bytes,
                value_type=bytes,
                changelog_topic=changelog,
                help=agent.__doc__,
            )
        return self.app.agent(channel, name=spec.name)(agent)

    async def start(self, driver: Any) -> None:
        """Join the group."""
        self._driver = self.app.driver = driver
        try:
            self.app.on_partitions_revoked.connect(self._revoked)
            # The app resolves its loop lazily; the consumer exists from here on.
            driver.consumer = self.app.consumer
            await self.app.start()
        except KafkaError as error:  # the broker has gone again since the topics were looked at
            raise EngineStopped(f"{self._options.brokers}: {error}") from error
        limit_client_logs()

    async def _revoked(self, app: Any, revoked: set[TP], **kwargs: Any) -> None:
        await self._driver.revoked()

    def flowing(self) -> bool:
        """Whether records flow: no rebalance is under way."""
        return bool(self.app.consumer.flow_active and not self.app.rebalancing)

    async def crashed(self) -> str:
        """Wait until Faust crashes; return why."""
        from stream.engine import seam

        await seam.crashed(self.app)
        return f"Faust crashed: {self.app.crash_reason!r}"

    async def stop(self) -> None:
        """Leave the group. Without a broker that can take for ever; the group will notice by itself."""
        leaving = asyncio.create_task(self.app.stop(), name="leaving the group")
        await settle(leaving, patience=_PATIENCE)
        if leaving.done():
            leaving.result()
        else:
            await end(leaving, patience=1.0)


def _faust_app(options: EngineOptions) -> FoldApp:
    seam_names.check()
    brokers = ";".join(f"chunk://{broker.strip()}" for broker in options.brokers.split(","))
    return FoldApp(
        options.group,
        broker=brokers,
        broker_credentials=faust_credentials(options.security),
        store="memory://",
        datadir=tempfile.gettempdir(),
        TableManager="stream.engine.store:FoldTables",
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
