"""Which alerts stand, as a process that does not evaluate them can tell from the topic ``alert-states``?"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from alert_rules.judge.evaluate_alerts import LISTED
from alert_rules.records.facts import gravity
from alert_rules.tell.alert_states import TOPIC
from models.fold import Changes, Record
from stream.engine.options import FoldSpec

_RANK = {"firing": 0, "recovering": 1, "pending": 2}
_NEEDED = {"id", "state", "severity", "since"}


class AlertBoard:
    """The alerts that stand, from each assignment's own reading of the topic: None until it has been read to its end.

    An assignment is read aside, in the restoring thread; what is shown is changed on the event loop only.
    """

    def __init__(self) -> None:
        self._shown: StandingAlerts | None = None

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""
        return FoldSpec(
            name="show-alerts", topics=(TOPIC,), make=lambda _: StandingAlerts(self._show), lane="show", replayed=True
        )

    def _show(self, standing: "StandingAlerts") -> None:
        self._shown = standing

    def incidents(self) -> set[str] | None:
        """Return the ids of all the alerts that stand."""
        return None if self._shown is None else set(self._shown.open)

    def current(self, limit: int = LISTED) -> list[dict[str, Any]] | None:
        """Return the alerts that stand, gravest and oldest first, ``limit`` at most: ``GET /api/alerts``."""
        if self._shown is None:
            return None
        return heapq.nsmallest(
            limit,
            self._shown.open.values(),
            key=lambda a: (_RANK.get(a["state"], 9), -gravity(a["severity"]), str(a["since"]), a["id"]),
        )


class StandingAlerts:
    """The state of each incident that has not ended, as the topic has it (a :class:`models.fold.PartitionFold`, replayed)."""

    def __init__(self, show: Callable[["StandingAlerts"], None]) -> None:
        """``show`` is given this once the topic has been read to its end."""
        self._show = show
        self.open: dict[str, dict[str, Any]] = {}

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topic itself is read."""

    def live(self) -> None:
        """What is known is whole: it may be shown."""
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Take what an incident has become; what is no state of one is passed over."""
        for record in records:
            incident = (record.key or b"").decode(errors="replace")
            try:
                found = orjson.loads(record.value or b"null")
            except ValueError:
                continue
            if found is None:
                self.open.pop(incident, None)
            elif isinstance(found, dict) and found.keys() >= _NEEDED and found["id"] == incident:
                self.open[incident] = found

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])
