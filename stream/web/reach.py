"""What does somebody see who may see the figures of some owners and teams only?

Their token names those (``web.operators[].owners``, ``.teams``). They see what is about exactly one of them: readings, alerts and
the history of alerts of these segments, and what is expected of these owners' (teams') deals and leads. Totals are of everybody,
and so are the other dimensions: they are not shown, not even in part. What a route does not know how to cut is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from alert_rules.records.entity_facts import FACTS

#: The routes that know how to cut their answers; all others are refused (``stream/web/access.py``).
ROUTES = frozenset(
    (
        "/",
        "/api/kpis",
        "/api/alerts",
        "/api/alerts/history",
        "/api/stream",
        "/api/leaderboard",
        "/api/objectives",
        "/api/objectives/templates",
        "/api/challenges",
        "/api/pipeline",
        "/api/deals",
        "/api/waiting",
        "/api/catalogue",
        "/api/openapi.json",
        "/openapi.json",
        "/docs",
        "/privacy.json",
        "/odata/v4",
        "/api/export",
    )
)
BELOW = ("/api/predictions/", "/api/leads/", "/api/entities/", "/api/counted/", "/api/kpis/", "/odata/v4/")
#: What is told of an alert, and of a transition in the history. What explains an alert on a segment may name others: it is not.
_SHOWN = (
    *(
        "id",
        "rule",
        "kpi",
        "window",
        "segment",
        "state",
        "severity",
        "at",
        "since",
        "fired",
        "value",
        "sample",
        "unit",
        "currency",
    ),
    *("threshold", "threshold_unit", "measured", "direction", "condition", "labels", "runbook"),
)
_ALERT = (*_SHOWN, "title", "summary", "words", "acknowledged")
_RECORD = (*_SHOWN, "offset", "type", "incident", "kind", "rule_title")


class SegmentReach(NamedTuple):
    """The segments that somebody may see, as (dimension, value): ``owner`` and ``team``."""

    segments: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, owners: Iterable[str], teams: Iterable[str]) -> "SegmentReach | None":
        """Return the reach of a token; None where it names nobody and sees everything."""
        found = frozenset((*(("owner", one) for one in owners), *(("team", one) for one in teams)))
        return cls(found) if found else None

    @property
    def dimensions(self) -> dict[str, list[str]]:
        """The values by dimension, in order."""
        found: dict[str, list[str]] = {}
        for dimension, value in sorted(self.segments):
            found.setdefault(dimension, []).append(value)
        return found

    def sees(self, segment: object) -> bool:
        """Whether a segment, as readings and alerts have it, is one of these."""
        return isinstance(segment, Mapping) and len(segment) == 1 and next(iter(segment.items())) in self.segments

    def has(self, facts: object) -> bool:
        """Whether what is known of a deal or lead says that it is one of these owners' or teams'."""
        if not isinstance(facts, Mapping):
            return False
        return any((dimension, facts.get(dimension)) in self.segments for dimension in ("owner", "team"))

    def alert(self, alert: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what they see of an alert, None for nothing."""
        single = self._single(alert)
        if not single and not self.sees(alert.get("segment")):
            return None
        return {name: alert[name] for name in (*_ALERT, *(("explanation",) if single else ())) if name in alert}

    def record(self, tree: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what they see of a record of the history, None for nothing: only transitions are about one segment."""
        if tree.get("type") != "transition" or not (self.sees(tree.get("segment")) or self._single(tree)):
            return None
        words = tree.get("message")
        title = words.get("title") if isinstance(words, Mapping) else None
        return {name: tree[name] for name in _RECORD if name in tree} | {"title": title}

    def _single(self, alert: Mapping[str, Any]) -> bool:
        """Whether an alert is about a single deal or lead of theirs."""
        segment = alert.get("segment")
        if not isinstance(segment, Mapping) or set(segment) not in ({"deal"}, {"lead"}):
            return False
        against, why = alert.get("against"), alert.get("explanation")
        facts = against.get(FACTS) if isinstance(against, Mapping) else None
        behind = why.get("behind") if isinstance(why, Mapping) else None
        return self.has(facts) or (isinstance(behind, list) and len(behind) == 1 and self.has(behind[0]))
