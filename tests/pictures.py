"""The pictures in ``docs/images`` that the README shows: the page of the demonstration, and one alert as a mail.

``python -m tests.pictures docs/images`` starts the demonstration and takes them once it has figures; with the address of an
instance behind it, that one's page is taken.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from alert_rules.tell.signed_links import LinkKey, Links
from alert_rules.words.reader import Reader
from tests import browser
from tests.agents.doubles import about
from tests.agents.test_email import explained, seen

#: name, what is shown, width, height, by night
PAGES = (
    ("page", "?lang=en&window=7d", 1280, 720, False),
    ("page-phone", "?lang=fr&window=7d", 390, 844, True),
    ("page-pipeline", "?lang=en&window=7d&view=pipeline", 1280, 720, False),
)
#: The rule that comes with Vigie, in place of the tests' own.
SAID = {
    "rule_title": "Win rate low",
    "template": "Win rate from {source} is {value:.0%} ({numerator:d} of {denominator:closed deal|closed deals}), "
    "below {threshold:.0%}",
    "why_now": "",
    "runbook": "https://wiki.example.com/win-rate-drop",
}
_PATIENCE = 900  # seconds until the demonstration has told its history, on a busy machine


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
    """Return once there are alerts, and sales in the last week."""
    async with asyncio.timeout(_PATIENCE), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, KeyError, TypeError):
                async with session.get(f"{url}api/kpis?kpi=sales&window=7d") as answer:
                    readings = await answer.json()
                async with session.get(f"{url}api/alerts") as answer:
                    alerts = await answer.json()
                if readings[0]["value"] > 10 and alerts:
                    return
            await asyncio.sleep(2)


async def pictures(folder: Path, url: str) -> None:
    """Take all of them."""
    await ready(url)
    links = Links((LinkKey("pictures", b"k" * 32),), "https://vigie.example.com", 604_800_000)
    alert = explained() | SAID
    alert["explanation"]["moved_by"][0] |= {"dimension": "campaign"}
    alert["explanation"]["moved_by"][0]["segments"][0]["segment"] = "spring-launch"
    told = about(alert, links.actions(about(alert)))
    async with browser.browser() as page:
        for name, view, width, height, dark in PAGES:
            await page.open(url + view, width=width, height=height, dark=dark)
            await page.until("document.body?.dataset.state === 'live'", 60)
            await asyncio.sleep(4)
            await page.picture(folder / f"{name}.png", whole=False)
        for language, name in (("en", "alert"), ("fr", "alert-fr")):
            mail = Path(tempfile.gettempdir()) / f"vigie-{name}.html"
            mail.write_text(seen(replace(told, reader=Reader(language, ZoneInfo("Europe/Paris")))), "utf-8")
            await page.open(mail.as_uri(), width=640, height=720)
            await page.picture(folder / f"{name}.png")
            mail.unlink()
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
