"""What do senders get wrong, one example a kind?

A bad record is a good one, changed in one way and, where it has one, under an id of its own; accepting it would therefore
show in the KPIs. ``other_content`` is the exception: it repeats the id of the good one that has just passed.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from types import MappingProxyType

import orjson

from models.simulator.diary import Event

HUGE = 20_000_000
"""Bytes of the record that is too large; there is at most one, as twenty would be a file of their own."""

SAMPLES = frozenset({"deal.created", "deal.won", "lead.created", "customer.invoiced", "web.page_viewed"})
"""Types that bad records are made from: each has an amount or a source that another content can differ in."""


def _broken_json(event: Event) -> bytes:
    return orjson.dumps(event)[:-7]


def _unknown_type(event: Event) -> Event:
    return {**event, "type": "deal.teleported"}


def _missing_id(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "id"}


def _sold(event: Event, **data: object) -> Event:
    return {**event, "type": "deal.won", "data": {"amount": "100.00", "currency": "EUR", **data}}


def _wrong_currency(event: Event) -> Event:
    return _sold(event, currency="QQQ")


def _amount_nan(event: Event) -> Event:
    return _sold(event, amount="NaN")


def _amount_nan_literal(event: Event) -> bytes:
    return orjson.dumps(_sold(event)).replace(b'"100.00"', b"NaN")


def _amount_huge(event: Event) -> bytes:
    return orjson.dumps(_sold(event)).replace(b'"100.00"', b"1e400")


def _naive_time(event: Event) -> Event:
    return {**event, "time": event["time"][:19]}


def _too_large(event: Event) -> Event:
    return {**event, "type": "deal.activity", "data": {"kind": "x" * HUGE}}


def _long_subject(event: Event) -> Event:
    return {**event, "subject": "s" * 10_000}


def _time_1970(event: Event) -> Event:
    return {**event, "time": "1970-01-01T00:00:00Z"}


def _time_2100(event: Event) -> Event:
    return {**event, "time": "2100-01-01T00:00:00Z"}


def _other_content(event: Event) -> Event:
    data = event["data"]
    changed = {"amount": "1.23"} if "amount" in data else {"source": "elsewhere"}
    return {**event, "data": {**data, **changed}}


KINDS: MappingProxyType[str, Callable[[Event], Event | bytes]] = MappingProxyType(
    {
        "broken_json": _broken_json,
        "unknown_type": _unknown_type,
        "missing_id": _missing_id,
        "wrong_currency": _wrong_currency,
        "amount_nan": _amount_nan,
        "amount_nan_literal": _amount_nan_literal,
        "amount_huge": _amount_huge,
        "naive_time": _naive_time,
        "too_large": _too_large,
        "long_subject": _long_subject,
        "time_1970": _time_1970,
        "time_2100": _time_2100,
        "other_content": _other_content,
    }
)
"""Every kind of bad record."""


def spoil(events: Iterable[Event], share: float, random: Random, kinds: Iterable[str] = tuple(KINDS)) -> Iterator[Event | bytes]:
    """Put bad records between the good ones, ``share`` per good one; the kinds take turns, each on a suitable event."""
    turns = list(kinds)
    if not turns:
        raise ValueError("kinds: found none; at least one is needed")
    random.shuffle(turns)
    owed, spoilt = 0, 0
    for event in events:
        yield event
        owed += random.random() < share
        if owed and turns and event["type"] in SAMPLES:
            kind = turns.pop(0)
            if kind != "too_large":
                turns.append(kind)
            owed -= 1
            spoilt += 1
            sample = event if kind == "other_content" else {**event, "id": f"{event['id']}~bad{spoilt}"}
            yield KINDS[kind](sample)
