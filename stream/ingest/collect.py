"""What is a web page told that sends what its visitor does? ``POST /collect``, and the tracker itself at ``/vigie.js``.

As with webhooks: 202 only after the broker has acknowledged. Other than there, anybody may knock, so whatever a stranger could
fill is bounded: rates by site and by address, the size of bodies, the number of dead letters. No address is kept: it is counted
by a hash whose key is this process's own.
"""

import gzip
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, cast

import orjson
import xxhash
from fastapi import APIRouter, Request, Response

from models.events.dead_letter import dead_letter
from models.events.refused import Refused
from models.fold import Record
from stream.config.networks import Network
from stream.config.tracker_settings import CollectSettings, SiteSettings
from stream.engine.client_logs import RateLimit
from stream.engine.options import wall_clock
from stream.ingest.body import Bodies, NotRead
from stream.ingest.door import Writes
from stream.ingest.event_ids import EventIds
from stream.ingest.intake import Change, NotAcknowledged, Outgoing, outgoing
from stream.ingest.name_budget import NameBudget
from stream.ingest.token_bucket import Bucket, Clients
from stream.sources.tracker import TrackedBody, read

log = logging.getLogger(__name__)
log.addFilter(RateLimit())

#: The largest body, in bytes: browsers send no more than this when a page is left.
BODY_LIMIT = 64 << 10
#: What a dead letter of this door has in place of a topic.
LETTERS = "collect."
#: Dead letters a second and site that strangers can cause, and how many at once.
LETTERS_RATE, LETTERS_AT_ONCE = 1.0, 20.0
_TYPES = ("", "text/plain", "application/json", "application/cloudevents+json")
_AGE = 3_600  # s: how long a browser uses the tracker that it has
_PREFLIGHT_AGE = 7_200  # s: browsers remember no longer

router = APIRouter()


@dataclass
class Site:
    """One site: its settings, what it may still send, and how many dead letters it may still cause."""

    name: str
    settings: SiteSettings
    held: Callable[[str, str], bool] = lambda dimension, name: False
    requests: Bucket = field(init=False)
    letters: Bucket = field(init=False)
    names: NameBudget = field(init=False)

    def __post_init__(self) -> None:
        self.requests = Bucket(self.settings.rate, max(1.0, self.settings.rate))
        self.letters = Bucket(LETTERS_RATE, LETTERS_AT_ONCE)
        self.names = NameBudget(self.settings, self.held)


class Collector:
    """All that the routes need.

    ``proxies`` are ours. ``held(dimension, name)`` says whether the figures have a name already.
    ``counted(site, outcome, events)`` is called once a request, with ``""`` for an unknown site;
    ``withheld(site, names)`` where names are told as ``other``.
    """

    def __init__(
        self,
        settings: CollectSettings,
        intake: Writes,
        seen: EventIds,
        *,
        proxies: Sequence[Network] = (),
        held: Callable[[str, str], bool] = lambda dimension, name: False,
        clock: Callable[[], int] = wall_clock,
        minimise: Change | None = None,
        counted: Callable[[str, str, int], None] = lambda site, outcome, events: None,
        withheld: Callable[[str, int], None] = lambda site, names: None,
    ) -> None:
        self.settings = settings
        self._proxies = proxies
        self.sites = {site.key: Site(name, site, held) for name, site in settings.sites.items()}
        self.bodies = Bodies(BODY_LIMIT)
        self.clock = clock
        self.counted = counted
        self.withheld = withheld
        self._intake = intake
        self._minimise = minimise
        self._seen = seen
        self._clients = Clients(settings.client_rate, max(1.0, 5 * settings.client_rate))

    def client(self, peer: str, forwarded: str) -> str:
        """Return who sends, from the connection's address and what our proxies say."""
        return self.settings.client(peer, forwarded, self._proxies)

    def admits(self, client: str, now: int) -> bool:
        """Whether an address may send one more request at ``now`` (epoch ms)."""
        return self._clients.take(client, now)

    async def take(self, site: Site, body: bytes, now: int) -> tuple[TrackedBody, int]:
        """Read a body and write what comes of it; return what it told, and how many events were new.

        Raise ``Unavailable`` where the broker does not acknowledge.
        """
        told = read(site.name, site.settings, body, now)
        if told.robot and self.settings.bots.headless:
            return told, 0
        known = await self._seen.known([event["id"] for event in told.events]) if told.events else set()
        fresh: dict[str, dict[str, Any]] = {}
        for event in told.events:
            if event["id"] not in known:
                fresh.setdefault(event["id"], event)  # one body may hold the same event twice
        if withheld := sum(site.names.judge(event["data"], now) for event in fresh.values()):
            self.withheld(site.name, withheld)
        records = [outgoing(event, self._minimise) for event in fresh.values()]
        if told.unusable and site.letters.take(now):
            records.append(letter(site.name, body, told, now))
        if records:
            await self._intake.put(records)
        if fresh:
            await self._seen.remember(fresh)
        return told, len(fresh)


def letter(site: str, body: bytes, told: TrackedBody, now: int) -> Outgoing:
    """Return the dead letter of a body of which something could not be used. The same body always has the same id."""
    first = told.unusable[0]
    more = f" (and {len(told.unusable) - 1} more)" if len(told.unusable) > 1 else ""
    record = Record(f"{LETTERS}{site}", 0, xxhash.xxh3_64_intdigest(body) >> 1, now, None, body, [])
    taken = [event["id"] for event in told.events]
    found = dead_letter(record, Refused(first.reason, first.detail + more), now, taken=taken)
    return Outgoing("dead-letters", found.id.encode(), found.encode())


def _collector(request: Request) -> Collector:
    return cast(Collector, request.app.state.collector)


@router.post("/collect", status_code=202, summary="What visitors of a site's pages do, as the tracker sends it")
async def collect(request: Request, site: str = "") -> Response:
    """Answer 202 once the broker has what came of the request.

    204: nothing was kept, and nothing shall be sent again (the visitor does not want to be followed, or is a robot).
    401: no such key. 403: not an origin of this site. 408, 413, 415: too slow, too large, of another kind.
    429, 503: later, see ``Retry-After``.
    """
    door = _collector(request)
    now = door.clock()
    found, origin = door.sites.get(site), request.headers.get("origin", "")
    if found is None:
        return _say(door, "", "unknown_key", "*", 401, "no such site key")
    if not found.settings.allows(origin):
        return _say(door, found.name, "wrong_origin", "*", 403, "not an origin of this site")
    headers = request.headers
    if headers.get("dnt") == "1" or headers.get("sec-gpc") == "1":
        return _say(door, found.name, "opted_out", origin, 204)
    bots = door.settings.bots
    if bots.robot(headers.get("user-agent", "")) or (bots.headless and "headless" in headers.get("sec-ch-ua", "").lower()):
        return _say(door, found.name, "bot", origin, 204)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        return _say(door, found.name, "bad_content_type", origin, 415, "accepted: text/plain, application/json")
    client = door.client(request.client.host if request.client else "", headers.get("x-forwarded-for", ""))
    if not door.admits(client, now) or not found.requests.take(now):
        return _say(door, found.name, "throttled", origin, 429, "too many requests", retry=2)
    try:
        with await door.bodies.read(headers, request.receive) as body:
            return await _taken(door, found, origin, body.content, now)
    except NotRead as error:
        text, close = str(error), error.close
        return _say(door, found.name, error.outcome, origin, error.status, text, retry=error.retry, close=close)


async def _taken(door: Collector, site: Site, origin: str, body: bytes, now: int) -> Response:
    try:
        told, fresh = await door.take(site, body, now)
    except NotAcknowledged as error:
        log.warning("collect: events of %s not taken: %s", site.name, error)
        return _say(door, site.name, "unavailable", origin, 503, "the broker is away", retry=5)
    if told.robot and door.settings.bots.headless:
        return _say(door, site.name, "bot", origin, 204)
    outcome = "unusable" if told.unusable else "accepted" if fresh else "duplicate"
    door.counted(site.name, outcome, fresh)
    return _answer(202, {"accepted": len(told.events), "unusable": len(told.unusable)}, origin)


@router.options("/collect", status_code=204, summary="May a page of this origin send?")
async def preflight(request: Request, site: str = "") -> Response:
    """Answer a browser's question before it sends another type than text/plain."""
    found, origin = _collector(request).sites.get(site), request.headers.get("origin", "")
    if found is None or not found.settings.allows(origin):
        return _answer(403, {"error": "no such site key, or not an origin of this site"}, "")
    more = {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type, content-encoding",
        "access-control-max-age": str(_PREFLIGHT_AGE),
    }
    return _answer(204, None, origin, more)


def _say(
    door: Collector,
    site: str,
    outcome: str,
    origin: str,
    status: int,
    error: str = "",
    *,
    retry: int | None = None,
    close: bool = False,
) -> Response:
    door.counted(site, outcome, 0)
    headers = {} if retry is None else {"retry-after": str(retry)}
    if close:
        headers["connection"] = "close"
    return _answer(status, {"error": error} if error else None, origin, headers)


def _answer(status: int, body: Mapping[str, Any] | None, origin: str, more: Mapping[str, str] | None = None) -> Response:
    headers = {"cache-control": "no-store", "vary": "Origin", "cross-origin-resource-policy": "cross-origin", **(more or {})}
    if origin:  # without credentials, in any case: nothing here needs or sets a cookie
        headers["access-control-allow-origin"] = origin
    return Response(None if body is None else orjson.dumps(body), status, headers, None if body is None else "application/json")


@cache
def _script() -> tuple[bytes, bytes, str]:
    """Return the tracker, plain and packed, and the tag of this version."""
    plain = (files("stream.web") / "static" / "tracker.js").read_bytes()
    return plain, gzip.compress(plain, mtime=0), sha256(plain).hexdigest()[:16]


@router.api_route("/vigie.js", methods=["GET", "HEAD"], include_in_schema=False)
async def script(request: Request) -> Response:
    """The tracker that pages load: 304 where the browser has this version already."""
    plain, packed, tag = _script()
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    # A tag for each form, as they are not the same bytes.
    tag = f'"{tag}-gzip"' if zipped else f'"{tag}"'
    headers = {
        "cache-control": f"public, max-age={_AGE}, stale-while-revalidate=86400",
        "etag": tag,
        "vary": "Accept-Encoding",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    held = [name.strip().removeprefix("W/") for name in request.headers.get("if-none-match", "").split(",")]
    if tag in held or "*" in held:
        return Response(None, 304, headers)
    if zipped:
        headers["content-encoding"] = "gzip"
    return Response(packed if zipped else plain, 200, headers, "text/javascript; charset=utf-8")
