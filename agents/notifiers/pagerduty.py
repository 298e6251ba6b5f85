"""How is an alert told to PagerDuty, or to who understands its Events API v2?

One incident there for one thread here: ``dedup_key`` is the thread, so that a repeated message changes nothing.
"""

from typing import Any, ClassVar, Literal

import orjson
from pydantic import SecretStr

from agents.notifiers.base import ReceiverSettings, SecretUrl, Token
from agents.notifiers.post import Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.words.inert import inert

API = "https://events.pagerduty.com/v2/enqueue"
_SUMMARY = 1024


class PagerDutySettings(ReceiverSettings):
    """PagerDuty, or who understands its Events API v2: one incident there for one here."""

    type: Literal["pagerduty"]
    routing_key: Token
    """the integration's key"""
    url: SecretUrl = SecretStr(API)
    """another address of the Events API"""

    EXAMPLE: ClassVar = "{name: duty, type: pagerduty, routing_key: …}"
    READS_SUMMARIES: ClassVar = False

    def notifier(self) -> "PagerDutyNotifier":
        """Return what posts the events."""
        return PagerDutyNotifier(self.name, self.routing_key.get_secret_value(), self.url.get_secret_value())


class PagerDutyNotifier:
    """Posts events under one routing key."""

    follows = True

    def __init__(self, name: str, routing_key: str, url: str = API, *, poster: Poster | None = None) -> None:
        self.name = name
        self._key = routing_key
        self._url = url
        self._poster = poster or Poster()

    def __repr__(self) -> str:
        return f"PagerDutyNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        if delivery.message.kind == "digest":
            return Rejected("a summary is no incident")
        headers = {"Content-Type": "application/json", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = {"routing_key": self._key, **event(delivery)}
        opened = [{"href": action.url, "text": "Vigie"} for action in delivery.actions if action.name == "open"]
        if opened and body["event_action"] == "trigger":
            body["links"] = body.get("links", []) + opened
        return await self._poster.post(self._url, orjson.dumps(body), headers, _answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _answer(text: bytes) -> Outcome:
    try:
        if orjson.loads(text).get("status") == "success":
            return Sent()
    except (ValueError, AttributeError):
        pass
    return Retry("accepted, but not answered as PagerDuty does")


def event(delivery: Delivery) -> dict[str, Any]:
    """Return the event, without the routing key: what has ended resolves, what somebody takes care of is acknowledged,
    everything else triggers."""
    message, letter = delivery.message, delivery.letter
    action = {"resolved": "resolve", "acknowledged": "acknowledge"}.get(message.kind, "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": delivery.incident[:255]}
    if action != "trigger":
        return event
    title = letter.title
    event["payload"] = {
        "summary": title if len(title) <= _SUMMARY else title[: _SUMMARY - 1] + "…",
        "source": "vigie",
        "severity": "critical" if message.severity == "critical" else "warning",
        "timestamp": message.at,
        "component": message.kpi,
        "group": message.rule,
        "custom_details": {
            "segment": {name: inert(value) for name, value in (message.segment or {}).items()},
            "value": message.value,
            "threshold": message.threshold,
            "labels": message.labels,
            "since": message.since,
            "why_now": message.why_now,
            "text": letter.text[:10_000],
        },
    }
    if delivery.runbook:
        event["links"] = [{"href": delivery.runbook, "text": delivery.reader.words.button("runbook")}]
    return event
