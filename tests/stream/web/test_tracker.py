"""The tracker in a browser: pages on one address, the tracker's door on another, as in life."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI, Request, Response

from models.events.scalars import parse_time
from stream.config.settings import Settings, load
from stream.engine.options import wall_clock
from stream.ingest import collect
from stream.ingest.collect import Collector
from stream.ingest.event_ids import InMemory
from stream.web.server import Listening, serve
from tests.browser import Page, browser
from tests.stream.web.test_collect import AGENT, KEY
from tests.stream.web.test_webhooks import Written
from tests.tools import eventually, free_port, program
from vigie.running import prepared
from vigie.up import start_web

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[3]
READY = "typeof window.vigie?.consent === 'function'"

HTML = """<!doctype html><title>Shop</title>
<meta name="referrer" content="{policy}">
<script defer src="{vigie}/vigie.js" data-site="{key}" {more}></script>
<a id="more" href="/contact">Contact</a> <a id="buy" data-vigie-cta href="/buy"><b id="bold">Buy now</b></a>
<button id="hero" data-vigie-cta="hero">Buy</button>
<form name="newsletter" action="/thanks"><input name="email" value="ann@example.com"><input name="id"><input name="name">
<button id="send">Send</button></form>
<form id="call-me" data-vigie-demo method="dialog"><input name="phone" value="0123456789">
<button id="call">Call me</button></form>
"""


class Shop:
    """A web site whose pages load the tracker from ``vigie``."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.vigie = ""
        self.more = ""
        self.policy = "strict-origin-when-cross-origin"
        self._listening: Listening | None = None

    async def __aenter__(self) -> "Shop":
        app = FastAPI()

        @app.get("/favicon.ico")
        async def icon() -> Response:
            return Response(status_code=204)

        @app.get("/{path:path}")
        async def show(path: str) -> Response:
            html = HTML.format(vigie=self.vigie, key=KEY, more=self.more, policy=self.policy)
            # As strict as a site can be: what the guide says is needed, and nothing else.
            csp = f"default-src 'none'; script-src {self.vigie}; connect-src {self.vigie}; form-action 'self'"
            return Response(html, media_type="text/html", headers={"cache-control": "no-cache", "content-security-policy": csp})

        self._listening = await serve(app, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._listening is not None
        await self._listening.stop()

    def settings(self, **more: Any) -> Settings:
        site = {"key": KEY, "origins": [self.url], **more.pop("site", {})}
        bots = {"headless": False} if more.pop("headless", True) else {}
        return load(environ={}, collect={"sites": {"shop": site}, "bots": bots}, **more)


class Listener(Collector):
    """A collector that keeps the bodies."""

    bodies_seen: list[bytes]
    outcomes: Counter[str]

    async def take(self, site: Any, body: bytes, now: int) -> Any:
        self.bodies_seen.append(body)
        return await super().take(site, body, now)


class Met:
    """A page of the shop in a browser, and what has arrived of it."""

    def __init__(self, shop: Shop, page: Page, door: Listener, intake: Written) -> None:
        self.shop, self.page, self.door, self.intake = shop, page, door, intake

    @property
    def events(self) -> list[dict[str, Any]]:
        assert all(record.topic == "engagement" for record in self.intake.records), self.intake.records
        return [json.loads(record.value) for record in self.intake.records]

    def told(self) -> list[tuple[str, str]]:
        """What happened, in its own order: kind, and page, name or lead."""
        found = []
        for event in sorted(self.events, key=lambda e: e["time"]):
            data = event["data"]
            page = data["page"].removeprefix(self.shop.url)
            found.append((event["type"].removeprefix("web."), data.get("cta") or data.get("form") or data.get("lead_id") or page))
        return found

    async def arrived(self, count: int) -> None:
        await eventually(lambda: len(self.events) >= count)

    async def open(self, path: str = "/") -> None:
        await self.page.open(self.shop.url + path)
        await self.page.until(READY)

    async def leave(self) -> None:
        await self.page.call("Page.navigate", url="about:blank")

    async def click(self, id: str) -> None:
        await self.page.act(f"document.querySelector('#{id}').click()")

    async def turn(self, state: str) -> None:
        """Show or hide the page, as the browser does when the visitor turns to another tab."""
        await self.page.run(
            f"Object.defineProperty(document, 'visibilityState', {{value: '{state}', configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )


@contextlib.asynccontextmanager
async def meeting(*, agent: str = AGENT, more: str = "", policy: str | None = None, **settings: Any) -> AsyncIterator[Met]:
    program("chromium", "chromium-browser", "google-chrome")
    async with Shop() as shop:
        shop.more, shop.policy = more, policy or shop.policy
        intake, outcomes = Written(), Counter[str]()
        counted = lambda site, outcome, events: outcomes.update([outcome])  # noqa: E731
        door = Listener(shop.settings(**settings).collect, intake, InMemory(), counted=counted)
        door.bodies_seen, door.outcomes = [], outcomes
        app = FastAPI()
        app.state.collector = door

        @app.middleware("http")
        async def watched(request: Request, call_next: Any) -> Response:
            outcomes[f"{request.method} {request.url.path}"] += 1
            assert "cookie" not in request.headers
            return await call_next(request)

        app.include_router(collect.router)
        vigie = await serve(app, "127.0.0.1", 0)
        shop.vigie = vigie.url
        try:
            async with browser() as page:
                if agent:
                    await page.call("Network.setUserAgentOverride", userAgent=agent)
                yield Met(shop, page, door, intake)
                assert page.errors == []
        finally:
            await vigie.stop()


async def test_a_visit_without_consent():
    async with meeting() as met:
        began = wall_clock()
        await met.open("/?utm_source=ads&utm_campaign=spring&mail=ann@example.com#top")
        await met.page.run("new Promise(done => setTimeout(done, 120))")
        await met.click("hero")
        await met.page.run("history.pushState({}, '', '/pricing?plan=3')")
        await met.page.run("history.pushState({}, '', '/pricing?plan=4')")  # the same page
        await met.page.run("history.back(); new Promise(done => addEventListener('popstate', () => done(), {once: true}))")
        await met.page.run("history.back(); new Promise(done => addEventListener('popstate', () => done(), {once: true}))")
        assert await met.page.run("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        await met.click("call")
        await met.click("send")
        await met.page.until("location.pathname === '/thanks'")
        await met.page.until(READY)
        await met.leave()
        await met.arrived(7)
        assert Counter(met.told()) == Counter(
            {
                ("page_viewed", "/"): 2,
                ("page_viewed", "/pricing"): 1,
                ("page_viewed", "/thanks"): 1,
                ("cta_clicked", "hero"): 1,
                ("demo_requested", "call-me"): 1,
                ("form_submitted", "newsletter"): 1,
            }
        )
        first = next(event for event in met.events if event["type"] == "web.page_viewed")
        assert first["data"]["source"] == "ads" and first["data"]["campaign"] == "spring"
        assert 0.12 <= first["data"]["duration_seconds"] <= (wall_clock() - began) / 1000
        assert began - 1_000 <= parse_time(first["time"]) <= wall_clock()
        # One document is one visitor; the next one, without consent, another.
        visitors = Counter(event["subject"] for event in met.events)
        assert sorted(visitors.values()) == [1, 6]
        # Each batch was sent once, and neither contents nor queries with it.
        assert len({event["id"] for event in met.events}) == 7
        sent = b"".join(met.door.bodies_seen)
        assert not any(private in sent for private in (b"ann", b"0123456789", b"plan", b"#top"))


async def test_with_consent_a_visitor_is_known_again_until_it_is_withdrawn():
    async with meeting(more='data-consent="true"') as met:
        await met.open("/")
        await met.click("more")
        await met.page.until("location.pathname === '/contact'")
        await met.page.until(READY)
        assert await met.page.run("Object.keys(localStorage).join()") == "vigie"
        assert await met.page.run("document.cookie") == ""
        await met.click("hero")
        await met.page.run("vigie.consent(false)")
        assert await met.page.run("localStorage.length") == 0
        await met.click("call")
        await met.leave()
        await met.arrived(4)
        by = {name: event["subject"] for name, event in zip(met.told(), sorted(met.events, key=lambda e: e["time"]), strict=True)}
        known = by[("page_viewed", "/")]
        assert by[("cta_clicked", "hero")] == known != by[("demo_requested", "call-me")]
        sessions = {event["data"]["session_id"] for event in met.events if event["subject"] == known}
        assert len(sessions) == 1
        assert {event["data"]["source"] for event in met.events if event["subject"] == known} == {"direct"}


async def test_consent_that_comes_late_keeps_the_visit():
    async with meeting() as met:
        await met.open("/?utm_source=ads")
        await met.click("hero")
        await met.page.run("vigie.consent(true)")
        await met.click("more")
        await met.page.until("location.pathname === '/contact'")
        await met.page.until(READY)
        await met.page.run("vigie.consent(true)")
        await met.leave()
        await met.arrived(3)
        # The page that asked anew had begun before it was told; what follows is the same visitor.
        assert len({event["subject"] for event in met.events[:2]}) == 1
        await met.open("/")
        await met.page.run("vigie.consent(true); vigie.cta('again')")
        await met.arrived(4)
        (again,) = [event for event in met.events if event["data"].get("cta") == "again"]
        assert again["subject"] == met.events[0]["subject"] and again["data"]["source"] == "ads"


@pytest.mark.parametrize(
    "wish",
    [
        "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
    ],
    ids=["Do Not Track", "Global Privacy Control"],
)
async def test_who_does_not_want_to_be_followed_sends_nothing_at_all(wish):
    async with meeting(more='data-consent="true"') as met:
        await met.page.call("Page.enable")
        added = await met.page.call("Page.addScriptToEvaluateOnNewDocument", source=wish)
        await met.open("/")
        await met.page.run("vigie.identify('ann@example.com'); vigie.cta('x'); vigie.consent(true); vigie.push(['demo', 'y'])")
        for id in ("hero", "call", "more"):
            await met.click(id)
        await met.page.until("location.pathname === '/contact'")
        assert await met.page.run("localStorage.length + document.cookie.length") == 0
        await met.leave()
        # The same steps without the wish do arrive: by then, what the others would have sent would have, too.
        await met.page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
        await met.open("/control")
        await met.click("hero")
        await met.leave()
        await met.arrived(2)
        assert {event["data"]["page"] for event in met.events} == {f"{met.shop.url}/control"}
        assert met.door.outcomes["GET /vigie.js"] >= 1 and met.door.outcomes["OPTIONS /collect"] == 0
        assert met.door.outcomes["POST /collect"] == met.door.outcomes["accepted"] + met.door.outcomes["duplicate"]


async def test_a_page_counts_while_it_is_seen_and_once():
    async with meeting() as met:
        await met.open("/")
        await met.page.run("new Promise(done => setTimeout(done, 100))")
        await met.turn("hidden")
        await met.arrived(1)
        await met.page.run("new Promise(done => setTimeout(done, 400))")
        await met.turn("visible")
        await met.click("hero")
        await met.turn("hidden")
        await met.turn("visible")
        await met.leave()
        await met.arrived(2)
        assert [event["type"] for event in met.events] == ["web.page_viewed", "web.cta_clicked"]
        assert 0.1 <= met.events[0]["data"]["duration_seconds"] < 0.4 + 0.1
        # Half an hour later it is another visit, and another view.
        await met.open("/long")
        await met.turn("hidden")
        await met.page.run("const now = Date.now; Date.now = () => now() + 31 * 60000")
        await met.turn("visible")
        await met.leave()
        await met.arrived(4)
        first, second = (event["data"]["session_id"] for event in met.events[2:])
        assert first != second


async def test_a_page_that_was_never_seen_is_no_view():
    async with meeting() as met:
        await met.page.call("Page.enable")
        hidden = "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
        await met.page.call("Page.addScriptToEvaluateOnNewDocument", source=hidden)
        await met.open("/background")
        await met.leave()
        await met.open("/later")
        await met.turn("visible")
        await met.leave()
        await met.arrived(1)
        assert met.told() == [("page_viewed", "/later")]


async def test_a_click_that_leaves_the_page_and_the_way_back():
    async with meeting(more='data-consent="true"') as met:
        await met.page.call("Page.enable")
        await met.open("/")
        await met.click("bold")
        await met.page.until(f"location.pathname === '/buy' && {READY}")
        await met.page.run("history.back()")
        await met.page.until(f"location.pathname === '/' && {READY}")
        await met.leave()
        await met.arrived(4)
        assert met.told()[0] == ("page_viewed", "/") and met.told()[1] == ("cta_clicked", "buy")
        assert Counter(met.told()[2:]) == Counter([("page_viewed", "/buy"), ("page_viewed", "/")])
        assert len({event["data"]["session_id"] for event in met.events}) == 1


async def test_what_somebody_wrote_into_the_storage_does_no_harm():
    async with meeting(more='data-consent="true"') as met:
        await met.page.call("Page.enable")
        for kept in ('{"visitor": 5}', "[", "null", '{"visitor": "x", "session": {}, "last": 1e99}'):
            await met.open("/")
            await met.page.run(f"localStorage.setItem('vigie', {kept!r}); vigie.cta('x')")
        await met.leave()
        await met.arrived(8)
        assert Counter(met.told()) == Counter({("page_viewed", "/"): 4, ("cta_clicked", "x"): 4})


async def test_an_address_is_hashed_in_the_browser():
    async with meeting() as met:
        await met.open("/")
        await met.page.run("vigie.identify(' Ann@Example.com ')")
        await met.page.run("vigie.identify('CRM-Lead-7')")
        await met.arrived(2)
        leads = {event["data"]["lead_id"] for event in met.events}
        assert leads == {hashlib.sha256(b"ann@example.com").hexdigest(), "CRM-Lead-7"}
        assert b"xample.com" not in b"".join(met.door.bodies_seen).lower()


async def test_what_the_server_did_not_take_is_sent_again_and_counted_once():
    async with meeting() as met:
        await met.open("/")
        met.intake.away = True
        await met.click("hero")
        await eventually(lambda: met.door.outcomes["unavailable"] >= 1)
        met.intake.away = False
        await met.page.run("vigie.cta('second')")
        await met.arrived(2)
        await met.leave()
        await met.arrived(3)
        assert Counter(met.told()) == Counter([("page_viewed", "/"), ("cta_clicked", "hero"), ("cta_clicked", "second")])
        met.page.errors = [error for error in met.page.errors if "503" not in error]  # the browser says so, as it must


async def test_calls_made_before_the_tracker_is_there_are_not_lost():
    async with meeting() as met:
        await met.page.call("Page.enable")
        calls = "['cta', 'early'], ['no such call'], ['page', 'Home']"
        early = f"if (location.pathname === '/') (window.vigie = window.vigie || []).push({calls})"
        await met.page.call("Page.addScriptToEvaluateOnNewDocument", source=early)
        await met.open("/")
        await met.page.run("vigie.push(['form', 'late']); vigie.push(['none'])")
        await met.leave()
        await met.arrived(4)
        assert ("cta_clicked", "early") in met.told() and ("form_submitted", "late") in met.told()
        assert [name for kind, name in met.told() if kind == "page_viewed"] == ["/", "Home"]


async def test_a_browser_that_a_program_drives_is_not_counted():
    async with meeting(agent="", headless=False) as met:
        await met.open("/")
        await met.click("hero")
        await met.leave()
        await eventually(lambda: met.door.outcomes["bot"] >= 1)
        assert met.intake.records == []


async def test_pages_that_tell_no_referrer_tell_their_origin():
    async with meeting(policy="no-referrer") as met:
        await met.open("/")
        await met.page.act("location.href = '/next'")
        await met.page.until("location.pathname === '/next'")
        await met.page.until(READY)
        await met.leave()
        await met.arrived(2)
        assert [event["data"].get("referrer") for event in met.events] == [None, None]


def the_kpis() -> dict[str, Any]:
    """The KPIs that the guide gives to whoever connects a site."""
    guide = (ROOT / "docs/connect/tracker.md").read_text()
    (text,) = [block.split("```")[0] for block in guide.split("```yaml\n") if block.startswith("# web-kpis.yaml")]
    return dict(yaml.safe_load(text))


async def test_page_views_clicks_and_forms_arrive_as_kpis(tmp_path: Path):
    program("chromium", "chromium-browser", "google-chrome")
    ours = tmp_path / "web-kpis.yaml"
    ours.write_text(yaml.safe_dump(the_kpis()))
    async with Shop() as shop, contextlib.AsyncExitStack() as stack:
        shop.more = 'data-consent="true"'
        settings = shop.settings(kafka__partitions=2, web__port=0, kpi_files=[ours], receivers=[])
        instance = await stack.enter_async_context(prepared(settings))
        shop.vigie = await start_web(instance, stack)
        await instance.start()
        page = await stack.enter_async_context(browser())
        await page.call("Network.setUserAgentOverride", userAgent=AGENT)

        async def there(path: str) -> None:
            await page.until(f"location.pathname === '{path}' && {READY}")

        began = wall_clock()
        await page.open(shop.url + "/?utm_source=ads")
        await there("/")
        await page.act("document.querySelector('#hero').click()")
        await page.run("history.pushState({}, '', '/pricing')")
        await page.run("new Promise(done => setTimeout(done, 300))")
        await page.act("document.querySelector('#more').click()")
        await there("/contact")
        await page.act("document.querySelector('#call').click()")
        await page.act("document.querySelector('#send').click()")
        await there("/thanks")
        await page.call("Page.navigate", url="about:blank")

        readings: dict[tuple[str, str], Any] = {}
        async with httpx.AsyncClient(base_url=shop.vigie, timeout=60) as client:

            async def read() -> dict[tuple[str, str], Any]:
                for by in ({}, {"by": "source"}):
                    answer = await client.get("/api/kpis", params={"window": "24h", **by})
                    if answer.status_code == 200:
                        readings.update({(r["kpi"], r["segment"].get("source", "")): r["value"] for r in answer.json()})
                return readings

            async def scraped() -> str:
                return (await client.get("/metrics")).text

            known = {"page_views": 4, "sessions": 1, "pages_per_session": 4, "bounce_rate": 0, "cta_click_rate": 0.25}
            known |= {"forms": 1, "demos": 1}
            expected = {(name, of): value for name, value in known.items() for of in ("", "ads")}
            last_event = 'vigie_source_last_event_timestamp_seconds{source="web/shop"}'
            brought = re.compile(r'^vigie_collect_events_total\{site="shop"\} (\d+)', re.MULTILINE)

            def whole(said: str) -> bool:
                """Four views, a click, a form, and that the page was left, which may come last. Who leaves while a request is
                under way sends once more what is in it: it is brought twice, and counts once."""
                found = brought.search(said)
                return found is not None and int(found[1]) >= 7 and last_event in said

            # What is missing after that time is said below, by what is asserted.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(120):
                    while not expected.items() <= (await read()).items():  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.1)
                    while not whole(await scraped()):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
            took, said = (wall_clock() - began) / 1000, await scraped()
        assert {name: readings.get(name) for name in expected} == expected
        assert whole(said), said
        assert 0.3 <= readings["session_duration", ""] <= took
        assert readings["visitor_to_lead_rate", ""] == 0
