"""Each view of the page, as a browser shows it: wide and narrow, by day and by night, in both languages, from the keyboard."""

import contextlib
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from alert_rules.words.language import languages
from models.panes.view import View
from stream.web.page import _FILES, _read
from tests.browser import Page, browser
from tests.stream.demo import fresh
from tests.stream.web.book import NAMES
from tests.stream.web.test_browser import NOW, TOKEN, Ship, many
from tests.stream.web.web import ALERT
from tests.tools import eventually, program

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parents[2] / "vendor" / "axe.min.js").read_text("utf-8")
VIEWS = {
    "now": "!!document.querySelector('.cards .spark path')",
    "forecast": "document.querySelectorAll('.chart .band').length === 2 && document.querySelectorAll('.range.said').length === 5",
    "funnel": "document.querySelectorAll('.funnel li').length >= 4",
    "pipeline": "document.querySelectorAll('.column').length === 4",
    "deals": "document.querySelectorAll('tbody tr').length === 20",
    "leads": "document.querySelectorAll('tbody tr').length === 3",
    "team": (
        "!!document.querySelector('tbody tr.all') && document.querySelectorAll('section > .leaders li').length === 5"
        " && document.querySelectorAll('[aria-label^=\"O\"] .goal li').length === 2"
        " && document.querySelectorAll('.goal .leaders li').length > 1 && !!document.querySelector('.goal p.bad')"
    ),
    "sources": "!!document.querySelector('tbody tr')",
    "customers": "document.querySelectorAll('.rfm td b').length > 6 && document.querySelectorAll('.parts .card').length === 6",
    "customer&id=Acme%3A%20renewal%205": "document.querySelectorAll('.facts dd').length >= 7",
    "tests": "document.querySelectorAll('.trial tbody tr').length === 2",
    "alerts": (  # incidents have names there, and no ids
        "document.querySelectorAll('.line li').length >= 3 && !document.querySelector('ol.line').innerText.includes('abc')"
    ),
    "figures": "!!document.querySelector('.stage .spark path')",
    "deal&id=D-21": "document.querySelectorAll('.line li').length === 3 && !!document.querySelector('.expected .chart .is')",
    "lead&id=L-1": "!!document.querySelector('.line li') && !!document.querySelector('.expected .chart .is')",
    "kpi&id=win_rate": (
        "document.querySelectorAll('.chart').length === 2 && !!document.querySelector('.band.usual')"
        " && !!document.querySelector('a[download]')"
    ),
}
#: Why a route says nothing, as it is written down, and as people read it.
HELD = "silenced by ada until 2026-11-19T18:00:00Z: incident=abc (lunch), id s1"
#: Opens the alert about a figure, which has been told.
OPEN = "location.hash = 'alert=abc'"
#: Something that is cut off, though nothing scrolls there.
WIDER = """[...document.querySelectorAll('#view *')].filter((node) => {
  const style = getComputedStyle(node), scrolls = ['hidden', 'auto', 'scroll'].includes(style.overflowX);
  return node.clientWidth && node.scrollWidth > node.clientWidth + 1 && !scrolls && style.display !== 'inline'; }).length"""


@contextlib.asynccontextmanager
async def house(**more: Any) -> AsyncIterator[tuple[Ship, Page]]:
    program("chromium", "chromium-browser", "google-chrome")
    ship = Ship(**more)
    ship.alerts += many(56)
    at = "2026-11-19T12:00:00Z"
    ship.past += [
        ALERT | {"type": "transition", "at": at, "kind": "fired", "incident": "abc", "rule_title": "Win rate low"},
        {"type": "act", "at": at, "by": "ada", "act": "ack", "incident": "abc"},
        {"type": "notification", "at": at, "incident": "abc", "receiver": "console", "outcome": "sent"},
        {"type": "notification", "at": at, "incident": "abc", "receiver": "pager", "outcome": "dead_lettered",
         "reason": "HTTP 404"},
        {"type": "decision", "at": at, "incidents": ["abc"], "outcome": "notified", "receivers": ["console", "pager"],
         "route": "sales", "reason": "it began"},
        {"type": "decision", "at": at, "incidents": ["abc"], "outcome": "held", "route": "night", "reason": HELD},
    ]  # fmt: skip
    await ship.start()
    try:
        async with browser() as page:
            yield ship, page
    finally:
        await ship.stop()


LINK = """(() => {{ const a = document.createElement('a'), lang = new URLSearchParams(location.search).get('lang');
  a.href = `?lang=${{lang}}&window=30d&view={}`; document.body.append(a); a.click(); a.remove(); }})()"""
#: What axe finds: the rule, and where.
VIOLATIONS = """axe.run(document, {resultTypes: ['violations']}).then((found) =>
  JSON.stringify(found.violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120))])))"""
#: The same in the other theme: nothing but colours is another there.
CONTRAST = VIOLATIONS.replace("{", "{runOnly: ['color-contrast'], ", 1)
SETTLED = "!!document.querySelector('#view').childElementCount && !document.querySelector('#view [aria-busy]')"
ENGLISH = ("Amount", "Owner", "Stage\n", "Chance of", "since", "Loading")


async def go(page: Page, view: str) -> None:
    """Go to a view by a link, as a click does."""
    await page.run(LINK.format(view))
    await page.until(VIEWS[view])


@pytest.mark.parametrize(("language", "width", "dark"), [("en", 1280, False), ("fr", 390, True)])
async def test_every_view_fits_says_it_in_its_language_and_can_be_used_by_everybody(language, width, dark):
    async with house() as (ship, page):
        await page.open(f"{ship.url}/?lang={language}&window=30d", width=width, dark=dark)
        await page.until("document.body?.dataset.state === 'live'", 20)
        await page.run(AXE + f";sessionStorage.setItem('vigie.token', {TOKEN!r})")
        await page.run("document.body.append(document.createElement('img'))")
        assert "image-alt" in await page.run(VIOLATIONS)  # it sees
        await page.run("document.querySelector('body > img').remove()")
        for view in VIEWS:
            await go(page, view)
            assert await page.run("document.documentElement.scrollWidth") == width, view
            assert await page.run(WIDER) == 0, view
            if view == "alerts":
                await page.run(OPEN)
                await page.until("document.querySelectorAll('.alert[open] .why li time').length === 4")
            assert json.loads(await page.run(VIOLATIONS)) == [], view
            await page.theme(not dark)
            assert json.loads(await page.run(CONTRAST)) == [], (view, "by day" if dark else "by night")
            await page.theme(dark)
            text = await page.run("document.body.innerText")
            assert not [word for word in ("undefined", "[object", "NaN", "{0}", "null") if word in text.replace("nnulled", "")], (
                view
            )
            assert "T18:00" not in text and "incident=" not in text, "as programs write it"
            if language == "fr":
                assert not [word for word in ENGLISH if word in text], view
        assert page.errors == []
        assert await page.run("document.title") != "pwned"
        assert all(url.startswith((ship.url, "data:", "about:")) for url in page.requests)


async def test_a_view_is_a_link_and_the_way_back_is_the_browser_s():
    async with house() as (ship, page):
        await page.open(f"{ship.url}/?lang=fr&window=7d&view=deals&sort=amount&stage=demo", width=1280)
        await page.until("document.querySelectorAll('tbody tr').length === 5")
        assert await page.run("document.querySelector('#sort').value") == "amount"
        assert "Affaires" in await page.run("document.title")
        await page.act("document.querySelector('tbody a').click()")
        await page.until("document.querySelectorAll('.line li').length === 3")
        assert "view=deal" in await page.run("location.search") and "window=7d" in await page.run("location.search")
        assert await page.run("document.activeElement.id") == "view"  # who reads by ear is told where they are
        # What a fact says is as people write it: money, days, names.
        told = (await page.run("document.querySelector('ol.line').innerText")).replace("\u202f", " ").replace("\u00a0", " ")
        assert "126 815 €" in told and "24 déc. 2026" in told
        await page.run("history.back()")
        await page.until("document.querySelectorAll('tbody tr').length === 5")
        await page.run("const f = document.querySelector('#search'); f.value = 'النور'; f.dispatchEvent(new Event('input'))")
        await page.until("document.querySelectorAll('tbody tr').length === 1")
        assert NAMES[3] in await page.run("document.querySelector('tbody').innerText")
        await page.run("const g = document.querySelector('#search'); g.value = 'zzz'; g.dispatchEvent(new Event('input'))")
        await page.until("document.querySelector('#view').innerText.includes('Rien ne correspond')")
        assert page.errors == []


async def test_the_course_of_a_figure_ends_at_what_it_is_now():
    async with house() as (ship, page):
        await page.open(f"{ship.url}/?lang=en&window=7d&view=kpi&id=sales", width=1280)
        await page.until("document.querySelectorAll('.chart').length === 2")
        times = await page.run("fetch('api/trend?window=7d').then((a) => a.json()).then((trend) => trend.times.length)")
        assert await page.run("document.querySelector('.chart').querySelectorAll('tbody tr').length") == times + 1
        last = await page.run("document.querySelector('.chart tbody tr:last-child td').textContent")
        assert last == await page.run("document.querySelector('#view > .value').firstChild.textContent")


async def test_what_is_gone_away_or_empty_is_said():
    async with house() as (ship, page):
        await page.open(f"{ship.url}/?lang=en&view=deal&id=erased", width=390)
        await page.until("document.querySelector('#view').innerText.includes('deleted or merged')")
        ship.book.away = True
        await page.open(f"{ship.url}/?lang=en&view=pipeline", width=390)
        await page.until("document.querySelector('#view').innerText.includes('another worker')")
        ship.book.away, ship.book.empty = False, True
        await page.until("document.querySelector('#view').innerText.includes('No open deal')", 10)  # it asks again by itself
        await page.open(f"{ship.url}/?lang=en&view=kpi&id=nonsense", width=390)
        await page.until("document.querySelector('#view').innerText.includes('Nothing is known')")


async def test_alerts_are_grouped_chosen_by_owner_and_silenced_by_rule():
    async with house() as (ship, page):
        for number, alert in enumerate(ship.alerts[:56]):
            alert["explanation"] = {"behind": [{"id": alert["id"], "owner": "ada" if number < 14 else "bob"}]}
        await page.open(f"{ship.url}{NOW}", width=1280)
        await page.until("document.querySelectorAll('.rule').length === 2")
        rule = "document.querySelector('[data-key=\"rule lead-unanswered\"]')"
        line = await page.run(f"{rule}.querySelector('summary').innerText")
        assert "56 alerts" in line and "oldest" in line and "2 owners" in line
        await page.run("const s = document.querySelector('#alert-owner'); s.value = 'ada'; s.dispatchEvent(new Event('change'))")
        await page.until(f"{rule}.querySelector('summary').innerText.includes('14 alerts')")
        await page.act(f"{rule}.open = true; {rule}.querySelector('[data-what=silence]').click()")
        await page.until("document.activeElement?.id === 'token'")
        await page.run(f"document.activeElement.value = {TOKEN!r}; document.activeElement.form.requestSubmit()")
        await eventually(lambda: ship.acts == [("ada", "silence", "rule=lead-unanswered")])


async def test_an_alert_says_who_was_told_by_which_route_and_why_others_were_not():
    async with house() as (ship, page):
        await page.open(f"{ship.url}{NOW}", width=1280)
        await page.until("document.body?.dataset.state === 'live'")
        await page.run(f"sessionStorage.setItem('vigie.token', {TOKEN!r})")
        await page.run("location.hash = 'alert=abc'")
        told = await page.until("[...document.querySelectorAll('.alert[open] .why li')].map((one) => one.innerText).join('\\n')")
        assert "told console, pager · by the route sales" in told and "arrived at console" in told
        assert "did not arrive at pager: HTTP 404" in told
        said = "held back: silenced by ada until Nov 19, 2026, 7:00 PM (lunch) · by the route night"
        assert said in told.replace("\u202f", " ")


async def passed_over(page: Page, within: str) -> list[str]:
    """Go on with the tab key to the end; return what can be acted on there and was not come to. Where one is, is seen."""
    await page.run("window.seen = [document.body]")
    note = """seen.push(document.activeElement), seen.at(-1) !== document.body &&
      getComputedStyle(seen.at(-1).closest('.card') ?? seen.at(-1)).outlineStyle"""
    for _ in range(400):
        await page.press("Tab", 9)
        outline = await page.run(note)
        if outline is False:  # out of the page, behind its last link
            break
        assert outline != "none", await page.run("seen.at(-1).outerHTML.slice(0, 120)")
    stops = "a[href], button, input:not([type=radio]), select, summary, [tabindex='0']"
    missed: list[str] = await page.run(f"""[...document.querySelector("{within}").querySelectorAll("{stops}")]
      .filter((one) => one.checkVisibility() && !seen.includes(one)).map((one) => one.outerHTML.slice(0, 120))""")
    return missed


async def test_the_keyboard_alone_reaches_all_there_is():
    async with house() as (ship, page):
        await page.open(f"{ship.url}{NOW}", width=1280)
        await page.until("document.querySelectorAll('.rule').length === 2 && document.querySelectorAll('.card').length === 8")
        await page.run(f"sessionStorage.setItem('vigie.token', {TOKEN!r})")
        assert await passed_over(page, "body") == []
        assert await page.run("seen[1].className") == "skip"
        await page.run("document.querySelector('nav a:nth-child(4)').focus()")
        await page.press("Enter", 13)
        await page.until(VIEWS["pipeline"])
        assert await page.run("document.activeElement.id") == "view"
        for view in [view for view in VIEWS if view != "now"]:
            await go(page, view)
            await page.until(SETTLED)
            assert await passed_over(page, "#view") == [], view


async def test_without_a_server_every_view_says_so_and_keeps_its_form():
    async with house() as (ship, page):
        await page.open(f"{ship.url}/?lang=en&window=30d", width=390)
        await page.until("document.body?.dataset.state === 'live'", 20)
        await page.run(AXE)
        await ship.stop()
        await page.until("document.body.dataset.state === 'reconnecting'")
        for view in VIEWS:
            await page.run(LINK.format(view))
            await page.until(SETTLED)
            text = await page.run("document.body.innerText")
            assert not [word for word in ("undefined", "[object", "NaN", "null") if word in text], (view, text)
            assert "econnecting" in text, view
            assert await page.run("document.documentElement.scrollWidth") == 390, view
            assert json.loads(await page.run(VIOLATIONS)) == [], view


def test_every_word_that_the_page_asks_for_is_there():
    static = "".join(_read(name).decode() for name in ["index.html", *_FILES] if name.endswith((".js", ".html")))
    asked = set(re.findall(r'\bt\(\s*"([a-z_]+)"', static)) | set(re.findall(r'data-(?:text|label)="([a-z_]+)"', static))
    groups = set(re.findall(r'\b(?:named|group)\("([a-z_]+)"', static))
    assert len(asked) > 60 and (asked | groups) - set(languages()["en"].tree["page"]) == set()


def test_the_page_is_small():
    names = ["index.html", *_FILES]
    assert sum(len(gzip.compress(_read(name))) for name in names if name != "act.css") < 60_000


async def test_the_first_figures_come_within_a_second():
    async with house(acme=fresh()) as (ship, page):
        await page.open(f"{ship.url}{NOW}", width=390, height=844)
        await page.until("[...document.querySelectorAll('.value')].some((v) => v.textContent !== '—')")
        top = await page.run("document.querySelector('.value').getBoundingClientRect().bottom")
        assert top < 300


async def test_a_company_of_which_nothing_is_known_yet_is_shown_as_such():
    nothing = fresh()
    nothing.view = View(nothing.business)
    nothing.view.live = True
    nothing.view.advance(nothing.now)
    async with house(acme=nothing) as (ship, page):
        ship.book.empty = True
        ship.alerts.clear()
        await page.open(f"{ship.url}/?lang=en&window=24h", width=390)
        await page.until("document.querySelectorAll('.card').length === 8 && document.body.dataset.state === 'live'")
        await page.until("document.querySelector('#view').innerText.includes('No figures yet')")
        await page.run(AXE)
        for view in VIEWS:
            await page.run(LINK.format(view))
            await page.until(SETTLED)
            text = await page.run("document.body.innerText")
            assert not [word for word in ("undefined", "[object", "NaN", "Infinity") if word in text], (view, text)
            assert await page.run("document.documentElement.scrollWidth") == 390, view
            assert json.loads(await page.run(VIOLATIONS)) == [], view
        # What is not there answers so, which the browser notes.
        assert [said for said in page.errors if "Failed to load resource" not in said] == []
