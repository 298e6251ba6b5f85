"""The readings of many days, added up once for all, beside those that are read instant by instant: the same bytes."""

from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS
from models.kpis import catalogue, history
from models.kpis.history import ReadingCourse, head, tail
from models.kpis.reading import Reading
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window
from models.targets import Target, Targets
from stream.config.kpi_files import load_catalogue
from tests.stream.demo import NOW, company

CATALOGUE = load_catalogue()
WINDOWS = ("day", "24h", "7d", "30d", "month", "year", "1h")


def told(view: View, window: str, times: list[int], segment: str) -> dict[str, list[bytes]]:
    kpis = [kpi.id for kpi in CATALOGUE.kpis.values() if segment == TOTAL or segment.partition("=")[0] in kpi.by]
    return dict(ReadingCourse(CATALOGUE, view, Window.parse(window), times).segment(segment, kpis))


def alone(view: View, kpi: str, window: str, times: list[int], segment: str = TOTAL) -> list[Reading]:
    return [CATALOGUE.reading(CATALOGUE.get(kpi), view, Window.parse(window), segment, at) for at in times]


def segments(view: View) -> list[str]:
    """The total, and the last value of each dimension."""
    return [TOTAL, *(f"{by}={view.segments(by)[-1]}" for by in CATALOGUE.dimensions if view.segments(by))]


@pytest.mark.parametrize("window", WINDOWS)
def test_every_kpi_is_as_it_is_read_alone(window: str) -> None:
    """Over weeks with a change of the clock, before anything is known, and at instants within a day."""
    view = company().view
    today = view.calendar.day(NOW)
    times = [view.calendar.day_start(today - back) for back in (60, 40, 27, 25, 24, 18, 4, 3, 2, 1)]
    times = sorted([*times, times[-1] - 5 * HOUR_MS, times[-2] + HOUR_MS // 2])
    values = 0
    for segment in segments(view):
        for kpi, tails in told(view, window, times, segment).items():
            readings = alone(view, kpi, window, times, segment)
            assert tails == [tail(reading) for reading in readings], (kpi, segment)
            values += sum(reading.value is not None for reading in readings)
    assert values > 500


def test_the_bytes_are_those_of_a_reading() -> None:
    view = company().view
    (segment,) = [name for name in segments(view) if name.startswith("source=")]
    (reading,) = alone(view, "win_rate", "30d", [NOW], segment)
    shown = reading.as_json()
    times = orjson.dumps({"from": shown["from"], "at": shown["at"]})[1:-1] + b","
    assert head("win_rate", "30d", segment) + times + tail(reading) == reading.encode()


def test_targets_that_are_set_and_what_is_counted_from_a_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    view = company().view
    times = [view.calendar.day_start(view.calendar.day(NOW) - back) for back in range(9, -1, -1)]
    kpis = [kpi.id for kpi in CATALOGUE.kpis.values() if "target(revenue)" in kpi.formula.text]
    monkeypatch.setattr(view, "targets", Targets([Target("revenue", "month", "total", 5_000.0, 0)]))
    found = told(view, "month", times, TOTAL)
    for kpi in kpis:
        assert found[kpi] == [tail(reading) for reading in alone(view, kpi, "month", times)]
    assert any(orjson.loads(b"{" + text)["value"] is not None for kpi in kpis for text in found[kpi])
    monkeypatch.setattr(view, "since", {"deals_won": times[4] - DAY_MS // 2})
    sales = told(view, "day", times, TOTAL)["sales"]
    assert sales == [tail(reading) for reading in alone(view, "sales", "day", times)] and b'"since"' in sales[0]


def test_a_change_in_between_is_seen_by_what_comes_after() -> None:
    business = Business()
    view, day = View(business), 739_900
    view.advance(business.calendar.day_start(day + 30))
    times = [business.calendar.day_start(day + 1 + number) for number in range(10)]

    def put(won: int) -> None:
        view.put(b"deals:0:d:%d:total" % day, orjson.dumps({"deals_won": won}))

    put(1)
    course = ReadingCourse(CATALOGUE, view, Window.parse("7d"), times).segment(TOTAL, ["sales", "win_rate"])
    (_, sales) = next(course)
    put(5)
    (_, rate) = next(course)
    assert [orjson.loads(b"{" + text)["value"] for text in sales] == [1] * 7 + [0] * 3
    assert [orjson.loads(b"{" + text)["denominator"] for text in rate] == [5] * 7 + [0] * 3


def test_few_readings_are_made_for_many_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading is made once for each combination of numbers: what makes a year of them quick."""
    made = list[int]()
    read = catalogue.read

    def counted(*arguments: Any) -> Reading:
        made.append(1)
        return read(*arguments)

    monkeypatch.setattr(history, "read", counted)
    view = company().view
    times = [view.calendar.day_start(view.calendar.day(NOW) - back) for back in range(300, -1, -1)]
    course = ReadingCourse(CATALOGUE, view, Window.parse("day"), times)
    kpis = ["sales", "win_rate", "leads"]
    found = [text for name in view.segments("source") for _, tails in course.segment(f"source={name}", kpis) for text in tails]
    assert 0 < len(made) < len(found) / 5
