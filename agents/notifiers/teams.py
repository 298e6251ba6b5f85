"""How is an alert told in Microsoft Teams? An Adaptive Card, posted to a workflow of Power Automate that waits for webhooks.

Texts are text runs, in which Teams knows no Markdown: what people wrote is words whatever is in it. A workflow answers 202
once it has the card, and can neither change a post nor answer one: each message is a post of its own.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import orjson

from agents.notifiers.base import ReceiverSettings, SecretUrl, SettingsDoubt
from agents.notifiers.outline import Link, Outline, OutlineItem, cut, outline, shorter, tied
from agents.notifiers.post import Pace, Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

#: Teams takes messages of some 28 KB, and counts them otherwise than they are sent: senders have seen 413 from 21 KB on.
SIZE = 20_000
#: Teams shows so many actions of a card.
BUTTONS = 6
#: Teams takes four messages a second of a webhook. Seconds between two.
PACE = 0.5
_STYLES = {"critical": "attention", "warn": "warning", "resolved": "good"}
_COLOURS = {"critical": "Attention", "warn": "Warning", "resolved": "Good"}


class TeamsSettings(ReceiverSettings):
    """Microsoft Teams: a card in a channel or chat, over a workflow that waits for webhooks."""

    type: Literal["teams"]
    url: SecretUrl
    """the workflow's: Workflows → Send webhook alerts to a channel"""

    GUIDE: ClassVar = "receivers/teams.md"
    EXAMPLE: ClassVar = "{name: sales-teams, type: teams, url: https://….logic.azure.com/workflows/…}"

    def notifier(self) -> "TeamsNotifier":
        """Return what posts the cards."""
        return TeamsNotifier(self.name, self.url.get_secret_value())

    def doubts(self) -> Iterator[SettingsDoubt]:
        """Return whether it is the address of one of the connectors that Microsoft has switched off."""
        if ".webhook.office.com/" in self.url.get_secret_value():
            yield SettingsDoubt(
                "its url is that of an Office 365 connector, which Microsoft retires",
                "make a workflow in its place (docs/receivers/teams.md)",
            )


class TeamsNotifier:
    """Posts to one workflow. ``pace`` is the least time between requests, seconds."""

    follows = False

    def __init__(self, name: str, url: str, *, poster: Poster | None = None, pace: float = PACE) -> None:
        self.name = name
        self._url = url
        self._poster = poster or Poster()
        self._pace = Pace(pace)

    def __repr__(self) -> str:
        return f"TeamsNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        headers = {"Content-Type": "application/json", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = render(delivery)
        await self._pace.wait()
        return await self._poster.post(self._url, body, headers, explain=_answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _answer(status: int, body: bytes) -> Outcome | None:
    if status == 202:
        return Sent()
    if 200 <= status < 300:
        # A proxy's page, or a workflow with an answer of its own: nobody knows whether Teams has it.
        return Retry(f"answered HTTP {status}, but not as a workflow does (202)")
    return Rejected("the message is too large: HTTP 413") if status == 413 else None


def render(delivery: Delivery) -> bytes:
    """Return the message, as large as Teams takes it; the same bytes at every attempt."""
    found: Outline | None = outline(delivery)
    while found is not None:
        body = orjson.dumps(_message(found))
        if len(body) <= SIZE:
            break
        found = shorter(found)
    return body


def _message(found: Outline) -> dict[str, Any]:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card(found)}
    return {"type": "message", "summary": cut(found.title, 200), "attachments": [attachment]}


def card(found: Outline) -> dict[str, Any]:
    """Return the Adaptive Card."""
    title = _text([_run(found.title, weight="Bolder", size="Large")])
    head: dict[str, Any] = {
        "type": "Container",
        "style": _STYLES.get(found.state, "accent"),
        "bleed": True,
        "items": [title, *([_text([_run(found.lead)])] if found.lead else [])],
    }
    body = [head, *_facts(found), *(_item(item) for item in found.items)]
    if found.rest:
        body.append(_text([_run(found.rest)]))
    if found.behind:
        spacings = ("Small", *["None"] * len(found.behind))
        lines = [_text([_link(line)], spacing=spacing) for line, spacing in zip(found.behind, spacings, strict=False)]
        body.append(
            {"type": "Container", "spacing": "Medium", "items": [_text([_run(found.behind_heading, weight="Bolder")]), *lines]}
        )
    if found.notes:
        notes = " · ".join(f"{name}: {value}" for name, value in found.notes)
        body.append(_text([_run(notes, size="Small", isSubtle=True)], spacing="Medium"))
    made: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": cut(found.title, 500),
        "msteams": {"width": "Full"},
        "body": body,
    }
    if found.buttons:
        buttons = found.buttons[:BUTTONS]
        made["actions"] = [{"type": "Action.OpenUrl", "title": cut(one.text, 100), "url": one.url} for one in buttons]
    return made


def _facts(found: Outline) -> Iterator[dict[str, Any]]:
    """Yield what is known, a row each: the label, and what it says."""
    for n, (label, value) in enumerate(found.facts):
        spacing = "Small" if n else "Medium"
        if not label:
            yield _text([_link(value)], spacing=spacing)
            continue
        columns = [
            {"type": "Column", "width": "110px", "items": [_text([_run(label, isSubtle=True)])]},
            {"type": "Column", "width": "stretch", "items": [_text([_link(value)])]},
        ]
        yield {"type": "ColumnSet", "spacing": spacing, "columns": columns}


def _item(item: OutlineItem) -> dict[str, Any]:
    """Return one alert of a group."""
    colour = {"color": _COLOURS[item.state]} if item.state in _COLOURS else {}
    items = [_text([_link(item.title, weight="Bolder", **colour)])]
    items += [_text([_run(text)], spacing="None") for text in (item.text,) if text]
    items += [_text([_run(item.why, isSubtle=True)], spacing="None")] if item.why else []
    return {"type": "Container", "spacing": "Medium", "separator": True, "items": items}


def _link(link: Link, **style: Any) -> dict[str, Any]:
    return _run(link.text, **style) | ({"selectAction": {"type": "Action.OpenUrl", "url": link.url}} if link.url else {})


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": tied(text) or " ", **style}


def _text(runs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", **more, "inlines": runs}
