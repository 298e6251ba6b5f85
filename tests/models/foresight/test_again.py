"""The season ago beside pipeline and rate: what it says, when it is believed, and what it costs where it is wrong."""

from datetime import UTC, datetime

import numpy as np
import pytest

from models.calendar import DAY_MS, calendar, epoch_ms
from models.foresight.again import Earlier, SeasonAgo
from models.foresight.blend import Past, SeasonForecast, blended
from models.foresight.outlook import outlook
from models.foresight.yardsticks import NAMES, earlier, yardsticks
from tests.models.foresight.deals import book_of, closed, company, span_of

ZONE = calendar("Europe/Paris")
NOW = epoch_ms(datetime(2026, 11, 16, 12, tzinfo=UTC))
MONTHS = range(6)


def past(pipeline: float, rate: float, season: float | None, actual: float = 100.0) -> list[Past]:
    """Six periods of which each said the same, each time a tenth into it."""
    return [Past(period, 0.1, pipeline, rate, (pipeline + rate) / 2, actual, season=season) for period in MONTHS]


def total(found: list[Past], pipeline: float, rate: float, season: float | None) -> float:
    """What is said of the total."""
    fit = blended(found, 0.1, season=None if season is None else SeasonForecast(season))
    return float(fit.of(np.array([pipeline]), np.array([rate]))[0])


def off_and_on(*factors: float) -> list[Past]:
    """Periods in which pipeline and rate are off by these factors, to one side and the other, and the season ago never."""
    return [Past(n, 0.1, 100 * f, 100 / f, 100.0 * f**0.5, 100.0 + 10 * n, season=100.0 + 10 * n) for n, f in enumerate(factors)]


def test_a_season_ago_that_is_always_right_is_found() -> None:
    found = off_and_on(1.5, 0.6, 1.6, 0.7, 1.5, 0.6)
    fit = blended(found, 0.1, season=SeasonForecast(150.0))
    assert fit.share > 0.5
    assert abs(total(found, 240.0, 230.0, 150.0) - 150) < 0.5 * abs(total(found, 240.0, 230.0, None) - 150)
    assert fit.shock < blended(found, 0.1).shock  # and the band is of what they are off by now


def test_one_that_is_wrong_costs_next_to_nothing() -> None:
    found = past(100.0, 100.0, 200.0)
    alone, beside = total(found, 100.0, 100.0, None), total(found, 100.0, 100.0, 200.0)
    assert blended(found, 0.1, season=SeasonForecast(200.0)).share < 0.02
    assert beside == pytest.approx(alone, rel=0.01)


def test_where_little_is_known_little_changes() -> None:
    assert total([], 100.0, 100.0, 200.0) == total([], 100.0, 100.0, None)  # nothing is known of what it is off by
    for found in (past(90.0, 110.0, None), past(90.0, 110.0, 100.0)[:1]):
        assert total(found, 100.0, 100.0, 120.0) == pytest.approx(total(found, 100.0, 100.0, None), rel=0.06)


def test_segments_know_no_season_ago() -> None:
    fit = blended(off_and_on(1.5, 0.6, 1.6, 0.7), 0.1, season=SeasonForecast(50.0))
    found = fit.of(np.array([100.0, 60.0, 40.0]), np.array([100.0, 60.0, 40.0]))
    plain = fit._replace(share=0.0).of(np.array([100.0, 60.0, 40.0]), np.array([100.0, 60.0, 40.0]))
    assert found[0] < plain[0] and (found[1:] == plain[1:]).all()


def test_it_is_the_yardstick_in_deals() -> None:
    """Deals of one euro: the yardstick's money is what was won and the deals it says, at any day of the month."""
    deals = [closed(NOW - n * DAY_MS, 1.0) for n in range(1, 400) for _ in range(1 + n % 3)]
    columns = book_of(*deals).columns()
    for day in (1, 8, 16, 30):
        now = epoch_ms(datetime(2026, 11, day, tzinfo=ZONE.zone))
        span = span_of("month", now, ZONE)
        (segment,) = outlook(columns, span, ZONE).segments
        point = yardsticks(columns, span, "month", ZONE, None)(segment)[NAMES.index("season_ago")]
        wins = np.bincount([ZONE.day(one.closed) - ZONE.day(NOW) + 400 for one in deals if one.closed < now]).astype(float)
        ago = SeasonAgo(wins, ZONE.day(NOW) - 400, ZONE.day(span.end - 1) + 1, earlier("month", span, ZONE))
        left = ZONE.day(span.end - 1) + 1 - ZONE.day(now)
        found = ago.season(ZONE.day(now), np.ones(left))
        assert found is not None and point is not None
        assert segment.won / 10_000 + found.said == point / 10_000
        half = ago.season(ZONE.day(now), np.array([0.5, *np.ones(left - 1)]))
        assert half is not None and found.said - 1.5 <= half.said < found.said  # of today what is left by the clock


def test_without_a_season_in_the_history_none_is_said() -> None:
    ago = SeasonAgo(np.ones(80), 1_000, 1_100, Earlier((1_080, 1_050, 1_020, 990, 960), (12, 3)))
    assert ago.season(1_080, np.ones(20)) is None
    assert ago.judged([Past(0, 0.0, 1.0, 1.0, 1.0, 1.0, day=1_080)], [1_080])[0].season is None
    assert SeasonAgo(np.ones(80), 1_000, 1_100, Earlier()).season(1_080, np.ones(20)) is None


def test_won_open_and_new_still_add_up_and_segments_come_to_the_total() -> None:
    columns = book_of(*company(NOW, 420, 3)).columns()
    span = span_of("month", NOW, ZONE)
    months = [span_of("month", span.start - back * 30 * DAY_MS, ZONE) for back in range(5, 0, -1)]
    offs = (2.0, 0.5, 2.0, 0.5, 2.0)  # of pipeline and rate: their bias is none
    due = [
        Past(one.start, 0.5, 18 * off, 18 * off, 18 * off, 18.0, day=ZONE.day((one.start + one.end) // 2))
        for one, off in zip(months, offs, strict=True)
    ]
    found = outlook(columns, span, ZONE, "owner", due, earlier=earlier("month", span, ZONE), draws=1_000)
    plain = outlook(columns, span, ZONE, "owner", due, draws=1_000)
    first, *owners = found.segments
    assert found.blend.share > 0.1 and first.said != plain.segments[0].said
    assert first.mean == pytest.approx(first.won + first.open[0] + first.new[0])
    assert sum(one.mean for one in owners) == pytest.approx(first.mean, rel=1e-6)
