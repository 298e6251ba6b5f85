"""Between which bounds does the true rate lie, given so few cases?"""

from collections.abc import Sequence
from math import sqrt

#: The two-sided 95 % point of the standard normal distribution.
Z95 = 1.959963984540054


def wilson(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Return the score interval of a proportion; ``0 <= successes <= trials``, ``trials >= 1``. Cases may be lent in parts.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American Statistical
    Association 22 (158), 1927, pp. 209–212. Unlike p ± z·s.e. it stays within [0, 1] and is honest at 0 of 5.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no proportion")
    rate = successes / trials
    spread = z * z / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(rate * (1 - rate) / trials + spread / (4 * trials))
    # At the ends the bound is exactly 0 or 1; rounding must not push it beyond, nor off the rate itself.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def net_promoter(promoters: int, detractors: int, answers: int, z: float = Z95) -> tuple[float, float]:
    """Return the interval of 100 · (promoters − detractors) / answers, within [−100, 100]; ``answers >= 1``.

    The normal approximation of the multinomial: the variance of one answer scored +1, 0, −1 is p₊ + p₋ − (p₊ − p₋)².
    B. Rocks, "Interval estimation for the Net Promoter Score", The American Statistician 70 (4), 2016, pp. 365–372. It is too
    narrow below some thirty answers, and has no width when all are alike.
    """
    if promoters < 0 or detractors < 0 or answers < 1 or promoters + detractors > answers:
        raise ValueError(f"{promoters} promoters and {detractors} detractors of {answers} answers")
    up, down = promoters / answers, detractors / answers
    score = up - down
    half = z * sqrt(max(0.0, up + down - score * score) / answers)
    return max(-100.0, 100 * (score - half)), min(100.0, 100 * (score + half))


def of_shares(value: float, shares: Sequence[tuple[int, int]]) -> tuple[float | None, float | None]:
    """Return between which bounds a value lies that was divided by shares, each (successes, trials) with successes.

    All of them at their upper bounds, and all at their lower: together they are wider than 95 %, never narrower. There is no
    upper bound where a share may be as good as 0.
    """
    low: float | None = value
    high: float | None = value
    for successes, trials in shares:
        least, most = wilson(successes, trials)
        rate = successes / trials
        low = None if low is None or not most else low * rate / most
        high = None if high is None or not least else high * rate / least
    return low, high
