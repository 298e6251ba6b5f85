"""The readings of earlier instants over the API, beside those of the catalogue at the same instants."""

import csv
import io

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, iso
from stream.config.kpi_files import load_catalogue
from stream.readings import past
from stream.readings.board import UnknownName
from stream.readings.past import instants
from stream.web.api import to_csv
from tests.stream.demo import NOW, company
from tests.stream.web.web import application, client

PARIS = Business(timezone="Europe/Paris")
DAY = PARIS.calendar.day(NOW)


def local(day: int) -> str:
    return iso(PARIS.calendar.day_start(day) + 12 * HOUR_MS)[:10]


async def test_each_day_s_readings_are_those_that_were_made_then() -> None:
    query = f"from={local(DAY - 5)}&to={local(DAY - 2)}&every=1d&kpi=sales,win_rate&window=7d,day&by=total,source"
    async with client(application()) as web:
        answer = await web.get(f"/api/kpis?{query}")
    found = answer.json()
    times = [PARIS.calendar.day_start(DAY - back) for back in (4, 3, 2, 1)]
    assert sorted({reading["at"] for reading in found}) == [iso(at) for at in times]
    catalogue, view = load_catalogue(), company().view
    expected = [
        reading.as_json()
        for at in times
        for by in (None, "source")
        for reading in catalogue.readings(view, at, ["sales", "win_rate"], ["7d", "day"], by)
    ]
    assert sorted(found, key=orjson.dumps) == sorted(orjson.loads(orjson.dumps(expected)), key=orjson.dumps)
    assert sum(reading["value"] or 0 for reading in found if reading["kpi"] == "sales" and not reading["segment"]) > 4


async def test_one_instant_and_csv() -> None:
    async with client(application()) as web:
        (one,) = (await web.get(f"/api/kpis?at={local(DAY - 1)}&kpi=revenue&window=month")).json()
        text = (await web.get(f"/api/kpis?from={local(DAY - 20)}&every=week&kpi=revenue&window=week&format=csv")).text
    assert one["at"] == iso(PARIS.calendar.day_start(DAY))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) in (2, 3) and all(row["kpi"] == "revenue" and row["at"] > row["from"] for row in rows)


async def test_csv_says_what_json_says_with_the_names_of_people() -> None:
    owner = company().view.segments("owner")[0]
    query = f"from={local(DAY - 9)}&every=1d&kpi=revenue,win_rate,open_pipeline&window=day,7d&by=total,owner"
    async with client(application(owners={owner: {"name": 'Ann "Lee", North'}})) as web:
        readings = (await web.get(f"/api/kpis?{query}")).json()
        text = (await web.get(f"/api/kpis?{query}&format=csv")).text
    assert text == to_csv(readings)
    assert {reading["name"] for reading in readings if reading["segment"] == {"owner": owner}} == {'Ann "Lee", North'}


async def test_before_the_history_there_is_no_value_and_a_reason() -> None:
    began = company().view.began(["deals"])
    assert began is not None
    day = PARIS.calendar.day(began)
    query = f"from={local(day - 3)}&to={local(day + 8)}&every=1d&kpi=sales&window=7d"
    async with client(application()) as web:
        found = (await web.get(f"/api/kpis?{query}")).json()
    told = [(reading["value"] is None, reading.get("why", "")) for reading in found]
    assert len(found) == 12
    assert told[0] == (True, f"the history begins on {local(day)}")
    assert told[-1][0] is False and all(none for none, _ in told[:9])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("at=soon", 'at: unknown "soon"; accepted: a time such as 2026-03-31T18:00:00Z, or a day such as 2026-03-31'),
        ("at=2199-01-01", "accepted: a time up to now"),
        ("at=2026-01-01&every=1d", 'parameter: unknown "every" beside at'),
        ("every=1d", 'from: unknown "" (it is needed)'),
        ("from=2026-01-01", 'every: unknown "" (it is needed)'),
        ("from=2026-01-01&every=fortnight", "a number of h or d, such as 1d, or week, month, quarter"),
        ("from=2026-01-01T00:00:00&every=1d", "from: unknown"),
        ("to=2026-01-01", "from: unknown"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_can(query: str, words: str) -> None:
    async with client(application()) as web:
        answer = await web.get(f"/api/kpis?{query}")
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text


async def test_an_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST", 100)
    async with client(application()) as web:
        answer = await web.get(f"/api/kpis?from={local(DAY - 20)}&every=1h&kpi=sales&window=7d")
        assert (await web.get(f"/api/kpis?from={local(DAY - 20)}&every=1d&kpi=sales&window=7d")).status_code == 200
    assert answer.status_code == 400 and "at most 100 readings" in answer.json()["error"]


def test_days_are_those_of_the_business_and_end_with_them() -> None:
    calendar = PARIS.calendar
    spring = calendar.day_start(calendar.day(NOW) - 200)

    def asked(query: dict[str, str]) -> list[int]:
        return instants(query, NOW, PARIS) or []

    assert instants({"kpi": "sales"}, NOW, PARIS) is None
    days = asked({"from": local(DAY - 3), "every": "1d"})
    assert days == [calendar.day_start(DAY - back) for back in (2, 1, 0)], "today is not over"
    assert asked({"at": local(DAY - 3)}) == [calendar.day_start(DAY - 2)]
    assert asked({"at": iso(NOW)}) == [NOW // 1000 * 1000]
    assert asked({"at": iso(NOW - HOUR_MS - 1_000)}) == [(NOW - HOUR_MS - 1_000) // 60_000 * 60_000], (
        "minutes are kept for two hours"
    )
    assert asked({"at": iso(NOW - 5 * HOUR_MS)}) == [calendar.hour_start(calendar.hour(NOW - 5 * HOUR_MS))]
    assert asked({"at": iso(spring + 5 * HOUR_MS)}) == [spring]
    assert len(asked({"from": "1990-01-01", "every": "1d"})) == 799, "whole days of the 800 that are kept"
    assert asked({"from": iso(NOW + DAY_MS), "every": "1d"}) == []
    with pytest.raises(UnknownName):
        asked({"at": iso(NOW + 60_000)})
