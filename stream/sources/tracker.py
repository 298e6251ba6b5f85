"""What does the tracker in a web page tell? One body of ``POST /collect``, read into events of the contract.

The clock of a visitor's device is not believed: an event is as old as the time between it and the sending, both by that clock,
counted back from when the body arrived. Nothing that names a person goes on: addresses lose query and fragment, e-mail addresses
become hashes or are masked.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from models.calendar import iso
from models.events.refused import Reason
from models.events.scalars import TEXT_LENGTH, has_control, shown
from stream.config.tracker_settings import SiteSettings
from stream.sources.crm.base import Item, Unusable, checked
from stream.sources.crm.body import parse
from stream.sources.crm.values import email_hash, event_id, identifier

#: The tracker holds at most 50 events; others may batch as they like up to here.
EVENTS_LIMIT = 100
#: An event this old (ms) has nobody left who would know a repeat of it: ids are remembered for 72 h.
OLDEST = 72 * 3_600_000
#: A page that was seen for longer (s) was left open.
LONGEST = 86_400.0
PAGE_LENGTH = 1_000

_TYPES = {
    "page_viewed": "web.page_viewed",
    "cta_clicked": "web.cta_clicked",
    "form_submitted": "web.form_submitted",
    "demo_requested": "web.demo_requested",
    "identified": "web.identified",
}
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_WORDS = re.compile(r"([/\s])")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)


class TrackedBody(NamedTuple):
    """What a body tells: events, what is unusable, and whether a program drives the browser."""

    events: list[dict[str, Any]]
    unusable: list[Unusable]
    robot: bool


def read(name: str, site: SiteSettings, body: bytes, received: int) -> TrackedBody:
    """Return what the body of a request tells of the site ``name``; ``received`` is when it arrived (epoch ms). Never raises."""
    events: list[dict[str, Any]] = []
    unusable: list[Unusable] = []
    try:
        tree = _mapping(parse(body), "body")
        for item in _items(name, site, tree, received):
            wrong = item if isinstance(item, Unusable) else checked(item, received, None) if isinstance(item, dict) else None
            if wrong is not None:
                unusable.append(wrong)
            elif isinstance(item, dict):
                events.append(item)
        return TrackedBody(events, unusable, tree.get("robot") is True)
    except Unusable as error:
        return TrackedBody(events, [*unusable, error], False)


def _items(name: str, site: SiteSettings, tree: Mapping[str, Any], received: int) -> Iterator[Item]:
    sent = _instant(tree.get("sent"), "sent")
    calls = tree.get("events")
    if not isinstance(calls, list) or not 0 < len(calls) <= EVENTS_LIMIT:
        found = f"{len(calls)} of them" if isinstance(calls, list) else shown(calls)
        raise Unusable(Reason.INVALID_DATA, f"events: found {found}, accepted is an array of 1 to {EVENTS_LIMIT}")
    for place, call in enumerate(calls):
        try:
            yield _event(name, site, _mapping(call, "events"), sent, received)
        except Unusable as error:
            yield Unusable(error.reason, f"events[{place}]: {error.detail}")


def _event(name: str, site: SiteSettings, call: Mapping[str, Any], sent: float, received: int) -> dict[str, Any]:
    type_ = call.get("type")
    kind = _TYPES.get(type_) if isinstance(type_, str) else None
    if kind is None:
        raise Unusable(Reason.UNKNOWN_TYPE, f"type: found {shown(type_)}, accepted: {', '.join(_TYPES)}")
    visitor = _id(call.get("visitor"), "visitor")
    age = max(0.0, sent - _instant(call.get("at"), "at"))
    if age > OLDEST:
        raise Unusable(
            Reason.TIME_OUT_OF_RANGE, f"at: found {age / 1000:.0f} s before it was sent, accepted are {OLDEST // 1000}"
        )
    data: dict[str, Any] = {
        "visitor_id": visitor,
        "session_id": None if call.get("session") is None else _id(call["session"], "session"),
        "page": _page(call.get("page"), "page"),
        "referrer": _page(call.get("referrer"), "referrer"),
        "source": _text(call.get("source"), "source"),
        "campaign": _text(call.get("campaign"), "campaign"),
    }
    if kind == "web.page_viewed":
        # Nobody has seen a page for longer than it was there.
        seconds = _seconds(call.get("seconds"))
        data["duration_seconds"] = None if seconds is None else min(seconds, age / 1000, LONGEST)
    elif kind == "web.cta_clicked":
        data["cta"] = _text(call.get("cta"), "cta")
    elif kind == "web.identified":
        data["lead_id"] = _lead(call.get("lead"))
    else:
        data["form"] = _text(call.get("form"), "form")
        if data["form"] in site.demo_forms:
            kind = "web.demo_requested"
    return {
        "specversion": "1.0",
        "id": event_id("collect", name, _id(call.get("id"), "id")),
        "source": site.source or f"web/{name}",
        "type": kind,
        "time": iso(received - round(age)),
        "subject": visitor,
        "data": {key: value for key, value in data.items() if value is not None},
    }


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(Reason.NOT_AN_OBJECT, f"{name}: found {shown(value)}, accepted is an object")
    return value


def _id(value: Any, name: str) -> str:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted are 8 to 64 letters, digits, _ and -")
    return identifier(value, name)


def _instant(value: Any, name: str) -> float:
    """Return a time by the visitor's clock, in epoch milliseconds: only differences of it are used."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise Unusable(Reason.BAD_TIME, f"{name}: found {shown(value)}, accepted are epoch milliseconds")
    return float(value)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise Unusable(Reason.INVALID_DATA, f"seconds: found {shown(value)}, accepted is a number from 0")
    return min(float(value), LONGEST)


def _text(value: Any, name: str, length: int = TEXT_LENGTH) -> str | None:
    """Return a text without what looks like an e-mail address, shortened; None for an empty one."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is text")
    found = value[: 4 * length].strip()
    if has_control(found):
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is text without control characters")
    if "@" in found or "%40" in found:
        found = "".join("(e-mail)" if "@" in word or "%40" in word else word for word in _WORDS.split(found))
    return found[:length].strip() or None


def _page(value: Any, name: str) -> str | None:
    """Return an address as scheme, host and path, or a name that the site gives a page."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is text")
    bare = re.split(r"[?#]", value, maxsplit=1)[0]
    try:
        parts = urlsplit(bare)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(bare)}, accepted is an address ({error})") from None
    if parts.scheme and parts.hostname:  # whoever is named before the host is left out
        bare = f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    return _text(bare, name, PAGE_LENGTH)


def _lead(value: Any) -> str:
    """Return who a visitor is: the hash of an e-mail address, or a lead's id. An address itself is hashed here."""
    if isinstance(value, str) and "@" in value:
        return str(email_hash(value))
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or has_control(value):
        raise Unusable(Reason.INVALID_DATA, f"lead: found {shown(value)}, accepted is the SHA-256 of an e-mail address, or an id")
    found = identifier(value, "lead")
    return found.lower() if _DIGEST.fullmatch(found) else found
