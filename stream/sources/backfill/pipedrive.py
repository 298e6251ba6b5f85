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

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.backfill.base import BackfillTally, ExportPlace, Options, Pieces, PlacedItem
from stream.sources.backfill.cells import Moment
from stream.sources.backfill.documents import is_json, records
from stream.sources.backfill.names import ExportNames
from stream.sources.backfill.pipedrive_now import TIMES, as_now, body_of, notification_items, table_of
from stream.sources.crm import pipedrive
from stream.sources.crm.base import Unusable
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import identifier, moment, yes

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


def read(files: list[Path], options: Options, tally: BackfillTally) -> Iterator[PlacedItem]:
    """Yield what the files tell: CSV in order, then the deals of JSON by id."""
    names = ExportNames(options.settings, options.lists)
    options = replace(options, settings=names.settings)
    flows = False
    with Pieces() as pieces:
        for number, path in enumerate(files):
            if not is_json(path):
                yield from table_of(path, number, options, names, tally)
                continue
            for line, record in records(path, ("data", "items")):
                place = ExportPlace(number, line)
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
    id = identifier(record.get("id"), "id", whole="-" not in str(record.get("id")))  # leads have UUIDs
    if "stage_id" in record:
        return f"deal {id}", "deal", record
    if "done" in record and "type" in record:
        return f"activity {id}", "activity", record
    if {"email", "emails", "phone", "phones", "first_name"} & record.keys():
        return f"person {id}", "person", record
    if "label_ids" in record and "is_archived" in record:
        return f"lead {id}", "lead", record
    raise Unusable(Reason.INVALID_DATA, f"{shown(id)}: accepted are deals, persons, leads, activities and items of /flow")


def _together(parts: Mapping[str, list[tuple[ExportPlace, dict[str, Any]]]], options: Options) -> Iterator[PlacedItem]:
    kind = next(iter(parts.keys() - {"change"}), None)
    if kind is None:
        place, change = parts["change"][0]
        yield place, f"deal {change.get('item_id')}: its change log is there, it is not (accepted: with /v1/deals of it)"
        return
    place, record = parts[kind][-1]
    try:
        if kind == "deal" and "change" in parts:
            for at, body in _replayed(record, parts["change"], place, options.settings):
                yield from notification_items(at, body, options)
            return
        if kind == "deal":
            moments = {name: _second(record[name], name) for name in TIMES if record.get(name)}
            bodies = as_now(record, moments, options.settings)
        elif kind == "activity":
            bodies = iter([body_of("activity", "change", record, _done(record), {"done": False})])
        else:
            made = _second(record.get("add_time"), "add_time")
            seen = _second(record.get("update_time") or record.get("add_time"), "update_time")
            bodies = iter(
                [
                    body_of(kind, "create", {"id": record["id"]}, made.first),
                    body_of(kind, "change", record, seen.last, {"id": None}),
                ]
            )
        for body in bodies:
            yield from notification_items(place, body, options)
    except Unusable as error:
        yield place, error


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
    record: Mapping[str, Any], changes: list[tuple[ExportPlace, dict[str, Any]]], place: ExportPlace, settings: SourceSettings
) -> Iterator[tuple[ExportPlace, dict[str, Any]]]:
    """Yield a deal's creation and changes, as its webhook would have told of them."""
    state = _plain(record)
    by_second: dict[int, list[tuple[ExportPlace, str, Any, Any]]] = {}
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
    yield place, body_of("deal", "create", began, made)
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
        yield where, body_of("deal", "change", now, second * 1000, previous)
    if record.get("status") == "deleted" or yes(record.get("deleted")) or yes(record.get("is_deleted")):
        gone = moment(record.get("update_time"), "update_time")
        yield place, body_of("deal", "delete", record, gone)


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
