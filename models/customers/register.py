"""All customers in columns, kept up with what changes: what is asked of all of them at once is answered from these.

Time goes by the days of the business. The cuts that scores are held against are made once a day, of the clientele at the end
of the day before; parameters are fitted by whoever says when.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from models.customers import purchases
from models.customers.clientele import Clientele, CustomerColumns, summaries
from models.customers.fit import Fit, fit
from models.customers.live import Rows
from models.customers.moves import SegmentMove, moves
from models.customers.purchases import Purchases, PurchaseSummary
from models.customers.rfm import Cuts, Ints
from models.customers.segments import Named, Terms

_WIDTH = len(PurchaseSummary._fields) + 1
_LARGEST = 1 << 62


class Register:
    """The customers of all partitions. Not to be used by two at a time: whoever asks keeps others out."""

    def __init__(self, named: Named, terms: Terms) -> None:
        self._named, self._terms = named, terms
        self._rows: dict[str, bytes] = {}
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        # PurchaseSummary, and the latest day of which it was said to have left; first is 0 where nothing has been bought.
        self._table: Ints = np.zeros((1024, _WIDTH), np.int64)
        self._cuts: Cuts | None = None

    def put(self, rows: Rows) -> None:
        """Take customers as they are now; a row that is none of ours is passed over."""
        for name, row in rows:
            try:
                customer = Purchases() if row is None else purchases.decode(row)
                summary = customer.summary()
            except (msgspec.DecodeError, IndexError):
                continue
            if row is None:
                self._rows.pop(name, None)
            else:
                self._rows[name] = row
            place = self._places.setdefault(name, len(self._ids))
            if place == len(self._ids):
                self._ids.append(name)
                if place == len(self._table):
                    self._table = np.concatenate((self._table, np.zeros_like(self._table)))
            told = (0,) * (_WIDTH - 1) if summary is None else summary
            self._table[place] = [*(min(value, _LARGEST) for value in told), customer.left]

    def customer(self, name: str) -> Purchases | None:
        """Return one customer, None where it is not known."""
        row = self._rows.get(name)
        return None if row is None else purchases.decode(row)

    def now(self, day: int, fitted: Fit | None) -> Clientele:
        """Return all that have bought, on a day; without a fit the models are fitted."""
        ids, columns = self._columns()
        if self._cuts is None or self._cuts.day != day:
            before = summaries(self._decoded(), day - 1)[1]
            self._cuts = before.cuts(day) if len(before.first) else None
        cuts = self._cuts or columns.cuts(day)  # the first day of all has no day before
        return Clientele(day, ids, columns, cuts, fitted or fit(columns.sample(day)), self._named, self._terms)

    def then(self, day: int) -> Clientele:
        """Return all as they were at the end of a day: scores against each other, models fitted to them."""
        ids, columns = summaries(self._decoded(), day)
        return Clientele(day, ids, columns, columns.cuts(day), fit(columns.sample(day)), self._named, self._terms)

    def moves(self, since: int, day: int) -> list[SegmentMove]:
        """Return who is in another segment at the end of ``day`` than at the end of ``since``."""
        return moves(self._decoded(), since, day, self._named)

    def _decoded(self) -> Iterator[tuple[str, Purchases]]:
        for name, row in self._rows.items():
            yield name, purchases.decode(row)

    def _columns(self) -> tuple[list[str], CustomerColumns]:
        table = self._table[: len(self._ids)]
        bought = table[:, 0] > 0
        first, last, repeats, total, repeat_total, left = table[bought].T
        ids = [name for name, one in zip(self._ids, bought, strict=True) if one]
        return ids, CustomerColumns(first, last, repeats, total, repeat_total, (left > 0) & (left >= last))
