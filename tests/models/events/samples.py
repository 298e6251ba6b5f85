"""Events for the tests: one good example of each type, and a writer of JSON that may repeat a key."""

from typing import Any

import orjson

ARRIVAL = 1_785_000_000_000  # 2026-07-25

_DEAL = {"amount": "1234.56", "currency": "EUR", "cost": 99.5, "stage": "proposal", "owner": "ana", "team": "north"}
_DEAL |= {"pipeline": "new", "source": "web", "campaign": "spring", "product": "suite", "region": "emea", "segment": "smb"}
_DEAL |= {
    "default_currency": "EUR",
    "account_id": "a-1",
    "lead_id": "l-1",
    "expected_close_date": "2026-09-30",
    "list_amount": "1500.00",
    "discount": 0.177,
    "sale": "upsell",
    "lead_created_at": "2026-07-01T09:00:00+02:00",
    "variant": "b",
    "name": "Six hundred chairs",
}
_LEAD = {
    **_DEAL,
    "score": 71,
    "email_hash": "9f2c",
    "bant": {"budget": True, "authority": 0.5, "need": "high", "timing": None},
    "first_name": "Ann",
    "last_name": "Lee",
}
_VISIT: dict[str, Any] = {
    "visitor_id": "v-1",
    "session_id": "s-1",
    "lead_id": "l-1",
    "page": "/pricing",
    "referrer": "https://example.org/",
}
_VISIT |= {"source": "ads", "campaign": "spring", "duration_seconds": 12.5, "form": "contact", "cta": "try"}
_REACH = {"message_id": "m-1", "lead_id": "l-1", "campaign": "spring", "channel": "mail", "count": 3, "cost": "0.0125"}
_INVOICE = {
    "amount": 480,
    "currency": "EUR",
    "product": "suite",
    "deal_id": "d-1",
    "term_end": "2027-07-24",
    "name": "Chairs Ltd",
}
_TICKET = {"opened_at": "2026-07-20T08:00:00Z", "response_seconds": 900, "name": "Chairs Ltd"}
_FACTS = {"origin": "d-2", "version": 1, "path": ["d-3"], "facts": [[1_780_000_000_000, "e-1", "updated", {"amount": 10_000}]]}

#: The full data of each type.
DATA: dict[str, dict[str, Any]] = {
    "deal.created": _DEAL,
    "deal.updated": _DEAL,
    "deal.stage_changed": _DEAL,
    "deal.won": _DEAL,
    "deal.lost": {**_DEAL, "reason": "price"},
    "deal.reopened": _DEAL,
    "deal.activity": {"kind": "call", "owner": "ana"},
    "deal.merged": {"into": "d-9"},
    "deal.deleted": {},
    "lead.created": _LEAD,
    "lead.updated": _LEAD,
    "lead.contacted": {"channel": "phone", "preparation_seconds": 60},
    "lead.contact_attempted": {"channel": "phone", "preparation_seconds": 60},
    "lead.qualified": {"level": "mql"},
    "lead.disqualified": {"reason": "student"},
    "lead.converted": {"deal_id": "d-1", "account_id": "a-1"},
    "lead.merged": {"into": "l-9"},
    "lead.deleted": {},
    "web.page_viewed": _VISIT,
    "web.form_started": _VISIT,
    "web.form_abandoned": _VISIT,
    "web.form_submitted": _VISIT,
    "web.cta_clicked": _VISIT,
    "web.demo_requested": _VISIT,
    "web.identified": _VISIT,
    "email.sent": _REACH,
    "email.opened": {**_REACH, "machine": True},
    "email.clicked": _REACH,
    "email.bounced": _REACH,
    "ad.impressed": {**_REACH, "currency": "EUR"},
    "ad.clicked": _REACH,
    "social.reached": _REACH,
    "customer.invoiced": _INVOICE,
    "customer.renewed": _INVOICE,
    "customer.churned": {"reason": "price"},
    "customer.surveyed": {"kind": "nps", "score": 9},
    "customer.complained": _TICKET,
    "customer.supported": _TICKET,
    "customer.recommended": {"lead_id": "l-1", "name": "Acme"},
    "spend.recorded": {"amount": "250.00", "currency": "EUR", "channel": "ads", "campaign": "spring", "day": "2026-07-24"},
    "rep.hired": {"owner": "ana", "steps": 5},
    "rep.trained": {"owner": "ana", "hours": 7.5},
    "rep.onboarded": {"owner": "ana", "step": "first call"},
    "metric.recorded": {"name": "energy", "value": "12.5", "unit": "kWh", "dimensions": {"region": "DACH", "owner": "ana"}},
    "deal.absorbed": _FACTS,
    "lead.absorbed": _FACTS,
}


def event(kind: str = "deal.updated", /, data: Any = ..., **attributes: Any) -> dict[str, Any]:
    """Return a good event of the type, with the given attributes in place of its own."""
    good = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "crm/test",
        "type": kind,
        "time": "2026-07-24T10:20:30.456Z",
        "subject": "x-1",
        "data": DATA[kind] if data is ... else data,
    }
    return {**good, **attributes}


def wire(kind: str = "deal.updated", /, **attributes: Any) -> bytes:
    """Return a good event of the type as bytes."""
    return orjson.dumps(event(kind, **attributes))


Pairs = list[tuple[str, Any]]


def pairs(raw: Any) -> Any:
    """Return JSON data with objects as lists of pairs, so that a test may repeat a key, and leaves as their text."""
    if isinstance(raw, dict):
        return [(name, pairs(value)) for name, value in raw.items()]
    return orjson.dumps(raw)


def written(tree: Any) -> bytes:
    """Write what `pairs` returned."""
    if isinstance(tree, bytes):
        return tree
    return b"{" + b",".join(orjson.dumps(name) + b":" + written(value) for name, value in tree) + b"}"
