"""Close: the event log as webhooks, signed with a key that is hexadecimal.

The signature is HMAC-SHA256 over the timestamp header and the body, in hexadecimal. Amounts are in cents. Times without an
offset are UTC.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import Adapter, Doubt, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import parse
from stream.sources.crm.lead_when import lead_fields, makes_lead
from stream.sources.crm.lookup import lookup
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import any_same, hmac_hex, keys_of, signature_of, stamp, timely
from stream.sources.crm.values import (
    LEAD_EVENTS,
    attributes,
    event,
    event_id,
    first,
    identifier,
    mapping,
    moment,
    priced,
    scaled,
    text,
)

HASH, TIMESTAMP = "close-sig-hash", "close-sig-timestamp"
_OPPORTUNITY = {
    "value_currency": "currency",
    "status_id": "stage",
    "pipeline_id": "pipeline",
    "user_id": "owner",
    "lead_id": "lead_id",
    "date_won": "expected_close_date",
    "lead_name": "name",
}
_LEAD = {"source": "source", "name": "name", "display_name": "name"}
_STATUSES = ("active", "won", "lost", None)
_UNSENT = ("draft", "scheduled", "outbox", "error", "inbox", "canceled", "declined-by-lead")
_CHANNELS = {"call": "call", "email": "email", "sms": "sms", "meeting": "meeting", "whatsapp_message": "whatsapp"}


def verify(request: Request, settings: SourceSettings) -> int:
    """Check the signature; a key that is not hexadecimal is taken as it is."""
    keys = [_key(key) for key in keys_of(settings)]
    signature = signature_of(request, HASH).lower()
    timestamp, age = stamp(request, TIMESTAMP, 1000)
    right = any_same(signature, [hmac_hex(key, timestamp.encode() + request.body) for key in keys])
    timely(age, settings, TIMESTAMP, right)
    if not right:
        raise NotAuthentic(Doubt.BAD_SIGNATURE, f"header {HASH}: not the signature of this request and secret")
    return age


def _key(key: bytes) -> bytes:
    try:
        return bytes.fromhex(key.decode())
    except ValueError:
        return key


def read(request: Request, settings: SourceSettings) -> Iterator[Item]:
    """Yield what the one event tells."""
    note = mapping(mapping(parse(request.body), "body").get("event"), "event")
    kind, action = note.get("object_type"), note.get("action")
    if not isinstance(kind, str) or not isinstance(action, str):
        raise Unusable(Reason.INVALID_DATA, f"event: found object_type {shown(kind)}, action {shown(action)}; accepted are texts")
    data = mapping(note.get("data") or {}, "event.data")
    if kind == "opportunity":
        yield from _opportunity(note, data, settings)
    elif kind == "lead":
        yield from _lead(note, data, settings)
    elif kind.startswith("activity.") and kind.removeprefix("activity.") in _CHANNELS:
        sent = data.get("status") not in _UNSENT and data.get("direction") not in ("incoming", "inbound")
        if action not in ("created", "completed", "sent", "answered") or not sent:
            yield Ignored(f"{kind}.{action}: not the first contact with somebody")
        else:
            lead = identifier(first(data.get("lead_id"), note.get("lead_id")), "event.data.lead_id")
            channel = _CHANNELS[kind.removeprefix("activity.")]
            yield _event(note, settings, "lead.contacted", lead, {"channel": channel})
    else:
        yield Ignored(f"{kind}.{action}: objects of this kind have no events here")


def _opportunity(note: Mapping[str, Any], data: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    subject, action = _subject(note, data), note["action"]
    if action == "deleted":
        yield _event(note, settings, "deal.deleted", subject)
        return
    found = attributes(data, _OPPORTUNITY, settings)
    if "value" in data:
        found = priced({**found, "amount": scaled(data["value"], 0.01, "event.data.value")}, settings)
    if action not in ("created", "updated"):
        yield Ignored(f"opportunity.{action}: not an action with a use here")
        return
    status, was = data.get("status_type"), mapping(note.get("previous_data") or {}, "event.previous_data")
    if status not in _STATUSES:
        raise Unusable(Reason.INVALID_DATA, f"event.data.status_type: found {shown(status)}, accepted are active, won, lost")
    was = {name: value for name, value in was.items() if value != data.get(name)}
    if action == "created":
        yield _event(note, settings, "deal.created", subject, found)
        if status in ("won", "lost"):
            yield _event(note, settings, f"deal.{status}", subject, {}, status)
    elif "status_type" in was and status in ("won", "lost"):
        yield _event(note, settings, f"deal.{status}", subject, found)
    elif was.get("status_type") in ("won", "lost") and status == "active":
        yield _event(note, settings, "deal.reopened", subject, found)
    elif "status_id" in was and found.get("stage"):
        yield _event(note, settings, "deal.stage_changed", subject, found)
    else:
        yield _event(note, settings, "deal.updated", subject, found)


def _lead(note: Mapping[str, Any], data: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    action = note["action"]
    if action == "merged":
        meta = mapping(note.get("meta") or {}, "event.meta")
        into = identifier(meta.get("merge_destination_lead_id"), "event.meta.merge_destination_lead_id")
        gone = identifier(meta.get("merge_source_lead_id"), "event.meta.merge_source_lead_id")
        yield _event(note, settings, "lead.merged", gone, {"into": into})
        return
    subject = _subject(note, data)
    if action == "deleted":
        yield _event(note, settings, "lead.deleted", subject)
        return
    if action not in ("created", "updated"):
        yield Ignored(f"lead.{action}: not an action with a use here")
        return
    found, was = attributes(data, _LEAD, settings), mapping(note.get("previous_data") or {}, "event.previous_data")
    when = lead_fields(settings)
    makes = [name for name in when or () if when is not None and makes_lead(name, data.get(name), when)]
    is_one = action == "created" and (when is None or bool(makes))
    yield _event(note, settings, "lead.created" if is_one else "lead.updated", subject, found)
    if action == "updated" and any(name in was and was[name] != data.get(name) for name in makes):
        yield _event(note, settings, "lead.created", subject, {}, "lead")
    if action == "created" or "status_id" in was:
        for name in ("status_id", "status_label"):
            meant = LEAD_EVENTS.get(lookup(text(data.get(name), name) or "", settings.lead_statuses) or "")
            if meant is not None:
                yield _event(note, settings, meant[0], subject, meant[1], "status")
                return
        label = first(data.get("status_label"), data.get("status_id"))
        yield Ignored(f"lead: the status {shown(label)} is no step of a lead here (sources.<name>.lead_statuses)")


def _subject(note: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    return identifier(first(note.get("object_id"), data.get("id")), "event.object_id")


def _event(
    note: Mapping[str, Any], settings: SourceSettings, kind: str, subject: str, data: Mapping[str, Any] | None = None, *more: str
) -> dict[str, Any]:
    at = moment(note.get("date_created"), "event.date_created")
    id = event_id("close", identifier(note.get("id"), "event.id"), *more)
    return event(settings, "close", kind, subject, at, id, data)


ADAPTER = Adapter("close", verify, read, needs=("secrets",), credentials=("authorization", HASH))
