"""Were the variants given in the ratio that was designed? If not, who got which was no coin, and nothing can be judged."""

from math import lgamma, log

#: Where the ratio is as designed, a warning is wrong in at most so many tests, however often one looks.
LEVEL = 0.01
#: Ratios that are bet on are within some five points of the designed one: a beta law worth so many cases.
_WORTH = 100.0


def log_evidence(to_a: int, to_b: int, ratio: float = 0.5) -> float:
    """Return the logarithm of the evidence against B's designed share, of the numbers of cases given to each.

    A likelihood ratio whose mean is 1 as long as the coin is the designed one, at any number of cases (as in ``coin.py``).
    """
    a, b = _WORTH * (1 - ratio), _WORTH * ratio
    return _log_beta(a + to_a, b + to_b) - _log_beta(a, b) - to_a * log(1 - ratio) - to_b * log(ratio)


def differs(to_a: int, to_b: int, ratio: float = 0.5) -> bool:
    """Whether it is certain enough that the variants are not given as designed."""
    return log_evidence(to_a, to_b, ratio) >= -log(LEVEL)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
