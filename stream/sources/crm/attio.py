"""Attio: thin events, which say that a record has changed and not how.

The signature is HMAC-SHA256 over the body, in hexadecimal. An event has neither a time nor values: it happened when it
arrived. Objects have ids of their own in every workspace: ``sources.<name>.objects`` says which are deals and leads.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import EVENTS_LIMIT, Adapter, Doubt, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import each, parse
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import any_same, hmac_hex, keys_of, signature_of
from stream.sources.crm.values import event, event_id, first, identifier, mapping

SIGNATURE, LEGACY = "attio-signature", "x-attio-signature"
_SLUGS = {"deals": "deal", "people": "lead"}
_KINDS = {"record.created": "created", "record.updated": "updated", "record.deleted": "deleted", "record.merged": "merged"}


class AttioSettings(SourceSettings):
    """What else may be set for Attio."""

    objects: dict[str, Literal["deal", "lead", "ignore"]] = {}
    """Object ids, by what they are here."""
    lead_lists: tuple[str, ...] = ()
    """Lists whose entries are the leads; without any, all records of the objects that are leads."""


def verify(request: Request, settings: SourceSettings) -> None:
    """Check the signature, in the header of today or in that of old."""
    keys = keys_of(settings)
    signature = signature_of(request, SIGNATURE, LEGACY).lower()
    if not any_same(signature, [hmac_hex(key, request.body) for key in keys]):
        raise NotAuthentic(Doubt.BAD_SIGNATURE, f"header {SIGNATURE}: not the signature of this body and secret")


def read(request: Request, settings: AttioSettings) -> Iterator[Item]:
    """Yield what each event tells; one that is unusable does not spoil the others."""
    body = mapping(parse(request.body), "body")
    notes = body.get("events") if "events" in body else [body]
    # A delivery that is tried again has the same key; where there is none, the body stands for it.
    delivery = request.headers.get("idempotency-key") or hashlib.sha256(request.body).hexdigest()[:32]
    for place, note in enumerate(each(notes if notes is not None else [], EVENTS_LIMIT)):
        try:
            yield _event(note, event_id("attio", delivery, place), request, settings)
        except Unusable as error:
            yield error


def _event(note: Mapping[str, Any], id: str, request: Request, settings: AttioSettings) -> Item:
    kind, ids = note.get("event_type"), mapping(note.get("id"), "id")
    if not isinstance(kind, str):
        raise Unusable(Reason.INVALID_DATA, f"event_type: found {shown(kind)}, accepted is text as in record.created")
    if kind == "list-entry.created" and ids.get("list_id") in settings.lead_lists:
        person = identifier(first(note.get("parent_record_id"), ids.get("parent_record_id")), "parent_record_id")
        return event(settings, "attio", "lead.created", person, request.received_at, id)
    what = _KINDS.get(kind)
    if what is None:
        return Ignored(f"{kind}: events of this kind have no use here")
    object_ = identifier(ids.get("object_id"), "id.object_id")
    room = settings.objects.get(object_) or _SLUGS.get(object_)
    if room not in ("deal", "lead"):
        return Ignored(f"{kind}: the object {object_} is neither deals nor leads (sources.<name>.objects)")
    subject = identifier(ids.get("record_id"), "id.record_id")
    if room == "lead" and what == "created" and settings.lead_lists:
        return Ignored(f"{kind}: a lead is who is put into a list (sources.<name>.lead_lists)")
    if what == "merged":
        # A merge makes a new record. Each of the two that went into it has an event, which names it beside the ids.
        gone = identifier(first(note.get("duplicate_record_id"), ids.get("duplicate_record_id")), "duplicate_record_id")
        return event(settings, "attio", f"{room}.merged", gone, request.received_at, id, {"into": subject})
    return event(settings, "attio", f"{room}.{what}", subject, request.received_at, id)


ADAPTER = Adapter(
    "attio", verify, read, needs=("secrets",), credentials=("authorization", SIGNATURE, LEGACY), settings=AttioSettings
)
