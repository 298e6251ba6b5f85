"""A bad day for the page: thousands of alerts and owners, another clock, no token, files that are asked for again."""

import aiohttp
import pytest

from stream.config.settings import SettingsError, load
from stream.metrics import Metrics
from stream.web.app import build_web
from stream.web.page import version
from tests.browser import browser
from tests.stream.demo import fresh
from tests.stream.web.test_browser import NOW, TOKEN, Ship, many
from tests.stream.web.web import RUNNING, application, board, client
from tests.tools import program


@pytest.mark.browser
async def test_five_thousand_alerts_two_thousand_owners_and_another_clock() -> None:
    program("chromium", "chromium-browser", "google-chrome")
    acme = fresh()
    day = acme.business.calendar.day(acme.now) - 1
    for number in range(2_000):
        key = f"deals:9:d:{day}:owner=o-{number} 🚀 {'x' * 180}"
        acme.view.put(key.encode(), b'{"deals_won":1,"won_amount":1234567000000}')
    ship = Ship(acme)
    ship.alerts = many(5_000)
    for number, alert in enumerate(ship.alerts):
        alert["explanation"] = {"behind": [{"id": alert["id"], "owner": f"o-{number % 2_000}"}]}
    await ship.start()
    try:
        async with browser() as page:
            await page.call("Emulation.setTimezoneOverride", timezoneId="Pacific/Auckland")
            await page.open(ship.url + NOW, width=390)
            await page.until("document.querySelectorAll('.rule').length === 2", 60)
            assert "5,000 alerts" in await page.run("document.querySelector('.rule').innerText")
            assert await page.run("document.querySelector('.value').getBoundingClientRect().bottom") < 500
            assert await page.run("document.querySelectorAll('.rule .alert').length") <= 101
            # Times are the company's, wherever it is read: the window begins on the hour in Paris.
            assert ":00" in await page.run("document.querySelector('#period').textContent")
            await page.act("document.querySelector('nav a:nth-child(7)').click()")
            await page.until("document.querySelectorAll('tbody tr').length > 50", 60)
            assert await page.run("document.documentElement.scrollWidth") == 390
            assert await page.run("document.querySelectorAll('tbody tr').length") < 60
            assert "more not shown" in await page.run("document.querySelector('tbody').innerText")
            assert page.errors == []
    finally:
        await ship.stop()


async def test_the_form_for_a_token_speaks_the_browser_s_language_and_leads_back() -> None:
    ship = Ship(host="0.0.0.0")
    await ship.start()
    french = {"accept": "text/html", "accept-language": "xx;q=1, fr-CA, en;q=0.5"}
    try:
        async with aiohttp.ClientSession() as web:
            async with web.get(f"{ship.url}/?view=deals&stage=demo&lang=fr", headers=french) as answer:
                form = await answer.text()
            assert answer.status == 401 and '<html lang="fr">' in form and "il faut un jeton" in form
            assert 'name="then" value="view=deals&amp;stage=demo&amp;lang=fr"' in form
            wrong = {"token": "nobody's", "then": "view=deals"}
            async with web.post(f"{ship.url}/login", data=wrong, headers=french) as answer:
                assert answer.status == 401 and "Ce jeton n&#x27;est à personne" in await answer.text()
            for then, place in (
                ("view=deals&stage=d%20e", "./?view=deals&stage=d%20e"),
                ("//evil.example\r\nx: y", "./"),
                ("", "./"),
            ):
                given = {"token": TOKEN, "then": then}
                async with web.post(f"{ship.url}/login", data=given, headers=french, allow_redirects=False) as answer:
                    assert (answer.status, answer.headers["location"]) == (303, place)
    finally:
        await ship.stop()


async def test_a_view_is_framed_by_those_who_may_and_only_as_a_view() -> None:
    settings = load(environ={}, web__embed_in=["https://wiki.example.com"])
    app = build_web(board(), lambda: RUNNING, settings, scrape=Metrics().scrape)
    async with client(app) as web:
        framed, whole, else_where = [
            await web.get(path) for path in ("/?view=team&embed", "/?view=embed", "/api/catalogue?embed")
        ]
    policy = framed.headers["content-security-policy"]
    assert "frame-ancestors https://wiki.example.com" in policy and "script-src 'self'" in policy
    assert "x-frame-options" not in framed.headers
    for answer in (whole, else_where):
        assert (
            "frame-ancestors 'none'" in answer.headers["content-security-policy"] and answer.headers["x-frame-options"] == "DENY"
        )
    with pytest.raises(SettingsError, match="without path"):
        load(environ={}, web__embed_in=["*"])


async def test_long_answers_are_packed_and_what_is_known_is_not_sent_again() -> None:
    app = application()
    async with client(app) as web:
        page = await web.get("/", headers={"accept-encoding": "gzip"})
        assert page.headers["content-encoding"] == "gzip" and f'src="static/{version()}/vigie.js"' in page.text
        for asked, language in (("/?lang=fr", "fr"), ("/?lang=x%22", "en")):
            assert f'href="static/{version()}/words.{language}.json"' in (await web.get(asked)).text
        for path in ("/", "/api/catalogue", f"/static/{version()}/vigie.js", f"/static/{version()}/words.fr.json"):
            first = await web.get(path)
            again = await web.get(path, headers={"if-none-match": f'"other", {first.headers["etag"]}'})
            assert (first.status_code, again.status_code, again.content) == (200, 304, b""), path
        kept = await web.get(f"/static/{version()}/vigie.css")
        assert "immutable" in kept.headers["cache-control"]
        old = await web.get("/static/0123456789abcdef/vigie.css")  # of a page that was opened before an update
        assert old.status_code == 200 and old.headers["cache-control"] == "no-cache"
        assert (await web.get("/static/evil/vigie.css")).status_code == 404
