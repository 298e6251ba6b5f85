"""Made-up names from two dozen requests: neither do they take the places of real ones, nor does asking cost more for them."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import orjson
import pytest

from models.calendar import Grain
from models.kpis.catalogue import Catalogue
from models.measures import MEASURES, Kind
from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from stream.config.settings import load
from stream.config.tracker_settings import SiteSettings
from stream.ingest.name_budget import NameBudget
from stream.metrics import Metrics
from stream.readings.board import SEGMENTS, Board, ViewSource
from tests.stream.web.test_collect import NOW, ORIGIN, House, body, call
from tests.stream.web.web import application, client

HOUR = 3_600_000


async def attack(house: House, source: str = "made-up") -> None:
    """25 requests with 100 made-up sources and campaigns each."""
    for request in range(25):
        calls = [
            call(id=f"{source}-{request:04}-{n:04}", source=f"{source}-{request}-{n}", campaign=f"PAY NOW {source} {request} {n}")
            for n in range(100)
        ]
        assert (await house.post(body(*calls))).status_code == 202


def told(house: House, dimension: str = "source") -> Counter[str]:
    return Counter(event["data"][dimension] for event in house.events)


async def test_an_attack_adds_few_names_and_every_visit_counts() -> None:
    house = House(client_rate=0)
    await attack(house)
    for dimension in ("source", "campaign"):
        names = told(house, dimension)
        assert len(names) == 61 and names["other"] == 2_500 - 60
    assert len(house.events) == 2_500


async def test_real_ones_are_told_by_name_meanwhile_and_new_ones_after_it() -> None:
    house = House(client_rate=0, site={"sources": ["fair"], "new_names": 10})
    site = house.door.sites[next(iter(house.door.sites))]
    site.names._held = lambda dimension, name: name == "google"  # as the view says
    await house.post(body(call(id="newsletter-1", source="newsletter")))
    await attack(house)
    house.intake.records.clear()
    for n, source in enumerate(("google", "fair", "newsletter", "podcast")):
        await house.post(body(call(id=f"meanwhile-{n}", source=source)))
    assert [event["data"]["source"] for event in house.events] == ["google", "fair", "newsletter", "other"]
    house.now += HOUR
    house.intake.records.clear()
    await house.post(body(call(id="afterwards", source="podcast"), sent=house.now))
    assert [event["data"]["source"] for event in house.events] == ["podcast"]


@pytest.mark.parametrize(("page", "source"), [
    (f"{ORIGIN}/x", "new"), ("pricing", "new"), (None, "new"), ("https://elsewhere.example/x", "other"), ("ftp://x/y", "other"),
])  # fmt: skip
async def test_a_name_is_new_only_on_a_page_of_the_site(page: str | None, source: str) -> None:
    house = House()
    await house.post(body(call(source="new", page=page)))
    assert house.events[0]["data"]["source"] == source


async def test_pages_are_bounded_as_sources_are_and_one_is_one_whatever_stands_behind_it() -> None:
    house = House(client_rate=0, site={"new_names": 10})
    await house.post(body(*(call(id=f"page-{n:05}", page=f"{ORIGIN}/{n % 20}") for n in range(100))))
    pages = told(house, "page")
    assert len(pages) == 11 and pages["other"] == 50, "ten are known, and every view counts"
    assert house.events[0]["data"]["page"] == f"{ORIGIN}/0"


async def test_names_are_counted_and_kept_within_bounds() -> None:
    counted: list[tuple[str, int]] = []
    house = House(client_rate=0)
    house.door.withheld = lambda *what: counted.append(what)
    await attack(house)
    assert sum(number for _, number in counted) == 2 * (2_500 - 60)
    names = NameBudget(SiteSettings(key="k" * 8, origins=(ORIGIN,), new_names=10**6))
    for n in range(5_000):
        names.judge({"source": f"s{n}"}, NOW)
    assert len(names._known["source"]) == 2_000


# -- what asking costs -----------------------------------------------------------------------------------------------------


def crowded(names: int, real: int = 30) -> tuple[View, Catalogue]:
    """Return a view with real sources, in which much goes on, and so many that came once."""
    settings = load(environ={})
    view = View(settings.business.business())
    view.advance(NOW)
    sums = {m.name: 3 for m in MEASURES["engagement"] if m.kind is Kind.COUNT}

    def put(source: str, minute: int, count: int) -> None:
        for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY):
            pane = view.calendar.pane(grain, NOW - minute * 60_000)
            key = f"engagement:0:{grain.value}:{pane}:source={source}"
            view.put(key.encode(), orjson.dumps({name: value * count for name, value in sums.items()}))

    for n in range(names):
        put(f"made-up-{n:05}", 1, 1)
    for n in range(real):
        for minute in range(20):
            put(f"real-{n:02}", minute, minute + 1)
    view.live = True
    return view, load_catalogue()


class Counting(Catalogue):
    """A catalogue that counts the readings it makes."""

    made = 0

    def reading(self, *args: Any) -> Any:
        Counting.made += 1
        return super().reading(*args)


def board_of(view: View, catalogue: Catalogue) -> Board:
    Counting.made = 0
    return Board(ViewSource(lambda: view, Counting(catalogue.kpis)), view.calendar, lambda: NOW)


async def scraped(names: int) -> tuple[int, str]:
    board = board_of(*crowded(names))
    metrics = Metrics()
    metrics.show_kpis(board, ["1h", "24h"], ["source"], 20)
    page, _ = await metrics.scrape("")
    return Counting.made, page.decode()


async def test_a_scrape_costs_the_same_whatever_strangers_have_named() -> None:
    (few, _), (many, page) = await scraped(100), await scraped(5_000)
    assert many == few
    shown = [line for line in page.splitlines() if line.startswith('vigie_kpi_sessions{dimension="source"')]
    assert len(shown) == 40 and all('segment="real-' in line for line in shown), "the largest of two windows"


async def test_a_page_and_a_question_are_bounded_and_others_run_between() -> None:
    board = board_of(*crowded(5_000))
    turns: list[int] = []

    async def others() -> None:
        last = Counting.made
        while True:
            await asyncio.sleep(0)
            turns.append(Counting.made - last)
            last = Counting.made

    beside = asyncio.create_task(others())
    readings = await board.slices(["24h"], ["source"])
    beside.cancel()
    kpis = {reading["kpi"] for reading in readings}
    assert max(Counter(reading["kpi"] for reading in readings).values()) == SEGMENTS
    assert Counting.made <= SEGMENTS * len(kpis) and max(turns) <= 50
    assert {reading["segment"]["source"] for reading in readings} >= {f"real-{n:02}" for n in range(30)}


async def test_the_answer_says_how_many_are_left_out_and_health_asks_no_view() -> None:
    view, catalogue = crowded(1_000)
    board = board_of(view, catalogue)
    async with client(application(board)) as http:
        answer = await http.get("/api/kpis", params={"by": "source", "window": "24h", "kpi": "sessions"})
        assert answer.headers["vigie-left-out"] == "730"
        Counting.made = 0
        health: httpx.Response = await http.get("/healthz")
        assert health.json() == {"status": "ok"} and Counting.made == 0


def test_the_busiest_are_kept_up_to_date_as_panes_go() -> None:
    view, _ = crowded(5, real=2)
    folds = frozenset({"engagement"})
    assert view.busiest("source", folds, 2) == ["real-00", "real-01"]
    assert view.busiest("source", folds, 100) == view.segments("source", folds) and view.count("source") == 7
    for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY):
        pane = view.calendar.pane(grain, NOW - 60_000)
        view.put(f"engagement:0:{grain.value}:{pane}:source=made-up-00000".encode(), None)
    assert not view.holds("source", "made-up-00000") and "source=made-up-00000" not in view._changes
    view.clear()
    assert view.busiest("source", folds, 2) == [] and view._changes == {}
