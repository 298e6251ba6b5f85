"""Who may read? Whoever shows a token, a session begun with one, or whom a trusted proxy names.

On an address that only this machine can reach, who calls it by a name of this machine reads without: then the header
``Host`` is the proof that the asking page is no stranger's (DNS rebinding). What has a proof of its own passes: webhooks, the
tracker, signed links, Slack's buttons. ``/healthz`` says nothing, ``/readyz`` says yes or no to those who may not read.
"""

import base64
import functools
import hashlib
import hmac
import logging
import re
import secrets
import socket
from collections.abc import Callable
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stream.config.networks import address_of, client_of, within
from stream.config.web_settings import WebSettings
from stream.engine.client_logs import RateLimit
from stream.engine.options import wall_clock
from stream.ingest.body import Bodies, NotRead
from stream.web.operators import Operator, Operators, TokenThrottled, basic, bearer, digest_of
from stream.web.plain import language_of, plain
from stream.web.problems import problem
from stream.web.reach import BELOW, ROUTES, SegmentReach

log = logging.getLogger(__name__)
log.addFilter(RateLimit())

#: What has a proof of its own, or tells nothing.
_FREE = ("/healthz", "/collect", "/vigie.js", "/slack/interactivity", "/favicon.ico")
_FREE_BELOW = ("/webhooks/", "/act/", "/static/", "/runbooks/")
#: What proxies add: who comes through one does not come from this machine.
_PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
#: What tools read that know names and passwords only: there a token may be the password of any name.
_BASIC_BELOW = ("/odata/", "/api/export")
_HOST = re.compile(r"(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?")
COOKIE = "vigie"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
#: A view's address, as it leads back from the form: what the page writes, and nothing that leads elsewhere.
_VIEW = re.compile(r"[\w.~%&=+:,-]{1,1000}", re.ASCII)


class AccessReader(NamedTuple):
    """Who may read: their name ("" where all may), and what (None: everything).

    ``session`` is whose session it is, where that is the proof: the page may act by it (``stream/web/operate.py``).
    """

    name: str
    reach: SegmentReach | None = None
    session: Operator | None = None


class Access:
    """Judges requests by the settings. ``clock`` is epoch milliseconds."""

    def __init__(self, settings: WebSettings, operators: Operators, *, clock: Callable[[], int] = wall_clock) -> None:
        self.settings = settings
        self.operators = operators
        self.clock = clock
        # With keys for links, which all processes have, a session is known to each of them, and over a restart.
        found = [key.key.get_secret_value().encode() for key in settings.links.keys]
        self._keys = [hmac.digest(key, b"vigie session", "sha256") for key in found] or [secrets.token_bytes(32)]
        public = urlsplit(settings.public_url).hostname
        self._names = {"localhost", socket.gethostname().lower(), *([public] if public else []), *settings.hosts}
        token = settings.metrics_token
        self._metrics = [] if token is None else [Operator("metrics", "metrics", digest_of(token.get_secret_value()), None)]

    def named(self, host: str) -> bool:
        """Whether a ``Host`` is one of ours. An address is: a page of strangers has a name."""
        name = _bare(host)
        if address_of(name) is not None or name in self._names:
            return True
        return any(one.startswith("*.") and name.endswith(one[1:]) for one in self.settings.hosts)

    def open(self, headers: Headers) -> bool:
        """Whether anybody may read: by the settings, or because only this machine can ask, and does."""
        if self.settings.anonymous:
            return True
        if not self.settings.local or any(name in headers for name in _PROXIED):
            return False
        name = _bare(headers.get("host", ""))
        address = address_of(name)
        return name == "localhost" or (address is not None and address.is_loopback)

    def client(self, scope: Scope, headers: Headers) -> str:
        """Return who asks, as far as our proxies say."""
        peer = scope.get("client")
        return client_of(peer[0] if peer else "", headers.get("x-forwarded-for", ""), self.settings.trusted)

    def base(self, scope: Scope, headers: Headers) -> str:
        """Return under which address we are asked: that of the settings, else a ``Host`` that is ours, else where we listen.

        A name that is not ours is never given back, whoever asks by it.
        """
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        host = headers.get("host", "").strip().lower()
        if self.named(host) and _HOST.fullmatch(host):
            return f"http://{host}"
        name, port = scope.get("server") or ("localhost", None)
        return f"http://{f'[{name}]' if ':' in name else name}" + (f":{port}" if port else "")

    def reader(self, scope: Scope, headers: Headers) -> AccessReader | None:
        """Return who has shown that they may read, None for nobody; raise :class:`TokenThrottled`."""
        # The proxy first: it may pass on an Authorization that is not for us.
        user = self._introduced(scope, headers)
        known = AccessReader(user, self.operators.reach(user)) if user else self._session(headers.get("cookie", ""))
        if known:
            return known
        metrics = self._metrics if scope["path"] == "/metrics" else ()
        given = headers.get("authorization", "")
        token = bearer(given) or (basic(given) if scope["path"].startswith(_BASIC_BELOW) else "")
        operator = self.operators.of(token, self.client(scope, headers), metrics)
        return None if operator is None else AccessReader(operator.name, operator.reach)

    def _introduced(self, scope: Scope, headers: Headers) -> str | None:
        """Return the user whom a trusted proxy names, in exactly one header."""
        peer = scope.get("client")
        if not self.settings.user_header or not within(address_of(peer[0] if peer else ""), self.settings.trusted):
            return None
        users = headers.getlist(self.settings.user_header)
        return users[0].strip()[:200] or None if len(users) == 1 else None

    def begin(self, operator: Operator) -> tuple[str, int]:
        """Return a session's cookie and its age (s), which ends with the token at the latest."""
        now = self.clock()
        until = min(now + self.settings.session, operator.until or now + self.settings.session)
        text = base64.urlsafe_b64encode(orjson.dumps([operator.name, until])).decode().rstrip("=")
        return f"{text}.{self._signed(self._keys[0], text, operator)}", (until - now) // 1000

    def _session(self, cookies: str) -> AccessReader | None:
        try:
            held = SimpleCookie(cookies[:4096]).get(COOKIE)
            text, _, signature = ("" if held is None else held.value).partition(".")
            name, until = orjson.loads(base64.urlsafe_b64decode(text + "==="))
        except (CookieError, ValueError, TypeError):
            return None
        for operator in self.operators:
            if operator.name == name and self._genuine(signature, text, operator):
                valid = self.clock() < until and self.operators.valid(operator)
                return AccessReader(operator.name, operator.reach, operator) if valid else None
        return None

    def _genuine(self, signature: str, text: str, operator: Operator) -> bool:
        return any(hmac.compare_digest(self._signed(key, text, operator), signature) for key in self._keys)

    def _signed(self, key: bytes, text: str, operator: Operator) -> str:
        return hmac.new(key, operator.digest + text.encode(), hashlib.sha256).hexdigest()


def _bare(host: str) -> str:
    """Return the name or address in a ``Host``, without its port."""
    name = host.strip().lower()
    return name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] or name


class ReadGuard:
    """Lets through who may read; ``scope["state"]["reader"]`` is then their name, "" where all may, None for nobody.

    ``scope["state"]["reach"]`` is what they may see, None for everything: who may see a part comes to those routes only that know
    how to give it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._bodies = Bodies(4_096, at_once=64)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _FREE or scope["path"].startswith(_FREE_BELOW):
            await self._app(scope, receive, send)
            return
        answer = await self._judged(scope, receive)
        await (answer or self._app)(scope, receive, send)

    async def _judged(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the refusal (or the login's answer), None where the request goes on."""
        access, headers = self._access, Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["client"] = access.client(scope, headers)
        state["base"] = access.base(scope, headers)
        try:
            if scope["path"] == "/login" and scope["method"] == "POST":
                return await self._login(scope, headers, receive)
            reader = access.reader(scope, headers)
        except TokenThrottled:
            return _said(429, "too many wrong tokens from this address", {"retry-after": "10"})
        if reader is None and access.open(headers):
            reader = AccessReader("")
        state["reader"] = None if reader is None else reader.name
        state["session"] = None if reader is None else reader.session
        state["reach"] = reach = None if reader is None else reader.reach
        if scope["path"] == "/readyz":
            if reach is not None:
                state["reader"] = None  # what is said of the whole installation is not theirs
            return None
        if (reader is None or not reader.name) and not access.named(
            headers.get("host", "")
        ):  # a page of strangers has no proof with it
            access.operators.counted("wrong_host")
            return _said(421, "this instance is not called by that name (accepted: web.public_url, web.hosts, addresses)")
        if reader is not None:
            if reach is None or scope["path"] in ROUTES or scope["path"].startswith(BELOW):
                return None
            return _said(403, "this is about everybody: your token shows the figures of its owners and teams")
        access.operators.counted("no_proof")
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            return _page(401, scope, headers, then=scope.get("query_string", b"").decode("latin-1"))
        how = 'Basic realm="Vigie", charset="UTF-8"' if scope["path"].startswith(_BASIC_BELOW) else "Bearer"
        return _said(401, "who may read has a token (accepted: Authorization: Bearer …)", {"www-authenticate": how})

    async def _login(self, scope: Scope, headers: Headers, receive: Receive) -> Response:
        try:
            with await self._bodies.read(headers, receive) as body:
                form = parse_qs(body.content.decode("utf-8", "replace"), max_num_fields=5)
        except (NotRead, ValueError):
            return _said(400, "not a form")
        given, then = (form.get(name, [""])[0].strip() for name in ("token", "then"))
        operator = self._access.operators.of(given, self._access.client(scope, headers))
        if operator is None:
            return _page(401, scope, headers, "wrong", then)
        value, age = self._access.begin(operator)
        secure = "; Secure" if self._access.settings.public_url.startswith("https://") else ""
        cookie = f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"
        view = f"./?{then}" if _VIEW.fullmatch(then) else "./"
        return Response(status_code=303, headers={"location": view, "set-cookie": cookie, "cache-control": "no-store"})


def _said(status: int, text: str, more: dict[str, str] | None = None) -> Response:
    return problem(status, text, headers=more)


def _page(status: int, scope: Scope, headers: Headers, wrong: str = "", then: str = "") -> Response:
    """Return the form for a token; ``then`` is the view to which it leads (what follows the ``?`` of its address)."""
    words = language_of(headers)
    say = functools.partial(words.say, of="plain")
    up = "../" * max(0, scope["path"].count("/") - 1) or "./"
    kept = f'<input type="hidden" name="then" value="{escape(then)}">' if _VIEW.fullmatch(then) else ""
    no = f'<p role="alert">{escape(say(wrong))}</p>' if wrong else ""
    body = (
        f"{no}<p>{escape(say('needed'))}</p>"
        f'<form method="post" action="{up}login">{kept}<label for="token">{escape(say("token"))}</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        f'<button type="submit">{escape(say("read"))}</button></form>'
    )
    return plain(words, "Vigie", body, up=up, status=status, headers=_HEADERS)
