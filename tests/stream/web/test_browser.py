"""The page as a browser shows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from stream.catalogue import load_catalogue
from stream.web.server import Listening, serve
from tests.browser import Page, browser
from tests.stream.demo import Company, company
from tests.stream.web.web import ALERT, application, board
from tests.tools import eventually, program

pytestmark = pytest.mark.browser
CARDS = "document.querySelectorAll('.card').length"
CARD = "[...document.querySelectorAll('.card')].find(c => c.querySelector('h3').textContent === {!r})"
VALUE = f"{CARD}?.querySelector('.value').textContent"
CUT = """[...document.querySelectorAll('.value')].filter(
  v => v.getBoundingClientRect().right > v.closest('.card').getBoundingClientRect().right).length"""


class Ship:
    """A served application whose clock, state and alerts a test can turn."""

    def __init__(self, acme: Company | None = None) -> None:
        """Without a company of its own it shows the one that is shared, which must be left as it is."""
        self.acme = acme or company()
        self.status: dict = {"state": "running", "partitions": {"roll-kpis": [0]}}
        self.alerts: list[dict] = []
        self.port = 0
        self.listening: Listening | None = None

    async def start(self) -> None:
        app = application(board(self.acme), self.status, alerts=lambda: self.alerts)
        app.state.vigie.live._period = 0.05
        self.listening = await serve(app, "127.0.0.1", self.port, before_stop=app.state.vigie.live.stop)
        self.port = self.listening.port

    async def stop(self) -> None:
        if self.listening is not None:
            await self.listening.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def opened(
    acme: Company | None = None, *, path: str = "/?lang=en&window=30d", **window
) -> AsyncIterator[tuple[Ship, Page]]:
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship(acme)
    await ship.start()
    try:
        async with browser() as page:
            await page.open(ship.url + path, **window)
            await page.until("document.body.dataset.state === 'live' && document.querySelectorAll('.spark path').length > 3")
            yield ship, page
    finally:
        await ship.stop()


@pytest.mark.parametrize(("width", "dark"), [(360, True), (800, False), (1400, False)])
async def test_the_page_fits_and_asks_nobody_else(width, dark):
    async with opened(width=width, dark=dark) as (ship, page):
        assert await page.run(CARDS) == len(load_catalogue().kpis)
        await page.until("document.querySelectorAll('tbody tr').length > 3")
        assert await page.run("document.documentElement.scrollWidth") == width
        assert await page.run(CUT) == 0
        assert page.errors == []
        assert all(url.startswith((ship.url, "data:")) for url in page.requests if not url.startswith("about:"))


async def test_numbers_move_without_a_reload():
    async with opened(Company()) as (ship, page):
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
        await page.run("document.querySelector('[name=language][value=fr]').click()")
        await page.until(f"{VALUE.format('Visites')} > '0'")
        assert await page.run("document.documentElement.lang") == "fr"


async def test_a_segments_name_is_text_and_never_markup():
    evil = "<img src=x onerror=document.title='pwned'>"
    async with opened(Company()) as (ship, page):
        ship.acme.view.put(
            f"deals:9:d:{ship.acme.business.calendar.day(ship.acme.now) - 1}:source={evil}".encode(), b'{"deals_won":999}'
        )
        ship.acme.step(2_000)
        await page.until("document.querySelector('tbody th')?.textContent.startsWith('<img')")
        assert await page.run("document.title") == "Vigie"
        assert await page.run("document.querySelectorAll('tbody img').length") == 0


async def test_a_new_alert_is_shown_and_said():
    async with opened() as (ship, page):
        assert "no alert" in await page.run("document.querySelector('#alert-list').textContent")
        ship.alerts.append(ALERT)
        await page.until("document.querySelectorAll('.alert.critical').length === 1")
        assert ALERT["summary"] in await page.run("document.querySelector('#say').textContent")


async def test_the_page_comes_back_after_a_restart():
    async with opened() as (ship, page):
        await ship.stop()
        await page.until("document.body.dataset.state === 'reconnecting'")
        assert "reconnecting" in await page.run("document.querySelector('#connection').textContent")
        await ship.start()
        await page.until("document.body.dataset.state === 'live'", 30)
        assert "Live again" in await page.run("document.querySelector('#say').textContent")


async def test_restoring_is_said():
    async with opened(Company()) as (ship, page):
        ship.status["state"] = "restoring"
        ship.acme.view.live = False
        await page.until("document.body.dataset.state === 'restoring'")
        assert "restoring" in await page.run("document.querySelector('#connection').textContent")


async def test_a_closed_page_is_forgotten():
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship()
    await ship.start()
    assert ship.listening is not None
    app = ship.listening._server.config.app
    live = app.state.vigie.live
    try:
        async with browser() as page:
            await page.open(ship.url)
            await page.until("document.body.dataset.state === 'live'")
            assert live.clients == 1
        await eventually(lambda: live.clients == 0)
    finally:
        async with asyncio.timeout(5):
            await ship.stop()
