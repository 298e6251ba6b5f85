"""How is an alert told in Slack? An incoming webhook, or a bot that keeps one message and its thread an incident.

What people wrote (a deal named ``<!channel>``) is escaped, so that it pings nobody. Messages keep within Block Kit's limits.
At most one request a second goes out for a receiver, as Slack asks for. A bot's message is changed as the incident goes on, and
what is new is answered in its thread; where the message is remembered by the outbox, so that this survives restarts.
"""

import logging
import re
from typing import Any, NamedTuple

import orjson

from agents.notifiers.base import ReceiverError
from agents.notifiers.post import NOT_A_URL, Pace, Poster, usable
from agents.notifiers.slack_blocks import news, render
from alert_rules.delivery import Delivery
from alert_rules.outcome import Outcome, Rejected, Retry, Sent
from stream.config.settings import ReceiverSettings

log = logging.getLogger(__name__)

API = "https://slack.com/api/"
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

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "SlackNotifier":
        """Return the notifier of a receiver of type ``slack``; raise :class:`ReceiverError` where it cannot be used."""
        if settings.token is not None:
            token = settings.token.get_secret_value()
            if not token.isascii() or not token.isprintable() or " " in token:
                raise ReceiverError([f"receivers: {settings.name}: token: cannot be used (accepted: a bot's token, xoxb-…)"])
            return cls(settings.name, API, token, settings.channel, buttons=settings.signing_secret is not None)
        url = settings.url.get_secret_value() if settings.url is not None else ""
        if not usable(url):
            raise ReceiverError([f"receivers: {settings.name}: url: {NOT_A_URL}"])
        return cls(settings.name, url)

    @property
    def follows(self) -> bool:
        """Whether the message can be changed: a bot's can."""
        return bool(self._token)

    def __repr__(self) -> str:
        return f"SlackNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt. A bot changes the incident's message first, which can be done twice, and then answers it."""
        if not self._token:
            body = render(delivery.alert, delivery.actions)
            await self._pace.wait()
            return await self._poster.post(self._url, orjson.dumps(body), self._headers(delivery), _webhook_answer)
        place = _Place.read(delivery.memo)
        if place is not None:
            outcome = await self._go_on(delivery, place)
            if outcome is not None:
                return outcome
            log.info("receiver %s: the incident's message is gone; it goes on in a new one", self.name)
        outcome, _ = await self._call("chat.postMessage", delivery, self._shown(delivery) | {"channel": self._channel})
        return outcome

    async def _go_on(self, delivery: Delivery, place: _Place) -> Outcome | None:
        """Change the message and answer in its thread; None where it is gone."""
        outcome, error = await self._call(
            "chat.update", delivery, self._shown(delivery) | {"channel": place.channel, "ts": place.ts}
        )
        if not isinstance(outcome, Sent):
            return None if error in _GONE else outcome
        answer = news(delivery.alert) | {"channel": place.channel, "thread_ts": place.ts, "metadata": _metadata(delivery)}
        if delivery.alert.get("kind") in _BROADCAST:
            answer["reply_broadcast"] = True  # what became graver is seen in the channel, too
        outcome, error = await self._call("chat.postMessage", delivery, answer)
        if not isinstance(outcome, Sent):
            return None if error in _GONE else outcome
        return Sent(delivery.memo)  # its memory begins anew

    def _shown(self, delivery: Delivery) -> dict[str, Any]:
        return render(delivery.alert, delivery.actions, pressed=self._buttons) | {"metadata": _metadata(delivery)}

    async def _call(self, method: str, delivery: Delivery, body: dict[str, Any]) -> tuple[Outcome, str]:
        """Make one request; return its outcome, and Slack's word for what is wrong."""
        said = ""

        def judge(text: bytes) -> Outcome:
            nonlocal said
            outcome, said = _bot_answer(text)
            return outcome

        await self._pace.wait()
        outcome = await self._poster.post(self._url + method, orjson.dumps(body), self._headers(delivery), judge)
        return outcome, said

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
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
