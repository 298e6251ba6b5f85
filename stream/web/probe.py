"""Does the broker answer a process that only reads, and so would not notice by itself?"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from models.calendar import iso
from stream.engine.options import EngineOptions

log = logging.getLogger(__name__)

_PERIOD, _PATIENCE = 10.0, 5.0  # seconds


class BrokerProbe:
    """Asks for the broker's metadata every ten seconds."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._since: int | None = None
        self._error = ""

    def state(self) -> Mapping[str, Any]:
        """Return ``{"state": "up"}``, or ``away`` with since when and why."""
        if self._since is None:
            return {"state": "up"}
        return {"state": "away", "since": iso(self._since // 1000 * 1000), "error": self._error}

    async def run(self) -> None:
        """Ask until cancelled."""
        admin = AdminClient({**self._options.client(), "log_level": 0})
        while True:
            try:
                await asyncio.to_thread(admin.list_topics, timeout=_PATIENCE)
            except KafkaException as error:
                if self._since is None:
                    self._since = self._options.clock()
                    self._error = f"{self._options.brokers}: {error.args[0].str()}"
                    log.warning("broker away: %s; what is shown is the last known", self._error)
            else:
                if self._since is not None:
                    log.warning("broker back after %.0f s", (self._options.clock() - self._since) / 1000)
                self._since = None
            await asyncio.sleep(_PERIOD)
