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
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import SecretStr, field_validator

from agents.notifiers.base import ReceiverSettings, SecretUrl, SettingsDoubt
from agents.notifiers.post import TIMEOUT, Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome

_PREFIX = "whsec_"


class HttpSettings(ReceiverSettings):
    """A program: a signed POST, as Standard Webhooks describes it."""

    type: Literal["http"]
    url: SecretUrl
    """where it is posted to"""
    secret: SecretStr | None = None
    """what signs: whsec_ and the base64 of 24 to 64 bytes"""

    EXAMPLE: ClassVar = "{name: ops, type: http, url: https://example.com/hook, secret: whsec_…}"

    @field_validator("secret")
    @classmethod
    def _decodes(cls, found: SecretStr | None) -> SecretStr | None:
        if found is not None and decode_secret(found.get_secret_value()) is None:
            raise ValueError(
                f"cannot be used (accepted: {_PREFIX} and the base64 of 24 to 64 bytes, as Standard Webhooks has it)"
            )
        return found

    def notifier(self) -> "HttpNotifier":
        """Return what posts."""
        secret = None if self.secret is None else decode_secret(self.secret.get_secret_value())
        return HttpNotifier(self.name, self.url.get_secret_value(), secret)

    def doubts(self) -> Iterator[SettingsDoubt]:
        """Return whether alerts can be read or made up on the way."""
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            yield SettingsDoubt(f"alerts go to {parts.hostname} without encryption", "use https in its url")
        if self.secret is None:
            yield SettingsDoubt(
                "no secret, so the receiver cannot tell that an alert is from here",
                "set receivers.secret, and check the signature there (docs/alerts.md)",
            )


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
