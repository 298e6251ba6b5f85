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
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import orjson

from agents.notifiers.base import ReceiverError
from alert_rules.outbox import Delivery
from alert_rules.outcome import Outcome, Rejected, Retry, Sent
from stream.settings import ReceiverSettings

#: How long one attempt may take, seconds, and the longest wait that a receiver may ask for, milliseconds.
TIMEOUT = 10.0
LONGEST_ASKED = 3_600_000
#: Answers of 4xx that are about the moment, not about the message.
_LATER = frozenset({408, 423, 425, 429})
_PREFIX = "whsec_"


class HttpNotifier:
    """Posts each alert to one URL. ``clock`` gives milliseconds since the epoch."""

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
        self._timeout = timeout
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "HttpNotifier":
        """Return the notifier of a receiver of type ``http``; raise :class:`ReceiverError` without its URL or secret."""
        problems: list[str] = []
        url = settings.url.get_secret_value() if settings.url is not None else ""
        parts = None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            problems.append(f"receivers: {settings.name}: url: not a URL (accepted: http:// or https:// and a host)")
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
        if self._session is None:
            # No cookies: an answer must not change what the next message carries.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout), cookie_jar=aiohttp.DummyCookieJar()
            )
        now = self._clock()
        body = payload(delivery)
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers(delivery.id, now // 1000, body), allow_redirects=False
            ) as answer:
                # The status is the answer; a body that never ends is not waited for.
                return decide(answer.status, answer.headers.get("Retry-After"), self._clock())
        # What aiohttp's errors say may hold the URL: only their kind is told.
        except TimeoutError:
            return Retry(f"no answer within {self._timeout:g} s")
        except aiohttp.InvalidURL:
            return Rejected("the URL cannot be used")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Retry(f"no proper answer ({type(error).__name__})")

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
        if self._session is not None:
            await self._session.close()
            self._session = None


def payload(delivery: Delivery) -> bytes:
    """Return the body: the same bytes at every attempt."""
    alert = delivery.alert
    data = {name: value for name, value in alert.items() if name not in ("type", "receivers")}
    return orjson.dumps({"type": f"alert.{alert.get('kind')}", "timestamp": alert.get("at"), "data": data})


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


def decide(status: int, asked: str | None, now: int) -> Outcome:
    """Return what an answer means; ``asked`` is its ``Retry-After``, ``now`` milliseconds since the epoch. Pure."""
    if 200 <= status < 300:
        return Sent()
    if status in _LATER or status >= 500:
        return Retry(f"answered HTTP {status}", retry_after(asked, now))
    if 300 <= status < 400:
        return Rejected(f"answered HTTP {status}: a redirect, which is not followed (put the final URL into the settings)")
    return Rejected(f"answered HTTP {status}")


def retry_after(asked: str | None, now: int) -> int | None:
    """Return ``Retry-After`` in milliseconds from ``now``: seconds, a fraction of them, or an HTTP date; None where it is
    absent or cannot be read. Waits above an hour are an hour."""
    if asked is None:
        return None
    try:
        wait = float(asked) * 1000
    except ValueError:
        try:
            date = parsedate_to_datetime(asked)
        except (ValueError, TypeError):
            return None
        aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        wait = (aware - datetime.fromtimestamp(now / 1000, UTC)).total_seconds() * 1000
    if wait != wait:  # NaN
        return None
    return round(min(max(wait, 0), LONGEST_ASKED))
