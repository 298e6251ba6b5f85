"""Forecasts of series: what is learnt, what is said of series that tell little, what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from models.foresight.pool import pooled
from models.foresight.series import Forecast, answer, forecast, read
from models.foresight.smoothing import Smoothings
from models.unusable import UnusableQuestion


def seasonal(count: int, *, noise: float = 2.0, growth: float = 0.5, seed: int = 1) -> list[float | None]:
    random = np.random.default_rng(seed)
    return [100 + growth * at + 15 * math.sin(at * math.pi / 6) + noise * float(random.normal()) for at in range(count)]


def reals(row: list[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(row, float)


def test_season_and_trend_go_on() -> None:
    found = forecast(seasonal(72), 12, 12)
    truth = reals(seasonal(84, noise=0)[72:])
    assert np.abs(reals(found.p50) - truth).mean() < 2
    assert found.why == []


def test_four_in_five_lie_within_the_band() -> None:
    hits = []
    for seed in range(30):
        values = seasonal(46, seed=seed)
        found = forecast(values[:43], 12, 3)
        actual = reals(values[43:])
        hits.append((actual >= reals(found.p10)) & (actual <= reals(found.p90)))
    assert 0.72 < float(np.mean(hits)) < 0.9


def test_a_cycle_that_is_no_season_is_known() -> None:
    values: list[float | None] = [50 + 40 * math.sin(2 * math.pi * at / 11) + 0.1 * (at % 3) for at in range(150)]
    found = forecast(values, 1, 10)
    truth = np.array([50 + 40 * math.sin(2 * math.pi * at / 11) for at in range(150, 160)])
    assert np.abs(reals(found.p50) - truth).mean() < 4  # the seasonal naive's is 33


def test_growth_in_percent_is_taken_as_such() -> None:
    random = np.random.default_rng(3)
    values: list[float | None] = [100 * math.exp(0.03 * at + 0.02 * float(random.normal())) for at in range(60)]
    found = forecast(values, 1, 6)
    assert np.abs(np.log(reals(found.p50)) - np.log(100) - 0.03 * np.arange(60, 66)).max() < 0.05
    assert (reals(found.p90) > reals(found.p10)).all()


def test_what_was_said_earlier_used_nothing_that_came_later() -> None:
    """The errors by which the band is made are those of real forecasts."""
    values = reals(seasonal(60)) / 100
    changed = values.copy()
    changed[55:] *= 0.5
    one, other = pooled(values, 12, 3), pooled(changed, 12, 3)
    assert np.array_equal(one.moments, other.moments)
    before = one.moments < 55
    assert np.allclose(one.ahead[before], other.ahead[before], rtol=1e-9, atol=0)
    assert not np.allclose(one.ahead[~before], other.ahead[~before])


def test_a_smoothing_is_what_the_textbook_says() -> None:
    """The member with level 0.2, no trend and no season, beside the recursion written out."""
    values = np.array([3.0, 5.0, 4.0, 8.0, 7.0])
    level = 3.0
    for value in values:
        level = 0.2 * value + 0.8 * level
    bank = Smoothings(values, 1)
    said = bank.ahead(bank.families[0], 4, np.array([4]))
    assert np.isclose(said, level).any()


def test_the_same_history_has_the_same_answer() -> None:
    assert forecast(seasonal(50), 12, 5) == forecast(seasonal(50), 12, 5)


@pytest.mark.parametrize("factor", [1e-200, 1e-3, 1e9])
def test_units_do_not_matter(factor: float) -> None:
    values = seasonal(40)
    one, other = forecast(values, 12, 4), forecast([value and value * factor for value in values], 12, 4)
    assert np.allclose(reals(other.p90) / factor, reals(one.p90))


# -- series that tell little -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [[], [5.0], [None, 5.0, None]])
def test_too_little_is_not_forecast(history: list[float | None]) -> None:
    found = forecast(history, 12, 2)
    assert found[:3] == ([None, None], [None, None], [None, None])
    assert "two are needed" in found.why[0]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 8, 12, 13, 20, 23, 24, 25, 29, 36])
@pytest.mark.parametrize("season", [1, 4, 12])
def test_short_histories_have_an_answer_that_widens(count: int, season: int) -> None:
    found = forecast(seasonal(count), season, 14)
    p10, p50, p90 = (reals(row) for row in found[:3])
    assert np.isfinite([p10, p50, p90]).all()
    assert (p10 < p50).all() and (p50 < p90).all()
    assert (p50 > 50).all() and (p50 < 200).all()
    if count < 2 * season:
        assert f"{count} values are less than two seasons of {season}" in found.why[0]


def test_a_constant_goes_on() -> None:
    found = forecast([5.0] * 30, 12, 2)
    assert found[:3] == ([5.0, 5.0], [5.0, 5.0], [5.0, 5.0])
    assert "all 30 values are the same" in found.why[0]


def test_one_jump_after_a_constant_leaves_a_band() -> None:
    found = forecast([1.0] * 59 + [1e6], 12, 1)
    assert reals(found.p90)[0] > reals(found.p50)[0] > reals(found.p10)[0]


def test_gaps_are_filled_by_season_and_said() -> None:
    whole = seasonal(60, noise=0.0)
    gaps = [None if at % 7 == 2 else value for at, value in enumerate(whole)]
    found = forecast(gaps, 12, 12)
    assert found.why == ["9 values within are not known: filled between their neighbours by season"]
    assert np.abs(reals(found.p50) - reals(seasonal(72, noise=0.0)[60:])).max() < 3


def test_a_gap_at_the_end_is_forecast_too() -> None:
    found = forecast([*seasonal(60), None, None], 12, 3)
    longer = forecast(seasonal(60), 12, 5)
    assert found.p50 == longer.p50[2:]
    assert "last 2 periods" in found.why[0]
    assert forecast([*seasonal(60), *[None] * 400], 12, 3).p50 == [None] * 3


def test_what_was_never_negative_is_not_said_to_become_so() -> None:
    assert min(reals(forecast([0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0] * 8, 7, 9).p10)) >= 0
    falling = forecast([float(100 - 2 * at) for at in range(49)], 1, 12)
    assert min(reals(falling.p10)) == 0


def test_negative_values_are_values() -> None:
    found = forecast([-value if value else value for value in seasonal(60)], 12, 3)
    assert max(reals(found.p90)) < 0


# -- questions ---------------------------------------------------------------------------------------------------------

GOOD = {"id": 1, "period": "month", "start": "1980-01", "season": 12, "horizon": 2, "history": [1.0, None, 2.0]}


def test_the_period_knows_its_season() -> None:
    history = seasonal(60)
    asked = {"period": "month", "horizon": 3, "history": history}
    assert answer(read(asked)) == forecast(history, 12, 3)
    assert isinstance(answer(read(GOOD)), Forecast)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"history": [1, "x"]}, 'history[1]: found "x" (accepted: a number or null'),
        ({"history": [1, 1e20]}, "history[1]: found 1e20 (accepted: a number between -1e15 and 1e15, or null"),
        ({"history": 3}, "history: found 3 (accepted: a list"),
        ({"history": None}, "history: found nothing (accepted: a value"),
        ({"history": [0] * 100_001}, 'history: found "100,001 values" (accepted: at most 100,000'),
        ({"horizon": 0}, "horizon: found 0 (accepted: 1 to 400"),
        ({"horizon": 1.5}, "horizon: found 1.5 (accepted: a whole number"),
        ({"season": 0}, "season: found 0 (accepted: 1 (none) to 400"),
        ({"season": None, "period": None}, "season: found nothing (accepted: 1 (none) to 400 periods, or a period"),
        (
            {"season": None, "period": "moon"},
            'period: found "moon" (accepted: hour, day, week, month, quarter, year; or a season',
        ),
        ({"histori": []}, 'did you mean "history"?'),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], text: str) -> None:
    with pytest.raises(UnusableQuestion) as refused:
        read(GOOD | change)
    assert text in str(refused.value)
