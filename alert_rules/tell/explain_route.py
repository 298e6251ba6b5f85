"""Who would be notified of an alert with these labels, and what would hold it back?"""

from collections.abc import Iterable, Mapping
from typing import Any

from alert_rules.tell.plan import Alerting
from alert_rules.tell.stages.chain import Candidate, Circumstances, StageChain
from alert_rules.tell.stages.route import match_routes
from alert_rules.tell.stages.silence import Silence


def explain(plan: Alerting, labels: Mapping[str, str], now: int, silences: Iterable[Silence] = ()) -> list[dict[str, Any]]:
    """Return, per route that takes such an alert, who would be notified at a time, when, and what would hold it back."""
    found, around = [], Circumstances(now, list(silences), intervals=plan.intervals)
    for route in match_routes(plan.route, labels):
        suppression = StageChain(route, around).of(Candidate(labels))
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
                "held": None if suppression is None else {"stage": suppression.stage, "reason": suppression.reason},
            }
        )
    return found
