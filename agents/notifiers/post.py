"""How does one attempt to post something end?

Redirects are not followed: what is posted would go to whoever the answer names. No reason holds a URL, nor anything of what
an answer says: both may hold a secret.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

if TYPE_CHECKING:  # loaded with the first attempt: every command reads the receivers' settings, and few tell anybody
    import aiohttp

#: How long one attempt may take, seconds, and the longest wait that a receiver may ask for, milliseconds.
TIMEOUT = 10.0
LONGEST_ASKED = 3_600_000
#: Answers of 4xx that are about the moment, not about the message.
_LATER = frozenset({408, 423, 425, 429})
#: So much of an answer is read where its text matters, bytes: Slack's holds the message again, each letter as ``\\uXXXX``.
_ANSWER = 262_144
NOT_A_URL = "not a URL (accepted: http:// or https:// and a host)"


def usable(url: str) -> bool:
    """Whether something can be posted there at all."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


class Poster:
    """Makes single attempts over kept connections. ``timeout`` in seconds; ``clock`` gives milliseconds since the epoch."""

    def __init__(self, timeout: float = TIMEOUT, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._timeout = timeout
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        judge: Callable[[bytes], Outcome] | None = None,
        *,
        explain: Callable[[int, bytes], Outcome | None] | None = None,
    ) -> Outcome:
        """Make one attempt. The status is the answer; ``judge`` is asked about the body of a 2xx where the status is not all,
        ``explain`` about the status and body of every answer: None leaves it to the status."""
        import aiohttp

        if self._session is None:
            # No cookies: an answer must not change what the next message carries.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout), cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                outcome = decide(answer.status, answer.headers.get("Retry-After"), self._clock())
                if explain is None and (judge is None or not isinstance(outcome, Sent)):
                    return outcome  # a body that never ends is not waited for
                text = b""
                while len(text) < _ANSWER and (more := await answer.content.read(_ANSWER - len(text))):
                    text += more
                if explain is not None:
                    return explain(answer.status, text) or outcome
                return judge(text) if judge is not None else outcome
        # What aiohttp's errors say may hold the URL: only their kind is told.
        except TimeoutError:
            return Retry(f"no answer within {self._timeout:g} s")
        except aiohttp.InvalidURL:
            return Rejected("the URL cannot be used")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Retry(f"no proper answer ({type(error).__name__})")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class Pace:
    """At most one in ``seconds``: waits before the next one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for the next turn; the deliveries' other receivers do not wait meanwhile."""
        now = time.monotonic()
        if self._next > now:
            await asyncio.sleep(self._next - now)
        self._next = max(now, self._next) + self._seconds


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
