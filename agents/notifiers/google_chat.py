"""How is an alert told in Google Chat? A card over an incoming webhook of a space, one thread an incident.

Nothing is remembered for the thread: its key is the incident. ``requestId`` is the idempotency key: Google answers a message
sent twice with the first one. The address holds the webhook's key and token, and is nowhere told.
"""

import html
import re
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import orjson
from pydantic import SecretStr, field_validator

from agents.notifiers.base import ReceiverSettings, SecretUrl
from agents.notifiers.outline import Link, Outline, OutlineItem, cut, outline, shorter, tied
from agents.notifiers.post import Pace, Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

#: Google takes messages of 32,000 bytes, one a second in a space.
SIZE = 32_000
PACE = 1.0
_STATUS = re.compile(r"[A-Z_]{1,40}")
#: Google's words for "not now"; HTTP says the same of most of them.
_LATER = frozenset({"RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED"})
_COLOURS = {"critical": "#b3261e", "warn": "#9a6700", "resolved": "#1a7f37"}


class GoogleChatSettings(ReceiverSettings):
    """Google Chat: a card in a space, one thread an incident, over an incoming webhook."""

    type: Literal["google_chat"]
    url: SecretUrl
    """the webhook's: Apps & integrations → Webhooks"""

    GUIDE: ClassVar = "receivers/google_chat.md"
    EXAMPLE: ClassVar = (
        '{name: sales-space, type: google_chat, url: "https://chat.googleapis.com/v1/spaces/…/messages?key=…&token=…"}'
    )

    @field_validator("url")
    @classmethod
    def _whole(cls, found: SecretStr) -> SecretStr:
        named = parse_qs(urlsplit(found.get_secret_value()).query)
        if not named.get("key") or not named.get("token"):
            raise ValueError("not the address of a webhook (accepted: all of it, with its key and token; in YAML in quotes)")
        return found

    def notifier(self) -> "GoogleChatNotifier":
        """Return what posts the cards."""
        return GoogleChatNotifier(self.name, self.url.get_secret_value())


class GoogleChatNotifier:
    """Posts to one space. ``pace`` is the least time between requests, seconds."""

    follows = True

    def __init__(self, name: str, url: str, *, poster: Poster | None = None, pace: float = PACE) -> None:
        self.name = name
        self._url = url
        self._poster = poster or Poster()
        self._pace = Pace(pace)

    def __repr__(self) -> str:
        return f"GoogleChatNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt: the incident's first message, or an answer in its thread."""
        headers = {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = render(delivery)
        await self._pace.wait()
        return await self._poster.post(address(self._url, delivery.id), body, headers, explain=_answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def address(url: str, id_: str) -> str:
    """Return where a message goes: the webhook's address, its thread's way, and the message's id."""
    parts = urlsplit(url)
    more = urlencode({"messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD", "requestId": id_})
    return urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


def _answer(status: int, body: bytes) -> Outcome | None:
    try:
        tree = orjson.loads(body)
        if 200 <= status < 300:
            # What the next message of the incident needs is that there is one.
            return Sent("there") if str(tree["name"]).startswith("spaces/") else _strange(status)
        said = str(tree["error"]["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return _strange(status) if 200 <= status < 300 else None
    if status == 429 or not _STATUS.fullmatch(said):
        return None
    return (Retry if said in _LATER else Rejected)(f"answered HTTP {status}: Google Chat says {said}")


def _strange(status: int) -> Outcome:
    return Retry(f"answered HTTP {status}, but not as Google Chat does")


def render(delivery: Delivery) -> bytes:
    """Return the message, as large as Google takes it; the same bytes at every attempt."""
    found: Outline | None = outline(delivery, answer=delivery.memo is not None)
    while found is not None:
        body = orjson.dumps(message(found, delivery.incident))
        if len(body) <= SIZE:
            break
        found = shorter(found)
    return body


def message(found: Outline, incident: str) -> dict[str, Any]:
    """Return the message: the card, its words where no card can be shown, and its thread."""
    return {
        "fallbackText": cut(found.title, 500),
        "cardsV2": [{"cardId": "alert", "card": card(found)}],
        "thread": {"threadKey": cut(incident, 1000)},
    }


def card(found: Outline) -> dict[str, Any]:
    """Return the card, whose texts are a subset of HTML."""
    colour = _COLOURS.get(found.state)
    title = f"<b>{escape(found.title)}</b>"
    widgets = [_paragraph(f"<i>{escape(found.news)}</i>")] if found.news else []
    widgets += [_paragraph(f'<font color="{colour}">{title}</font>' if colour else title)]
    widgets += [_paragraph(escape(found.lead))] if found.lead else []
    sections: list[dict[str, Any]] = [{"widgets": widgets}]
    if found.facts:
        sections.append({"widgets": [_paragraph("<br>".join(_fact(label, value) for label, value in found.facts))]})
    if found.items:
        sections.append({"widgets": [_item(item) for item in found.items]})
    if found.rest:
        sections[-1]["widgets"].append(_paragraph(escape(found.rest)))
    if found.behind:
        lines = "<br>".join(_link(line) for line in found.behind)
        sections.append({"header": found.behind_heading.rstrip(":"), "widgets": [_paragraph(lines)]})
    last: list[dict[str, Any]] = []
    if found.buttons:
        buttons = [{"text": cut(one.text, 100), "onClick": {"openLink": {"url": one.url}}} for one in found.buttons]
        last.append({"buttonList": {"buttons": buttons}})
    if found.notes:
        notes = " · ".join(f"{name}: {value}" for name, value in found.notes)
        last.append(_paragraph(f'<font color="#5f6368">{escape(notes)}</font>'))
    # No header: Google cuts it to one line, and a title must not lose its value.
    return {"sections": [*sections, *([{"widgets": last}] if last else [])]}


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}


def _fact(label: str, value: Link) -> str:
    return f'<font color="#5f6368">{escape(label)}:</font> {_link(value)}' if label else _link(value)


def _item(item: OutlineItem) -> dict[str, Any]:
    colour = _COLOURS.get(item.state, "#5f6368")
    lines = [f'<font color="{colour}"><b>{_link(item.title)}</b></font>', escape(item.text)]
    lines += [f"<i>{escape(item.why)}</i>"] if item.why else []
    return _paragraph("<br>".join(filter(None, lines)))


def _link(link: Link) -> str:
    words = escape(link.text)
    return f'<a href="{escape(link.url)}">{words}</a>' if link.url else words


def escape(text: str) -> str:
    """Return a text in which Google finds no markup."""
    return html.escape(tied(text))
