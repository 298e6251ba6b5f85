"""How is a sum of independent amounts distributed, exactly where it can be, else by draws?

A *law* has finitely many values (whole units of money, such as cents) with their probabilities. Deals are put together by eights
into laws of at most 256 values; deals of one common, uncertain rate are one law (:func:`shared`). The sum of independent laws is
convolved, over all steps of the amounts' greatest common divisor or over the sums that differ, whichever is possible. Where both
would be too many, each law is drawn from evenly (its quantiles at equal steps, in an order of its own: Latin hypercube), which is
never worse than independent draws.

M. Stein, "Large sample properties of simulations using Latin hypercube sampling", Technometrics 29 (2), 1987, pp. 143-151.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

Units = np.ndarray[Any, np.dtype[np.int64]]
Reals = np.ndarray[Any, np.dtype[np.float64]]

#: The most steps of a common divisor, and the most sums that differ, that are convolved: about a second, 200 MB.
STEPS, SUMS = 1 << 22, 1 << 20
#: Deals in one law: 2 ** 8 values are few beside the draws.
_EIGHT = 8
#: Below so many steps the plain convolution is faster than that by Fourier's transform, and has no rounding to clip.
_SHORT = 128
#: Cumulated probabilities are compared with so much tolerance: exact ones are so but for rounding, some 1e-11 at most.
_ROUNDING = 1e-9


class Law(NamedTuple):
    """Values that differ, ascending, and how likely each is (together 1)."""

    values: Units
    chances: Reals

    def quantile(self, share: float) -> int:
        """Return the smallest value that is not exceeded with at least this probability."""
        found = int(np.searchsorted(np.cumsum(self.chances), share - _ROUNDING))
        return int(self.values[min(found, len(self.values) - 1)])

    def at_least(self, value: int) -> float:
        """Return the probability of this value or more."""
        return min(max(float(self.chances[np.searchsorted(self.values, value) :].sum()), 0.0), 1.0)

    @classmethod
    def of(cls, values: Units, chances: Reals) -> Self:
        """Return the law of values that may be there more than once, in any order."""
        known, place = np.unique(values, return_inverse=True)
        return cls(known, _tallied(place, chances))


def coins(amounts: Units, chances: Reals) -> Iterator[Law]:
    """Yield the laws of deals, by eights: each is won for its amount with its own probability, independent of the others."""
    for first in range(0, len(amounts), _EIGHT):
        values, likely = np.zeros(1, np.int64), np.ones(1)
        for amount, chance in zip(amounts[first : first + _EIGHT], chances[first : first + _EIGHT], strict=True):
            values = np.concatenate((values, values + amount))
            likely = np.concatenate((likely * (1 - chance), likely * chance))
        yield Law.of(values, likely)


def shared(deals: int, won: float, lost: float, amount: int) -> Law:
    """Return the law of deals of one amount whose common rate is not known: drawn from Beta(won, lost), both above 0.

    The number won is beta-binomial. Ten deals lost together more often than ten coins are: whoever takes the rate for certain
    has a tail far too thin.
    """
    k = np.arange(deals)
    steps = np.log(deals - k) - np.log(k + 1) + np.log(k + won) - np.log(deals - 1 - k + lost)
    logs = np.concatenate((np.zeros(1), np.cumsum(steps)))
    chances = np.exp(logs - logs.max())
    return Law.of(np.arange(deals + 1, dtype=np.int64) * amount, chances / chances.sum())


def convolved(laws: Sequence[Law]) -> Law | None:
    """Return the law of the sum of independent laws; None where there would be too many steps and too many sums."""
    step = int(np.gcd.reduce(np.concatenate([law.values for law in laws]))) if laws else 0
    if not step:
        return Law(np.zeros(1, np.int64), np.ones(1))
    steps = sum(int(law.values[-1]) // step for law in laws) + 1
    return _over_steps(laws, step) if steps <= STEPS else _over_sums(laws)


def _over_steps(laws: Sequence[Law], step: int) -> Law:
    rows = [_tallied(law.values // step, law.chances) for law in laws]
    heap = [(len(row), number) for number, row in enumerate(rows)]
    heapq.heapify(heap)
    while len(heap) > 1:  # the two shortest, so that long ones are met few times
        short, long = heapq.heappop(heap)[1], heapq.heappop(heap)[1]
        rows[long] = _met(rows[short], rows[long])
        heapq.heappush(heap, (len(rows[long]), long))
    row = rows[heap[0][1]]
    there = np.flatnonzero(row)
    return Law(there * step, row[there])


def _tallied(places: np.ndarray[Any, np.dtype[np.integer[Any]]], chances: Reals) -> Reals:
    return np.bincount(places, weights=chances).astype(np.float64, copy=False)


def _met(short: Reals, long: Reals) -> Reals:
    if len(short) <= _SHORT:
        return np.convolve(long, short)
    length = len(short) + len(long) - 1
    room = 1 << (length - 1).bit_length()
    row: Reals = np.fft.irfft(np.fft.rfft(short, room) * np.fft.rfft(long, room), room)[:length]
    return np.maximum(row, 0.0, out=row)


def _over_sums(laws: Sequence[Law]) -> Law | None:
    law = Law(np.zeros(1, np.int64), np.ones(1))
    for other in sorted(laws, key=lambda one: len(one.values)):
        if len(law.values) * len(other.values) > 4 * SUMS:
            return None
        law = Law.of(
            (law.values[:, None] + other.values).ravel(),
            (law.chances[:, None] * other.chances).ravel(),
        )
        if len(law.values) > SUMS:
            return None
    return law


def drawn(laws: Iterable[Law], draws: int, random: np.random.Generator) -> Units:
    """Return so many draws of the sum of independent laws, each law drawn from evenly and in an order of its own."""
    total = np.zeros(draws, np.int64)
    for law in laws:
        total += even(law, draws, random)
    return total


def even(law: Law, draws: int, random: np.random.Generator) -> Units:
    """Return so many draws of a law: its quantiles at equal steps from a drawn start, shuffled."""
    ends = np.cumsum(law.chances)
    upto = np.ceil(ends / ends[-1] * draws - random.random()).astype(np.int64)
    values = np.repeat(law.values, np.diff(np.clip(upto, 0, draws), prepend=0))
    random.shuffle(values)
    return values


def of_draws(values: Units) -> Law:
    """Return the law that gives every draw the same probability."""
    known, count = np.unique(values, return_counts=True)
    return Law(known, count / len(values))
