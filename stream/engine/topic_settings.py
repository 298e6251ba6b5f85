"""How are topics set otherwise for a time, so that whoever comes next can set them back?"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions

#: Topic → setting → what it was: None where the topic had none of its own.
Before: TypeAlias = dict[str, dict[str, str | None]]
_PATIENCE = 10.0


class TopicSettings:
    """The settings of topics on a Kafka. Every method blocks, and raises ``KafkaException``."""

    def __init__(self, options: EngineOptions) -> None:
        self._admin: Any = AdminClient(options.client(), logger=client_logger())

    def read(self, topics: Iterable[str]) -> dict[str, dict[str, ConfigEntry]]:
        """Return the settings of topics."""
        asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        futures = self._admin.describe_configs(asked, request_timeout=_PATIENCE) if asked else {}
        return {resource.name: future.result() for resource, future in futures.items()}

    def before(self, wanted: Mapping[str, Mapping[str, str]]) -> Before:
        """Return what is set now of what is wanted."""
        found = self.read(wanted)
        return {
            topic: {name: _own(found[topic][name]) if name in found[topic] else None for name in settings}
            for topic, settings in wanted.items()
        }

    def set(self, wanted: Mapping[str, Mapping[str, str | None]]) -> None:
        """Set these (None: no longer on the topic itself), and return once the brokers say so."""
        resources = [
            ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[_entry(*one) for one in settings.items()])
            for topic, settings in wanted.items()
            if settings
        ]
        if not resources:
            return
        for future in self._admin.incremental_alter_configs(resources, request_timeout=_PATIENCE).values():
            future.result()
        waited(lambda: self._is(wanted))

    def _is(self, wanted: Mapping[str, Mapping[str, str | None]]) -> bool:
        found = self.read(wanted)
        return all(_own(found[topic][name]) == value for topic, settings in wanted.items() for name, value in settings.items())


def waited(done: Callable[[], bool], patience: float = 60.0) -> None:
    """Return once something is so; raise ``TimeoutError`` where it does not become so."""
    end = time.monotonic() + patience
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"the Kafka did not get there within {patience:.0f} s")
        time.sleep(0.1)


def retried(call: Callable[[], None], code: int, patience: float = 60.0) -> None:
    """Call again while a broker says no in this one way: it has not heard of new settings yet."""

    def done() -> bool:
        try:
            call()
        except KafkaException as error:
            if error.args[0].code() != code:
                raise
            return False
        return True

    waited(done, patience)


def _own(entry: ConfigEntry) -> str | None:
    return entry.value if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value else None


def _entry(name: str, value: str | None) -> ConfigEntry:
    how = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    return ConfigEntry(name, value or "", incremental_operation=how)
