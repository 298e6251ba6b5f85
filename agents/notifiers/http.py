"""How is an alert told to a program? A signed POST, as Standard Webhooks describes it.

The body is ``{"type": "alert.fired", "timestamp": …, "data": …}``; ``webhook-id`` (and ``Idempotency-Key``) is the same at
every attempt, so that a receiver can drop what it has had; with a secret, ``webhook-signature`` is
``v1,base64(HMAC-SHA256(secret, "id.timestamp.body"))``. Redirects are not followed: the signed body would go to whoever
the answer names.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable

import orjson

from agents.notifiers.base import ReceiverError
from agents.notifiers.post import NOT_A_URL, TIMEOUT, Poster, usable
from alert_rules.delivery import Delivery
from alert_rules.outcome import Outcome
from stream.config.settings import ReceiverSettings

_PREFIX = "whsec_"


class HttpNotifier:
    """Posts each alert to one URL. ``clock`` gives milliseconds since the epoch."""

    follows = True

    def __init__(
        self,
        name: str,
        url: str,
        secret: bytes | None = None,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self._url = url
        self._secret = secret
        self._clock = clock
        self._poster = Poster(timeout, clock)

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "HttpNotifier":
        """Return the notifier of a receiver of type ``http``; raise :class:`ReceiverError` without its URL or secret."""
        problems: list[str] = []
        url = settings.url.get_secret_value() if settings.url is not None else ""
        if not usable(url):
            problems.append(f"receivers: {settings.name}: url: {NOT_A_URL}")
        secret = None
        if settings.secret is not None:
            secret = decode_secret(settings.secret.get_secret_value())
            if secret is None:
                problems.append(
                    f"receivers: {settings.name}: secret: cannot be used "
                    f"(accepted: {_PREFIX} and the base64 of 24 to 64 bytes, as Standard Webhooks has it)"
                )
        if problems:
            raise ReceiverError(problems)
        return cls(settings.name, url, secret)

    def __repr__(self) -> str:
        return f"HttpNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        now = self._clock()
        body = payload(delivery)
        return await self._poster.post(self._url, body, self._headers(delivery.id, now // 1000, body))

    def _headers(self, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Vigie",
            "Idempotency-Key": id_,
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
        }
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, id_, timestamp, body)
        return headers

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def payload(delivery: Delivery) -> bytes:
    """Return the body: the same bytes at every attempt."""
    alert = delivery.alert
    data = {name: value for name, value in alert.items() if name not in ("type", "receivers")}
    if delivery.actions:
        data["links"] = {action.name: action.url for action in delivery.actions}
    kind = "digest" if alert.get("kind") == "digest" else f"alert.{alert.get('kind')}"
    return orjson.dumps({"type": kind, "timestamp": alert.get("at"), "data": data})


def decode_secret(text: str) -> bytes | None:
    """Return the key in ``whsec_<base64>``, None where it is not one."""
    if not text.startswith(_PREFIX):
        return None
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if 24 <= len(key) <= 64 else None


def sign(secret: bytes, id_: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` of a message; ``timestamp`` in seconds."""
    signed = b".".join((id_.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
