"""Which customers are in another segment than on an earlier day?

Worked out from what both days knew, each held against its own clientele: whoever asks again, and whenever, is told the same,
unless a purchase or refund came late.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from models.customers import rfm
from models.customers.clientele import summaries
from models.customers.purchases import Purchases
from models.customers.segments import Named
from models.money import UNIT


class SegmentMove(NamedTuple):
    """A customer's move; None for the segment of who had not bought yet, or has given everything back since."""

    customer: str
    left: str | None
    joined: str | None
    total: int  # 1/10,000 of the business currency, on the later day, or else on the earlier one
    last: int  # its last purchase day

    def json(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        told = {"customer": self.customer, "from": self.left, "to": self.joined, "monetary": self.total / UNIT}
        return {**told, "last": date.fromordinal(self.last).isoformat()}


def moves(customers: Iterable[tuple[str, Purchases]], since: int, day: int, named: Named) -> list[SegmentMove]:
    """Return who is in another segment at the end of ``day`` than at the end of ``since``, the largest totals first."""
    known = list(customers)
    before, after = _segments(known, since, named), _segments(known, day, named)
    found = []
    for name in before.keys() | after.keys():
        left, joined = before.get(name), after.get(name)
        if (left and left[0]) != (joined and joined[0]):
            _, total, last = joined or left or ("", 0, 0)
            found.append(SegmentMove(name, left and left[0], joined and joined[0], total, last))
    return sorted(found, key=lambda move: (-move.total, move.customer))


def _segments(customers: list[tuple[str, Purchases]], day: int, named: Named) -> dict[str, tuple[str, int, int]]:
    ids, columns = summaries(customers, day)
    scores = columns.cuts(day).scores(columns.last, columns.repeats + 1, columns.total)
    told = zip(rfm.places(named, *scores), columns.total, columns.last, strict=True)
    return {name: (named.names[place], int(total), int(last)) for name, (place, total, last) in zip(ids, told, strict=True)}


def moves_document(
    found: list[SegmentMove], since: int, day: int, left: str | None = None, joined: str | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Return moves as the API tells them: those out of and into a segment (None: any), how many of each, ``limit`` at most."""
    chosen = [move for move in found if left in (None, move.left) and joined in (None, move.joined)]
    counts = Counter((move.left, move.joined) for move in chosen)
    return {
        "since": date.fromordinal(since).isoformat(),
        "as_of": date.fromordinal(day).isoformat(),
        "total": len(chosen),
        "counts": [{"from": a, "to": b, "customers": count} for (a, b), count in counts.most_common()],
        "moves": [move.json() for move in chosen[:limit]],
    }
