"""Which parts moved a figure, so that the parts add up to the difference exactly?

A **sum** moves by what each segment's own sum has moved.

A **ratio** of sums, R = Σ Nₛ / Σ Dₛ, moves by what each segment's rate rₛ = Nₛ/Dₛ has moved, and by how the weights
wₛ = Dₛ/D have moved between segments of high and of low rates. The standard decomposition, symmetric in the two periods:
E. M. Kitagawa, "Components of a difference between two rates", Journal of the American Statistical Association 50 (272),
1955, pp. 1168–1194 (in econometrics: Oaxaca–Blinder, 1973, with pooled weights)::

    rateₛ = (rₛ¹ − rₛ⁰) · (wₛ¹ + wₛ⁰)/2        mixₛ = (wₛ¹ − wₛ⁰) · ((rₛ¹ + rₛ⁰)/2 − (R¹ + R⁰)/2)

The weights of either period add up to 1, so taking the mean rate off in the mix changes no sum; it makes a segment's mix say
whether the weight moved towards the better or the worse. All in fractions: the parts' sum *is* the difference.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

#: A segment's numerator and denominator; the denominator is 0 for sums.
Pair = tuple[Fraction, Fraction]
_NONE: Pair = (Fraction(0), Fraction(0))


class SegmentEffect(NamedTuple):
    """What one segment contributed to the difference: ``rate`` + ``mix``. Of a sum all is ``rate``."""

    segment: str
    rate: Fraction
    mix: Fraction

    @property
    def effect(self) -> Fraction:
        """The whole contribution."""
        return self.rate + self.mix


def of_sum(now: Mapping[str, Fraction], before: Mapping[str, Fraction]) -> list[SegmentEffect]:
    """Return what each segment has moved."""
    zero = Fraction(0)
    return [
        SegmentEffect(name, now.get(name, zero) - before.get(name, zero), zero) for name in sorted(now.keys() | before.keys())
    ]


def of_ratio(now: Mapping[str, Pair], before: Mapping[str, Pair]) -> list[SegmentEffect]:
    """Return what each segment's rate and weight contributed; raise ``ZeroDivisionError`` where either whole has no cases."""
    n1, d1 = _whole(now)
    n0, d0 = _whole(before)
    mean = (n1 / d1 + n0 / d0) / 2
    parts = []
    for name in sorted(now.keys() | before.keys()):
        (a1, b1), (a0, b0) = now.get(name, _NONE), before.get(name, _NONE)
        w1, w0 = b1 / d1, b0 / d0
        if (not b1 and a1) or (not b0 and a0):
            # Something was counted of no cases (a lead converted in a month in which none was created): it has no rate of its
            # own, so what it adds beyond its weight is told as one.
            mix = (w1 - w0) * -mean
            parts.append(SegmentEffect(name, a1 / d1 - a0 / d0, mix))
            continue
        # A segment without cases in one period had no rate then; what it brings or takes is weight alone.
        r1 = a1 / b1 if b1 else a0 / b0 if b0 else Fraction(0)
        r0 = a0 / b0 if b0 else r1
        parts.append(SegmentEffect(name, (r1 - r0) * (w1 + w0) / 2, (w1 - w0) * ((r1 + r0) / 2 - mean)))
    return parts


def of_quotient(now: Pair, before: Pair) -> tuple[Fraction, Fraction]:
    """Return how much of a ratio's difference the numerator's change made, and how much the denominator's (symmetric).

    Raise ``ZeroDivisionError`` where a denominator is 0.
    """
    (n1, d1), (n0, d0) = now, before
    return (n1 - n0) * (1 / d1 + 1 / d0) / 2, (n1 + n0) / 2 * (1 / d1 - 1 / d0)


def _whole(pairs: Mapping[str, Pair]) -> Pair:
    return sum((a for a, _ in pairs.values()), Fraction(0)), sum((b for _, b in pairs.values()), Fraction(0))
