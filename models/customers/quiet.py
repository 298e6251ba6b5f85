"""What is told of the clientele as it changes: figures by segment, moves between segments as events, and who has gone quiet?

All of it is absolute or has an id of its own, so that whoever says it again, or at the same time, changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import chain
from typing import Any

import numpy as np

from models.calendar import iso
from models.customers.clientele import Clientele
from models.customers.moves import SegmentMove
from models.customers.purchases import Purchases, settle
from models.money import UNIT

#: The metrics that the KPIs are made of.
CUSTOMERS, WORTH = "vigie.customers", "vigie.worth"
#: Who moved within so many days is told of; so many customers at most, the largest.
DAYS, MOST = 30, 1_000
_YEAR = 365


def figures(whole: Clientele) -> dict[str, tuple[int, float | None]]:
    """Return, by segment, how many customers there are, and their worth in all; None where the models know none."""
    worth = None if whole.outlook is None else whole.outlook.worth
    found = {}
    for place, name in enumerate(whole.named.names):
        mine = whole.places == place
        found[name] = (
            int(mine.sum()),
            None if worth is None else round(float(np.where(whole.columns.gone[mine], 0.0, worth[mine]).sum()), 4),
        )
    return found


def recordings(found: dict[str, tuple[int, float | None]], at: int) -> Iterator[dict[str, Any]]:
    """Yield the events (``metric.recorded``) that make KPIs of the figures."""
    for segment, (customers, worth) in sorted(found.items()):
        for name, value in ((CUSTOMERS, customers), (WORTH, worth)):
            if value is not None:
                yield {
                    "specversion": "1.0", "id": f"{name}/{segment}/{at}", "source": "vigie", "type": "metric.recorded",
                    "time": iso(at), "subject": f"customers/{segment}",
                    "data": {"name": name, "value": value, "dimensions": {"segment": segment}},
                }  # fmt: skip


def events(moves: Iterable[SegmentMove], day: int, at: int) -> Iterator[dict[str, Any]]:
    """Yield the moves of a day as CloudEvents, for the topic ``customer-moves``."""
    for move in moves:
        yield {
            "specversion": "1.0", "id": f"{move.customer}/{date.fromordinal(day).isoformat()}", "source": "vigie",
            "type": "customer.moved", "time": iso(at), "subject": move.customer, "data": move.json(),
        }  # fmt: skip


def year_of(customer: Purchases) -> float:
    """Return what a customer brought in the year up to its last purchase day, net of refunds."""
    days, _ = settle(chain(customer.old, customer.log))
    last = max(days, default=0)
    return sum(amount for day, amount in days.items() if day > last - _YEAR) / UNIT


def quiet(moves: Iterable[SegmentMove], customer: Callable[[str], Purchases | None], today: int) -> list[dict[str, Any]]:
    """Return the customers that have moved, as ``standings`` has them, the largest totals first."""
    found: list[dict[str, Any]] = []
    for move in moves:
        known = customer(move.customer)
        if known is None or move.left is None or move.joined is None or len(found) >= MOST:
            continue
        found.append(
            {
                "customer": move.customer, "name": known.name or None, "left": move.left, "joined": move.joined,
                "worth": round(year_of(known), 2), "quiet_days": today - move.last,
            }
        )  # fmt: skip
    return found
