"""What is said to people about a group of alerts?"""

from collections.abc import Mapping, Sequence
from typing import Any

from alert_rules.evaluate import digest
from alert_rules.stages.dedup import Notice
from models.calendar import iso

#: So many alerts of a group are told in full; the others are counted.
LISTED = 20
_RANK = {"critical": 1, "warn": 0}
#: Kinds of messages that are not about a transition of this moment; how the words of one begin.
_LATER = {
    "repeated": "STILL",
    "escalated": "ESCALATED",
    "acknowledged": "ACKNOWLEDGED",
    "unacknowledged": "NO LONGER ACKNOWLEDGED",
}


def note(
    notice: Notice,
    alerts: Sequence[Mapping[str, Any]],
    ended: frozenset[str],
    *,
    thread: str,
    number: int,
    group: Mapping[str, str],
    route: str,
    now: int,
    receivers: Sequence[str],
    acks: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the message as it goes to the ``outbox``; deterministic.

    ``alerts`` are the last transitions of the group's incidents, ``ended`` the incidents that have ended. A message about one
    alert *is* that alert's transition, with the message's own id and kind. ``acks`` says by incident who takes care since when.
    """
    acks = acks or {}
    ordered = sorted(alerts, key=lambda a: (a["incident"] in ended, -_RANK.get(a["severity"], 0), a["since"], a["incident"]))
    head = ordered[0]
    base = dict(head) if len(ordered) == 1 else _summed(ordered)
    words = _words(notice.kind, head) if len(ordered) == 1 else _many(notice, ordered, ended)
    return base | {
        "type": "message",
        "id": digest(thread, route, str(number)),
        "incident": thread,
        "kind": notice.kind,
        "at": iso(now) if notice.kind in _LATER else max(str(a["at"]) for a in alerts),
        "group": dict(group),
        "route": route,
        "why_now": notice.reason,
        "alerts": [_listed(alert, ended, acks) for alert in ordered[:LISTED]],
        "acknowledged": acks.get(head["incident"]) if len(ordered) == 1 else None,
        "more": max(0, len(ordered) - LISTED),
        "message": words,
        "receivers": list(receivers),
    }


def _listed(alert: Mapping[str, Any], ended: frozenset[str], acks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kept = (
        "incident",
        "rule",
        "segment",
        "severity",
        "since",
        "fired",
        "value",
        "unit",
        "currency",
        "threshold",
        "labels",
        "runbook",
    )
    shown = {name: alert.get(name) for name in kept}
    return shown | {
        "state": "resolved" if alert["incident"] in ended else "firing",
        "title": alert["message"]["title"],
        "acknowledged": acks.get(alert["incident"]),
    }


def _words(kind: str, alert: Mapping[str, Any]) -> dict[str, str]:
    """Return the alert's own words; what is said again says so."""
    title, text = str(alert["message"]["title"]), str(alert["message"]["text"])
    return {"title": f"{_LATER[kind]} {title}" if kind in _LATER else title, "text": text}


def _summed(alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the alerts of a group have in common; a field in which they differ is null."""
    first = alerts[0]
    same = {name: value if all(a.get(name) == value for a in alerts) else None for name, value in first.items()}
    labels = [alert.get("labels") or {} for alert in alerts]
    return same | {
        "severity": max((str(a["severity"]) for a in alerts), key=lambda s: _RANK.get(s, 0)),
        "since": min(str(a["since"]) for a in alerts),
        "labels": {name: value for name, value in labels[0].items() if all(one.get(name) == value for one in labels)},
    }


def _many(notice: Notice, alerts: Sequence[Mapping[str, Any]], ended: frozenset[str]) -> dict[str, str]:
    standing = [alert for alert in alerts if alert["incident"] not in ended]
    critical = sum(alert["severity"] == "critical" for alert in standing)
    counts = [f"{critical} CRITICAL"] * bool(critical) + [f"{len(standing) - critical} WARN"] * (len(standing) > critical)
    over = len(alerts) - len(standing)
    counts += [f"{over} RESOLVED"] * bool(over)
    rules = sorted({str(alert["rule"]) for alert in alerts})
    mark = f"{_LATER[notice.kind]} " if notice.kind in _LATER else ""
    about = ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")
    lines = []
    for alert in alerts[:LISTED]:
        new = " (new)" if alert["incident"] in notice.news and alert["incident"] not in ended else ""
        first = str(alert["message"]["text"]).partition("\n")[0]
        told = str(alert["message"]["title"])
        title = told if alert["incident"] not in ended else f"[RESOLVED] {told.partition('] ')[2]}"
        lines.append(f"• {title}{new}\n  {first}")
    if len(alerts) > LISTED:
        lines.append(f"… and {len(alerts) - LISTED} more")
    return {"title": f"{mark}[{', '.join(counts)}] {about}", "text": "\n".join(lines)}
