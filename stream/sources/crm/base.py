"""What is a webhook request, and what can become of it?

An adapter has two parts, both pure: ``verify`` says whether a request is authentic, ``read`` what it tells. The verdict:

===================  ======  =============================================================================
authentic, usable    2xx     its events
authentic, not       2xx     a dead letter with the request, as senders ban endpoints that answer errors
not authentic        401     nothing: who sent it, and whether anything in it is true, is unknown
===================  ======  =============================================================================

::

    Refusal
    ├── NotAuthentic  the sender did not prove who it is; ``reason`` is one of :class:`Doubt`
    └── Unusable      authentic, but it cannot be told what it says; ``reason`` is one of ``models.events.refused.Reason``
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from models.events.catalogue import TOPIC_OF
from models.events.decode import Known, decode
from models.events.refused import Reason, Refused
from stream.sources.crm.settings import SourceSettings

#: The largest body that is looked at, in bytes.
BODY_LIMIT = 1 << 20
#: The most events that one request may tell of: HubSpot sends up to 100, Segment's batches are some hundreds.
EVENTS_LIMIT = 5_000


class Doubt(StrEnum):
    """Why a request is not taken for authentic. A metric's label: never rename one."""

    NOT_CONFIGURED = "not_configured"
    MISSING_SIGNATURE = "missing_signature"
    BAD_SIGNATURE = "bad_signature"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    STALE = "stale"
    FUTURE = "future"
    MISSING_CREDENTIALS = "missing_credentials"
    BAD_CREDENTIALS = "bad_credentials"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_ORGANIZATION = "wrong_organization"
    HOSTILE_XML = "hostile_xml"
    BAD_XML = "bad_xml"


#: What the headers alone tell, whatever the body is.
_BY_HEADERS = frozenset(
    {
        Doubt.NOT_CONFIGURED,
        Doubt.MISSING_SIGNATURE,
        Doubt.MISSING_TIMESTAMP,
        Doubt.BAD_TIMESTAMP,
        Doubt.MISSING_CREDENTIALS,
        Doubt.BAD_CREDENTIALS,
        Doubt.UNKNOWN_VERSION,
    }
)


class Refusal(ValueError):
    """Base of the two ways in which a request is turned down. ``detail`` holds no secret and no signature."""


class NotAuthentic(Refusal):
    """The sender did not prove who it is. ``age`` (ms): how old a request with a right signature was, where it is that."""

    def __init__(self, reason: Doubt, detail: str, age: int | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.age = age


class Unusable(Refusal):
    """Authentic, but what it says cannot be told."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Request(NamedTuple):
    """One HTTP request as it arrived.

    ``url`` is the address that the sender called (scheme, host, path, query): from the settings, never from the ``Host``
    header. ``headers`` have lower-case names; ``received_at`` is in epoch milliseconds.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int


class Ignored(NamedTuple):
    """A part of a request that Vigie has no use for, and why: not an error of anybody."""

    why: str


class Erase(NamedTuple):
    """Somebody asks to be erased: a kind of :data:`models.privacy.subject.KINDS`, and the id as events have it."""

    kind: str
    id: str


#: What ``read`` yields: an event (CloudEvents, structured), that somebody is to be erased, something without use, or unusable.
Item = dict[str, Any] | Erase | Ignored | Unusable


def _nothing(accepted: bool) -> tuple[str, bytes]:
    return "", b""


def _same(body: bytes) -> bytes:
    return body


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one kind of sender is understood.

    ``verify`` raises :class:`NotAuthentic`, and returns how old the request is by its signed time (ms), where it has one;
    ``early`` is asked before the body has come (default: ``verify``, of which what headers alone tell is taken);
    ``read`` yields items, and may raise :class:`Unusable` for the whole request, or :class:`NotAuthentic` where a part of the
    proof is too dear to be looked at before it is known who sends.
    ``answer`` gives the content type and body that the sender wants to see; ``scrub`` removes credentials from a body that is
    kept; ``credentials`` are the headers that hold any. ``settings`` is what ``sources.<name>`` takes, and what the functions
    are given; ``signs_address`` says that a signature covers the address that was called, which ``web.public_url`` tells.
    """

    name: str
    verify: Callable[[Request, Any], int | None]
    read: Callable[[Request, Any], Iterable[Item]]
    needs: tuple[str, ...]
    credentials: tuple[str, ...] = ("authorization",)
    answer: Callable[[bool], tuple[str, bytes]] = _nothing
    scrub: Callable[[bytes], bytes] = _same
    early: Callable[[Request, Any], object] | None = None
    settings: type[SourceSettings] = SourceSettings
    signs_address: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request. ``reason`` is None where all of it is used; ``age`` (ms) is that of its signed time."""

    accepted: bool
    status: int
    reason: str | None = None
    detail: str = ""
    events: tuple[dict[str, Any], ...] = ()
    unusable: tuple[Unusable, ...] = ()
    ignored: tuple[str, ...] = ()
    erasures: tuple[Erase, ...] = ()
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    age: int | None = None


def doubted(adapter: Adapter, request: Request, settings: SourceSettings) -> Verdict | None:
    """Return the refusal of a request whose headers alone show that it is not authentic, before its body is waited for."""
    try:
        (adapter.early or adapter.verify)(request, settings)
    except NotAuthentic as doubt:
        if doubt.reason in _BY_HEADERS:
            return _refused(adapter, doubt)
    return None


def _refused(adapter: Adapter, doubt: NotAuthentic) -> Verdict:
    kind, body = adapter.answer(False)
    return Verdict(False, 401, doubt.reason.value, doubt.detail, content_type=kind, body=body, age=doubt.age)


def receive(adapter: Adapter, request: Request, settings: SourceSettings, currencies: Known = None) -> Verdict:
    """Return the verdict on a request; never raises, whatever the request holds.

    ``currencies`` are those with a known rate; None accepts every code of the right form.
    """
    if len(request.body) > BODY_LIMIT:
        detail = f"body: found {len(request.body)} bytes, accepted are {BODY_LIMIT}"
        return Verdict(False, 413, Reason.TOO_LARGE.value, detail)
    try:
        age = adapter.verify(request, settings)
        events, unusable, ignored, erasures = _read(adapter, request, settings, currencies)
    except NotAuthentic as doubt:
        return _refused(adapter, doubt)
    reason: str | None = None
    detail = ""
    if unusable:
        reason, detail = unusable[0].reason.value, unusable[0].detail
    elif not events and not erasures:
        reason, detail = "ignored", ignored[0] if ignored else "nothing in it"
    kind, body = adapter.answer(True)
    return Verdict(True, 200, reason, detail, tuple(events), tuple(unusable), tuple(ignored), tuple(erasures), kind, body, age)


def read(
    adapter: Adapter, request: Request, settings: SourceSettings, currencies: Known = None
) -> tuple[list[dict[str, Any]], list[Unusable], list[str]]:
    """Return what an authentic request tells: events of the contract, what is unusable, what is ignored."""
    try:
        return _read(adapter, request, settings, currencies)[:3]
    except NotAuthentic as doubt:  # it was taken for authentic once
        return [], [Unusable(Reason.INVALID_DATA, doubt.detail)], []


def _read(
    adapter: Adapter, request: Request, settings: SourceSettings, currencies: Known
) -> tuple[list[dict[str, Any]], list[Unusable], list[str], list[Erase]]:
    erasures: list[Erase] = []
    events: list[dict[str, Any]] = []
    unusable: list[Unusable] = []
    ignored: list[str] = []
    try:
        for count, item in enumerate(adapter.read(request, settings)):
            if count >= EVENTS_LIMIT:
                raise Unusable(Reason.TOO_LARGE, f"events: found more than {EVENTS_LIMIT} in one request")
            if isinstance(item, Unusable):
                unusable.append(item)
            elif isinstance(item, Erase):
                erasures.append(item)
            elif isinstance(item, Ignored):
                ignored.append(item.why)
            else:
                wrong = checked(item, request.received_at, currencies)
                if wrong is None:
                    events.append(item)
                else:
                    unusable.append(wrong)
    except Unusable as error:
        unusable.append(error)
    except Refused as error:
        unusable.append(Unusable(error.reason, error.detail))
    return events, unusable, ignored, erasures


def checked(event: dict[str, Any], arrival: int, currencies: Known) -> Unusable | None:
    """Return None for an event of the contract, else what is wrong with it: sooner said here than by the fold."""
    kind = event.get("type")
    topic = TOPIC_OF.get(kind) if isinstance(kind, str) else None
    if topic is None or topic.endswith("-merges"):
        return Unusable(Reason.UNKNOWN_TYPE, f"type: found {kind!r:.80}; accepted are the types of the contract")
    try:
        decode(orjson.dumps(event), (), topic=topic, arrival=arrival, currencies=currencies)
    except Refused as error:
        return Unusable(error.reason, error.detail)
    except (TypeError, ValueError) as error:  # what JSON cannot hold: lone surrogates, integers beyond 64 bits
        return Unusable(Reason.INVALID_DATA, f"{kind}: {error}")
    return None
