"""What does a message say, whoever shows it? Its parts as plain text: each chat escapes them in its own way.

Nothing in a part is markup, and outsiders' words have been made harmless where they came in (``alert_rules/inert.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from alert_rules.delivery import Action, Delivery
from alert_rules.explain import BEHIND, behind_items
from alert_rules.note import TOLD, is_many, item_title

#: A label is no longer than this: what is longer is a sentence that has a colon.
_LABEL = 30
#: What has happened, as the first words of an answer in an incident's thread.
NEWS = {
    "resolved": "Resolved",
    "repeated": "Still firing",
    "escalated": "Escalated",
    "upgraded": "Has grown worse",
    "downgraded": "Has eased",
    "updated": "Some have ended",
    "fired": "New",
    "acknowledged": "Taken care of",
    "unacknowledged": "Nobody takes care of it any more",
}


class Link(NamedTuple):
    """Words that lead to a page; without a URL they are words."""

    text: str
    url: str = ""


class Item(NamedTuple):
    """One alert of a group: its title, what it says, and why it stands."""

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
    items: tuple[Item, ...] = ()
    rest: str = ""
    behind: tuple[Link, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    buttons: tuple[Link, ...] = ()


def outline(delivery: Delivery, *, answer: bool = False) -> Outline:
    """Return the parts of a message; as an ``answer`` in the incident's thread only what is new."""
    alert = delivery.alert
    words = alert.get("message") or {}
    kind, text = str(alert.get("kind")), str(words.get("text") or "")
    lead, _, rest = text.partition("\n\n")
    many, last = is_many(alert), text.rpartition("\n")[2]
    behind = tuple(Link(line, _web(url)) for line, url in behind_items(alert.get("explanation") or {}))
    buttons = _buttons(alert, delivery.actions)
    acknowledged, why = alert.get("acknowledged"), str(alert.get("why_now") or "")
    who = str(acknowledged.get("by") or "") if isinstance(acknowledged, Mapping) else ""
    found = Outline(
        state=kind if kind in ("digest", "resolved") else str(alert.get("severity")),
        title=str(words.get("title") or alert.get("rule") or "Alert"),
        lead=lead,
        facts=() if many else tuple(_facts(rest.partition(f"\n\n{BEHIND}\n")[0] if behind else rest, buttons)),
        items=tuple(_item(item) for item in (alert.get("alerts") or ())[:TOLD]) if many else (),
        rest=last if many and last.startswith("and ") else "",
        behind=behind,
        notes=tuple(
            (name, value)
            for name, value in (("taken care of by", who), ("why now", cut(why, 300)), ("incident", cut(delivery.incident, 100)))
            if value
        ),
        buttons=buttons,
    )
    return _answered(found, alert, kind, why) if answer else found


def _answered(found: Outline, alert: Mapping[str, Any], kind: str, why: str) -> Outline:
    fresh = tuple(_item(item) for item in (alert.get("alerts") or ())[:TOLD] if item.get("news")) if found.items else ()
    known = kind in ("acknowledged", "unacknowledged", "repeated")
    head = NEWS.get(kind, "News")
    return replace(
        found,
        news=f"{head}: {cut(why, 300)}" if why else head,
        lead="" if known else found.lead,
        facts=(),
        items=() if known else fresh,
        behind=(),
        notes=(),
    )


def _facts(text: str, buttons: Sequence[Link]) -> list[tuple[str, Link]]:
    """Return a label and what it says for each line; what a button leads to is not said a second time."""
    known = {button.url for button in buttons}
    found = []
    for line in filter(None, text.splitlines()):
        label, colon, value = line.partition(": ")
        label, value = (label, value) if colon and len(label) < _LABEL else ("", line)
        if value not in known:
            found.append((label, Link(cut(value, 1000), _web(value))))
    return found


def _item(item: Mapping[str, Any]) -> Item:
    state = "resolved" if item.get("state") == "resolved" else str(item.get("severity"))
    title, text, why = item_title(item), str(item.get("text") or ""), str(item.get("why") or "")
    return Item(Link(cut(title, 300), _web(item.get("url"))), cut(text, 1000), cut(why, 300), state)


def _buttons(alert: Mapping[str, Any], actions: Sequence[Action]) -> tuple[Link, ...]:
    found = [Link(action.text, _web(action.url)) for action in actions]
    runbook = _web(alert.get("runbook"))
    return tuple(button for button in (*found, *([Link("Runbook", runbook)] if runbook else [])) if button.url)


def _web(url: object) -> str:
    """Return a URL that can be opened by a click, else nothing."""
    text = str(url or "")
    return text if text.startswith(("https://", "http://")) and not set(text) & set(' <>"') and text.isprintable() else ""


def cut(text: str, limit: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shorter(found: Outline) -> Outline | None:
    """Return a message without what is missed least, None where nothing can be left out: for those who take only so much."""
    if found.behind:
        return replace(found, behind=found.behind[:-1])
    if found.items:
        left = len(found.items) - 1
        return replace(found, items=found.items[:left], rest="and more than can be told here")
    if found.rest:
        return replace(found, rest="")
    if found.facts:
        return replace(found, facts=found.facts[:-1])
    if len(found.lead) > 200:
        return replace(found, lead=cut(found.lead, len(found.lead) // 2))
    return replace(found, title=cut(found.title, 200)) if len(found.title) > 200 else None
