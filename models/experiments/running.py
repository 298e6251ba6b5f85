"""One test while it runs: what is known of its cases, and what each look at it says."""

from array import array
from typing import Any, NamedTuple

import numpy as np

from models.experiments.cohorts import Deals, JudgedDeals, judged
from models.experiments.coin import Coin
from models.experiments.ratio import differs
from models.unusable import UnusableQuestion

NONE = "none"
_OPEN = float("inf")


class Look(NamedTuple):
    """What a look says: which variant is better (``none``: not decided), whether they were not given as designed, and of what.

    ``judged`` cases were counted, ``left_out`` were not: they had both variants.
    """

    look: int
    decision: str
    srm: bool
    judged: int
    left_out: int


class Experiment:
    """Cases of two variants: either outcomes as they come, or deals that enter and are closed later, judged once they are of age.

    ``ratio`` is the designed share of the second variant, by name; ``maturity`` the age (days) at which a deal is judged, None to
    learn it. A decision that has been made stands.
    """

    def __init__(self, ratio: float = 0.5, maturity: float | None = None) -> None:
        self._ratio, self._maturity = ratio, maturity
        self._variants: list[str] = []
        self._now = -_OPEN
        self._looks = 0
        self._decision, self._srm = NONE, False
        # Outcomes as they come: what has not been bet on yet.
        self._coin: Coin | None = None
        self._won, self._second = array("b"), array("b")
        self._given = [0, 0]
        # Deals, by their place.
        self._places: dict[Any, int] = {}
        self._entered, self._closed, self._told = array("d"), array("d"), array("d")
        self._left_out: set[int] = set()

    def outcome(self, variant: str, won: bool) -> None:
        """Add a case whose outcome is known; raise ``UnusableQuestion``."""
        if self._places:
            raise UnusableQuestion("deal", None, "a deal: this test is of deals")
        second = self._second_of(variant)
        self._coin = self._coin or Coin(self._ratio)
        self._given[second] += 1
        self._won.append(won)
        self._second.append(second)

    def deal(self, deal: str | int, variant: str | None, at: float, won: bool | None, *, told: bool) -> None:
        """Add what is said of a deal at a time (days): that it is there and, if ``told``, what became of it (None: open again).

        It has entered at the first time at which it is said to be there, and what became of it is what was said of the last.
        Raises ``UnusableQuestion``.
        """
        if self._coin is not None:
            raise UnusableQuestion("deal", deal, "no deal: this test is of outcomes")
        place = self._places.get(deal)
        if variant is None and place is None:
            raise UnusableQuestion("variant", None, f"a variant: deal {deal!r} is new")
        second = self._second[place] if variant is None and place is not None else self._second_of(str(variant))
        self._now = max(self._now, at)
        if place is None:
            place = self._places[deal] = len(self._places)
            self._entered.append(at)
            self._closed.append(_OPEN)
            self._told.append(-_OPEN)
            self._won.append(False)
            self._second.append(second)
            self._given[second] += 1
        elif second != self._second[place] and place not in self._left_out:
            self._left_out.add(place)
            self._given[self._second[place]] -= 1
        self._entered[place] = min(self._entered[place], at)
        if told and at >= self._told[place]:
            self._told[place] = at
            self._closed[place] = _OPEN if won is None else at
            self._won[place] = bool(won)

    def look(self, at: float | None = None) -> Look:
        """Look at the test, at a time (days; None: the latest that was heard of)."""
        self._looks += 1
        first, second = self._given
        self._srm = self._srm or differs(first, second, self._ratio)
        if self._coin is not None:
            coin, number = self._coin, first + second
            coin.add(np.array(self._won, dtype=np.bool_), np.array(self._second, dtype=np.bool_))
            del self._won[:], self._second[:]
        else:
            cases = self._of_age(self._now if at is None else at)
            coin, number = Coin(self._ratio), len(cases.won)
            coin.add(*cases)
        evidence = coin.evidence()
        if evidence.decides and self._decision == NONE and not self._srm:
            self._decision = self._variants[evidence.for_b > evidence.for_a]
        return Look(self._looks, self._decision, self._srm, number, len(self._left_out))

    def _of_age(self, now: float) -> JudgedDeals:
        deals = Deals(
            np.array(self._entered), np.array(self._closed), np.array(self._won, dtype=np.bool_),
            np.array(self._second, dtype=np.bool_),
        )  # fmt: skip
        return judged(deals.at(np.setdiff1d(np.arange(len(self._won)), list(self._left_out))), now, self._maturity)

    def _second_of(self, variant: str) -> bool:
        """Return whether a variant is the second one; raise ``UnusableQuestion`` where it is a third."""
        if variant not in self._variants:
            if len(self._variants) == 2:
                raise UnusableQuestion("variant", variant, f"{' or '.join(self._variants)}: a test has two variants")
            self._variants.append(variant)
        return self._variants.index(variant) == 1
