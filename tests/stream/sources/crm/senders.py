"""How does each CRM sign and speak? Written from the senders' documentation, independently of the adapters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_790_000_001_000  # 2026-09-21T14:13:21Z
SECRET = "5up3r-secret-of-the-tests"
URL = "https://vigie.example.com/webhooks/it"
ORGANIZATION = "00D5e000000KQ2eEAG"

Vector = dict[str, Any]


def compact(tree: Any) -> str:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)


def vector(headers: Mapping[str, str], body: str | bytes, settings: Mapping[str, Any], **more: Any) -> Vector:
    found: Vector = {"method": "POST", "url": URL, "headers": dict(headers)}
    try:
        found["body"] = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        found["body_base64"] = base64.b64encode(error.object).decode()
    return {**found, "received_at": NOW, "settings": dict(settings), **more}


def raw(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


# -- who signs how -----------------------------------------------------------------------------------------------------


def hubspot(body: str | bytes, *, secret: str = SECRET, at: int = NOW, url: str = URL) -> Vector:
    signed = b"POST" + url.encode() + raw(body) + str(at).encode()
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(at)}
    return vector(headers, body, {"client_secret": SECRET})


def hubspot_old(body: str | bytes, version: str, *, secret: str = SECRET, url: str = URL) -> Vector:
    signed = secret.encode() + (b"POST" + url.encode() if version == "v2" else b"") + raw(body)
    headers = {"X-HubSpot-Signature": hashlib.sha256(signed).hexdigest(), "X-HubSpot-Signature-Version": version}
    return vector(headers, body, {"client_secret": SECRET})


def pipedrive(body: str | bytes, *, secret: str = SECRET, at: int = NOW) -> Vector:
    basic = base64.b64encode(f"vigie:{secret}".encode()).decode()
    return vector({"Authorization": f"Basic {basic}"}, body, {"username": "vigie", "password": SECRET})


def salesforce(body: str | bytes, *, secret: str = SECRET, at: int = NOW) -> Vector:
    basic = base64.b64encode(f"relay:{secret}".encode()).decode()
    settings = {"organization_id": ORGANIZATION, "username": "relay", "password": SECRET}
    return vector({"Authorization": f"Basic {basic}", "Content-Type": "text/xml"}, body, settings)


def segment(body: str | bytes, *, secret: str = SECRET, at: int = NOW) -> Vector:
    signature = hmac.new(secret.encode(), raw(body), hashlib.sha1).hexdigest()
    return vector({"X-Signature": signature}, body, {"secrets": [SECRET]})


CLOSE_KEY = hashlib.sha256(SECRET.encode()).hexdigest()


def close(body: str | bytes, *, secret: str = SECRET, at: int = NOW) -> Vector:
    key, stamp = hashlib.sha256(secret.encode()).digest(), str(at // 1000)
    signature = hmac.new(key, stamp.encode() + raw(body), hashlib.sha256).hexdigest()
    return vector({"close-sig-hash": signature, "close-sig-timestamp": stamp}, body, {"signature_key": CLOSE_KEY})


def attio(body: str | bytes, *, secret: str = SECRET, at: int = NOW) -> Vector:
    signature = hmac.new(secret.encode(), raw(body), hashlib.sha256).hexdigest()
    objects = {"97052eb9-e65e-443f-a297-f2d9a4a7f795": "deal", "6e5e6b5c-5b2a-4f60-8f5f-1b7c2f9f3e11": "lead"}
    return vector({"Attio-Signature": signature}, body, {"secrets": [SECRET], "objects": objects})


def standard(body: str | bytes, *, secret: str = SECRET, at: int = NOW, id: str = "msg_1") -> Vector:
    stamp = str(at // 1000)
    signed = f"{id}.{stamp}.".encode() + raw(body)
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    return vector(headers, body, {"secrets": ["whsec_" + base64.b64encode(SECRET.encode()).decode()]})


def standard_asymmetric(body: str | bytes, *, at: int = NOW, id: str = "msg_1", seed: bytes = b"v" * 32) -> Vector:
    private, stamp = Ed25519PrivateKey.from_private_bytes(seed), str(at // 1000)
    signature = base64.b64encode(private.sign(f"{id}.{stamp}.".encode() + raw(body))).decode()
    public = Ed25519PrivateKey.from_private_bytes(b"v" * 32).public_key().public_bytes_raw()
    headers = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1a,{signature}"}
    return vector(headers, body, {"secrets": ["whpk_" + base64.b64encode(public).decode()]})


# -- what each says ----------------------------------------------------------------------------------------------------


def hubspot_note(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "eventId": 100,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": NOW - 2_000,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": 123,
        "changeSource": "CRM",
        **more,
    }


def hubspot_change(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return hubspot_note("deal.propertyChange", propertyName=name, propertyValue=value, **more)


def pipedrive_note(action: str, entity: str, data: Any, previous: Any = None, **meta: Any) -> dict[str, Any]:
    return {
        "meta": {
            "action": action,
            "entity": entity,
            "version": "2.0",
            "company_id": "12882925",
            "id": "6c5f5a3e-8f27-4f7c-8f1e-0b7f7d9f0a11",
            "entity_id": "7",
            "timestamp": "2026-09-21T14:13:20.000Z",
            "attempt": 1,
            "user_id": "184",
            **meta,
        },
        "data": data,
        "previous": previous,
    }


PIPEDRIVE_DEAL = {
    "id": 7,
    "title": "Six hundred chairs",
    "value": 1250.5,
    "currency": "EUR",
    "status": "open",
    "stage_id": 3,
    "pipeline_id": 1,
    "owner_id": 184,
    "person_id": 31,
    "org_id": 12,
    "expected_close_date": "2026-12-31",
}


def outbound(
    *fields: Mapping[str, str | None], organization: str = ORGANIZATION, head: str = "", object: str = "Opportunity"
) -> str:
    notes = "".join(
        f'<Notification><Id>04l5e00000Gx7Q{place}AAJ</Id><sObject xsi:type="sf:{object}" '
        f'xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        + "".join(
            f'<sf:{name} xsi:nil="true"/>' if value is None else f"<sf:{name}>{value}</sf:{name}>" for name, value in one.items()
        )
        + "</sObject></Notification>"
        for place, one in enumerate(fields)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        f'<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{organization}</OrganizationId>'
        "<ActionId>04k5e000000CaRkAAK</ActionId><SessionId>00D-SESSION!SECRET</SessionId>"
        "<EnterpriseUrl>https://e.example.com</EnterpriseUrl><PartnerUrl>https://p.example.com</PartnerUrl>"
        f"{notes}</notifications></soapenv:Body></soapenv:Envelope>"
    )


SALESFORCE_WON = {
    "Id": "0065e00000ZkM3hAAF",
    "Amount": "1250.0",
    "StageName": "Closed Won",
    "OwnerId": "0055e000003UcPp",
    "CloseDate": "2026-09-21",
    "LastModifiedDate": "2026-09-21T14:13:20.000Z",
}


def cdc(what: str, entity: str = "Opportunity", records: Any = ("0065e00000ZkM3hAAF",), **fields: Any) -> dict[str, Any]:
    return {
        "schema": "IeRuaY6cbI_HsV8Rv1Mc5g",
        "payload": {
            "ChangeEventHeader": {
                "entityName": entity,
                "recordIds": list(records),
                "changeType": what,
                "changeOrigin": "com/salesforce/api/soap/64.0",
                "transactionKey": "000f2a3f-9d0d-7f7f-0000-1b0f0a0c0d0e",
                "sequenceNumber": 1,
                "commitTimestamp": NOW - 1_000,
                "commitUser": "0055e000003UcPp",
                "commitNumber": 11063200123456,
            },
            **fields,
        },
        "event": {"replayId": 12},
    }


def call(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "messageId": f"m-{kind}",
        "anonymousId": "a-1",
        "userId": "lead-1",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "context": {"page": {"url": "https://shop.example.com/pricing?email=x@example.com"}, "campaign": {"name": "spring"}},
        **more,
    }


def close_note(kind: str, action: str, data: Any, previous: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "subscription_id": "whsub_1",
        "event": {
            "id": "ev_2sYKRjcrA79yKxi3S4Crd7",
            "date_created": "2026-09-21T14:13:20.395000",
            "object_type": kind,
            "object_id": "oppo_1",
            "action": action,
            "data": data,
            "previous_data": previous or {},
            **more,
        },
    }


CLOSE_WON = close_note(
    "opportunity",
    "updated",
    {"id": "oppo_1", "status_type": "won", "status_id": "stat_w", "value": 100000, "value_currency": "USD", "user_id": "user_1"},
    {"status_type": "active", "status_id": "stat_a"},
)


def attio_note(kind: str, **ids: str) -> dict[str, Any]:
    found = {
        "workspace_id": "14beef7a-99f7-4534-a87e-70b564330a4c",
        "object_id": "97052eb9-e65e-443f-a297-f2d9a4a7f795",
        "record_id": "bf071e1f-6035-429d-b874-d83ea64ea13b",
        **ids,
    }
    actor = {"type": "workspace-member", "id": "50cf242c-7fa3-4cad-87d0-75b1af71c57b"}
    return {"webhook_id": "23e42eaf", "events": [{"event_type": kind, "id": found, "actor": actor}]}


STANDARD_WON = {
    "type": "deal.won",
    "timestamp": "2026-09-21T14:13:20Z",
    "data": {"id": "D-1", "amount": "1250.00", "currency": "EUR", "owner": "ann"},
}


@dataclass(frozen=True)
class Sender:
    """One CRM: how it signs, an ordinary message with the types it must give, and what its proof covers."""

    sign: Callable[..., Vector]
    body: str
    types: tuple[str, ...]
    covers_body: bool = True
    has_time: bool = False
    json: bool = True
    more: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


SENDERS: dict[str, Sender] = {
    "hubspot": Sender(
        hubspot,
        compact([hubspot_change("amount", "1250.50"), hubspot_change("dealstage", "closedwon", eventId=101)]),
        ("deal.updated", "deal.won"),
        has_time=True,
    ),
    "pipedrive": Sender(
        pipedrive, compact(pipedrive_note("create", "deal", PIPEDRIVE_DEAL)), ("deal.created",), covers_body=False
    ),
    "salesforce": Sender(salesforce, outbound(SALESFORCE_WON), ("deal.won",), covers_body=False, json=False),
    "segment": Sender(segment, compact({"batch": [call("page"), call("identify")]}), ("web.page_viewed", "web.identified")),
    "rudderstack": Sender(segment, compact(call("track", event="Form Submitted")), ("web.form_submitted",)),
    "close": Sender(close, compact(CLOSE_WON), ("deal.won",), has_time=True),
    "attio": Sender(attio, compact(attio_note("record.created")), ("deal.created",)),
    "standard": Sender(standard, compact(STANDARD_WON), ("deal.won",), has_time=True),
}

#: What Salesforce wants to read, to the letter of its documentation.
ACK = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
    '<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
    "</notificationsResponse></soapenv:Body></soapenv:Envelope>"
)
