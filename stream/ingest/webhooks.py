"""What is a sender of webhooks told, and when? ``POST /webhooks/{source}``.

2xx only after the broker has acknowledged all that came of the request. What can be refused by the headers alone is refused
before the body is waited for. Bodies are bounded in bytes, time and number, each source by itself; a source's rate counts
authentic requests only, so that no stranger uses it up. Who comes beyond a bound is asked to come back (429, 503 with
``Retry-After``), which every sender does.

There are two ways in to one :func:`answer`: the route, which the OpenAPI document shows, and :class:`Entrance`, which takes the
same requests before the application's routing and middleware, whose cost is that of all the rest together.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import orjson
from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stream.config.networks import sender_of
from stream.engine.client_logs import RateLimit
from stream.ingest.body import NotRead
from stream.ingest.door import Door, DoorSource, SourceThrottled
from stream.ingest.intake import NotAcknowledged
from stream.sources.crm import Doubt, Verdict, doubted
from stream.sources.crm import Request as Webhook

log = logging.getLogger(__name__)
log.addFilter(RateLimit())  # strangers and an absent broker must not fill the log

_PATH = "/webhooks/"

router = APIRouter()


class Answer(NamedTuple):
    """What is answered; ``headers`` beside the length of the body."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class Entrance:
    """Takes webhooks before the application does; whatever else comes goes on to the application."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_PATH):
            name = scope["path"][len(_PATH) :]
            if name in self._door.sources:
                status, body, headers = await answer(self._door, name, scope, receive)
                length = (b"content-length", b"%d" % len(body))
                await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)


@router.post("/webhooks/{source}", summary="What a CRM tells: verified, mapped, written, then acknowledged")
async def webhook(source: str, request: Request) -> Response:
    """Answer 200 once the broker has what came of the request (also where it was of no use), 401 where it is not authentic.

    404: no such source. 408, 413: too slow, too large. 415: an unknown encoding. 429, 503: later, see ``Retry-After``.
    """
    door = cast("Door | None", getattr(request.app.state, "door", None))
    if door is None or source not in door.sources:
        found = _answer(404, {"error": "no such source"})
    else:
        found = await answer(door, source, request.scope, request.receive)
    response = Response(found.body, found.status)
    response.raw_headers += found.headers
    return response


async def answer(door: Door, name: str, scope: Scope, receive: Receive) -> Answer:
    """Take one request to the source ``name``, which there is; never raises for anything that a request may hold."""
    source = door.sources[name]
    peer = scope.get("client")
    headers = _headers(scope)
    if not source.settings.admits(str(sender_of(peer[0] if peer else "", headers.get("x-forwarded-for", ""), door.proxies))):
        return _count(door, source, "wrong_network", _answer(401, {"error": "not authentic"}))
    asked = Webhook(scope["method"], _address(door, source, scope), headers, b"", door.clock())
    doubt = doubted(source.adapter, asked, source.settings)
    if doubt is not None:
        return _said(door, source, doubt, 0)
    try:
        with await source.bodies.read(headers, receive) as body:
            verdict, fresh = await door.take(source, asked._replace(body=body.content))
    except NotRead as error:
        return _count(door, source, error.outcome, _not_read(error))
    except SourceThrottled:
        return _count(door, source, "throttled", _later(429, "too many requests", 1))
    except NotAcknowledged as error:
        log.warning("webhook of %s not taken: %s", source.name, error)
        return _count(door, source, "unavailable", _later(503, "the broker is away", 5))
    return _said(door, source, verdict, fresh)


def _said(door: Door, source: DoorSource, verdict: Verdict, fresh: int) -> Answer:
    if not verdict.accepted:
        if verdict.reason in (Doubt.STALE, Doubt.FUTURE):
            log.warning("webhook of %s: %s (is this machine's clock right?)", source.name, verdict.detail)
        return _count(door, source, verdict.reason or "refused", _answer(verdict.status, {"error": "not authentic"}))
    outcome = "unusable" if verdict.unusable else "ignored" if not verdict.events else "accepted" if fresh else "duplicate"
    if verdict.body:
        found = _raw(verdict.status, verdict.body, verdict.content_type.encode())
    else:
        found = _answer(verdict.status, {"accepted": len(verdict.events), "unusable": len(verdict.unusable)})
    return _count(door, source, outcome, found, fresh)


def _address(door: Door, source: DoorSource, scope: Scope) -> str:
    # The path as it arrived: what was percent-encoded is part of what was signed. The Host header is nobody's word.
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string") or b""
    rest = (path.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
    server = scope.get("server") or ("localhost",)
    return source.settings.address(f"http://{server[0]}{rest}", door.public_url)


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        text = value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _count(door: Door, source: DoorSource, outcome: str, found: Answer, events: int = 0) -> Answer:
    door.counted(source.name, outcome, events)
    return found


def _raw(status: int, body: bytes, kind: bytes, *more: tuple[bytes, bytes]) -> Answer:
    standing = ((b"content-type", kind), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
    return Answer(status, body, (*standing, *more))


def _answer(status: int, body: Mapping[str, Any]) -> Answer:
    return _raw(status, orjson.dumps(body), b"application/json")


def _not_read(error: NotRead) -> Answer:
    more = [(b"connection", b"close")] if error.close else []
    if error.retry is not None:
        more.append((b"retry-after", b"%d" % error.retry))
    return _raw(error.status, orjson.dumps({"error": str(error)}), b"application/json", *more)


def _later(status: int, why: str, seconds: int) -> Answer:
    return _raw(status, orjson.dumps({"error": why}), b"application/json", (b"retry-after", b"%d" % seconds))
