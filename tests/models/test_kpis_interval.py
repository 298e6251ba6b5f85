import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.kpis.interval import net_promoter, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # the second and third from Wilson's formula by hand; R's binom.confint(method = "wilson") gives the same
        (5, 20, 0.1119, 0.4687),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_rate_lies_in_its_interval(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def test_net_promoter() -> None:
    # p₊ 0.6, p₋ 0.1: variance 0.7 − 0.25 = 0.45, standard error √0.045
    half = 195.996 * math.sqrt(0.045)
    assert net_promoter(6, 1, 10) == pytest.approx((50 - half, 50 + half), abs=1e-3)
    assert net_promoter(0, 3, 3) == (-100, -100)
    assert net_promoter(2, 1, 3)[1] == 100


@pytest.mark.parametrize("case", [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_proportion(case: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(*case)
    with pytest.raises(ValueError, match="answers"):
        net_promoter(case[0], 0, case[1])
