"""When does a group of alerts speak next?

As in Alertmanager: ``group_wait`` after its first alert, then every ``group_interval`` as long as it holds any alert. A
group that has nothing new says nothing then. With a ``group_interval`` of 0 it speaks whenever something changes.
"""

from dataclasses import dataclass, field
from typing import Any

from alert_rules.tell.stages.dedup import Notified
from alert_rules.tell.stages.route import Route

#: How often something suppressed is looked at again where the group has no interval of its own, milliseconds.
LOOK_AGAIN = 10_000


@dataclass(slots=True)
class Group:
    """The alerts of one route that people are notified of together. Times are milliseconds since the epoch."""

    key: str
    route: str
    labels: dict[str, str]
    thread: str  # what one conversation is about: the incident where the group holds each by itself, else the group's life
    created: int
    members: dict[str, Notified | None] = field(default_factory=dict)
    flushed: int | None = None  # when it last had its turn
    notified: int | None = None  # when it last said something
    said: int = 0  # how many messages there have been: part of the next one's id
    recipients: list[str] = field(default_factory=list)  # receivers that have been notified: they hear how it goes on

    def next_turn(self, route: Route, now: int, *, changed: bool, suppressed: bool) -> int | None:
        """Return when the group has its turn; None: not before something changes."""
        if self.flushed is None:
            return max(now, self.created + route.group_wait)
        turns: list[int] = []
        if route.group_interval:
            turns.append(self.flushed + route.group_interval)
        elif changed:
            turns.append(now)
        elif suppressed:
            turns.append(self.flushed + LOOK_AGAIN)
        if not route.group_interval and route.repeat_interval and self.notified is not None:
            # Where the repeat found nothing to say (acknowledged, suppressed), it is looked for again, not in a circle.
            turns.append(max(self.notified + route.repeat_interval, self.flushed + LOOK_AGAIN))
        return min(turns, default=None)

    @classmethod
    def decode(cls, tree: dict[str, Any]) -> "Group":
        """Return the group of an :meth:`encode`."""
        return cls(**{"recipients" if name == "heard" else name: value for name, value in tree.items()})

    def encode(self) -> dict[str, Any]:
        """Return the group as JSON can hold it, without its members: each is a row of its own."""
        return {
            "key": self.key,
            "route": self.route,
            "labels": self.labels,
            "thread": self.thread,
            "created": self.created,
            "flushed": self.flushed,
            "notified": self.notified,
            "said": self.said,
            "heard": self.recipients,
        }
