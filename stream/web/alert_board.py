"""Which alerts stand, as a process that does not evaluate them can tell from the topic ``alerts``?"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from alert_rules.evaluator import LISTED
from models.fold import Changes, Record
from stream.options import FoldSpec

#: What is shown of a transition; ``state`` and the words are put together below.
_SAME = ("rule", "kpi", "window", "segment", "severity", "since", "fired", "value", "sample", "at")
_RANK = {"firing": 0, "recovering": 1, "pending": 2}
_GRAVITY = {"critical": 0}


class AlertBoard:
    """The last transition of each incident that has not ended (a :class:`models.fold.PartitionFold`, replayed)."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Any]] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""
        return FoldSpec(name="show-alerts", topics=("alerts",), make=self._again, lane="show", replayed=True)

    def _again(self, partition: int) -> "AlertBoard":
        self._open.clear()
        return self

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topic itself is read."""

    def fold(self, records: Sequence[Record]) -> None:
        """Take transitions; what is something else (results of notifications) is passed over."""
        for record in records:
            try:
                found = orjson.loads(record.value or b"null")
                if not isinstance(found, Mapping) or found.get("type") != "transition":
                    continue
                after = found["state"]["after"]
                incident = str(found["incident"])
                words = found.get("message") or {}
                shown = {name: found.get(name) for name in _SAME}
                key = (str(found["rule"]), str(found["severity"]), str(after))
            except (ValueError, KeyError, TypeError):
                # The worker that folds this topic makes the dead letter; one is enough.
                continue
            self._open.pop(incident, None)
            if after != "inactive":
                title = words.get("title") or found["rule"]
                summary = str(words.get("text") or title).split("\n", 1)[0]
                self._open[incident] = {"id": incident, **shown, "state": after, "title": title, "summary": summary}
                self._counts.setdefault(key, 0)

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])

    def incidents(self) -> set[str]:
        """Return the ids of all the alerts that stand."""
        return set(self._open)

    def current(self, limit: int = LISTED) -> list[dict[str, Any]]:
        """Return the alerts that stand, gravest and oldest first, ``limit`` at most: ``GET /api/alerts``."""
        return heapq.nsmallest(
            limit,
            self._open.values(),
            key=lambda a: (_RANK.get(a["state"], 9), _GRAVITY.get(a["severity"], 1), str(a["since"]), a["id"]),
        )

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many alerts stand by (rule, severity, state); what has been there once stays at 0."""
        counts = dict.fromkeys(self._counts, 0)
        for alert in self._open.values():
            counts[alert["rule"], alert["severity"], alert["state"]] += 1
        return counts
