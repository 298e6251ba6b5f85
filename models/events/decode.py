"""Is this record an event, and what does it say?

Two ways lead to the same answer. The fast one reads the bytes straight into structs; if that fails for any reason, the slow one
(``authority.py``) reads them with the published contract, which accepts or says why not.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET
from msgspec.structs import fields, force_setattr

from models.events import customers, deals, engagement, leads, spend
from models.events.catalogue import TOPICS, Event
from models.events.content_mode import binary
from models.events.facts import DealFacts, LeadFacts, read_facts
from models.events.merges import DealAbsorbed, LeadAbsorbed
from models.events.refused import Reason, Refused
from models.events.scalars import (
    AHEAD,
    EARLIEST,
    check_currency,
    check_date,
    check_not_negative,
    check_score,
    check_time,
    clean_text,
    has_control,
    parse_amount,
    parse_time,
    shown,
)

#: The event, when it happened (epoch milliseconds), and the names of the fields that were kept out.
Decoded: TypeAlias = tuple[Event, int, tuple[str, ...]]
Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
#: ``(value, headers, arrival in epoch milliseconds)`` to the event; raises Refused.
Decode: TypeAlias = Callable[[bytes | None, Headers, int], Decoded]
Known: TypeAlias = frozenset[str] | None

#: The largest record that is looked at, in bytes.
RECORD_LIMIT = 1_048_576


def decoder(topic: str, *, currencies: Known = None, limit: int = RECORD_LIMIT, direct: bool = True) -> Decode:
    """Return the function that decodes one topic's records.

    ``topic`` is named without prefix; one that is not of the contract is a KeyError. ``currencies`` are those with a known
    rate; None accepts every code of the right form. ``limit`` is the largest record in bytes. ``direct``
    False takes the slow way always, which answers the same.
    """
    parse: Callable[[bytes], Event] = msgspec.json.Decoder(TOPICS[topic]).decode
    settle_of = _SETTLE.get
    # Facts of merged entities are any JSON, and the parsers differ on integers beyond 64 bits: one reader only.
    fast = direct and not topic.endswith("-merges")

    def decode(value: bytes | None, headers: Headers, arrival: int) -> Decoded:
        if value is not None and len(value) > limit:
            raise Refused(Reason.TOO_LARGE, f"value: found {len(value)} bytes, accepted are {limit}")
        if fast and value is not None and not (headers and binary(headers)):
            try:
                event = parse(value)
                at = parse_time(event.time)
                # isprintable() is stricter than the contract (it has no-break spaces out), and ten times faster.
                if EARLIEST <= at <= arrival + AHEAD and (event.id + event.subject).isprintable():
                    settle = settle_of(event.__class__)
                    if settle is not None:
                        settle(event, arrival, currencies)
                    # Plain ASCII without an escape has nothing in it that must not come in: by far the most records.
                    if not value.isascii() or b"\\" in value or b"\x7f" in value:
                        _clean(event.data)
                    return event, at, ()
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass  # whatever it was, the authority says it better
        from models.events import authority  # a hundred models of pydantic, which an orderly sender never needs

        event, unknown = authority.read(value, headers, topic)
        at = check_time(parse_time(event.time), arrival)
        settle = settle_of(event.__class__)
        if settle is not None:
            settle(event, arrival, currencies)
        _clean(event.data)
        return event, at, unknown

    return decode


@lru_cache(maxsize=64)
def _decoder(topic: str, currencies: Known) -> Decode:
    return decoder(topic, currencies=currencies)


def decode(value: bytes | None, headers: Headers, *, topic: str, arrival: int, currencies: Known = None) -> Decoded:
    """Decode one record; :func:`decoder` is for many."""
    return _decoder(topic, currencies)(value, headers, arrival)


def _clean(data: Any) -> None:
    """Clean the texts for people (names, words) in place; ids are told apart by their fields' names and stay exact."""
    for name in _words(data.__class__):
        value = getattr(data, name)
        if value.__class__ is str and not value.isprintable():
            cleaned = clean_text(value)
            if cleaned != value:
                if not cleaned and next(field for field in fields(data) if field.name == name).required:
                    raise Refused(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is a text that can be seen")
                force_setattr(data, name, cleaned or None)


@lru_cache(maxsize=64)
def _words(kind: type) -> tuple[str, ...]:
    """Return the names of the fields that may hold words."""
    names: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    return tuple(name for name in names if name not in _EXACT and not name.endswith("_id"))


#: Texts that are no words: ids, hashes, addresses, times.
_EXACT = frozenset({"into", "email_hash", "url", "referrer", "page"})


# What remains after the structs: amounts, dates and currencies are replaced or checked by the scalars of the contract.


def _check_identifier(text: str, name: str) -> None:
    if not text.isprintable() and has_control(text):
        raise Refused(Reason.INVALID_DATA, f"{name}: found {shown(text)}, accepted is text without control characters")


def _settle_attributes(event: Any, arrival: int, currencies: Known) -> None:
    data: deals.Attributes = event.data
    raw: Any = data.amount
    if raw is not UNSET and raw is not None:
        force_setattr(data, "amount", parse_amount(raw))
    raw = data.cost
    if raw is not UNSET and raw is not None:
        force_setattr(data, "cost", parse_amount(raw))
    raw = data.list_amount
    if raw is not UNSET and raw is not None:
        force_setattr(data, "list_amount", check_not_negative(parse_amount(raw), "list_amount"))
    raw = data.lead_created_at
    if raw is not UNSET and raw is not None:
        force_setattr(data, "lead_created_at", check_time(parse_time(raw), arrival, "lead_created_at"))
    for raw in (data.currency, data.default_currency):
        if raw is not UNSET and raw is not None:
            if currencies is None or raw not in currencies:
                check_currency(raw, currencies)
    raw = data.expected_close_date
    if raw is not UNSET and raw is not None:
        check_date(raw, "expected_close_date")


def _settle_identity(event: Any, arrival: int, currencies: Known) -> None:
    data: engagement.Identity = event.data
    _check_identifier(data.visitor_id, "visitor_id")
    _check_identifier(data.lead_id, "lead_id")


def _settle_reach(event: Any, arrival: int, currencies: Known) -> None:
    data: engagement.Reach = event.data
    raw: Any = data.cost
    if raw is not UNSET and raw is not None:
        force_setattr(data, "cost", parse_amount(raw))
    raw = data.currency
    if raw is not UNSET and raw is not None:
        check_currency(raw, currencies)


def _settle_invoice(event: Any, arrival: int, currencies: Known) -> None:
    data: customers.Invoice = event.data
    force_setattr(data, "amount", parse_amount(data.amount))
    check_currency(data.currency, currencies)
    if data.term_end is not UNSET and data.term_end is not None:
        check_date(data.term_end, "term_end")


def _settle_survey(event: Any, arrival: int, currencies: Known) -> None:
    data: customers.Survey = event.data
    check_score(data.kind, data.score)


def _settle_ticket(event: Any, arrival: int, currencies: Known) -> None:
    data: customers.Ticket = event.data
    raw: Any = data.opened_at
    if raw is not UNSET and raw is not None:
        force_setattr(data, "opened_at", check_time(parse_time(raw), arrival, "opened_at"))


def _settle_spend(event: Any, arrival: int, currencies: Known) -> None:
    data: spend.Spend = event.data
    force_setattr(data, "amount", parse_amount(data.amount))
    check_currency(data.currency, currencies)
    if data.day is not UNSET and data.day is not None:
        check_date(data.day, "day")


def _settle_recording(event: Any, arrival: int, currencies: Known) -> None:
    data: spend.Recording = event.data
    force_setattr(data, "value", parse_amount(data.value))
    said = data.dimensions
    if said is not UNSET and said:
        cleaned = {dimension: clean_text(value) for dimension, value in said.items()}
        force_setattr(data, "dimensions", {dimension: value for dimension, value in cleaned.items() if value})


def _settle_merge(event: Any, arrival: int, currencies: Known) -> None:
    into: str = event.data.into
    _check_identifier(into, "into")
    if into == event.subject:
        raise Refused(Reason.INVALID_DATA, f"into: {shown(into)} cannot be merged into itself")


def _settle_absorption(event: Any, arrival: int, currencies: Known) -> None:
    said = DealFacts if event.__class__ is DealAbsorbed else LeadFacts
    force_setattr(event.data, "facts", read_facts(event.data.facts, said, arrival))


_SETTLE: dict[type, Callable[[Any, int, Known], None]] = {
    **dict.fromkeys(
        (
            deals.DealCreated,
            deals.DealUpdated,
            deals.DealStageChanged,
            deals.DealWon,
            deals.DealLost,
            deals.DealReopened,
            leads.LeadCreated,
            leads.LeadUpdated,
        ),
        _settle_attributes,
    ),
    **dict.fromkeys((deals.DealMerged, leads.LeadMerged), _settle_merge),
    **dict.fromkeys((DealAbsorbed, LeadAbsorbed), _settle_absorption),
    **dict.fromkeys(
        (
            engagement.EmailSent,
            engagement.EmailOpened,
            engagement.EmailClicked,
            engagement.EmailBounced,
            engagement.AdImpressed,
            engagement.AdClicked,
            engagement.SocialReached,
        ),
        _settle_reach,
    ),
    engagement.VisitorIdentified: _settle_identity,
    **dict.fromkeys((customers.CustomerInvoiced, customers.CustomerRenewed), _settle_invoice),
    customers.CustomerSurveyed: _settle_survey,
    **dict.fromkeys((customers.CustomerComplained, customers.CustomerSupported), _settle_ticket),
    spend.SpendRecorded: _settle_spend,
    spend.MetricRecorded: _settle_recording,
}
