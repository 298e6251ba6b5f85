"""In which eighth of what is usual does a number lie? Quantile bins learnt online, so that no scale is assumed."""

from bisect import insort
from collections.abc import Sequence
from typing import Any

#: How many bins, how many numbers are remembered, and from how many on there are bins.
BINS, KEPT, ENOUGH = 8, 128, 32
_MIX = 2_654_435_761  # a multiplier that spreads counts over 32 bits (Knuth)


class Quantiles:
    """Edges between equal shares of the numbers seen; they are looked for anew each time that twice as many were seen."""

    def __init__(self, seen: int = 0, sample: Sequence[float] = (), edges: Sequence[float] = ()) -> None:
        self.seen = seen
        self.sample = list(sample)  # ascending: a uniform sample of all
        self.edges = list(edges)

    def dump(self) -> list[Any]:
        """Return what was seen, as a document has it."""
        return [self.seen, self.sample, self.edges]

    @classmethod
    def load(cls, state: Sequence[Any]) -> "Quantiles":
        """Go on from what :meth:`dump` gave."""
        seen, sample, edges = state
        return cls(int(seen), sample, edges)

    def learn_one(self, value: float) -> bool:
        """See a finite number; return whether the edges were looked for anew."""
        self.seen += 1
        value = round(value, 6)
        if len(self.sample) < KEPT:
            insort(self.sample, value)
        else:
            place = self.seen * _MIX % 2**32 * self.seen >> 32  # uniform below ``seen``, and the same whenever it is repeated
            if place < KEPT:
                del self.sample[place]
                insort(self.sample, value)
        if self.seen >= ENOUGH and self.seen & (self.seen - 1) == 0:
            last = len(self.sample) - 1
            self.edges = sorted({self.sample[last * part // BINS] for part in range(1, BINS)})
            return True
        return False
