"""How do people act from a message: a signed link in a mail, a button in Slack?

A link shows a page and acts only when its button is pressed: what previews links and scans mails only looks. Slack's buttons
come as signed requests (v0, five minutes) that carry the same tokens. Either way the token says what may be done, and the fold
that dispatches alerts lets it be done once.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Request, Response

from alert_rules.tell.signed_links import SILENCE, LinkError, Links, SignedLink
from alert_rules.words.language import SOURCE, Language, languages
from models.calendar import iso
from stream.engine.options import wall_clock
from stream.ingest.body import Bodies, NotRead
from stream.web.plain import plain

log = logging.getLogger(__name__)

_SLACK_BODY = 1_048_576  # the request holds the whole message
#: Used links kept in mind, before those that have expired are forgotten.
_TAKEN = 10_000
_SLACK_AT_ONCE, _SLACK_BYTES = 16, 4 << 20
_V0 = re.compile("v0=[0-9a-f]{64}")
_SLACK_AGE = 300  # seconds
#: Only our own style sheet, and a form that leads back here.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
_USED = "this link was used before: it works once"


class Acting:
    """The routes of links and buttons. ``put`` writes an act and returns once the broker has it, or raises ``OSError``.

    ``used``, ``stands`` and ``title`` answer for a link's id, and for an incident, where this process knows, else None.
    ``slack`` are Slack's signing secrets. ``clock`` is epoch milliseconds. ``first`` says, of a link and one press of it that
    is in the log, who pressed it first where that was somebody else, and None where it was this one; it raises ``OSError``
    where the log does not tell. Without it nobody else writes acts. ``language`` is that of a
    receiver; of nobody's, where a link cannot be read.
    """

    def __init__(
        self,
        links: Links,
        put: Callable[[bytes, bytes], Awaitable[None]],
        *,
        slack: Sequence[bytes] = (),
        used: Callable[[str], bool | None] = lambda link: None,
        stands: Callable[[str], bool | None] = lambda incident: None,
        title: Callable[[str], str | None] = lambda incident: None,
        clock: Callable[[], int] = wall_clock,
        first: Callable[[SignedLink, str], Awaitable[str | None]] | None = None,
        language: Callable[[str], Language] = lambda receiver: languages()[SOURCE],
    ) -> None:
        self._links = links
        self._first = first
        self._language = language
        self._put = put
        self._secrets = tuple(slack)
        self._used = used
        self._stands = stands
        self._title = title
        self._clock = clock
        self._taken: dict[str, int] = {}  # links pressed here, whose acts the fold may not know yet: until when they are valid
        self._bodies = Bodies(_SLACK_BODY, at_once=_SLACK_AT_ONCE, bytes_at_once=_SLACK_BYTES)

    def router(self) -> APIRouter:
        """Return the routes, to be included in the application."""
        router = APIRouter()

        @router.get("/act/{token}", include_in_schema=False)
        async def show(token: str) -> Response:
            """Show what the link would do, and a button that does it. Nothing happens by looking."""
            try:
                link = self._usable(token)
            except LinkError as error:
                return _refused(error, self._language(""))
            words = self._language(link.receiver)
            todo, meaning = (words.say(f"{link.act}.{part}", of="acting") for part in ("todo", "meaning"))
            return _page(200, words.say("ask", of="acting", todo=todo), f"{self._about(link)} {meaning}", words, button=todo)

        @router.post("/act/{token}", include_in_schema=False)
        async def act(token: str) -> Response:
            """Do what the link is for, once."""
            words = self._language("")
            try:
                link = self._usable(token)
                words = self._language(link.receiver)
                sure = await self._do(link, link.receiver, "link")
            except LinkError as error:
                return _refused(error, words)
            except OSError:
                title, text = (words.say(key, of="acting") for key in ("not_done", "broker"))
                return _page(503, title, text, words, button=words.say(f"{link.act}.todo", of="acting"))
            title, then = (f"{link.act}.done", f"{link.act}.meaning") if sure else ("sent", "perhaps")
            text = f"{self._about(link)} {words.say(then, of='acting')}"
            return _page(200 if sure else 202, words.say(title, of="acting"), text, words)

        @router.post("/slack/interactivity", summary="Buttons pressed in Slack")
        async def slack(request: Request) -> Response:
            """Take what Slack sends when a button is pressed: signed (v0), at most five minutes old."""
            return await self._slack(request)

        return router

    def _usable(self, token: str) -> SignedLink:
        link = self._links.read(token, self._clock())
        if link.id in self._taken or self._used(link.id):
            raise LinkError(_USED, expired=True)
        if self._stands(link.incident) is False:
            raise LinkError("this alert has ended: there is nothing left to do", expired=True)
        return link

    def _about(self, link: SignedLink) -> str:
        about = ", ".join(link.matchers) if link.act == "silence" and link.matchers else link.incident
        words = self._language(link.receiver)
        title = words.sentence(self._title(link.incident) or "") or words.say("alert")
        return words.say("about", of="acting", title=title, about=about, who=link.receiver)

    async def _do(self, link: SignedLink, by: str, via: str) -> bool:
        """Do it; return whether it is sure that this was the first press. Raise :class:`LinkError` where it was not."""
        now, press = self._clock(), secrets.token_hex(8)
        if len(self._taken) > _TAKEN:
            self._taken = {id_: until for id_, until in self._taken.items() if until > now}
        self._taken[link.id] = link.expires
        try:
            await self._put_act(link, by, via, now, press)
        except BaseException:
            self._taken.pop(link.id, None)  # nothing was done: it may be pressed again
            raise
        if self._first is None:
            return True
        try:
            other = await self._first(link, press)
        except OSError as error:
            log.warning("whether a link was pressed at another process before is not known: %s", error)
            return False
        if other is not None:
            raise LinkError(_USED, expired=True)
        return True

    async def _put_act(self, link: SignedLink, by: str, via: str, now: int, press: str) -> None:
        made: dict[str, Any] = {"type": "act", "at": iso(now), "by": by, "via": via, "act": link.act, "incident": link.incident}
        made |= {"link": link.id, "link_expires": link.expires, "press": press}
        if link.act == "silence":
            made["silence"] = {
                "id": link.id[:12],
                "matchers": list(link.matchers),
                "starts": now,
                "ends": now + SILENCE,
                "comment": f"for an hour, by {via}",
            }
        await self._put(link.incident.encode(), orjson.dumps(made))

    # ── Slack ──

    async def _slack(self, request: Request) -> Response:
        stamp, given = request.headers.get("x-slack-request-timestamp", ""), request.headers.get("x-slack-signature", "")
        if not self._secrets or not self._timely(stamp) or _V0.fullmatch(given) is None:
            return Response(status_code=401, headers={"connection": "close"})
        try:
            with await self._bodies.read(request.headers, request.receive) as body:
                if not self._authentic(stamp, given, body.content):
                    return Response(status_code=401)
                return await self._pressed(body.content)
        except NotRead as error:
            headers = {"connection": "close"} if error.close else {}
            return Response(status_code=error.status, headers=headers)

    async def _pressed(self, body: bytes) -> Response:
        try:
            form = parse_qs(body.decode(), max_num_fields=10)
            if "ssl_check" in form:
                return Response(status_code=200)
            payload = orjson.loads(form["payload"][0])
            pressed = payload["actions"] if payload["type"] == "block_actions" else []
            user = payload.get("user") or {}
            by = f"slack:{user.get('username') or user.get('name') or user.get('id') or '?'}"[:200]
            tokens = [
                str(one["value"]) for one in pressed if str(one.get("action_id", "")).startswith("vigie_") and "value" in one
            ]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return Response(status_code=400)
        for token in tokens:
            try:
                await self._do(self._usable(token), by, "slack")
            except LinkError as error:
                log.info("slack: a button of %s was refused: %s", by, error)
                return Response(status_code=410 if error.expired else 403)  # Slack shows the user that it failed
            except OSError:
                return Response(status_code=503)
        return Response(status_code=200)

    def _timely(self, stamp: str) -> bool:
        if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
            return False
        return abs(self._clock() // 1000 - int(stamp)) <= _SLACK_AGE

    def _authentic(self, stamp: str, given: str, body: bytes) -> bool:
        found = False
        for secret in self._secrets:  # all of them, so that the time says nothing
            expected = "v0=" + hmac.new(secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
            found |= hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
        return found


def _refused(error: LinkError, words: Language) -> Response:
    why = words.sentence(str(error))
    return _page(410 if error.expired else 403, words.say("nothing", of="acting"), f"{why[0].upper()}{why[1:]}.", words)


def _page(status: int, title: str, text: str, words: Language, *, button: str = "") -> Response:
    """Return a page; ``button`` posts to the very address it was got from."""
    form = f'<form method="post"><button type="submit">{escape(button)}</button></form>' if button else ""
    body = f'<p>{escape(text)}</p>{form}<p><a href="../">Vigie</a></p>'
    return plain(words, title, body, up="../", status=status, headers=_HEADERS)
