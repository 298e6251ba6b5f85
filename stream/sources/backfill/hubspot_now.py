"""What does an export of HubSpot tell where it has no history: CSV, and properties as they are now?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.events.refused import Reason
from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, PlacedItem
from stream.sources.backfill.cells import BadCell, CsvCells, Moment, flags, whole_id
from stream.sources.backfill.columns import HUBSPOT
from stream.sources.backfill.names import ExportNames
from stream.sources.backfill.tables import Table
from stream.sources.crm import hubspot
from stream.sources.crm.base import Item, Unusable
from stream.sources.crm.values import attributes, event, event_id, moment, stage_kind, yes
from stream.sources.crm.words import lead_status, lifecycle
from stream.sources.files.base import FileReject
from stream.sources.files.text import SourceFileError

#: What ``--object`` takes.
KINDS = {"deals": "deal", "contacts": "contact", "leads": "lead"}
CLOSED = ("hs_is_closed_won", "hs_is_closed_lost")


def usable(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, and why there are no more where one cannot be used."""
    try:
        yield from items
    except Unusable as error:
        yield error


def unmapped(stage: str, values: Mapping[str, Any], names: ExportNames, tally: BackfillTally) -> None:
    """Count a stage of which nothing says what it is."""
    if stage and names.kind(stage) is None and not any(values.get(flag) for flag in CLOSED):
        tally.unmapped["stage", stage] += 1


def as_now(
    kind: str,
    id: str,
    values: Mapping[str, Any],
    linked: Mapping[str, str],
    created: Moment | None,
    modified: Moment | None,
    options: Options,
) -> Iterator[Item]:
    """Yield what is known of the present of a record, as of its last modification; closes by their own date."""
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
        for flag, meant in zip(CLOSED, ("won", "lost"), strict=True):
            outcome = meant if yes(values.get(flag)) else outcome
        if outcome in ("won", "lost"):
            # What is said of a closed one may be told before its close, and be taken for a promise.
            told.pop("closedate", None)
        if closed is not None:
            at = as_of
            if outcome in ("won", "lost"):
                day = values.get("closedate")
                when = day if isinstance(day, Moment) else _exactly(day) if day else None
                # Not before it was there, nor after it was seen; a close date can be set by hand.
                at = as_of if when is None else min(as_of, max(when.last, 0 if created is None else created.last))
            change = {"propertyName": "dealstage", "propertyValue": closed}
            if outcome != stage_kind(closed, settings, hubspot.STAGES):
                change = {"propertyName": CLOSED[0] if outcome == "won" else CLOSED[1], "propertyValue": "true"}
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


def table_of(
    path: Path, number: int, kind: str | None, options: Options, names: ExportNames, tally: BackfillTally
) -> Iterator[PlacedItem]:
    """Yield what a CSV file tells, row by row."""
    # A property of one's own, or one by its internal name, may be a column as well.
    more = {
        name: (name,)
        for name in (*hubspot.properties("deal"), *hubspot.properties("contact", options.settings), *options.settings.fields)
    }
    known = {name: (*HUBSPOT.get(name, ()), *more.get(name, ())) for name in (*HUBSPOT, *more)}
    table, cells = Table(path, options, tally, known), CsvCells(options)
    columns = table.columns(known, options, ("id", "created", "modified"))
    kind = kind or ("deal" if "dealstage" in columns else "contact" if {"email", "lifecyclestage"} & columns.keys() else None)
    if kind is None:
        raise SourceFileError(f"{path}:1: nothing shows what the records are (accepted: --object {', '.join(KINDS)})")
    tally.notes[f"{path}: an export in CSV has no history: stages, amounts and owners are told as they are now"] = None
    for row in table.rows():
        place = ExportPlace(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        try:
            for item in usable(_row(row.fields, columns, kind, cells, options, names, tally)):
                yield place, item
        except BadCell as error:
            yield place, str(error)


def _row(
    row: Mapping[str, str],
    columns: Mapping[str, str],
    kind: str,
    cells: CsvCells,
    options: Options,
    names: ExportNames,
    tally: BackfillTally,
) -> Iterator[Item]:
    texts = {name: row[column] for name, column in columns.items() if row[column]}
    flags(texts, {name: columns[name] for name in CLOSED if name in columns})
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
    yield from as_now(kind, id, values, {}, created, modified or created, options)


def _ids(texts: Mapping[str, str], kind: str, names: ExportNames, options: Options, tally: BackfillTally) -> dict[str, str]:
    """Return the ids that the names of stages, pipelines, owners and steps mean."""
    found: dict[str, str] = {}
    if "pipeline" in texts:
        found["pipeline"] = names.pipeline(texts["pipeline"])
    if "hubspot_owner_id" in texts:
        found["hubspot_owner_id"] = names.owner(texts["hubspot_owner_id"])
    if kind == "deal":
        if "dealstage" in texts:
            stage = names.stage(texts["dealstage"], texts.get("pipeline", ""))
            unmapped(stage, texts, names, tally)
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
