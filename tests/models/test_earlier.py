"""What readings are compared with: each number against a count of the events themselves."""

import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain, calendar, epoch_ms
from models.fold import Record
from models.kpis.reading import Reading
from models.kpis.roll_kpis import RollKpis, Wanted
from models.kpis.seasonal import bucket, compare
from models.panes.view import View
from models.panes.windows import Window
from models.targets import Target, Targets
from stream.config.kpi_files import load_catalogue

CATALOGUE = load_catalogue()
ZONE = "Europe/Paris"
CAL = calendar(ZONE)
#: Two days after the clocks went back (25 October 2026), so that a week ago lies before it.
NOW = epoch_ms(datetime(2026, 10, 27, 13, 47, 30, tzinfo=UTC))
EVERYTHING = frozenset(("previous", "same_last_week"))


def panes(times: list[int]) -> list[Record]:
    """Sales at these times, as the panes that a partition would have published."""
    counts: dict[tuple[Grain, int], int] = {}
    for at in times:
        for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY):
            place = grain, CAL.pane(grain, at)
            counts[place] = counts.get(place, 0) + 1
    return [
        Record("panes", 0, n, NOW, f"deals:0:{grain}:{pane}:total".encode(), orjson.dumps({"deals_won": count}), ())
        for n, ((grain, pane), count) in enumerate(counts.items())
    ]


def rolled(times: list[int], *wanted: Wanted, at: int = NOW, targets: Targets | None = None) -> dict[str, Reading]:
    roll = RollKpis(View(Business(timezone=ZONE)), CATALOGUE, wanted, targets=targets)
    roll.fold(panes(times))
    roll.live()
    roll.tick(at)
    return {r.key: r for output in roll.changes().outputs if (r := Reading.decode(output.value or b"")) is not None}


def spread(days: float, count: int, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return sorted(NOW - int(chance.random() * days * DAY_MS) - 1 for _ in range(count))


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "90d", "day", "week", "month", "quarter"])
def test_the_earlier_reading_counts_the_events_of_its_stretch(window: str) -> None:
    times = spread(220, 9_000)
    if window == "1h":
        times += spread(0.3, 300) + [t - 7 * DAY_MS for t in spread(0.3, 300, 2)]
    (reading,) = rolled(times, Wanted("sales", window, None, EVERYTHING)).values()
    assert reading.against is not None
    for name, past in reading.against.items():
        start, at = (epoch_ms(datetime.fromisoformat(past[end])) for end in ("from", "at"))
        assert past["value"] == sum(start <= t < at for t in times) > 0, name
        assert at < reading.at


@pytest.mark.parametrize("window", ["24h", "7d", "30d", "day", "week", "month", "quarter"])
def test_the_period_before_is_before(window: str) -> None:
    one = Window.parse(window)
    start, _ = one.bounds(NOW, CAL)
    before, end = one.bounds(one.previous(NOW, CAL), CAL)
    assert before < end <= start
    if one.length:
        assert end == start and abs((end - before) - one.length) <= HOUR_MS  # the day on which the clocks go back has 25 hours
    else:
        assert 0 <= (NOW - start) - (end - before) < 2 * DAY_MS


def test_a_long_month_is_compared_with_all_of_a_short_one() -> None:
    month, end = Window.parse("month"), epoch_ms(datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert month.bounds(month.previous(end, CAL), CAL) == month.period(epoch_ms(datetime(2026, 2, 15, tzinfo=UTC)), CAL)


def test_a_week_ago_is_the_same_hour_on_the_wall() -> None:
    ago = CAL.local(Window.parse("24h").week_ago(NOW, CAL))
    assert (ago.weekday(), ago.hour, ago.minute) == (CAL.local(NOW).weekday(), CAL.local(NOW).hour, 0)
    assert NOW - Window.parse("24h").week_ago(NOW, CAL) > 7 * DAY_MS  # an hour came twice


def test_the_reading_goes_over_the_wire() -> None:
    (reading,) = rolled(spread(20, 500), Wanted("sales", "7d", None, EVERYTHING)).values()
    assert Reading.decode(reading.encode()) == reading
    assert "against" not in rolled(spread(20, 500), Wanted("sales", "7d"))["sales|7d|total"].as_json()


def test_two_rules_want_the_same_reading_for_different_things() -> None:
    found = rolled(
        [], Wanted("sales", "7d", None, frozenset(("previous",))), Wanted("sales", "7d", None, frozenset(("same_last_week",)))
    )
    (reading,) = found.values()
    assert set(reading.against or ()) == {"previous", "same_last_week"}


# ── what is usual ──


def days(*counts: int) -> list[int]:
    """So many sales on the days before today, the oldest first."""
    today = CAL.day(NOW)
    return [CAL.day_start(today - len(counts) + n) + 9 * HOUR_MS + k for n, count in enumerate(counts) for k in range(count)]


def usual(times: list[int], window: str = "day", at: int = NOW) -> dict[str, Any]:
    (reading,) = rolled(times, Wanted("sales", window, None, frozenset(("seasonal",))), at=at).values()
    assert reading.against is not None
    return dict(reading.against["seasonal"])


def weeks(n: int, shape: tuple[int, ...] = (40, 44, 42, 46, 40, 10, 8), noise: int = 3) -> list[int]:
    chance = random.Random(5)
    return [level + chance.randint(-noise, noise) for _ in range(n) for level in shape]


def test_a_day_as_usual_is_nothing_and_a_bad_day_is_far_off() -> None:
    history = weeks(9)
    normal = usual(days(*history))
    assert abs(normal["deviations"]) < 2.5
    assert normal["value"] == history[-1]
    bad = usual(days(*history[:-1], history[-1] + 60))
    assert bad["deviations"] > 6
    assert bad["periods"] == 35  # of 63 days: the latest that were said ahead
    assert normal["low"] < normal["expected"] < normal["high"] and normal["weekday"] == 0  # the last complete day was a Monday


def test_a_weekend_is_not_an_anomaly() -> None:
    """Its forecast is the weekend before, not the busy day before."""
    history = weeks(9)
    assert history[-2] < 15 < history[-3]
    assert abs(usual(days(*history))["deviations"]) < 2.5


def test_one_earlier_outlier_moves_little() -> None:
    history = weeks(9)
    history[20] += 500
    assert usual(days(*history[:-1], history[-1] + 60))["deviations"] > 6


def test_only_complete_days_count() -> None:
    """Today has hardly begun, and is no fall."""
    history = weeks(9)
    early = CAL.day_start(CAL.day(NOW)) + 2 * MINUTE_MS
    found = usual(days(*history), at=early)
    assert found["value"] == history[-1]
    assert abs(found["deviations"]) < 2.5


@pytest.mark.parametrize(
    ("history", "why"),
    [([], "nothing was counted"), (weeks(1), "days of history, fewer than the 21 it takes"), (weeks(2), "13 days of history")],
)
def test_a_short_history_says_nothing(history: list[int], why: str) -> None:
    found = usual(days(*history))
    assert found["deviations"] is None
    assert why in found["why"]


def test_a_quiet_count_is_not_an_anomaly_at_the_first_case() -> None:
    """One sale a day for weeks: the spread is 0, yet two or three are what chance brings."""
    found = usual(days(*[1] * 62, 3))
    assert 0 < found["deviations"] < 2


def test_an_hour_is_compared_with_the_same_hour() -> None:
    hour = CAL.hour_start(CAL.hour(NOW))
    times = [hour - n * DAY_MS - HOUR_MS // 2 + k for n in range(1, 35) for k in range(20 + n % 3)]
    # A week ago the clocks still showed another time: panes are on the hour all the same.
    at = epoch_ms(datetime(2026, 9, 20, 13, 47, 30, tzinfo=UTC))
    moved = [t - (NOW - at) // HOUR_MS * HOUR_MS for t in times]
    quiet = usual(moved, "1h", at)
    assert quiet["value"] == 0 and 20 <= quiet["expected"] <= 22
    assert quiet["deviations"] < -3


def test_the_last_complete_period() -> None:
    day, week = Window.parse("day"), Window.parse("week")
    midnight = CAL.day_start(CAL.day(NOW))
    assert bucket(day, NOW, CAL) == bucket(day, midnight, CAL) == midnight
    assert CAL.local(bucket(week, NOW, CAL)).weekday() == 0
    with pytest.raises(KeyError):
        compare(Window.parse("30d"), NOW, CAL, lambda end: pytest.fail("read"))


def test_it_is_read_once_a_period_and_at_most_once_a_minute() -> None:
    roll = RollKpis(View(Business(timezone=ZONE)), CATALOGUE, [Wanted("sales", "day", None, frozenset(("seasonal",)))])
    roll.fold(panes(days(*weeks(9))))
    roll.live()
    reads: list[int] = []
    whole = CATALOGUE.reading

    class Counting:
        get = CATALOGUE.get

        def reading(self, *args: Any) -> Reading:
            reads.append(1)
            return whole(*args)

    roll._catalogue = Counting()  # type: ignore[assignment]
    for second in range(0, 60, 5):
        roll.tick(NOW - NOW % MINUTE_MS + second * 1000)
        roll.changes()
    assert 60 < len(reads) < 90  # 64 days once, a week a year ago, and today's reading twelve times


# ── targets ──


def test_what_is_due_of_a_quota() -> None:
    targets = Targets([Target("sales", "month", "total", 310.0)])
    wanted = Wanted("sales", "month", None, frozenset(("target",)))
    at = epoch_ms(datetime(2026, 10, 15, 22, tzinfo=UTC))  # midnight in Paris: half of October but for its hour that comes twice
    (reading,) = rolled(spread(40, 100), wanted, at=at, targets=targets).values()
    target = (reading.against or {})["target"]
    assert target["value"] == 310
    assert target["due"] == pytest.approx(310 * 15 * 24 / (31 * 24 + 1))
    (without,) = rolled(spread(40, 100), wanted, at=at).values()
    assert (without.against or {})["target"] == {"why": "no target for total in this month"}


def test_the_latest_quota_that_was_set_by_the_periods_beginning() -> None:
    day = CAL.day(NOW)
    targets = Targets([Target("sales", "month", "owner=ann", 20, day), Target("sales", "month", "owner=ann", 10)])
    assert [targets.find("sales", "month", "owner=ann", d) for d in (day - 1, day)] == [10, 20]
    assert targets.find("sales", "week", "owner=ann", day) is None
    assert targets.has("sales", "month", "owner") and not targets.has("sales", "month", None)
