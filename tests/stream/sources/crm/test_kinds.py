"""Faults come in kinds: each one is tried on every adapter that can have it. What was looked at is the table of the tests."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from models.calendar import iso
from models.events.scalars import AHEAD
from stream.config.tracker_settings import SiteSettings
from stream.sources import tracker
from stream.sources.crm import ADAPTERS, Request, SourceProblem, Verdict, parse_settings, read
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


# -- null against absent ----------------------------------------------------------------------------------------------

EVERY_FIELD: dict[str, Any] = dict.fromkeys(
    (
        "AccountId",
        "Amount",
        "CampaignId",
        "CloseDate",
        "CurrencyIsoCode",
        "IsClosed",
        "IsWon",
        "LeadSource",
        "OwnerId",
        "StageName",
    )
)


def change(
    changed: Any = ..., nulled: Any = ..., what: str = "UPDATE", entity: str = "Opportunity", **fields: Any
) -> dict[str, Any]:
    """Return a change event with what its header says of fields; ``...`` leaves that out."""
    tree = s.cdc(what, entity, **fields)
    header = tree["payload"]["ChangeEventHeader"]
    header |= {name: value for name, value in (("changedFields", changed), ("nulledFields", nulled)) if value is not ...}
    return tree


@pytest.mark.parametrize(
    ("changed", "nulled"),
    [
        (["CloseDate", "LastModifiedDate"], []),
        (["CloseDate", "LastModifiedDate"], ...),
        (["0x400002"], []),
        (["0x400002", "2-0x1"], ["0x0"]),
        ([], []),
        (..., []),
        (..., ...),  # nobody says what has changed: fields that are never empty are null
    ],
)
def test_salesforce_leaves_alone_what_has_not_changed(changed: Any, nulled: Any) -> None:
    tree = change(changed, nulled, **EVERY_FIELD | {"CloseDate": "2026-12-31"}, LastModifiedDate=NOW)
    assert data_of(told("salesforce", tree)) == [{"expected_close_date": "2026-12-31"}]


@pytest.mark.parametrize(
    ("changed", "nulled"),
    [
        (["CampaignId", "LastModifiedDate"], ["CampaignId"]),
        (["CampaignId", "LastModifiedDate"], ...),
        (["0x400002"], ["CampaignId"]),
        (..., ["CampaignId"]),
    ],
)
def test_salesforce_clears_what_was_cleared(changed: Any, nulled: Any) -> None:
    assert data_of(told("salesforce", change(changed, nulled, **EVERY_FIELD))) == [{"campaign": None}]


def test_salesforce_says_so_where_what_was_cleared_has_no_name() -> None:
    verdict = told("salesforce", change(["0x400002"], ["0x20"], **EVERY_FIELD | {"Amount": 5}))
    assert [event["data"] for event in verdict.events] == [{"amount": 5}]
    assert why(verdict) == "nulledFields of Opportunity 0065e00000ZkM3hAAF: a bitmap, what was cleared is not said by name"


def test_salesforce_over_cometd_a_null_clears() -> None:
    assert data_of(told("salesforce", change(CampaignId=None, LastModifiedDate=NOW))) == [{"campaign": None}]
    assert data_of(told("salesforce", change(nulled=["CampaignId"], Amount=5))) == [{"amount": 5, "campaign": None}]


@pytest.mark.parametrize("what", ["CREATE", "UNDELETE"])
def test_salesforce_a_creation_clears_nothing(what: str) -> None:
    assert data_of(told("salesforce", change([], [], what, **EVERY_FIELD | {"Amount": 7}))) == [{"amount": 7}]


def test_salesforce_what_is_there_and_has_not_changed_is_no_step() -> None:
    # Enriched events carry chosen fields whether they have changed or not.
    verdict = told("salesforce", change(["Amount", "LastModifiedDate"], [], Amount=7, StageName="Closed Won", IsWon=True))
    assert [(e["type"], e["data"]) for e in verdict.events] == [("deal.updated", {"amount": 7})]


def test_salesforce_a_whole_record_tells_its_close_when_it_was_and_its_edit_now() -> None:
    """A deal heard of for the first time long after its close is not a sale of the day of its last edit."""
    record = {"Id": "006A", "IsWon": "true", "StageName": "Closed Won", "Amount": "20", "CurrencyIsoCode": "EUR",
              "CreatedDate": "2026-01-05T09:00:00Z", "LastModifiedDate": "2026-06-01T10:00:00Z"}  # fmt: skip
    stepped = told("salesforce", s.outbound(record | {"LastStageChangeDate": "2026-02-03T08:00:00Z"})).events
    assert [(one["type"], one["time"], one["data"].get("amount")) for one in stepped] == [
        ("deal.won", "2026-02-03T08:00:00Z", None),
        ("deal.updated", "2026-06-01T10:00:00Z", "20"),
    ]
    assert stepped[0]["data"] == {"stage": "Closed Won"} and stepped[0]["id"] != stepped[1]["id"]
    (edited,) = told("salesforce", s.outbound(record)).events
    assert (edited["type"], edited["time"]) == ("deal.won", "2026-06-01T10:00:00Z")


def test_salesforce_fields_within_fields() -> None:
    fields: dict[str, Any] = {
        "Name": {"FirstName": None, "LastName": None},
        "Address": {"Country": "France", "City": None},
        "OwnerId": None,
    }
    tree = change(["Address.Country"], [], entity="Lead", **fields)
    assert data_of(told("salesforce", tree)) == [{"region": "France"}]
    name = {"Name": {"FirstName": None, "LastName": "Lee"}}
    assert data_of(told("salesforce", change(["Name"], [], entity="Lead", **fields | name))) == [{"last_name": "Lee"}]
    assert data_of(told("salesforce", change(["0x2", "3-0x8"], [], entity="Lead", **fields))) == [{"region": "France"}]


WHOLE = s.PIPEDRIVE_DEAL
#: Senders that repeat the whole record: what is as it was before is no step, even where a relay lists it among the old values.
REPEATED = {
    "pipedrive, status": (
        "pipedrive",
        s.pipedrive_note("change", "deal", WHOLE | {"status": "won"}, {"status": "won", "value": 1}),
    ),
    "pipedrive, stage": ("pipedrive", s.pipedrive_note("change", "deal", WHOLE, {"stage_id": WHOLE["stage_id"], "value": 1})),
    "close, status": (
        "close",
        s.close_note(
            "opportunity",
            "updated",
            {"status_type": "won", "status_id": "w"},
            {"status_type": "won", "status_id": "w", "confidence": 1},
        ),
    ),
}


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_as_it_was_is_no_step(name: str) -> None:
    adapter, tree = REPEATED[name]
    assert [event["type"] for event in told(adapter, tree).events] == ["deal.updated"]


#: Where something may stand in two places, a null in the first does not hide the second.
TWO_PLACES: dict[str, tuple[str, Any, dict[str, Any], tuple[str, Any]]] = {
    "segment, deal": ("segment", track(deal_id=None, id=9), OWN, ("subject", "9")),
    "segment, campaign": (
        "segment",
        s.call("page", context={"campaign": {"name": None}}, properties={"utm_campaign": "spring"}),
        {},
        ("campaign", "spring"),
    ),
    "segment, form": (
        "segment",
        s.call("track", event="Form Submitted", properties={"form_name": None, "form": "f"}),
        {},
        ("form", "f"),
    ),
    "close, lead": (
        "close",
        s.close_note("activity.call", "completed", {"lead_id": None}, lead_id="lead_1"),
        {},
        ("subject", "lead_1"),
    ),
    "close, object": ("close", s.close_note("lead", "updated", {"id": "lead_1"}, object_id=None), {}, ("subject", "lead_1")),
    "standard, subject": ("standard", {"type": "deal.won", "subject": None, "data": {"id": "D"}}, {}, ("subject", "D")),
    "standard, time": (
        "standard",
        {"type": "deal.won", "time": None, "timestamp": "2026-09-01T00:00:00Z", "data": {"id": "D"}},
        {},
        ("time", "2026-09-01T00:00:00Z"),
    ),
    "pipedrive, address": (
        "pipedrive",
        s.pipedrive_note("change", "person", {"emails": None, "email": "a@b.c"}),
        {"leads": "person"},
        ("email_hash", "f98b8bd8b17aab0f6dd8df2ecf06ee0e69ba1f1ebb55c98e41c8c8ff59dba6c9"),
    ),
}


@pytest.mark.parametrize("name", TWO_PLACES)
def test_a_null_does_not_hide_what_stands_elsewhere(name: str) -> None:
    adapter, tree, settings, (field, expected) = TWO_PLACES[name]
    verdict = told(adapter, tree, **settings)
    assert not verdict.unusable
    found = {**verdict.events[0], **verdict.events[0]["data"]}
    assert found[field] == expected or (field == "email_hash" and len(found[field]) == 64)


def test_standard_what_a_null_says_is_the_mappings_to_say() -> None:
    tree, data = {"id": "D", "o": None, "a": 5}, {"owner": "$.o", "amount": "$.a", "region": "$.r"}
    assert data_of(told("standard", tree, **mapped("deal.updated", data))) == [{"owner": None, "amount": 5}]
    assert data_of(told("standard", tree, **mapped("deal.updated", data, nulls="unchanged"))) == [{"amount": 5}]


# -- an unknown word of a closed list ---------------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "hubspot, flag": ("hubspot", [s.hubspot_change("hs_is_closed_won", "Bientôt")], {}, "'Bientôt', accepted is true or false"),
    "hubspot, link": (
        "hubspot",
        [
            s.hubspot_note(
                "x.associationChange", associationType="DEAL_TO_CONTACT", fromObjectId=1, toObjectId=2, associationRemoved="?"
            )
        ],
        {},
        "associationRemoved: found '?', accepted is true or false",
    ),
    "pipedrive, status": (
        "pipedrive",
        s.pipedrive_note("change", "deal", WHOLE | {"status": "Vyhráno"}, {"status": "open"}),
        {},
        "status: found 'Vyhráno', accepted are open, won, lost, deleted",
    ),
    "pipedrive, action": ("pipedrive", s.pipedrive_note("added", "deal", WHOLE), {}, "accepted actions: create change delete"),
    "salesforce, change": ("salesforce", s.cdc("UPSERT", Amount=1), {}, "changeType: found 'UPSERT', accepted are CREATE"),
    "salesforce, flag": (
        "salesforce",
        s.outbound({"Id": "006A", "IsWon": "perhaps"}),
        {},
        "IsWon: found 'perhaps', accepted is true or false",
    ),
    "close, status": (
        "close",
        s.close_note("opportunity", "updated", {"status_type": "gewonnen"}, {"status_type": "active"}),
        {},
        "status_type: found 'gewonnen', accepted are active, won, lost",
    ),
    "standard, type": (
        "standard",
        {"id": "D", "t": "Closed"},
        {"mapping": {"events": [{"type": {"path": "$.t", "values": {"Won": "deal.won"}}, "subject": "$.id"}]}},
        "type: found 'Closed'",
    ),
    "standard, level": ("standard", {"id": "L", "l": "hot"}, mapped("lead.qualified", {"level": "$.l"}), "level: found 'hot'"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_word_is_refused_by_name(name: str) -> None:
    adapter, tree, settings, said = UNKNOWN[name]
    verdict = told(adapter, tree, **settings)
    assert verdict.events == () and said in why(verdict)


@pytest.mark.parametrize(
    ("word", "settings", "kind"),
    [
        ("won", {}, "deal.won"),
        ("Gagnée", {}, "deal.won"),
        ("GEWONNEN", {}, "deal.won"),
        ("Perdue", {}, "deal.lost"),
        ("En cours", {}, "deal.updated"),
        ("Vyhráno", {"deal_statuses": {"vyhráno": "won"}}, "deal.won"),
        ("Supprimée", {}, "deal.deleted"),
    ],
)
def test_pipedrives_words_for_a_status(word: str, settings: dict[str, Any], kind: str) -> None:
    tree = s.pipedrive_note("change", "deal", WHOLE | {"status": word}, {"status": "x" if kind == "deal.won" else None})
    assert [event["type"] for event in told("pipedrive", tree, **settings).events] == [kind]


def test_a_status_of_a_lead_that_means_nothing_here_is_said() -> None:
    said = "'Nurturing' is no step of a lead here (sources.<name>.lead_statuses)"
    for name, tree in (
        ("hubspot", [s.hubspot_note("contact.propertyChange", propertyName="hs_lead_status", propertyValue="Nurturing")]),
        ("salesforce", s.cdc("UPDATE", "Lead", Status="Nurturing")),
        ("close", s.close_note("lead", "updated", {"status_label": "Nurturing"}, {"status_id": "x"})),
    ):
        (why_,) = told(name, tree).ignored
        assert said in why_


STEPS = {
    "hubspot": (
        "hubspot",
        [s.hubspot_note("contact.propertyChange", propertyName="hs_lead_status", propertyValue="In progress")],
        "lead.contacted",
    ),
    "hubspot, stage": ("hubspot", [s.hubspot_change("dealstage", "Closed Won")], "deal.won"),
    "salesforce": ("salesforce", s.outbound({"Id": "00QA", "Status": "working - contacted"}, object="Lead"), "lead.contacted"),
    "salesforce, stage": ("salesforce", s.cdc("UPDATE", StageName="CLOSED LOST"), "deal.lost"),
    "close": (
        "close",
        s.close_note("lead", "updated", {"status_label": "bad fit"}, {"status_label": "x", "status_id": "y"}),
        "lead.disqualified",
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_case_and_spaces_of_a_word_say_nothing(name: str) -> None:
    adapter, tree, kind = STEPS[name]
    settings: dict[str, Any] = {"lead_statuses": {"Bad Fit": "disqualified"}} if adapter == "close" else {}
    verdict = told(adapter, tree, **settings)
    assert kind in [event["type"] for event in verdict.events]


# -- an impossible id -------------------------------------------------------------------------------------------------

IDS: dict[str, tuple[str, Callable[[Any], tuple[Any, dict[str, Any]]]]] = {
    "hubspot": ("hubspot", lambda id: ([s.hubspot_note("deal.creation", objectId=id)], {})),
    "hubspot, merge": ("hubspot", lambda id: ([s.hubspot_note("deal.merge", primaryObjectId=1, mergedObjectIds=[id])], {})),
    "pipedrive": ("pipedrive", lambda id: (s.pipedrive_note("create", "deal", WHOLE, entity_id=id), {})),
    "pipedrive, link": ("pipedrive", lambda id: (s.pipedrive_note("create", "deal", WHOLE | {"person_id": id}), {})),
    "salesforce, message": ("salesforce", lambda id: (s.outbound({"Id": str(id)}), {})),
    "salesforce, change": ("salesforce", lambda id: (s.cdc("CREATE", records=[id]), {})),
    "segment": ("segment", lambda id: (track() | {"properties": {"deal_id": id}}, OWN)),
    "segment, visitor": ("segment", lambda id: (s.call("page", anonymousId=id), {})),
    "rudderstack, lead": ("rudderstack", lambda id: (s.call("page", userId=id), {})),
    "close": ("close", lambda id: (s.close_note("lead", "created", {}, object_id=id), {})),
    "attio": ("attio", lambda id: (s.attio_note("record.created", object_id="deals", record_id=id), {})),
    "standard": ("standard", lambda id: ({"type": "deal.won", "data": {"id": id}}, {})),
    "standard, mapped": ("standard", lambda id: ({"id": id}, mapped("deal.won", {}))),
}
IMPOSSIBLE = ["1.23457E+10", "1,23457E+10", "1E+10", "null", "undefined", "NaN", "#N/A", "[object Object]", "None"]


@pytest.mark.parametrize("id", IMPOSSIBLE)
@pytest.mark.parametrize("name", IDS)
def test_an_impossible_id_is_refused(name: str, id: str) -> None:
    adapter, body = IDS[name]
    tree, settings = body(id)
    verdict = told(adapter, tree, **settings)
    assert verdict.events == ()
    assert ("that a spreadsheet has rounded" if "E+" in id else "which stands for no value") in why(verdict)


@pytest.mark.parametrize("id", ["12345678901", "1e5f", "D-1E+X", "noneuclidean", "6a1f9c2e"])
def test_an_odd_id_is_one(id: str) -> None:
    assert told("standard", {"type": "deal.won", "data": {"id": id}}).events[0]["subject"] == id


def test_a_whole_number_is_one_however_it_is_written() -> None:
    for id in ("7", 7, 7.0):
        assert told("standard", {"id": id}, **mapped("deal.won", {})).events[0]["subject"] == "7"


def test_salesforce_fifteen_characters_are_the_record_of_eighteen() -> None:
    # Both forms are of Salesforce's documentation of ids.
    for short, long in (("0065e00000ZkM3h", "0065e00000ZkM3hAAF"), ("00QD000000FxcMM", "00QD000000FxcMMMAZ")):
        object_ = "Opportunity" if short.startswith("006") else "Lead"
        ids = {told("salesforce", s.cdc("CREATE", object_, records=[id])).events[0]["subject"] for id in (short, long)}
        assert len(ids) == 1 and len(ids.pop()) == 18


# -- a conversion that is skipped for another type --------------------------------------------------------------------


@pytest.mark.parametrize("value", [125050, 125050.0, "125050", " 125050 ", "1.2505e5"])
def test_a_scale_holds_for_text_too(value: Any) -> None:
    (data,) = data_of(told("standard", {"id": "D", "a": value}, **mapped("deal.won", {"amount": {"path": "$.a", "scale": 0.01}})))
    assert float(data["amount"]) == 1250.5
    (data,) = data_of(told("close", close_deal(value=value)))
    assert float(data["amount"]) == 1250.5


@pytest.mark.parametrize("value", ["1 250,50 €", "1,250.50", "12,50", "abc", True, [1], "1" * 65])
def test_what_cannot_be_scaled_is_refused(value: Any) -> None:
    verdict = told("standard", {"id": "D", "a": value}, **mapped("deal.won", {"amount": {"path": "$.a", "scale": 0.01}}))
    assert verdict.events == () and "accepted where a scale is set is a number" in why(verdict)
    assert "accepted where a scale is set is a number" in why(told("close", close_deal(value=value)))


@pytest.mark.parametrize(
    ("kind", "data", "item", "expected"),
    [
        ("lead.contacted", {"preparation_seconds": {"path": "$.v", "scale": 0.001}}, "90000", {"preparation_seconds": 90.0}),
        ("web.page_viewed", {"duration_seconds": "$.v"}, "12.5", {"duration_seconds": 12.5}),
        ("email.sent", {"count": "$.v"}, "3", {"count": 3}),
        ("customer.surveyed", {"kind": {"value": "nps"}, "score": "$.v"}, "9", {"kind": "nps", "score": 9.0}),
        ("customer.invoiced", {"amount": {"value": "1"}, "currency": "$.v"}, "eur", {"amount": "1", "currency": "EUR"}),
        ("lead.converted", {"deal_id": "$.v"}, 7, {"deal_id": "7"}),
        ("lead.updated", {"bant": "$.v"}, {"budget": True}, {"bant": {"budget": True}}),
        ("lead.updated", {"email_hash": "$.v"}, "A" * 64, {"email_hash": "a" * 64}),
        ("spend.recorded", {"amount": {"value": "1"}, "currency": {"value": "EUR"}, "day": "$.v"}, "2026-03-31T00:00:00",
         {"amount": "1", "currency": "EUR", "day": "2026-03-31"}),
        ("customer.supported", {"opened_at": "$.v"}, 1_790_000_000, {"opened_at": "2026-09-21T14:13:20Z"}),
        ("web.page_viewed", {"page": "$.v"}, "https://a.example/b?email=x@y.z#c", {"page": "https://a.example/b"}),
    ],
)  # fmt: skip
def test_a_mapped_value_has_the_type_of_its_field(kind: str, data: dict[str, Any], item: Any, expected: dict[str, Any]) -> None:
    assert data_of(told("standard", {"id": "x", "v": item}, **mapped(kind, data))) == [expected]


@pytest.mark.parametrize(
    ("found", "accepted"), [("true", True), (True, "true"), (True, True), ("1", 1), (1.0, 1), (7, "7"), (7, [1, "7"])]
)
def test_a_condition_compares_what_is_meant(found: Any, accepted: Any) -> None:
    rule = {"when": {"$.v": accepted}, "type": "deal.won", "subject": "$.id"}
    assert len(told("standard", {"id": "D", "v": found}, mapping={"events": [rule]}).events) == 1


@pytest.mark.parametrize(
    ("found", "accepted"), [("false", True), (1, True), (True, 1), (None, "null"), ("1", True), (False, "true")]
)
def test_a_condition_tells_a_yes_from_a_number(found: Any, accepted: Any) -> None:
    rule = {"when": {"$.v": accepted}, "type": "deal.won", "subject": "$.id"}
    assert told("standard", {"id": "D", "v": found}, mapping={"events": [rule]}).events == ()


@pytest.mark.parametrize("value", [True, "true", "TRUE", "1", 1])
def test_a_flag_is_one_in_each_form(value: Any) -> None:
    assert [event["type"] for event in told("salesforce", s.cdc("UPDATE", IsWon=value, IsClosed=value)).events] == ["deal.won"]
    done = s.pipedrive_note("change", "activity", {"type": "call", "done": value, "deal_id": 7}, entity_id="5")
    assert [event["type"] for event in told("pipedrive", done).events] == ["deal.activity"]


# -- text for people where machines read ------------------------------------------------------------------------------

FORMATTED = ["1 234,50 €", "1.234,50", "$1,234.50", "1’234.50", "(100)"]


@pytest.mark.parametrize("value", FORMATTED)
@pytest.mark.parametrize("name", ["hubspot", "pipedrive", "salesforce", "segment", "standard", "standard, mapped"])
def test_a_formatted_number_is_refused_and_not_guessed(name: str, value: str) -> None:
    tree, settings = {
        "hubspot": ([s.hubspot_change("amount", value)], {}),
        "pipedrive": (s.pipedrive_note("create", "deal", WHOLE | {"value": value}), {}),
        "salesforce": (s.cdc("CREATE", Amount=value), {}),
        "segment": (track(amount=value), OWN),
        "standard": ({"type": "deal.won", "data": {"id": "D", "amount": value}}, {}),
        "standard, mapped": ({"id": "D", "a": value}, mapped("deal.won", {"amount": "$.a"})),
    }[name]
    verdict = told(name.partition(",")[0], tree, **settings)
    assert verdict.events == () and verdict.unusable[0].reason == "bad_amount"


@pytest.mark.parametrize("value", ["31/12/2026", "12/31/2026", "31 décembre 2026", "2026-13-01", "Dec 31, 2026"])
@pytest.mark.parametrize("name", ["hubspot", "pipedrive", "salesforce", "close", "standard, mapped"])
def test_a_date_for_people_is_refused_and_not_guessed(name: str, value: str) -> None:
    tree, settings = {
        "hubspot": ([s.hubspot_change("closedate", value)], {}),
        "pipedrive": (s.pipedrive_note("create", "deal", WHOLE | {"expected_close_date": value}), {}),
        "salesforce": (s.cdc("CREATE", CloseDate=value), {}),
        "close": (close_deal(date_won=value), {}),
        "standard, mapped": ({"id": "D", "d": value}, mapped("deal.won", {"expected_close_date": "$.d"})),
    }[name]
    verdict = told(name.partition(",")[0], tree, **settings)
    assert verdict.events == () and len(verdict.unusable) == 1


def test_a_day_is_the_day_it_says_wherever_days_begin() -> None:
    for value in ("2026-12-31", "2026-12-31T00:00:00", "2026-12-31 00:00:00.000"):
        (data,) = data_of(told("salesforce", s.cdc("UPDATE", CloseDate=value), timezone="America/New_York"))
        assert data["expected_close_date"] == "2026-12-31"


def test_a_type_that_is_none_is_said_when_settings_are_read() -> None:
    with pytest.raises(SourceProblem, match=r"sources.segment.events: 'deal.wonn' is no type of event \(accepted: deal.created"):
        parse_settings("segment", {"events": {"Bought": "deal.wonn"}})
    for scale in (0, -1, float("nan"), float("inf")):
        with pytest.raises(SourceProblem, match="scale"):
            parse_settings("standard", mapped("deal.won", {"amount": {"path": "$.a", "scale": scale}}))


# -- senders' clocks --------------------------------------------------------------------------------------------------

Timed = Callable[[str | None], tuple[Any, dict[str, Any]]]


def fix(tree: Any, where: tuple[Any, ...], at: str | None) -> Any:
    """Return the tree with the time at a place replaced, or taken away."""
    node = tree
    for step in where[:-1]:
        node = node[step]
    node[where[-1]] = at
    return tree


HEADER = ("payload", "ChangeEventHeader", "commitTimestamp")
STAMPS: dict[str, tuple[str, Timed]] = {
    "hubspot": ("hubspot", lambda at: ([fix(s.hubspot_change("amount", "1"), ("occurredAt",), at)], {})),
    "pipedrive": ("pipedrive", lambda at: (fix(s.pipedrive_note("create", "deal", WHOLE), ("meta", "timestamp"), at), {})),
    "salesforce, change": ("salesforce", lambda at: (fix(s.cdc("CREATE", Amount=1), HEADER, at), {})),
    "close": ("close", lambda at: (fix(close_deal(value=1), ("event", "date_created"), at), {})),
    "salesforce, message": ("salesforce", lambda at: (s.outbound({"Id": "006A", "LastModifiedDate": at}), {})),
    "segment": ("segment", lambda at: (s.call("page", timestamp=at), {})),
    "rudderstack": ("rudderstack", lambda at: (s.call("page", timestamp=at), {})),
    "standard": ("standard", lambda at: ({"type": "deal.won", "timestamp": at, "data": {"id": "D"}}, {})),
    "standard, mapped": (
        "standard",
        lambda at: ({"id": "D", "t": at}, {"mapping": {"events": [{"type": "deal.won", "subject": "$.id", "time": "$.t"}]}}),
    ),
}


@pytest.mark.parametrize("name", STAMPS)
def test_no_senders_clock_is_ahead_by_more_than_any_event_may_be(name: str) -> None:
    adapter, body = STAMPS[name]
    for ahead, taken in ((0, True), (AHEAD, True), (AHEAD + 1_000, False)):
        tree, settings = body(iso(NOW + ahead))
        verdict = told(adapter, tree, **settings)
        assert [event["time"] for event in verdict.events] == ([iso(NOW + ahead)] if taken else []), ahead
        assert taken or verdict.unusable[0].reason == "time_out_of_range"


@pytest.mark.parametrize("name", STAMPS)
def test_without_a_time_it_is_that_of_arrival_or_refused(name: str) -> None:
    adapter, body = STAMPS[name]
    tree, settings = body(None)
    verdict = told(adapter, tree, **settings)
    if name in ("salesforce, message", "segment", "rudderstack", "standard"):
        assert [event["time"] for event in verdict.events] == [iso(NOW)]
    else:
        assert verdict.events == () and verdict.unusable[0].reason == "bad_time"


def test_attio_and_unsigned_headers() -> None:
    assert told("attio", s.attio_note("record.created", object_id="deals")).events[0]["time"] == iso(NOW)
    body = {"type": "deal.won", "data": {"id": "D"}}
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW // 1000 + 200_000)}
    assert told("standard", body, headers=headers).unusable[0].reason == "time_out_of_range"


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ({"originalTimestamp": iso(NOW + 9 * 3_600_000)}, NOW),  # the device's own clock, which is wrong
        ({"originalTimestamp": iso(NOW - 60_000)}, NOW - 60_000),
        ({"originalTimestamp": iso(NOW + 9 * 3_600_000), "sentAt": iso(NOW + 8 * 3_600_000)}, NOW),  # sent before it happened
        ({"originalTimestamp": iso(NOW + 3_600_000), "sentAt": iso(NOW + 3_605_000)}, NOW - 5_000),
    ],
)
@pytest.mark.parametrize("adapter", ["segment", "rudderstack"])
def test_a_devices_clock_is_never_ahead_of_arrival(adapter: str, clock: dict[str, Any], expected: int) -> None:
    (event,) = told(adapter, s.call("page", timestamp=None, **clock)).events
    assert event["time"] == iso(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("standard, mapped", "12:00"),
        ("standard", "12:00"),
        ("close", "14:00"),
        ("pipedrive", "14:00"),
        ("salesforce, change", "14:00"),
    ],
)
def test_a_time_without_an_offset_is_local_where_the_sender_is_anybody(name: str, expected: str) -> None:
    adapter, body = STAMPS[name]
    tree, settings = body("2026-09-21T14:00:00")
    (event,) = told(adapter, tree, timezone="Europe/Paris", **settings).events
    assert event["time"] == f"2026-09-21T{expected}:00Z"


def test_the_trackers_clock_is_only_good_for_differences() -> None:
    for at in (4_000, 6_000, 9_000_000):  # before it was sent, after, and much after
        (event,) = collected(at=at).events
        assert event["time"] == iso(NOW - max(0, 5_000 - at))


# -- the tracker, which is no webhook ---------------------------------------------------------------------------------


def collected(**call_: Any) -> tracker.TrackedBody:
    body = {"sent": 5_000, "events": [{"type": "page_viewed", "id": "i2345678", "visitor": "v2345678", "at": 4_000} | call_]}
    return tracker.read(
        "shop", SiteSettings.model_validate({"key": "k" * 12, "origins": ["https://a.example"]}), orjson.dumps(body), NOW
    )


@pytest.mark.parametrize(
    ("call_", "said"),
    [
        ({"visitor": "undefined"}, "visitor: found 'undefined', which stands for no value"),
        ({"type": "identified", "lead": "null"}, "lead: found 'null', which stands for no value"),
        ({"type": "identified", "lead": "1.2E+10"}, "that a spreadsheet has rounded"),
        ({"type": "clicked"}, "type: found 'clicked', accepted: page_viewed"),
        ({"seconds": "12,5"}, "seconds: found '12,5', accepted is a number"),
        ({"at": "2026-09-21T14:00:00"}, "at: found '2026-09-21T14:00:00', accepted are epoch milliseconds"),
    ],
)
def test_the_tracker_refuses_by_name(call_: dict[str, Any], said: str) -> None:
    found = collected(**call_)
    assert found.events == [] and said in found.unusable[0].detail


def test_the_tracker_takes_null_for_absent() -> None:
    (event,) = collected(page=None, referrer=None, source=None, session=None, seconds=None).events
    assert event["data"] == {"visitor_id": "v2345678"}
