"""The pictures in ``docs/images``: the views of the demonstration, the page without figures and without a server, and messages.

``python -m tests.pictures docs/images`` starts the demonstration and takes them once its alert stands; with the address of an
instance behind it, that one's views are taken.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from alert_rules.words.reader import Reader
from models.panes.view import View
from tests import browser
from tests.agents.doubles import about
from tests.agents.test_email import seen
from tests.png8 import keep
from tests.shown_chats import CHATS, shown
from tests.shown_messages import LINKS, deliveries, ended, slack
from tests.stream.demo import fresh
from tests.stream.web.test_browser import Ship

_FIGURES = "document.querySelectorAll('.card .delta').length > 3"
_FORECAST = "(document.querySelector('.chart .line-of.is')?.getAttribute('d').match(/L/g) ?? []).length > 9"  # day by day
_TEAM = "document.querySelectorAll('.goal').length === 4 && !!document.querySelector('tr.all')"
#: name, what is shown, width, height, by night, and what is waited for
PAGES = (
    ("page-forecast", "lang=en&view=forecast", 1280, 900, False, _FORECAST),
    ("page-pipeline", "lang=en&view=pipeline", 1280, 720, True, "document.querySelectorAll('.column').length > 3"),
    ("page-kpi", "lang=fr&view=kpi&id=sessions", 1280, 1000, False, "document.querySelectorAll('.chart').length === 2"),
    ("page-team", "lang=en&view=team", 1280, 1780, False, _TEAM),
    ("page-customers", "lang=fr&view=customers", 1280, 900, False, "document.querySelectorAll('.rfm td b').length > 6"),
    ("page-sources", "lang=en&view=sources", 1280, 640, False, "!!document.querySelector('tr.all')"),
    ("page-tests", "lang=en&view=tests", 1280, 500, False, "!!document.querySelector('.trial')"),
    ("page-phone", "lang=fr", 390, 844, True, _FIGURES),
    ("page", "lang=en", 1280, 720, False, f"{_FIGURES} && !!document.querySelector('.rule')"),
)
#: Opens the alerts that stand, and what explains them.
OPENED = """document.querySelectorAll('.rule').forEach((rule) => { rule.open = true;
  rule.querySelectorAll('.alert').forEach((alert) => { alert.open = true; }); })"""
_PATIENCE = 1_800  # seconds until the demonstration has read its past and its alert stands, on a busy machine


@contextlib.asynccontextmanager
async def demonstration() -> AsyncIterator[str]:
    """Run ``vigie up --demo`` and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vigie", "up", "--demo", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        running = await asyncio.create_subprocess_exec(*command, cwd=folder, env={**os.environ, "PYTHONPATH": paths})
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            running.send_signal(signal.SIGTERM)
            await running.wait()


async def ready(url: str) -> None:
    """Return once its past has been read, and an alert stands."""
    async with asyncio.timeout(_PATIENCE), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, KeyError, TypeError):
                async with session.get(f"{url}readyz") as answer:
                    health = await answer.json()
                async with session.get(f"{url}api/alerts") as answer:
                    alerts = await answer.json()
                if health["ready"] and not health["degraded"] and any(one["state"] == "firing" for one in alerts):
                    return
            await asyncio.sleep(2)


async def pages(folder: Path, url: str) -> None:
    """Take the views of an instance."""
    async with browser.browser() as page:
        for name, view, width, height, dark, there in PAGES[::-1]:  # first those on which the alert stands
            await page.open(f"{url}?window=7d&{view}", width=width, height=height, dark=dark)
            await page.until(there)
            await asyncio.sleep(1)
            await page.picture(folder / f"{name}.png", whole=False)
            if name == "page":
                await page.run(OPENED)
                await page.until("document.querySelectorAll('.why dd').length > 4")
                await page.picture(folder / "page-alert.png")
                await keep(page, folder / "page-alert.png")
            await keep(page, folder / f"{name}.png")


async def states(folder: Path) -> None:
    """Take what is seen where there is nothing yet, and where the server has gone away."""
    nothing = fresh()
    nothing.view = View(nothing.business)
    nothing.view.live = True
    nothing.view.advance(nothing.now)
    for name, ship in (("page-empty", Ship(nothing)), ("page-stale", Ship())):
        await ship.start()
        async with browser.browser() as page:
            await page.open(f"{ship.url}/?lang=en&window=7d", width=1280, height=720)
            await page.until("document.body?.dataset.state === 'live' && document.querySelectorAll('.card').length === 8")
            await asyncio.sleep(1)
            if name == "page-stale":
                await ship.stop()
                await page.until("document.body.dataset.state === 'reconnecting'")
            await page.picture(folder / f"{name}.png", whole=False)
            await keep(page, folder / f"{name}.png")
        await ship.stop()


def messages() -> Iterator[tuple[str, str, int]]:
    """Yield (name, HTML, width) of messages as people get them: in both languages as mails and in Slack, in English elsewhere."""
    for what, language, told in deliveries():
        yield f"mail-{what}-{language}", seen(told), 640
        yield f"slack-{what}-{language}", slack(told), 640
        if language == "en":
            yield from ((f"{chat}-{what}", shown(chat, told), 640) for chat in CHATS)
            yield from ((f"mail-{width}", seen(told), width) for width in (360, 1200) if what == "alert")
    ends = ended()
    told = replace(about(ends, LINKS.actions(about(ends))), reader=Reader("en", ZoneInfo("Europe/Paris")), memo="1")
    yield from ((f"{chat}-answer", shown(chat, told), 640) for chat in ("google-chat", "telegram"))


async def mailed(folder: Path) -> None:
    """Take messages as people get them."""
    async with browser.browser() as page:
        with tempfile.TemporaryDirectory() as made:
            for name, html, width in messages():
                there = Path(made) / f"{name}.html"
                there.write_text(html, "utf-8")
                await page.open(there.as_uri(), width=width, height=200)
                await page.picture(folder / f"{name}.png")
                await keep(page, folder / f"{name}.png")


async def pictures(folder: Path, url: str) -> None:
    """Take all of them."""
    await states(folder)
    await mailed(folder)
    await ready(url)
    await pages(folder, url)
    browser.end()


async def main() -> None:
    """Take the pictures of the instance that is named, or of a demonstration."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        await pictures(folder, sys.argv[2])
        return
    async with demonstration() as url:
        await pictures(folder, url)


if __name__ == "__main__":
    asyncio.run(main())
