"""Salesforce: what do an outbound message (SOAP) and a change event (CDC, JSON) tell?

Neither is signed. An outbound message names the organization it comes from, which is compared with ``organization_id``; for
more, give a user name and password or a token (``?token=…`` in the address), and the networks it may come from. Change
events come through a relay, which has to show the user name and password, or the token.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm import soap
from stream.sources.crm.base import EVENTS_LIMIT, Adapter, Doubt, Erase, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import each, parse
from stream.sources.crm.changed_fields import cleared_unnamed, said
from stream.sources.crm.lead_when import lead_fields, makes_lead
from stream.sources.crm.lookup import is_set, lookup
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import bearer, credentials, same
from stream.sources.crm.values import (
    ENTERED,
    LEAD_EVENTS,
    attributes,
    event,
    event_id,
    fingerprint,
    identifier,
    mapping,
    moment,
    second,
    stage_kind,
    text,
)
from stream.sources.files.ids import suffix

#: The fields of opportunities and leads that are read, by the attribute they are.
OPPORTUNITY = {
    "Amount": "amount",
    "CurrencyIsoCode": "currency",
    "StageName": "stage",
    "OwnerId": "owner",
    "LeadSource": "source",
    "CampaignId": "campaign",
    "AccountId": "account_id",
    "CloseDate": "expected_close_date",
    "Name": "name",
}
LEAD = {
    "OwnerId": "owner",
    "LeadSource": "source",
    "Country": "region",
    "Email": "email_hash",
    "ConvertedAccountId": "account_id",
    "Name": "name",
    "FirstName": "first_name",
    "LastName": "last_name",
}
_STAGES = {"Closed Won": "won", "Closed Lost": "lost"}
_STATUSES = {"Working - Contacted": "contacted", "Closed - Not Converted": "disqualified"}
#: Statuses of a task that is done; others are to be done.
_DONE = dict.fromkeys(
    ("Completed", "Terminé", "Terminée", "Abgeschlossen", "Completado", "Completada", "Concluído", "Completato"), True
)
_MADE = ("CreatedDate",)
_CHANGED = ("LastModifiedDate", "SystemModstamp")
#: When an opportunity entered its stage, where a message has it.
_STEPPED = "LastStageChangeDate"
#: What says of a lead that the person wants to be forgotten: the field of its Individual, as a flow or a formula brings it.
FORGET = ("ShouldForget", "ShouldForget__c", "Individual.ShouldForget")
_CHANGES = ("CREATE", "UPDATE", "DELETE", "UNDELETE")
#: Objects whose ids are told in 15 characters here and in 18 there.
_KEYED = ("001", "003", "006", "00Q")


def verify(request: Request, settings: SourceSettings) -> None:
    """Check where the request comes from, as far as Salesforce says."""
    shown_ = credentials(request, settings)
    if _is_xml(request.body):
        if settings.organization_id is None and not shown_:
            raise NotAuthentic(Doubt.NOT_CONFIGURED, "no organization is set; set sources.<name>.organization_id")
        found = soap.organization(request.body)
        if settings.organization_id is not None and not same_organization(found, settings.organization_id):
            raise NotAuthentic(Doubt.WRONG_ORGANIZATION, "OrganizationId: not the one that is set")
    elif not shown_ and settings.keys:
        bearer(request, settings.keys)
    elif not shown_:
        raise NotAuthentic(Doubt.NOT_CONFIGURED, "change events need credentials (username and password, or token)")


def same_organization(found: str, expected: str) -> bool:
    """Compare organization ids: 15 characters, or 18, of which the last three only repeat the case of the others."""
    expected = expected.strip()
    if len(found) not in (15, 18) or len(expected) not in (15, 18):
        return False
    if len(found) == len(expected):
        return same(found, expected)
    return same(found[:15], expected[:15])


def _is_xml(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")[:1] == b"<"


def read(request: Request, settings: SourceSettings) -> Iterator[Item]:
    """Yield what each notification or change tells; one that is unusable does not spoil the others."""
    if _is_xml(request.body):
        for note in soap.parse(request.body).notifications:
            try:
                yield from _notification(note, request, settings)
            except Unusable as error:
                yield error
        return
    for change in each(parse(request.body), EVENTS_LIMIT):
        try:
            yield from _change(change, settings)
        except Unusable as error:
            yield error


# -- outbound messages: the record as it is now, in the fields that were chosen ---------------------------------------


def _notification(note: soap.SoapNotification, request: Request, settings: SourceSettings) -> Iterator[Item]:
    fields = note.fields
    at = next((moment(fields[name], name) for name in _CHANGED if fields.get(name)), request.received_at)
    made = next((moment(fields[name], name) for name in _MADE if fields.get(name)), None)
    subject = identifier(fields.get("Id"), "sObject.Id")
    id = event_id("salesforce", identifier(note.id, "Notification.Id"))
    what = "CREATE" if made is not None and made == at else "UPDATE"
    yield from record(note.object, what, fields, subject, at, id, settings)


# -- change events: the fields that have changed, for one record or several -------------------------------------------


def _change(change: Mapping[str, Any], settings: SourceSettings) -> Iterator[Item]:
    for wrapper in ("detail", "data", "payload"):  # as relays and the Streaming API wrap it
        inner = change.get(wrapper)
        if "ChangeEventHeader" not in change and isinstance(inner, dict):
            change = inner
    header = mapping(change.get("ChangeEventHeader"), "ChangeEventHeader")
    what, entity = header.get("changeType"), header.get("entityName")
    if not isinstance(what, str) or not isinstance(entity, str):
        raise Unusable(Reason.INVALID_DATA, f"ChangeEventHeader: found changeType {shown(what)}, entityName {shown(entity)}")
    kind = what.removeprefix("GAP_")
    if kind not in (*_CHANGES, "OVERFLOW"):
        raise Unusable(Reason.INVALID_DATA, f"changeType: found {shown(what)}, accepted are {', '.join(_CHANGES)}, and GAP_…")
    at = moment(header.get("commitTimestamp"), "commitTimestamp")
    records = header.get("recordIds")
    if not isinstance(records, list):
        raise Unusable(Reason.INVALID_DATA, f"recordIds: found {shown(records)}, accepted is an array")
    if entity in ("Opportunity", "Lead") and (what == "GAP_OVERFLOW" or not records or any("*" in str(one) for one in records)):
        raise Unusable(Reason.INVALID_DATA, f"{what} of {entity}: which records have changed is not said; load them again")
    for one in records:
        subject = record_id(one, "recordIds")
        id = event_id("salesforce", header.get("transactionKey"), header.get("sequenceNumber"), entity, subject, what)
        if what == "GAP_UPDATE" and entity in ("Opportunity", "Lead"):
            yield Unusable(Reason.INVALID_DATA, f"GAP_UPDATE of {entity} {subject}: what has changed is not said; load it again")
            continue
        changed = next((second(change[name], name) for name in _CHANGED if change.get(name)), at // 1000)
        yield from record(entity, kind, said(change, header, kind), subject, at, id, settings, changed)
        if kind == "UPDATE" and entity in ("Opportunity", "Lead") and cleared_unnamed(header):
            yield Unusable(
                Reason.INVALID_DATA, f"nulledFields of {entity} {subject}: a bitmap, what was cleared is not said by name"
            )


def record_id(value: Any, name: str) -> str:
    """Return an id in 18 characters, as webhooks have it: reports and people have 15, and the same record would be two."""
    found = identifier(value, name)
    if len(found) != 15 or not found.isascii() or not found.isalnum() or not found.startswith(_KEYED):
        return found
    return found + suffix(found)


def record(
    object_: str,
    what: str,
    fields: Mapping[str, Any],
    subject: str,
    at: int,
    id: str,
    settings: SourceSettings,
    changed: int | None = None,
) -> Iterator[Item]:
    """Yield what a record tells. ``fields`` are those that have changed where ``changed``, the second of it, is given, else all.

    What has changed is told under ids that name the fact, the same from a change event and from the history in an export
    (``vigie backfill``); a whole record only repeats, and is told under ``id``.
    """
    subject = record_id(subject, "Id")
    if object_ == "Opportunity":
        yield from _opportunity(what, fields, subject, at, id, settings, changed)
    elif object_ == "Lead":
        yield from _lead(what, fields, subject, at, id, settings, changed)
    elif object_ in ("Task", "Event"):
        # Whatever else is sent of it later, an activity was made once.
        yield _activity(object_, what, fields, at, event_id("salesforce", object_, subject, "created"), settings)
    elif object_ == "Individual" and any(is_set(fields.get(name), name) for name in FORGET):
        why = "which lead is meant is not said; bring ShouldForget with the lead (a formula field ShouldForget__c, or a flow)"
        yield Unusable(Reason.INVALID_DATA, f"Individual {subject} is to be forgotten: {why}")
    else:
        yield Ignored(f"{object_ or 'sObject'}: objects of this type have no events here")


def _opportunity(
    what: str, fields: Mapping[str, Any], subject: str, at: int, id: str, settings: SourceSettings, changed: int | None
) -> Iterator[Item]:
    if what == "DELETE" or is_set(fields.get("IsDeleted"), "IsDeleted"):
        yield event(settings, "salesforce", "deal.deleted", subject, at, id)
        return
    found = attributes(fields, OPPORTUNITY, settings)
    stage = fields.get("StageName")
    if is_set(fields.get("IsWon"), "IsWon"):
        kind = "deal.won"
    elif is_set(fields.get("IsClosed"), "IsClosed") and "IsWon" in fields:
        kind = "deal.lost"
    elif text(stage, "StageName") is not None:
        kind = ENTERED[stage_kind(stage, settings, _STAGES)]
    else:
        kind = "deal.updated"
    if what in ("CREATE", "UNDELETE"):
        if what == "CREATE" and changed is not None:
            id = event_id("salesforce", "Opportunity", subject, "created")
        yield event(settings, "salesforce", "deal.created", subject, at, id, found)
        if kind in ("deal.won", "deal.lost"):  # entered afterwards, as closed already
            yield event(settings, "salesforce", kind, subject, at, event_id(id, "closed"))
        return
    if changed is not None and text(stage, "StageName") is not None:
        id = event_id("salesforce", "Opportunity", subject, "StageName", changed, fingerprint(stage))
    if changed is None and kind != "deal.updated" and fields.get(_STEPPED):
        # The whole record: the step may be long past, the edit that sent it is not.
        stepped = min(moment(fields[_STEPPED], _STEPPED), at)
        step: dict[str, Any] = {name: found[name] for name in ("stage", "pipeline") if name in found}
        yield event(settings, "salesforce", kind, subject, stepped, event_id(id, "step"), step)
        kind = "deal.updated"
    yield event(settings, "salesforce", kind, subject, at, id, found)


def _lead(
    what: str, fields: Mapping[str, Any], subject: str, at: int, id: str, settings: SourceSettings, changed: int | None
) -> Iterator[Item]:
    if what == "DELETE" or is_set(fields.get("IsDeleted"), "IsDeleted"):
        into = text(fields.get("MasterRecordId"), "MasterRecordId")
        if into is None:
            yield event(settings, "salesforce", "lead.deleted", subject, at, id)
        else:
            yield event(settings, "salesforce", "lead.merged", subject, at, id, {"into": into})
        return
    if any(is_set(fields.get(name), name) for name in FORGET):
        yield Erase("lead", subject)
        return
    found = attributes(fields, LEAD, settings)
    when = lead_fields(settings)
    makes = when is None or any(makes_lead(name, fields.get(name), when) for name in when)
    if what in ("CREATE", "UNDELETE") and makes:
        if what == "CREATE" and changed is not None:
            id = event_id("salesforce", "Lead", subject, "created")
        yield event(settings, "salesforce", "lead.created", subject, at, id, found)
        return
    if when is not None and makes:  # told each time that it is so; the earliest counts
        yield event(settings, "salesforce", "lead.created", subject, at, event_id(id, "lead"))
    told = False
    converted, stepped = event_id(id, "converted"), ""
    if changed is not None:
        converted = event_id("salesforce", "Lead", subject, "converted")
        stepped = event_id("salesforce", "Lead", subject, "Status", changed, fingerprint(fields.get("Status")))
    if is_set(fields.get("IsConverted"), "IsConverted"):
        deal = {"deal_id": fields.get("ConvertedOpportunityId"), "account_id": fields.get("ConvertedAccountId")}
        data = {name: record_id(value, name) for name, value in deal.items() if value}
        yield event(settings, "salesforce", "lead.converted", subject, at, converted, data)
        told = True
    status = text(fields.get("Status"), "Status") or ""
    meaning = lookup(status, settings.lead_statuses, _STATUSES) or ""
    if meaning in LEAD_EVENTS and not (told and meaning == "converted"):
        kind, facts = LEAD_EVENTS[meaning]
        yield event(settings, "salesforce", kind, subject, at, stepped or event_id(id, meaning), facts)
        told = True
    elif status and not meaning:
        yield Ignored(f"Status: {shown(status)} is no step of a lead here (sources.<name>.lead_statuses)")
    if found or not told:
        yield event(settings, "salesforce", "lead.updated", subject, at, id, found)


def _activity(object_: str, what: str, fields: Mapping[str, Any], at: int, id: str, settings: SourceSettings) -> Item:
    kind = text(fields.get("TaskSubtype") or fields.get("Type") or object_, "Type") or object_
    if fields.get("CreatedDate"):
        at = moment(fields["CreatedDate"], "CreatedDate")
    deal, person = (record_id(fields[name], name) if fields.get(name) else None for name in ("WhatId", "WhoId"))
    status = text(fields.get("Status"), "Status")
    done = is_set(fields.get("IsClosed"), "IsClosed") or status is None or lookup(status, _DONE) is not None
    if object_ == "Task" and not done:
        return Ignored("Task: not done yet")
    if object_ == "Task" and status is not None and what == "UPDATE":
        what = "CREATE"  # entered as something to do, and done now
    if what == "CREATE" and deal is not None and deal.startswith("006"):
        data = {"kind": kind.lower(), **attributes(fields, {"OwnerId": "owner"}, settings)}
        return event(settings, "salesforce", "deal.activity", deal, at, id, data)
    if what == "CREATE" and person is not None and person.startswith("00Q"):
        return event(settings, "salesforce", "lead.contacted", person, at, id, {"channel": kind.lower()})
    return Ignored(f"{object_}: not a new activity of an opportunity or a lead")


def _answer(accepted: bool) -> tuple[str, bytes]:
    return soap.answer(accepted)


ADAPTER = Adapter(
    "salesforce", verify, read, needs=("organization_id",), answer=_answer, scrub=soap.without_session, early=credentials
)
