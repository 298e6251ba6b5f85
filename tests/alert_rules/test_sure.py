"""A rule that asks for certainty: how sure the counts make it, and what it says then."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.judge.lifecycle import AlertState, evaluate
from alert_rules.judge.posterior import beta_cdf, probability
from alert_rules.judge.rule import Direction
from alert_rules.judge.transition_record import written
from alert_rules.parse.rule_file import parse_rules
from alert_rules.records.alerts import Transition
from alert_rules.trial.rule_test_run import describe
from tests.alert_rules.readings import KNOWN, reading, rule, tree


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.data())
def test_the_distribution_against_the_binomial_one(n: int, data: Any) -> None:
    k = data.draw(st.integers(1, n))
    x = data.draw(st.floats(0.001, 0.999))
    tail = math.fsum(math.comb(n, i) * x**i * (1 - x) ** (n - i) for i in range(k, n + 1))
    assert beta_cdf(x, k, n - k + 1) == pytest.approx(tail, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("cases", [0, 1, 1000, 900_000, 10_000_000])
def test_any_number_of_cases(cases: int) -> None:
    for hits in {0, cases // 3, cases}:
        values = [probability(Direction.BELOW, t / 100, hits, cases) for t in range(101)]
        assert values[0] == 0 and values[-1] == 1
        assert all(0 <= a <= b + 1e-12 <= 1 + 2e-12 for a, b in itertools.pairwise(values))
    assert probability(Direction.BELOW, 0.5, cases / 2, cases) == pytest.approx(0.5, abs=1e-6)
    assert probability(Direction.ABOVE, 0.2, 0, cases) == pytest.approx(1 - probability(Direction.BELOW, 0.2, 0, cases))


def test_there_cannot_be_more_hits_than_cases() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        probability(Direction.BELOW, 0.5, 3, 2)


def run(*steps: tuple[float, float | None, float | None]) -> tuple[list[str], list[Transition]]:
    sure = rule(sure=0.9, min_samples=None, **{"for": "10m"})
    state: AlertState | None = None
    states: list[str] = []
    said: list[Transition] = []
    for step in steps:
        state, transitions = evaluate(sure, state, reading(*step))
        states.append(describe(state))
        said += [written(sure, transition) for transition in transitions]
    return states, said


def test_few_deals_are_not_sure_enough_and_many_are() -> None:
    # The threshold is 20 %. 1 of 10 leaves it open (77 %); 10 of 100 does not (99.6 %).
    states, said = run((0, 0.1, 10), (20, 0.1, 10), (30, 0.1, 100), (40, 0.1, 100))
    assert states == ["inactive", "inactive", "pending", "critical"]
    assert said[-1].reason == "10 % is below 15 % (92.5 % sure) for 10 min"


def test_what_has_spoken_holds_until_it_is_clear() -> None:
    states, _ = run((0, 0.1, 100), (10, 0.1, 100), (20, 0.1, 10), (30, 0.5, 10))
    assert states == ["pending", "critical", "critical", "inactive"]


def test_what_is_no_longer_sure_before_it_speaks_is_cancelled_and_says_why() -> None:
    states, said = run((0, 0.1, 100), (5, 0.1, 10))
    assert states == ["pending", "inactive"]
    assert said[-1].reason == "10 % is below 15 %, but it is only 63.3 % sure, not 90 %"


def test_a_reading_without_counts_is_never_sure() -> None:
    assert run((0, 0.1, None), (20, 0.1, None))[0] == ["inactive", "inactive"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sure": 90}, "sure: found 90 (accepted: a probability from 0.5, below 1"),
        ({"sure": 1}, "sure: found 1 "),
        ({"sure": "yes"}, "sure: found 'yes' (accepted: a number)"),
        ({"sure": 0.9, "kpi": "revenue"}, 'sure: there is no stated test for value of "revenue"'),
    ],
)
def test_what_is_no_certainty(changes: dict[str, Any], says: str) -> None:
    rules, problems = parse_rules({"rules/win-rate-drop.yaml": tree(**changes)}, KNOWN)
    assert rules == []
    assert any(says in str(problem) for problem in problems)
