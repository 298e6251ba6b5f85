"""Which receivers cannot be notified, since when, and who has to hear of that?

A receiver fails from its first attempt that did not arrive until one that did. When it has failed for long enough, an alert of
Vigie's own (``vigie-cannot-notify``) goes to those the plan names for it, or to whoever can still be notified; how it ends, they
hear too. It never goes to a receiver that fails itself, and every failing receiver makes one alert: nothing can go in a circle.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alert_rules.records.alerts import Decision, encode
from alert_rules.records.facts import Severity, StateChange
from alert_rules.records.ids import digest
from alert_rules.records.message import AlertMessage, ReceiverFacts
from alert_rules.records.message import encode as encode_message
from alert_rules.tell.plan import FALLBACK_AFTER
from alert_rules.words.letter import worded
from models.calendar import iso
from models.fold import Output

#: The rule that its alerts name.
RULE = "vigie-cannot-notify"
_RUNBOOK = "docs/runbooks/vigie-cannot-notify.md"


#: How fields are called in rows, where that is another name.
_ROW = {"notified": "told", "recipients": "heard"}
_FIELD = {row: name for name, row in _ROW.items()}


@dataclass(slots=True)
class Failing:
    """A receiver that fails. Times are milliseconds since the epoch."""

    since: int
    reason: str = ""
    attempts: int = 0
    given_up: int = 0  # messages that became dead letters
    notified: int | None = None  # when others were notified of it
    recipients: list[str] = field(default_factory=list)  # who was

    def encode(self) -> dict[str, Any]:
        """Return what its row holds."""
        return {_ROW.get(name, name): getattr(self, name) for name in self.__slots__}

    @classmethod
    def decode(cls, tree: Mapping[str, Any]) -> "Failing":
        """Return what an :meth:`encode` has kept."""
        return cls(**{_FIELD.get(name, name): value for name, value in tree.items()})


class ReceiverHealth:
    """The receivers that fail. ``fallback(now)`` names who is to hear of it first; ``after`` in milliseconds.

    ``dirty`` holds the receivers whose row has changed.
    """

    def __init__(
        self, receivers: Collection[str], fallback: Callable[[int], Iterable[str]] = lambda now: (), after: int = FALLBACK_AFTER
    ) -> None:
        self._receivers = tuple(receivers)
        self._fallback = fallback
        self._after = after
        self.failing: dict[str, Failing] = {}
        self.dirty: set[str] = set()

    def restore(self, receiver: str, tree: Mapping[str, Any]) -> None:
        """Take a row back; a receiver that is no longer there fails no more."""
        if receiver in self._receivers:
            self.failing[receiver] = Failing.decode(tree)
        else:
            self.dirty.add(receiver)

    def worked(self, receiver: str, now: int) -> list[Output]:
        """Hear that a message has arrived; return what goes to those who heard that it did not."""
        found = self.failing.pop(receiver, None)
        if found is None:
            return []
        self.dirty.add(receiver)
        recipients = [name for name in found.recipients if name in self._receivers]
        return _message("resolved", receiver, found, recipients, now) if recipients else []

    def failed(self, receiver: str, reason: str, now: int, *, given_up: bool = False) -> None:
        """Hear that an attempt did not arrive."""
        if receiver not in self._receivers:
            return
        found = self.failing.setdefault(receiver, Failing(now))
        found.reason, found.attempts, found.given_up = reason, found.attempts + 1, found.given_up + given_up
        self.dirty.add(receiver)

    def tick(self, now: int) -> list[Output]:
        """Return what is to be said now of receivers that have failed for long enough."""
        found: list[Output] = []
        for receiver, failing in self.failing.items():
            if failing.notified is None and now - failing.since >= self._after:
                recipients = self._who(now)
                if recipients:
                    failing.notified, failing.recipients = now, recipients
                    self.dirty.add(receiver)
                    found += _message("fired", receiver, failing, recipients, now)
        return found

    def _who(self, now: int) -> list[str]:
        """Return who can be notified: the fallback's healthy ones, else all healthy ones; nobody: it is asked again."""
        healthy = [name for name in self._receivers if name not in self.failing]
        return [name for name in dict.fromkeys(self._fallback(now)) if name in healthy] or healthy


def _message(kind: str, receiver: str, failing: Failing, recipients: list[str], now: int) -> list[Output]:
    fired = kind == "fired"
    incident = digest(RULE, receiver, str(failing.since))
    message = AlertMessage(
        id=digest(incident, kind),
        incident=incident,
        kind=kind,
        rule=RULE,
        segment={"receiver": receiver},
        severity=Severity.CRITICAL,
        state=StateChange("inactive", "firing") if fired else StateChange("firing", "inactive"),
        at=iso(now),
        since=iso(failing.since),
        fired=iso(failing.notified or now),
        reason=failing.reason,
        group={"incident": incident},
        labels={},
        runbook=_RUNBOOK,
        receivers=recipients,
        failing=ReceiverFacts(receiver=receiver, attempts=failing.attempts, given_up=failing.given_up),
    )
    worded(message)
    decision = Decision(
        outcome="notified",
        stage="health",
        reason=message.why_now or "",
        incidents=[incident],
        message=message.id,
        kind=kind,
        receivers=recipients,
        at=iso(now),
    )
    return [Output("outbox", incident.encode(), encode_message(message)), Output("alerts", incident.encode(), encode(decision))]
