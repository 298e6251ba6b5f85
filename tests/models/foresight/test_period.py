"""The outlook on a period by the days before."""

import numpy as np
import pytest

from models.foresight.period import LEAST, STRETCHES, Outcome, whole

WEEK = np.array([6.0, 7, 7, 6, 5, 1, 0])


def sales(count: int, seed: int) -> list[float]:
    """Revenue a day of a company that sells little at the weekend, in deals of very different sizes."""
    random = np.random.default_rng(seed)
    rates = np.resize(WEEK, count) / 2
    return [float(random.lognormal(8, 0.8, random.poisson(rate)).sum()) for rate in rates]


@pytest.mark.parametrize("left", [3.5, 8.0])
def test_four_in_five_periods_end_within_the_band(left: float) -> None:
    hits, above = [], []
    horizon = int(np.ceil(left))
    for seed in range(16):
        days = sales(90 + horizon, seed)
        found = whole(days[:90], 100.0, left, 50_000.0)
        assert found is not None
        shares = np.ones(horizon)
        shares[0] = left - horizon + 1
        actual = 100 + float(np.array(days[90:]) @ shares)
        hits.append(found.p10 <= actual <= found.p90)
        above.append(actual - found.mean)
    assert 0.6 <= np.mean(hits) < 1
    assert abs(np.mean(above)) < 3 * np.std(above) / 4


def test_the_week_is_known() -> None:
    days = np.resize(WEEK, 140).tolist()  # begins on a Monday and ends on a Sunday
    five = whole(days, 10.0, 5.0)
    weekend = whole(days[:-2], 10.0, 2.0)
    assert five is not None and weekend is not None
    assert five.p50 == pytest.approx(10 + 31, rel=0.02)
    assert weekend.p50 == pytest.approx(10 + 1, rel=0.1)


def test_of_today_the_part_that_is_left_counts() -> None:
    days = (np.resize(WEEK, 140) + 1).tolist()
    whole_day, half = whole(days, 0.0, 1.0), whole(days, 0.0, 0.5)
    assert whole_day is not None and half is not None
    assert half.p50 == pytest.approx(whole_day.p50 / 2, rel=0.02)


def test_the_target_is_reached_as_often_as_the_law_says() -> None:
    days = sales(90, 4)
    found = whole(days, 0.0, 10.0)
    assert found is not None
    chances = [(whole(days, 0.0, 10.0, target) or found).p_target or 0 for target in (0.0, found.p10, found.p50, found.p90, 1e12)]
    assert chances[0] == pytest.approx(1) and chances[-1] == 0
    assert [round(chance, 1) for chance in chances[1:4]] == [0.9, 0.5, 0.1]


def test_a_period_that_is_over_is_known() -> None:
    assert whole([], 12.0, 0.0, 12.0) == Outcome(12.0, 12.0, 12.0, 12.0, 12.0, 1.0)
    assert whole([], 12.0, 0.0, 12.5) == Outcome(12.0, 12.0, 12.0, 12.0, 12.0, 0.0)


def test_too_few_days_say_nothing() -> None:
    few = LEAST + 10 + STRETCHES - 1
    assert whole(sales(few, 1), 5.0, 10.0) is None
    assert whole(sales(few + 1, 1), 5.0, 10.0) is not None


def test_who_never_sold_is_not_said_to_begin() -> None:
    assert whole([0.0] * 100, 5.0, 10.0, 6.0) == Outcome(5.0, 5.0, 5.0, 5.0, 5.0, 0.0)


def test_refunds_make_days_below_zero() -> None:
    days = [value - 20_000 for value in sales(120, 2)]
    found = whole(days, 0.0, 10.0)
    assert found is not None and found.p10 < found.p50 < 0


def test_what_another_series_knows_is_used_and_said() -> None:
    random = np.random.default_rng(5)
    # An index that wanders; what it is now is seen in the days ten days later.
    index = np.convolve(random.standard_normal(373), np.ones(14) / 14, "valid")
    led = np.concatenate((np.zeros(10), np.convolve(index, np.ones(7) / 7)[: len(index) - 10]))
    days = (np.resize(WEEK, len(index)) + 8 + 8 * led + 0.5 * random.standard_normal(len(index))).tolist()
    others = {"noise": random.standard_normal(len(index)).tolist(), "none": [None] * len(index)}
    alone, found, noise = (whole(days, 0.0, 8.0, beside=beside) for beside in ({}, {"index": index.tolist()}, others))
    assert alone is not None and found is not None and noise is not None
    assert found.adds["index"].share > 0.2 and found.adds["index"].used
    assert found.p90 - found.p10 < 0.85 * (alone.p90 - alone.p10)
    assert not noise.adds["noise"].used and noise.adds["none"] == (0.0, False)
    assert noise[:6] == alone[:6], "what is not used changes nothing"
