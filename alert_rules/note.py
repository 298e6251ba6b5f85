"""What is said to people about a group of alerts?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alert_rules.durations import plural
from alert_rules.evaluate import digest
from alert_rules.explain import behind_items
from alert_rules.inert import inert
from alert_rules.stages.dedup import ENDED, NEW, Notice
from models.calendar import iso

#: So many alerts of a group are told in full, what is new first; so many more are in the message as data.
TOLD, LISTED = 5, 20
#: So many more that are new are named; the others are counted.
NAMED = 100
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
    alike = len({alert["rule"] for alert in alerts}) == 1  # what they are about is in the title, and need not be said of each
    ordered = sorted(alerts, key=lambda alert: _place(notice, alert, ended, alike))
    head = ordered[0]
    base = dict(head) if len(ordered) == 1 else _summed(ordered)
    listed = [_listed(notice, alert, ended, acks, alike and len(alerts) > 1) for alert in ordered[:LISTED]]
    words = _words(notice, head, group) if len(ordered) == 1 else _many(notice, ordered, listed, ended, group)
    return base | {
        "type": "message",
        "id": digest(thread, route, str(number)),
        "incident": thread,
        "kind": notice.kind,
        "at": iso(now) if notice.kind in _LATER else max(str(a["at"]) for a in alerts),
        "group": dict(group),
        "route": route,
        "why_now": notice.reason,
        "alerts": listed,
        "acknowledged": acks.get(head["incident"]) if len(ordered) == 1 else None,
        "more": max(0, len(ordered) - LISTED),
        "message": words,
        "receivers": list(receivers),
    }


def named(group: Mapping[str, str], alerts: Iterable[Mapping[str, Any]]) -> str:
    """Return what the alerts of a group have in common, in people's words: the same for as long as the group lives."""
    titles = {str(alert["rule"]): _title(alert) for alert in alerts}
    names = [
        titles.get(value) or _spaced(value) if name == "rule" else f"{name.replace('_', ' ')} {inert(value)}"
        for name, value in group.items()
        if value and name != "incident"
    ]
    return ", ".join(names)


def _place(notice: Notice, alert: Mapping[str, Any], ended: frozenset[str], alike: bool) -> tuple[Any, ...]:
    """Return the place of an alert in a message: what is news first, then the gravest, of one rule the worst, then the oldest."""
    incident = alert["incident"]
    value = (alert.get("measured") if alike else None) or 0.0
    bad = -value if alert.get("direction") == "above" else value
    return incident not in notice.news, incident in ended, -_RANK.get(alert["severity"], 0), bad, alert["since"], incident


def _listed(
    notice: Notice, alert: Mapping[str, Any], ended: frozenset[str], acks: Mapping[str, Mapping[str, Any]], short: bool
) -> dict[str, Any]:
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
    over = alert["incident"] in ended
    links = [url for _, url in behind_items(alert.get("explanation") or {}) if url]
    return shown | {
        "state": "resolved" if over else "firing",
        "title": titled(alert, "RESOLVED" if over else str(alert["severity"]).upper(), short=short),
        "text": str(alert["message"]["text"]).partition("\n")[0],
        "why": None if over else inert(str(alert.get("reason") or ""), 300) or None,
        "news": notice.news.get(alert["incident"]) or None,
        "url": links[0] if len(links) == 1 else None,
        "acknowledged": acks.get(alert["incident"]),
    }


def titled(alert: Mapping[str, Any], stamp: str, *, short: bool = False) -> str:
    """Return an alert's title under another stamp; ``short``: without the rule's.

    Transitions of before their parts were written have the title alone.
    """
    words = alert["message"]
    if "about" not in words:
        return f"[{stamp}] {str(words['title']).partition('] ')[2] or words['title']}"
    headline = f": {words['headline']}" if words.get("headline") else ""
    return f"[{stamp}] {_short(alert) if short else words['about']}{headline}"


def _words(notice: Notice, alert: Mapping[str, Any], group: Mapping[str, str]) -> dict[str, str]:
    """Return the alert's own words; what is said again says so."""
    words = dict(alert["message"])
    if notice.kind in _LATER:
        words["title"] = f"{_LATER[notice.kind]} {titled(alert, str(alert['severity']).upper())}"
    elif notice.news.get(alert["incident"]) == NEW:
        words["title"] = titled(alert, str(alert["severity"]).upper())  # whatever it was before, they hear of it now
    return words | _subject(group, [alert])


def _subject(group: Mapping[str, str], alerts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what all messages of a group have as their subject; a single incident's is its own."""
    if set(group) == {"incident"}:
        return {}
    about = named(group, alerts)
    return {"about": f"Alerts: {about}" if about else "Alerts"}


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


def _many(
    notice: Notice,
    alerts: Sequence[Mapping[str, Any]],
    listed: Sequence[Mapping[str, Any]],
    ended: frozenset[str],
    group: Mapping[str, str],
) -> dict[str, str]:
    standing = [alert for alert in alerts if alert["incident"] not in ended]
    critical = sum(alert["severity"] == "critical" for alert in standing)
    counts = [f"{critical} CRITICAL"] * bool(critical) + [f"{len(standing) - critical} WARN"] * (len(standing) > critical)
    over = len(alerts) - len(standing)
    counts += [f"{over} RESOLVED"] * bool(over)
    titles = list(dict.fromkeys(map(_title, alerts)))
    mark = f"{_LATER[notice.kind]} " if notice.kind in _LATER else ""
    about = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
    lines = [_lead(notice, alerts, standing), ""]
    for item in listed[:TOLD]:
        lines += _item(item)
    if rest := alerts[TOLD:]:
        lines.append(_rest(notice, rest))
    return {"title": f"{mark}[{', '.join(counts)}] {about}", "text": "\n".join(lines)} | _subject(group, alerts)


def is_many(alert: Mapping[str, Any]) -> bool:
    """Whether a message tells several alerts."""
    return bool(alert.get("more")) or len(alert.get("alerts") or ()) > 1


def item_title(item: Mapping[str, Any]) -> str:
    """Return the title of one alert of a group, with what is new about it."""
    news = item.get("news")
    return f"{item.get('title')} ({news})" if news and news != ENDED else str(item.get("title"))


def _item(item: Mapping[str, Any]) -> list[str]:
    why = f"  Why: {item['why']}" if item.get("why") else ""
    return [f"• {item_title(item)}", f"  {item['text']}", *filter(None, (why, f"  {item['url']}" if item.get("url") else ""))]


def _lead(notice: Notice, alerts: Sequence[Mapping[str, Any]], standing: Sequence[Mapping[str, Any]]) -> str:
    """Return the first sentence: how many there are, and what is new."""
    marks = [notice.news.get(alert["incident"]) for alert in alerts]
    news = [f"{count} {mark}" for mark in dict.fromkeys(marks) if mark and (count := marks.count(mark))]
    stands = plural(len(standing), "alert stands", "alerts stand") if standing else "All have ended"
    told = f": {', '.join(news)}" if news and standing else ""
    return f"{stands}{told}."


def _rest(notice: Notice, rest: Sequence[Mapping[str, Any]]) -> str:
    """Return the last line: how many more there are, and which of them are news."""
    fresh = [alert for alert in rest if alert["incident"] in notice.news]
    names = [str(alert["message"].get("about") or alert["message"]["title"]) for alert in fresh[:NAMED]]
    if len({_title(alert) for alert in fresh}) == 1:
        names = [_short(alert) for alert in fresh[:NAMED]]
    if not names:
        return f"and {len(rest)} more"
    told = f"and {len(rest)} more, {len(fresh)} of them news" if len(fresh) < len(rest) else f"and {len(rest)} more"
    left = f", and {len(fresh) - len(names)} others" if len(fresh) > len(names) else ""
    return f"{told}: {', '.join(names)}{left}"


def _short(alert: Mapping[str, Any]) -> str:
    """Return what an alert is about without the rule's title."""
    about = str(alert["message"].get("about") or alert["message"]["title"])
    return about.removeprefix(f"{_title(alert)} · ")


def _title(alert: Mapping[str, Any]) -> str:
    return str(alert.get("rule_title") or _spaced(str(alert["rule"])))


def _spaced(rule: str) -> str:
    """Return the id of a rule whose title nobody knows as words: ``Lead unanswered``."""
    return rule.replace("-", " ").capitalize()
