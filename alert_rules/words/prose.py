"""How are records read that were written as prose, before they had facts?

The only place that takes a text apart. What is in such a record as a field is taken from there: a campaign may be called
"Q1: launch", so that no colon says where a title's value begins.
"""

import re
from collections.abc import Mapping

from alert_rules.records.facts import AlertFacts, EnglishWords
from alert_rules.records.message import AlertMessage
from alert_rules.words.inert import inert
from alert_rules.words.parts import Letter, LetterItem, Line, behind_lines

_STAMP = re.compile(r"^(?:STILL |ESCALATED |ACKNOWLEDGED |NO LONGER ACKNOWLEDGED )?\[[^\]]*\] ")
_VALUE = re.compile(r": [^:]*$")
_BEHIND = "Behind it:"
#: A deal or lead behind the alert: its place and what it is, and where it is found.
_NUMBERED = re.compile(r"(\d+\. .+): (https?://\S+)")
#: So many alerts of a group were told in full when messages were prose.
_TOLD = 5
#: A label is no longer than this; what is longer before a colon is a sentence.
_LABEL = 30


def _words(facts: AlertFacts) -> EnglishWords:
    return facts.message or EnglishWords()


def _bare(title: str) -> str:
    """Return a title without its stamp."""
    return _STAMP.sub("", title)


def about(facts: AlertFacts, *, short: bool = False) -> str:
    """Return what an alert is about; ``short``: without the rule's title."""
    words = _words(facts)
    whole = words.about or _about(_bare(words.title), facts.segment or {}, facts.rule_title) or str(facts.rule or "Alert")
    title = facts.rule_title or str(facts.rule or "").replace("-", " ").capitalize()
    return whole.removeprefix(f"{title} · ") if short else whole


def _about(title: str, segment: Mapping[str, str], rule_title: str | None) -> str:
    """Return a title without the value at its end: what it names is known, so that its colons do not matter."""
    for dimension, value in segment.items():
        for place in (f"{dimension.replace('_', ' ')} {inert(value)}", f"{dimension}={value}", f"· {inert(value)}"):
            before, found, _ = title.partition(place)
            if found:
                return before + found
    if rule_title and not segment and title.startswith(rule_title):
        return rule_title
    return _VALUE.sub("", title)


def titled(facts: AlertFacts, stamp: str, *, short: bool = False) -> str:
    """Return an alert's title under another stamp."""
    words = _words(facts)
    if not words.about:
        return f"[{stamp}] {_bare(words.title)}"
    return f"[{stamp}] {about(facts, short=short)}{f': {words.headline}' if words.headline else ''}"


def lead(facts: AlertFacts) -> str:
    """Return the first sentences."""
    return _words(facts).text.partition("\n\n")[0]


def letter(message: AlertMessage) -> Letter:
    """Return a message in the words it was written in, in English."""
    words = _words(message)
    title, text = words.title or str(message.rule), words.text
    first, _, rest = text.partition("\n\n")
    subject = title if message.kind == "digest" else _subject(message)
    if message.is_many and message.alerts:
        last = text.rpartition("\n")[2]
        more = last if last.startswith("and ") else ""
        items = tuple(
            LetterItem(
                f"{one.title} ({one.news})" if one.news and one.news != "ended" else one.title, one.text,
                f"Why: {one.why}" if one.why else "", one.url or "",
                "resolved" if one.state == "resolved" else str(one.severity or ""), one.news or "",
            )
            for one in message.alerts[:_TOLD]
        )  # fmt: skip
        return Letter(title, subject, first, items=items, rest=more, many=True, whole=text)
    told, heading, behind = rest.partition(f"\n\n{_BEHIND}\n")
    if not heading and rest.startswith(f"{_BEHIND}\n"):
        told, heading, behind = "", _BEHIND, rest.removeprefix(f"{_BEHIND}\n")
    facts = tuple(_line(line) for line in told.splitlines() if line)
    known = behind_lines(message.explanation or {}) if heading else []
    lines = tuple(known or (_numbered(line) for line in behind.splitlines() if line))
    return Letter(title, subject, first, facts, lines, _BEHIND if heading else "", headline=words.headline, whole=text)


def _subject(message: AlertMessage) -> str:
    group = message.group or {}
    if _words(message).about:
        return _words(message).about
    if message.is_many or (group and set(group) != {"incident"}):
        place = ", ".join(f"{name} {value}" for name, value in group.items() if value)
        return f"Alerts: {place}" if place else "Alerts"
    return about(message)


def _line(line: str) -> Line:
    label, colon, text = line.partition(": ")
    if not colon or len(label) >= _LABEL:
        return Line("", line)
    return Line(label, text, text if text.startswith(("http://", "https://")) else "")


def _numbered(line: str) -> Line:
    found = _NUMBERED.fullmatch(line)
    return Line("", line) if found is None else Line("", found[1], found[2])
