"""What is a receiver told? A record's facts in words, in parts that each kind of receiver lays out in its own way.

A notifier asks for ``letter(delivery.message, delivery.reader)`` and takes the parts that it can show: nobody takes a text apart.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import structs

from alert_rules.records.facts import EnglishWords, Severity
from alert_rules.records.message import AlertMessage, DigestFacts, MessageItem, News, ReceiverFacts, StandingAlert
from alert_rules.words import alert as one_alert
from alert_rules.words import prose, together
from alert_rules.words.inert import inert
from alert_rules.words.parts import TOLD, Letter, LetterItem, Line
from alert_rules.words.reader import ANYBODY, Reader, zone_of
from alert_rules.words.runbooks import address
from models.calendar import epoch_ms

__all__ = ["TOLD", "Letter", "LetterItem", "Line", "in_english", "letter", "worded"]


def letter(message: AlertMessage, reader: Reader = ANYBODY) -> Letter:
    """Return a message in words for one reader. Deterministic: the same message is told in the same words."""
    if message.challenge is not None:
        return together.challenge(message.challenge, reader)
    if message.digest is not None:
        return _digest(message, message.digest, reader)
    if message.failing is not None:
        return _failing(message, message.failing, reader)
    if message.several is not None:
        found = _several(message, reader)
    elif message.happened is not None or message.zone is not None:
        found = _single(message, reader)
    else:
        found = prose.letter(message)
    return found._replace(why_now=_why_now(message, reader))


def _why_now(message: AlertMessage, reader: Reader) -> str:
    return message.why_now or "" if message.occasion is None else reader.words.why_now(message.kind, message.occasion)


def common(group: Mapping[str, str], rule_title: str, reader: Reader = ANYBODY) -> str:
    """Return what the alerts of a group have in common, in people's words."""
    words = reader.words
    names = [
        words.sentence(rule_title) or words.spaced(value) if name == "rule" else words.place(name, inert(value))
        for name, value in group.items()
        if value and name != "incident"
    ]
    return ", ".join(names)


def in_english(found: Letter) -> EnglishWords:
    """Return the words as they travel with a record."""
    return EnglishWords(found.title, found.text, found.subject, found.headline)


def worded(message: AlertMessage) -> AlertMessage:
    """Give a message its words in English, for who reads the topic."""
    found = letter(message)
    message.message, message.why_now = in_english(found), found.why_now
    return message


def _subject(message: AlertMessage, reader: Reader) -> str | None:
    """Return what all messages of a group have as their subject; None where a single incident has its own."""
    group = message.group or {}
    if set(group) == {"incident"}:
        return None
    title = message.rule_title or next(iter(message.several.titles if message.several is not None else ()), "")
    return reader.words.subject(common(group, title, reader))


def _single(message: AlertMessage, reader: Reader) -> Letter:
    words = reader.words
    then = structs.replace(message, kind=message.happened or message.kind, at=message.happened_at or message.at)
    found = one_alert.letter(then, reader) if message.zone is not None else prose.letter(message)
    title = found.title
    if again := words.again(message.kind):
        title = f"{again} {one_alert.titled(then, words.stamp(message.severity), reader)}"
    elif any(item.news == News.NEW for item in message.alerts):
        # Whatever it was before, they hear of it now.
        title = one_alert.titled(then, words.stamp(message.severity), reader)
    items = tuple(_item(item, reader) for item in message.alerts[:TOLD])
    return found._replace(title=title, subject=_subject(message, reader) or found.subject, items=items)


def _several(message: AlertMessage, reader: Reader) -> Letter:
    words, group = reader.words, message.several
    assert group is not None
    again = words.again(message.kind)
    title = f"{again} {words.several(group)}" if again else words.several(group)
    # As many as its own counts leave out: a message that was written when fewer were told says "and 51 more" after five.
    told = len(message.alerts) + message.more - group.rest
    items = tuple(_item(item, reader) for item in message.alerts[: max(1, told)])
    subject = _subject(message, reader) or title
    return Letter(title, subject, words.lead(group), items=items, rest=words.rest(group), many=True)


def _item(item: MessageItem, reader: Reader) -> LetterItem:
    title, text, why = item.title, item.text, item.why
    if item.facts is not None:
        title, text, why = one_alert.item(item.facts, reader, over=item.state == "resolved", short=item.short)
    shown = f"{title} ({reader.words.mark(item.news)})" if item.news and item.news != News.ENDED else title
    level = "resolved" if item.state == "resolved" else str(item.severity or "")
    return LetterItem(shown, text, reader.words.why(why) if why else "", item.url or "", level, item.news or "")


def _failing(message: AlertMessage, facts: ReceiverFacts, reader: Reader) -> Letter:
    words, zone = reader.words, reader.clock(message.zone)
    works = message.kind == "resolved"
    began = _ms(message.since)
    lasted = _ms(message.at) - began
    title, about, lead = words.receiver(facts.receiver, works, lasted)
    since = message.since if reader.zone is None else words.moment(began, zone)
    page = address(message.runbook, reader.home)
    lines = [
        Line(words.label("why"), words.sentence(message.reason or "")),
        Line(words.label("attempts"), words.attempts(facts.attempts, facts.given_up)),
        Line(words.label("since"), since or ""),
        Line(words.label("runbook"), page or message.runbook or "", page),
    ]
    return Letter(title, about, lead, tuple(lines), why_now=words.receiver_now(facts.receiver, works, lasted))


def _digest(message: AlertMessage, facts: DigestFacts, reader: Reader) -> Letter:
    words, zone = reader.words, reader.zone or zone_of(facts.zone)
    title, lead = words.digest(facts, _ms(facts.due), zone)
    lines = [Line(words.digest_label(one, facts.window), words.figure(one)) for one in facts.figures]
    if facts.forecast is not None:
        lines.append(Line(*words.forecast(facts.forecast)))
    lines += [together.aim(one, reader) for one in facts.aims]
    lines += [_stands(one, _ms(facts.due), reader) for one in facts.alerts]
    if facts.standing > len(facts.alerts):
        lines.append(Line("", words.more(facts.standing - len(facts.alerts))))
    why_now = words.digest_now(_ms(facts.due), zone, facts.weekdays)
    return Letter(title, title, lead, tuple(lines), why_now=why_now)


def _stands(one: StandingAlert, due: int, reader: Reader) -> Line:
    """Return an alert that stands, in the digest; of before it had facts, its title as it was written in English."""
    words = reader.words
    if one.facts is None:
        title = words.sentence(one.title)
    else:
        title = one_alert.titled(one.facts, words.stamp(Severity(one.severity)), reader)
    return Line("", words.stands(title, due - _ms(one.since)))


def _ms(at: str | None) -> int:
    return epoch_ms(datetime.fromisoformat(at)) if at else 0
