"""Who is told of which alert, and when? Connects the plan of routes to the stream of transitions."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from alert_rules.dispatch import DispatchAlerts
from alert_rules.plan import Alerting
from alert_rules.stages.silence import Silence
from stream.engine.options import FoldSpec, wall_clock
from stream.engine.owned import Owned

NAME = "dispatch-alerts"
#: A lane of its own: a message must not wait for the evaluation's checkpoint, nor for the deliveries'.
LANE = "dispatch"
_HOLDING = ("silence", "inhibit", "mute", "active")
#: What can be decided, (outcome, stage): counted from 0.
DECISIONS = (
    ("notified", "dedup"),
    *(("held", stage) for stage in _HOLDING),
    *(("suppressed", stage) for stage in (*_HOLDING, "group", "route")),
    *(("refused", stage) for stage in ("act", "link")),
)


class Dispatcher:
    """The plan and, where this worker owns the alerts' one partition, what is under way.

    ``clock`` tells a first start what is history: milliseconds since the epoch.
    """

    def __init__(
        self,
        plan: Alerting,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self.plan = plan
        self.owned: Owned[DispatchAlerts] = Owned(NAME, lambda fold: fold.use(self.plan))
        self._clock = clock
        #: Decisions by (outcome, stage): ``vigie_alert_decisions_total``; and by receiver what ended before it could be told.
        self.decisions: Counter[tuple[str, str]] = Counter(dict.fromkeys(DECISIONS, 0))
        self.untold: Counter[str] = Counter()
        self._empty = DispatchAlerts(plan)

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            self._make,
            topics=("alerts",),
            lane=LANE,
            doc="Decide who is told of each alert, and when: silences, inhibitions, times, groups, routes, escalation.",
        )

    def use(self, plan: Alerting) -> None:
        """Take another plan, here and wherever the fold is made anew."""
        self.plan = plan
        self._empty = DispatchAlerts(plan)
        self.owned.brief()

    def _make(self, partition: int) -> DispatchAlerts:
        return DispatchAlerts(self.plan, began=self._clock(), decisions=self.decisions, untold=self.untold)

    def silences(self) -> list[Silence]:
        """Return the silences that have not ended, by end."""
        return (self.owned() or self._empty).silences()

    def threads(self) -> set[str]:
        """Return what the messages of groups call an incident, where this worker knows."""
        owned = self.owned()
        return set() if owned is None else owned.threads()

    def title(self, incident: str) -> str | None:
        """Return what an incident, or a group, is about, None where another worker knows."""
        owned = self.owned()
        return None if owned is None else owned.title(incident)

    def used(self, link: str) -> bool | None:
        """Return whether a link was used, None where another worker knows."""
        owned = self.owned()
        return None if owned is None else owned.used(link)

    def stands(self, incident: str) -> bool | None:
        """Return whether an incident, or what a group's thread is about, stands; None where another worker knows."""
        owned = self.owned()
        return None if owned is None else owned.stands(incident)

    def annotated(self, alert: Mapping[str, Any]) -> dict[str, Any]:
        """Return an alert as the evaluation shows it, with what is being done about it where this worker knows."""
        owned = self.owned()
        if owned is None:
            return dict(alert)
        standing = owned.standing(str(alert.get("id")))
        return {**alert, **(standing or {"acknowledged": None, "held": [], "told": []})}
