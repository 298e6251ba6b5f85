"""Pipedrive, webhooks v2: ``meta`` says what happened, ``data`` how the object is now, ``previous`` what was different before.

Pipedrive does not sign; it sends the user name and password that were given when the webhook was created (basic
authentication). A deleted object that was merged names the survivor in ``meta.merged_to_id``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import Adapter, Doubt, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import parse
from stream.sources.crm.lead_when import lead_fields, makes_lead
from stream.sources.crm.lookup import is_set, lookup
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import basic
from stream.sources.crm.values import (
    attributes,
    event,
    event_id,
    first,
    identifier,
    mapping,
    moment,
    second,
    stage_kind,
    text,
)
from stream.sources.crm.words import outcome

_DEAL = {
    "value": "amount",
    "currency": "currency",
    "stage_id": "stage",
    "pipeline_id": "pipeline",
    "owner_id": "owner",
    "person_id": "lead_id",
    "org_id": "account_id",
    "expected_close_date": "expected_close_date",
    "origin": "source",
    "channel": "campaign",
    "title": "name",
}
_PERSON = {"owner_id": "owner", "org_id": "account_id", "name": "name"}
_LEAD = {"title": "name", "owner_id": "owner", "organization_id": "account_id", "origin": "source", "channel": "campaign"}
_ACTIONS = ("create", "change", "delete")
#: Activities that are nobody's contact with anybody.
_INWARD = ("task", "deadline")


def verify(request: Request, settings: SourceSettings) -> None:
    """Check the user name and password."""
    if not settings.username or settings.password is None or not settings.password.get_secret_value():
        raise NotAuthentic(Doubt.NOT_CONFIGURED, "no user name and password are set; set sources.<name>.username and .password")
    basic(request, settings)


def read(request: Request, settings: SourceSettings) -> Iterator[Item]:
    """Yield what the one notification tells."""
    yield from notification(mapping(parse(request.body), "body"), settings)


def notification(body: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    """Yield what a notification tells, its body parsed; raise :class:`Unusable`."""
    meta = mapping(body.get("meta"), "meta")
    version, action, entity = str(first(meta.get("version"), meta.get("v"), "")), meta.get("action"), meta.get("entity")
    if not version.startswith("2"):
        raise Unusable(Reason.INVALID_DATA, f"meta.version: found {shown(version)}, accepted is 2.0 (webhooks v2)")
    if action not in _ACTIONS or not isinstance(entity, str):
        raise Unusable(
            Reason.INVALID_DATA,
            f"meta: found action {shown(action)}, entity {shown(entity)}; accepted actions: create change delete",
        )
    now, before = body.get("data"), body.get("previous")
    data = mapping(now, "data") if now is not None else {}
    previous = mapping(before, "previous") if before is not None else {}
    if entity == "deal":
        yield from _deal(meta, data, previous, settings)
    elif entity in ("person", "lead"):
        if entity == settings.leads:
            yield from _lead(meta, data, previous, settings)
        else:
            yield Ignored(f"{entity}: the leads are {settings.leads}s here (sources.<name>.leads)")
    elif entity == "activity":
        yield from _activity(meta, data, settings)
    else:
        yield Ignored(f"{entity}: objects of this kind have no events here")


def status_of(value: Any, settings: SourceSettings) -> str | None:
    """Return ``open``, ``won``, ``lost`` or ``deleted`` for the word of a status; None for an empty one, else refuse it."""
    found = text(value, "status")
    if found is None:
        return None
    meant = lookup(found, settings.deal_statuses) or outcome(found)
    if meant is None:
        accepted = "open, won, lost, deleted in seven languages (sources.<name>.deal_statuses says what other words mean)"
        raise Unusable(Reason.INVALID_DATA, f"status: found {shown(found)}, accepted are {accepted}")
    return meant


def _changed(name: str, data: Mapping[str, Any], previous: Mapping[str, Any]) -> bool:
    # Relays that repeat the whole record repeat what is as it was, too.
    return name in previous and previous[name] != data.get(name)


def _deal(
    meta: Mapping[str, Any], data: Mapping[str, Any], previous: Mapping[str, Any], settings: SourceSettings
) -> Iterator[Item]:
    status = status_of(data.get("status"), settings)
    if meta["action"] == "delete" or status == "deleted":
        yield _gone("deal", meta, settings)
        return
    found = _attributes(data, _DEAL, settings)
    if settings.leads != "person":
        found.pop("lead_id", None)  # a person is no lead then
    if meta["action"] == "create":
        yield _fact(meta, settings, "deal.created", found, "created")
        if found.get("lead_id") is not None:
            yield _converted(found["lead_id"], meta, settings)
        if status in ("won", "lost"):
            yield _fact(
                meta, settings, f"deal.{status}", _closing(status, data, {}), status, _second(meta, data, f"{status}_time")
            )
        return
    moved = _changed("status", data, previous)
    if not moved and status in ("won", "lost") and data.get(f"{status}_time"):
        # An edit of a closed deal, which may be the first that is heard of it. Its close is a fact of then.
        closed = data[f"{status}_time"]
        fact = event_id("pipedrive", "deal", identifier(meta.get("entity_id"), "meta.entity_id"), status, second(closed))
        at = min(moment(closed, f"data.{status}_time"), moment(meta.get("timestamp"), "meta.timestamp"))
        yield event(settings, "pipedrive", f"deal.{status}", str(meta["entity_id"]), at, fact, _closing(status, data, {}))
    if moved and status in ("won", "lost"):
        found = _closing(status, data, found)
        yield _fact(meta, settings, f"deal.{status}", found, status, _second(meta, data, f"{status}_time"))
    elif moved and status == "open" and status_of(previous["status"], settings) in ("won", "lost"):
        yield _fact(meta, settings, "deal.reopened", found, "reopened", _second(meta, data, "update_time"))
    elif _changed("stage_id", data, previous) and found.get("stage") is not None:
        kind = stage_kind(data.get("stage_id"), settings, {})
        type_, stage = "deal.stage_changed" if kind == "open" else f"deal.{kind}", str(data["stage_id"])
        yield _fact(meta, settings, type_, found, "stage", stage, _second(meta, data, "stage_change_time"))
    else:
        yield _event(meta, settings, "deal.updated", found)


def _converted(person: str, meta: Mapping[str, Any], settings: SourceSettings) -> Item:
    """Return what a new deal makes of its person: who has one waits no longer."""
    deal, at = identifier(meta.get("entity_id"), "meta.entity_id"), moment(meta.get("timestamp"), "meta.timestamp")
    id = event_id("pipedrive", "deal", deal, "created", "person", person)
    return event(settings, "pipedrive", "lead.converted", person, at, id, {"deal_id": deal})


def _closing(status: str, data: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    reason = text(data.get("lost_reason"), "lost_reason") if status == "lost" else None
    return {**found, "reason": reason} if reason is not None else found


def _lead(
    meta: Mapping[str, Any], data: Mapping[str, Any], previous: Mapping[str, Any], settings: SourceSettings
) -> Iterator[Item]:
    if meta["action"] == "delete":
        yield _gone("lead", meta, settings)
        return
    table = _PERSON if meta["entity"] == "person" else _LEAD
    found = _attributes(data, table, settings)
    address = _first(first(data.get("emails"), data.get("email")))
    if address is not None:
        found |= attributes({"email": address}, {"email": "email_hash"}, settings)
    worth = data.get("value")
    if isinstance(worth, dict):
        found |= attributes(worth, {"amount": "amount", "currency": "currency"}, settings)
    when = lead_fields(settings)
    now, before = _flat(data), _flat(previous)
    makes = [name for name in when or () if when is not None and makes_lead(name, now.get(name), when)]
    if meta["action"] == "create" and (when is None or makes):
        yield _fact(meta, settings, "lead.created", found, "created")
    else:
        if any(_changed(name, now, before) for name in makes):
            yield _event(meta, settings, "lead.created", {}, "lead")
        yield _event(meta, settings, "lead.updated", found)
    if is_set(data.get("is_archived"), "is_archived") and _changed("is_archived", data, previous):
        yield _event(meta, settings, "lead.disqualified", {}, "archived")


def _activity(meta: Mapping[str, Any], data: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    if meta["action"] == "delete" or not is_set(data.get("done"), "done"):
        yield Ignored("activity: not done, or deleted")
        return
    kind = text(data.get("type"), "type") or "activity"
    owner = attributes(data, {"owner_id": "owner"}, settings) or attributes(data, {"user_id": "owner"}, settings)
    told = False
    # Whatever else is edited afterwards, an activity is done once: its id is that of the deed, not of the notification.
    id = identifier(first(meta.get("entity_id"), data.get("id")), "meta.entity_id")
    done_at = data.get("marked_as_done_time")
    at = moment(done_at, "data.marked_as_done_time") if done_at else moment(meta.get("timestamp"), "meta.timestamp")
    for field, type_, facts in (
        ("deal_id", "deal.activity", {"kind": kind, **owner}),
        ("person_id" if settings.leads == "person" else "lead_id", "lead.contacted", {"channel": kind}),
    ):
        if type_ == "lead.contacted" and kind in _INWARD:
            continue
        if data.get(field) not in (None, ""):
            subject = identifier(data[field], field)
            done = event_id("pipedrive", "activity", id, "done", type_)
            yield event(settings, "pipedrive", type_, subject, at, done, facts)
            told = True
    if not told:
        yield Ignored("activity: of no deal and no lead")


def _gone(room: str, meta: Mapping[str, Any], settings: SourceSettings) -> Item:
    into = meta.get("merged_to_id")
    if into in (None, ""):
        return _event(meta, settings, f"{room}.deleted", {})
    return _event(meta, settings, f"{room}.merged", {"into": identifier(into, "meta.merged_to_id")})


def _attributes(data: Mapping[str, Any], table: Mapping[str, str], settings: SourceSettings) -> dict[str, Any]:
    flat = _flat(data)
    for name in table:  # objects in place of ids, as some of Pipedrive's older payloads have them
        if isinstance(flat.get(name), dict):
            flat[name] = first(flat[name].get("id"), flat[name].get("value"))
    return attributes(flat, table, settings)


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    # Custom fields are in an object of their own, a value each, or an object with one.
    custom = data.get("custom_fields")
    flat = dict(data)
    for name, value in (custom if isinstance(custom, dict) else {}).items():
        flat[name] = first(value.get("value"), value.get("id")) if isinstance(value, dict) else value
    return flat


def _first(found: Any) -> str | None:
    if isinstance(found, str):
        return found
    for one in found if isinstance(found, list) else []:
        value = one.get("value") if isinstance(one, dict) else one
        if isinstance(value, str) and value:
            return value
    return None


def _event(meta: Mapping[str, Any], settings: SourceSettings, kind: str, data: Mapping[str, Any], *more: str) -> dict[str, Any]:
    subject = identifier(meta.get("entity_id"), "meta.entity_id")
    at = moment(meta.get("timestamp"), "meta.timestamp")
    id = event_id("pipedrive", meta.get("company_id"), meta["entity"], subject, meta["action"], meta.get("id"), at, *more)
    return event(settings, "pipedrive", kind, subject, at, id, data)


def _fact(meta: Mapping[str, Any], settings: SourceSettings, kind: str, data: Mapping[str, Any], *what: Any) -> dict[str, Any]:
    """Return an event whose id names what happened to the deal, as a backfill of its change log names it too.

    The id has the deal's own time of it, which has whole seconds; the event keeps the notification's milliseconds.
    """
    subject = identifier(meta.get("entity_id"), "meta.entity_id")
    at = moment(meta.get("timestamp"), "meta.timestamp")
    return event(settings, "pipedrive", kind, subject, at, event_id("pipedrive", meta["entity"], subject, *what), data)


def _second(meta: Mapping[str, Any], data: Mapping[str, Any], field: str) -> int:
    return second(data[field], f"data.{field}") if data.get(field) else second(meta.get("timestamp"), "meta.timestamp")


ADAPTER = Adapter("pipedrive", verify, read, needs=("username", "password"))
