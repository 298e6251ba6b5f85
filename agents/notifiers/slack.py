"""How is an alert told in Slack? An incoming webhook, or a bot that keeps one thread an incident.

What people wrote (a deal named ``<!channel>``) is escaped, so that it pings nobody. Messages keep within Block Kit's limits.
At most one message a second goes to a receiver, as Slack asks for.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from agents.notifiers.base import ReceiverError
from agents.notifiers.post import NOT_A_URL, Pace, Poster, usable
from alert_rules.delivery import Delivery
from alert_rules.outcome import Outcome, Rejected, Retry, Sent
from stream.settings import ReceiverSettings

API = "https://slack.com/api/chat.postMessage"
#: Block Kit's limits: characters of a section's text and of a context's element, elements of a context.
SECTION = 3000
CONTEXT = 10
#: Slack's own words for "not now"; any other error is for ever.
_LATER = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
_ERROR = re.compile(rb"[a-z_]{1,60}")
#: So many incidents' threads are remembered, in memory; after a restart an incident goes on in a new thread.
_THREADS = 10_000
_MARKS = {"critical": ":red_circle:", "warn": ":large_yellow_circle:"}


class SlackNotifier:
    """Posts to an incoming webhook, or as a bot to a channel. ``pace`` is the least time between messages, seconds."""

    def __init__(
        self, name: str, url: str, token: str = "", channel: str = "", *, poster: Poster | None = None, pace: float = 1.0
    ) -> None:
        self.name = name
        self._url = url
        self._token = token
        self._channel = channel
        self._poster = poster or Poster()
        self._pace = Pace(pace)
        self._threads: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "SlackNotifier":
        """Return the notifier of a receiver of type ``slack``; raise :class:`ReceiverError` where it cannot be used."""
        if settings.token is not None:
            token = settings.token.get_secret_value()
            if not token.isascii() or not token.isprintable() or " " in token:
                raise ReceiverError([f"receivers: {settings.name}: token: cannot be used (accepted: a bot's token, xoxb-…)"])
            return cls(settings.name, API, token, settings.channel)
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
        """Make one attempt; a bot answers in the incident's thread."""
        await self._pace.wait()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = render(delivery.alert)
        if not self._token:
            return await self._poster.post(self._url, orjson.dumps(body), headers, _webhook_answer)
        thread = self._threads.get(delivery.incident)
        body |= {"channel": self._channel} | ({} if thread is None else {"thread_ts": thread})
        if thread is not None and delivery.alert.get("kind") in ("upgraded", "escalated"):
            body["reply_broadcast"] = True  # what became graver is seen in the channel, too
        headers["Authorization"] = f"Bearer {self._token}"

        def judge(text: bytes) -> Outcome:
            outcome, ts = _bot_answer(text)
            if ts is not None:
                self._remember(delivery.incident, thread or ts)
            return outcome

        return await self._poster.post(self._url, orjson.dumps(body), headers, judge)

    def _remember(self, incident: str, thread: str) -> None:
        self._threads[incident] = thread
        self._threads.move_to_end(incident)
        if len(self._threads) > _THREADS:
            self._threads.popitem(last=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _webhook_answer(text: bytes) -> Outcome:
    if text.strip() == b"ok":
        return Sent()
    # A proxy's page with status 200: Slack has not seen it.
    return Retry("answered HTTP 200, but not as Slack does")


def _bot_answer(text: bytes) -> tuple[Outcome, str | None]:
    try:
        tree = orjson.loads(text)
        ok, error, ts = tree.get("ok"), str(tree.get("error", "")), tree.get("ts")
    except (ValueError, AttributeError):
        return Retry("answered HTTP 200, but not as Slack does"), None
    if ok is True:
        return Sent(), ts if isinstance(ts, str) else None
    if ok is not False or not _ERROR.fullmatch(error.encode()):
        return Retry("answered HTTP 200, but not as Slack does"), None
    return (Retry if error in _LATER else Rejected)(f"Slack says {error}"), None


def escape(text: str, limit: int) -> str:
    """Return a text for Slack's markup, in which nothing is a link or a mention, of at most ``limit`` characters."""
    kept = text
    while len(escaped := kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > limit:
        # Cut before escaping: half of an "&amp;" would be shown as it is.
        kept = kept[: max(0, len(kept) - max(1, (len(escaped) - limit) // 5)) - 1].rstrip() + "…"
    return escaped


def render(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as Slack's ``chat.postMessage`` and webhooks take it."""
    words = alert.get("message") or {}
    title, text = str(words.get("title") or alert.get("rule")), str(words.get("text") or "")
    mark = ":large_green_circle:" if alert.get("kind") == "resolved" else _MARKS.get(str(alert.get("severity")), "")
    first, _, rest = text.partition("\n\n")
    blocks: list[dict[str, Any]] = [_section(f"{mark} *{escape(title, 500)}*".strip())]
    if first:
        blocks.append(_section(escape(first, SECTION)))
    if rest:
        blocks.append(_section(escape(rest, SECTION)))
    told = [("rule", alert.get("rule")), ("why now", alert.get("why_now")), ("incident", alert.get("incident"))]
    elements = [{"type": "mrkdwn", "text": f"{name}: {escape(str(value), 300)}"} for name, value in told if value]
    if elements:
        blocks.append({"type": "context", "elements": elements[:CONTEXT]})
    if str(alert.get("runbook") or "").startswith(("http://", "https://")) and len(str(alert["runbook"])) <= SECTION:
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": "Runbook"},
            "url": alert["runbook"],
            "action_id": "runbook",
        }
        blocks.append({"type": "actions", "elements": [button]})
    # `text` is what a notification shows; `link_names` and unfurling off: names and links in it do nothing.
    return {"text": escape(title, SECTION), "blocks": blocks, "unfurl_links": False, "unfurl_media": False, "link_names": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
