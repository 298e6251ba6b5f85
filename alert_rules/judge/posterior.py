"""How probable is it that what is measured truly lies beyond a threshold, given the cases so far?

The posterior of a share under Jeffreys' prior: Beta(k + ½, n − k + ½) after k of n cases. Its distribution function is the
regularised incomplete beta function, by its continued fraction (Lentz), good to 9 digits; above a million cases the normal
distribution is as good (3 digits), at a price that does not grow with the cases.

A *change* of a share compares two such posteriors, by their means and variances (the difference of two Betas is near normal from
some ten cases on). A change of a count asks which part of all cases fell into the later of two stretches of the same length: with
Poisson counts and Jeffreys' prior that part is Beta(now + ½, before + ½), exactly. A mean whose 95 % interval is stated is taken
as normal with that interval.
"""

import math

from alert_rules.judge.rule import Direction

_TINY = 1e-300
_STEPS = 10_000  # a million cases need some 1,000
_MANY = 1_000_000
_Z95 = 1.959963984540054


def probability(direction: Direction, threshold: float, hits: float, cases: float) -> float:
    """Return P(the true rate is below, or above, the threshold) after ``hits`` of ``cases``.

    Raise ``ValueError`` where there cannot be so many hits.
    """
    if not 0 <= hits <= cases:
        raise ValueError(f"found {hits:g} of {cases:g} (accepted: from 0 to all of them)")
    below = beta_cdf(min(max(threshold, 0.0), 1.0), hits + 0.5, cases - hits + 0.5)
    return below if direction is Direction.BELOW else 1 - below


def change_of_share(direction: Direction, change: float, now: tuple[float, float], before: tuple[float, float]) -> float:
    """Return P(the true share is below, or above, (1 + change) times the earlier one), each given as (hits, cases).

    Raise ``ValueError`` where there cannot be so many hits.
    """
    (mean, variance), (mean_before, variance_before) = _moments(*now), _moments(*before)
    times = 1 + change
    spread = math.sqrt(variance + times * times * variance_before)
    below = 0.5 * math.erfc((mean - times * mean_before) / (spread * math.sqrt(2)))
    return below if direction is Direction.BELOW else 1 - below


def change_of_count(direction: Direction, change: float, now: float, before: float) -> float:
    """Return P(the true rate of a count is below, or above, (1 + change) times the earlier one); raise ``ValueError``."""
    if now < 0 or before < 0:
        raise ValueError(f"found {now:g} and {before:g} (accepted: counts)")
    times = max(0.0, 1 + change)
    below = beta_cdf(times / (1 + times), now + 0.5, before + 0.5)
    return below if direction is Direction.BELOW else 1 - below


def of_interval(direction: Direction, threshold: float, value: float, low: float, high: float) -> float:
    """Return P(the true mean is below, or above, the threshold), the value's 95 % interval being ``low`` to ``high``."""
    spread = (high - low) / (2 * _Z95)
    if spread <= 0:  # all answers alike: the interval knows no better
        return float(value < threshold if direction is Direction.BELOW else value > threshold)
    below = 0.5 * math.erfc((value - threshold) / (spread * math.sqrt(2)))
    return below if direction is Direction.BELOW else 1 - below


def _moments(hits: float, cases: float) -> tuple[float, float]:
    if not 0 <= hits <= cases:
        raise ValueError(f"found {hits:g} of {cases:g} (accepted: from 0 to all of them)")
    a, b = hits + 0.5, cases - hits + 0.5
    return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))


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
