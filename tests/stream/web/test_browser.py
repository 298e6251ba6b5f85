"""The page as a browser shows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import orjson
import pytest

from models.experiments.plan import Plan
from stream.config.kpi_files import load_catalogue
from stream.config.leaderboard_settings import LeaderboardSettings
from stream.config.settings import OperatorSettings, WebSettings, load
from stream.web import customers, entities, experiments, goals, leaderboard, predictions, usual
from stream.web.access import Access, ReadGuard
from stream.web.operate import Operations
from stream.web.operators import Operators
from stream.web.server import Listening, serve
from tests.browser import Page, browser
from tests.stream.demo import Company, company, fresh
from tests.stream.web.book import Kept, clientele
from tests.stream.web.said import answers
from tests.stream.web.web import ALERT, application, board
from tests.tools import eventually, program
from vigie.plans import plans_of

pytestmark = pytest.mark.browser
TOKEN = "operators-token-of-some-length"
NOW = "/?lang=en&window=30d"
CARDS = "document.querySelectorAll('.card').length"
CARD = "[...document.querySelectorAll('.card')].find(c => c.querySelector('h3').textContent === {!r})"
VALUE = f"{CARD}?.querySelector('.value').textContent"
CUT = """[...document.querySelectorAll('.value')].filter(
  v => v.getBoundingClientRect().right > v.closest('.card').getBoundingClientRect().right).length"""


AIMS = [
    {
        "name": "Chaque mois, شركة", "period": "month", "from": "2026-09-01", "main": {"kpi": "revenue", "target": 900_000},
        "indicators": [{"kpi": "win_rate", "target": 0.4}, {"kpi": "discount_rate", "guard": True, "at_most": 0.01}],
    }
]  # fmt: skip
_NOVEMBER = {"from": "2026-11-01", "until": "2026-11-30"}
RACES = [
    {"name": "Sprint d'automne, شركة", "kpi": "revenue", **_NOVEMBER, "guards": [{"kpi": "win_rate", "at_least": 0.01}]},
    {"name": "Annulled", "kpi": "sales", **_NOVEMBER, "guards": [{"kpi": "win_rate", "at_least": 0.99}]},
]


class Ship:
    """A served application whose clock, state and alerts a test can turn."""

    def __init__(self, acme: Company | None = None, *, owners: dict[str, str] | None = None, **web: Any) -> None:
        """Without a company of its own it shows the one that is shared, which must be left as it is. ``web`` are settings."""
        self.acme = acme or company()
        self.owners = owners
        self.status: dict = {"state": "running", "partitions": {"roll-kpis": [0]}}
        self.alerts: Any = []  # None where they are not known
        self.acts: list[tuple[str, str, str]] = []
        self.past: list[dict[str, Any]] = []
        self.book = Kept(self.acme.now)
        self.trials = [Plan("second script", ("A", "B"), date(2026, 10, 12))]
        self.port = 0
        self.listening: Listening | None = None
        self.operators = Operators([OperatorSettings(name="ada", token=TOKEN)])
        self.access = Access(WebSettings(**web), self.operators)

    async def start(self) -> None:
        app = application(board(self.acme), self.status, self.owners, alerts=lambda: self.alerts)
        app.state.vigie.live._period = 0.05
        operations = Operations(self.operators, self.put, history=lambda _, wanted, __: ([*filter(wanted, self.past)], None))
        app.include_router(operations.router())
        aims = plans_of(load(environ={}, objectives=AIMS, challenges=RACES), load_catalogue())
        app.include_router(goals.router(lambda: aims, lambda: self.acme.view, operations, self.keep))
        app.include_router(usual.router(load_catalogue(), lambda: self.acme.view))
        app.include_router(entities.router(self.book))
        app.include_router(predictions.router(self.book))
        app.include_router(customers.router(clientele(self.acme.now)))
        app.include_router(answers(self.acme.now))
        app.include_router(experiments.router(self.trials, load_catalogue(), lambda: self.acme.view))
        app.include_router(leaderboard.router(LeaderboardSettings(), load_catalogue(), lambda: self.acme.view))
        app.add_middleware(ReadGuard, access=self.access)
        self.listening = await serve(app, "127.0.0.1", self.port, before_stop=app.state.vigie.live.stop)
        self.port = self.listening.port

    async def keep(self, key: bytes, value: bytes | None) -> None:
        """Take nothing: no test sets an objective here."""

    async def put(self, key: bytes, value: bytes) -> None:
        """Take an act as the fold that dispatches alerts would."""
        act = orjson.loads(value)
        if act["act"] == "silence":
            self.acts.append((act["by"], "silence", *act["silence"]["matchers"]))
            return
        self.acts.append((act["by"], act["act"], act["incident"]))
        (found,) = (alert for alert in self.alerts or () if alert["id"] == act["incident"])
        found["acknowledged"] = {"by": act["by"], "at": act["at"]} if act["act"] == "ack" else None

    async def stop(self) -> None:
        if self.listening is not None:
            await self.listening.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def opened(
    acme: Company | None = None,
    *,
    path: str = "/?lang=en&window=30d&view=figures",
    owners: dict[str, str] | None = None,
    **window,
) -> AsyncIterator[tuple[Ship, Page]]:
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship(acme, owners=owners)
    await ship.start()
    try:
        async with browser() as page:
            await page.open(ship.url + path, **window)
            await page.until(
                "document.body?.dataset.state === 'live' && "
                "(document.querySelectorAll('.spark path').length > 3 || !!document.querySelector('tbody tr'))"
            )
            yield ship, page
    finally:
        await ship.stop()


@pytest.mark.parametrize(("width", "dark"), [(360, True), (800, False), (1400, False)])
async def test_the_page_fits_and_asks_nobody_else(width, dark):
    async with opened(width=width, dark=dark) as (ship, page):
        assert await page.run(CARDS) == len(load_catalogue().kpis)
        assert await page.run("document.documentElement.scrollWidth") == width
        assert await page.run(CUT) == 0
        assert page.errors == []
        assert all(url.startswith((ship.url, "data:")) for url in page.requests if not url.startswith("about:"))


async def test_owners_have_their_names_and_the_id_on_a_look():
    owner = "tom.janssen"
    assert owner in company().view.segments("owner")
    called = {owner: "Zoé of the Very Long Double-Barrelled Name"}
    async with opened(path="/?lang=en&window=30d&view=team&by=owner", owners=called, width=390) as (_, page):
        cell = f"[...document.querySelectorAll('tbody th')].find(th => th.title.endsWith('({owner})'))"
        await page.until(f"!!{cell}")
        assert await page.run(f"{cell}.textContent") == called[owner]
        assert await page.run("document.documentElement.scrollWidth") == 390
        assert page.errors == []


async def test_numbers_move_without_a_reload():
    async with opened(fresh()) as (ship, page):
        before = await page.run(VALUE.format("Sessions"))
        assert before not in (None, "—")
        for _ in range(3):
            ship.acme.step(5_000)
        await page.until(f"{VALUE.format('Sessions')} !== {before!r}")


async def test_the_window_is_switched_from_the_keyboard():
    async with opened() as (_, page):
        month = await page.run(VALUE.format("Leads"))
        await page.run("document.querySelector('[name=window]:checked').focus()")
        await page.press("ArrowLeft", 37)
        assert await page.run("document.querySelector('[name=window]:checked').value") == "7d"
        await page.until(f"![null, '—', {month!r}].includes({VALUE.format('Leads')})")


async def test_the_language_is_switched():
    async with opened() as (_, page):
        await page.run("const s = document.querySelector('#language'); s.value = 'fr'; s.dispatchEvent(new Event('change'))")
        await page.until(f"{VALUE.format('Visites')} > '0'")
        assert await page.run("document.documentElement.lang") == "fr"


async def test_a_segments_name_is_text_and_never_markup():
    evil = "<img src=x onerror=document.title='pwned'>"
    async with opened(fresh(), path="/?lang=en&window=30d&view=sources&by=source") as (ship, page):
        ship.acme.view.put(
            f"deals:9:d:{ship.acme.business.calendar.day(ship.acme.now) - 1}:source={evil}".encode(), b'{"deals_won":999}'
        )
        ship.acme.step(2_000)
        await page.until("[...document.querySelectorAll('tbody th')].some(th => th.textContent.startsWith('<img'))")
        assert await page.run("document.title") == "Sources · Vigie"
        assert await page.run("document.querySelectorAll('tbody img').length") == 0


async def test_a_new_alert_is_shown_and_said():
    async with opened(path=NOW) as (ship, page):
        assert "no alert" in await page.run("document.querySelector('#alert-list').textContent")
        ship.alerts.append(ALERT)
        await page.until("document.querySelectorAll('.alert.critical').length === 1")
        assert ALERT["summary"] in await page.run("document.querySelector('#say').textContent")


def many(count: int) -> list[dict]:
    """Return the alerts of a bad day: one rule that speaks of many, and one that speaks of itself."""
    leads = [
        ALERT
        | {"id": f"l{n}", "rule": "lead-unanswered", "title": "Lead unanswered", "segment": {"lead": f"L{n}"}, "summary": f"L{n}"}
        for n in range(count)
    ]
    why = {
        "previous": {"value": 0.21},
        "change": -0.07,
        "resolves": "at or above 17 %",
        "behind": [
            {"id": "D1", "said": "lost by ada", "url": "https://crm.example.com/D1"},
            {"id": "D2", "said": "<b>evil</b>", "url": "javascript:alert(1)"},
        ],
    }
    more = {
        "title": "Win rate",
        "value": 0.14,
        "unit": "ratio",
        "threshold": 0.15,
        "threshold_unit": "ratio",
        "direction": "below",
    }
    return [*leads, ALERT | more | {"explanation": why, "told": ["console"], "acknowledged": None}]


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_figures_come_first_however_many_alerts_stand(width):
    async with opened(path=NOW, width=width) as (ship, page):
        ship.alerts += many(60)
        await page.until("document.querySelectorAll('.rule').length === 2")
        assert await page.run("document.querySelector('.value').getBoundingClientRect().bottom") < 300
        line = await page.run("document.querySelector('.alert-head').innerText")
        assert "61 alerts · 61 critical" in " ".join(line.split())
        assert await page.run("[...document.querySelectorAll('.alerts details')].filter(d => d.open).length") == 0
        assert await page.run("document.documentElement.scrollWidth") == width


async def test_a_message_leads_to_its_alert_which_explains_itself():
    async with opened(path=NOW) as (ship, page):
        ship.alerts += many(3)
        await page.until("document.querySelectorAll('.rule').length === 2")
        await page.run("location.hash = 'alert=abc'")
        await page.until("document.querySelectorAll('.alert[open] dd').length > 4")
        text = await page.run("document.querySelector('.alert[open] .why').innerText")
        assert all(
            words in text
            for words in ("14%", "below 15%", "21%, so −7 pts", "at or above 17 %", "D1, lost by ada CRM", "console")
        )
        assert await page.run("document.activeElement.closest('.alert').dataset.key") == "alert abc"
        links = "[...document.querySelectorAll('.alert[open] a[target]')].map(a => a.href).join()"
        assert await page.run(links) == "https://crm.example.com/D1"  # and no script
        ship.alerts[0]["state"] = "resolved"  # what is open, and where the keyboard is, outlives the next message
        await page.until("document.querySelector('[data-key=\"alert l0\"] b').textContent.includes('resolved')")
        assert await page.run("document.activeElement.closest('.alert[open]')?.dataset.key") == "alert abc"
        await page.run("location.hash = 'alert=long-gone'")
        await page.until("document.querySelector('#alert-gone').textContent.includes('ended')")


async def test_a_session_reads_a_token_acts_and_the_form_comes_back_when_the_session_ends():
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship(host="0.0.0.0")
    ship.alerts += many(1)
    await ship.start()
    field = "document.querySelector('form[action$=login] [name=token]')"
    try:
        async with browser() as page:
            await page.open(ship.url + "/?lang=en")
            for token, seen in (("not-mine", "document.body?.innerText.includes('nobody')"), (TOKEN, CARDS)):
                await page.until(f"!!{field}")
                await page.run(f"{field}.value = {token!r}; {field}.form.requestSubmit()")
                await page.until(seen)
            await page.until("document.body?.dataset.state === 'live' && !!document.querySelector('.alert .act button')")
            await page.act("document.querySelector('.alert .act button').click()")
            await eventually(lambda: bool(ship.acts))  # who has logged in is not asked again
            ship.access._keys = [b"another process's"]
            await page.act("document.querySelector('nav a:nth-child(6)').click()")
            await page.until(f"!!{field}")
    finally:
        await ship.stop()


async def test_an_operator_acknowledges_from_the_keyboard_and_the_page_shows_it():
    async with opened(path=NOW) as (ship, page):
        ship.alerts += many(2)
        await page.until("document.querySelectorAll('.rule').length === 2")
        await page.run("location.hash = 'alert=abc'")
        await page.until("!!document.querySelector('.alert[open] dd')")
        button = "document.querySelector('.alert[open] .act button')"
        for token, seen in (
            ("not-mine", "!!document.querySelector('dialog [role=alert]')"),
            (TOKEN, f"{button}.textContent === 'Take it back'"),
        ):
            if not await page.run("!!document.querySelector('dialog')"):
                await page.run(f"{button}.focus()")
                await page.press("Enter", 13)
            await page.until("document.activeElement?.id === 'token'")
            await page.run(f"document.activeElement.value = {token!r}; document.activeElement.form.requestSubmit()")
            await page.until(seen)
        assert "IN ADA'S HANDS" in (await page.run("document.querySelector('.alert[open] summary').innerText")).upper()
        assert "1 in hand" in await page.run("document.querySelector('.alert-head').innerText")
        await page.act(f"{button}.click()")  # the token is kept while the tab is open
        await page.until(f"{button}.textContent === 'Acknowledge'")
        assert ship.acts == [("ada", "ack", "abc"), ("ada", "unack", "abc")]


async def test_who_does_not_know_the_alerts_does_not_say_that_all_is_quiet():
    async with opened(path=NOW) as (ship, page):
        ship.alerts = None
        await page.until("document.querySelector('#alert-list').textContent.includes('another worker')")
        assert await page.run("fetch('/api/alerts').then(a => a.status)") == 503


async def test_the_page_comes_back_after_a_restart():
    async with opened() as (ship, page):
        await ship.stop()
        await page.until("document.body?.dataset.state === 'reconnecting'")
        assert "reconnecting" in await page.run("document.querySelector('#connection').textContent")
        await ship.start()
        await page.until("document.body?.dataset.state === 'live'", 30)
        assert "Live again" in await page.run("document.querySelector('#say').textContent")


async def test_restoring_is_said():
    async with opened(fresh()) as (ship, page):
        ship.status["state"] = "restoring"
        ship.acme.view.live = False
        await page.until("document.body?.dataset.state === 'restoring'")
        assert "restoring" in await page.run("document.querySelector('#connection').textContent")


async def test_a_closed_page_is_forgotten():
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship()
    await ship.start()
    assert ship.listening is not None
    app: Any = ship.listening._server.config.app
    live = app.state.vigie.live
    try:
        async with browser() as page:
            await page.open(ship.url)
            await page.until("document.body?.dataset.state === 'live'")
            assert live.clients == 1
        await eventually(lambda: live.clients == 0)
    finally:
        async with asyncio.timeout(120):
            await ship.stop()
