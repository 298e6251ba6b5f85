"""How is an alert told in Slack? An incoming webhook, or a bot that keeps one message and its thread an incident.

What people wrote (a deal named ``<!channel>``) is escaped, so that it pings nobody. Messages keep within Block Kit's limits.
At most one request a second goes out for a receiver, as Slack asks for. A bot's message is changed as the incident goes on, and
what is new is answered in its thread; where the message is remembered by the outbox, so that this survives restarts. How the
figure came there is drawn in the thread. A webhook takes no files: its messages have no picture.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr, model_validator

from agents.notifiers.base import ReceiverSettings, SecretUrl, Token
from agents.notifiers.outline import cut
from agents.notifiers.picture import colour_of, png
from agents.notifiers.post import Pace, Poster, usable
from agents.notifiers.slack_blocks import news, render
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

log = logging.getLogger(__name__)

API = "https://slack.com/api/"
_JSON = "application/json; charset=utf-8"
#: Slack's own words for "not now"; any other error is for ever.
_LATER = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
#: What says that a message can no longer be changed, or answered: the incident goes on in a new one.
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "channel_not_found"})
_ERROR = re.compile(rb"[a-z_]{1,60}")
#: Kinds that are seen in the channel too, not only by who follows the thread.
_BROADCAST = ("upgraded", "escalated")
#: Kinds that say nothing new of the figure: its course is not drawn again.
_AS_BEFORE = ("acknowledged", "unacknowledged", "repeated")
#: What says that files are not for this bot: they are not offered again.
_NO_FILES = frozenset({"missing_scope", "not_allowed_token_type", "file_uploads_disabled", "file_uploads_except_images_disabled"})
#: Characters of what a screen reader is told of a picture.
_ALT = 1000


class SlackSettings(ReceiverSettings):
    """Slack: over an incoming webhook (``url``), or as a bot (``token``, ``channel``) that keeps one message and its thread an
    incident."""

    type: Literal["slack"]
    url: SecretUrl | None = None
    """the incoming webhook"""
    token: Token | None = None
    """in place of url: the bot's, xoxb-…; its scopes: chat:write, and files:write for pictures"""
    channel: str = ""
    """the bot's channel: its id"""
    signing_secret: SecretStr | None = None
    """the app's, where its buttons are to act at once (interactivity)"""

    EXAMPLE: ClassVar = "{name: sales-bot, type: slack, token: xoxb-…, channel: C0123456789, signing_secret: …}"

    @model_validator(mode="after")
    def _one_way(self) -> "SlackSettings":
        if bool(self.url) == bool(self.token):
            raise ValueError("type slack needs url (of an incoming webhook), or token (of a bot) and channel")
        if self.signing_secret and not self.token:
            raise ValueError("signing_secret goes with a bot's token: an incoming webhook has no buttons")
        if self.token and not self.channel:
            raise ValueError("a bot's token needs channel")
        return self

    def notifier(self) -> "SlackNotifier":
        """Return what posts."""
        if self.token is not None:
            token = self.token.get_secret_value()
            return SlackNotifier(self.name, API, token, self.channel, buttons=self.signing_secret is not None)
        return SlackNotifier(self.name, self.url.get_secret_value() if self.url is not None else "")


class _Place(NamedTuple):
    """Where an incident's message is: what the outbox remembers as ``channel ts``."""

    channel: str
    ts: str

    @classmethod
    def read(cls, memo: str | None) -> "_Place | None":
        channel, _, ts = (memo or "").partition(" ")
        return cls(channel, ts) if channel and ts else None


class SlackNotifier:
    """Posts to the incoming webhook at ``url``, or as a bot to a channel, over the API at ``url``.

    ``pace`` is the least time between requests, seconds. ``buttons`` says that Slack sends back what is pressed (the app has
    interactivity), so that no link is needed.
    """

    def __init__(
        self,
        name: str,
        url: str,
        token: str = "",
        channel: str = "",
        *,
        buttons: bool = False,
        poster: Poster | None = None,
        pace: float = 1.0,
    ) -> None:
        self.name = name
        self._url = url
        self._token = token
        self._channel = channel
        self._buttons = buttons
        self._poster = poster or Poster()
        self._pace = Pace(pace)
        self._files = True

    @property
    def follows(self) -> bool:
        """Whether the message can be changed: a bot's can."""
        return bool(self._token)

    def __repr__(self) -> str:
        return f"SlackNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt. A bot changes the incident's message first, which can be done twice, and then answers it."""
        if not self._token:
            body = render(delivery)
            await self._pace.wait()
            return await self._poster.post(self._url, orjson.dumps(body), self._headers(delivery), _webhook_answer)
        place = _Place.read(delivery.memo)
        if place is not None:
            outcome = await self._go_on(delivery, place)
            if outcome is not None:
                return outcome
            log.info("receiver %s: the incident's message is gone; it goes on in a new one", self.name)
        outcome, _ = await self._call("chat.postMessage", delivery, self._shown(delivery) | {"channel": self._channel})
        if isinstance(outcome, Sent) and (place := _Place.read(outcome.memo)) is not None:
            await self._draw(delivery, place)
        return outcome

    async def _go_on(self, delivery: Delivery, place: _Place) -> Outcome | None:
        """Change the message and answer in its thread; None where it is gone."""
        outcome, error = await self._call(
            "chat.update", delivery, self._shown(delivery) | {"channel": place.channel, "ts": place.ts}
        )
        if not isinstance(outcome, Sent):
            return None if error in _GONE else outcome
        answer = news(delivery) | {"channel": place.channel, "thread_ts": place.ts, "metadata": _metadata(delivery)}
        if delivery.message.kind in _BROADCAST:
            answer["reply_broadcast"] = True  # what became graver is seen in the channel, too
        outcome, error = await self._call("chat.postMessage", delivery, answer)
        if not isinstance(outcome, Sent):
            return None if error in _GONE else outcome
        await self._draw(delivery, place)
        return Sent(delivery.memo)  # its memory begins anew

    async def _draw(self, delivery: Delivery, place: _Place) -> None:
        """Show the figure's course in the thread. The words have been told by now: a picture that fails is not tried again."""
        letter, message = delivery.letter, delivery.message
        if letter.course is None or message.kind in _AS_BEFORE or not self._files:
            return
        picture = await asyncio.to_thread(png, letter.course, colour_of(message))
        about = cut(letter.course_words, _ALT)
        asked = urlencode({"filename": "chart.png", "length": len(picture), "alt_txt": about}).encode()
        given: dict[str, Any] = {}
        outcome, error = await self._request(
            "files.getUploadURLExternal", delivery, asked, "application/x-www-form-urlencoded", given.update
        )
        url, file = str(given.get("upload_url", "")), str(given.get("file_id", ""))
        if isinstance(outcome, Sent) and usable(url) and file:
            # The address says itself who may put something there: it is not given the token.
            outcome = await self._poster.post(url, picture, {"Content-Type": "image/png", "User-Agent": "Vigie"})
            if isinstance(outcome, Sent):
                shared = {"files": [{"id": file, "title": about}], "channel_id": place.channel, "thread_ts": place.ts}
                outcome, error = await self._call("files.completeUploadExternal", delivery, shared)
        if error in _NO_FILES:
            self._files = False
        if not isinstance(outcome, Sent):
            hint = " (the app needs the scope files:write)" if error == "missing_scope" else ""
            log.warning("receiver %s: told without its picture: %s%s", self.name, outcome.reason, hint)

    def _shown(self, delivery: Delivery) -> dict[str, Any]:
        return render(delivery, pressed=self._buttons) | {"metadata": _metadata(delivery)}

    async def _call(self, method: str, delivery: Delivery, body: dict[str, Any]) -> tuple[Outcome, str]:
        """Make one request; return its outcome, and Slack's word for what is wrong."""
        return await self._request(method, delivery, orjson.dumps(body), _JSON)

    async def _request(
        self,
        method: str,
        delivery: Delivery,
        body: bytes,
        kind: str,
        given: Callable[[dict[str, Any]], object] = lambda tree: None,
    ) -> tuple[Outcome, str]:
        """Make one request with a body of a kind; ``given`` is told all that Slack answered where it said yes."""
        said = ""

        def judge(text: bytes) -> Outcome:
            nonlocal said
            outcome, said = _bot_answer(text)
            if isinstance(outcome, Sent):
                given(orjson.loads(text))
            return outcome

        await self._pace.wait()
        outcome = await self._poster.post(self._url + method, body, self._headers(delivery, kind), judge)
        return outcome, said

    def _headers(self, delivery: Delivery, kind: str = _JSON) -> dict[str, str]:
        headers = {"Content-Type": kind, "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _metadata(delivery: Delivery) -> dict[str, Any]:
    """Return what programs see of a message: a message sent twice carries the same id."""
    return {"event_type": "vigie_notification", "event_payload": {"id": delivery.id, "incident": delivery.incident}}


def _webhook_answer(text: bytes) -> Outcome:
    if text.strip() == b"ok":
        return Sent()
    # A proxy's page with status 200: Slack has not seen it.
    return Retry("answered HTTP 200, but not as Slack does")


def _bot_answer(text: bytes) -> tuple[Outcome, str]:
    """Return the outcome, with where the message is as its memo, and Slack's word for what is wrong."""
    try:
        tree = orjson.loads(text)
        ok, error, ts, channel = tree.get("ok"), str(tree.get("error", "")), tree.get("ts"), tree.get("channel")
    except (ValueError, AttributeError):
        return Retry("answered HTTP 200, but not as Slack does"), ""
    if ok is True:
        there = isinstance(ts, str) and isinstance(channel, str) and ts and channel and " " not in channel
        return Sent(f"{channel} {ts}" if there else None), ""
    if ok is not False or not _ERROR.fullmatch(error.encode()):
        return Retry("answered HTTP 200, but not as Slack does"), ""
    return (Retry if error in _LATER else Rejected)(f"Slack says {error}"), error
