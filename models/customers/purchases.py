"""What has a customer bought and given back, exact when it comes twice, late and out of order?

A customer keeps its invoices, sorted by day; what is told of them is worked out from the whole of them each time, so that a
purchase or a refund that comes late changes the past as if it had come in time. Days are proleptic ordinals of local dates
(``models/calendar.py``): clocks that change move nothing.

**A purchase day** is a local day with an invoice of at least nothing of which anything is left. **A refund** is an invoice
below nothing. It takes back the latest purchase, up to its own day, of exactly so much; else the latest day that brought exactly
so much; else the latest purchases one after another until it is used up. A day of which nothing is left is as if it had never
been.

The latest invoices keep their events' ids, by which a repeat is known. Of older ones a day's sum is left: there, whatever comes
for a day that is known is taken for a repeat.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

#: So many invoices keep their ids; beyond it the oldest lose theirs until the latest ``LEFT`` remain.
KEPT = 128
LEFT = 96
_BUSY = 1_000  # invoices of one day: beyond it its earlier ones lose their ids
_ID_BYTES = 5  # two of a hundred ids of one customer alike by chance: once in 10^8 customers


class InvoiceEntry(NamedTuple):
    """An invoice: its day, its amount (1/10,000 of the business currency), and what is kept of its event's id."""

    day: int
    amount: int
    id: int


class PurchaseSummary(NamedTuple):
    """What is known of a customer's purchases on a day. Amounts are 1/10,000 of the business currency."""

    first: int  # the first purchase day
    last: int  # the last one
    repeats: int  # purchase days after the first: x
    total: int  # net of refunds
    repeat_total: int  # of the days after the first


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    entries: list[int] = []  # day (after the entry before it), amount; and so on
    ids: bytes = b""  # of the latest of them
    left: int = 0
    name: str = ""


_decode_row = msgspec.json.Decoder(_Row).decode
_encode_row = msgspec.json.Encoder().encode


class Purchases:
    """One customer's invoices; ``left`` is the latest day on which it was said to have left, 0 for none."""

    __slots__ = ("left", "log", "name", "old")

    def __init__(
        self, log: list[InvoiceEntry] | None = None, old: list[InvoiceEntry] | None = None, left: int = 0, name: str = ""
    ) -> None:
        self.log = log or []
        self.old = old or []  # those that have lost their ids, one a day and each refund, before all others
        self.left = left
        self.name = name

    def add(self, day: int, amount: int, event_id: str) -> bool:
        """Take an invoice in; return whether it was new."""
        old, log = self.old, self.log
        if old and day <= old[-1].day and not (log and log[0].day == day):
            place = bisect_left(old, (day,))
            if any((entry.amount < 0) == (amount < 0) for entry in old[place : bisect_left(old, (day + 1,))]):
                return False
            insort(old, InvoiceEntry(day, amount, 0))
            return True
        mark = xxh3_64_intdigest(event_id.encode()) & ((1 << 8 * _ID_BYTES) - 1)
        if any(entry.id == mark for entry in log):
            return False
        insort(log, InvoiceEntry(day, amount, mark))
        if len(log) > KEPT:
            self._age()
        return True

    def gone(self, on: int) -> bool:
        """Whether it was said by a day to have left, and has not bought since."""
        found = self.summary(on)
        return 0 < self.left <= on and (found is None or found.last <= self.left)

    def summary(self, until: int | None = None) -> PurchaseSummary | None:
        """Return what is known of the purchases up to and with a day; None where nothing was bought, or all was returned."""
        days, _ = settle(entry for entry in chain(self.old, self.log) if until is None or entry.day <= until)
        if not days:
            return None
        amounts = list(days.values())
        return PurchaseSummary(next(iter(days)), next(reversed(days)), len(days) - 1, sum(amounts), sum(amounts[1:]))

    def _age(self) -> None:
        """Let the oldest days lose their ids. The last day keeps them, as long as it is not of too many invoices itself."""
        log, today = self.log, self.log[-1].day
        place = bisect_left(log, (min(log[-LEFT].day, today),))
        if not place and log[0].day == today and len(log) > _BUSY:
            place = len(log) - LEFT
        for entry in log[:place]:
            if self.old and entry.amount >= 0 and self.old[-1].day == entry.day and self.old[-1].amount >= 0:
                self.old[-1] = InvoiceEntry(entry.day, self.old[-1].amount + entry.amount, 0)
            else:
                self.old.append(entry._replace(id=0))
        self.log = log[place:]


def settle(log: Iterable[InvoiceEntry]) -> tuple[dict[int, int], int]:
    """Return what is left of each purchase day, in order, and how much was given back beyond that."""
    days: dict[int, list[int]] = {}
    refunds: list[int] = []
    today = owed = 0
    for day, amount, _ in log:
        if day != today:
            owed += _take(days, refunds)
            today = day
        if amount < 0:
            refunds.append(-amount)  # after the day's own purchases, whichever of them sorts before
        else:
            days.setdefault(day, []).append(amount)
    owed += _take(days, refunds)
    return {day: sum(amounts) for day, amounts in days.items()}, owed


def _take(days: dict[int, list[int]], refunds: list[int]) -> int:
    """Take the refunds out of the days; return what is left of them, and leave none."""
    owed = 0
    for refund in refunds:
        exact = next((day for day in reversed(days) if refund in days[day]), None)
        if exact is not None:
            days[exact].remove(refund)
            refund = 0
        whole = exact if exact is not None else next((day for day in reversed(days) if sum(days[day]) == refund), None)
        for day in (whole,) if whole is not None else list(reversed(days)):
            amounts = days[day]
            while refund and amounts:
                taken = amounts.pop()
                if taken > refund:
                    amounts.append(taken - refund)
                    taken = refund
                refund -= taken
            if not amounts:
                del days[day]
        owed += refund
    refunds.clear()
    return owed


def decode(row: bytes) -> Purchases:
    """Return a customer from its row."""
    kept = _decode_row(row)
    flat, ids, day = kept.entries, kept.ids, 0
    entries = list[InvoiceEntry]()
    old = len(flat) // 2 - len(ids) // _ID_BYTES
    for place in range(len(flat) // 2):
        day += flat[2 * place]
        begin = (place - old) * _ID_BYTES
        mark = int.from_bytes(ids[begin : begin + _ID_BYTES]) if begin >= 0 else 0
        entries.append(InvoiceEntry(day, flat[2 * place + 1], mark))
    return Purchases(entries[old:], entries[:old], kept.left, kept.name)


def encode(purchases: Purchases) -> bytes:
    """Return the row of a customer."""
    flat, before = list[int](), 0
    for day, amount, _ in chain(purchases.old, purchases.log):
        flat += (day - before, amount)
        before = day
    ids = b"".join([entry.id.to_bytes(_ID_BYTES) for entry in purchases.log])
    return _encode_row(_Row(flat, ids, purchases.left, purchases.name))
