"""How is an alert told to someone who reads the log? One JSON line on stderr."""

import sys
from typing import TextIO

import orjson

from alert_rules.delivery import Delivery
from alert_rules.inert import visible
from alert_rules.outcome import Outcome, Retry, Sent
from stream.config.settings import ReceiverSettings


class ConsoleNotifier:
    """Writes each alert as one line of JSON: what the log collector takes, a person can read."""

    follows = True

    def __init__(self, name: str, out: TextIO | None = None) -> None:
        self.name = name
        self._out = out

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "ConsoleNotifier":
        """Return the notifier of a receiver of type ``console``."""
        return cls(settings.name)

    async def send(self, delivery: Delivery) -> Outcome:
        """Write the line. A closed stderr is retried: whoever comes next may have one."""
        alert = delivery.alert
        line = {
            "at": alert.get("at"),
            "level": {"critical": "error", "warn": "warning"}.get(str(alert.get("severity")), "info")
            if alert.get("kind") != "resolved"
            else "info",
            "event": f"alert_{alert.get('kind')}",
            "title": alert.get("message", {}).get("title"),
            "text": alert.get("message", {}).get("text"),
            "rule": alert.get("rule"),
            "segment": alert.get("segment"),
            "severity": alert.get("severity"),
            "value": alert.get("value"),
            "incident": delivery.incident,
            "runbook": alert.get("runbook"),
            "id": delivery.id,
        }
        try:
            # Looked up now, not at import: whoever replaced stderr meant it.
            out = self._out or sys.stderr
            out.write(visible(orjson.dumps(line).decode()) + "\n")
            out.flush()
        except (OSError, ValueError) as error:
            return Retry(f"stderr cannot be written ({type(error).__name__})")
        return Sent()

    async def close(self) -> None:
        """Hold nothing, let go of nothing."""
