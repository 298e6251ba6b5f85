"""What does a plan of who is notified when consist of?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alert_rules.tell.stages.escalate import EscalationLadder
from alert_rules.tell.stages.inhibit import InhibitRule
from alert_rules.tell.stages.oncall import Duty, Rotation, on_call
from alert_rules.tell.stages.route import Route, walk
from models.time_intervals import TimeInterval, usual

ON_CALL = "on_call:"
#: How long a receiver may fail before the others hear of it, milliseconds.
FALLBACK_AFTER = 300_000
#: Where nobody configured routes: how long a rule's first alert waits for others, and how often more of them are
#: sent at most.
UNCONFIGURED_WAIT, UNCONFIGURED_INTERVAL = 10_000, 60_000


class Recipient(NamedTuple):
    """A receiver, and why it is this one (the rotation's words, where there is one)."""

    receiver: str
    reason: str


@dataclass(frozen=True, slots=True)
class FallbackPlan:
    """Who hears that a receiver fails: these (none named: all others), once it has failed for ``after`` milliseconds."""

    receivers: tuple[str, ...] = ()
    after: int = FALLBACK_AFTER


@dataclass(frozen=True, slots=True)
class Digest:
    """The morning's summary: who gets it, when (minutes of the day in the zone, on these weekdays, 0 is Sunday), and of what."""

    receivers: tuple[str, ...]
    at: int = 480
    zone: str = "UTC"
    weekdays: tuple[tuple[int, int], ...] = ()
    kpis: tuple[str, ...] = ("revenue", "sales", "win_rate", "leads")
    window: str = "7d"


@dataclass(frozen=True, slots=True)
class Alerting:
    """The whole plan."""

    route: Route
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    ladders: Mapping[str, EscalationLadder] = field(default_factory=dict)
    fallback: FallbackPlan = FallbackPlan()
    digest: Digest | None = None

    def resolve(self, names: Iterable[str], now: int) -> list[Recipient]:
        """Return the receivers behind some names at a time, each once: rotations are replaced by who is on call."""
        found: dict[str, Recipient] = {}
        for name in names:
            if name.startswith(ON_CALL):
                duty = self.duty(name, now)
                for receiver in duty.receivers:
                    found.setdefault(receiver, Recipient(receiver, duty.reason))
            else:
                found.setdefault(name, Recipient(name, ""))
        return list(found.values())

    def duty(self, name: str, now: int) -> Duty:
        """Return who is on call for ``on_call:NAME`` or ``on_call:NAME+1`` (the next one after them)."""
        rotation, _, ahead = name.removeprefix(ON_CALL).partition("+")
        return on_call(self.rotations[rotation], now, int(ahead or 0))

    def routes(self) -> dict[str, Route]:
        """Return all routes by path."""
        return {route.path: route for route in walk(self.route)}


def by_rule(receivers: Iterable[str], zone: str = "UTC") -> Alerting:
    """Return the plan of those who configured none: to every receiver, what a rule says together, never repeated."""
    route = Route("{}", (), tuple(receivers), ("rule",), UNCONFIGURED_WAIT, UNCONFIGURED_INTERVAL)
    return Alerting(route, intervals=usual(zone))


def everything_to(receivers: Iterable[str], zone: str = "UTC") -> Alerting:
    """Return a plan by which every incident goes by itself, to every receiver, at once, and is never repeated."""
    return Alerting(Route("{}", (), tuple(receivers)), intervals=usual(zone))
