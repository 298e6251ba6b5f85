"""How is an alert told in Mattermost? A post with an attachment over an incoming webhook, in the colour of its severity.

An attachment's text and the values of its fields are Markdown, their titles and its footer are not. In all of them Mattermost
makes mentions, channels, hashtags and emoji of what looks like them: such signs become ones that look alike. The address is the
webhook's key, and is nowhere told.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import Field, SecretStr, field_validator

from agents.notifiers.base import ReceiverSettings, SecretUrl
from agents.notifiers.outline import Link, Outline, OutlineItem, cut, outline, shorter, tied
from agents.notifiers.post import Pace, Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

#: A post's attachments may have 7,600 characters as JSON in older servers, with what the server adds; newer ones take 760,000.
LONGEST = 7_000
#: A server that limits lets 10 requests a second of an address pass. Seconds between two.
PACE = 0.5
#: A footer is cut by Mattermost where it is longer than 300 characters.
FOOTER = 300
_COLOURS = {"critical": "#b3261e", "warn": "#d99a00", "resolved": "#1a7f37", "digest": "#1f5fbf"}
#: What an operator can do something about, by the names of Mattermost's errors; no other part of an answer is told.
_SAYS = {
    "web.incoming_webhook.invalid.app_error": "there is no such webhook",
    "web.incoming_webhook.disabled.app_error": "incoming webhooks are switched off",
    "web.incoming_webhook.channel.app_error": "there is no such channel",
    "web.incoming_webhook.channel_locked.app_error": "the webhook is locked to a channel of its own",
    "web.incoming_webhook.user.app_error": "there is no such user",
    "web.incoming_webhook.permissions.app_error": "the webhook's owner may not post there",
    "web.incoming_webhook.split_props_length.app_error": "the message is too large",
    "app.channel.get.existing.app_error": "the webhook's channel is gone",
}
#: Signs that mention somebody or something, begin an emoji or an address.
_LOOK = {"@": "＠", "#": "＃", "~": "∼", ":": "∶"}
_MEANT = re.compile(r"[@#~](?=\w)|:(?=[\w+'-]+:)|(?<=\w):(?=//)")
_MARKUP = re.compile(r"[\\`*_\[\]~|]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})
#: What makes a heading, a list or a line of what stands at the beginning of one; blanks there make code.
_LINE = re.compile(r"(?m)^[^\S\n]*(?:([-+#=])|(\d+)([.)])(?=\s))|^[^\S\n]+")


class MattermostSettings(ReceiverSettings):
    """Mattermost: a post in the colour of its severity, over an incoming webhook."""

    type: Literal["mattermost"]
    url: SecretUrl
    """the webhook's: Integrations → Incoming Webhooks"""
    channel: Annotated[str, Field(pattern=r"^[@#]?[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    """another channel than the webhook's own, by the name in its address, or @somebody"""

    GUIDE: ClassVar = "receivers/mattermost.md"
    EXAMPLE: ClassVar = "{name: sales-mattermost, type: mattermost, url: https://chat.example.com/hooks/…}"

    @field_validator("url")
    @classmethod
    def _hook(cls, found: SecretStr) -> SecretStr:
        if not re.search(r"/hooks/[A-Za-z0-9]+/?$", urlsplit(found.get_secret_value()).path):
            raise ValueError("not the address of a webhook (accepted: all of it, https://…/hooks/ and the key)")
        return found

    def notifier(self) -> "MattermostNotifier":
        """Return what posts."""
        return MattermostNotifier(self.name, self.url.get_secret_value(), self.channel)


class MattermostNotifier:
    """Posts over one webhook. ``pace`` is the least time between requests, seconds."""

    follows = False  # a webhook cannot change or answer a post

    def __init__(
        self, name: str, url: str, channel: str | None = None, *, poster: Poster | None = None, pace: float = PACE
    ) -> None:
        self.name = name
        self._url = url
        self._where = {} if channel is None else {"channel": channel}
        self._poster = poster or Poster()
        self._pace = Pace(pace)

    def __repr__(self) -> str:
        return f"MattermostNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        headers = {"Content-Type": "application/json", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = orjson.dumps({**self._where, **render(delivery)})
        await self._pace.wait()
        return await self._poster.post(self._url, body, headers, explain=_answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _answer(status: int, body: bytes) -> Outcome | None:
    if 200 <= status < 300:
        # A proxy's page has told nobody.
        return Sent() if body.strip() == b"ok" else Retry(f"answered HTTP {status}, but not as Mattermost does")
    try:
        said = _SAYS[orjson.loads(body)["id"]]
    except (ValueError, KeyError, TypeError):
        return None
    # Webhooks that are switched off (501) may be switched on again.
    return (Retry if status == 429 or status >= 500 else Rejected)(f"answered HTTP {status}: Mattermost says {said}")


def render(delivery: Delivery) -> dict[str, Any]:
    """Return the post, as long as Mattermost takes it, without where it goes."""
    found: Outline | None = outline(delivery)
    while found is not None:
        made = {"attachments": [attachment(found)]}
        if length(made) <= LONGEST:
            break
        found = shorter(found)
    return made


def length(made: dict[str, Any]) -> int:
    """Return how long Mattermost takes attachments to be: characters of its JSON, which writes ``& < >`` as six each."""
    text = orjson.dumps(made).decode()
    return len(text) + 5 * sum(map(text.count, "&<>"))


def attachment(found: Outline) -> dict[str, Any]:
    """Return the attachment."""
    made: dict[str, Any] = {"fallback": cut(plain(found.title), 300), "text": "\n".join(_lines(found))}
    if colour := _COLOURS.get(found.state):
        made["color"] = colour
    if fields := [_field(label, value) for label, value in found.facts if label]:
        made["fields"] = fields
    if footer := " · ".join(f"{name}: {value}" for name, value in found.notes):
        made["footer"] = cut(plain(footer), FOOTER)
    return made


def _lines(found: Outline) -> Iterator[str]:
    yield f"**{escape(found.title)}**"
    if found.lead:
        yield escape(found.lead)
    yield from (_link(value) for label, value in found.facts if not label)
    for item in found.items:
        yield from ("", *_item(item))
    if found.rest:
        yield from ("", escape(found.rest))
    if found.behind:
        yield from ("", f"**{escape(found.behind_heading)}**", *map(_link, found.behind))
    if found.buttons:
        yield from ("", " · ".join(map(_link, found.buttons)))


def _item(item: OutlineItem) -> Iterator[str]:
    yield f"**{_link(item.title)}**"
    if item.text:
        yield escape(item.text)
    if item.why:
        yield escape(item.why)


def _field(label: str, value: Link) -> dict[str, Any]:
    short = len(value.text) <= 30
    return {"title": plain(label), "value": _link(value), "short": short}


def _link(link: Link) -> str:
    # A parenthesis would end the address.
    url = link.url.replace("(", "%28").replace(")", "%29")
    return f"[{escape(link.text)}]({url})" if url else escape(link.text)


def plain(text: str) -> str:
    """Return a text in which nobody and nothing is mentioned, no Markdown."""
    return tied(_MEANT.sub(lambda sign: _LOOK[sign[0]], text))


def escape(text: str) -> str:
    """Return a text in which Mattermost finds no Markdown, mention, channel, hashtag, emoji or HTML."""
    words = _MARKUP.sub(r"\\\g<0>", plain(text).translate(_ENTITIES))
    return _LINE.sub(lambda at: "".join(part if part.isdigit() else f"&#{ord(part)};" for part in at.groups("") if part), words)
