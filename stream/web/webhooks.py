"""What is a sender of webhooks told, and when? ``POST /webhooks/{source}``.

2xx only after the broker has acknowledged all that came of the request. Everything is bounded before it is looked at: bytes,
time, requests under way; who comes beyond a bound is asked to come back (429, 503 with ``Retry-After``), which every
sender does.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import orjson
import xxhash
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from models.events.catalogue import TOPIC_OF
from models.events.dead_letter import dead_letter
from models.events.decode import Known
from models.events.refused import Refused
from models.fold import Record
from stream.intake import Outgoing, Unavailable
from stream.options import wall_clock
from stream.quiet import RateLimit
from stream.seen import Seen
from stream.settings import Settings, SettingsError
from stream.sources.crm import (
    BODY_LIMIT,
    Adapter,
    Doubt,
    SourceProblem,
    SourceSettings,
    Verdict,
    adapter_of,
    parse_settings,
    receive,
)
from stream.sources.crm import Request as Webhook

log = logging.getLogger(__name__)
log.addFilter(RateLimit())  # strangers and an absent broker must not fill the log

#: Requests under way at a time, and bytes of their bodies.
AT_ONCE = 256
BYTES_AT_ONCE = 64 << 20
#: How long a body may take to arrive, seconds.
BODY_TIME = 10.0
#: What a dead letter of the door has in place of a topic: these can be read again by the adapter.
LETTERS = "webhooks."
_HEADERS_KEPT = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "idempotency-key")

router = APIRouter()


class Writes(Protocol):
    """What the door needs of the intake."""

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Write all the records, or raise ``Unavailable``."""


@dataclass
class Source:
    """One source: its adapter and settings, and how many requests it may still send."""

    name: str
    adapter: Adapter
    settings: SourceSettings
    tokens: float = 0.0
    refilled: int = 0

    def admit(self, now: int) -> bool:
        """Whether a request may come in under the source's rate: a second's worth may come at once."""
        rate = self.settings.rate
        if not rate:
            return True
        burst = max(rate, 1.0)
        since = now - self.refilled if self.refilled else 1000
        self.tokens = min(burst, self.tokens + max(0, since) / 1000 * rate)
        self.refilled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def sources_of(settings: Settings) -> dict[str, Source]:
    """Return the sources that are set; raise :class:`SettingsError` with all that is wrong with them."""
    found: dict[str, Source] = {}
    problems: list[str] = []
    for name, tree in settings.sources.items():
        try:
            adapter = adapter_of(name, tree)
            found[name] = Source(name, adapter, parse_settings(name, {"timezone": settings.business.timezone, **tree}))
        except SourceProblem as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return found


@dataclass
class Door:
    """All that the route needs. ``counted(source, outcome, events)`` is called once a request."""

    sources: Mapping[str, Source]
    intake: Writes
    seen: Seen
    currencies: Known = None
    public_url: str = ""
    clock: Callable[[], int] = wall_clock
    counted: Callable[[str, str, int], None] = lambda source, outcome, events: None
    under_way: int = field(default=0, init=False)
    held: int = field(default=0, init=False)

    async def take(self, source: Source, request: Webhook) -> tuple[Verdict, int]:
        """Judge a request and write what comes of it; return the verdict and how many events were new.

        Raise ``Unavailable`` where the broker does not acknowledge.
        """
        verdict = receive(source.adapter, request, source.settings, self.currencies)
        if not verdict.accepted:
            return verdict, 0
        known = await self.seen.known([event["id"] for event in verdict.events]) if verdict.events else set()
        fresh = [event for event in verdict.events if event["id"] not in known]
        records = [Outgoing(TOPIC_OF[event["type"]], event["subject"].encode(), orjson.dumps(event)) for event in fresh]
        if verdict.unusable:
            records.append(letter(source, request, verdict, self.clock()))
        await self.intake.put(records)
        if fresh:
            await self.seen.remember([event["id"] for event in fresh])
        return verdict, len(fresh)


def letter(source: Source, request: Webhook, verdict: Verdict, now: int) -> Outgoing:
    """Return the dead letter of a request of which something could not be used: all of it, without its credentials.

    The same request always has the same id, however often it is sent.
    """
    body = source.adapter.scrub(request.body)
    headers = [("method", request.method.encode())]
    hidden = set(source.adapter.credentials)
    for name in _HEADERS_KEPT:
        if name in request.headers and name not in hidden:
            headers.append((name, request.headers[name].encode("utf-8", "replace")))
    first = verdict.unusable[0]
    more = f" (and {len(verdict.unusable) - 1} more)" if len(verdict.unusable) > 1 else ""
    offset = xxhash.xxh3_64_intdigest(body) >> 1
    record = Record(f"{LETTERS}{source.name}", 0, offset, request.received_at, None, body, headers)
    found = dead_letter(record, Refused(first.reason, first.detail + more), now)
    return Outgoing("dead-letters", found.id.encode(), found.encode())


class _TooLarge(Exception):
    """The body is beyond the limit."""


class _Busy(Exception):
    """Too much is under way."""


@router.post("/webhooks/{source}", summary="What a CRM tells: verified, mapped, written, then acknowledged")
async def webhook(source: str, request: Request) -> Response:
    """Answer 200 once the broker has what came of the request (also where it was of no use), 401 where it is not authentic.

    404: no such source. 408, 413: too slow, too large. 415: an unknown encoding. 429, 503: later, see ``Retry-After``.
    """
    door = cast("Door | None", getattr(request.app.state, "door", None))
    known = door.sources.get(source) if door is not None else None
    if door is None or known is None:
        return _answer(404, {"error": "no such source"})
    if door.under_way >= AT_ONCE:
        return _count(door, known, "busy", _later(503, "busy", 2))
    now = door.clock()
    if not known.settings.admits(request.client.host if request.client else ""):
        return _count(door, known, "wrong_network", _answer(401, {"error": "not authentic"}))
    if not known.admit(now):
        return _count(door, known, "throttled", _later(429, "too many requests", 1))
    door.under_way += 1
    try:
        return await _take(door, known, request, now)
    finally:
        door.under_way -= 1


async def _take(door: Door, source: Source, request: Request, now: int) -> Response:
    held = [0]
    try:
        try:
            async with asyncio.timeout(BODY_TIME):
                body = await _body(door, request, held)
        except TimeoutError:
            return _count(door, source, "too_slow", _answer(408, {"error": "the body took too long"}, {"connection": "close"}))
        except _TooLarge:
            text = {"error": f"the body is too large; accepted are {BODY_LIMIT} bytes"}
            return _count(door, source, "too_large", _answer(413, text, {"connection": "close"}))
        except _Busy:
            return _count(door, source, "busy", _later(503, "busy", 2))
        except ClientDisconnect:
            return _count(door, source, "gone", _answer(400, {"error": "cut off"}))
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            try:
                body = _inflated(body)
            except _TooLarge:
                return _count(door, source, "too_large", _answer(413, {"error": "the body is too large when unpacked"}))
            except zlib.error:
                return _count(door, source, "bad_encoding", _answer(400, {"error": "not gzip"}))
        elif encoding not in ("", "identity"):
            return _count(door, source, "bad_encoding", _answer(415, {"error": "accepted encodings: gzip, deflate"}))
        webhook_ = Webhook(request.method, _address(door, source, request), _headers(request), body, now)
        try:
            verdict, fresh = await door.take(source, webhook_)
        except Unavailable as error:
            log.warning("webhook of %s not taken: %s", source.name, error)
            return _count(door, source, "unavailable", _later(503, "the broker is away", 5))
        return _said(door, source, verdict, fresh)
    finally:
        door.held -= held[0]


def _said(door: Door, source: Source, verdict: Verdict, fresh: int) -> Response:
    if not verdict.accepted:
        if verdict.reason in (Doubt.STALE, Doubt.FUTURE):
            log.warning("webhook of %s: %s (is this machine's clock right?)", source.name, verdict.detail)
        response = _answer(verdict.status, {"error": "not authentic"})
        return _count(door, source, verdict.reason or "refused", response)
    outcome = "unusable" if verdict.unusable else "ignored" if not verdict.events else "accepted" if fresh else "duplicate"
    if verdict.body:
        response = Response(verdict.body, verdict.status, media_type=verdict.content_type)
    else:
        response = _answer(verdict.status, {"accepted": len(verdict.events), "unusable": len(verdict.unusable)})
    return _count(door, source, outcome, response, fresh)


async def _body(door: Door, request: Request, held: list[int]) -> bytes:
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced[:12]) > BODY_LIMIT:
        raise _TooLarge
    chunks: list[bytes] = []
    async for chunk in request.stream():
        held[0] += len(chunk)
        door.held += len(chunk)
        if held[0] > BODY_LIMIT:
            raise _TooLarge
        if door.held > BYTES_AT_ONCE:
            raise _Busy
        chunks.append(chunk)
    return b"".join(chunks)


def _inflated(body: bytes) -> bytes:
    """Return the unpacked body, never more of it than the limit."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    found = unpack.decompress(body, BODY_LIMIT + 1)
    if len(found) > BODY_LIMIT or unpack.unconsumed_tail:
        raise _TooLarge
    if not unpack.eof:
        raise zlib.error("cut off")
    return found


def _address(door: Door, source: Source, request: Request) -> str:
    # The path as it arrived: what was percent-encoded is part of what was signed. The Host header is nobody's word.
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string") or b""
    rest = (path.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
    local = f"http://{request.scope.get('server', ('localhost',))[0]}"
    return source.settings.address(local + rest, door.public_url)


def _headers(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _count(door: Door, source: Source, outcome: str, response: Response, events: int = 0) -> Response:
    door.counted(source.name, outcome, events)
    return response


def _answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def _later(status: int, why: str, seconds: int) -> Response:
    return _answer(status, {"error": why}, {"retry-after": str(seconds)})
