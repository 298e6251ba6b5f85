"""Which alerts stand, as a process that does not evaluate them can tell from the topic ``alerts``?"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from alert_rules.evaluator import LISTED
from models.fold import Changes, Record
from stream.engine.options import FoldSpec

#: What is shown of a transition; ``state`` and the words are put together below.
_SAME = (
    *("rule", "kpi", "window", "segment", "severity", "since", "fired", "value", "sample", "at"),
    *("unit", "currency", "threshold", "threshold_unit", "direction", "runbook", "explanation"),
)
_RANK = {"firing": 0, "recovering": 1, "pending": 2}
_GRAVITY = {"critical": 0}


class AlertBoard:
    """The alerts that stand, from each assignment's own reading of the topic: None until it has been read to its end.

    An assignment is read aside, in the restoring thread; what is shown is changed on the event loop only.
    """

    def __init__(self) -> None:
        self._shown: Standing | None = None

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""
        return FoldSpec(name="show-alerts", topics=("alerts",), make=lambda _: Standing(self._show), lane="show", replayed=True)

    def _show(self, standing: "Standing") -> None:
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
            key=lambda a: (_RANK.get(a["state"], 9), _GRAVITY.get(a["severity"], 1), str(a["since"]), a["id"]),
        )


class Standing:
    """The last transition of each incident that has not ended (a :class:`models.fold.PartitionFold`, replayed)."""

    def __init__(self, show: Callable[["Standing"], None]) -> None:
        """``show`` is given this once the topic has been read to its end."""
        self._show = show
        self.open: dict[str, dict[str, Any]] = {}

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topic itself is read."""

    def live(self) -> None:
        """What is known is whole: it may be shown."""
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Take transitions and acknowledgements; what is something else (results of notifications) is passed over."""
        for record in records:
            try:
                found = orjson.loads(record.value or b"null")
                match found["type"]:
                    case "transition":
                        self._transition(found)
                    case "act" if found["act"] in ("ack", "unack"):
                        self._acknowledge(found)
            except (ValueError, KeyError, TypeError):
                # The worker that folds this topic makes the dead letter; one is enough.
                continue

    def _transition(self, found: Mapping[str, Any]) -> None:
        after, incident = str(found["state"]["after"]), str(found["incident"])
        words = found.get("message") or {}
        shown = {"id": incident, **{name: found.get(name) for name in _SAME}, "state": after}
        title = words.get("title") or found["rule"]
        shown |= {"title": title, "summary": str(words.get("text") or title).split("\n", 1)[0]}
        before = self.open.pop(incident, None)
        if after == "inactive":
            return
        graver = before is not None and shown["severity"] == "critical" != before["severity"]
        # A warning was taken care of; that it became critical is another matter.
        shown["acknowledged"] = None if before is None or graver else before["acknowledged"]
        self.open[incident] = shown

    def _acknowledge(self, found: Mapping[str, Any]) -> None:
        known = self.open.get(str(found["incident"]))
        if known is not None:
            taken = found["act"] == "ack"
            # A new one: who was given the old one keeps what it said.
            known = {**known, "acknowledged": {"by": str(found["by"]), "at": str(found["at"])} if taken else None}
            self.open[known["id"]] = known

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])
