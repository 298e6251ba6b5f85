"""What does an export of HubSpot tell?

* JSON: what ``GET /crm/v3/objects/deals?propertiesWithHistory=…`` (or contacts, leads) answers. Each entry of a property's
  history is the change of which the webhook tells, with the same time and value, hence the same event id.
* CSV (*Export* in a list of deals, contacts or leads): how the records are now. When a deal was closed is said to the minute, and
  what it was before is not said at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, PlacedItem
from stream.sources.backfill.cells import Moment
from stream.sources.backfill.columns import HUBSPOT_KINDS, HUBSPOT_PIPELINES, HUBSPOT_STAGES
from stream.sources.backfill.documents import is_json, records
from stream.sources.backfill.hubspot_now import KINDS, as_now, table_of, unmapped, usable
from stream.sources.backfill.names import ExportNames
from stream.sources.crm import hubspot
from stream.sources.crm.base import Ignored, Item, Unusable
from stream.sources.crm.values import event, event_id, identifier, moment, text, yes
from stream.sources.files.text import SourceFileError

#: Properties that show what a record is.
_SIGNS = {
    "deal": {"dealstage", "dealname"},
    "contact": {"lifecyclestage", "email"},
    "lead": {"hs_lead_name", "hs_pipeline_stage"},
}
#: The same of what somebody has done: calls, meetings, e-mails, messages; told as their webhook's associations are.
_DEEDS = {
    "call": {"hs_call_title", "hs_call_status", "hs_call_direction", "hs_call_duration"},
    "meeting": {"hs_meeting_title", "hs_meeting_start_time", "hs_meeting_outcome"},
    "email": {"hs_email_subject", "hs_email_direction", "hs_email_status"},
    "message": {"hs_communication_channel_type"},
}
_CREATED = ("hs_createdate", "createdate")
_MODIFIED = ("hs_lastmodifieddate", "lastmodifieddate")
_MERGED = "hs_merged_object_ids"


def read(files: list[Path], options: Options, tally: BackfillTally) -> Iterator[PlacedItem]:
    """Yield what the files tell, in their order."""
    kind = None if options.kind is None else KINDS.get(options.kind)
    if options.kind is not None and kind is None:
        raise SourceFileError(f"--object: found {options.kind!r} (accepted: {', '.join(KINDS)})")
    names = ExportNames(options.settings, options.lists, HUBSPOT_STAGES, HUBSPOT_KINDS, HUBSPOT_PIPELINES)
    options = replace(options, settings=names.settings)
    for number, path in enumerate(files):
        if is_json(path):
            for line, record in records(path, ("results",)):
                place = ExportPlace(number, line)
                tally.met()
                if isinstance(record, str):
                    yield place, record
                    continue
                for item in usable(_record(record, kind, options, names, tally)):
                    yield place, item
        else:
            yield from table_of(path, number, kind, options, names, tally)


# -- JSON: with the history of properties -----------------------------------------------------------------------------


def _record(
    record: Mapping[str, Any], kind: str | None, options: Options, names: ExportNames, tally: BackfillTally
) -> Iterator[Item]:
    id, histories, now = record.get("id"), record.get("propertiesWithHistory") or {}, record.get("properties") or {}
    if not isinstance(histories, dict) or not isinstance(now, dict):
        raise Unusable(Reason.INVALID_DATA, "properties, propertiesWithHistory: accepted are objects")
    deed = next((one for one, signs in _DEEDS.items() if signs & now.keys()), None)
    if deed is not None:
        yield from _done(deed, record, now, options)
        return
    kind = kind or next((one for one, signs in _SIGNS.items() if signs & (histories.keys() | now.keys())), None)
    if kind is None:
        raise Unusable(Reason.INVALID_DATA, f"{shown(id)}: nothing shows what it is (accepted: --object {', '.join(KINDS)})")
    subject = identifier(id, "id", whole=True)
    note = {"objectId": subject, "objectTypeId": hubspot.TYPE_IDS[kind]}
    if kind == "deal":
        unmapped(_latest(histories, now), now, names, tally)
    created = (
        next((now[name] for name in _CREATED[:1] if now.get(name)), None) or record.get("createdAt") or now.get("createdate")
    )
    if created is not None:
        yield from _notes({**note, "subscriptionType": "object.creation", "occurredAt": moment(created, "createdAt")}, options)
    for name, entries in histories.items():
        if not isinstance(entries, list):
            raise Unusable(Reason.INVALID_DATA, f"propertiesWithHistory.{name}: found {shown(entries)}, accepted is an array")
        for entry in reversed(entries):  # HubSpot has the latest first
            if not isinstance(entry, dict):
                raise Unusable(Reason.INVALID_DATA, f"propertiesWithHistory.{name}: found {shown(entry)}, accepted are objects")
            yield from _entry(kind, note, name, entry, options)
    undated = {name: value for name, value in now.items() if name not in histories and value not in (None, "")}
    modified = next((now[name] for name in _MODIFIED if now.get(name)), record.get("updatedAt"))
    linked = _linked(record)
    if undated or linked:
        at = None if modified is None else Moment(moment(modified, "updatedAt"), moment(modified, "updatedAt"))
        made = None if created is None else Moment(moment(created, "createdAt"), moment(created, "createdAt"))
        yield from as_now(kind, note["objectId"], undated, linked, made, at, options)
    if yes(record.get("archived")) and record.get("archivedAt"):
        gone = {**note, "subscriptionType": "object.deletion", "occurredAt": moment(record["archivedAt"], "archivedAt")}
        yield from _notes(gone, options)


def _done(deed: str, record: Mapping[str, Any], now: Mapping[str, Any], options: Options) -> Iterator[Item]:
    """Yield what a call, meeting, e-mail or message says of the deals, contacts and leads that it is associated with."""
    id = identifier(record.get("id"), "id")
    at = moment(now.get("hs_timestamp") or record.get("createdAt"), "hs_timestamp")
    outcome = str(now.get("hs_meeting_outcome") or now.get("hs_call_status") or "").upper()
    if at > options.now or outcome in ("SCHEDULED", "QUEUED", "CANCELED", "CANCELLED", "RESCHEDULED", "NO_SHOW"):
        yield Ignored(f"{deed}: has not taken place")
        return
    for name, entity in (("deals", "deal"), ("contacts", "contact"), ("leads", "lead")):
        for other in _others(record, name):
            if deed == "email" and entity != "deal":
                if now.get("hs_email_direction") != "EMAIL":
                    yield Ignored("email: written by the contact, or by nobody knows whom")
                    continue
                subject = f"lead-{other}" if entity == "lead" else other
                known = event_id("hubspot", deed, id, "lead", subject)
                yield event(options.settings, "hubspot", "lead.contacted", subject, at, known, {"channel": deed})
                continue
            note = {"subscriptionType": "object.associationChange", "occurredAt": at, "fromObjectId": id, "toObjectId": other}
            types = {"fromObjectTypeId": hubspot.DEED_IDS[deed], "toObjectTypeId": hubspot.TYPE_IDS[entity]}
            yield from _notes(note | types, options)


def _latest(histories: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the stage that a deal is in."""
    entries = histories.get("dealstage")
    entry = entries[0] if isinstance(entries, list) and entries else None
    return str((entry.get("value") if isinstance(entry, dict) else None) or now.get("dealstage") or "")


def _entry(kind: str, note: Mapping[str, Any], name: str, entry: Mapping[str, Any], options: Options) -> Iterator[Item]:
    at, value = moment(entry.get("timestamp"), f"propertiesWithHistory.{name}.timestamp"), entry.get("value")
    if name == _MERGED:
        for gone in filter(None, (text(value, name) or "").split(";")):
            what = {**note, "primaryObjectId": note["objectId"], "mergedObjectIds": [gone.strip()], "occurredAt": at}
            yield from _notes({**what, "subscriptionType": "object.merge"}, options)
        return
    if name not in hubspot.properties(kind, options.settings) and name not in options.settings.fields:
        return
    change = {**note, "subscriptionType": "object.propertyChange", "propertyName": name, "propertyValue": value, "occurredAt": at}
    yield from _notes(change, options)


def _notes(note: Mapping[str, Any], options: Options) -> Iterator[Item]:
    try:
        yield from hubspot.notification(note, options.settings)
    except Unusable as error:
        yield error


def _linked(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the one contact and the one company of a deal; where there are several, nothing says which."""
    found: dict[str, str] = {}
    for name, attribute in (("contacts", "lead_id"), ("companies", "account_id")):
        ids = _others(record, name)
        if len(ids) == 1:
            found[attribute] = ids[0]
    return found


def _others(record: Mapping[str, Any], name: str) -> list[str]:
    """Return the ids of a kind that a record is associated with, each once: there is an entry for each label."""
    links = record.get("associations")
    ends = links.get(name) if isinstance(links, dict) else None
    results = ends.get("results") if isinstance(ends, dict) else None
    entries = [one for one in results if isinstance(one, dict) and one.get("id")] if isinstance(results, list) else []
    return list(dict.fromkeys(identifier(one["id"], name) for one in entries))
