"""Whose token is this? Compared by hash, for as long as it is valid, and not as often as a stranger likes."""

import base64
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from stream.config.web_settings import OperatorSettings
from stream.engine.client_logs import RateLimit
from stream.engine.options import wall_clock
from stream.ingest.token_bucket import Clients
from stream.web.reach import SegmentReach

log = logging.getLogger(__name__)
log.addFilter(RateLimit())

#: Wrong tokens of one address: so many at once, then so many a second. What comes beyond is not looked at.
_AT_ONCE, _RATE = 10.0, 0.2
#: Why somebody was not let in; values of a metric's label.
FAILURES = ("wrong_token", "expired", "throttled", "wrong_host", "no_proof")


def basic(authorization: str) -> str:
    """Return the password of a header ``Authorization: Basic …``, empty where there is none."""
    kind, _, given = authorization.partition(" ")
    try:
        found = base64.b64decode(given.strip(), validate=True).decode() if kind.lower() == "basic" else ""
    except ValueError:
        return ""
    return found.partition(":")[2].strip()


class Operator(NamedTuple):
    """Somebody whose token is known; ``until`` is when it expires (epoch ms), ``reach`` what they see (None: everything)."""

    name: str
    role: str
    digest: bytes
    until: int | None
    reach: SegmentReach | None = None


class TokenThrottled(Exception):
    """Too many wrong tokens came from this address."""


def digest_of(token: str) -> bytes:
    """Return the hash by which a token is compared; ``sha256:…`` is one already."""
    if re.fullmatch("sha256:[0-9a-fA-F]{64}", token):
        return bytes.fromhex(token[7:])
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def bearer(authorization: str) -> str:
    """Return the token of a header ``Authorization: Bearer …``, empty where there is none."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


class Operators:
    """Those who have a token. ``counted(reason)`` is called for each refusal, with one of :data:`FAILURES`.

    ``local`` is the token of this process's own user (empty: there is none), which allows what an operator's does.
    """

    def __init__(
        self,
        settings: Sequence[OperatorSettings],
        *,
        local: str = "",
        clock: Callable[[], int] = wall_clock,
        counted: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._known = [
            Operator(
                one.name, one.role, digest_of(one.token.get_secret_value()), one.until, SegmentReach.of(one.owners, one.teams)
            )
            for one in settings
        ]
        self._local = Operator("local", "operate", digest_of(local), None) if local else None
        self._known += [self._local] if self._local else []
        self._clock = clock
        self.counted = counted
        self._failures = Clients(_RATE, _AT_ONCE)

    def __bool__(self) -> bool:
        return bool(self._known)

    @property
    def named(self) -> bool:
        """Whether anybody has a token but this process's own user."""
        return any(one is not self._local for one in self._known)

    def __iter__(self) -> Iterator[Operator]:
        return iter(self._known)

    def once(self, name: str) -> str:
        """Return a token for reading that was drawn now, and is known as long as this process runs."""
        token = secrets.token_hex(24)
        self._known.append(Operator(name, "read", digest_of(token), None))
        return token

    def reach(self, name: str) -> SegmentReach | None:
        """Return what somebody sees whom a proxy has let in: those of that name who are limited are so there, too."""
        return next((one.reach for one in self._known if one.name == name), None)

    def valid(self, operator: Operator) -> bool:
        """Whether the token has not expired."""
        return operator.until is None or self._clock() < operator.until

    def of(self, token: str, client: str, also: Sequence[Operator] = ()) -> Operator | None:
        """Return whose token it is, None for nobody's; raise :class:`TokenThrottled` where an address has tried too often.

        ``client`` is the address that asks; ``also`` are tokens that are known for this purpose only.
        """
        if not token:
            return None
        now = self._clock()
        if not self._failures.left(client, now):
            self.counted("throttled")
            raise TokenThrottled
        given, found = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest(), None
        for one in (*self._known, *also):  # all of them, so that the time says nothing
            if hmac.compare_digest(given, one.digest):
                found = one
        if found is not None and self.valid(found):
            return found
        self._failures.take(client, now)
        reason = "wrong_token" if found is None else "expired"
        self.counted(reason)
        if found is None:
            log.warning("access: a wrong token from %s", client or "an unknown address")
        else:
            log.warning("access: the token of %s has expired; it came from %s", found.name, client or "an unknown address")
        return None
