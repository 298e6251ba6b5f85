"""HubSpot: who signed this, and what has changed?

Signatures, as HubSpot documents them, with the app's client secret:

* v3: base64 of HMAC-SHA256 over method, address (twelve percent-encodings decoded), body and timestamp (milliseconds);
* v2: hexadecimal SHA-256 of secret, method, address and body; v1: of secret and body. Neither has a time.

Where the v3 header is present it decides: a request that fails it is not tried with an older one.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import EVENTS_LIMIT, Adapter, Doubt, Erase, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import each, parse
from stream.sources.crm.lead_when import lead_fields, makes_lead
from stream.sources.crm.lookup import is_set, lookup
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import any_same, hmac_base64, keys_of, signature_of, stamp, timely
from stream.sources.crm.values import (
    ENTERED,
    LEAD_EVENTS,
    attribute,
    event,
    event_id,
    fingerprint,
    first,
    identifier,
    keeps,
    moment,
    priced,
    stage_kind,
    text,
)

V3, TIMESTAMP = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
OLD, VERSION = "x-hubspot-signature", "x-hubspot-signature-version"
_DECODED = {f"%{ord(sign):02X}": sign for sign in ":/?@!$'()*,;"}  # not %20, %26, %3D …: they stay as they are
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)

_TYPES = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-136": "lead"}
#: What was done with somebody. An e-mail may be one that came in, which its association does not say.
_DEEDS = {"0-48": "call", "0-47": "meeting", "0-49": "email", "0-18": "message"}
#: HubSpot's ids of kinds of objects, by what they are here.
TYPE_IDS = {kind: id for id, kind in _TYPES.items()}
DEED_IDS = {kind: id for id, kind in _DEEDS.items()}
#: The ids of HubSpot's own closed stages.
STAGES = {"closedwon": "won", "closedlost": "lost"}
_DEAL = {
    "amount": "amount",
    "deal_currency_code": "currency",
    "dealstage": "stage",
    "pipeline": "pipeline",
    "hubspot_owner_id": "owner",
    "hubspot_team_id": "team",
    "closedate": "expected_close_date",
    "hs_analytics_source": "source",
    "hs_campaign": "campaign",
    "dealname": "name",
}
_CONTACT = {
    "hubspot_owner_id": "owner",
    "hubspot_team_id": "team",
    "hs_analytics_source": "source",
    "utm_campaign": "campaign",
    "hubspotscore": "score",
    "email": "email_hash",
    "country": "region",
    "firstname": "first_name",
    "lastname": "last_name",
    "hs_lead_name": "name",
}
_LIFECYCLE: Mapping[str, str] = {
    "marketingqualifiedlead": "mql",
    "salesqualifiedlead": "sql",
    "opportunity": "converted",
    "customer": "converted",
}
_STATUSES: Mapping[str, str] = {
    "CONNECTED": "contacted",
    "IN_PROGRESS": "contacted",
    "OPEN_DEAL": "converted",
    "UNQUALIFIED": "disqualified",
}
#: The stages of life in which a contact is a lead, unless the settings say otherwise.
LEAD_WHEN = {"lifecyclestage": ("lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity")}
#: When somebody here last called, mailed or met a contact; what came in from the contact does not count.
LAST_CONTACT = "notes_last_contacted"
_STEPS = {"lifecyclestage": _LIFECYCLE, "hs_lead_status": _STATUSES}
_FLAGS = {"hs_is_closed_won": "deal.won", "hs_is_closed_lost": "deal.lost"}


def decoded(url: str) -> str:
    """Return the address as HubSpot signs it: once, and only the twelve characters of its table."""
    return _ENCODED.sub(lambda found: _DECODED[found[0].upper()], url)


class HubSpotSettings(SourceSettings):
    """What else may be set for HubSpot."""

    signatures: tuple[Literal["v1", "v2", "v3"], ...] = ("v3",)
    """The versions that are taken. v2 and v1 have no time: a request that was seen once can be sent again for ever."""


def verify(request: Request, settings: HubSpotSettings) -> int | None:
    """Check the newest signature that the request carries."""
    keys, age = keys_of(settings), None
    if V3 in request.headers:
        _allow("v3", settings)
        signature = signature_of(request, V3)
        timestamp, age = stamp(request, TIMESTAMP, 1)
        signed = _utf8(request.method + decoded(request.url)) + request.body + timestamp.encode()
        expected = [hmac_base64(key, signed) for key in keys]
    else:
        signature = signature_of(request, OLD)
        version = request.headers.get(VERSION, "v1").strip().lower()
        if version not in ("v1", "v2"):
            raise NotAuthentic(Doubt.UNKNOWN_VERSION, f"header {VERSION}: found {shown(version)} without its own header")
        _allow(version, settings)
        rest = request.body if version == "v1" else _utf8(request.method + request.url) + request.body
        expected = [hashlib.sha256(key + rest).hexdigest() for key in keys]
    right = any_same(signature, expected)
    if age is not None:
        timely(age, settings, TIMESTAMP, right)
    if not right:
        raise NotAuthentic(Doubt.BAD_SIGNATURE, "the signature is not that of this request and secret (check public_url too)")
    return age


def _utf8(text_: str) -> bytes:
    return text_.encode("utf-8", "surrogatepass")


def _allow(version: str, settings: HubSpotSettings) -> None:
    if version not in settings.signatures:
        raise NotAuthentic(Doubt.UNKNOWN_VERSION, f"signature {version}: not among the ones that are set")


def read(request: Request, settings: SourceSettings) -> Iterator[Item]:
    """Yield what each notification tells; one that is unusable does not spoil the others."""
    for note in each(parse(request.body), EVENTS_LIMIT):
        try:
            yield from notification(note, settings)
        except Unusable as error:
            yield error


def properties(kind: str, settings: SourceSettings | None = None) -> Mapping[str, str]:
    """Return the properties of a deal, contact or lead that are read, by the attribute they are; empty for a step or a flag."""
    if kind == "deal":
        return _DEAL | dict.fromkeys(_FLAGS, "")
    when = {} if settings is None else lead_fields(settings, LEAD_WHEN) or {}
    return dict.fromkeys((*_STEPS, LAST_CONTACT, *when), "") | _CONTACT


def notification(note: Mapping[str, Any], settings: SourceSettings, since: int | None = None) -> Iterator[Item]:
    """Yield what one notification tells; raise :class:`Unusable`.

    A contact becomes a lead when a property says so, ``since`` (epoch ms) where that is known to have been so earlier.
    """
    kind = note.get("subscriptionType") or note.get("eventType")
    if not isinstance(kind, str):
        raise Unusable(Reason.INVALID_DATA, f"subscriptionType: found {shown(kind)}, accepted is text as in deal.creation")
    entity, _, what = kind.partition(".")
    if entity == "object" and what != "associationChange":
        entity = _TYPES.get(str(note.get("objectTypeId")), "")
    if what == "associationChange":
        yield from _association(note, settings)
    elif entity not in ("contact", "deal", "lead"):
        yield Ignored(f"{kind}: objects of the type {shown(note.get('objectTypeId') or entity)} have no events here")
    elif what == "merge":
        yield from _merge(entity, note, settings)
    else:
        subject = _subject(entity, identifier(note.get("objectId"), "objectId"))
        if entity == "contact" and what in ("creation", "restore") and lead_fields(settings, LEAD_WHEN) is not None:
            yield Ignored(f"contact.{what}: a contact is a lead when its properties say so (sources.<name>.lead_when)")
        elif what == "creation":  # once for an object, whatever its time is said to be
            yield _event(note, settings, f"{_room(entity)}.created", subject, (entity, subject, what))
        elif what == "restore":
            yield _event(note, settings, f"{_room(entity)}.created", subject, (entity, subject, what, _at(note)))
        elif what == "privacyDeletion":  # not that it was none: what they have done was done, and stays counted
            yield Erase(_room(entity), subject)
        elif what == "deletion":
            yield _event(note, settings, f"{_room(entity)}.deleted", subject, (entity, subject, "deletion", _at(note)))
        elif what == "propertyChange":
            if entity == "contact":
                yield from _becoming(note, subject, settings, since)
            yield _property(entity, note, subject, settings)
        else:
            yield Ignored(f"{kind}: not a subscription with a use here")


def _becoming(note: Mapping[str, Any], subject: str, settings: SourceSettings, since: int | None) -> Iterator[Item]:
    name, value = identifier(note.get("propertyName"), "propertyName"), note.get("propertyValue")
    when = lead_fields(settings, LEAD_WHEN)
    if when is not None and makes_lead(name, value, when):
        # Told each time that it is so; the earliest counts.
        id = event_id("hubspot", "contact", subject, name, _at(note), fingerprint(value), "lead")
        yield event(settings, "hubspot", "lead.created", subject, _at(note) if since is None else min(since, _at(note)), id)


def _property(entity: str, note: Mapping[str, Any], subject: str, settings: SourceSettings) -> Item:
    name, value = identifier(note.get("propertyName"), "propertyName"), note.get("propertyValue")
    id = (entity, subject, name, _at(note), fingerprint(value))
    if entity == "deal":
        if name == "dealstage" and text(value, name) is not None:
            kind = ENTERED[stage_kind(value, settings, STAGES)]
            return _event(note, settings, kind, subject, id, {"stage": attribute("stage", value, settings)})
        if name in _FLAGS and is_set(value, name):
            return _event(note, settings, _FLAGS[name], subject, id)
    else:
        if name == LAST_CONTACT and text(value, name) is not None:
            at = min(moment(value, name), _at(note))
            return event(settings, "hubspot", "lead.contacted", subject, at, event_id("hubspot", entity, subject, name, at))
        known = text(value, name) or ""
        defaults = _STEPS.get(name)
        if defaults is not None:
            meant = LEAD_EVENTS.get(lookup(known, settings.lead_statuses, defaults) or "")
            if meant is None:
                return Ignored(f"{name}: {shown(known)} is no step of a lead here (sources.<name>.lead_statuses)")
            return _event(note, settings, meant[0], subject, id, meant[1])
    mapped = settings.fields.get(name) or (_DEAL if entity == "deal" else _CONTACT).get(name)
    if mapped is None:
        return Ignored(f"{entity}.propertyChange: the property {shown(name)} is no attribute here (see sources.<name>.fields)")
    if not keeps(mapped, _room(entity), settings):
        return Ignored(f"{entity}.propertyChange: {shown(name)} is a name, which sources.<name>.names leaves out")
    data = priced({mapped: attribute(mapped, value, settings)}, settings)
    return _event(note, settings, f"{_room(entity)}.updated", subject, id, data)


def _merge(entity: str, note: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    primary = identifier(first(note.get("primaryObjectId"), note.get("objectId")), "primaryObjectId")
    # A merge may create a new object, into which the primary one goes as well.
    fresh_id = note.get("newObjectId")
    into = primary if fresh_id is None else identifier(fresh_id, "newObjectId")
    merged = note.get("mergedObjectIds")
    if not isinstance(merged, list) or not merged:
        raise Unusable(Reason.INVALID_DATA, f"mergedObjectIds: found {shown(merged)}, accepted is an array of ids")
    gone = [identifier(one, "mergedObjectIds") for one in merged]
    for one in dict.fromkeys([*gone, primary]):
        if one != into:
            subject, survivor = _subject(entity, one), _subject(entity, into)
            yield _event(
                note, settings, f"{_room(entity)}.merged", subject, (entity, subject, "merge", survivor), {"into": survivor}
            )


def _association(note: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    ends = str(note.get("associationType") or "").upper().split("_TO_")
    names = [(_TYPES | _DEEDS).get(str(note.get(f"{end}ObjectTypeId")), "") for end in ("from", "to")]
    if not any(names) and len(ends) == 2:
        names = [end.lower() for end in ends]
    ids = [identifier(note.get(f"{end}ObjectId"), f"{end}ObjectId") for end in ("from", "to")]
    for end in (0, 1):
        if names[end] in _DEEDS.values() and names[1 - end] in ("contact", "lead", "deal"):
            yield _deed(names[end], ids[end], names[1 - end], ids[1 - end], note, settings)
            return
    if names[0] != "deal":
        names.reverse()
        ids.reverse()
    attribute_ = {"contact": "lead_id", "lead": "lead_id", "company": "account_id"}.get(names[1])
    if names[0] != "deal" or attribute_ is None:
        yield Ignored(f"associationChange: {shown(note.get('associationType'))} is no attribute of a deal")
        return
    value = None if is_set(note.get("associationRemoved"), "associationRemoved") else _subject(names[1], ids[1])
    id = ("deal", ids[0], attribute_, _at(note), ids[1], "removed" if value is None else "added")
    yield _event(note, settings, "deal.updated", ids[0], id, {attribute_: value})


def _deed(kind: str, id: str, entity: str, other: str, note: Mapping[str, Any], settings: SourceSettings) -> Item:
    if is_set(note.get("associationRemoved"), "associationRemoved"):
        return Ignored(f"associationChange: a {kind} was taken from a {entity}, which takes no contact back")
    subject = _subject(entity, other)
    if entity == "deal":
        return _event(note, settings, "deal.activity", subject, (kind, id, "deal", subject), {"kind": kind})
    if kind == "email":
        return Ignored(f"associationChange: who wrote the e-mail is not said; {LAST_CONTACT} tells of those that went out")
    return _event(note, settings, "lead.contacted", subject, (kind, id, "lead", subject), {"channel": kind})


def _room(entity: str) -> str:
    return "deal" if entity == "deal" else "lead"


def _subject(entity: str, id: str) -> str:
    # HubSpot numbers each kind of object on its own, and both contacts and leads are leads here.
    return f"lead-{id}" if entity == "lead" else id


def _at(note: Mapping[str, Any]) -> int:
    return moment(note.get("occurredAt"), "occurredAt")


def _event(
    note: Mapping[str, Any],
    settings: SourceSettings,
    kind: str,
    subject: str,
    id: tuple[Any, ...],
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    # HubSpot: an eventId "is not guaranteed to be unique", and no export has it. The id therefore names the fact: object,
    # property, time, value. A retry has the same, and so has a backfill of the property's history (vigie backfill).
    return event(settings, "hubspot", kind, subject, _at(note), event_id("hubspot", *id), data)


ADAPTER = Adapter(
    "hubspot",
    verify,
    read,
    needs=("secrets",),
    credentials=("authorization", V3, OLD),
    settings=HubSpotSettings,
    signs_address=True,
)
