"""Sums of deals: the exact law against enumeration, the draws against the exact law."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.foresight.law import STEPS, Law, coins, convolved, drawn, even, of_draws, shared

Deals = list[tuple[int, float]]


def enumerated(deals: Deals) -> dict[int, float]:
    """The law of the sum, by going through every outcome."""
    law: dict[int, float] = {}
    for won in itertools.product((False, True), repeat=len(deals)):
        total = sum(amount for (amount, _), is_won in zip(deals, won, strict=True) if is_won)
        chance = math.prod(p if is_won else 1 - p for (_, p), is_won in zip(deals, won, strict=True))
        law[total] = law.get(total, 0.0) + chance
    return law


def exact(deals: Deals) -> Law:
    law = convolved(list(coins(np.array([a for a, _ in deals], np.int64), np.array([p for _, p in deals]))))
    assert law is not None
    return law


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), max_size=8)
    | st.lists(st.tuples(st.integers(1_000_000, 10**9), st.floats(0, 1)), max_size=8)
)
def test_the_exact_law_is_that_of_every_outcome(deals: Deals) -> None:
    law, truth = exact(deals), enumerated(deals)
    for value, chance in truth.items():
        assert dict(zip(law.values.tolist(), law.chances.tolist(), strict=True)).get(value, 0.0) == pytest.approx(
            chance, abs=1e-9
        )
        assert law.at_least(value) == pytest.approx(sum(c for v, c in truth.items() if v >= value), abs=1e-9)
    for share in (0.1, 0.5, 0.9):
        ends = np.cumsum([truth[value] for value in sorted(truth)])
        if np.abs(ends - share).min() > 1e-8:
            assert law.quantile(share) == sorted(truth)[int(np.searchsorted(ends, share))]


def test_a_quantile_is_the_smallest_value_that_is_not_exceeded_so_often() -> None:
    law = exact([(100, 0.5), (1, 0.0)])
    assert (law.quantile(0.1), law.quantile(0.5), law.quantile(0.51)) == (0, 0, 100)


def test_long_laws_are_convolved_by_fourier_without_harm() -> None:
    random = np.random.default_rng(4)
    deals = [(int(a), float(p)) for a, p in zip(random.integers(1, 1_000, 40), random.uniform(0, 1, 40), strict=True)]
    plain = np.ones(1)
    for amount, p in deals:
        step = np.zeros(amount + 1)
        step[0], step[amount] = 1 - p, p
        plain = np.convolve(plain, step)
    law = exact(deals)
    found = np.zeros_like(plain)
    found[law.values] = law.chances
    assert np.abs(found - plain).max() < 1e-12


def test_too_many_steps_and_sums_have_no_exact_law() -> None:
    amounts = np.random.default_rng(1).integers(STEPS, 2 * STEPS, 60)
    assert convolved(list(coins(amounts, np.full(60, 0.3)))) is None


def test_deals_of_one_common_rate_are_beta_binomial() -> None:
    law = shared(10, 3, 7, 250)
    beta = math.gamma(3) * math.gamma(7) / math.gamma(10)
    for k in range(11):
        truth = math.comb(10, k) * math.gamma(k + 3) * math.gamma(10 - k + 7) / math.gamma(20) / beta
        assert law.chances[k] == pytest.approx(truth, rel=1e-9)
    assert law.values.tolist() == [250 * k for k in range(11)]


def test_a_shared_rate_known_from_ten_doubles_the_tail() -> None:
    alone = exact([(1, 0.3)] * 40)
    assert shared(40, 3, 7, 1).at_least(20) > 2 * alone.at_least(20)


@pytest.mark.parametrize("draws", [1, 2, 7, 1_000])
def test_every_value_is_drawn_as_often_as_it_should(draws: int) -> None:
    random = np.random.default_rng(0)
    law = Law(np.array([0, 5, 9]), np.array([0.5, 0.25, 0.25]))
    for _ in range(50):
        found = even(law, draws, random)
        assert len(found) == draws
        for value, chance in zip(law.values, law.chances, strict=True):
            assert abs(np.count_nonzero(found == value) - draws * chance) <= 1


def test_draws_agree_with_the_exact_law_on_twenty_portfolios() -> None:
    """Means, tails and quantiles within four standard errors."""
    n = 10_000
    for seed in range(20):
        random = np.random.default_rng(seed)
        count = int(random.integers(3, 120))
        amounts = random.integers(1, 200, count) * 100
        laws = [*coins(amounts, random.beta(1, 3, count)), shared(int(random.integers(1, 30)), 3, 7, 5_000)]
        law = convolved(laws)
        assert law is not None
        draws = drawn(laws, n, random)
        mean = float(law.values @ law.chances)
        spread = math.sqrt(float((law.values - mean) ** 2 @ law.chances))
        assert abs(draws.mean() - mean) <= 4 * spread / math.sqrt(n)
        for share in (0.1, 0.5, 0.9, 0.99):
            value = law.quantile(share)
            truth = law.at_least(value)
            error = math.sqrt(truth * (1 - truth) / n)
            assert abs(of_draws(draws).at_least(value) - truth) <= 4 * error


def test_ten_thousand_deals_in_fifty_segments_take_less_than_a_second() -> None:
    random = np.random.default_rng(2)
    amounts = (random.lognormal(8, 1, 10_000) * 100).astype(np.int64)
    chances, segments = random.beta(1, 3, 10_000), random.integers(0, 50, 10_000)
    began = time.process_time()
    total = np.zeros(10_000, np.int64)
    for segment in range(50):
        here = segments == segment
        total += drawn(coins(amounts[here], chances[here]), 10_000, random)
    assert time.process_time() - began < 3  # on a busy machine, as in test_outlook.py
    assert total.mean() == pytest.approx(float(amounts @ chances), rel=1e-3)
