"""What does a message say, whoever shows it? Its parts as plain text: each chat escapes them in its own way.

Nothing in a part is markup, and outsiders' words have been made harmless where they came in (``alert_rules/words/inert.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from alert_rules.tell.delivery import Delivery
from alert_rules.words.parts import Letter, LetterItem

#: A label is no longer than this: what is longer is a sentence that has a colon.
_LABEL = 30


class Link(NamedTuple):
    """Words that lead to a page; without a URL they are words."""

    text: str
    url: str = ""


class OutlineItem(NamedTuple):
    """One alert of a group: its title, what it says, why it stands, and its ``state``: critical, warn or resolved."""

    title: Link
    text: str
    why: str
    state: str


@dataclass(frozen=True, slots=True)
class Outline:
    """The parts of a message, in the order they are shown; ``state`` is ``critical``, ``warn``, ``resolved`` or ``digest``.

    ``facts`` are a label and what it says, without a label a line; ``notes`` are what only the curious read.
    """

    state: str
    title: str
    lead: str
    news: str = ""
    facts: tuple[tuple[str, Link], ...] = ()
    items: tuple[OutlineItem, ...] = ()
    rest: str = ""
    behind: tuple[Link, ...] = ()
    behind_heading: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    buttons: tuple[Link, ...] = ()
    too_long: str = ""  # what is said where items had to be left out


def outline(delivery: Delivery, *, answer: bool = False) -> Outline:
    """Return the parts of a message; as an ``answer`` in the incident's thread only what is new."""
    message, letter = delivery.message, delivery.letter
    words = delivery.reader.words
    buttons, why = buttons_of(delivery), cut(letter.why_now or message.why_now or "", 300)
    who = message.acknowledged.by if message.acknowledged is not None else ""
    notes = (
        (words.note("care"), cut(who, 100)),
        (words.note("why_now"), why),
        (words.note("incident"), cut(delivery.incident, 100)),
    )
    whole = Outline(
        state=message.kind if message.kind in ("digest", "resolved") else message.severity or "",
        title=letter.title or words.language.say("alert"),
        lead=letter.lead,
        facts=tuple(_facts(letter, {button.url for button in buttons})),
        items=tuple(map(_item, letter.items)) if letter.many else (),
        rest=letter.rest,
        behind=tuple(Link(line.plain if not line.url else line.text, _web(line.url)) for line in letter.behind),
        behind_heading=letter.behind_heading,
        notes=tuple((name, value) for name, value in notes if value),
        buttons=buttons,
        too_long=words.language.say("too_long"),
    )
    if not answer:
        return whole
    known = message.kind in ("acknowledged", "unacknowledged", "repeated")
    head = words.news(message.kind)
    return Outline(
        state=whole.state,
        title=whole.title,
        lead="" if known else whole.lead,
        news=f"{head}: {why}" if why else head,
        items=() if known else tuple(_item(item) for item in letter.items if letter.many and item.news),
        rest=whole.rest,
        buttons=buttons,
        too_long=whole.too_long,
    )


def _facts(letter: Letter, known: set[str]) -> Iterator[tuple[str, Link]]:
    """Yield a label and what it says for each line; what a button leads to is not said a second time."""
    for line in letter.facts:
        url = _web(line.url) or _web(line.text)
        if url not in known or not url:
            yield (line.label, Link(cut(line.text, 1000), url)) if len(line.label) < _LABEL else ("", Link(line.plain, url))


def _item(item: LetterItem) -> OutlineItem:
    return OutlineItem(Link(cut(item.title, 300), _web(item.url)), cut(item.text, 1000), cut(item.why, 300), item.level)


def buttons_of(delivery: Delivery) -> tuple[Link, ...]:
    """Return what the reader may do, in their words, and the runbook."""
    words = delivery.reader.words
    found = [Link(words.button(action.name), _web(action.url)) for action in delivery.actions]
    return tuple(button for button in (*found, Link(words.button("runbook"), _web(delivery.runbook))) if button.url)


def _web(url: object) -> str:
    """Return a URL that can be opened by a click, else nothing."""
    text = str(url or "")
    return text if text.startswith(("https://", "http://")) and not set(text) & set(' <>"') and text.isprintable() else ""


def cut(text: str, limit: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def tied(text: str) -> str:
    """Return a text in which no line begins with a percent sign."""
    return text.replace(" %", "\u00a0%")


def shorter(found: Outline) -> Outline | None:
    """Return a message without what is missed least, None where nothing can be left out: for those who take only so much."""
    if found.behind:
        return replace(found, behind=found.behind[:-1])
    if found.items:
        left = len(found.items) - 1
        return replace(found, items=found.items[:left], rest=found.too_long)
    if found.rest:
        return replace(found, rest="")
    if found.facts:
        return replace(found, facts=found.facts[:-1])
    if len(found.lead) > 200:
        return replace(found, lead=cut(found.lead, len(found.lead) // 2))
    return replace(found, title=cut(found.title, 200)) if len(found.title) > 200 else None
