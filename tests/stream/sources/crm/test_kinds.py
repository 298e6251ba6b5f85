"""Faults come in kinds: each one is tried on every adapter that can have it. What was looked at is the table of the tests."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from stream.sources.crm import ADAPTERS, Request, Verdict, parse_settings, read
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, URL


def told(adapter: str, body: Any, received_at: int = NOW, headers: dict[str, str] | None = None, **settings: Any) -> Verdict:
    """Return what an authentic request tells."""
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    request = Request("POST", URL, headers or {"webhook-id": "m-1"}, raw, received_at)
    events, unusable, ignored = read(ADAPTERS[adapter], request, parse_settings(adapter, settings))
    return Verdict(True, 200, events=tuple(events), unusable=tuple(unusable), ignored=tuple(ignored))


def data_of(verdict: Verdict) -> list[dict[str, Any]]:
    assert not verdict.unusable, verdict.unusable
    return [event["data"] for event in verdict.events]


def why(verdict: Verdict) -> str:
    """Return why the one unusable part is."""
    (one,) = verdict.unusable
    return one.detail


def mapped(kind: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mapping": {"events": [{"type": kind, "subject": "$.id", "data": data}], **more}}


def close_deal(**data: Any) -> dict[str, Any]:
    return s.close_note("opportunity", "updated", {"id": "oppo_1", "status_type": "active", **data}, {"note": ""})


def track(event: str = "Bought", **properties: Any) -> dict[str, Any]:
    return s.call("track", event=event, properties={"deal_id": 7, **properties})


OWN = {"events": {"Bought": "deal.updated"}}

# -- a default against a part -----------------------------------------------------------------------------------------

Money = Callable[[str | None], tuple[Any, dict[str, Any]]]
#: Each sender's way to tell of an amount, with a currency or without.
AMOUNTS: dict[str, tuple[str, Money]] = {
    "hubspot": ("hubspot", lambda code: ([s.hubspot_change("amount", "20")], {})),
    "pipedrive": (
        "pipedrive",
        lambda code: (s.pipedrive_note("change", "deal", {"value": 20, "currency": code}, {"value": 1}), {}),
    ),
    "salesforce, message": ("salesforce", lambda code: (s.outbound({"Id": "006A", "Amount": "20", "CurrencyIsoCode": code}), {})),
    "salesforce, change": (
        "salesforce",
        lambda code: (s.cdc("UPDATE", Amount=20, **({} if code is None else {"CurrencyIsoCode": code})), {}),
    ),
    "segment": ("segment", lambda code: (track(amount=20, currency=code), OWN)),
    "rudderstack": ("rudderstack", lambda code: (track(amount=20, currency=code), OWN)),
    "close": ("close", lambda code: (close_deal(value=2000, value_currency=code), {})),
    "standard": (
        "standard",
        lambda code: ({"type": "deal.updated", "data": {"id": "D", "amount": "20", "currency": code}}, {}),
    ),
    "standard, mapped": (
        "standard",
        lambda code: ({"id": "D", "a": 20, "c": code}, mapped("deal.updated", {"amount": "$.a", "currency": "$.c"})),
    ),
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_default_currency_is_said_as_one(name: str) -> None:
    adapter, body = AMOUNTS[name]
    tree, settings = body(None)
    (data,) = data_of(told(adapter, tree, currency="EUR", **settings))
    assert (data.get("currency"), data["default_currency"]) == (None, "EUR")
    (data,) = data_of(told(adapter, tree, **settings))
    assert (data.get("currency"), data.get("default_currency")) == (None, None)


@pytest.mark.parametrize("name", sorted(AMOUNTS.keys() - {"hubspot"}))
def test_a_currency_that_is_said_is_the_deals_own(name: str) -> None:
    adapter, body = AMOUNTS[name]
    tree, settings = body("USD")
    (data,) = data_of(told(adapter, tree, currency="EUR", **settings))
    assert (data["currency"], data.get("default_currency")) == ("USD", None)


def test_no_default_where_no_amount_is_said() -> None:
    assert data_of(told("hubspot", [s.hubspot_change("amount", "")], currency="EUR")) == [{"amount": None}]
    assert data_of(told("hubspot", [s.hubspot_change("hubspot_owner_id", "7")], currency="EUR")) == [{"owner": "7"}]


@pytest.mark.parametrize("kind", ["customer.invoiced", "spend.recorded", "ad.clicked"])
def test_money_of_no_deal_is_in_the_sources_currency(kind: str) -> None:
    money = "cost" if kind == "ad.clicked" else "amount"
    (data,) = data_of(told("standard", {"id": "A", "a": 20}, currency="USD", **mapped(kind, {money: "$.a"})))
    assert data == {money: 20, "currency": "USD"}
