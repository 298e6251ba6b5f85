"""How is an alert told to PagerDuty, or to who understands its Events API v2?

One incident there for one thread here: ``dedup_key`` is the thread, so that a repeated message changes nothing.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from agents.notifiers.base import ReceiverError
from agents.notifiers.post import NOT_A_URL, Poster, usable
from alert_rules.delivery import Delivery
from alert_rules.inert import inert
from alert_rules.outcome import Outcome, Rejected, Retry, Sent
from stream.config.settings import ReceiverSettings

API = "https://events.pagerduty.com/v2/enqueue"
_SUMMARY = 1024


class PagerDutyNotifier:
    """Posts events under one routing key."""

    follows = True

    def __init__(self, name: str, routing_key: str, url: str = API, *, poster: Poster | None = None) -> None:
        self.name = name
        self._key = routing_key
        self._url = url
        self._poster = poster or Poster()

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "PagerDutyNotifier":
        """Return the notifier of a receiver of type ``pagerduty``; raise :class:`ReceiverError` where its URL is none."""
        key = settings.routing_key.get_secret_value() if settings.routing_key is not None else ""
        url = settings.url.get_secret_value() if settings.url is not None else API
        if not usable(url):
            raise ReceiverError([f"receivers: {settings.name}: url: {NOT_A_URL}"])
        return cls(settings.name, key, url)

    def __repr__(self) -> str:
        return f"PagerDutyNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        if delivery.alert.get("kind") == "digest":
            return Rejected("a summary is no incident")
        headers = {"Content-Type": "application/json", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        body = {"routing_key": self._key, **event(delivery.incident, delivery.alert)}
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


def event(thread: str, alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event, without the routing key: what has ended resolves, what somebody takes care of is acknowledged,
    everything else triggers."""
    action = {"resolved": "resolve", "acknowledged": "acknowledge"}.get(str(alert.get("kind")), "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": thread[:255]}
    if action != "trigger":
        return event
    words = alert.get("message") or {}
    title = str(words.get("title") or alert.get("rule"))
    event["payload"] = {
        "summary": title if len(title) <= _SUMMARY else title[: _SUMMARY - 1] + "…",
        "source": "vigie",
        "severity": "critical" if alert.get("severity") == "critical" else "warning",
        "timestamp": alert.get("at"),
        "component": alert.get("kpi"),
        "group": alert.get("rule"),
        "custom_details": {"segment": {name: inert(str(value)) for name, value in (alert.get("segment") or {}).items()}}
        | {name: alert.get(name) for name in ("value", "threshold", "labels", "since", "why_now")}
        | {"text": str(words.get("text") or "")[:10_000]},
    }
    if str(alert.get("runbook") or "").startswith(("http://", "https://")):
        event["links"] = [{"href": alert["runbook"], "text": "Runbook"}]
    return event
