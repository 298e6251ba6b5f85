"""What open deals will bring: questions, answers, and what is refused."""

from typing import Any

import pytest

from models.foresight.portfolio import PortfolioOutlook, answer, read
from models.unusable import UnusableQuestion


def asked(**more: Any) -> PortfolioOutlook:
    return answer(read({"id": "x", **more}))


TWO = [{"id": "a", "p": 0.5, "amount": 100}, {"id": "b", "p": 0.25, "amount": 200.5}]


def test_the_exact_answer() -> None:
    assert asked(won=100, target=300, deals=TWO) == PortfolioOutlook(0.25, 200.125, 100.0, 200.0, 400.5, None, [])


@pytest.mark.parametrize("draws", [None, 0])
def test_no_draws_are_exact(draws: int | None) -> None:
    assert asked(draws=draws, deals=TWO).draws is None


def test_one_seed_one_answer() -> None:
    deals = [{"p": 0.3, "amount": 10 + n} for n in range(40)]
    one = asked(seed=5, draws=500, target=200, deals=deals)
    assert one.draws == 500
    assert one == asked(seed=5, draws=500, target=200, deals=deals)
    assert one != asked(seed=6, draws=500, target=200, deals=deals)


def test_what_cannot_be_exact_is_drawn_and_says_so() -> None:
    deals = [{"p": 0.3, "amount": 100_000 + 0.01 * n * n * 7919} for n in range(60)]
    found = asked(target=1, deals=deals)
    assert found.draws == 10_000
    assert "10,000 draws" in found.why[0]
    assert found.mean == pytest.approx(sum(0.3 * deal["amount"] for deal in deals))


def test_parts_of_a_cent_are_counted_where_they_can_be() -> None:
    deals = [{"p": 0.5, "amount": 33.3333}, {"p": 0.5, "amount": 66.6667}]
    assert asked(target=100, deals=deals)[:5] == (0.25, 50.0, 0.0, 33.3333, 100.0)


def test_a_target_that_is_reached_is_certain() -> None:
    assert asked(won=10, target=10).p_target == 1.0
    assert asked(won=10, target=10.01).p_target == 0.0
    assert asked(won=0.1 + 0.2, target=0.3).p_target == 1.0
    assert asked(won=10).p_target is None


def test_nothing_open_says_so() -> None:
    assert asked(won=7.5) == PortfolioOutlook(None, 7.5, 7.5, 7.5, 7.5, None, ["no open deals: only what is won"])


def test_a_group_is_of_one_uncertain_rate() -> None:
    found = asked(groups=[{"n": 40, "won": 3, "lost": 7, "amount": 10}], target=200)
    alone = asked(deals=[{"p": 0.3, "amount": 10}] * 40, target=200)
    assert found.draws is None and alone.draws is None
    assert found.mean == pytest.approx(alone.mean)
    assert (found.p_target or 0) > 2 * (alone.p_target or 0) > 0


def test_a_rate_of_none_won_is_not_taken_for_zero() -> None:
    found = asked(groups=[{"n": 10, "won": 0, "lost": 7, "amount": 1}], target=1)
    assert found.mean == pytest.approx(10 * 0.5 / 8)
    assert "groups[0]" in found.why[0]
    assert 0 < (found.p_target or 0) < 1


def test_certain_and_impossible_deals_and_one_giant() -> None:
    deals = [{"p": 1, "amount": 5}, {"p": 0, "amount": 9}, {"p": 0.2, "amount": 5_000_000}]
    assert asked(target=5_000_005, deals=deals)[:5] == pytest.approx((0.2, 1_000_005.0, 5.0, 5.0, 5_000_005.0))


@pytest.mark.parametrize(
    ("document", "where", "text"),
    [
        ([1], "", "found [1] (accepted: a JSON object with deals"),
        ({"deals": {}}, "deals", "deals: found {} (accepted: a list"),
        ({"deals": [3]}, "deals[0]", "deals[0]: found 3 (accepted: an object"),
        ({"deals": [*TWO, {"p": 1.4, "amount": 1}]}, "deals[2].p", "deals[2].p: found 1.4 (accepted: 0 to 1"),
        ({"deals": [{"p": "high", "amount": 1}]}, "deals[0].p", 'deals[0].p: found "high" (accepted: a number'),
        ({"deals": [{"p": None, "amount": 1}]}, "deals[0].p", "deals[0].p: found nothing (accepted: a number"),
        ({"deals": [{"p": 0.4}]}, "deals[0].amount", "deals[0].amount: found nothing (accepted: a value"),
        ({"deals": [{"p": 0.4, "amount": -1}]}, "deals[0].amount", "deals[0].amount: found -1.0 (accepted: 0 or more"),
        ({"deals": [{"p": 0.4, "amount": 1e300}]}, "deals[0].amount", "below 4e16"),
        ({"groups": [{"n": 2.5, "won": 1, "lost": 1, "amount": 1}]}, "groups[0].n", "groups[0].n: found 2.5 (accepted: a whole"),
        (
            {"groups": [{"n": -2, "won": 1, "lost": 1, "amount": 1}]},
            "groups[0].n",
            "groups[0].n: found -2 (accepted: 0 to 1,000,000",
        ),
        ({"groups": [{"n": 2, "won": -1, "lost": 1, "amount": 1}]}, "groups[0].won", "groups[0].won: found -1.0 (accepted: 0 or"),
        (
            {"groups": [{"n": 2, "won": 1, "lost": -1, "amount": 1}]},
            "groups[0].lost",
            "groups[0].lost: found -1.0 (accepted: 0 or",
        ),
        ({"groups": [{"n": 2, "won": 1, "lost": 1, "amount": -1}]}, "groups[0].amount", "groups[0].amount: found -1.0"),
        ({"seed": -1}, "seed", "seed: found -1 (accepted: 0 to"),
        ({"draws": 10**9}, "draws", "draws: found 1000000000 (accepted: null or 0 (exact), 1 to 1,000,000"),
        ({"won": True}, "won", "won: found true (accepted: a number"),
        ({"won": 1e30}, "won", "won: found 1e30 (accepted: an amount"),
        ({"target": 1e30}, "target", "target: found 1e30 (accepted: an amount"),
        ({"grups": []}, "grups", 'did you mean "groups"?'),
    ],
)
def test_what_is_wrong_is_said(document: Any, where: str, text: str) -> None:
    with pytest.raises(UnusableQuestion) as refused:
        read(document)
    assert refused.value.where == where
    assert text in str(refused.value)


def test_other_keys_and_other_facts_of_deals_are_let_be() -> None:
    assert asked(owner="ann", deals=[{"p": 0.5, "amount": 1, "stage": "offer"}]).mean == 0.5
