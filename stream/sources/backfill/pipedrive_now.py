"""What does an export of Pipedrive tell where it has no change log: CSV, and deals as they are now?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.calendar import iso
from models.events.refused import Reason
from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, PlacedItem
from stream.sources.backfill.cells import BadCell, CsvCells, Moment, whole_id
from stream.sources.backfill.columns import PIPEDRIVE
from stream.sources.backfill.names import ExportNames
from stream.sources.backfill.tables import Table
from stream.sources.crm import pipedrive
from stream.sources.crm.base import Unusable
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import identifier
from stream.sources.files.base import FileReject

#: The times that a deal has of its own.
TIMES = ("add_time", "update_time", "stage_change_time", "won_time", "lost_time")


def notification_items(place: ExportPlace, body: Mapping[str, Any], options: Options) -> Iterator[PlacedItem]:
    """Yield what the webhook\'s adapter makes of a notification."""
    try:
        for item in pipedrive.notification(body, options.settings):
            yield place, item
    except Unusable as error:
        yield place, error


def body_of(
    entity: str, action: str, data: Mapping[str, Any], at: int, previous: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the notification that the webhook would have sent."""
    owner = data.get("owner_id", data.get("user_id"))
    id = identifier(data.get("id"), "id")
    meta = {"version": "2.0", "action": action, "entity": entity, "entity_id": id, "id": "export", "timestamp": iso(at)}
    found = {**data, "owner_id": owner.get("id", owner.get("value")) if isinstance(owner, dict) else owner}
    if owner is None:
        del found["owner_id"]
    return {"meta": meta, "data": found, "previous": dict(previous or {})}


def as_now(record: Mapping[str, Any], moments: Mapping[str, Moment], settings: SourceSettings) -> Iterator[dict[str, Any]]:
    """Yield what a deal's own times tell, and the rest as of its last change."""
    made = moments.get("add_time")
    if made is None:
        raise Unusable(Reason.BAD_TIME, "add_time: empty; when the deal was created has to be known")
    id, stage, status = record.get("id"), record.get("stage_id"), pipedrive.status_of(record.get("status"), settings) or "open"
    moved = moments.get("stage_change_time", made)
    first: dict[str, Any] = {"id": id, "status": "open"}
    if moved.first <= made.last and stage not in (None, ""):
        first["stage_id"] = stage
    if record.get("person_id") not in (None, ""):
        first["person_id"] = record["person_id"]  # when it came to the deal is not said
    yield body_of("deal", "create", first, made.first)
    if "stage_id" not in first and stage not in (None, ""):
        at = _when(moved)
        data = {"id": id, "stage_id": stage, "stage_change_time": at // 1000}
        yield body_of("deal", "change", data, at, {"stage_id": None})
    seen = max(made.last, *(one.last for one in moments.values()))
    if status in ("won", "lost"):
        closed = moments.get(f"{status}_time") or Moment(seen, seen)
        at = _when(closed)
        data = {"id": id, "status": status, f"{status}_time": at // 1000, "lost_reason": record.get("lost_reason")}
        yield body_of("deal", "change", data, at, {"status": "open"})
    elif status == "deleted":
        yield body_of("deal", "delete", record, seen)
        return
    left_out = {"stage_id", "status", *TIMES}
    if status in ("won", "lost"):  # what is said of a closed one may be told before its close, and be taken for a promise
        left_out.add("expected_close_date")
    rest = {name: value for name, value in record.items() if name not in left_out}
    yield body_of("deal", "change", rest, seen)


def _when(moment_: Moment) -> int:
    # To the second it is the webhook's own time; said less exactly, the end of the minute or day, which is not before that.
    return moment_.first if moment_.last - moment_.first < 1000 else moment_.last


def table_of(path: Path, number: int, options: Options, names: ExportNames, tally: BackfillTally) -> Iterator[PlacedItem]:
    """Yield what a CSV file tells, row by row."""
    known = PIPEDRIVE | {name: (name,) for name in options.settings.fields}
    table, cells = Table(path, options, tally, known), CsvCells(options)
    columns = table.columns(known, options, ("id", "add_time", "status"))
    tally.notes[f"{path}: an export in CSV has no history: stages, amounts and owners are told as they are now"] = None
    for row in table.rows():
        place = ExportPlace(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        try:
            record, moments = _row(row.fields, columns, cells, names, options.settings)
            for body in as_now(record, moments, options.settings):
                yield from notification_items(place, body, options)
        except BadCell as error:
            yield place, str(error)
        except Unusable as error:
            yield place, error


def _row(
    row: Mapping[str, str], columns: Mapping[str, str], cells: CsvCells, names: ExportNames, settings: SourceSettings
) -> tuple[dict[str, Any], dict[str, Moment]]:
    """Return a row as the API has a deal, and its times."""
    record: dict[str, Any] = {name: row[column] for name, column in columns.items() if row[column]}
    whole_id(record.get("id", ""), columns["id"])
    moments = {
        name: found
        for name in TIMES
        if name in columns and (found := cells.moment(row[columns[name]], columns[name])) is not None
    }
    if "status" not in record:
        raise BadCell(f"{columns['status']}: empty; whether the deal is open, won or lost has to be known")
    try:
        record["status"] = pipedrive.status_of(record.get("status"), settings) or "open"
    except Unusable as error:
        raise BadCell(f"{columns['status']}: {error.detail.removeprefix('status: ')}") from None
    if "stage_id" in record:
        record["stage_id"] = names.stage(record["stage_id"], record.get("pipeline_id", ""))
    if "pipeline_id" in record:
        record["pipeline_id"] = names.pipeline(record["pipeline_id"])
    if "owner_id" in record:
        record["owner_id"] = names.owner(record["owner_id"])
    for name, what in {**settings.fields, "title": "name"}.items():
        if name in record:
            record[name] = cells.attribute(what, record[name], columns[name])
    if "value" in record:
        record["value"], currency = cells.money(record["value"], columns["value"], record.get("currency"))
        record |= {} if currency is None else {"currency": currency}
    day = cells.moment(record.get("expected_close_date", ""), columns.get("expected_close_date", ""))
    if day is not None:
        record["expected_close_date"] = day.first
    return record, moments
