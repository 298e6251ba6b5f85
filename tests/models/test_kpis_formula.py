from fractions import Fraction
from statistics import median as plain_median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.kpis.formula import MONEY, PLAIN, TIME, FormulaError, Undefined, mean, median, parse


class Given:
    """A scope with the numbers given."""

    at = 5_000

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers

    def flow(self, fold: str, name: str) -> int:
        return self.numbers.get(name, 0)

    def values(self, fold: str, name: str) -> dict[int, int]:
        return {3: 2, 9: 1}

    def distinct(self, name: str) -> int:
        return 11

    def lagged(self, fold: str, name: str, lag: str) -> int:
        return 12

    def level(self, name: str) -> int:
        return 13


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("leads + 1", 8),
        ("leads - 2 * (leads - 1)", -5),
        ("-leads", -7),
        ("leads / 2", Fraction(7, 2)),
        ("0.1 * leads", Fraction(7, 10)),
        ("leads / 2 / 7", Fraction(1, 2)),
        ("100 * leads / 7", 100),
        ("leads * 3 * 2", 42),
        ("(leads / deals_won) * 4", 14),
        ("distinct(visitors)", 11),
        ("level(open_deals)", 13),
        ("lag(leads, acquisition_lag)", 12),
        ("leads * (deals_won / 4)", Fraction(7, 2)),
        ("leads / deals_won / deals_won", Fraction(7, 4)),
        ("(1 + 2) * leads", 21),
        ("(3 - 1) * leads", 14),
        ("(6 / 4) * leads", Fraction(21, 2)),
        ("leads * -(2)", -14),
    ],
)
def test_what_a_formula_comes_to(text: str, value: int | Fraction) -> None:
    formula = parse(text)
    scope: Any = Given(leads=7, deals_won=2)
    whole = formula.scale * formula.numerator.run(scope)
    if formula.denominator is not None:
        whole /= formula.denominator.run(scope)
    assert whole == value
    assert formula.dimension == PLAIN


def test_median_and_mean_are_two_things() -> None:
    empty: Any = Given()
    assert [parse(f"{name}(won_sizes)").numerator.run(empty) for name in ("median", "mean")] == [3, 5]


def test_what_is_asked_at_the_instant_only_is_not_summed() -> None:
    assert parse("leads + level(open_deals)").summed == {"leads"}
    assert parse("leads + level(open_deals)").measures == {"leads", "open_deals"}


def test_a_formula_of_a_thousand_characters_is_the_longest() -> None:
    assert parse("leads".ljust(1_000)).text == "leads"
    with pytest.raises(FormulaError, match="1001 characters"):
        parse("leads".ljust(1_001))


def test_the_outermost_division_is_taken_apart() -> None:
    formula = parse("100 * (nps_promoters - nps_detractors) / nps_answers")
    assert formula.denominator is not None
    assert formula.scale == 100
    assert (formula.numerator.text, formula.denominator.text) == ("nps_promoters - nps_detractors", "nps_answers")
    assert formula.folds == {"customers"}


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("won_amount / won_sized", MONEY),
        ("won_amount / lost_amount", PLAIN),
        ("median(won_sizes)", MONEY),
        ("mean(won_sizes)", MONEY),
        ("leads * at - unanswered_since_millis", TIME),
        ("level(open_amount)", MONEY),
        ("lag(spend, acquisition_lag)", MONEY),
        ("leads / level(open_deals)", PLAIN),
        ("whole(won_amount / leads, reason)", MONEY),
        ("opening(open_amount)", MONEY),
        ("at - start + leads * day", TIME),
        ("kaplan_meier(deal_lengths, 0.5)", TIME),
    ],
)
def test_what_a_formula_comes_out_in(text: str, dimension: object) -> None:
    assert parse(text).dimension == dimension


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a formula"),
        ("leads +", "not a formula"),
        ("leads; leads", "not a formula"),
        ("1 + 2", "no measure in"),
        ("at", "no measure in"),
        ("leads ** 2", "found 'leads ** 2' (accepted: measures"),
        ("leads // 2", "found 'leads // 2'"),
        ("leads if leads else 1", "found"),
        ("leads.real", "found 'leads.real'"),
        ("leads[0]", "found"),
        ("'leads'", "'leads' is not a number"),
        ("leads + True", "True is not a number"),
        ("leads * 1e999", "inf is not a finite number"),
        ("__import__('os').system('true')", "found"),
        ("eval(leads)", "unknown function 'eval'"),
        ("medan(won_sizes)", "unknown function 'medan' (did you mean \"median\"?)"),
        (
            "median(leads)",
            "unknown measure for this function: 'leads' (accepted: won_sizes, stage_stays, stage_lengths, deal",
        ),
        ("median(won_sizes, leads)", "found median(won_sizes, leads) (accepted: median(values)"),
        ("median(x=won_sizes)", "found"),
        ("distinct(leads + 1)", "found distinct(leads + 1) (accepted: distinct(measure)"),
        ("distinct(leads)", "unknown measure for this function: 'leads'"),
        ("level(leads)", "unknown measure for this function: 'leads'"),
        ("lag(spend)", "found lag(spend) (accepted: lag(measure, acquisition_lag)"),
        ("lag(spend, maturity)", "unknown time 'maturity' (accepted: acquisition_lag)"),
        ("visitors", "measure 'visitors' is no single number (accepted inside: distinct)"),
        ("won_sizes / leads", "measure 'won_sizes' is no single number (accepted inside: median, mean)"),
        ("won_amount + leads", "won_amount + leads: won_amount is money, leads is a plain number"),
        ("leads - at", "leads - at: leads is a plain number, at is a time"),
        ("leads / 0", "leads / 0: divides by 0"),
        (
            "won_amount / open_amount",
            "won_amount / open_amount: 'open_amount' is a level (accepted below a line",
        ),
        ("leads / (deals_won + open_deals)", "'open_deals' is a level"),
        ("opening(leads)", "unknown measure for this function: 'leads'"),
        ("whole(leads)", "found whole(leads) (accepted: whole(formula, dimension)"),
        ("whole(leads, reson)", "unknown dimension 'reson' (did you mean \"reason\"?)"),
        ("kaplan_meier(stage_lengths)", "found kaplan_meier(stage_lengths) (accepted: kaplan_meier(lengths, share)"),
        ("kaplan_meier(stage_lengths, 50)", "found kaplan_meier(stage_lengths, 50) (accepted: kaplan_meier(lengths, share)"),
        ("kaplan_meier(stage_stays, 0.5)", "unknown measure for this function: 'stage_stays' (did you mean"),
        ("median(deal_lengths)", "'deal_lengths' is kept by the day"),
        ("leads * (1 / (2 - 2))", "divides by 0"),
        ("leads +" * 200 + "1", "1401 characters (accepted: at most 1000)"),
    ],
)
def test_what_is_no_formula(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert str(caught.value).startswith(message) or message in str(caught.value)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1))
def test_median_and_mean_are_those_of_the_values(values: list[int]) -> None:
    counts = {value: values.count(value) for value in values}
    assert median(counts) == plain_median(map(Fraction, values))
    assert mean(counts) == Fraction(sum(values), len(values))


def test_no_values_have_no_median() -> None:
    with pytest.raises(Undefined):
        median({})
