"""How is an alert told to someone who reads the log? One JSON line on stderr."""

import sys
from typing import ClassVar, Literal, TextIO

import orjson

from agents.notifiers.base import ReceiverSettings
from alert_rules.records.facts import Severity
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Retry, Sent
from alert_rules.words.inert import visible

_LEVELS = {Severity.CRITICAL: "error", Severity.WARN: "warning"}


class ConsoleSettings(ReceiverSettings):
    """Who reads the log: one line of JSON on standard error."""

    type: Literal["console"]

    EXAMPLE: ClassVar = "{name: console, type: console}"

    def notifier(self) -> "ConsoleNotifier":
        """Return what writes the lines."""
        return ConsoleNotifier(self.name)


class ConsoleNotifier:
    """Writes each alert as one line of JSON: what the log collector takes, a person can read."""

    follows = True

    def __init__(self, name: str, out: TextIO | None = None) -> None:
        self.name = name
        self._out = out

    async def send(self, delivery: Delivery) -> Outcome:
        """Write the line. A closed stderr is retried: whoever comes next may have one."""
        message, letter = delivery.message, delivery.letter
        grave = message.severity if message.kind != "resolved" else None
        line = {
            "at": message.at,
            "level": _LEVELS.get(grave, "info") if grave is not None else "info",
            "event": f"alert_{message.kind}",
            "title": letter.title,
            "text": letter.text,
            "rule": message.rule,
            "segment": message.segment,
            "severity": message.severity,
            "value": message.value,
            "incident": delivery.incident,
            "runbook": message.runbook,
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
