"""The CDNOW sample (cdnow.md): 39 weeks to learn from, 39 to compare with."""

import csv
import gzip
from collections import defaultdict
from datetime import date
from functools import cache
from pathlib import Path

from models.customers.clientele import CustomerColumns
from models.customers.fit import Sample
from models.customers.purchases import Purchases, PurchaseSummary

FILE = Path(__file__).with_name("cdnow.csv.gz")
END = date(1997, 9, 30).toordinal()
WEEKS = 39
Bought = tuple[str, int, int]


@cache
def bought() -> tuple[Bought, ...]:
    """Customer, day, amount in 1/10,000 dollars."""
    with gzip.open(FILE, "rt") as lines:
        return tuple(
            (row["customer"], date.fromisoformat(row["date"]).toordinal(), round(float(row["amount"]) * 10_000))
            for row in csv.DictReader(lines)
        )


@cache
def customers() -> dict[str, Purchases]:
    found: defaultdict[str, Purchases] = defaultdict(Purchases)
    for number, (customer, day, amount) in enumerate(bought()):
        found[customer].add(day, amount, f"i-{number}")
    return dict(found)


def summaries() -> list[PurchaseSummary]:
    return [found for one in customers().values() if (found := one.summary(END)) is not None]


def held_out() -> int:
    """How many repeat days there are in the 39 weeks after."""
    return len({(customer, day) for customer, day, _ in bought() if day > END})


def sample_of(found: list[PurchaseSummary], until: int = END) -> Sample:
    return CustomerColumns.of([(one, False) for one in found]).sample(until)
