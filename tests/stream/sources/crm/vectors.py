"""The vectors of docs/webhook-conformance: requests, and what a receiver must make of them.

``python -m tests.stream.sources.crm.vectors`` writes them anew.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, SENDERS, URL, Vector, call, compact

FOLDER = Path(__file__).parents[4] / "docs/webhook-conformance"
YES, NO = {"accepted": True, "status": 200}, {"accepted": False, "status": 401}


def said(name: str, vector: Vector, **expect: Any) -> Vector:
    return {"name": name, "expect": expect, **vector}


def good(name: str, vector: Vector, *types: str, **expect: Any) -> Vector:
    return said(name, vector, **YES, reason=None, types=list(types), **expect)


def idle(name: str, vector: Vector) -> Vector:
    return said(name, vector, **YES, reason="ignored", types=[])


def dead(name: str, vector: Vector, reason: str, *types: str) -> Vector:
    return said(name, vector, **YES, reason=reason, types=list(types))


def no(name: str, vector: Vector, reason: str) -> Vector:
    return said(name, vector, **NO, reason=reason, types=[])


def with_headers(vector: Vector, **more: str | None) -> Vector:
    headers = vector["headers"] | {name.replace("_", "-"): value for name, value in more.items()}
    return vector | {"headers": {name: value for name, value in headers.items() if value is not None}}


def common(adapter: str) -> Iterator[Vector]:
    """What every receiver has to do with every sender."""
    sender = SENDERS[adapter]
    vector = sender.sign(sender.body)
    yield good("valid", vector, *sender.types)
    yield no(
        "another secret", sender.sign(sender.body, secret="another"), "bad_signature" if sender.covers_body else "bad_credentials"
    )
    missing = "missing_signature" if sender.covers_body else "missing_credentials"
    yield no("no proof at all", vector | {"headers": {}}, missing)
    yield no("nothing is set for the source", vector | {"settings": {}}, "not_configured")
    if sender.covers_body:
        yield no("tampered body", vector | {"body": sender.body.replace("1", "2", 1)}, "bad_signature")
        yield no("a space more", vector | {"body": sender.body + " "}, "bad_signature")
        both = ["the-old-one", *vector["settings"].get("secrets", [vector["settings"].get("client_secret", s.CLOSE_KEY)])]
        yield good("two secrets at a time", vector | {"settings": {**vector["settings"], "secrets": both}}, *sender.types)
    if sender.has_time:
        yield good("five minutes old", sender.sign(sender.body, at=NOW - 300_000), *sender.types)
        yield no("stale", sender.sign(sender.body, at=NOW - 301_000), "stale")
        yield good("five minutes ahead", sender.sign(sender.body, at=NOW + 300_000), *sender.types)
        yield no("future", sender.sign(sender.body, at=NOW + 301_000), "future")
        yield no("replayed a day later", vector | {"received_at": NOW + 86_400_000}, "stale")
    yield said("too large", {**vector, "body": " " * (1 << 20) + "{}"}, accepted=False, status=413, reason="too_large", types=[])
    yield dead("cut off", sender.sign('{"a": [1, 2'), "bad_json")
    yield dead("a key twice", sender.sign('{"a": 1, "a": 2}'), "bad_json")
    yield dead("NaN", sender.sign('[{"a": NaN}]'), "bad_json")
    yield dead("deep", sender.sign("[" * 100 + "]" * 100), "bad_json")
    yield dead("very deep", sender.sign("[" * 100_000), "bad_json")
    yield dead("not UTF-8", sender.sign(b'{"a": "\xff\xfe"}'), "bad_json")
    yield dead("UTF-16", sender.sign('{"a": 1}'.encode("utf-16-le")), "bad_json")
    yield dead("empty", sender.sign(""), "no_value")
    yield dead("an array of numbers", sender.sign("[1, 2]"), "not_an_object" if adapter not in OBJECT_ONLY else "invalid_data")
    yield no("odd Unicode in the proof", {**vector, "headers": dict.fromkeys(vector["headers"], "é💥")}, ODD[adapter])


OBJECT_ONLY = ("pipedrive", "close", "attio", "standard")
ODD = dict.fromkeys(SENDERS, "bad_signature") | {
    "hubspot": "bad_timestamp",
    "close": "bad_timestamp",
    "standard": "bad_timestamp",
    "pipedrive": "missing_credentials",
    "salesforce": "missing_credentials",
}


def hubspot() -> Iterator[Vector]:
    note, change, sign = s.hubspot_note, s.hubspot_change, lambda *notes, **how: s.hubspot(compact(list(notes)), **how)
    published = {"client_secret": "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"}
    page = "https://www.example.com/webhook_uri"
    for name, at, signature in (
        ("published by HubSpot's Python SDK", 1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        ("published by HubSpot's Ruby SDK", 1700000300000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
    ):
        headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(at)}
        body = "{'example_field':'example_value'}"
        yield dead(name, {**s.vector(headers, body, published), "url": page, "received_at": at + 1000}, "bad_json")
    for name, version, method, body, signature, reason in (
        ("published: v2, GET", "v2", "GET", "", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e", "no_value"),
        (
            "published: v2, POST",
            "v2",
            "POST",
            '{"example_field":"example_value"}',
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
            "invalid_data",
        ),
    ):
        headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}
        yield dead(name, {**s.vector(headers, body, {**published, "signatures": ["v2"]}), "url": page, "method": method}, reason)
    body = (
        '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation",'
        '"attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]'
    )
    signature = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    yield good(
        "published: v1",
        s.vector(
            {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v1"},
            body,
            {**published, "signatures": ["v1"], "lead_when": "always"},
        ),
        "lead.created",
        subjects=["123"],
    )
    won = change("dealstage", "closedwon")
    v1, v2 = (s.hubspot_old(compact([won]), version) for version in ("v1", "v2"))
    yield no("v1, which has no time, is off", v1, "unknown_version")
    yield no("v2, which has no time, is off", v2, "unknown_version")
    old = {"settings": {"client_secret": SECRET, "signatures": ["v3", "v2", "v1"]}}
    v1, v2 = v1 | old, v2 | old
    yield good("v1", v1, "deal.won")
    yield good("v2", v2, "deal.won")
    yield no("v2 of another secret", s.hubspot_old(compact([won]), "v2", secret="another") | old, "bad_signature")
    yield no("v1 said to be v2", with_headers(v1, **{"X-HubSpot-Signature-Version": "v2"}), "bad_signature")
    yield no("v1 said to be v3", with_headers(v1, **{"X-HubSpot-Signature-Version": "v3"}), "unknown_version")
    wrong = sign(won, secret="another")["headers"]
    yield no("v3 wrong, v1 right: no fall-back", with_headers(v1, **wrong), "bad_signature")
    yield no("v3 wrong, v2 right: no fall-back", with_headers(v2, **wrong), "bad_signature")
    yield no("v3 empty, v1 right: no fall-back", with_headers(v1, **{"X-HubSpot-Signature-v3": ""}), "missing_signature")
    yield no(
        "v3 without its time, v1 right: no fall-back",
        with_headers(v1, **{"X-HubSpot-Signature-v3": wrong["X-HubSpot-Signature-v3"]}),
        "missing_timestamp",
    )
    only = {"client_secret": SECRET, "signatures": ["v3"]}
    yield no("only v3 is taken here", v1 | {"settings": only}, "unknown_version")
    yield no("seconds in place of milliseconds", sign(won, at=NOW // 1000), "stale")
    for name, encoded, signed in (
        ("address: the twelve", "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B", ":/?@!$'()*,;"),
        ("address: no others", "a%20b%26c%3Dd%2B%25%C3%A9", "a%20b%26c%3Dd%2B%25%C3%A9"),
        ("address: once only", "%253A", "%253A"),
    ):
        yield good(name, sign(won, url=f"{URL}?q={signed}") | {"url": f"{URL}?q={encoded}"}, "deal.won")
    yield no("address: signed as it was encoded", sign(won, url=f"{URL}?q=%3A") | {"url": f"{URL}?q=%3A"}, "bad_signature")
    yield no("address: plain http", sign(won) | {"url": URL.replace("https", "http")}, "bad_signature")
    yield no("address: a slash more", sign(won) | {"url": URL + "/"}, "bad_signature")
    behind = sign(won) | {"url": "http://10.0.0.7:8080/webhooks/it"}
    yield no("address: behind a proxy that nobody mentioned", behind, "bad_signature")
    settings = {"client_secret": SECRET, "public_url": "https://vigie.example.com"}
    yield good("address: the public one from the settings", behind | {"settings": settings}, "deal.won")

    yield good("creation", sign(note("deal.creation")), "deal.created", subjects=["123"])
    moved = change("amount", "1250.50")
    id = f"hubspot:deal:123:amount:{NOW - 2_000}:{hashlib.sha256(b'1250.50').hexdigest()[:12]}"
    yield good("the id names the fact", sign(moved), "deal.updated", ids=[id])
    generic = {**moved, "subscriptionType": "object.propertyChange", "objectTypeId": "0-3", "eventId": 7, "portalId": 8}
    yield good("the id names the fact, whatever eventId and subscription", sign(generic), "deal.updated", ids=[id])
    later = note("deal.creation", occurredAt=NOW - 1_000)
    yield good(
        "a creation is one fact, whenever it is said to be", sign(later), "deal.created", ids=["hubspot:deal:123:creation"]
    )
    yield good("creation, generic", sign(note("object.creation", objectTypeId="0-3")), "deal.created")
    yield good(
        "creation under eventType", sign({**note(""), "subscriptionType": None, "eventType": "deal.creation"}), "deal.created"
    )
    yield good("a lead object", sign(note("object.creation", objectTypeId="0-136")), "lead.created", subjects=["lead-123"])
    yield good(
        "deletion", sign(note("deal.deletion"), note("contact.privacyDeletion")), "deal.deleted", erasures=[["lead", "123"]]
    )
    yield good("restore", sign(note("deal.restore")), "deal.created")
    generic = {"objectTypeId": "0-3", "propertyName": "amount", "propertyValue": "1000"}
    yield good("property, generic", sign(note("object.propertyChange", **generic)), "deal.updated", data=[{"amount": "1000"}])
    yield good("an amount as text", sign(change("amount", "1250.50")), "deal.updated", data=[{"amount": "1250.50"}])
    yield good("an amount cleared", sign(change("amount", "")), "deal.updated", data=[{"amount": None}])
    yield dead("an amount that is none", sign(change("amount", "a lot")), "bad_amount")
    yield good(
        "an open stage", sign(change("dealstage", "qualifiedtobuy")), "deal.stage_changed", data=[{"stage": "qualifiedtobuy"}]
    )
    yield good("lost", sign(change("dealstage", "closedlost")), "deal.lost", data=[{"stage": "closedlost"}])
    stages = {"client_secret": SECRET, "stages": {"139921": {"name": "Signed", "kind": "won"}}}
    yield good(
        "a stage from the table",
        sign(change("dealstage", "139921")) | {"settings": stages},
        "deal.won",
        data=[{"stage": "Signed"}],
    )
    owners = {"client_secret": SECRET, "owners": {"77": "ann"}}
    yield good(
        "an owner from the table",
        sign(change("hubspot_owner_id", "77")) | {"settings": owners},
        "deal.updated",
        data=[{"owner": "ann"}],
    )
    paris = {"client_secret": SECRET, "timezone": "Europe/Paris"}
    closing = sign(change("closedate", "1798757999000"))  # 2026-12-31T22:59:59Z
    yield good("a close date", closing, "deal.updated", data=[{"expected_close_date": "2026-12-31"}])
    late = sign(change("closedate", "1798758000000"))
    yield good("a close date in Paris", late | {"settings": paris}, "deal.updated", data=[{"expected_close_date": "2027-01-01"}])
    fields = {"client_secret": SECRET, "fields": {"deal_region": "region"}}
    yield good(
        "a property of one's own",
        sign(change("deal_region", "west")) | {"settings": fields},
        "deal.updated",
        data=[{"region": "west"}],
    )
    yield idle("a property nobody mapped", sign(change("deal_region", "west")))
    yield idle("a contact may be anybody", sign(note("contact.creation")))
    yield idle(
        "a subscriber is no lead", sign(note("contact.propertyChange", propertyName="lifecyclestage", propertyValue="subscriber"))
    )
    for value, types in (
        ("lead", ("lead.created",)),
        ("marketingqualifiedlead", ("lead.created", "lead.qualified")),
        ("customer", ("lead.converted",)),
    ):
        stage = note("contact.propertyChange", propertyName="lifecyclestage", propertyValue=value)
        yield good(f"lifecycle {value}", sign(stage), *types)
    forms = {"client_secret": SECRET, "lead_when": {"first_conversion_event_name": ["Contact us: Contact form"]}}
    form = note("contact.propertyChange", propertyName="first_conversion_event_name", propertyValue="Contact us: Contact form")
    yield good("a form that makes leads", sign(form) | {"settings": forms}, "lead.created")
    last = note("contact.propertyChange", propertyName="notes_last_contacted", propertyValue=str(NOW - 60_000))
    yield good("last contacted", sign(last), "lead.contacted", times=["2026-09-21T14:12:21Z"])
    deed = {
        **note("object.associationChange", fromObjectId=5, toObjectId=123),
        "fromObjectTypeId": "0-48",
        "toObjectTypeId": "0-1",
    }
    yield good("a call that is logged", sign(deed), "lead.contacted", subjects=["123"], data=[{"channel": "call"}])
    yield good("a call of a deal", sign({**deed, "toObjectTypeId": "0-3"}), "deal.activity", data=[{"kind": "call"}])
    yield idle("an e-mail, which may have come in", sign({**deed, "fromObjectTypeId": "0-49"}))
    mail = note("contact.propertyChange", propertyName="email", propertyValue=" Ann@Example.com ")
    digest = hashlib.sha256(b"ann@example.com").hexdigest()
    yield good("an address is hashed", sign(mail), "lead.updated", data=[{"email_hash": digest}])
    merge = note("deal.merge", primaryObjectId=123, mergedObjectIds=[4, 5], newObjectId=None, numberOfPropertiesMoved=3)
    yield good("merge", sign(merge), "deal.merged", "deal.merged", subjects=["4", "5"], data=[{"into": "123"}] * 2)
    yield good("merge into a new one", sign({**merge, "newObjectId": 9}), *["deal.merged"] * 3, subjects=["4", "5", "123"])
    ends = {"fromObjectId": 123, "toObjectId": 77, "associationRemoved": False, "isPrimaryAssociation": True}
    linked = note("deal.associationChange", associationType="DEAL_TO_CONTACT", **ends)
    yield good("association", sign(linked), "deal.updated", subjects=["123"], data=[{"lead_id": "77"}])
    yield good("association removed", sign({**linked, "associationRemoved": True}), "deal.updated", data=[{"lead_id": None}])
    turned = {**linked, "associationType": "COMPANY_TO_DEAL"}
    yield good("association from the other end", sign(turned), "deal.updated", subjects=["77"], data=[{"account_id": "123"}])
    numbered = {
        **note("object.associationChange", **ends),
        "fromObjectTypeId": "0-3",
        "toObjectTypeId": "0-1",
        "associationTypeId": 3,
    }
    yield good("association, generic", sign(numbered), "deal.updated", data=[{"lead_id": "77"}])
    yield idle("an object without events here", sign(note("company.creation")))
    yield idle("a subscription without use here", sign(note("deal.somethingNew")))
    yield dead("no time", sign({**won, "occurredAt": None}), "bad_time")
    yield dead("a time out of range", sign({**won, "occurredAt": 1}), "time_out_of_range")
    yield dead(
        "one unusable among others",
        sign(won, {**won, "objectId": None}, note("deal.creation")),
        "invalid_data",
        "deal.won",
        "deal.created",
    )
    yield good("as many as HubSpot sends", sign(*[{**won, "objectId": n} for n in range(1, 101)]), *["deal.won"] * 100)


def pipedrive() -> Iterator[Vector]:
    deal, sign = s.PIPEDRIVE_DEAL, lambda *note, **meta: s.pipedrive(compact(s.pipedrive_note(*note, **meta)))
    full = {
        "amount": 1250.5, "currency": "EUR", "stage": "3", "pipeline": "1", "owner": "184", "account_id": "12",
        "expected_close_date": "2026-12-31", "name": "Six hundred chairs",
    }  # fmt: skip
    yield good("create", sign("create", "deal", deal), "deal.created", subjects=["7"], data=[full])
    yield good("created as won", sign("create", "deal", deal | {"status": "won"}), "deal.created", "deal.won")
    yield good("change", sign("change", "deal", deal, {"value": 1}), "deal.updated", data=[full])
    yield good("stage", sign("change", "deal", deal, {"stage_id": 2}), "deal.stage_changed")
    there = deal | {"stage_change_time": "2026-09-21T14:13:19Z"}
    id = f"pipedrive:deal:7:stage:3:{NOW // 1000 - 2}"
    yield good("the id names the fact", sign("change", "deal", there, {"stage_id": 2}), "deal.stage_changed", ids=[id])
    yield good("won", sign("change", "deal", deal | {"status": "won"}, {"status": "open"}), "deal.won")
    lost = deal | {"status": "lost", "lost_reason": "price"}
    yield good("lost", sign("change", "deal", lost, {"status": "open"}), "deal.lost", data=[full | {"reason": "price"}])
    yield good("reopened", sign("change", "deal", deal, {"status": "lost"}), "deal.reopened")
    yield good("delete", sign("delete", "deal", None, deal), "deal.deleted", subjects=["7"])
    yield good("merge", sign("delete", "deal", None, deal, merged_to_id="9"), "deal.merged", data=[{"into": "9"}])
    yield good("time in seconds", sign("create", "deal", deal, timestamp=1790000000), "deal.created")
    lead = {"id": "adf2", "owner_id": 1, "value": {"amount": 500, "currency": "EUR"}, "origin": "web"}
    yield good("a lead", sign("create", "lead", lead, entity_id="adf2"), "lead.created", subjects=["adf2"])
    person = {"id": 31, "owner_id": 184, "org_id": 12, "emails": [{"value": "ann@example.com", "primary": True}]}
    yield idle("a person may be anybody", sign("create", "person", person, entity_id="31"))
    persons = {"settings": {"username": "vigie", "password": SECRET, "leads": "person"}}
    yield good("person", sign("create", "person", person, entity_id="31") | persons, "lead.created", subjects=["31"])
    yield good("person changed", sign("change", "person", person, {"owner_id": 1}, entity_id="31") | persons, "lead.updated")
    yield idle("a lead, where persons are the leads", sign("create", "lead", {"id": "x"}) | persons)
    known = sign("create", "deal", deal) | persons
    yield good(
        "a deal of a person",
        known,
        "deal.created",
        "lead.converted",
        subjects=["7", "31"],
        data=[full | {"lead_id": "31"}, {"deal_id": "7"}],
    )
    some = {"settings": persons["settings"] | {"lead_when": {"label_ids": ["4"]}}}
    marked = person | {"label_ids": [2, 4]}
    yield good("a person without the label", sign("create", "person", person, entity_id="31") | some, "lead.updated")
    marking = sign("change", "person", marked, {"label_ids": [2]}, entity_id="31") | some
    yield good("a person is given the label", marking, "lead.created", "lead.updated")
    edit = deal | {"status": "won", "won_time": "2026-03-01T12:00:00Z"}
    times = ["2026-03-01T12:00:00Z", "2026-09-21T14:13:20Z"]
    yield good(
        "an edit of a deal won long ago", sign("change", "deal", edit, {"value": 1}), "deal.won", "deal.updated", times=times
    )
    call_ = {"id": 5, "type": "call", "done": True, "deal_id": 7, "person_id": 31, "owner_id": 184}
    yield good("activity", sign("change", "activity", call_, {"done": False}, entity_id="5"), "deal.activity")
    yield good(
        "activity of a person", sign("change", "activity", call_, entity_id="5") | persons, "deal.activity", "lead.contacted"
    )
    own = {"id": 5, "type": "task", "done": True, "lead_id": "adf2"}
    yield good(
        "activity of a lead",
        sign("change", "activity", own | {"type": "call"}, entity_id="5"),
        "lead.contacted",
        subjects=["adf2"],
    )
    yield idle("a task is no contact with anybody", sign("change", "activity", own, entity_id="5"))
    yield idle("an activity to do", sign("create", "activity", call_ | {"done": False}, entity_id="5"))
    yield idle("organization", sign("create", "organization", {"id": 12}, entity_id="12"))
    yield dead(
        "webhooks v1", s.pipedrive(compact({"v": 1, "meta": {"v": 1, "action": "added", "object": "deal"}})), "invalid_data"
    )
    yield dead("no id", sign("create", "deal", deal, entity_id=None), "invalid_data")
    yield dead("no time", sign("create", "deal", deal, timestamp=None), "bad_time")
    vector = sign("create", "deal", deal)
    yield no("another name", with_headers(vector, Authorization=_basic("root", SECRET)), "bad_credentials")
    yield no("no colon", with_headers(vector, Authorization="Basic " + base64.b64encode(b"vigie").decode()), "bad_credentials")
    yield no("not base64", with_headers(vector, Authorization="Basic %%%"), "bad_credentials")
    yield no("another scheme", with_headers(vector, Authorization=f"Bearer {SECRET}"), "missing_credentials")
    custom = {"username": "vigie", "password": SECRET, "fields": {"a1b2": "region"}}
    body = deal | {"custom_fields": {"a1b2": {"type": "varchar", "value": "west"}}}
    yield good(
        "a custom field", sign("create", "deal", body) | {"settings": custom}, "deal.created", data=[full | {"region": "west"}]
    )


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def salesforce() -> Iterator[Vector]:
    won, only = s.SALESFORCE_WON, {"organization_id": s.ORGANIZATION}
    ack = {"content_type": "text/xml; charset=utf-8", "body": s.ACK}

    def sign(body: str, **over: Any) -> Vector:
        return s.vector({"Content-Type": "text/xml; charset=utf-8"}, body, only | over)

    yield good("outbound message", sign(s.outbound(won)), "deal.won", subjects=[won["Id"]], response=ack)
    yield good("the organization's 15 characters", sign(s.outbound(won), organization_id=s.ORGANIZATION[:15]), "deal.won")
    lower = {"organization_id": s.ORGANIZATION[:15].lower()}
    yield no("the 15 characters in other case", sign(s.outbound(won), **lower), "wrong_organization")
    several = s.outbound(won, won | {"Id": "0065e00000AAAAAAAA", "StageName": "Prospecting"})
    yield good("several notifications", sign(several), "deal.won", "deal.stage_changed", response=ack)
    yield no("another organization", sign(s.outbound(won, organization="00D000000000000AAA")), "wrong_organization")
    yield no("the organization in other case", sign(s.outbound(won, organization=s.ORGANIZATION.lower())), "wrong_organization")
    yield no("no organization", sign(s.outbound(won, organization="")), "wrong_organization")
    yield no(
        "an organization is not in two places",
        sign(s.outbound(won, organization="x</OrganizationId><Other>y</Other><OrganizationId>")),
        "wrong_organization",
    )
    entity = '<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield no("external entity", sign(s.outbound(won | {"StageName": "&x;"}, head=entity)), "hostile_xml")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    yield no("a billion laughs", sign(s.outbound(won, head=f'<!DOCTYPE e [<!ENTITY l0 "ha">{laughs}]>')), "hostile_xml")
    yield no("parameter entity", sign(s.outbound(won, head='<!DOCTYPE e SYSTEM "http://10.0.0.1/e.dtd">')), "hostile_xml")
    yield no("stylesheet", sign(s.outbound(won, head='<?xml-stylesheet href="x"?>')), "hostile_xml")
    yield no("an undefined entity", sign(s.outbound(won | {"StageName": "&nobody;"})), "bad_xml")
    yield no("XML: deep", sign("<a>" * 1000 + "</a>" * 1000), "hostile_xml")
    yield no("XML: cut off", sign(s.outbound(won)[:-20]), "bad_xml")
    yield no("other SOAP", sign('<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>'), "bad_xml")
    yield no("other namespace", sign(s.outbound(won).replace("2005/09/outbound", "2005/09/inbound")), "bad_xml")
    yield no("a message where nothing is set", s.vector({}, s.outbound(won), {}), "not_configured")
    token = only | {"token": "t0ken"}
    yield good("token in the address", s.vector({}, s.outbound(won), token) | {"url": URL + "?token=t0ken"}, "deal.won")
    yield no("another token", s.vector({}, s.outbound(won), token) | {"url": URL + "?token=t"}, "bad_credentials")
    made = won | {"StageName": "Prospecting", "CreatedDate": won["LastModifiedDate"]}
    yield good("created", sign(s.outbound(made)), "deal.created")
    closed = won | {"CreatedDate": won["LastModifiedDate"]}
    yield good("created as won", sign(s.outbound(closed)), "deal.created", "deal.won")
    yield good("lost", sign(s.outbound(won | {"StageName": "Closed Lost"})), "deal.lost")
    flags = {"IsClosed": "true", "IsWon": "true", "StageName": "Signé & payé".replace("&", "&amp;")}
    yield good("won by its flag", sign(s.outbound(won | flags)), "deal.won")
    yield good("a field that is nil", sign(s.outbound({"Id": "006A", "Amount": None})), "deal.updated", data=[{"amount": None}])
    lead = {"Id": "00Q5e00000ZkM3hAAF", "Email": "ann@example.com", "Status": "Working - Contacted"}
    yield good("a lead", sign(s.outbound(lead, object="Lead")), "lead.contacted", "lead.updated")
    yield idle("an account", sign(s.outbound({"Id": "0015e00000ZkM3hAAF"}, object="Account")))
    yield dead("no id", sign(s.outbound({"StageName": "Prospecting"})), "invalid_data")

    def cdc(what: str, *entity: str, **more: Any) -> Vector:
        return s.salesforce(compact(s.cdc(what, *entity, **more)))

    yield good("change: create", cdc("CREATE", StageName="Prospecting", Amount=1000.0), "deal.created")
    yield good("change: stage", cdc("UPDATE", StageName="Proposal"), "deal.stage_changed", data=[{"stage": "Proposal"}])
    proposed = cdc("UPDATE", StageName="Proposal", LastModifiedDate="2026-09-21T14:13:19.000Z")
    id = f"salesforce:Opportunity:0065e00000ZkM3hAAF:StageName:{NOW // 1000 - 2}:{hashlib.sha256(b'Proposal').hexdigest()[:12]}"
    yield good("change: the id names the fact", proposed, "deal.stage_changed", ids=[id], times=["2026-09-21T14:13:20Z"])
    yield good("change: won", cdc("UPDATE", StageName="Closed Won"), "deal.won")
    yield good("change: amount", cdc("UPDATE", Amount=99.5), "deal.updated", data=[{"amount": 99.5}])
    pubsub = s.cdc("UPDATE", Amount=None, StageName=None, OwnerId=None, CampaignId=None, CloseDate="2026-12-31")
    pubsub["payload"]["ChangeEventHeader"] |= {"changedFields": ["CloseDate", "CampaignId"], "nulledFields": ["CampaignId"]}
    yield good(
        "change: null where nothing has changed",
        s.salesforce(compact(pubsub)),
        "deal.updated",
        data=[{"campaign": None, "expected_close_date": "2026-12-31"}],
    )
    bits = s.cdc("UPDATE", Amount=None, StageName=None, OwnerId=None, CloseDate="2026-12-31")
    bits["payload"]["ChangeEventHeader"] |= {"changedFields": ["0x400002"], "nulledFields": []}
    yield good(
        "change: which have changed as a bitmap",
        s.salesforce(compact(bits)),
        "deal.updated",
        data=[{"expected_close_date": "2026-12-31"}],
    )
    yield dead("change: of an unknown kind", cdc("UPSERT"), "invalid_data")
    yield good("change: delete", cdc("DELETE"), "deal.deleted")
    yield good("change: several records", cdc("UPDATE", records=["006A", "006B"], OwnerId="005A"), *["deal.updated"] * 2)
    converted = {"IsConverted": True, "ConvertedOpportunityId": "006A", "ConvertedAccountId": "001A"}
    yield good("change: lead converted", cdc("UPDATE", "Lead", records=["00QA"], **converted), "lead.converted", "lead.updated")
    yield good(
        "change: a lead to be forgotten",
        cdc("UPDATE", "Lead", records=["00QA"], ShouldForget__c=True),
        erasures=[["lead", "00QA"]],
    )
    yield dead(
        "change: a person to be forgotten, of no lead",
        cdc("UPDATE", "Individual", records=["0PKA"], ShouldForget=True),
        "invalid_data",
    )
    yield good("change: task", cdc("CREATE", "Task", WhatId="006A", TaskSubtype="Call", OwnerId="005A"), "deal.activity")
    to_do = {"WhoId": "00QA", "TaskSubtype": "Call"}
    yield idle("change: a task to do", cdc("CREATE", "Task", **to_do, Status="Not Started"))
    yield good("change: a task that was done", cdc("CREATE", "Task", **to_do, Status="Completed"), "lead.contacted")
    yield good("change: a task that is done now", cdc("UPDATE", "Task", **to_do, Status="Completed"), "lead.contacted")
    webinar = {"settings": cdc("CREATE")["settings"] | {"lead_when": {"LeadSource": ["Web"], "Status": ["Working"]}}}
    yield good("change: a lead that is none yet", cdc("CREATE", "Lead", LeadSource="List") | webinar, "lead.updated")
    yield good("change: it is one now", cdc("UPDATE", "Lead", Status="Working") | webinar, "lead.created", "lead.updated")
    yield good("gap: create", cdc("GAP_CREATE"), "deal.created", data=[{}])
    yield good("gap: delete", cdc("GAP_DELETE"), "deal.deleted")
    yield dead("gap: update", cdc("GAP_UPDATE"), "invalid_data")
    yield dead("gap: overflow", cdc("GAP_OVERFLOW", records=["000000000000000AAA"]), "invalid_data")
    yield dead("any record", cdc("UPDATE", records=["006*"]), "invalid_data")
    bare = s.cdc("UPDATE", Amount=1)["payload"]
    yield good("change without its wrapping", s.salesforce(compact(bare)), "deal.updated")
    change = compact(s.cdc("DELETE"))
    relay = s.vector({"Authorization": f"Bearer {SECRET}"}, change, only | {"secrets": [SECRET]})
    yield good("a change with a relay's secret", relay, "deal.deleted")
    yield no("a change with another secret", with_headers(relay, Authorization="Bearer x"), "bad_credentials")
    yield no("a change that nobody vouches for", s.vector({}, change, only), "not_configured")


def segment() -> Iterator[Vector]:
    sign = lambda *calls: s.segment(compact(calls[0] if len(calls) == 1 else {"batch": calls}))  # noqa: E731
    page = {"visitor_id": "a-1", "lead_id": "lead-1", "page": "https://shop.example.com/pricing", "campaign": "spring"}
    yield good("page", sign(call("page")), "web.page_viewed", subjects=["a-1"], data=[page])
    yield good("screen", sign(call("screen", name="Home")), "web.page_viewed")
    yield good("identify", sign(call("identify", traits={"email": "ann@example.com"})), "web.identified", data=[page])
    yield good("delete", sign(call("delete")), erasures=[["lead", "lead-1"], ["visitor", "a-1"]])
    yield good("user deleted", sign(call("track", event="User Deleted", anonymousId=None)), erasures=[["lead", "lead-1"]])
    yield idle("identify a visitor without a name", sign(call("identify", userId=None)))
    for name, kind in (
        ("Form Submitted", "web.form_submitted"),
        ("Email Opened", "email.opened"),
        ("demo_requested", "web.demo_requested"),
    ):
        yield good(f"track {name}", sign(call("track", event=name)), kind)
    own = {"secrets": [SECRET], "events": {"Bought": "deal.won"}}
    bought = call("track", event="Bought", properties={"deal_id": 7, "amount": 12.5, "currency": "EUR"})
    yield good("a name of one's own", sign(bought) | {"settings": own}, "deal.won", subjects=["7"])
    yield idle("another name", sign(call("track", event="Order Completed")))
    yield idle("group", sign(call("group")))
    yield good("batch", sign(call("page"), call("screen")), "web.page_viewed", "web.page_viewed")
    skewed = {"timestamp": None, "originalTimestamp": "2026-09-21T13:00:00Z", "sentAt": "2026-09-21T13:00:05Z"}
    late = sign(call("page", **skewed, receivedAt="2026-09-21T14:13:20Z"))
    yield said("a clock that is wrong", late, **YES, types=["web.page_viewed"], times=["2026-09-21T14:13:15Z"])
    outer = s.segment(compact({"batch": [call("page", **{**skewed, "sentAt": None})], "sentAt": skewed["sentAt"]}))
    yield said("sentAt of the batch", outer, **YES, types=["web.page_viewed"], times=["2026-09-21T14:13:16Z"])
    yield dead("no messageId", sign(call("page", messageId=None)), "invalid_data")
    yield dead("nobody", sign(call("page", anonymousId=None, userId=None)), "invalid_data")
    vector = sign(call("page"))
    upper = with_headers(vector, **{"X-Signature": vector["headers"]["X-Signature"].upper()})
    yield good("hexadecimal in upper case", upper, "web.page_viewed")


def rudderstack() -> Iterator[Vector]:
    page = compact(call("page", context={"sessionId": 1790000000, "page": {"path": "/pricing"}}))
    yield good(
        "page with its session",
        s.segment(page),
        "web.page_viewed",
        data=[{"visitor_id": "a-1", "lead_id": "lead-1", "session_id": "1790000000", "page": "/pricing"}],
    )
    fixed = s.vector({"Authorization": "Bearer t0ken"}, page, {"token": "t0ken"})
    yield good("a fixed header", fixed, "web.page_viewed")
    yield no("another fixed header", with_headers(fixed, Authorization="Bearer token"), "bad_credentials")


def close() -> Iterator[Vector]:
    sign = lambda *note, **more: s.close(compact(s.close_note(*note, **more)))  # noqa: E731
    deal = {
        "id": "oppo_1",
        "status_type": "active",
        "status_id": "stat_a",
        "value": 100050,
        "value_currency": "USD",
        "user_id": "u",
    }
    yield good(
        "created",
        sign("opportunity", "created", deal),
        "deal.created",
        subjects=["oppo_1"],
        data=[{"currency": "USD", "stage": "stat_a", "owner": "u", "amount": "1000.50"}],
    )
    yield good("won", s.close(compact(s.CLOSE_WON)), "deal.won", times=["2026-09-21T14:13:20.395Z"])
    yield good("stage", sign("opportunity", "updated", deal, {"status_id": "stat_0"}), "deal.stage_changed")
    yield good("updated", sign("opportunity", "updated", deal, {"value": 1}), "deal.updated")
    yield good("reopened", sign("opportunity", "updated", deal, {"status_type": "lost"}), "deal.reopened")
    yield good("deleted", sign("opportunity", "deleted", {}), "deal.deleted")
    yield good("a lead", sign("lead", "created", {"id": "lead_1", "status_id": "stat_p"}, object_id="lead_1"), "lead.created")
    merged = {"merge_source_lead_id": "lead_2", "merge_destination_lead_id": "lead_1"}
    yield good(
        "leads merged", sign("lead", "merged", {}, meta=merged), "lead.merged", subjects=["lead_2"], data=[{"into": "lead_1"}]
    )
    yield good("a call", sign("activity.call", "created", {"lead_id": "lead_1", "direction": "outbound"}), "lead.contacted")
    yield idle("a call that came in", sign("activity.call", "created", {"lead_id": "lead_1", "direction": "inbound"}))
    yield idle("a draft", sign("activity.email", "created", {"lead_id": "lead_1", "direction": "outgoing", "status": "draft"}))
    yield good(
        "an e-mail that went out", sign("activity.email", "sent", {"lead_id": "lead_1", "status": "sent"}), "lead.contacted"
    )
    hot = {"signature_key": s.CLOSE_KEY, "lead_when": {"status_label": "Hot"}}
    lead = {"id": "lead_1", "status_label": "Hot"}
    made = sign("lead", "created", {**lead, "status_label": "Cold"}, object_id="lead_1")
    yield good("a lead that is none yet", made | {"settings": hot}, "lead.updated")
    turned = sign("lead", "updated", lead, {"status_label": "Cold"}, object_id="lead_1")
    yield good("it is one now", turned | {"settings": hot}, "lead.updated", "lead.created")
    yield idle("a task", sign("task.lead", "created", {}))
    yield dead("no id", sign("opportunity", "created", deal, id=None), "invalid_data")


def attio() -> Iterator[Vector]:
    sign = lambda kind, **ids: s.attio(compact(s.attio_note(kind, **ids)))  # noqa: E731
    yield good("created", sign("record.created"), "deal.created", subjects=["bf071e1f-6035-429d-b874-d83ea64ea13b"])
    yield good("updated", sign("record.updated", attribute_id="41252299"), "deal.updated", data=[{}])
    yield good("deleted", sign("record.deleted"), "deal.deleted")
    note = s.attio_note("record.merged")
    note["events"][0] |= {"duplicate_object_id": "97052eb9-e65e-443f-a297-f2d9a4a7f795", "duplicate_record_id": "gone"}
    yield good(
        "merged",
        s.attio(compact(note)),
        "deal.merged",
        subjects=["gone"],
        data=[{"into": "bf071e1f-6035-429d-b874-d83ea64ea13b"}],
    )
    yield dead("merged, with nothing named", sign("record.merged"), "invalid_data")
    yield good("a lead", sign("record.created", object_id="6e5e6b5c-5b2a-4f60-8f5f-1b7c2f9f3e11"), "lead.created")
    listed = s.attio_note("list-entry.created", list_id="l-1", entry_id="e-1")
    listed["events"][0] |= {"parent_object_id": "people", "parent_record_id": "p-1"}
    lists = s.attio(compact(listed))
    lists["settings"] |= {"lead_lists": ["l-1"]}
    yield good("a list that makes leads", lists, "lead.created", subjects=["p-1"])
    yield idle("another list", s.attio(compact(listed)))
    person = sign("record.created", object_id="6e5e6b5c-5b2a-4f60-8f5f-1b7c2f9f3e11")
    yield idle("a person who is in no list", person | {"settings": lists["settings"]})
    yield idle("another object", sign("record.created", object_id="0"))
    yield idle("a note", sign("note.created"))
    vector = sign("record.created")
    legacy = vector | {"headers": {"X-Attio-Signature": vector["headers"]["Attio-Signature"]}}
    yield good("the header of old", legacy, "deal.created")
    both = with_headers(legacy, **{"Attio-Signature": "0" * 64})
    yield no("the header of today decides", both, "bad_signature")


ZOHO = {
    "each": "$.data[*]",
    "events": [
        {
            "when": {"$.module": "Deals", "$.operation": ["insert"]},
            "type": "deal.created",
            "subject": "$.id",
            "time": "$.Modified_Time",
            "data": {
                "amount": {"path": "$.Amount", "scale": 0.01},
                "owner": "$.Owner['full name']",
                "region": "$.Lines[1].place",
            },
        },
        {
            "when": {"$.module": "Deals"},
            "type": {
                "path": "$.Stage",
                "values": {"Closed Won": "deal.won", "Closed Lost": "deal.lost"},
                "otherwise": "deal.stage_changed",
            },
            "subject": "$.id",
            "id": "$.change",
            "data": {"stage": "$.Stage", "source": {"value": "zoho"}},
        },
        {"type": "skip", "subject": "$.id"},
    ],
}


def standard() -> Iterator[Vector]:
    won = compact(s.STANDARD_WON)
    yield good(
        "the contract's own types",
        s.standard(won),
        "deal.won",
        subjects=["D-1"],
        data=[{"amount": "1250.00", "currency": "EUR", "owner": "ann"}],
    )
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/erp",
        "type": "customer.invoiced",
        "time": "2026-09-21T14:00:00Z",
        "subject": "A-1",
        "data": {"amount": "10.00", "currency": "EUR"},
    }
    yield good("a CloudEvent", s.standard(compact(event)), "customer.invoiced", ids=["e-1"], sources=["/erp"])
    bare = {name: value for name, value in event.items() if name not in ("id", "time", "subject")}
    bare["data"] = {"account_id": "A-1", "amount": "10.00", "currency": "EUR"}
    yield good(
        "a CloudEvent that leaves the rest to the headers",
        s.standard(compact(bare)),
        "customer.invoiced",
        ids=["standard:msg_1"],
        subjects=["A-1"],
    )
    yield idle("another type", s.standard(compact({"type": "contact.created", "data": {}})))
    spec = '{"test": 2432232314}'
    published = s.vector(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        spec,
        {"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
    )
    yield dead("published by the reference libraries", published | {"received_at": 1614265330000}, "invalid_data")
    vector = s.standard(won)
    right = vector["headers"]["webhook-signature"]
    yield good("several signatures", with_headers(vector, **{"webhook-signature": f"v1,AAAA v2,x {right}"}), "deal.won")
    yield no(
        "the right signature of another version", with_headers(vector, **{"webhook-signature": "v2" + right[2:]}), "bad_signature"
    )
    yield no("another id", with_headers(vector, **{"webhook-id": "msg_2"}), "bad_signature")
    yield no("an id with a full stop", s.standard(won, id="a.b"), "bad_signature")
    yield no("milliseconds in place of seconds", with_headers(vector, **{"webhook-timestamp": str(NOW)}), "future")
    svix = {name.replace("webhook", "svix"): value for name, value in vector["headers"].items()}
    yield good("the forerunner's headers", vector | {"headers": svix}, "deal.won")
    signed = s.standard_asymmetric(won)
    yield good("v1a", signed, "deal.won")
    yield no("v1a of another key", s.standard_asymmetric(won, seed=b"x" * 32), "bad_signature")
    yield no("v1a with another body", signed | {"body": won + " "}, "bad_signature")
    # Whoever knows the public key must not be able to sign with it.
    public = signed["settings"]["secrets"][0]
    forged = s.standard(won, secret=public)
    yield no("a public key is no secret", forged | {"settings": {"secrets": [public]}}, "bad_signature")
    mixed = signed | {"settings": {"secrets": [*signed["settings"]["secrets"], *vector["settings"]["secrets"]]}}
    yield good("v1a and v1 while they change", mixed, "deal.won")
    settings = {**vector["settings"], "mapping": ZOHO}
    rows = {
        "data": [
            {"module": "Deals", "operation": "insert", "id": 7, "Amount": 125050, "Modified_Time": "2026-09-21T16:00:00+02:00",
             "Owner": {"full name": "Ann"}, "Lines": [{}, {"place": "west"}]},
            {"module": "Deals", "operation": "update", "id": 7, "Stage": "Closed Won", "change": "c-1"},
            {"module": "Deals", "operation": "update", "id": 7, "Stage": "Proposal", "change": "c-2"},
            {"module": "Contacts", "id": 9},
        ]
    }  # fmt: skip
    token = {"mapping": ZOHO, "token": "t0ken"}
    bare = s.vector({"Authorization": "Bearer t0ken"}, compact(rows), token)
    types = ("deal.created", "deal.won", "deal.stage_changed")
    yield good("a token, where the sender cannot sign", bare, *types)
    yield no("another token", with_headers(bare, Authorization="Bearer t"), "bad_credentials")
    yield no("no token", bare | {"headers": {}}, "missing_credentials")
    both = bare | {"settings": {**vector["settings"], **token}}
    yield no("a token does not stand for a signature that is wanted", both, "missing_signature")
    mapped = s.standard(compact(rows)) | {"settings": settings}
    yield good(
        "a mapping",
        mapped,
        "deal.created",
        "deal.won",
        "deal.stage_changed",
        subjects=["7"] * 3,
        data=[
            {"amount": "1250.50", "owner": "Ann", "region": "west"},
            {"stage": "Closed Won", "source": "zoho"},
            {"stage": "Proposal", "source": "zoho"},
        ],
    )
    scale = {"events": [{"type": "deal.won", "subject": "$.id", "data": {"amount": {"path": "$.a", "scale": 0.01}}}]}
    text = s.standard(compact({"id": "D", "a": "125050"})) | {"settings": {**vector["settings"], "mapping": scale}}
    yield good("a scale, of a number that is text", text, "deal.won", data=[{"amount": "1250.50"}])
    rounded = s.standard(compact({"type": "deal.won", "data": {"id": "1.23457E+10"}}))
    yield dead("an id that a spreadsheet has rounded", rounded, "invalid_data")
    broken = s.standard(compact({"data": [{"module": "Deals", "operation": "insert", "Amount": 1}, rows["data"][1]]}))
    yield dead("a mapping that finds no subject", broken | {"settings": settings}, "invalid_data", "deal.won")


OWN = {f.__name__: f for f in (hubspot, pipedrive, salesforce, segment, rudderstack, close, attio, standard)}


def vectors(adapter: str) -> list[Vector]:
    return [*common(adapter), *OWN[adapter]()]


def written(adapter: str) -> str:
    # What is only large is told by its recipe: nobody wants a megabyte of spaces in a repository.
    return "".join(json.dumps(folded(one), ensure_ascii=True) + "\n" for one in vectors(adapter))


def folded(vector: Vector) -> Vector:
    body = vector.get("body", "")
    if len(body) > 20_000:
        unit, tail = (" ", "{}") if body.startswith(" ") else ("[", "")
        count = len(body) - len(tail)
        if body == unit * count + tail:
            return {k: v for k, v in vector.items() if k != "body"} | {"body_repeat": [unit, count, tail]}
    return vector


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in OWN:
        (FOLDER / f"{name}.jsonl").write_text(written(name))
        print(name, len(vectors(name)), file=sys.stderr)
