"""Which products are bought together, so that who has one may be offered the other?

A basket is what one account has bought in a window: the products of its invoices that were not given back, and of its won deals.
Of a pair it is told in how many baskets both are (*support*, as a share of all baskets), how many of those with the one have the
other (*confidence*), and how many times more that is than of all baskets (*lift*; 1: the one says nothing of the other).

Bounded: the :data:`PRODUCTS` products in most baskets are paired; how many others there are is told.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import msgspec

from models.business import Business
from models.entities.entity_log import LogFolder
from models.folds import deals, tallies
from models.folds.accounts import INVOICED, RENEWED
from models.kpis.interval import wilson
from models.measures import MEASURES
from models.panes.segments import Segments
from models.panes.store import Panes

PRODUCTS = 200
#: Below so many baskets with both, a pair is chance.
LEAST = 5


class Pair(NamedTuple):
    """Who has ``one`` also has ``other``: in so many baskets are both, the one, and the other."""

    one: str
    other: str
    both: int
    ones: int
    others: int

    def json(self, baskets: int) -> dict[str, Any]:
        """Return it as the API tells it; ``low`` and ``high`` bound the confidence (Wilson, 95 %)."""
        low, high = wilson(self.both, self.ones)
        return {
            "product": self.one, "with": self.other, "baskets": self.both, "of": self.ones, "with_in": self.others,
            "support": self.both / baskets, "confidence": self.both / self.ones, "low": low, "high": high,
            "lift": self.both * baskets / (self.ones * self.others),
        }  # fmt: skip


class FoundPairs(NamedTuple):
    """The pairs, those with the highest lift first; of how many baskets; and how many products were left out."""

    pairs: list[Pair]
    baskets: int
    products: int
    left_out: int


class Baskets:
    """Gathers the baskets of a stretch of time (epoch ms) from what the folds keep."""

    def __init__(self, business: Business, start: int, end: int) -> None:
        self._start, self._end = start, end
        steps = deals.DealSteps(business, Panes(MEASURES["deals"], business), Segments(business.segment_limit))
        self._folder: LogFolder[deals.Deal] = LogFolder(steps, deals.Deal)
        self._found: defaultdict[str, set[str]] = defaultdict(set)
        self.damaged = 0

    def take(self, fold: str, rows: Mapping[bytes, bytes]) -> None:
        """Take the rows of one partition of ``deals`` or ``customers``."""
        for key, row in rows.items():
            if key[:1] == b"E":
                try:
                    account, products = self._deal(row) if fold == "deals" else (key[1:].decode(), self._billed(row))
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    self.damaged += 1
                    continue
                if account and products:
                    self._found[account] |= products

    def _deal(self, row: bytes) -> tuple[str, set[str]]:
        story = self._folder.decode(row)
        if story.void or not (story.log or story.base is not None):
            return "", set()
        deal = self._folder.present(story)
        account, product = deal.attributes.get("account_id"), deal.attributes.get("product")
        if deal.status != deals.WON or not self._start <= deal.closed < self._end or (deal.value or 0) < 0:
            return "", set()
        return account or "", {product} if product else set()

    def _billed(self, row: bytes) -> set[str]:
        worth: defaultdict[str, int] = defaultdict(int)
        given: set[str] = set()
        for move in tallies.decode(row).moves:
            if move.kind in (INVOICED, RENEWED) and move.product and self._start <= move.at < self._end:
                worth[move.product] += move.amount
                if move.amount < 0:
                    given.add(move.product)
        return {product for product, amount in worth.items() if amount > 0 or (amount == 0 and product not in given)}

    def __iter__(self) -> Iterator[set[str]]:
        """Yield each account's basket."""
        yield from self._found.values()


def pairs(baskets: Iterable[set[str]], least: int = LEAST) -> FoundPairs:
    """Return the pairs that are in at least so many baskets, in both directions."""
    whole = list(baskets)
    counts = Counter(product for basket in whole for product in basket)
    told = {name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:PRODUCTS]}
    both: Counter[tuple[str, str]] = Counter()
    for basket in whole:
        both.update(combinations(sorted(basket & told), 2))
    found = [
        Pair(one, other, number, counts[one], counts[other])
        for (a, b), number in both.items()
        if number >= least
        for one, other in ((a, b), (b, a))
    ]
    found.sort(key=lambda pair: (-pair.both / (pair.ones * pair.others), -pair.both / pair.ones, pair.one, pair.other))
    return FoundPairs(found, len(whole), len(counts), len(counts) - len(told))
