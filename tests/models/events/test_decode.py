"""What becomes of good, bad and odd records?"""

from typing import Any

import orjson
import pytest
from msgspec import UNSET

from models.events import authority
from models.events.catalogue import STRUCTS, TOPIC_OF, TOPICS, TYPE_OF
from models.events.customers import CustomerInvoiced
from models.events.deals import DealDeleted, DealUpdated, DealWon
from models.events.decode import RECORD_LIMIT, decode, decoder
from models.events.engagement import SocialReached
from models.events.leads import LeadCreated
from models.events.refused import Reason, Refused
from tests.models.events.samples import ARRIVAL, DATA, event, wire

AT = 1_784_888_430_456  # of the samples: 2026-07-24T10:20:30.456Z
EURO = frozenset({"EUR"})


def read(raw: Any, topic: str = "deals", headers: Any = ()) -> Any:
    value = orjson.dumps(raw) if isinstance(raw, dict) else raw
    return decode(value, headers, topic=topic, arrival=ARRIVAL, currencies=EURO)


def refusal(raw: Any, topic: str = "deals", headers: Any = ()) -> Refused:
    with pytest.raises(Refused) as refused:
        read(raw, topic, headers)
    assert "\n" not in refused.value.detail
    assert len(refused.value.detail) < 500
    return refused.value


def test_the_catalogue_is_the_designs() -> None:
    assert {kind: TOPIC_OF[kind] for kind in DATA} == TOPIC_OF
    assert all(TYPE_OF[STRUCTS[kind]] == kind for kind in DATA)
    assert set(TOPICS) == {"deals", "leads", "engagement", "customers", "spend", "deal-merges", "lead-merges"}


def test_a_deal() -> None:
    found, at, unknown = read(event("deal.won"))
    assert type(found) is DealWon
    assert (found.id, found.subject, found.source, at, unknown) == ("e-1", "x-1", "crm/test", AT, ())
    assert (found.data.amount, found.data.cost, found.data.currency) == (12_345_600, 995_000, "EUR")
    assert found.data.expected_close_date == "2026-09-30"


def test_absent_and_null_are_different() -> None:
    found, _, _ = read(event("deal.updated", {"amount": None, "owner": None}))
    assert (found.data.amount, found.data.owner, found.data.stage) == (None, None, UNSET)
    assert type(found) is DealUpdated


@pytest.mark.parametrize("direct", [True, False])
def test_texts_of_people_are_cleaned_and_ids_stay_exact(direct: bool) -> None:
    hostile = {
        "owner": "ann\nRunbook: x",
        "source": "\u202eweb\x1b",
        "campaign": "\u200b",
        "account_id": "a\u200b1",
        "stage": "de\x7fmo",
    }
    body = orjson.dumps(event("deal.updated", hostile) | {"subject": "x\u200b1"})
    found: Any
    found, _, _ = decoder("deals", currencies=EURO, direct=direct)(body, (), ARRIVAL)
    assert (found.data.owner, found.data.source, found.data.campaign, found.data.stage) == (
        "ann Runbook: x",
        "web",
        None,
        "de mo",
    )
    assert (found.data.account_id, found.subject) == ("a\u200b1", "x\u200b1")


@pytest.mark.parametrize("direct", [True, False])
def test_a_text_that_is_needed_and_cannot_be_seen_is_refused(direct: bool) -> None:
    body = orjson.dumps(event("deal.stage_changed", {"stage": "\u200b\u202e"}))
    with pytest.raises(Refused, match=r"stage: found .* accepted is a text that can be seen"):
        decoder("deals", currencies=EURO, direct=direct)(body, (), ARRIVAL)


def test_optional_dates_may_be_left_out_or_null() -> None:
    for more in ({}, {"term_end": None}):
        assert read(event("customer.renewed", {"amount": 1, "currency": "EUR", **more}), "customers")[0].data.amount == 10_000
    for more in ({}, {"day": None}):
        assert read(event("spend.recorded", {"amount": 1, "currency": "EUR", **more}), "spend")[0].data.amount == 10_000


@pytest.mark.parametrize("odd", [{}, {"extra": 1}])  # by the fast way and by the slow one
def test_values_are_replaced_by_their_meaning(odd: dict[str, Any]) -> None:
    lead = read(event("lead.created", {**DATA["lead.created"], **odd}), "leads")[0]
    assert type(lead) is LeadCreated
    bant: Any = lead.data.bant
    assert (lead.data.score, bant.budget, bant.authority, lead.data.amount) == (71, True, 0.5, 12_345_600)
    reach = read(event("social.reached", {"cost": 0.0125, **odd}), "engagement")[0]
    assert type(reach) is SocialReached
    assert (reach.data.cost, reach.data.count) == (125, 1)
    invoice = read(event("customer.invoiced", {**DATA["customer.invoiced"], **odd}), "customers")[0]
    assert type(invoice) is CustomerInvoiced
    assert (invoice.data.amount, invoice.data.term_end) == (4_800_000, "2027-07-24")
    ticket = read(event("customer.complained", {**DATA["customer.complained"], **odd}), "customers")[0]
    assert ticket.data.opened_at == 1_784_534_400_000
    money = read(event("spend.recorded", {**DATA["spend.recorded"], **odd}), "spend")[0]
    assert (money.data.amount, money.data.day) == (2_500_000, "2026-07-24")


def test_unknown_fields_are_named_and_kept_out() -> None:
    data = {"amount": "1", "colour": "red", "bant": {"budget": 1, "mood": "good"}}
    found, _, unknown = read(event("lead.updated", data, partitionkey="x"), "leads")
    assert found.data.amount == 10_000
    assert sorted(unknown) == ["data.bant.mood", "data.colour", "partitionkey"]


def test_unknown_fields_are_bounded() -> None:
    _, _, unknown = read(event("deal.updated", {f"{number}{'x' * 1000}": 1 for number in range(100)}))
    assert len(unknown) == 32
    assert max(map(len, unknown)) == 100


def test_data_may_be_left_out_where_nothing_is_required() -> None:
    for raw in ({"data": None}, {}):
        found, _, unknown = read({**{k: v for k, v in event("deal.deleted").items() if k != "data"}, **raw})
        assert type(found) is DealDeleted
        assert unknown == ()


def test_optional_attributes_may_be_null_or_say_json_otherwise() -> None:
    for content_type in (None, "application/json; charset=utf-8", "application/vnd.crm+json", "Application/JSON"):
        found, _, unknown = read(event("deal.won", datacontenttype=content_type, traceparent=None))
        assert type(found) is DealWon
        assert unknown == ()
    assert refusal(event("deal.won", datacontenttype="text/xml")).reason is Reason.BAD_ENVELOPE


BAD: dict[str, tuple[Any, Reason]] = {
    "broken JSON": (wire()[:-1], Reason.BAD_JSON),
    "not UTF-8": (b"\xff\xfe", Reason.BAD_JSON),
    "byte order mark": (b"\xef\xbb\xbf" + wire(), Reason.BAD_JSON),
    "trailing bytes": (wire() + b"x", Reason.BAD_JSON),
    "nested without end": (b"[" * 100_000, Reason.BAD_JSON),
    "nested within data": (wire().replace(b'"EUR"', b"[" * 100_000 + b"]" * 100_000), Reason.BAD_JSON),
    "NaN literally": (wire().replace(b'"1234.56"', b"NaN"), Reason.BAD_JSON),
    "amount 1e400 literally": (wire().replace(b'"1234.56"', b"1e400"), Reason.BAD_JSON),
    "empty": (b"", Reason.BAD_JSON),
    "no value": (None, Reason.NO_VALUE),
    "a list": (b"[" + wire() + b"]", Reason.NOT_AN_OBJECT),
    "a number": (b"7", Reason.NOT_AN_OBJECT),
    "20 MB": (b'{"x":"' + b"x" * 20_000_000 + b'"}', Reason.TOO_LARGE),
    "unknown type": (event("deal.won", type="deal.exploded"), Reason.UNKNOWN_TYPE),
    "no type": ({k: v for k, v in event().items() if k != "type"}, Reason.BAD_ENVELOPE),
    "type a number": (event("deal.won", type=5), Reason.BAD_ENVELOPE),
    "type of another topic": (event("lead.created"), Reason.WRONG_TOPIC),
    "Vigie's own type from outside": (event("deal.absorbed"), Reason.WRONG_TOPIC),
    "missing id": ({k: v for k, v in event().items() if k != "id"}, Reason.MISSING_ID),
    "null id": (event(id=None), Reason.MISSING_ID),
    "empty id": (event(id=""), Reason.MISSING_ID),
    "id a number": (event(id=5), Reason.BAD_ENVELOPE),
    "long id": (event(id="x" * 201), Reason.BAD_ENVELOPE),
    "control character in id": (event(id="a\x00b"), Reason.BAD_ENVELOPE),
    "subject of 10,000 characters": (event(subject="x" * 10_000), Reason.BAD_ENVELOPE),
    "empty subject": (event(subject=""), Reason.BAD_ENVELOPE),
    "no subject": ({k: v for k, v in event().items() if k != "subject"}, Reason.BAD_ENVELOPE),
    "line break in subject": (event(subject="a\nb"), Reason.BAD_ENVELOPE),
    "CloudEvents 0.3": (event(specversion="0.3"), Reason.BAD_ENVELOPE),
    "data in base64": ({**event(), "data_base64": "e30="}, Reason.BAD_ENVELOPE),
    "naive time": (event(time="2026-07-24T10:20:30"), Reason.NAIVE_TIME),
    "no time": ({k: v for k, v in event().items() if k != "time"}, Reason.BAD_TIME),
    "time a number": (event(time=1_784_888_430), Reason.BAD_TIME),
    "time in 1970": (event(time="1970-01-01T00:00:00Z"), Reason.TIME_OUT_OF_RANGE),
    "time in 2100": (event(time="2100-01-01T00:00:00Z"), Reason.TIME_OUT_OF_RANGE),
    "amount NaN": (event("deal.won", {"amount": "NaN"}), Reason.BAD_AMOUNT),
    "amount 1e400": (event("deal.won", {"amount": "1e400"}), Reason.BAD_AMOUNT),
    "amount empty": (event("deal.won", {"amount": ""}), Reason.BAD_AMOUNT),
    "amount a list": (event("deal.won", {"amount": [1]}), Reason.BAD_AMOUNT),
    "amount true": (event("deal.won", {"amount": True}), Reason.BAD_AMOUNT),
    "currency without a rate": (event("deal.won", {"amount": 1, "currency": "XXX"}), Reason.UNKNOWN_CURRENCY),
    "currency in lower case": (event("deal.won", {"amount": 1, "currency": "eur"}), Reason.UNKNOWN_CURRENCY),
    "currency a number": (event("deal.won", {"amount": 1, "currency": 978}), Reason.UNKNOWN_CURRENCY),
    "list amount below 0": (event("deal.won", {"list_amount": "-0.01"}), Reason.BAD_AMOUNT),
    "list amount no number": (event("deal.won", {"list_amount": "free"}), Reason.BAD_AMOUNT),
    "discount of 20 for 20 %": (event("deal.won", {"discount": 20}), Reason.INVALID_DATA),
    "discount below 0": (event("deal.won", {"discount": -0.1}), Reason.INVALID_DATA),
    "a kind of sale there is not": (event("deal.won", {"sale": "cross-sell"}), Reason.INVALID_DATA),
    "a lead of tomorrow": (event("deal.won", {"lead_created_at": "2100-01-01T00:00:00Z"}), Reason.TIME_OUT_OF_RANGE),
    "a lead without a zone": (event("deal.won", {"lead_created_at": "2026-07-01T00:00:00"}), Reason.NAIVE_TIME),
    "date out of the calendar": (event("deal.won", {"expected_close_date": "2026-02-30"}), Reason.INVALID_DATA),
    "owner a number": (event("deal.won", {"owner": 5}), Reason.INVALID_DATA),
    "stage missing": (event("deal.stage_changed", {"owner": "ana"}), Reason.INVALID_DATA),
    "stage null": (event("deal.stage_changed", {"stage": None}), Reason.INVALID_DATA),
    "data a text": (event("deal.won", "x"), Reason.INVALID_DATA),
    "data missing though required": (event("deal.merged", None), Reason.INVALID_DATA),
    "merged into itself": (event("deal.merged", {"into": "x-1"}), Reason.INVALID_DATA),
    "merged into a control character": (event("deal.merged", {"into": "a\x85"}), Reason.INVALID_DATA),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_reason(name: str) -> None:
    raw, reason = BAD[name]
    assert refusal(raw).reason is reason


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("customer.surveyed", {"kind": "nps", "score": 11}),
        ("customer.surveyed", {"kind": "csat", "score": 0}),
        ("customer.surveyed", {"kind": "stars", "score": 1}),
        ("customer.invoiced", {"amount": 5}),
        ("customer.invoiced", {"currency": "EUR"}),
        ("customer.complained", {"opened_at": "2026-07-20"}),
        ("customer.complained", {"response_seconds": -1}),
        ("web.page_viewed", {"duration_seconds": -1}),
        ("web.page_viewed", {"duration_seconds": "12"}),
        ("web.identified", {"visitor_id": "v"}),
        ("web.identified", {"visitor_id": "v", "lead_id": ""}),
        ("email.sent", {"count": 0}),
        ("email.sent", {"count": 1.5}),
        ("email.sent", {"count": 10**9 + 1}),
        ("email.opened", {"machine": "yes"}),
        ("web.form_started", {"form": 5}),
        ("lead.contact_attempted", {"preparation_seconds": -1}),
        ("lead.qualified", {"level": "MQL"}),
        ("lead.created", {"score": "71"}),
        ("lead.created", {"bant": [1]}),
        ("rep.hired", {"owner": ""}),
        ("rep.trained", {"owner": "ana", "hours": -1}),
    ],
)
def test_bad_data_is_refused(kind: str, data: dict[str, Any]) -> None:
    assert refusal(event(kind, data), TOPIC_OF[kind]).reason in (Reason.INVALID_DATA, Reason.BAD_TIME)


@pytest.mark.parametrize("direct", [True, False])
def test_what_is_told_of_a_sale_is_read(direct: bool) -> None:
    body = orjson.dumps(event("deal.won", {**DATA["deal.won"], "discount": 1}))
    found, _, _ = decoder("deals", currencies=EURO, direct=direct)(body, (), ARRIVAL)
    data: Any = found.data
    assert (data.list_amount, data.discount, data.sale, data.lead_created_at) == (15_000_000, 1, "upsell", 1_782_889_200_000)


def test_a_refusal_says_what_where_found_and_accepted() -> None:
    detail = refusal(event("deal.won", {"amount": "12 €", "owner": 5, "team": 6, "region": 7})).detail
    assert "data.amount: found '12 €', accepted is a decimal as in \"1234.56\" or 1234.56" in detail
    assert "data.owner: found 5, input should be a valid string" in detail
    assert detail.endswith("; and 1 more")


def test_a_contract_at_odds_with_its_struct_is_a_dead_letter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "STRUCTS", {**STRUCTS, "deal.won": DealDeleted})
    refused = refusal(event("deal.won", {"owner": "ana", "extra": 1}))
    assert refused.reason is Reason.INTERNAL
    assert "deal.won" in refused.detail


def test_the_limit_on_size_is_exact() -> None:
    fits = decoder("deals", limit=len(wire()))
    assert type(fits(wire(), (), ARRIVAL)[0]) is DealUpdated
    with pytest.raises(Refused, match="accepted are"):
        fits(wire() + b" ", (), ARRIVAL)
    assert RECORD_LIMIT == 1024 * 1024


def test_an_unknown_topic_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        decoder("weather")


# --- binary mode -------------------------------------------------------------------------------------------------------------

HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"crm/test"),
    ("ce_type", b"deal.won"),
    ("ce_time", b"2026-07-24T10:20:30.456Z"),
    ("ce_subject", b"x-1"),
    ("content-type", b"application/json; charset=utf-8"),
    ("other", b"\xff"),
]


def test_binary_mode_says_the_same_as_structured() -> None:
    structured = read(event("deal.won", datacontenttype="application/json"))
    assert read(orjson.dumps(DATA["deal.won"]), headers=HEADERS) == structured


@pytest.mark.parametrize("value", [None, b""])
def test_binary_mode_without_data(value: bytes | None) -> None:
    assert type(read(value, headers=HEADERS)[0]) is DealWon


@pytest.mark.parametrize(
    ("headers", "value", "reason"),
    [
        ([*HEADERS, ("ce_id", b"e-2")], b"{}", Reason.BAD_ENVELOPE),
        ([*HEADERS, ("ce_data", b"{}")], b"{}", Reason.BAD_ENVELOPE),
        ([*HEADERS[:-1], ("ce_note", b"\xff")], b"{}", Reason.BAD_ENVELOPE),
        ([header for header in HEADERS if header[0] != "ce_id"], b"{}", Reason.MISSING_ID),
        ([("ce_id", None), *(header for header in HEADERS if header[0] != "ce_id")], b"{}", Reason.MISSING_ID),
        ([(name, b"text/plain" if name == "content-type" else content) for name, content in HEADERS], b"{}", Reason.BAD_ENVELOPE),
        (HEADERS, b"{", Reason.BAD_JSON),
        (HEADERS, b"[]", Reason.INVALID_DATA),
        (HEADERS, b'{"amount":"x"}', Reason.BAD_AMOUNT),
    ],
)
def test_binary_mode_refused(headers: Any, value: bytes, reason: Reason) -> None:
    assert refusal(value, headers=headers).reason is reason


def test_other_headers_do_not_make_a_record_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(authority, "read")
    for headers in ([("traceparent", b"00-1-2-3")], [("content-type", b"application/cloudevents+json"), ("ce_id", b"x")]):
        assert type(read(event("deal.won"), headers=headers)[0]) is DealWon
    assert type(read(event("deal.won"), headers=[("content-type", None)])[0]) is DealWon
