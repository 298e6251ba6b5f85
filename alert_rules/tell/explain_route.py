"""Who would be told of an alert with these labels, and what would hold it back?"""

from collections.abc import Iterable, Mapping
from typing import Any

from alert_rules.parse.plan_file import Alerting
from alert_rules.records.facts import AlertFacts
from alert_rules.tell.stages.mute import muted
from alert_rules.tell.stages.route import match_routes
from alert_rules.tell.stages.silence import Silence, silenced


def labels_of(alert: AlertFacts) -> dict[str, str]:
    """Return what routes, silences and inhibitions can ask about: the rule's labels, its own names, and the segment."""
    segment = alert.segment or {}
    own = {"rule": alert.rule or "", "kpi": alert.kpi or "", "window": alert.window or "", "severity": str(alert.severity or "")}
    place = next((f"{name}={value}" for name, value in segment.items()), "total")
    return {**segment, **(alert.labels or {}), **own, "segment": place, "incident": alert.incident}


def explain(plan: Alerting, labels: Mapping[str, str], now: int, silences: Iterable[Silence] = ()) -> list[dict[str, Any]]:
    """Return, per route that takes such an alert, who would be told at a time, when, and what would hold it back."""
    found = []
    for route in match_routes(plan.route, labels):
        held = silenced(labels, silences, now) or muted(route, plan.intervals, now)
        found.append(
            {
                "route": route.path,
                "receivers": [
                    {"name": one.receiver, **({"why": one.reason} if one.reason else {})}
                    for one in plan.resolve(route.receivers, now)
                ],
                "group_by": list(route.group_by),
                "group_wait": route.group_wait,
                "group_interval": route.group_interval,
                "repeat_interval": route.repeat_interval,
                "escalation": [
                    {"after": rung.after, "receivers": [one.receiver for one in plan.resolve(rung.receivers, now + rung.after)]}
                    for rung in (plan.ladders[route.escalation].rungs if route.escalation else ())
                ],
                "held": None if held is None else {"stage": held.stage, "reason": held.reason},
            }
        )
    return found
