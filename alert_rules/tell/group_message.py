"""What is written to people about a group of alerts: the message on ``outbox``, which has all that words are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from alert_rules.records.alerts import Transition
from alert_rules.records.facts import AlertFacts, gravity
from alert_rules.records.ids import digest
from alert_rules.records.message import Acknowledgement, AlertMessage, GroupFacts, MessageItem
from alert_rules.tell.stages.dedup import Notice
from alert_rules.words import alert as words
from alert_rules.words.letter import common, worded
from alert_rules.words.parts import TOLD, behind_lines
from alert_rules.words.reader import ANYBODY
from models.calendar import iso

__all__ = ["LISTED", "NAMED", "TOLD", "common_of", "group_message"]

#: So many alerts of a group are in its message; those after the first few, which are told in full, as data only.
LISTED = 20
#: So many more that are new are named; the others are counted.
NAMED = 100
_FIELDS = tuple(field.name for field in structs.fields(AlertFacts))


def group_message(
    notice: Notice,
    alerts: Sequence[Transition],
    ended: frozenset[str],
    *,
    thread: str,
    number: int,
    group: Mapping[str, str],
    route: str,
    now: int,
    receivers: Sequence[str],
    acks: Mapping[str, Acknowledgement] | None = None,
    why_you: Mapping[str, str] | None = None,
) -> AlertMessage:
    """Return the message as it goes to the ``outbox``; deterministic.

    ``alerts`` are the last transitions of the group's incidents, ``ended`` the incidents that have ended. A message about one
    alert has that alert's facts, with the message's own id and kind. ``acks`` says by incident who takes care since when.
    """
    acks = acks or {}
    alike = len({alert.rule for alert in alerts}) == 1  # what they are about is in the title, and need not be said of each
    ordered = sorted(alerts, key=lambda alert: _place(notice, alert, ended, alike))
    head, many = ordered[0], len(ordered) > 1
    facts = _summed(ordered) if many else {name: getattr(head, name) for name in _FIELDS}
    facts |= {
        "id": digest(thread, route, str(number)),
        "incident": thread,
        "kind": notice.kind,
        "at": iso(now) if ANYBODY.words.again(notice.kind) else max(alert.at for alert in alerts),
    }
    message = AlertMessage(
        **facts,
        group=dict(group),
        route=route,
        occasion=notice.occasion,
        alerts=[_item(notice, alert, ended, acks, alike and many, n < TOLD and many) for n, alert in enumerate(ordered[:LISTED])],
        acknowledged=None if many else acks.get(head.incident),
        more=max(0, len(ordered) - LISTED),
        receivers=list(receivers),
        why_you=dict(why_you) if why_you else None,
        happened=None if many else head.kind,
        happened_at=None if many else head.at,
        several=_counted(notice, ordered, ended) if many else None,
    )
    return worded(message)


def common_of(group: Mapping[str, str], alerts: Sequence[Transition]) -> str:
    """Return what the alerts of a group have in common, in people's words: the same for as long as the group lives."""
    titles = {str(alert.rule): _title(alert) for alert in alerts}
    return common(group, titles.get(group.get("rule", ""), ""))


def _place(notice: Notice, alert: Transition, ended: frozenset[str], alike: bool) -> tuple[Any, ...]:
    """Return the place of an alert in a message: what is news first, then the gravest, of one rule the worst, then the oldest."""
    incident = alert.incident
    value = (alert.measured if alike else None) or 0.0
    bad = -value if alert.direction == "above" else value
    return incident not in notice.news, incident in ended, -gravity(alert.severity), bad, alert.since or "", incident


def _item(
    notice: Notice, alert: Transition, ended: frozenset[str], acks: Mapping[str, Acknowledgement], short: bool, full: bool
) -> MessageItem:
    over = alert.incident in ended
    links = [line.url for line in behind_lines(alert.explanation or {}) if line.url]
    title, text, why = words.item(alert, ANYBODY, over=over, short=short)
    return MessageItem(
        incident=alert.incident,
        rule=alert.rule,
        segment=alert.segment,
        severity=alert.severity,
        since=alert.since,
        fired=alert.fired,
        value=alert.value,
        unit=alert.unit,
        currency=alert.currency,
        threshold=alert.threshold,
        labels=alert.labels,
        runbook=alert.runbook,
        state="resolved" if over else "firing",
        title=title,
        text=text,
        why=why,
        news=notice.news.get(alert.incident) or None,
        url=links[0] if len(links) == 1 else None,
        acknowledged=acks.get(alert.incident),
        short=short,
        facts=structs.replace(alert, message=None) if full and alert.zone is not None else None,
    )


def _summed(alerts: Sequence[Transition]) -> dict[str, Any]:
    """Return what the alerts of a group have in common; a field in which they differ is null."""
    first = alerts[0]
    same = {}
    for name in _FIELDS:
        value = getattr(first, name)
        same[name] = value if all(getattr(alert, name) == value for alert in alerts) else None
    labels = [alert.labels or {} for alert in alerts]
    return same | {
        "severity": max((alert.severity for alert in alerts if alert.severity), key=gravity, default=None),
        "since": min(alert.since or "" for alert in alerts),
        "labels": {name: value for name, value in labels[0].items() if all(one.get(name) == value for one in labels)},
    }


def _counted(notice: Notice, alerts: Sequence[Transition], ended: frozenset[str]) -> GroupFacts:
    standing = [alert for alert in alerts if alert.incident not in ended]
    marks = [notice.news.get(alert.incident) for alert in alerts]
    rest = alerts[TOLD:]
    fresh = [alert for alert in rest if alert.incident in notice.news]
    short = len({_title(alert) for alert in fresh}) == 1
    return GroupFacts(
        standing=len(standing),
        critical=sum(alert.severity == "critical" for alert in standing),
        ended=len(alerts) - len(standing),
        news=[(str(mark), count) for mark in dict.fromkeys(marks) if mark and (count := marks.count(mark))],
        titles=list(dict.fromkeys(map(_title, alerts))),
        rest=len(rest),
        fresh=len(fresh),
        named=[words.about(alert, short=short) for alert in fresh[:NAMED]],
    )


def _title(alert: Transition) -> str:
    return alert.rule_title or ANYBODY.words.spaced(str(alert.rule))
