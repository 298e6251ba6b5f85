import asyncio
import csv
import io
from typing import Any

import orjson
import pytest

from stream.config.kpi_files import load_catalogue
from stream.readings.board import Board, UnknownName, ViewSource, trend_times
from stream.web import usual
from stream.web.api import to_csv
from tests.stream.demo import NOW, company
from tests.stream.web.web import ALERT, RUNNING, application, board, client


async def test_totals_of_the_default_windows_are_the_catalogues():
    async with client(application()) as web:
        answer = await web.get("/api/kpis")
    assert answer.status_code == 200
    assert answer.headers["vigie-source"] == "view"
    expected = [r.as_json() for r in load_catalogue().readings(company().view, NOW)]
    found = answer.json()
    assert sorted(found, key=orjson.dumps) == sorted(orjson.loads(orjson.dumps(expected)), key=orjson.dumps)
    assert {reading["window"] for reading in found} == {"24h", "7d", "30d"}
    assert any(reading["value"] for reading in found)


async def test_several_kpis_windows_and_dimensions():
    async with client(application()) as web:
        answer = await web.get("/api/kpis?kpi=win_rate,sales&window=7d&window=month&by=source&by=total")
    found = answer.json()
    assert {r["kpi"] for r in found} == {"win_rate", "sales"}
    assert {r["window"] for r in found} == {"7d", "month"}
    assert {next(iter(r["segment"]), "total") for r in found} == {"source", "total"}
    total = next(r for r in found if r["kpi"] == "sales" and r["window"] == "month" and not r["segment"])
    parts = [r["value"] for r in found if r["kpi"] == "sales" and r["window"] == "month" and r["segment"]]
    assert total["value"] == sum(parts) > 0


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ("kpi=winrate", "kpi", 'did you mean "win_rate"?'),
        ("window=fortnight", "window", "quarter"),
        ("window=999999d", "window", "quarter"),
        ("by=sauce", "by", 'did you mean "source"?'),
        ("kpi=nps&by=stage", "by", "for KPI nps"),
        ("format=xml", "format", "csv"),
        ("windows=7d", "parameter", 'did you mean "window"?'),
    ],
)
async def test_an_unknown_name_is_refused_with_what_is_accepted(query, parameter, words):
    async with client(application()) as web:
        answer = await web.get(f"/api/kpis?{query}")
    assert answer.status_code == 400
    body = answer.json()
    assert body["parameter"] == parameter
    assert body["accepted"]
    assert words in body["error"]


async def test_csv_has_the_same_numbers():
    async with client(application()) as web:
        answer = await web.get("/api/kpis?kpi=revenue&window=30d&by=owner&format=csv")
        same = (await web.get("/api/kpis?kpi=revenue&window=30d&by=owner")).json()
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(r["dimension"], r["segment"], float(r["value"])) for r in rows] == [
        ("owner", r["segment"]["owner"], float(r["value"])) for r in same
    ]
    assert {(r["unit"], r["currency"]) for r in rows} == {("money", "EUR")}
    async with client(application()) as web:
        counts = (await web.get("/api/kpis?kpi=sales&format=csv")).text
    assert {r["currency"] for r in csv.DictReader(io.StringIO(counts))} == {""}


async def test_owners_are_called_by_name_and_keep_their_ids():
    """In JSON and CSV; who is in no table has the id alone, and so have other dimensions."""
    async with client(application()) as web:
        ids = [reading["segment"]["owner"] for reading in (await web.get("/api/kpis?kpi=sales&window=30d&by=owner")).json()]
    asked = "/api/kpis?kpi=sales&window=30d&by=owner,source"
    async with client(application(owners={ids[0]: "Ann Lee", "web": "no source"})) as web:
        readings, table = (await web.get(asked)).json(), (await web.get(f"{asked}&format=csv")).text
    assert [(r["segment"], r["name"]) for r in readings if "name" in r] == [({"owner": ids[0]}, "Ann Lee")]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["segment"], row["name"]) for row in rows if row["name"]] == [(ids[0], "Ann Lee")]
    assert len(rows) == len(readings) > len(ids) > 1


def test_a_segment_cannot_become_a_formula_in_a_spreadsheet():
    reading = {"kpi": "sales", "window": "7d", "segment": {"source": '=HYPERLINK("evil")'}, "value": -3}
    (row,) = csv.DictReader(io.StringIO(to_csv([reading])))
    assert row["segment"] == '\'=HYPERLINK("evil")'
    assert row["value"] == "-3"


@pytest.mark.parametrize(
    ("name", "told"), [("a;=1+1", "a;'=1+1"), ("x\t@SUM(A1)", "x\t'@SUM(A1)"), (" =1", "' =1"), ("a-b; c=d", "a-b; c=d")]
)
def test_a_segment_is_no_formula_in_any_cell_that_a_spreadsheet_makes_of_it(name: str, told: str) -> None:
    reading = {"kpi": "sales", "window": "7d", "segment": {"source": name}, "value": -3}
    (row,) = csv.DictReader(io.StringIO(to_csv([reading])))
    assert row["segment"] == told


async def test_while_restoring_without_a_snapshot_there_is_no_half_sum():
    of = company()
    of.view.live = False
    try:
        async with client(application(status={"state": "restoring"})) as web:
            answer = await web.get("/api/kpis")
            metrics = (await web.get("/metrics")).text
            ready = await web.get("/readyz")
    finally:
        of.view.live = True
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "restoring" in answer.json()["error"]
    assert "vigie_kpi_sales{" not in metrics
    assert ready.status_code == 503


async def test_health():
    async with client(application()) as web:
        assert (await web.get("/healthz")).json() == {"status": "ok"}
        ready = await web.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True


async def test_a_fenced_instance_is_not_ready_and_says_why():
    async with client(application(status={"state": "stopped-fenced", "last_error": "generation 3"})) as web:
        ready = await web.get("/readyz")
    assert ready.status_code == 503
    assert "fenced" in ready.json()["reasons"][0]
    assert "generation 3" in ready.json()["reasons"][0]


async def test_jumps_are_shown_and_do_not_make_unready():
    status = {**RUNNING, "jumps": {"deals/3": {"times": 1, "offsets_lost": 42}}}
    async with client(application(status=status)) as web:
        ready = await web.get("/readyz")
    assert ready.status_code == 200
    assert "deals/3: 42 records" in ready.json()["notices"][0]


async def test_alerts_and_catalogue():
    async with client(application(alerts=lambda: [ALERT])) as web:
        assert (await web.get("/api/alerts")).json() == [ALERT]
        catalogue = (await web.get("/api/catalogue")).json()
    assert catalogue["currency"] == "EUR"
    assert catalogue["timezone"] == "Europe/Paris"
    win_rate = next(kpi for kpi in catalogue["kpis"] if kpi["id"] == "win_rate")
    assert win_rate["unit"] == "ratio"
    assert set(win_rate["label"]) == {"en", "fr"}


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "month"])
async def test_a_trend_is_the_reading_at_each_of_its_instants(window):
    async with client(application()) as web:
        trend = (await web.get(f"/api/trend?window={window}")).json()
    assert trend["times"] == trend_times(window, NOW, company().business.calendar)
    assert all(earlier < later <= NOW for earlier, later in zip(trend["times"], trend["times"][1:], strict=False))
    catalogue, view = load_catalogue(), company().view
    for index in (0, len(trend["times"]) // 2, -1):
        (reading,) = catalogue.readings(view, trend["times"][index], ["sessions"], [window])
        # Six weeks of history: what the window of a month ago held is known in part only, and nothing to compare with.
        whole = reading.start >= (view.began(["engagement"]) or 0)
        assert trend["values"]["sessions"][index] == (reading.value if whole else None)
    assert (trend["values"]["sessions"][0] is None) is (window in ("30d", "month"))


async def test_what_is_learnt_of_the_past_is_in_the_trend_a_minute_later(monkeypatch: pytest.MonkeyPatch):
    """An export that is loaded, or a late event, changes days that are over: not only the next one may show it."""
    now = [NOW]
    source = ViewSource(lambda: company().view, load_catalogue())
    board = Board(source, company().business.calendar, lambda: now[0])
    known, read = [0.5], source.read
    halves = lambda *asked: [{**one, "value": one["value"] and one["value"] * known[0]} for one in read(*asked)]  # noqa: E731
    monkeypatch.setattr(source, "read", halves)
    before = (await board.trend("7d"))["values"]["sessions"][-1]
    known[0] = 1
    assert (await board.trend("7d"))["values"]["sessions"][-1] == before, "thirty readings are not made at every question"
    now[0] += 61_000
    assert (await board.trend("7d"))["values"]["sessions"][-1] == 2 * before > 0


async def test_trends_of_ever_other_windows_are_not_all_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stream.readings.board._TRENDS", 4)
    board = Board(ViewSource(lambda: company().view, load_catalogue()), company().business.calendar, lambda: NOW)
    for hours in range(1, 7):
        await board.trend(f"{hours}h")
    assert len(board._trends) <= 4
    again = await board.trend("6h")
    assert await board.trend("6h") is again


async def test_nothing_foreign_may_run_on_the_page():
    async with client(application()) as web:
        page = await web.get("/")
        for name, kind in (("vigie.css", "text/css"), ("vigie.js", "text/javascript"), ("vigie.svg", "image/svg+xml")):
            answer = await web.get(f"/static/{name}")
            assert answer.headers["content-type"].startswith(kind)
            assert "://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert (await web.get("/static/..%2Fapp.py")).status_code == 404
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert "<script>" not in page.text


async def test_a_slice_is_computed_once_a_second():
    now = NOW
    shared = board(clock=lambda: now)
    first = shared.totals("7d")
    assert shared.totals("7d") is first
    by = await shared._by("7d", "source")
    assert await shared._by("7d", "source") is by
    assert by == shared.source.read(NOW, "7d", "source")
    now += 1000
    assert shared.totals("7d") is not first
    assert await shared._by("7d", "source") is not by


async def test_a_thousand_segments_do_not_hold_the_loop():
    turns = 0
    done = False

    async def other() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await board().slices(["7d"], ["source"])
    done = True
    await task
    by_source = [kpi for kpi in load_catalogue().kpis.values() if "source" in kpi.by]
    # Others have their turn every 25 readings.
    assert len(by_source) > 5 and turns >= 10


def test_check_names_the_first_unknown():
    with pytest.raises(UnknownName, match='unknown "nonsense"; accepted: total'):
        board().check(["sales"], ["7d"], ["nonsense"])


# ── a figure day by day, and what was to be expected of each day ──


async def usually(path: str) -> Any:
    app = application()
    app.include_router(usual.router(load_catalogue(), lambda: company().view))
    async with client(app) as web:
        return await web.get(path)


async def test_each_day_has_its_band_by_the_days_before() -> None:
    found = (await usually("/api/kpis/leads/usual")).json()
    points = found["points"]
    assert 40 < len(points) <= 64 and points[-1]["value"] is not None
    banded = [one for one in points if one["low"] is not None]
    assert [one["low"] is None for one in points[:21]] == [True] * 21 and len(banded) == len(points) - 21
    assert all(one["low"] <= one["expected"] <= one["high"] for one in banded)
    inside = sum(one["low"] - 1 <= one["value"] <= one["high"] + 1 for one in banded) / len(banded)
    assert inside > 0.6


async def test_a_segment_and_another_window_and_what_another_figure_adds() -> None:
    found = (await usually("/api/kpis/sessions/usual?segment=source%3Dweb&with=leads,sales")).json()
    assert found["segment"] == "source=web" and set(found["adds"]) == {"leads", "sales"}
    weeks = (await usually("/api/kpis/revenue/usual?window=week")).json()
    assert weeks["currency"] == "EUR" and weeks["window"] == "week" and (weeks["why"] or weeks["points"][-1]["low"] is not None)


async def test_what_is_not_known_is_refused_with_what_is_accepted() -> None:
    for query, said in (
        ("window=30d", "1h"), ("with=temprature", "KPI"), ("wiht=leads", "accepted: window, segment, at, with"),
        ("segment=owner", "owner=…"),
        ("with=leads,sales,revenue,sessions,win_rate,nps", "at most 5"),
    ):  # fmt: skip
        answer = await usually(f"/api/kpis/leads/usual?{query}")
        assert answer.status_code == 400 and said.lower() in answer.text.lower(), answer.text
