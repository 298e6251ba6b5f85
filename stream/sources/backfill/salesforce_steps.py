"""What did an opportunity or a lead of Salesforce go through, by its rows and their histories?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, PlacedItem
from stream.sources.backfill.cells import BadCell, CsvCells, Moment
from stream.sources.backfill.names import ExportNames
from stream.sources.crm import salesforce
from stream.sources.crm.base import Unusable
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import event_id, yes
from stream.sources.crm.words import lead_status, plain
from stream.sources.files.ids import salesforce_id
from stream.sources.files.times import ISO

CREATED, CHANGED = ("CreatedDate",), ("LastModifiedDate", "SystemModstamp")
#: How field histories call fields, where it is otherwise than the record does.
HISTORY_NAMES = {"Owner": "OwnerId", "Account": "AccountId", "Campaign": "CampaignId"}
#: What OpportunityHistory follows; an empty one was cleared.
_HISTORY = ("StageName", "Amount", "CloseDate", "CurrencyIsoCode")
#: Statuses of Salesforce's own that say nothing of a contact; the others of its own are the adapter's to know.
_STATUSES = frozenset({"open", "new", "open not contacted", "working contacted", "closed converted", "closed not converted"})
#: How the adapter calls what a status of another language says.
_MEANT = {"CONNECTED": "Working - Contacted", "IN_PROGRESS": "Working - Contacted", "UNQUALIFIED": "Closed - Not Converted"}


class _Times(CsvCells):
    """Times without an offset are in UTC in Salesforce's exports; days are those of the organization."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._zone_of_days = options.settings.zone
        self._days = CsvCells(replace(options, zone=options.settings.zone))
        self._iso = CsvCells(replace(options, zone=options.settings.zone, dates=(ISO,)))

    def day(self, text: str, column: str) -> Moment | None:
        """Return the day, or the moment, that a cell names."""
        return self._days.moment(text, column)

    def date(self, text: str, column: str) -> str:
        """Return a day in ISO 8601."""
        day = self.day(text, column)
        return "" if day is None else datetime.fromtimestamp(day.first / 1000, self._zone_of_days).date().isoformat()

    def close(self, row: Mapping[str, str]) -> Moment | None:
        """Return the close date of a record, which is in ISO 8601 once its row has been read."""
        return self._iso.moment(row.get("CloseDate", ""), "CloseDate")


@dataclass(slots=True)
class Export:
    """What is known of a whole export while it is read."""

    options: Options
    tally: BackfillTally
    names: ExportNames
    cells: _Times = field(init=False)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Whether a deal is closed, and won, by the stage it is in."""
    tracked: dict[str, set[str]] = field(default_factory=lambda: {"Opportunity": set(), "Lead": set()})
    """Fields of which a history tells."""
    histories: bool = False
    """Whether there is an OpportunityHistory."""
    without: int = 0
    """Opportunities that it has no row of."""

    def __post_init__(self) -> None:
        self.cells = _Times(self.options)

    def at(self, row: Mapping[str, str], names: tuple[str, ...]) -> Moment:
        """Return the first moment that one of the fields ``names`` has; raise :class:`BadCell` where there is none."""
        for name in names:
            found = self.cells.moment(row.get(name, ""), name)
            if found is not None:
                return found
        raise BadCell(f"{names[0]}: empty; when it was has to be known")

    def stage(self, fields: Mapping[str, str], *, count: bool) -> None:
        """Remember what a row says of its stage, or, where it does not, what the stage's name does."""
        stage = fields["StageName"]
        if fields.get("IsClosed") and fields.get("IsWon"):
            self.outcomes[stage] = fields["IsClosed"], fields["IsWon"]
            return
        kind = self.names.kind(stage)
        if kind is not None:
            self.outcomes.setdefault(stage, ("false" if kind == "open" else "true", "true" if kind == "won" else "false"))
        elif count and not fields.get("IsClosed"):
            self.tally.unmapped["stage", stage] += 1

    def status(self, label: str, *, count: bool = True) -> str:
        """Return a lead's status as the adapter knows it; one that nobody knows is counted."""
        if label in self.options.settings.lead_statuses or plain(label) in _STATUSES:
            return label
        meant = lead_status(label)
        if meant is None and count:
            self.tally.unmapped["lead status", label] += 1
        return label if meant is None else _MEANT.get(meant, label)


def record_items(
    place: ExportPlace,
    kind: str,
    what: str,
    fields: Mapping[str, Any],
    subject: str,
    at: int,
    id: str,
    settings: SourceSettings,
    changed: int | None = None,
) -> Iterator[PlacedItem]:
    """Yield what the webhook's adapter makes of a record."""
    try:
        for item in salesforce.record(kind, what, fields, subject, at, id, settings, changed):
            yield place, item
    except Unusable as error:
        yield place, error


class SalesforceSteps:
    """What one opportunity or lead went through."""

    def __init__(
        self,
        kind: str,
        row: dict[str, Any],
        place: ExportPlace,
        export: Export,
    ) -> None:
        self.kind, self.row, self.place, self.export = kind, row, place, export
        self.cells, self.settings = export.cells, export.options.settings
        self.subject = str(row["Id"])
        self.created = export.at(row, CREATED)
        self.seen = export.at(row, (*CHANGED, "CreatedDate"))
        if kind == "Opportunity" and self._closed() and not any(row.get(name) for name in CHANGED):
            # A report may have no last modification: what is closed was so by its close date, if that is over.
            day = self.cells.close(row)
            if day is not None and self.seen.last < day.last <= export.options.now:
                self.seen = day

    def told(
        self, history: list[tuple[ExportPlace, dict[str, Any]]], changes: list[tuple[ExportPlace, dict[str, Any]]]
    ) -> Iterator[PlacedItem]:
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
            for name in self.export.tracked[self.kind] & self.row.keys():
                first.setdefault(name, self.row[name])
                followed.add(name)
                unchanged.add(name)
        if any(change["Field"] == "leadConverted" for _, change in changes):
            followed.add("IsConverted")
        for _, change in changes:
            name = HISTORY_NAMES.get(change["Field"], change["Field"])
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

    def _closed(self) -> bool:
        return yes(self.row.get("IsClosed")) or self.export.outcomes.get(self.row.get("StageName", ""), ("", ""))[0] == "true"

    def _when(self, row: Mapping[str, str]) -> int:
        return self.export.at(row, CREATED).first

    def _record(
        self, place: ExportPlace, what: str, fields: Mapping[str, Any], at: int, id: str, changed: int | None
    ) -> Iterator[PlacedItem]:
        stage = fields.get("StageName")
        if isinstance(stage, str) and stage in self.export.outcomes and "IsWon" not in fields:
            closed, won = self.export.outcomes[stage]
            fields = {**fields, "IsClosed": closed, "IsWon": won}
        given = {name: value for name, value in fields.items() if value is not None}
        known = event_id("salesforce", self.kind, self.subject, id)
        yield from record_items(place, self.kind, what, given, self.subject, at, known, self.settings, changed)

    @staticmethod
    def _of_history(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in _HISTORY if name in row}

    def _history(self, history: list[tuple[ExportPlace, dict[str, Any]]]) -> Iterator[PlacedItem]:
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
        if name.endswith("Id") and text:
            try:
                return salesforce_id(text)
            except ValueError:  # a name of as many letters
                return None
        if name == "Status" and text:
            return self.export.status(text, count=False)
        if name == "CloseDate":
            return self.cells.date(text, "NewValue")
        own = self.settings.fields.get(name)
        return text if own is None else str(self.cells.attribute(own, text, "NewValue"))

    def _changes(self, changes: list[tuple[ExportPlace, dict[str, Any]]]) -> Iterator[PlacedItem]:
        for place, row in changes:
            name, at = HISTORY_NAMES.get(row["Field"], row["Field"]), self._when(row)
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
                fields[name], said = self.cells.money(value, "NewValue", self.row.get("CurrencyIsoCode"))
                if said is not None:
                    fields["CurrencyIsoCode"] = said
            yield from self._record(place, "UPDATE", fields, at, id, at // 1000)

    def _present(self, followed: set[str]) -> Iterator[PlacedItem]:
        """Yield what no history has dated, as of the record's last modification."""
        row, as_of = self.row, self.seen.last
        if yes(row.get("IsDeleted")):
            fields = {name: row[name] for name in ("IsDeleted", "MasterRecordId") if row.get(name)}
            yield from self._record(self.place, "DELETE", fields, as_of, "deleted", None)
            return
        rest = {name: value for name, value in row.items() if value and name not in followed}
        for name in ("Id", "CreatedDate", *CHANGED):
            rest.pop(name, None)
        if self.kind == "Opportunity":
            if "StageName" not in followed and row.get("StageName"):
                self.export.without += 1
                stage: dict[str, Any] = {name: rest.pop(name) for name in ("StageName", "IsClosed", "IsWon") if name in rest}
                at = as_of
                if self._closed():
                    day = self.cells.close(row)
                    # Not before it was there, nor after it was seen; a close date can be set by hand.
                    at = as_of if day is None else min(as_of, max(day.last, self.created.last))
                yield from self._record(self.place, "UPDATE", stage, at, f"export stage {at}", None)
            for name in ("StageName", "IsClosed", "IsWon"):
                rest.pop(name, None)
            if self._closed():  # what is said of a closed one may be told before its close, and be taken for a promise
                rest.pop("CloseDate", None)
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
