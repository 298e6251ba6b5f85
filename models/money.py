"""What is an amount worth in the business currency on a day?

Money is an integer of 1/10,000 of a currency's unit: exact under addition, fine enough for the cost of one ad impression.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

from xxhash import xxh3_64_intdigest

_EVER = 1 << 62

#: Parts of one currency unit.
UNIT = 10_000


class UnknownRate(ValueError):
    """No exchange rate is known for the currency; an amount is refused then, never guessed."""


class Rates:
    """Exchange rates into the business currency, each valid from an instant on."""

    __slots__ = ("_digest", "_digest_from", "_digest_to", "_table", "base")

    def __init__(self, base: str, table: Mapping[str, Sequence[tuple[int, Fraction]]]) -> None:
        """Take, per currency, ``(from_ms, units of base for one unit)`` in any order; the earliest serves what is before, too."""
        self.base = base
        self._digest, self._digest_from, self._digest_to = "", 0, 0
        self._table = {code: sorted(steps) for code, steps in table.items() if code != base}
        for code, steps in self._table.items():
            if not steps or any(rate <= 0 for _, rate in steps):
                raise ValueError(f"rates of {code}: at least one, and each above 0")

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies that can be converted, the base included."""
        return frozenset(self._table) | {self.base}

    def digest(self, at: int) -> str:
        """Return what tells these rates, as far as they hold at an instant (epoch ms), from others."""
        if not self._digest_from <= at < self._digest_to:
            begins = sorted(begin for steps in self._table.values() for begin, _ in steps)
            place = bisect_right(begins, at)
            self._digest_from = begins[place - 1] if place else -_EVER
            self._digest_to = begins[place] if place < len(begins) else _EVER
            # The earliest rate of a currency serves what is before it, too.
            held = [(c, [s for i, s in enumerate(steps) if not i or s[0] <= at]) for c, steps in sorted(self._table.items())]
            self._digest = f"{xxh3_64_intdigest(repr(held).encode()):016x}"
        return self._digest

    def frozen(self, at: int) -> "Rates":
        """Return the rates of one instant, which hold for ever."""
        return Rates(self.base, {code: [(0, self._at(steps, at))] for code, steps in self._table.items()})

    @staticmethod
    def _at(steps: Sequence[tuple[int, Fraction]], at: int) -> Fraction:
        rate = steps[0][1]
        for begin, value in steps:
            if begin > at:
                break
            rate = value
        return rate

    def convert(self, amount: int, currency: str | None, at: int) -> int:
        """Return the amount in the base currency at the rate of that instant, rounded half to even.

        ``currency`` None means the base currency. Raise :class:`UnknownRate` where there is no rate.
        """
        if currency is None or currency == self.base:
            return amount
        steps = self._table.get(currency)
        if steps is None:
            raise UnknownRate(currency)
        return round(amount * self._at(steps, at))
