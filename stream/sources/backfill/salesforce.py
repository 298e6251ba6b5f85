"""What does Salesforce's data export tell?

CSV files, told apart by their columns: *Opportunity* and *Lead* as they are now; *OpportunityHistory* (stage, amount and close
date after each change), *OpportunityFieldHistory* and *LeadHistory* (old and new values); *Task* and *Event*. A change has the
same time, to the second, in its history and in the change event that told of it, and the same event id.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.sources.backfill.base import BadCell, Cells, Moment, Options, Pieces, Place, Table, Tally, Told
from stream.sources.backfill.names import named
from stream.sources.crm import salesforce
from stream.sources.crm.base import Unusable
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import event_id, yes
from stream.sources.files.base import FileReject, SourceFileError

_CREATED, _CHANGED = ("CreatedDate",), ("LastModifiedDate", "SystemModstamp")
_USED = {
    "opportunity": (*salesforce.OPPORTUNITY, "Id", "IsDeleted", "IsClosed", "IsWon", "CreatedDate", *_CHANGED),
    "lead": (
        *salesforce.LEAD, "Id", "IsDeleted", "Status", "IsConverted", "ConvertedDate", "ConvertedOpportunityId", "MasterRecordId",
        "CreatedDate", *_CHANGED,
    ),
    "history": ("Id", "OpportunityId", "StageName", "Amount", "CloseDate", "CurrencyIsoCode", "CreatedDate", "IsDeleted"),
    "field": ("Id", "OpportunityId", "LeadId", "Field", "OldValue", "NewValue", "CreatedDate", "IsDeleted"),
    "activity": ("Id", "WhatId", "WhoId", "OwnerId", "Type", "TaskSubtype", "CreatedDate", "IsDeleted"),
}  # fmt: skip
#: What OpportunityHistory follows; an empty one was cleared.
_HISTORY = ("StageName", "Amount", "CloseDate", "CurrencyIsoCode")
_AMOUNTS = ("Amount",)
_DAYS = ("CloseDate",)
#: How field histories call fields, where it is otherwise than the record does.
_FIELDS = {"Owner": "OwnerId", "Account": "AccountId", "Campaign": "CampaignId"}
_ID = re.compile(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?")


def read(files: list[Path], options: Options, tally: Tally) -> Iterator[Told]:
    """Yield what the files tell, record by record."""
    options = replace(options, settings=named(options.settings))
    cells = _Times(options)
    outcomes: dict[str, tuple[str, str]] = {}
    tracked: dict[str, set[str]] = {"Opportunity": set(), "Lead": set()}
    with Pieces() as pieces:
        for number, path in enumerate(files):
            yield from _sorted(path, number, cells, options, tally, pieces, outcomes, tracked)
        for id, parts in pieces.together():
            yield from _together(id.partition(" ")[2], parts, outcomes, tracked, cells, options, tally)


class _Times(Cells):
    """Times without an offset are in UTC in Salesforce's exports; days are those of the organization."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._days = Cells(replace(options, zone=options.settings.zone))

    def day(self, text: str, column: str) -> Moment | None:
        """Return the day, or the moment, that a cell names."""
        return self._days.moment(text, column)


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
        f"OpportunityFieldHistory, Lead, LeadHistory, Task, Event; found {', '.join(table.header[:12])}"
    )


def _sorted(
    path: Path,
    number: int,
    cells: _Times,
    options: Options,
    tally: Tally,
    pieces: Pieces,
    outcomes: dict[str, tuple[str, str]],
    tracked: dict[str, set[str]],
) -> Iterator[Told]:
    """Put a file's rows with what they belong to; yield what is none."""
    table = Table(path, options, tally)
    names = {name for used in _USED.values() for name in used} | set(options.settings.fields)
    columns = table.columns({name: (name,) for name in sorted(names)}, options, ())
    what = _what(table, columns)
    used = [name for name in (*_USED[what], *options.settings.fields) if name in columns]
    for needed in ("CreatedDate", *(() if what in ("history", "field") else ("Id",))):
        if needed not in columns:
            table.columns({needed: (needed,)}, replace(options, columns={}), (needed,))
    task = "Task" if "TaskSubtype" in columns or "IsClosed" in table.header else "Event"
    for row in table.rows():
        place = Place(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        fields = {name: row.fields[columns[name]] for name in used}
        try:
            for name in _AMOUNTS:
                if fields.get(name):
                    fields[name] = cells.number(fields[name], columns[name])
            for name in _DAYS:
                day = cells.day(fields.get(name, ""), columns.get(name, name))
                if day is not None:
                    fields[name] = datetime.fromtimestamp(day.first / 1000, options.settings.zone).date().isoformat()
            if not fields["CreatedDate"]:
                raise BadCell(f"{columns['CreatedDate']}: empty; when it happened has to be known")
            cells.moment(fields["CreatedDate"], columns["CreatedDate"])
            owner = fields.get("OpportunityId") or fields.get("LeadId") if what in ("history", "field") else fields.get("Id")
            if not owner:
                raise BadCell("Id, OpportunityId, LeadId: empty; the record has to be known")
        except BadCell as error:
            yield place, str(error)
            continue
        if what == "opportunity" and fields.get("StageName"):
            if "IsClosed" in fields and "IsWon" in fields:
                outcomes[fields["StageName"]] = fields["IsClosed"], fields["IsWon"]
        if what in ("history", "field") and yes(fields.get("IsDeleted")):
            continue
        if what == "field":
            name = _FIELDS.get(fields["Field"], fields["Field"])
            if name in salesforce.OPPORTUNITY or name in salesforce.LEAD:
                tracked["Opportunity" if fields.get("OpportunityId") else "Lead"].add(name)
        kind = {"history": "opportunity", "field": "opportunity" if fields.get("OpportunityId") else "lead"}.get(what, what)
        pieces.add(f"{kind} {owner[:15] if len(owner) == 18 else owner}", task if what == "activity" else what, place, fields)


def _together(
    id: str,
    parts: Mapping[str, list[tuple[Place, dict[str, Any]]]],
    outcomes: Mapping[str, tuple[str, str]],
    tracked: Mapping[str, set[str]],
    cells: _Times,
    options: Options,
    tally: Tally,
) -> Iterator[Told]:
    for what in ("Task", "Event"):
        for place, row in parts.get(what, ())[:1]:
            yield from _told(place, what, "CREATE", row, row["Id"], _at(cells, row, _CREATED).first, "", options.settings)
            return
    kind = "Opportunity" if "opportunity" in parts else "Lead" if "lead" in parts else None
    if kind is None:
        place = next(iter(parts.values()))[0][0]
        yield place, f"{id}: its history is there, it is not (accepted: with Opportunity.csv, Lead.csv)"
        return
    place, row = parts[kind.lower()][-1]
    try:
        steps = _Steps(kind, row, place, outcomes, tracked, cells, options, tally)
        yield from steps.told(parts.get("history", []), parts.get("field", []))
    except BadCell as error:
        yield place, str(error)


def _at(cells: _Times, row: Mapping[str, str], names: tuple[str, ...]) -> Moment:
    for name in names:
        found = cells.moment(row.get(name, ""), name)
        if found is not None:
            return found
    raise BadCell(f"{names[0]}: empty; when it was has to be known")


def _told(
    place: Place,
    kind: str,
    what: str,
    fields: Mapping[str, Any],
    subject: str,
    at: int,
    id: str,
    settings: SourceSettings,
    changed: int | None = None,
) -> Iterator[Told]:
    try:
        for item in salesforce.record(kind, what, fields, subject, at, id, settings, changed):
            yield place, item
    except Unusable as error:
        yield place, error


class _Steps:
    """What one opportunity or lead went through."""

    def __init__(
        self,
        kind: str,
        row: dict[str, Any],
        place: Place,
        outcomes: Mapping[str, tuple[str, str]],
        tracked: Mapping[str, set[str]],
        cells: _Times,
        options: Options,
        tally: Tally,
    ) -> None:
        self.kind, self.row, self.place = kind, row, place
        self.tracked = tracked
        self.outcomes, self.cells, self.settings, self.tally = outcomes, cells, options.settings, tally
        self.subject = str(row["Id"])
        self.created = _at(cells, row, _CREATED)
        self.seen = _at(cells, row, (*_CHANGED, "CreatedDate"))

    def told(self, history: list[tuple[Place, dict[str, Any]]], changes: list[tuple[Place, dict[str, Any]]]) -> Iterator[Told]:
        """Yield creation, changes, and what is known of the present only."""
        history = sorted(history, key=lambda part: (self._when(part[1]), part[1].get("Id", "")))
        changes = sorted(changes, key=lambda part: (self._when(part[1]), part[1].get("Id", "")))
        followed: set[str] = set()
        unchanged: set[str] = set()
        first: dict[str, Any] = {}
        if history:
            first = {name: value for name, value in self._of_history(history[0][1]).items() if value}
            followed |= set(_HISTORY)
        if any(change["Field"] == "created" for _, change in changes):
            # Followed from its beginning: a field that is followed and has no change is as it was.
            for name in self.tracked[self.kind] & self.row.keys():
                first.setdefault(name, self.row[name])
                followed.add(name)
                unchanged.add(name)
        if any(change["Field"] == "leadConverted" for _, change in changes):
            followed.add("IsConverted")
        for _, change in changes:
            name = _FIELDS.get(change["Field"], change["Field"])
            if (
                name in (*salesforce.OPPORTUNITY, *salesforce.LEAD, "Status")
                and self._value(name, change["NewValue"]) is not None
            ):
                if name not in followed or name in unchanged:
                    first[name] = self._value(name, change.get("OldValue", ""))
                followed.add(name)
                unchanged.discard(name)
        made = self.created.first
        yield from self._record(self.place, "CREATE", first, made, "created", made // 1000)
        yield from self._history(history)
        yield from self._changes(changes)
        yield from self._present(followed)

    def _when(self, row: Mapping[str, str]) -> int:
        return _at(self.cells, row, _CREATED).first

    def _record(
        self, place: Place, what: str, fields: Mapping[str, Any], at: int, id: str, changed: int | None
    ) -> Iterator[Told]:
        stage = fields.get("StageName")
        if isinstance(stage, str) and stage in self.outcomes and "IsWon" not in fields:
            closed, won = self.outcomes[stage]
            fields = {**fields, "IsClosed": closed, "IsWon": won}
        given = {name: value for name, value in fields.items() if value is not None}
        known = event_id("salesforce", self.kind, self.subject, id)
        yield from _told(place, self.kind, what, given, self.subject, at, known, self.settings, changed)

    @staticmethod
    def _of_history(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in _HISTORY if name in row}

    def _history(self, history: list[tuple[Place, dict[str, Any]]]) -> Iterator[Told]:
        before = self._of_history(history[0][1]) if history else {}
        for place, row in history[1:]:
            now = self._of_history(row)
            fields = {name: value for name, value in now.items() if before.get(name) != value}
            if "Amount" in fields and now.get("CurrencyIsoCode"):
                fields["CurrencyIsoCode"] = now["CurrencyIsoCode"]
            before = now
            if fields:
                at = self._when(row)
                yield from self._record(place, "UPDATE", fields, at, f"OpportunityHistory {row.get('Id')}", at // 1000)

    def _value(self, name: str, text: str) -> str | None:
        # Of a look-up, a history has one row with names and one with ids: webhooks have ids.
        if name.endswith("Id") and text and not _ID.fullmatch(text):
            return None
        return text

    def _changes(self, changes: list[tuple[Place, dict[str, Any]]]) -> Iterator[Told]:
        for place, row in changes:
            name, at = _FIELDS.get(row["Field"], row["Field"]), self._when(row)
            id = f"{self.kind}History {row.get('Id')}"
            if name == "leadConverted":
                fields = {key: self.row.get(key) for key in ("ConvertedOpportunityId", "ConvertedAccountId")}
                yield from self._record(place, "UPDATE", {"IsConverted": "true", **fields}, at, id, at // 1000)
                continue
            value = self._value(name, row["NewValue"])
            if value is None or name not in (*salesforce.OPPORTUNITY, *salesforce.LEAD, "Status", *self.settings.fields):
                continue
            fields = {name: value}
            if name == "Amount":
                fields[name] = self.cells.number(value, "NewValue")
                if self.row.get("CurrencyIsoCode"):
                    fields["CurrencyIsoCode"] = self.row["CurrencyIsoCode"]
            yield from self._record(place, "UPDATE", fields, at, id, at // 1000)

    def _present(self, followed: set[str]) -> Iterator[Told]:
        """Yield what no history has dated, as of the record's last modification."""
        row, as_of = self.row, self.seen.last
        if yes(row.get("IsDeleted")):
            fields = {name: row[name] for name in ("IsDeleted", "MasterRecordId") if row.get(name)}
            yield from self._record(self.place, "DELETE", fields, as_of, "deleted", None)
            return
        rest = {name: value for name, value in row.items() if value and name not in followed}
        for name in ("Id", "CreatedDate", *_CHANGED):
            rest.pop(name, None)
        if self.kind == "Opportunity":
            if "StageName" not in followed and row.get("StageName"):
                note = "without OpportunityHistory: stages and amounts are told as they are now, closes by their CloseDate"
                self.tally.notes[note] = None
                stage: dict[str, Any] = {name: rest.pop(name) for name in ("StageName", "IsClosed", "IsWon") if name in rest}
                at = as_of
                if yes(row.get("IsClosed")) or self.outcomes.get(row["StageName"], ("", ""))[0] == "true":
                    day = self.cells.day(row.get("CloseDate", ""), "CloseDate")
                    # Not before it was there, nor after it was seen; a close date can be set by hand.
                    at = as_of if day is None else min(as_of, max(day.last, self.created.last))
                yield from self._record(self.place, "UPDATE", stage, at, f"export stage {at}", None)
            for name in ("StageName", "IsClosed", "IsWon"):
                rest.pop(name, None)
        else:
            day = self.cells.day(rest.pop("ConvertedDate", ""), "ConvertedDate")
            if yes(rest.get("IsConverted")):
                at = as_of if day is None else min(as_of, max(day.last, self.created.last))
                names = ("IsConverted", "ConvertedOpportunityId", "ConvertedAccountId")
                converted = {name: rest.pop(name) for name in names if name in rest}
                yield from self._record(self.place, "UPDATE", converted, at, "export converted", None)
            for name in ("IsConverted", "ConvertedOpportunityId", "IsDeleted", "MasterRecordId"):
                rest.pop(name, None)
        rest.pop("IsDeleted", None)
        if rest:
            yield from self._record(self.place, "UPDATE", rest, as_of, f"export {as_of}", None)
