"""All customers on one day: scores, segments, and what is to be expected of each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.customers import rfm
from models.customers.fit import WEEK, Fit, Sample
from models.customers.outlook import WEEKS, outlook, ranges
from models.customers.purchases import Purchases, PurchaseSummary
from models.customers.rfm import Cuts, Ints
from models.customers.segments import Named, Terms
from models.money import UNIT

#: The columns of the export, in order; docs/customers.md says what each is.
COLUMNS = (
    *(
        "customer",
        "R",
        "F",
        "M",
        "x",
        "t_x_weeks",
        "T_weeks",
        "p_alive",
        f"expected_{WEEKS}w",
        "expected_spend",
        "clv",
        "segment",
    ),
    *("recency_days", "frequency", "monetary", "first", "last", "why"),
)
_LARGEST = 1 << 62


class CustomerColumns(NamedTuple):
    """What is known of customers, a row each (see :class:`.purchases.PurchaseSummary`); ``gone``: said to have left."""

    first: Ints
    last: Ints
    repeats: Ints
    total: Ints
    repeat_total: Ints
    gone: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, found: Sequence[tuple[PurchaseSummary, bool]]) -> "CustomerColumns":
        """Return the columns of summaries, each with whether its customer is gone."""
        rows = [[min(value, _LARGEST) for value in summary] for summary, _ in found]
        table = np.array(rows, np.int64).reshape(-1, len(PurchaseSummary._fields)).T
        first, last, repeats, total, repeat_total = table
        return cls(first, last, repeats, total, repeat_total, np.array([gone for _, gone in found], bool))

    def sample(self, day: int) -> Sample:
        """Return what the models are fitted to, as of a day."""
        mean = np.divide(self.repeat_total / UNIT, self.repeats, out=np.zeros(len(self.repeats)), where=self.repeats > 0)
        return Sample(self.repeats, self.last - self.first, np.maximum(day - self.first, self.last - self.first), mean)

    def cuts(self, day: int) -> Cuts:
        """Return what customers are held against on a day."""
        return Cuts(day, self.last, self.repeats + 1, self.total)


class Clientele:
    """The customers as of the end of ``day``, under a fit of the models and the cuts of some day."""

    def __init__(
        self, day: int, ids: Sequence[str], columns: CustomerColumns, cuts: Cuts, fitted: Fit, named: Named, terms: Terms
    ) -> None:
        self.day, self.ids, self.columns, self.fitted, self.named, self.terms = day, ids, columns, fitted, named, terms
        self.sample = columns.sample(day)
        self.scores = cuts.scores(columns.last, columns.repeats + 1, columns.total)
        self.places = rfm.places(named, *self.scores)
        self.outlook = outlook(fitted, self.sample, columns.gone, terms)
        self._at = {name: place for place, name in enumerate(ids)}

    def place(self, name: str) -> int | None:
        """Return the place of a customer, None where it has bought nothing."""
        return self._at.get(name)

    def order(self, by: str, *, descending: bool, segment: str | None = None) -> Ints:
        """Return the places of all customers, or those of a segment, by a column of :data:`SORTED`; equal ones by their ids.

        Where there is no value they are by their ids. Raise ``KeyError`` for no such column or segment.
        """
        values = SORTED[by](self)
        if segment is None:
            chosen = np.arange(len(self.ids))
        else:
            if segment not in self.named.names:
                raise KeyError(segment)
            chosen = np.flatnonzero(self.places == self.named.names.index(segment))
        ids = np.array(self.ids, object)[chosen]
        alphabetic = np.argsort(ids, kind="stable")
        if values is None:
            return chosen[alphabetic[::-1] if descending and by == "customer" else alphabetic]
        key = values[chosen][alphabetic]
        found: Ints = chosen[alphabetic[np.argsort(-key if descending else key, kind="stable")]]
        return found

    def ranges(self, place: int) -> dict[str, tuple[float, float]]:
        """Return P10 and P90 of a customer's P(alive), purchases and worth; empty without a model, or where it has left."""
        if self.outlook is None or self.columns.gone[place]:
            return {}
        (found,) = ranges(self.fitted, self.sample.one(place), self.terms)
        named = {"p_alive": found.p_alive, f"expected_{WEEKS}w": found.purchases, "clv": found.worth}
        return {name: (one.low, one.high) for name, one in named.items() if one is not None}

    def counts(self) -> dict[str, int]:
        """Return how many customers are in each segment."""
        return dict(rfm.counts(self.named, self.places))

    def cells(self) -> list[dict[str, Any]]:
        """Return how many customers have each pair of scores R and F, and their totals; pairs that nobody has are left out."""
        r, f, _ = self.scores
        pair = (r - 1) * 5 + f - 1
        counts = np.bincount(pair, minlength=25)
        totals = np.bincount(pair, self.columns.total / UNIT, minlength=25)
        return [
            {"R": at // 5 + 1, "F": at % 5 + 1, "customers": int(counts[at]), "monetary": round(float(totals[at]), 2)}
            for at in range(25)
            if counts[at]
        ]

    def worth(self) -> dict[str, dict[str, float | None]]:
        """Return of each segment what its customers have paid, and what they are worth where that can be said."""
        size, said = len(self.named.names), self.outlook
        totals = np.bincount(self.places, self.columns.total / UNIT, minlength=size)
        clv = None if said is None or said.worth is None else np.bincount(self.places, said.worth, minlength=size)
        return {
            name: {"monetary": round(float(totals[at]), 2), "clv": None if clv is None else round(float(clv[at]), 2)}
            for at, name in enumerate(self.named.names)
        }

    def row(self, place: int) -> dict[str, Any]:
        """Return one customer by :data:`COLUMNS`; None for what there is no value of, with ``why``."""
        columns, sample, said = self.columns, self.sample, self.outlook
        r, f, m = (int(scores[place]) for scores in self.scores)
        have = said is not None and said.worth is not None and said.spend is not None
        why = self.fitted.why if said is None else "said to have left" if columns.gone[place] else said.why
        values = (
            self.ids[place], r, f, m, int(sample.x[place]), sample.last_days[place] / WEEK, sample.age_days[place] / WEEK,
            None if said is None else said.p_alive[place], None if said is None else said.expected[place],
            said.spend[place] if have else None, said.worth[place] if have else None,  # type: ignore[union-attr,index]
            self.named.names[self.places[place]], int(self.day - columns.last[place]), int(sample.x[place]) + 1,
            columns.total[place] / UNIT, _iso(columns.first[place]), _iso(columns.last[place]), why or None,
        )  # fmt: skip
        return {
            name: float(value) if isinstance(value, np.floating) else value for name, value in zip(COLUMNS, values, strict=True)
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all customers in the order of their ids."""
        for place in self.order("customer", descending=False):
            yield self.row(int(place))


def _expected(of: Clientele, name: str) -> Any:
    return None if of.outlook is None else getattr(of.outlook, name)


#: By which columns customers can be listed.
SORTED: dict[str, Callable[[Clientele], Any]] = {
    "customer": lambda of: None,
    "monetary": lambda of: of.columns.total,
    "frequency": lambda of: of.columns.repeats,
    "recency_days": lambda of: of.day - of.columns.last,
    "p_alive": lambda of: _expected(of, "p_alive"),
    f"expected_{WEEKS}w": lambda of: _expected(of, "expected"),
    "clv": lambda of: _expected(of, "worth"),
}


def summaries(customers: Iterable[tuple[str, Purchases]], day: int) -> tuple[list[str], CustomerColumns]:
    """Return the ids and columns of those who have bought by the end of a day, and not given everything back."""
    ids, found = list[str](), list[tuple[PurchaseSummary, bool]]()
    for name, one in customers:
        summary = one.summary(day)
        if summary is not None:
            ids.append(name)
            found.append((summary, one.gone(day)))
    return ids, CustomerColumns.of(found)


def parameters(fitted: Fit, day: int, currency: str) -> dict[str, Any]:
    """Return what was fitted, as ``vigie customers fit --json`` prints it."""
    buying, paying = fitted.bgnbd, fitted.spend
    return {
        "as_of": _iso(day), "customers": fitted.customers, "repeat_customers": fitted.repeated, "paying_customers": fitted.paying,
        **dict(zip(("r", "alpha", "a", "b"), buying.parameters if buying else (None,) * 4, strict=True)),
        "log_likelihood": buying.log_likelihood if buying else None,
        **dict(zip(("p", "q", "gamma"), paying.parameters if paying else (None,) * 3, strict=True)),
        "spend_log_likelihood": paying.log_likelihood if paying else None,
        "at_bound": [*(buying.at_bound if buying else ()), *(paying.at_bound if paying else ())],
        "time_unit": "weeks", "currency": currency, "why": fitted.why or None, "spend_why": fitted.spend_why or None,
    }  # fmt: skip


def _iso(day: Any) -> str:
    return date.fromordinal(int(day)).isoformat()
