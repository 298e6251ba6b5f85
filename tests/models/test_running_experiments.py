"""Is a better variant found, and none where there is none: whatever comes, however often one looks?"""

from itertools import product
from math import exp, log

import numpy as np
import pytest

from bench.experiments import deals_of, decided, drawn, looked_at
from models.experiments.cohorts import Deals, judged, learnt_maturity
from models.experiments.coin import LEVEL, Coin
from models.experiments.ratio import differs, log_evidence
from models.experiments.running import Experiment, Look
from models.unusable import UnusableQuestion

INF = np.inf


@pytest.mark.parametrize("ratio", [0.5, 0.3])
def test_of_all_ways_the_coin_may_fall_the_mean_of_the_evidence_is_1(ratio: float) -> None:
    for won in ([True, False, False, True, True, False, True, False], [False] * 8, [True] * 8):
        mean = 0.0
        for assigned in product((False, True), repeat=len(won)):
            coin = Coin(ratio)
            coin.add(np.array(won), np.array(assigned))
            mean += exp(coin.evidence().total) * ratio ** sum(assigned) * (1 - ratio) ** (len(won) - sum(assigned))
        assert mean == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 0.2])
def test_so_is_that_against_the_ratio(ratio: float) -> None:
    chances = {b: ratio**b * (1 - ratio) ** (10 - b) for b in range(11)}
    mean = sum(exp(log_evidence(10 - sum(way), sum(way), ratio)) * chances[sum(way)] for way in product((0, 1), repeat=10))
    assert mean == pytest.approx(1, abs=1e-12)


def test_a_ratio_that_is_off_is_seen() -> None:
    assert not differs(0, 0) and not differs(520, 480) and not differs(700, 300, 0.3)
    assert differs(600, 400) and differs(400, 600) and differs(500, 500, 0.3)


def test_bets_in_parts_are_the_bets_at_once() -> None:
    won, to_b = drawn(1, (0.2, 0.3), 500)
    whole, parts = Coin(), Coin()
    whole.add(won, to_b)
    for begin in range(0, 500, 7):
        parts.add(won[begin : begin + 7], to_b[begin : begin + 7])
    parts.add(won[:0], to_b[:0])
    assert parts.evidence() == pytest.approx(whole.evidence())
    assert whole.cases == parts.cases == 500
    mirrored = Coin()
    mirrored.add(won, ~to_b)
    assert mirrored.evidence().for_a == pytest.approx(whole.evidence().for_b)


def test_alike_is_rarely_decided_and_better_is_found() -> None:
    alike = [decided(*drawn(seed, (rate, rate), 2_000))[1] for rate in (0.05, 0.2, 0.4) for seed in range(40)]
    assert sum(name != "none" for name in alike) <= 10  # 4.8 are the most to be expected; more than 10 by 1 in 100
    better = [decided(*drawn(seed, (0.2, 0.32), 2_000)) for seed in range(20)]
    assert {name for _, name, _ in better} == {"B"} and np.median([cases for cases, _, _ in better]) <= 700


def test_deals_are_judged_in_the_order_they_entered_up_to_the_first_that_is_open() -> None:
    deals = Deals(
        entered=np.array([3.0, 1.0, 2.0, 4.0, 9.0]), closed=np.array([5.0, 2.0, 8.0, 6.0, 9.5]),
        won=np.array([True, False, True, True, True]), to_b=np.array([True, False, True, False, True]),
    )  # fmt: skip
    assert judged(deals, 7).won.tolist() == [False], "the second is open until 8"
    assert judged(deals, 8).won.tolist() == [False, True, True, True]
    assert judged(deals, 8).to_b.tolist() == [False, True, True, False]
    assert judged(deals, 0.5).won.tolist() == [] and judged(deals, 99).won.size == 5


def test_a_declared_maturity_judges_each_deal_at_that_age() -> None:
    deals = Deals(
        entered=np.array([0.0, 1.0, 2.0, 3.0]), closed=np.array([10.0, 12.0, INF, 4.0]),
        won=np.array([True, True, False, True]), to_b=np.array([True, False, True, False]),
    )  # fmt: skip
    assert judged(deals, 12, maturity=10).won.tolist() == [True, False, False], "the second was won at 11 days of age"
    assert judged(deals, 9.9, maturity=10).won.size == 0


def test_maturity_is_learnt_from_the_wins_of_the_slower_variant() -> None:
    number = 4_000
    entered = np.linspace(0, 400, number)
    to_b = np.arange(number) % 2 == 0
    won = np.arange(number) % 8 < 2  # both alike
    took = np.where(to_b, 10.0, 60.0)
    deals = Deals(entered, np.where(won, entered + took, INF), won, to_b)
    age = learnt_maturity(deals, 400)
    assert age is not None and 60 <= age < 64
    assert learnt_maturity(deals._replace(won=won & (entered < 12)), 400) is None, "too few wins to tell"
    assert learnt_maturity(deals._replace(won=won & (entered + took <= 90)), 90) is None, "not seen for twice as long"
    # Losses are never told: those of age are not won, and a few that are open may be among those judged.
    assert (entered <= 400 - age).sum() <= judged(deals, 400).won.size <= (entered <= 405 - age).sum()


@pytest.mark.parametrize("world", ["wins alone are faster", "one in five never closed"])
def test_a_faster_variant_is_not_a_better_one(world: str) -> None:
    streams = [deals_of(seed, world, (0.25, 0.25)) for seed in range(6)]
    assert sum(looked_at(deals, "learnt", 60)[0] < INF for deals in streams) <= 1
    assert sum(looked_at(deals, "won so far", 60)[0] < INF for deals in streams) >= 2, "the way that is wrong"
    assert all(looked_at(deals_of(seed, world, (0.2, 0.4)), "learnt", 60)[0] < INF for seed in range(2)), "a better one is found"


def outcomes(test: Experiment, number: int, a: int, b: int) -> None:
    """Give each variant so many cases, so many of ten won."""
    for case in range(number):
        test.outcome("script 1", case % 10 < a)
        test.outcome("script 2", case % 10 < b)


def test_a_decision_stands() -> None:
    test = Experiment()
    outcomes(test, 300, 2, 5)
    assert test.look() == Look(1, "script 2", False, 600, 0)
    outcomes(test, 3_000, 6, 1)
    assert test.look() == Look(2, "script 2", False, 6_600, 0)


def test_where_the_ratio_is_off_nothing_is_decided() -> None:
    test = Experiment()
    for case in range(300):
        test.outcome("A", case % 10 < 6)
        test.outcome("B", case % 10 < 1)
        test.outcome("B", case % 10 < 1)
    assert test.look() == Look(1, "none", True, 900, 0)
    designed = Experiment(ratio=2 / 3)
    for case in range(300):
        designed.outcome("A", case % 10 < 6)
        designed.outcome("B", case % 10 < 1)
        designed.outcome("B", case % 10 < 1)
    assert designed.look() == Look(1, "A", False, 900, 0)


def test_a_deal_with_both_variants_is_left_out() -> None:
    test = Experiment()
    for deal in range(10):
        test.deal(deal, "AB"[deal % 2], deal, None, told=False)
        test.deal(deal, "AB"[deal % 2], deal + 0.5, True, told=True)
    test.deal(3, "A", 11, None, told=False)
    test.deal(3, "B", 12, False, told=True)
    assert test.look() == Look(1, "none", False, 9, 1)


def test_what_was_said_last_of_a_deal_counts_in_whatever_order_it_comes() -> None:
    test = Experiment()
    test.deal("x", "A", 7, True, told=True)  # its closing comes first
    test.deal("x", "A", 2, None, told=False)
    test.deal("y", "B", 3, None, told=False)
    assert test.look().judged == 1
    test.deal("y", None, 5, False, told=True)
    assert test.look().judged == 2
    test.deal("x", None, 9, None, told=True)  # open again
    assert test.look() == Look(3, "none", False, 0, 0)
    assert test.look(at=8).judged == 0, "what is known now is what counts"
    test.deal("x", None, 10, False, told=True)
    test.deal("x", None, 8, True, told=True)  # late, and older than what is known
    assert test.look().judged == 2 and test.look(at=9).judged == 0


def test_what_does_not_fit_is_refused() -> None:
    test = Experiment()
    test.outcome("A", True)
    test.outcome("B", False)
    with pytest.raises(UnusableQuestion, match=r'"C".*A or B: a test has two variants'):
        test.outcome("C", True)
    with pytest.raises(UnusableQuestion, match="no deal: this test is of outcomes"):
        test.deal("d", "A", 0, None, told=False)
    deals = Experiment()
    with pytest.raises(UnusableQuestion, match="deal 'd' is new"):
        deals.deal("d", None, 0, None, told=False)
    deals.deal("d", "A", 0, None, told=False)
    with pytest.raises(UnusableQuestion, match="this test is of deals"):
        deals.outcome("A", True)
    assert deals.look() == Look(1, "none", False, 0, 0)


def test_the_level_keeps_the_promise() -> None:
    assert log(1 / LEVEL) > log(20)
