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
from stream.sources.backfill.base import Options, Place, Tally, Told
from stream.sources.backfill.cells import BadCell, Cells, Moment, flags, whole_id
from stream.sources.backfill.columns import HUBSPOT, HUBSPOT_KINDS, HUBSPOT_PIPELINES, HUBSPOT_STAGES
from stream.sources.backfill.documents import is_json, records
from stream.sources.backfill.names import Names
from stream.sources.backfill.tables import Table
from stream.sources.crm import hubspot
from stream.sources.crm.base import Ignored, Item, Unusable
from stream.sources.crm.values import attributes, event, event_id, identifier, moment, stage_kind, text, yes
from stream.sources.crm.words import lead_status, lifecycle
from stream.sources.files.base import FileReject
from stream.sources.files.ids import damage
from stream.sources.files.text import SourceFileError

_KINDS = {"deals": "deal", "contacts": "contact", "leads": "lead"}
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
_CLOSED = ("hs_is_closed_won", "hs_is_closed_lost")


def read(files: list[Path], options: Options, tally: Tally) -> Iterator[Told]:
    """Yield what the files tell, in their order."""
    kind = None if options.kind is None else _KINDS.get(options.kind)
    if options.kind is not None and kind is None:
        raise SourceFileError(f"--object: found {options.kind!r} (accepted: {', '.join(_KINDS)})")
    names = Names(options.settings, options.lists, HUBSPOT_STAGES, HUBSPOT_KINDS, HUBSPOT_PIPELINES)
    options = replace(options, settings=names.settings)
    for number, path in enumerate(files):
        if is_json(path):
            for line, record in records(path, ("results",)):
                place = Place(number, line)
                tally.met()
                if isinstance(record, str):
                    yield place, record
                    continue
                for item in _usable(_record(record, kind, options, names, tally)):
                    yield place, item
        else:
            yield from _table(path, number, kind, options, names, tally)


def _usable(items: Iterator[Item]) -> Iterator[Item]:
    try:
        yield from items
    except Unusable as error:
        yield error


# -- JSON: with the history of properties -----------------------------------------------------------------------------


def _record(record: Mapping[str, Any], kind: str | None, options: Options, names: Names, tally: Tally) -> Iterator[Item]:
    id, histories, now = record.get("id"), record.get("propertiesWithHistory") or {}, record.get("properties") or {}
    if not isinstance(histories, dict) or not isinstance(now, dict):
        raise Unusable(Reason.INVALID_DATA, "properties, propertiesWithHistory: accepted are objects")
    deed = next((one for one, signs in _DEEDS.items() if signs & now.keys()), None)
    if deed is not None:
        yield from _done(deed, record, now, options)
        return
    kind = kind or next((one for one, signs in _SIGNS.items() if signs & (histories.keys() | now.keys())), None)
    if kind is None:
        raise Unusable(Reason.INVALID_DATA, f"{shown(id)}: nothing shows what it is (accepted: --object {', '.join(_KINDS)})")
    subject = identifier(id, "id")
    if wrong := damage(subject, whole=True):
        raise Unusable(Reason.INVALID_DATA, f"id: {wrong}")
    note = {"objectId": subject, "objectTypeId": hubspot.TYPE_IDS[kind]}
    if kind == "deal":
        _unmapped(_latest(histories, now), now, names, tally)
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
        yield from _now(kind, note["objectId"], undated, linked, made, at, options)
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


def _unmapped(stage: str, values: Mapping[str, Any], names: Names, tally: Tally) -> None:
    if stage and names.kind(stage) is None and not any(values.get(flag) for flag in _CLOSED):
        tally.unmapped["stage", stage] += 1


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


# -- as it is now: CSV, and properties without their history ------------------------------------------------------------


def _now(
    kind: str,
    id: str,
    values: Mapping[str, Any],
    linked: Mapping[str, str],
    created: Moment | None,
    modified: Moment | None,
    options: Options,
) -> Iterator[Item]:
    settings = options.settings
    if modified is None:
        raise Unusable(Reason.BAD_TIME, "last modified: empty; when the record was as it is has to be known")
    room = "deal" if kind == "deal" else "lead"
    subject = f"lead-{id}" if kind == "lead" else id
    as_of = modified.last
    note = {"objectId": id, "objectTypeId": hubspot.TYPE_IDS[kind], "subscriptionType": "object.propertyChange"}
    table = hubspot.properties(kind, settings)
    told = {name: value for name, value in values.items() if name in table or name in settings.fields}
    if kind == "deal":
        closed = told.pop("dealstage", None)
        outcome = None if closed is None else stage_kind(closed, settings, hubspot.STAGES)
        for flag, meant in zip(_CLOSED, ("won", "lost"), strict=True):
            outcome = meant if yes(values.get(flag)) else outcome
        if closed is not None:
            at = as_of
            if outcome in ("won", "lost"):
                day = values.get("closedate")
                when = day if isinstance(day, Moment) else _exactly(day) if day else None
                # Not before it was there, nor after it was seen; a close date can be set by hand.
                at = as_of if when is None else min(as_of, max(when.last, 0 if created is None else created.last))
            change = {"propertyName": "dealstage", "propertyValue": closed}
            if outcome != stage_kind(closed, settings, hubspot.STAGES):
                change = {"propertyName": _CLOSED[0] if outcome == "won" else _CLOSED[1], "propertyValue": "true"}
            yield from hubspot.notification({**note, **change, "occurredAt": at}, settings)
    # Since when a contact is a lead is not said here: since it was there, for want of better.
    since = None if created is None else created.first
    for name in [name for name, what in table.items() if kind != "deal" and not what]:
        if told.get(name):
            step = {"propertyName": name, "propertyValue": told[name], "occurredAt": as_of}
            yield from hubspot.notification({**note, **step}, settings, since)
        told.pop(name, None)
    plain = {name: value.first if isinstance(value, Moment) else value for name, value in told.items()}
    found = attributes(plain, {name: what for name, what in table.items() if what}, settings) | dict(linked)
    if found:
        known = event_id("hubspot", kind, subject, "export", as_of)
        yield event(settings, "hubspot", f"{room}.updated", subject, as_of, known, found)


def _exactly(value: Any) -> Moment:
    at = moment(value, "closedate")
    return Moment(at, at)


def _table(path: Path, number: int, kind: str | None, options: Options, names: Names, tally: Tally) -> Iterator[Told]:
    # A property of one's own, or one by its internal name, may be a column as well.
    more = {
        name: (name,)
        for name in (*hubspot.properties("deal"), *hubspot.properties("contact", options.settings), *options.settings.fields)
    }
    known = {name: (*HUBSPOT.get(name, ()), *more.get(name, ())) for name in (*HUBSPOT, *more)}
    table, cells = Table(path, options, tally, known), Cells(options)
    columns = table.columns(known, options, ("id", "created", "modified"))
    kind = kind or ("deal" if "dealstage" in columns else "contact" if {"email", "lifecyclestage"} & columns.keys() else None)
    if kind is None:
        raise SourceFileError(f"{path}:1: nothing shows what the records are (accepted: --object {', '.join(_KINDS)})")
    tally.notes[f"{path}: an export in CSV has no history: stages, amounts and owners are told as they are now"] = None
    for row in table.rows():
        place = Place(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        try:
            for item in _usable(_row(row.fields, columns, kind, cells, options, names, tally)):
                yield place, item
        except BadCell as error:
            yield place, str(error)


def _row(
    row: Mapping[str, str],
    columns: Mapping[str, str],
    kind: str,
    cells: Cells,
    options: Options,
    names: Names,
    tally: Tally,
) -> Iterator[Item]:
    texts = {name: row[column] for name, column in columns.items() if row[column]}
    flags(texts, {name: columns[name] for name in _CLOSED if name in columns})
    id = whole_id(texts.pop("id", ""), columns["id"])
    created = cells.moment(texts.pop("created", ""), columns["created"])
    modified = cells.moment(texts.pop("modified", ""), columns["modified"])
    if created is None:
        raise BadCell(f"{columns['created']}: empty; when the record was created has to be known")
    values: dict[str, Any] = dict(texts)
    attributes_ = {**hubspot.properties(kind), **options.settings.fields}
    currency = next((name for name, what in attributes_.items() if what == "currency"), "deal_currency_code")
    for name, text_ in texts.items():
        if attributes_.get(name) == "amount":
            values[name], said = cells.money(text_, columns[name], texts.get(currency))
            values |= {} if said is None else {currency: said}
        elif name == "closedate":
            values[name] = cells.moment(text_, columns[name])
        elif name == hubspot.LAST_CONTACT:
            last = cells.moment(text_, columns[name])
            values[name] = None if last is None else last.last
        else:
            values[name] = cells.attribute(attributes_.get(name, ""), text_, columns[name])
    values |= _ids(texts, kind, names, options, tally)
    note = {"objectId": id, "objectTypeId": hubspot.TYPE_IDS[kind], "subscriptionType": "object.creation"}
    yield from hubspot.notification({**note, "occurredAt": created.first}, options.settings)
    yield from _now(kind, id, values, {}, created, modified or created, options)


def _ids(texts: Mapping[str, str], kind: str, names: Names, options: Options, tally: Tally) -> dict[str, str]:
    """Return the ids that the names of stages, pipelines, owners and steps mean."""
    found: dict[str, str] = {}
    if "pipeline" in texts:
        found["pipeline"] = names.pipeline(texts["pipeline"])
    if "hubspot_owner_id" in texts:
        found["hubspot_owner_id"] = names.owner(texts["hubspot_owner_id"])
    if kind == "deal":
        if "dealstage" in texts:
            stage = names.stage(texts["dealstage"], texts.get("pipeline", ""))
            _unmapped(stage, texts, names, tally)
            # A stage of which only its words say that it is closed is taken for HubSpot's own one.
            known = stage_kind(stage, options.settings, hubspot.STAGES)
            said = names.kind(stage)
            found["dealstage"] = f"closed{said}" if said in ("won", "lost") and known != said else stage
        return found
    for step, called, meant in (
        ("lifecyclestage", "life-cycle stage", lifecycle),
        ("hs_lead_status", "lead status", lead_status),
    ):
        label = texts.get(step, "")
        if label and label not in options.settings.lead_statuses:
            known_id = meant(label)
            if known_id is None:
                tally.unmapped[called, label] += 1
            found[step] = known_id or label
    return found
