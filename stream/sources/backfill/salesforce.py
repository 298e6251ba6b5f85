"""What does Salesforce's data export tell?

CSV files, told apart by their columns: *Opportunity* and *Lead* as they are now; *OpportunityHistory* (stage, amount and close
date after each change), *OpportunityFieldHistory* and *LeadHistory* (old and new values); *Task* and *Event*. A change has the
same time, to the second, in its history and in the change event that told of it, and the same event id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, Pieces, PlacedItem
from stream.sources.backfill.cells import BadCell, flags, record_id
from stream.sources.backfill.columns import SALESFORCE
from stream.sources.backfill.names import ExportNames
from stream.sources.backfill.salesforce_steps import CHANGED, CREATED, HISTORY_NAMES, Export, SalesforceSteps, record_items
from stream.sources.backfill.tables import Table
from stream.sources.crm import salesforce
from stream.sources.files.base import CsvRow, FileReject
from stream.sources.files.ids import salesforce_id
from stream.sources.files.text import SourceFileError

_USED = {
    "opportunity": (*salesforce.OPPORTUNITY, "Id", "IsDeleted", "IsClosed", "IsWon", "CreatedDate", *CHANGED),
    "lead": (
        *salesforce.LEAD, "Id", "IsDeleted", "Status", "IsConverted", "ConvertedDate", "ConvertedOpportunityId", "MasterRecordId",
        "CreatedDate", *CHANGED,
    ),
    "history": ("Id", "OpportunityId", "StageName", "Amount", "CloseDate", "CurrencyIsoCode", "CreatedDate", "IsDeleted"),
    "field": ("Id", "OpportunityId", "LeadId", "Field", "OldValue", "NewValue", "CreatedDate", "IsDeleted"),
    "activity": ("Id", "WhatId", "WhoId", "OwnerId", "Type", "TaskSubtype", "Status", "IsClosed", "CreatedDate", "IsDeleted"),
}  # fmt: skip
_FLAGS = ("IsDeleted", "IsClosed", "IsWon", "IsConverted")
#: Fields that hold the id of another record, or, in a report, its name.
_LINKS = (
    "OwnerId",
    "CampaignId",
    "AccountId",
    "ConvertedAccountId",
    "ConvertedOpportunityId",
    "MasterRecordId",
    "WhatId",
    "WhoId",
)
_FEW = "1 fields in the row"


def read(files: list[Path], options: Options, tally: BackfillTally) -> Iterator[PlacedItem]:
    """Yield what the files tell, record by record."""
    names = ExportNames(options.settings, options.lists, {}, {"Closed Won": "won", "Closed Lost": "lost"})
    export = Export(replace(options, settings=names.settings), tally, names)
    with Pieces() as pieces:
        for number, path in enumerate(files):
            yield from _sorted(path, number, export, pieces)
        for id, parts in pieces.together():
            tally.met()
            yield from _together(id.partition(" ")[2], parts, export)
    if export.without:
        which = (
            f"{export.without:,} opportunities that OpportunityHistory lacks"
            if export.histories
            else "without OpportunityHistory"
        )
        tally.notes[f"{which}: stages and amounts are told as they are now, closes by their CloseDate"] = None


def _known(options: Options) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys([name for used in _USED.values() for name in used] + list(options.settings.fields))
    return {name: (name, *SALESFORCE.get(name, ())) for name in names}


def _what(table: Table, columns: Mapping[str, str]) -> str:
    if {"Field", "NewValue"} <= columns.keys() and columns.keys() & {"OpportunityId", "LeadId"}:
        return "field"
    if {"OpportunityId", "StageName"} <= columns.keys():
        return "history"
    if {"WhoId", "WhatId"} <= columns.keys():
        return "activity"
    if "StageName" in columns:
        return "opportunity"
    if columns.keys() & {"Status", "IsConverted"} and "Id" in columns:
        return "lead"
    raise SourceFileError(
        f"{table.path}:1: nothing shows what the records are; accepted are the data export's Opportunity, OpportunityHistory, "
        f"OpportunityFieldHistory, Lead, LeadHistory, Task, Event, and reports of opportunities or leads; "
        f"found {', '.join(table.header[:12])}"
    )


def _sorted(path: Path, number: int, export: Export, pieces: Pieces) -> Iterator[PlacedItem]:
    """Put a file's rows with what they belong to; yield what is none."""
    options, known = export.options, _known(export.options)
    table = Table(path, options, export.tally, known)
    columns = table.columns(known, options, ())
    what = _what(table, columns)
    used = [name for name in (*_USED[what], *options.settings.fields) if name in columns]
    needed = ("CreatedDate",) if what in ("history", "field") else ("Id", "CreatedDate")
    table.columns(known, options, needed)
    export.histories |= what == "history"
    task = "Task" if "TaskSubtype" in columns or "IsClosed" in table.header else "Event"
    rows = table.rows()
    for row in rows if columns.get("Id") in (None, "Id") else _without_footer(rows, path, export.tally):
        place = ExportPlace(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        try:
            owner, fields = _fields({name: row.fields[columns[name]] for name in used}, columns, what, export)
        except BadCell as error:
            yield place, str(error)
            continue
        if what in ("history", "field") and fields.get("IsDeleted") == "true":
            continue
        if what == "field":
            name = HISTORY_NAMES.get(fields["Field"], fields["Field"])
            if name in salesforce.OPPORTUNITY or name in salesforce.LEAD:
                export.tracked["Opportunity" if fields.get("OpportunityId") else "Lead"].add(name)
        kind = {"history": "opportunity", "field": "opportunity" if fields.get("OpportunityId") else "lead"}.get(what, what)
        pieces.add(f"{kind} {owner}", task if what == "activity" else what, place, fields)


def _without_footer(rows: Iterator[CsvRow | FileReject], path: Path, tally: BackfillTally) -> Iterator[CsvRow | FileReject]:
    """Leave out what a report writes below its records: lines of one cell, several, and no record behind them."""
    held: list[CsvRow | FileReject] = []
    for row in rows:
        if row.reason.startswith(_FEW) if isinstance(row, FileReject) else sum(map(bool, row.fields.values())) < 2:
            held.append(row)
            continue
        yield from held
        held.clear()
        yield row
    if len(held) > 1:
        tally.notes[
            f"{path}: {len(held)} lines below the records, from line {held[0].line}, are taken for the report's footer"
        ] = None
    else:
        yield from held


def _fields(fields: dict[str, str], columns: Mapping[str, str], what: str, export: Export) -> tuple[str, dict[str, str]]:
    """Return the id of the record that a row belongs to, and the row's fields as the API has them."""
    cells, names = export.cells, export.names
    flags(fields, {name: columns[name] for name in _FLAGS if name in columns})
    if fields.get("Amount"):
        fields["Amount"], said = cells.money(fields["Amount"], columns["Amount"], fields.get("CurrencyIsoCode"))
        fields |= {} if said is None else {"CurrencyIsoCode": said}
    if fields.get("CloseDate"):
        fields["CloseDate"] = cells.date(fields["CloseDate"], columns["CloseDate"])
    if not fields["CreatedDate"]:
        raise BadCell(f"{columns['CreatedDate']}: empty; when it happened has to be known")
    cells.moment(fields["CreatedDate"], columns["CreatedDate"])
    owner = next((name for name in ("OpportunityId", "LeadId") if fields.get(name)), "Id")
    if what not in ("history", "field"):
        owner = "Id"
    if owner not in columns or not fields[owner]:
        raise BadCell("Id, OpportunityId, LeadId: empty; the record has to be known")
    fields[owner] = record_id(fields[owner], columns[owner])
    for name in _LINKS:
        if fields.get(name):
            try:
                fields[name] = salesforce_id(fields[name]) or fields[name]
            except ValueError as error:
                raise BadCell(f"{columns[name]}: {error}") from None
    own = {"Name": "name", "FirstName": "name", "LastName": "name", **export.options.settings.fields}
    for name, attribute in own.items():
        if name in fields:
            fields[name] = str(cells.attribute(attribute, fields[name], columns[name]))
    if fields.get("OwnerId"):
        fields["OwnerId"] = names.owner(fields["OwnerId"])
    if fields.get("StageName"):
        fields["StageName"] = names.stage(fields["StageName"])
        export.stage(fields, count=what == "opportunity")
    if fields.get("Status") and what == "lead":
        fields["Status"] = export.status(fields["Status"])
    return fields[owner], fields


def _together(id: str, parts: Mapping[str, list[tuple[ExportPlace, dict[str, Any]]]], export: Export) -> Iterator[PlacedItem]:
    for what in ("Task", "Event"):
        for place, row in parts.get(what, ())[:1]:
            yield from record_items(
                place, what, "CREATE", row, row["Id"], export.at(row, CREATED).first, "", export.options.settings
            )
            return
    kind = "Opportunity" if "opportunity" in parts else "Lead" if "lead" in parts else None
    if kind is None:
        place = next(iter(parts.values()))[0][0]
        yield place, f"{id}: its history is there, it is not (accepted: with Opportunity.csv, Lead.csv)"
        return
    records = parts[kind.lower()]
    place, row = records[-1]
    made = sorted({record["CreatedDate"] for _, record in records})
    if len(made) > 1:
        yield place, f"{id}: two records have this id, created {made[0]} and {made[-1]}; the case of letters may have been lost"
        return
    try:
        yield from SalesforceSteps(kind, row, place, export).told(parts.get("history", []), parts.get("field", []))
    except BadCell as error:
        yield place, str(error)
