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
from stream.sources.backfill.base import BadCell, Cells, Moment, Options, Place, Table, Tally, Told, is_json, records
from stream.sources.backfill.names import named
from stream.sources.crm import hubspot
from stream.sources.crm.base import Item, Unusable
from stream.sources.crm.values import attributes, event, event_id, identifier, moment, stage_kind, text, yes
from stream.sources.files.base import FileReject, SourceFileError

_KINDS = {"deals": "deal", "contacts": "contact", "leads": "lead"}
#: Properties that show what a record is.
_SIGNS = {
    "deal": {"dealstage", "dealname"},
    "contact": {"lifecyclestage", "email"},
    "lead": {"hs_lead_name", "hs_pipeline_stage"},
}
_CREATED = ("hs_createdate", "createdate")
_MODIFIED = ("hs_lastmodifieddate", "lastmodifieddate")
_MERGED = "hs_merged_object_ids"
_CLOSED = ("hs_is_closed_won", "hs_is_closed_lost")

#: Names that HubSpot gives the columns of its exports, by property.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("Record ID", "Deal ID", "Contact ID", "Lead ID", "hs_object_id", "ID"),
    "created": ("Create Date", "Created At", "hs_createdate", "createdate", "Date de création"),
    "modified": ("Last Modified Date", "hs_lastmodifieddate", "lastmodifieddate", "Date de la dernière modification"),
    "amount": ("Amount", "Montant"),
    "deal_currency_code": ("Currency", "Deal Currency Code", "Devise"),
    "dealstage": ("Deal Stage", "Étape de la transaction", "Phase de la transaction"),
    "pipeline": ("Pipeline",),
    "hubspot_owner_id": ("Deal owner", "Contact owner", "Lead owner", "Owner", "Propriétaire de la transaction"),
    "hubspot_team_id": ("HubSpot Team", "HubSpot team"),
    "closedate": ("Close Date", "Date de fermeture"),
    "hs_is_closed_won": ("Is Closed Won",),
    "hs_is_closed_lost": ("Is closed lost",),
    "hs_analytics_source": ("Original Source Type", "Original Traffic Source", "Original Source"),
    "hs_campaign": ("HubSpot Campaign",),
    "utm_campaign": ("UTM Campaign",),
    "hubspotscore": ("HubSpot Score",),
    "email": ("Email", "E-mail"),
    "country": ("Country/Region", "Country"),
    "lifecyclestage": ("Lifecycle Stage",),
    "hs_lead_status": ("Lead Status",),
}
#: Labels that HubSpot's own stages and steps have in an export, by their ids.
_LABELS = {
    "dealstage": {
        label: label.replace(" ", "").replace("-", "").lower()
        for label in (
            "Appointment Scheduled",
            "Qualified To Buy",
            "Presentation Scheduled",
            "Decision Maker Bought-In",
            "Contract Sent",
            "Closed Won",
            "Closed Lost",
        )
    },
    "lifecyclestage": {
        "Marketing Qualified Lead": "marketingqualifiedlead",
        "Sales Qualified Lead": "salesqualifiedlead",
        "Opportunity": "opportunity",
        "Customer": "customer",
    },
    "hs_lead_status": {
        "Connected": "CONNECTED",
        "In Progress": "IN_PROGRESS",
        "Open Deal": "OPEN_DEAL",
        "Unqualified": "UNQUALIFIED",
    },
    "pipeline": {"Sales Pipeline": "default"},
}


def read(files: list[Path], options: Options, tally: Tally) -> Iterator[Told]:
    """Yield what the files tell, in their order."""
    kind = None if options.kind is None else _KINDS.get(options.kind)
    if options.kind is not None and kind is None:
        raise SourceFileError(f"--object: found {options.kind!r} (accepted: {', '.join(_KINDS)})")
    options = replace(options, settings=named(options.settings))
    for number, path in enumerate(files):
        if is_json(path):
            for line, record in records(path, ("results",)):
                place = Place(number, line)
                if isinstance(record, str):
                    yield place, record
                    continue
                for item in _usable(_record(record, kind, options)):
                    yield place, item
        else:
            yield from _table(path, number, kind, options, tally)


def _usable(items: Iterator[Item]) -> Iterator[Item]:
    try:
        yield from items
    except Unusable as error:
        yield error


# -- JSON: with the history of properties -----------------------------------------------------------------------------


def _record(record: Mapping[str, Any], kind: str | None, options: Options) -> Iterator[Item]:
    id, histories, now = record.get("id"), record.get("propertiesWithHistory") or {}, record.get("properties") or {}
    if not isinstance(histories, dict) or not isinstance(now, dict):
        raise Unusable(Reason.INVALID_DATA, "properties, propertiesWithHistory: accepted are objects")
    kind = kind or next((one for one, signs in _SIGNS.items() if signs & (histories.keys() | now.keys())), None)
    if kind is None:
        raise Unusable(Reason.INVALID_DATA, f"{shown(id)}: nothing shows what it is (accepted: --object {', '.join(_KINDS)})")
    note = {"objectId": identifier(id, "id"), "objectTypeId": hubspot.TYPE_IDS[kind]}
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
    links = record.get("associations")
    for name, attribute in (("contacts", "lead_id"), ("companies", "account_id")):
        ends = links.get(name) if isinstance(links, dict) else None
        results = ends.get("results") if isinstance(ends, dict) else None
        ids = {str(one.get("id")) for one in results if isinstance(one, dict)} if isinstance(results, list) else set()
        if len(ids) == 1:
            found[attribute] = ids.pop()
    return found


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


def _table(path: Path, number: int, kind: str | None, options: Options, tally: Tally) -> Iterator[Told]:
    table, cells = Table(path, options, tally), Cells(options)
    # A property of one's own, or one by its internal name, may be a column as well.
    more = {name: (name,) for name in (*hubspot.properties("deal"), *hubspot.properties("contact"), *options.settings.fields)}
    known = {name: (*COLUMNS.get(name, ()), *more.get(name, ())) for name in (*COLUMNS, *more)}
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
            for item in _usable(_row(row.fields, columns, kind, cells, options)):
                yield place, item
        except BadCell as error:
            yield place, str(error)


def _row(row: Mapping[str, str], columns: Mapping[str, str], kind: str, cells: Cells, options: Options) -> Iterator[Item]:
    values: dict[str, Any] = {}
    for name, column in columns.items():
        text_ = row[column]
        if not text_ or name in ("id", "created", "modified"):
            continue
        if hubspot.properties(kind).get(name) == "amount" or options.settings.fields.get(name) in ("amount", "cost"):
            values[name] = cells.number(text_, column)
        elif name == "closedate":
            values[name] = cells.moment(text_, column)
        else:
            values[name] = _LABELS.get(name, {}).get(text_, text_)
    id = row[columns["id"]]
    created = cells.moment(row[columns["created"]], columns["created"])
    modified = cells.moment(row[columns["modified"]], columns["modified"])
    if created is None:
        raise BadCell(f"{columns['created']}: empty; when the record was created has to be known")
    note = {"objectId": identifier(id, columns["id"]), "objectTypeId": hubspot.TYPE_IDS[kind]}
    yield from hubspot.notification(
        {**note, "subscriptionType": "object.creation", "occurredAt": created.first}, options.settings
    )
    yield from _now(kind, note["objectId"], values, {}, created, modified or created, options)
