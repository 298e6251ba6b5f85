"""What does an export of Pipedrive tell?

* JSON: the deals (``GET /v1/deals``, also persons, activities), and for each deal its change log (``GET /v1/deals/{id}/flow``),
  in any order and any number of files. A deal is taken back to how it began and then changed again, a second at a time, as its
  webhook would have told; activities that are done come from the log.
* CSV (*Export data*): how the deals are now, with the times of creation, last change of stage, and close.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.calendar import iso
from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.backfill.base import Options, Pieces, Place, Tally, Told
from stream.sources.backfill.cells import BadCell, Cells, Moment, whole_id
from stream.sources.backfill.columns import PIPEDRIVE
from stream.sources.backfill.documents import is_json, records
from stream.sources.backfill.names import Names
from stream.sources.backfill.tables import Table
from stream.sources.crm import pipedrive
from stream.sources.crm.base import Unusable
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import identifier, moment, yes
from stream.sources.files.base import FileReject
from stream.sources.files.ids import damage

_TIMES = ("add_time", "update_time", "stage_change_time", "won_time", "lost_time")
#: Fields of the change log under another name than in webhooks.
_RENAMED = {"user_id": "owner_id"}
_FOLLOWED = frozenset(
    {
        "value",
        "currency",
        "stage_id",
        "pipeline_id",
        "owner_id",
        "person_id",
        "org_id",
        "expected_close_date",
        "origin",
        "channel",
    }
)
#: A deal's own time and its log's may be this far apart (seconds) and still be of the same change.
_SAME = 2


def read(files: list[Path], options: Options, tally: Tally) -> Iterator[Told]:
    """Yield what the files tell: CSV in order, then the deals of JSON by id."""
    names = Names(options.settings, options.lists)
    options = replace(options, settings=names.settings)
    flows = False
    with Pieces() as pieces:
        for number, path in enumerate(files):
            if not is_json(path):
                yield from _table(path, number, options, names, tally)
                continue
            for line, record in records(path, ("data", "items")):
                place = Place(number, line)
                tally.met()
                if isinstance(record, str):
                    yield place, record
                    continue
                try:
                    sorted_ = _sorted(record)
                except Unusable as error:
                    yield place, error
                    continue
                if sorted_ is not None:
                    flows = flows or sorted_[1] == "change"
                    pieces.add(*sorted_[:2], place, sorted_[2])
        alone = 0
        for _, parts in pieces.together():
            alone += parts.keys() == {"deal"}
            yield from _together(parts, options)
        if alone:
            which = f"{alone:,} deals that no /flow has a change of" if flows else "deals without their /flow"
            tally.notes[f"{which}: stages, amounts and owners are told as they are now"] = None


def _sorted(record: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]] | None:
    """Return to which record a part belongs, and what it is; None for what has no use here."""
    kind, data = record.get("object"), record.get("data")
    if isinstance(kind, str) and isinstance(data, dict):  # an item of a change log
        if kind == "dealChange":
            return f"deal {identifier(data.get('item_id'), 'item_id')}", "change", data
        if kind == "activity":
            return f"activity {identifier(data.get('id'), 'id')}", "activity", data
        return None
    id = identifier(record.get("id"), "id")
    if wrong := damage(id, whole="-" not in id):  # leads have UUIDs
        raise Unusable(Reason.INVALID_DATA, f"id: {wrong}")
    if "stage_id" in record:
        return f"deal {id}", "deal", record
    if "done" in record and "type" in record:
        return f"activity {id}", "activity", record
    if {"email", "emails", "phone", "phones", "first_name"} & record.keys():
        return f"person {id}", "person", record
    if "label_ids" in record and "is_archived" in record:
        return f"lead {id}", "lead", record
    raise Unusable(Reason.INVALID_DATA, f"{shown(id)}: accepted are deals, persons, leads, activities and items of /flow")


def _together(parts: Mapping[str, list[tuple[Place, dict[str, Any]]]], options: Options) -> Iterator[Told]:
    kind = next(iter(parts.keys() - {"change"}), None)
    if kind is None:
        place, change = parts["change"][0]
        yield place, f"deal {change.get('item_id')}: its change log is there, it is not (accepted: with /v1/deals of it)"
        return
    place, record = parts[kind][-1]
    try:
        if kind == "deal" and "change" in parts:
            for at, body in _replayed(record, parts["change"], place, options.settings):
                yield from _told(at, body, options)
            return
        if kind == "deal":
            moments = {name: _second(record[name], name) for name in _TIMES if record.get(name)}
            bodies = _now(record, moments, options.settings)
        elif kind == "activity":
            bodies = iter([_body("activity", "change", record, _done(record), {"done": False})])
        else:
            made = _second(record.get("add_time"), "add_time")
            seen = _second(record.get("update_time") or record.get("add_time"), "update_time")
            bodies = iter(
                [_body(kind, "create", {"id": record["id"]}, made.first), _body(kind, "change", record, seen.last, {"id": None})]
            )
        for body in bodies:
            yield from _told(place, body, options)
    except Unusable as error:
        yield place, error


def _told(place: Place, body: Mapping[str, Any], options: Options) -> Iterator[Told]:
    try:
        for item in pipedrive.notification(body, options.settings):
            yield place, item
    except Unusable as error:
        yield place, error


def _body(
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


def _second(value: Any, name: str) -> Moment:
    at = moment(value, name)
    return Moment(at, at + (999 if at % 1000 == 0 else 0))


def _done(activity: Mapping[str, Any]) -> int:
    for name in ("marked_as_done_time", "update_time", "add_time"):
        if activity.get(name):
            return moment(activity[name], name)
    raise Unusable(Reason.BAD_TIME, "marked_as_done_time: empty; when the activity was done has to be known")


# -- with the change log ----------------------------------------------------------------------------------------------


def _replayed(
    record: Mapping[str, Any], changes: list[tuple[Place, dict[str, Any]]], place: Place, settings: SourceSettings
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield a deal's creation and changes, as its webhook would have told of them."""
    state = _plain(record)
    by_second: dict[int, list[tuple[Place, str, Any, Any]]] = {}
    for where, change in changes:
        key = str(change.get("field_key") or "")
        name = _RENAMED.get(key, key)
        if name in _FOLLOWED or name in ("status", "lost_reason") or name in state:
            at = moment(change.get("log_time"), "log_time") // 1000
            by_second.setdefault(at, []).append((where, name, change.get("old_value"), change.get("new_value")))
    for name in ("won_time", "lost_time", "stage_change_time", "update_time"):
        state.pop(name, None)
    for second in sorted(by_second, reverse=True):
        for _, name, old, _ in reversed(by_second[second]):
            state[name] = old
    made = moment(record.get("add_time"), "add_time")
    state["status"] = pipedrive.status_of(state.get("status"), settings) or "open"
    began = dict(state)
    if began["status"] in ("won", "lost"):
        began[f"{began['status']}_time"] = record.get(f"{began['status']}_time") or record.get("add_time")
    yield place, _body("deal", "create", began, made)
    latest = {name: second for second in sorted(by_second) for _, name, _, _ in by_second[second]}
    for second in sorted(by_second):
        previous: dict[str, Any] = {}
        where = by_second[second][-1][0]
        for _, name, old, new in by_second[second]:
            previous.setdefault(name, old)
            state[name] = new
        if previous.keys() <= {"lost_reason"}:
            continue
        now = dict(state)
        for name, field in (("stage_id", "stage_change_time"), ("status", f"{state.get('status')}_time")):
            if name in previous:  # a deal has the time of the latest such change only
                now[field] = _own(record.get(field), second) if latest[name] == second else second
        now["update_time"] = _own(record.get("update_time"), second) if second == max(by_second) else second
        yield where, _body("deal", "change", now, second * 1000, previous)
    if record.get("status") == "deleted" or yes(record.get("deleted")) or yes(record.get("is_deleted")):
        gone = moment(record.get("update_time"), "update_time")
        yield place, _body("deal", "delete", record, gone)


def _own(time: Any, second: int) -> int:
    """Return the deal's own time of a change where it is of this one, else the log's."""
    if time:
        own = moment(time) // 1000
        if abs(own - second) <= _SAME:
            return own
    return second


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deal with ids in place of the objects that version 1 of the API has."""
    plain = {name: one.get("id", one.get("value")) if isinstance(one, dict) else one for name, one in record.items()}
    if "owner_id" not in plain and "user_id" in plain:
        plain["owner_id"] = plain["user_id"]
    return plain


# -- as it is now -----------------------------------------------------------------------------------------------------


def _now(record: Mapping[str, Any], moments: Mapping[str, Moment], settings: SourceSettings) -> Iterator[dict[str, Any]]:
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
    yield _body("deal", "create", first, made.first)
    if "stage_id" not in first and stage not in (None, ""):
        at = _when(moved)
        data = {"id": id, "stage_id": stage, "stage_change_time": at // 1000}
        yield _body("deal", "change", data, at, {"stage_id": None})
    seen = max(made.last, *(one.last for one in moments.values()))
    if status in ("won", "lost"):
        closed = moments.get(f"{status}_time") or Moment(seen, seen)
        at = _when(closed)
        data = {"id": id, "status": status, f"{status}_time": at // 1000, "lost_reason": record.get("lost_reason")}
        yield _body("deal", "change", data, at, {"status": "open"})
    elif status == "deleted":
        yield _body("deal", "delete", record, seen)
        return
    rest = {name: value for name, value in record.items() if name not in ("stage_id", "status", *_TIMES)}
    yield _body("deal", "change", rest, seen)


def _when(moment_: Moment) -> int:
    # To the second it is the webhook's own time; said less exactly, the end of the minute or day, which is not before that.
    return moment_.first if moment_.last - moment_.first < 1000 else moment_.last


def _table(path: Path, number: int, options: Options, names: Names, tally: Tally) -> Iterator[Told]:
    known = PIPEDRIVE | {name: (name,) for name in options.settings.fields}
    table, cells = Table(path, options, tally, known), Cells(options)
    columns = table.columns(known, options, ("id", "add_time", "status"))
    tally.notes[f"{path}: an export in CSV has no history: stages, amounts and owners are told as they are now"] = None
    for row in table.rows():
        place = Place(number, row.line)
        if isinstance(row, FileReject):
            yield place, row.reason
            continue
        try:
            record, moments = _row(row.fields, columns, cells, names, options.settings)
            for body in _now(record, moments, options.settings):
                yield from _told(place, body, options)
        except BadCell as error:
            yield place, str(error)
        except Unusable as error:
            yield place, error


def _row(
    row: Mapping[str, str], columns: Mapping[str, str], cells: Cells, names: Names, settings: SourceSettings
) -> tuple[dict[str, Any], dict[str, Moment]]:
    """Return a row as the API has a deal, and its times."""
    record: dict[str, Any] = {name: row[column] for name, column in columns.items() if row[column]}
    whole_id(record.get("id", ""), columns["id"])
    moments = {
        name: found
        for name in _TIMES
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
