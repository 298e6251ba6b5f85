"""A CRM with a past: what its webhooks told as it happened, and what its export says of it afterwards."""

import csv
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stream.sources.crm import ADAPTERS, overridden, parse_settings, receive
from stream.sources.crm.trial import of
from tests.stream.sources.crm import senders as s

BEGIN = 1_780_000_000_000  # 2026-05-28T20:26:40Z
OWNERS = {"184": "ann", "185": "bob", "186": "eve"}
HOUR = 3_600_000


@dataclass
class Deal:
    """One deal and what happened to it: (epoch ms, field, value); ``status`` is open, won or lost."""

    id: int
    created: int
    first: dict[str, Any]
    changes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    done: list[tuple[int, int, str]] = field(default_factory=list)
    """Activities that were done: when, id, kind."""

    def now(self) -> dict[str, Any]:
        found = dict(self.first)
        for _, change in self.changes:
            found |= change
        return found

    def last(self, name: str) -> int | None:
        return next((at for at, change in reversed(self.changes) if name in change), None)

    @property
    def modified(self) -> int:
        return max([self.created, *(at for at, _ in self.changes)])


STAGES = ("1", "2", "3", "4")


def deals(seed: int, count: int = 25, *, reopen: bool = True) -> list[Deal]:
    """Return deals whose changes are at least a second apart, each at a millisecond of its own."""
    r = random.Random(seed)
    found = []
    for number in range(count):
        at = BEGIN + r.randrange(40 * 24 * HOUR)
        first = {"amount": r.randrange(100, 9000) / 2, "stage": "1", "owner": r.choice(list(OWNERS)), "status": "open"}
        deal = Deal(1000 + number, at, first)
        stage, status = "1", "open"
        for _ in range(r.randrange(0, 9)):
            at += r.choice([1_000 + r.randrange(3_000), r.randrange(60_000, 90_000), r.randrange(2_000, 200 * HOUR)])
            what = r.choice(["stage", "amount", "owner", "close", "reopen", "done"])
            if what == "stage" and status == "open":
                stage = r.choice([other for other in STAGES if other != stage])
                deal.changes.append((at, {"stage": stage}))
            elif what == "amount":
                deal.changes.append((at, {"amount": r.randrange(100, 9000) / 2}))
            elif what == "owner":
                deal.changes.append((at, {"owner": r.choice([o for o in OWNERS if o != deal.now()["owner"]])}))
            elif what == "close" and status == "open":
                status = r.choice(["won", "lost"])
                deal.changes.append((at, {"status": status}))
            elif what == "reopen" and status != "open" and reopen:
                status = "open"
                deal.changes.append((at, {"status": status}))
            elif what == "done":
                deal.done.append((at, 5000 + 100 * number + len(deal.done), r.choice(["call", "meeting"])))
        found.append(deal)
    return found


def told(adapter: str, vectors: Iterable[Mapping[str, Any]], **over: Any) -> list[dict[str, Any]]:
    """Return the events that signed webhooks give, through the real verification and mapping."""
    events: list[dict[str, Any]] = []
    for vector in vectors:
        # Those that sign no time may arrive whenever it is.
        line = of(dict(vector) if adapter == "hubspot" else {**vector, "received_at": 4_102_444_800_000}, 0)
        settings = parse_settings(adapter, overridden(line.settings, over))
        verdict = receive(ADAPTERS[adapter], line.called(settings), settings)
        assert verdict.accepted and not verdict.unusable, verdict
        events += verdict.events
    return events


def utc(at: int, form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> str:
    text = datetime.fromtimestamp(at / 1000, UTC).strftime(form)
    return text.replace("000Z", "Z") if form.endswith("%fZ") else text


def write_csv(path: Path, rows: list[dict[str, Any]], **how: Any) -> Path:
    with path.open("w", newline="", encoding=how.pop("encoding", "utf-8")) as file:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names, **how)
        writer.writeheader()
        writer.writerows(rows)
    return path


# -- HubSpot ----------------------------------------------------------------------------------------------------------

HUBSPOT_STAGES = {"1": "appointmentscheduled", "2": "qualifiedtobuy", "3": "contractsent", "4": "139921"}
HUBSPOT = {"owners": OWNERS | {"Ann Lee": "ann", "Bob Ray": "bob", "Eve Low": "eve"}, "currency": "EUR"}
HUBSPOT["stages"] = {"139921": {"name": "Signed off"}, "appointmentscheduled": {"name": "Appointment Scheduled"}}
NAMES = {"184": "Ann Lee", "185": "Bob Ray", "186": "Eve Low"}


def _hubspot_facts(deal: Deal) -> list[tuple[int, str, str]]:
    """Return (time, property, value) of all that HubSpot keeps of a deal."""
    found: list[tuple[int, str, str]] = []
    stage = deal.first["stage"]
    for at, change in [(deal.created, deal.first), *deal.changes]:
        stage = change.get("stage", stage)
        for name, value in change.items():
            if name in ("stage", "status") and not (name == "stage" and "status" in change):
                status = change.get("status", "open")
                closed = {"won": "closedwon", "lost": "closedlost"}.get(status)
                found.append((at, "dealstage", closed or HUBSPOT_STAGES[stage]))
                if closed:
                    found.append((at, "closedate", str(at)))
            elif name == "amount":
                found.append((at, "amount", f"{value:.2f}"))
            elif name == "owner":
                found.append((at, "hubspot_owner_id", value))
    return found


def hubspot_live(world: list[Deal]) -> list[dict[str, Any]]:
    notes = []
    for deal in world:
        notes.append(s.hubspot_note("deal.creation", objectId=deal.id, occurredAt=deal.created))
        for at, name, value in _hubspot_facts(deal):
            notes.append(s.hubspot_change(name, value, objectId=deal.id, occurredAt=at, eventId=random.Random(at).randrange(99)))
    random.Random(1).shuffle(notes)
    batches = [notes[start : start + 50] for start in range(0, len(notes), 50)]
    return told("hubspot", [s.hubspot(s.compact(batch)) for batch in batches], **HUBSPOT)


def hubspot_json(world: list[Deal], folder: Path) -> list[Path]:
    results = []
    for deal in world:
        histories: dict[str, list[dict[str, Any]]] = {}
        for at, name, value in _hubspot_facts(deal):
            entry = {"value": value, "timestamp": utc(at), "sourceType": "CRM_UI", "sourceId": "userId:1"}
            histories.setdefault(name, []).insert(0, entry)
        properties = {name: entries[0]["value"] for name, entries in histories.items()}
        properties |= {"hs_object_id": str(deal.id), "createdate": utc(deal.created), "hs_lastmodifieddate": utc(deal.modified)}
        record = {"id": str(deal.id), "properties": properties, "propertiesWithHistory": histories, "archived": False}
        results.append({**record, "createdAt": utc(deal.created), "updatedAt": utc(deal.modified)})
    half = len(results) // 2
    first = {"results": results[:half], "paging": {"next": {"after": "1"}}}
    files = [folder / "deals-1.json", folder / "deals-2.jsonl"]
    files[0].write_text(json.dumps(first, indent=1))
    files[1].write_text("".join(json.dumps(record) + "\n" for record in results[half:]))
    return files


_LABELS = {"appointmentscheduled": "Appointment Scheduled", "qualifiedtobuy": "Qualified To Buy", "contractsent": "Contract Sent"}
_LABELS |= {"139921": "Signed off", "closedwon": "Closed Won", "closedlost": "Closed Lost"}


def hubspot_csv(world: list[Deal], folder: Path) -> list[Path]:
    rows = []
    for deal in world:
        latest = {name: (at, value) for at, name, value in _hubspot_facts(deal)}
        rows.append(
            {
                "Record ID": deal.id,
                "Deal Name": 'Chairs, "six hundred"\nof them; quickly',
                "Deal Stage": _LABELS[latest["dealstage"][1]],
                "Close Date": utc(latest["closedate"][0], "%Y-%m-%d %H:%M") if "closedate" in latest else "",
                "Amount": latest["amount"][1],
                "Deal owner": NAMES[latest["hubspot_owner_id"][1]],
                "Create Date": utc(deal.created, "%Y-%m-%d %H:%M"),
                "Last Modified Date": utc(deal.modified, "%Y-%m-%d %H:%M"),
            }
        )
    return [write_csv(folder / "all-deals.csv", rows, delimiter=";", encoding="utf-8-sig")]


# -- Pipedrive --------------------------------------------------------------------------------------------------------

PIPEDRIVE = {"owners": OWNERS | {name: OWNERS[id] for id, name in NAMES.items()}, "stages": {"2": {"name": "Proposal"}}}


def _pipedrive(deal: Deal, state: Mapping[str, Any], times: Mapping[str, int]) -> dict[str, Any]:
    found = {"id": deal.id, "title": "Chairs", "value": state["amount"], "currency": "EUR", "status": state["status"]}
    found |= {"stage_id": int(state["stage"]), "owner_id": int(state["owner"]), "pipeline_id": 1, "person_id": None, "org_id": 12}
    for name in ("add_time", "update_time", "stage_change_time", "won_time", "lost_time"):
        found[name] = utc(times[name], "%Y-%m-%dT%H:%M:%SZ") if name in times else None
    return found


_PIPEDRIVE_FIELDS = {"amount": "value", "stage": "stage_id", "owner": "owner_id", "status": "status"}


def _pipedrive_steps(deal: Deal) -> Iterable[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Yield when, how the deal was then, and what was different before."""
    state, times = dict(deal.first), {"add_time": deal.created, "update_time": deal.created}
    yield deal.created, _pipedrive(deal, state, times), {}
    for at, change in deal.changes:
        before = _pipedrive(deal, state, times)
        state |= change
        times["update_time"] = at
        if "stage" in change:
            times["stage_change_time"] = at
        if "status" in change:
            times.pop("won_time", None)
            times.pop("lost_time", None)
            if change["status"] != "open":
                times[f"{change['status']}_time"] = at
        yield at, _pipedrive(deal, state, times), {_PIPEDRIVE_FIELDS[name]: before[_PIPEDRIVE_FIELDS[name]] for name in change}


def pipedrive_live(world: list[Deal]) -> list[dict[str, Any]]:
    vectors = []
    for deal in world:
        for at, data, previous in _pipedrive_steps(deal):
            action = "change" if previous else "create"
            meta = {"entity_id": str(deal.id), "timestamp": utc(at), "id": f"{deal.id}-{at}"}
            vectors.append(s.pipedrive(s.compact(s.pipedrive_note(action, "deal", data, previous or None, **meta))))
        for at, id, kind in deal.done:
            data = _activity(deal, at, id, kind)
            meta = {"entity_id": str(id), "timestamp": utc(at), "id": f"a{id}"}
            vectors.append(s.pipedrive(s.compact(s.pipedrive_note("change", "activity", data, {"done": False}, **meta))))
    random.Random(2).shuffle(vectors)
    return told("pipedrive", vectors, **PIPEDRIVE)


def _activity(deal: Deal, at: int, id: int, kind: str) -> dict[str, Any]:
    done = utc(at, "%Y-%m-%dT%H:%M:%SZ")
    return {"id": id, "type": kind, "done": True, "deal_id": deal.id, "owner_id": 184, "marked_as_done_time": done}


def pipedrive_json(world: list[Deal], folder: Path, *, flow: bool = True) -> list[Path]:
    records, files = [], []
    for deal in world:
        *_, (_, data, _) = _pipedrive_steps(deal)
        old = {name: data[name].replace("T", " ").rstrip("Z") if data[name] else None for name in data if name.endswith("_time")}
        user = {"id": data["owner_id"], "name": NAMES[str(data["owner_id"])], "value": data["owner_id"]}
        records.append({**data, **old, "user_id": user, "org_id": {"name": "ACME", "value": 12}})
        del records[-1]["owner_id"]
        items = []
        for at, after, previous in _pipedrive_steps(deal):
            when = utc(at, "%Y-%m-%d %H:%M:%S")
            for name, was in previous.items():
                change = {"id": at, "item_id": deal.id, "field_key": "user_id" if name == "owner_id" else name, "log_time": when}
                change |= {"old_value": str(was), "new_value": str(after[name])}
                items.append({"object": "dealChange", "timestamp": when, "data": change})
        for at, id, kind in deal.done:
            items.append({"object": "activity", "timestamp": utc(at), "data": _activity(deal, at, id, kind)})
        items.append({"object": "note", "timestamp": "", "data": {"id": 1}})
        if flow:
            files.append(folder / f"flow-{deal.id}.json")
            files[-1].write_text(json.dumps({"success": True, "data": items[::-1]}))
    listed = folder / "deals.json"
    listed.write_text(json.dumps({"success": True, "data": records, "additional_data": {}}))
    return [*files, listed]


def pipedrive_csv(world: list[Deal], folder: Path) -> list[Path]:
    rows = []
    for deal in world:
        *_, (_, data, _) = _pipedrive_steps(deal)
        row = {
            "Deal - ID": deal.id,
            "Deal - Title": "Stühle",
            "Deal - Value": f"{data['value']:,.2f}",
            "Deal - Status": data["status"],
        }
        row |= {"Deal - Currency of Value": "EUR", "Deal - Owner": NAMES[str(data["owner_id"])]}
        row |= {"Deal - Stage": "Proposal" if data["stage_id"] == 2 else data["stage_id"], "Deal - Pipeline": 1}
        for name, column in (
            ("add_time", "Deal created"),
            ("update_time", "Update time"),
            ("stage_change_time", "Last stage change"),
            ("won_time", "Won time"),
            ("lost_time", "Lost time"),
        ):
            row[f"Deal - {column}"] = (data[name] or "").replace("T", " ").rstrip("Z")
        rows.append(row)
    return [write_csv(folder / "deals.csv", rows, encoding="cp1252")]


# -- Salesforce -------------------------------------------------------------------------------------------------------

SALESFORCE = {"owners": {f"005000000000{id}AAA": name for id, name in OWNERS.items()}, "currency": "EUR"}
_STAGE_NAMES = {"1": "Prospecting", "2": "Proposal", "3": "Negotiation", "4": "Signed"}


def _salesforce(deal: Deal) -> str:
    return f"00600000000{deal.id}AAA"


def _salesforce_steps(deal: Deal) -> Iterable[tuple[int, dict[str, Any]]]:
    stage = deal.first["stage"]
    for at, change in [(deal.created, deal.first), *deal.changes]:
        stage = change.get("stage", stage)
        fields: dict[str, Any] = {"LastModifiedDate": utc(at // 1000 * 1000)}
        if "amount" in change:
            fields["Amount"] = change["amount"]
        if "owner" in change:
            fields["OwnerId"] = f"005000000000{change['owner']}AAA"
        if {"stage", "status"} & change.keys():
            status = change.get("status", "open")
            fields["StageName"] = _STAGE_NAMES[stage] if status == "open" else f"Closed {status.capitalize()}"
            fields |= {"IsClosed": status != "open", "IsWon": status == "won"}
        yield at, fields


def salesforce_cdc(world: list[Deal]) -> list[dict[str, Any]]:
    vectors = []
    for deal in world:
        for at, fields in _salesforce_steps(deal):
            what = "CREATE" if at == deal.created else "UPDATE"
            more = {"CreatedDate": utc(at // 1000 * 1000)} if what == "CREATE" else {}
            note = s.cdc(what, records=[_salesforce(deal)], **fields, **more)
            note["payload"]["ChangeEventHeader"] |= {"commitTimestamp": at, "transactionKey": f"t{at}"}
            vectors.append(s.salesforce(s.compact(note)))
        for at, id, kind in deal.done:
            task = {"WhatId": _salesforce(deal), "TaskSubtype": kind.capitalize(), "CreatedDate": utc(at // 1000 * 1000)}
            note = s.cdc("CREATE", "Task", records=[f"00T0000000{id:05d}EAA"], OwnerId="005000000000184AAA", **task)
            note["payload"]["ChangeEventHeader"] |= {"commitTimestamp": at, "transactionKey": f"t{at}"}
            vectors.append(s.salesforce(s.compact(note)))
    random.Random(3).shuffle(vectors)
    return told("salesforce", vectors, **SALESFORCE)


def salesforce_outbound(world: list[Deal]) -> list[dict[str, Any]]:
    vectors = []
    for deal in world:
        state: dict[str, Any] = {"Id": _salesforce(deal), "CreatedDate": utc(deal.created // 1000 * 1000)}
        for at, fields in _salesforce_steps(deal):
            state |= {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()}
            body = s.outbound(state).replace("04l5e00000Gx7Q0AAJ", f"04l{at}")
            vectors.append(s.vector({}, body, {"organization_id": s.ORGANIZATION}))
    random.Random(4).shuffle(vectors)
    return told("salesforce", vectors, **SALESFORCE)


def salesforce_csv(world: list[Deal], folder: Path, *, history: bool = True, tasks: bool = True) -> list[Path]:
    opportunities, past, field_past, done = [], [], [], []
    for deal in world:
        state: dict[str, Any] = {"Id": _salesforce(deal), "IsDeleted": "false", "CreatedDate": utc(deal.created // 1000 * 1000)}
        for number, (at, fields) in enumerate(_salesforce_steps(deal)):
            when = utc(at // 1000 * 1000)
            if not number:
                made = {"OpportunityId": _salesforce(deal), "Field": "created", "CreatedDate": when}
                field_past.append({"Id": f"017{at}C", **made, "OldValue": "", "NewValue": ""})
            if "OwnerId" in fields and number:
                row = {"OpportunityId": _salesforce(deal), "Field": "Owner", "CreatedDate": when}
                names = {name: NAMES[id] for id, name in zip(NAMES, SALESFORCE["owners"], strict=True)}
                old, new = state["OwnerId"], fields["OwnerId"]
                field_past.append({"Id": f"017{at}A", **row, "OldValue": old, "NewValue": new})
                field_past.append({"Id": f"017{at}B", **row, "OldValue": names[old], "NewValue": names[new]})
            state |= {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()}
            if {"StageName", "Amount"} & fields.keys():
                row = {"Id": f"008{at}", "OpportunityId": _salesforce(deal), "CreatedDate": when, "IsDeleted": "false"}
                past.append({**row, "StageName": state["StageName"], "Amount": state["Amount"], "CloseDate": ""})
        closed = deal.last("status") if deal.now()["status"] != "open" else None
        opportunities.append({**state, "CloseDate": utc(closed, "%Y-%m-%d") if closed else ""})
        for at, id, kind in deal.done:
            task = {"Id": f"00T0000000{id:05d}EAA", "WhatId": _salesforce(deal), "WhoId": "", "IsClosed": "true"}
            task |= {"TaskSubtype": kind.capitalize(), "OwnerId": "005000000000184AAA", "IsDeleted": "false"}
            done.append({**task, "CreatedDate": utc(at // 1000 * 1000)})
    files = [write_csv(folder / "Opportunity.csv", opportunities, quoting=csv.QUOTE_ALL)]
    if tasks and done:
        files.append(write_csv(folder / "Task.csv", done, quoting=csv.QUOTE_ALL))
    if history:
        random.Random(5).shuffle(past)
        files += [
            write_csv(folder / "OpportunityHistory.csv", past),
            write_csv(folder / "OpportunityFieldHistory.csv", field_past),
        ]
    return files


# -- leads ------------------------------------------------------------------------------------------------------------


@dataclass
class Lead:
    """One lead and its steps: (epoch ms, what): contacted, mql, sql, converted, disqualified, or the id of a new owner."""

    id: int
    created: int
    owner: str
    steps: list[tuple[int, str]] = field(default_factory=list)

    @property
    def modified(self) -> int:
        return max([self.created, *(at for at, _ in self.steps)])


def leads(seed: int, count: int = 40) -> list[Lead]:
    r = random.Random(seed)
    found = []
    for number in range(count):
        at = BEGIN + r.randrange(30 * 24 * HOUR)
        lead = Lead(7000 + number, at, r.choice(list(OWNERS)))
        steps = ["contacted", "mql", "sql", r.choice(["converted", "disqualified"])]
        for what in steps[: r.randrange(5)]:
            at += r.randrange(1_500, 60 * HOUR)
            lead.steps.append((at, r.choice(list(OWNERS)) if r.random() < 0.2 else what))
        found.append(lead)
    return found


_LIFECYCLE = {"mql": "marketingqualifiedlead", "sql": "salesqualifiedlead", "converted": "customer"}
_STATUS = {"contacted": "CONNECTED", "disqualified": "UNQUALIFIED"}


def _hubspot_steps(lead: Lead) -> Iterable[tuple[int, str, str]]:
    yield lead.created, "hubspot_owner_id", lead.owner
    for at, what in lead.steps:
        if what in OWNERS:
            yield at, "hubspot_owner_id", what
        else:
            yield at, "lifecyclestage" if what in _LIFECYCLE else "hs_lead_status", _LIFECYCLE.get(what) or _STATUS[what]


def hubspot_contacts_live(world: list[Lead]) -> list[dict[str, Any]]:
    notes = []
    for lead in world:
        notes.append(s.hubspot_note("contact.creation", objectId=lead.id, occurredAt=lead.created))
        for at, name, value in _hubspot_steps(lead):
            change = {"propertyName": name, "propertyValue": value, "occurredAt": at}
            notes.append(s.hubspot_note("contact.propertyChange", objectId=lead.id, **change))
    random.Random(6).shuffle(notes)
    return told("hubspot", [s.hubspot(s.compact(notes))], **HUBSPOT)


def hubspot_contacts(world: list[Lead], folder: Path) -> list[Path]:
    records = []
    for lead in world:
        histories: dict[str, list[dict[str, Any]]] = {}
        for at, name, value in _hubspot_steps(lead):
            histories.setdefault(name, []).insert(0, {"value": value, "timestamp": utc(at)})
        now = {"lifecyclestage": None, "lastmodifieddate": utc(lead.modified)}
        records.append(
            {"id": str(lead.id), "properties": now, "propertiesWithHistory": histories, "createdAt": utc(lead.created)}
        )
    (folder / "contacts.json").write_text(json.dumps({"results": records}))
    return [folder / "contacts.json"]


_SF_STATUS = {"contacted": "Working - Contacted", "mql": "Marketing", "sql": "Sales", "disqualified": "Closed - Not Converted"}
SALESFORCE_LEADS = {**SALESFORCE, "lead_statuses": {"Marketing": "mql", "Sales": "sql"}}


def _salesforce_lead(lead: Lead) -> str:
    return f"00Q0000000{lead.id:05d}EAA"


def _salesforce_lead_steps(lead: Lead) -> Iterable[tuple[int, str, dict[str, Any]]]:
    yield lead.created, "CREATE", {"OwnerId": f"005000000000{lead.owner}AAA", "Status": "Open", "CreatedDate": _cut(lead.created)}
    for at, what in lead.steps:
        if what in OWNERS:
            yield at, "UPDATE", {"OwnerId": f"005000000000{what}AAA"}
        elif what == "converted":
            yield at, "UPDATE", {"IsConverted": True, "ConvertedOpportunityId": f"00600000000{lead.id}AAA"}
        else:
            yield at, "UPDATE", {"Status": _SF_STATUS[what]}


def _cut(at: int) -> str:
    return utc(at // 1000 * 1000)


def salesforce_leads_live(world: list[Lead]) -> list[dict[str, Any]]:
    vectors = []
    for lead in world:
        for at, what, fields in _salesforce_lead_steps(lead):
            note = s.cdc(what, "Lead", records=[_salesforce_lead(lead)], LastModifiedDate=_cut(at), **fields)
            note["payload"]["ChangeEventHeader"] |= {"commitTimestamp": at, "transactionKey": f"t{at}"}
            vectors.append(s.salesforce(s.compact(note)))
    random.Random(7).shuffle(vectors)
    return told("salesforce", vectors, **SALESFORCE_LEADS)


def salesforce_leads(world: list[Lead], folder: Path, *, history: bool = True) -> list[Path]:
    rows, past = [], []
    for lead in world:
        state: dict[str, Any] = {"Id": _salesforce_lead(lead), "IsDeleted": "false", "IsConverted": "false", "ConvertedDate": ""}
        for at, what, fields in _salesforce_lead_steps(lead):
            for name, value in fields.items():
                row = {"Id": f"017{at}{name}", "LeadId": state["Id"], "CreatedDate": _cut(at), "Field": name, "NewValue": value}
                row["OldValue"] = state.get(name, "")
                if what == "CREATE" and name == "Status":
                    past.append(row | {"Field": "created", "NewValue": "", "OldValue": ""})
                elif name in ("IsConverted", "OwnerId") and what == "UPDATE":
                    past.append(
                        row | ({"Field": "leadConverted", "NewValue": ""} if name == "IsConverted" else {"Field": "Owner"})
                    )
                elif name == "Status":
                    past.append(row)
            state |= {name: str(value).lower() if isinstance(value, bool) else value for name, value in fields.items()}
            if "IsConverted" in fields:
                state["ConvertedDate"] = utc(at, "%Y-%m-%d")
        rows.append({"ConvertedOpportunityId": "", **state, "LastModifiedDate": _cut(lead.modified)})
    files = [write_csv(folder / "Lead.csv", rows)]
    return [*files, write_csv(folder / "LeadHistory.csv", past)] if history else files
