"""How probable is it that a rate truly lies beyond a threshold, given the cases so far?

The posterior of a share under Jeffreys' prior: Beta(k + ½, n − k + ½) after k of n cases. Its distribution function is the
regularised incomplete beta function, by its continued fraction (Lentz), good to 9 digits; above a million cases the normal
distribution is as good (3 digits), at a price that does not grow with the cases.
"""

import math

from alert_rules.rule import Direction

_TINY = 1e-300
_STEPS = 10_000  # a million cases need some 1,000
_MANY = 1_000_000


def probability(direction: Direction, threshold: float, hits: float, cases: float) -> float:
    """Return P(the true rate is below, or above, the threshold) after ``hits`` of ``cases``.

    Raise ``ValueError`` where there cannot be so many hits.
    """
    if not 0 <= hits <= cases:
        raise ValueError(f"found {hits:g} of {cases:g} (accepted: from 0 to all of them)")
    below = beta_cdf(min(max(threshold, 0.0), 1.0), hits + 0.5, cases - hits + 0.5)
    return below if direction is Direction.BELOW else 1 - below


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a and b above 0."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if a + b > _MANY:
        mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
        return 0.5 * math.erfc((mean - x) / math.sqrt(2 * variance))
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges quickly on its own side of the mean only.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            change = d * c
            found *= change
        if abs(change - 1) < 1e-13:
            break
    return found


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
