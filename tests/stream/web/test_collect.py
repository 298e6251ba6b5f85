"""The tracker's door: what pages are told, when, and what comes to the topics."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from models.calendar import iso
from models.events.dead_letter import decode as read_letter
from models.events.decode import decode
from stream.config.settings import Settings, SettingsError, load
from stream.ingest import collect
from stream.ingest import token_bucket as bucket
from stream.ingest.collect import BODY_LIMIT, Collector
from stream.ingest.event_ids import InMemory
from stream.metrics import Metrics
from stream.web import page
from tests.stream.web.test_webhooks import Written

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
KEY = "shop-4f7a2c91"
ORIGIN = "https://www.example.com"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
VISITOR, SESSION = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def settings_for(**more: Any) -> Settings:
    site = {"key": KEY, "origins": [ORIGIN], "demo_forms": ["book-a-demo"], **more.pop("site", {})}
    return load(environ={}, collect={"sites": {"shop": site}, **more})


#: As httpx's in-process transport says who connects.
NEAR = ["127.0.0.0/8"]


def call(type: str = "page_viewed", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{type}-1",
        "type": type,
        "at": NOW - 30_000,
        "visitor": VISITOR,
        "session": SESSION,
        "page": f"{ORIGIN}/pricing",
        "source": "google",
        **more,
    }


def body(*calls: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"sent": NOW, "events": list(calls) or [call(seconds=12.5)], **more}).encode()


class House:
    def __init__(self, **more: Any) -> None:
        self.intake = Written()
        self.now = NOW
        self.outcomes: list[tuple[str, str, int]] = []
        settings = settings_for(**{"proxies": NEAR, **more})
        clock = lambda: self.now  # noqa: E731
        counted = lambda *what: self.outcomes.append(what)  # noqa: E731
        self.door = Collector(settings.collect, self.intake, InMemory(clock), clock=clock, counted=counted)
        app = FastAPI()
        app.add_middleware(page.SecureHeaders)
        app.state.collector = self.door
        app.include_router(collect.router)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://vigie.example.com")

    async def post(self, content: Any = None, path: str = f"/collect?site={KEY}", **headers: str | None) -> httpx.Response:
        sent = {"origin": ORIGIN, "user-agent": AGENT, "content-type": "text/plain;charset=UTF-8"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        sent = {name: value for name, value in sent.items() if headers.get(name.replace("-", "_"), "") is not None}
        return await self.client.post(path, content=body() if content is None else content, headers=sent)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.intake.records if record.topic == "engagement"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    found = House()
    yield found
    await found.client.aclose()
    assert found.door.bodies.under_way == 0


# --- what is taken


async def test_what_is_right_is_written_then_acknowledged(house):
    answer = await house.post()
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "unusable": 0})
    assert answer.headers["access-control-allow-origin"] == ORIGIN and answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers and "set-cookie" not in answer.headers
    (record,) = house.intake.records
    assert (record.topic, record.key) == ("engagement", VISITOR.encode())
    assert json.loads(record.value) == {
        "specversion": "1.0",
        "id": "collect:shop:page_viewed-1",
        "source": "web/shop",
        "type": "web.page_viewed",
        "time": iso(NOW - 30_000),
        "subject": VISITOR,
        "data": {
            "visitor_id": VISITOR,
            "session_id": SESSION,
            "page": f"{ORIGIN}/pricing",
            "source": "google",
            "duration_seconds": 12.5,
        },
    }
    assert house.outcomes == [("shop", "accepted", 1)]


async def test_every_type_the_tracker_sends_is_one_of_the_contract(house):
    digest = "ab" * 32
    calls = [
        call(seconds=1),
        call("cta_clicked", cta="hero"),
        call("form_submitted", form="newsletter"),
        call("form_submitted", form="book-a-demo", id="form-two-2"),
        call("demo_requested", form="call-me"),
        call("identified", lead=digest.upper()),
    ]
    assert (await house.post(body(*calls))).json() == {"accepted": 6, "unusable": 0}
    for record in house.intake.records:
        decode(record.value, (), topic="engagement", arrival=NOW)
    told = [(event["type"].removeprefix("web."), event["data"]) for event in house.events]
    assert [kind for kind, _ in told] == [
        "page_viewed",
        "cta_clicked",
        "form_submitted",
        "demo_requested",
        "demo_requested",
        "identified",
    ]
    assert told[1][1]["cta"] == "hero" and told[3][1]["form"] == "book-a-demo" and told[5][1]["lead_id"] == digest


async def test_a_repeat_is_accepted_and_not_written_again(house):
    assert [(await house.post()).status_code for _ in range(3)] == [202, 202, 202]
    assert len(house.events) == 1 and house.outcomes[1:] == [("shop", "duplicate", 0)] * 2


async def test_one_body_with_the_same_event_twice(house):
    assert (await house.post(body(call(seconds=1), call(seconds=2)))).status_code == 202
    assert [event["data"]["duration_seconds"] for event in house.events] == [1]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/json; charset=utf-8", None])
async def test_content_types_of_beacons_and_fetches(house, kind):
    assert (await house.post(content_type=kind)).status_code == 202


async def test_packed_bodies(house):
    assert (await house.post(gzip.compress(body()), content_encoding="gzip")).status_code == 202
    bomb = gzip.compress(b" " * (16 << 20))
    assert len(bomb) < BODY_LIMIT and (await house.post(bomb, content_encoding="gzip")).status_code == 413
    assert (await house.post(b"no gzip", content_encoding="gzip")).status_code == 400
    assert (await house.post(gzip.compress(body())[:-9], content_encoding="gzip")).status_code == 400
    assert (await house.post(content_encoding="br")).status_code == 415
    assert [outcome for _, outcome, _ in house.outcomes] == [
        "accepted",
        "too_large",
        "bad_encoding",
        "bad_encoding",
        "bad_encoding",
    ]


# --- time


@pytest.mark.parametrize("off", [0, -600_000, 600_000, 400 * 86_400_000, -(NOW - 60_000)])
async def test_a_wrong_clock_does_not_matter(house, off):
    calls = [call(at=NOW + off - 30_000, seconds=12.5), call("cta_clicked", at=NOW + off)]
    await house.post(body(*calls, sent=NOW + off))
    assert [event["time"] for event in house.events] == [iso(NOW - 30_000), iso(NOW)]


async def test_nothing_happens_after_it_was_sent_nor_takes_longer_than_it_may(house):
    await house.post(body(call(at=NOW + 5_000, seconds=9), call(id="another-one", seconds=1e9), call("cta_clicked", at=NOW + 99)))
    assert [event["time"] for event in house.events] == [iso(NOW), iso(NOW - 30_000), iso(NOW)]
    assert [event["data"].get("duration_seconds") for event in house.events] == [0, 30, None]


async def test_what_was_held_back_for_days_is_too_old(house):
    await house.post(body(call(at=NOW - 72 * 3_600_000 - 1), call("cta_clicked", at=NOW - 72 * 3_600_000)))
    assert [event["type"] for event in house.events] == ["web.cta_clicked"]
    assert read_letter(house.intake.records[1].value).reason == "time_out_of_range"


# --- who may


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no key": ({"path": "/collect"}, 401, "unknown_key"),
    "another key": ({"path": "/collect?site=shop"}, 401, "unknown_key"),
    "no origin": ({"origin": None}, 403, "wrong_origin"),
    "another origin": ({"origin": "https://evil.example"}, 403, "wrong_origin"),
    "the origin as a part of another": ({"origin": f"{ORIGIN}.evil.example"}, 403, "wrong_origin"),
    "another scheme": ({"origin": "http://www.example.com"}, 403, "wrong_origin"),
    "another port": ({"origin": f"{ORIGIN}:8443"}, 403, "wrong_origin"),
    "a page without an origin": ({"origin": "null"}, 403, "wrong_origin"),
    "Do Not Track": ({"dnt": "1"}, 204, "opted_out"),
    "Global Privacy Control": ({"sec_gpc": "1"}, 204, "opted_out"),
    "no user agent": ({"user_agent": ""}, 204, "bot"),
    "Googlebot": ({"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, 204, "bot"),
    "a library": ({"user_agent": "python-requests/2.32"}, 204, "bot"),
    "headless": ({"user_agent": AGENT + " HeadlessChrome/140.0"}, 204, "bot"),
    "a headless brand": ({"sec_ch_ua": '"HeadlessChrome";v="140"'}, 204, "bot"),
    "driven by a program": ({"content": body(robot=True)}, 204, "bot"),
    "a form": ({"content_type": "multipart/form-data; boundary=x"}, 415, "bad_content_type"),
    "too large": ({"content": b" " * (BODY_LIMIT + 1)}, 413, "too_large"),
    "a lie about the size": ({"content_length": "-1"}, 413, "too_large"),
    "a huge announcement": ({"content_length": str(10**15)}, 413, "too_large"),
}


@pytest.mark.parametrize(("sent", "status", "outcome"), REFUSED.values(), ids=REFUSED)
async def test_of_what_is_refused_nothing_is_kept(house, sent, status, outcome):
    answer = await house.post(**sent)
    assert (answer.status_code, house.intake.records) == (status, [])
    assert house.outcomes == [("" if outcome == "unknown_key" else "shop", outcome, 0)]
    assert answer.headers["cache-control"] == "no-store"
    # The tracker must be able to read the answer, else it would try again for ever.
    assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")
    assert (answer.content == b"") == (status == 204)


@pytest.mark.parametrize("dnt", ["0", "unspecified", ""])
async def test_only_one_says_do_not_track(house, dnt):
    assert (await house.post(dnt=dnt, sec_gpc="0")).status_code == 202


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG POWER) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 13; CUBOT_NOTE_21) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1) Presto/2.12.423 Version/12.16",
    ],
)
async def test_people_are_no_robots(house, agent):
    assert (await house.post(user_agent=agent)).status_code == 202


async def test_the_filter_is_the_operators():
    house = House(bots={"known": False, "headless": False, "also": ["acme-probe"]})
    for agent in ("Googlebot/2.1", "HeadlessChrome/140", ""):
        assert (await house.post(user_agent=agent)).status_code == 202
    assert (await house.post(body(robot=True))).status_code == 202
    assert (await house.post(user_agent="ACME-Probe 3")).status_code == 204


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ("https://*.example.com", "https://shop.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "http://shop.example.com", False),
        ("https://*.example.com:8443", "https://shop.example.com:8443", True),
        ("https://*.example.com:8443", "https://shop.example.com", False),
        ("HTTPS://Example.com:443/", "https://example.com", True),
        ("http://[::1]:8000", "http://[::1]:8000", True),
        ("null", "null", True),
    ],
)
def test_origins(allowed, origin, may):
    (site,) = settings_for(site={"origins": [allowed]}).collect.sites.values()
    assert site.allows(origin) is may


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"site": {"origins": []}}, "origins"),
        ({"site": {"origins": ["www.example.com"]}}, "scheme and host"),
        ({"site": {"origins": ["*"]}}, "scheme and host"),
        ({"site": {"origins": ["https://example.com/shop"]}}, "scheme and host"),
        ({"site": {"origins": ["https://*.*.com"]}}, "scheme and host"),
        ({"site": {"origins": ["https://example.com:99999"]}}, "origins"),
        ({"site": {"key": "short"}}, "key"),
        ({"proxies": ["nowhere"]}, "networks such as"),
        ({"bots": {"also": ["("]}}, "no regular expression"),
        ({"sites": {"a": {"key": KEY, "origins": [ORIGIN]}, "b": {"key": KEY, "origins": [ORIGIN]}}}, "same key"),
        ({"sites": {"a b": {"key": KEY, "origins": [ORIGIN]}}}, "no name for a site"),
    ],
)
def test_settings_that_cannot_be_used_are_said(wrong, said):
    with pytest.raises(SettingsError, match=said):
        load(environ={}, collect=wrong) if "sites" in wrong else settings_for(**wrong)


# --- what cannot be used


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no_value"),
    "garbage": (b"\x00\xff{", "bad_json"),
    "NaN": (b'{"sent": NaN, "events": []}', "bad_json"),
    "deep": (b"[" * 30_000 + b"]" * 30_000, "bad_json"),
    "nested": (b'{"sent":1,"events":' + b"[" * 40 + b"]" * 40 + b"}", "bad_json"),
    "a key twice": (b'{"sent": 1, "sent": 2, "events": []}', "bad_json"),
    "UTF-16": ('{"sent": 1}'.encode("utf-16"), "bad_json"),
    "a list": (b"[]", "not_an_object"),
    "no time": (b'{"events": [{}]}', "bad_time"),
    "an endless time": (b'{"sent": 1e300, "events": [{}]}', "bad_time"),
    "no events": (b'{"sent": 1, "events": []}', "invalid_data"),
    "too many": (body(*[call(id=f"event-{n:04}") for n in range(101)]), "invalid_data"),
    "an event that is none": (b'{"sent": 1, "events": [7]}', "not_an_object"),
    "another type": (body(call("deal.won")), "unknown_type"),
    "a type that is none": (body(call(type=["x"])), "unknown_type"),  # type: ignore[arg-type]
    "no visitor": (body(call(visitor=None)), "invalid_data"),
    "a short id": (body(call(id="1")), "invalid_data"),
    "an id with markup": (body(call(id="<script>alert</script>")), "invalid_data"),
    "a session of another kind": (body(call(session=5)), "invalid_data"),
    "a name of another kind": (body(call("cta_clicked", cta={"a": 1})), "invalid_data"),
    "a name with a line feed": (body(call("cta_clicked", cta="a\nb")), "invalid_data"),
    "no lead": (body(call("identified")), "invalid_data"),
    "seconds below 0": (body(call(seconds=-1)), "invalid_data"),
    "seconds as text": (body(call(seconds="1")), "invalid_data"),
    "a page that is none": (body(call(page="https://[::1")), "invalid_data"),
    "half a character": (body(call(page="\ud800")), "bad_json"),
}


@pytest.mark.parametrize(("content", "reason"), UNUSABLE.values(), ids=UNUSABLE)
async def test_what_is_unusable_is_accepted_with_a_dead_letter(house, content, reason):
    answer = await house.post(content)
    assert (answer.status_code, answer.json()["unusable"]) == (202, 1)
    (record,) = house.intake.records
    letter = read_letter(record.value)
    assert (record.topic, letter.topic, letter.reason.value) == ("dead-letters", "collect.shop", reason)
    assert letter.value == content and letter.headers == []
    assert house.outcomes == [("shop", "unusable", 0)]


async def test_one_unusable_event_does_not_keep_the_others_out(house):
    assert (await house.post(body(call(), call("nonsense"), call("cta_clicked")))).json() == {"accepted": 2, "unusable": 1}
    assert [record.topic for record in house.intake.records] == ["engagement", "engagement", "dead-letters"]
    assert "events[1]" in read_letter(house.intake.records[2].value).detail


async def test_strangers_cannot_fill_the_dead_letters():
    house = House(client_rate=0)
    for n in range(50):
        assert (await house.post(b"garbage %d" % n)).status_code == 202
    assert len(house.intake.records) == collect.LETTERS_AT_ONCE
    house.now += 3_000
    for n in range(5):
        await house.post(b"more %d" % n)
    assert len(house.intake.records) == collect.LETTERS_AT_ONCE + 3


# --- privacy


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("page", "https://www.example.com/a?mail=ann@example.com#top", "https://www.example.com/a"),
        ("page", "https://ann:secret@www.example.com/a", "https://www.example.com/a"),
        ("page", "https://www.example.com/unsubscribe/ann@example.com/now", "https://www.example.com/unsubscribe/(e-mail)/now"),
        ("page", "https://www.example.com/u/ann%40example.com", "https://www.example.com/u/(e-mail)"),
        ("page", "/pricing?x=1", "/pricing"),
        ("page", "Pricing", "Pricing"),
        ("page", "https://shop.example.com:8443/x", "https://shop.example.com:8443/x"),
        ("page", "https://elsewhere.example/x", "other"),
        ("page", "https://www.example.com/" + "x" * 5_000, "https://www.example.com/" + "x" * 976),
        ("referrer", "https://mail.example/inbox/?q=ann@example.com", "https://mail.example/inbox/"),
        ("source", "newsletter ann@example.com", "newsletter (e-mail)"),
        ("campaign", "x" * 5_000, "x" * 512),
        ("source", "", None),
    ],
)
async def test_what_names_a_person_does_not_go_on_nor_pages_of_others(field, sent, kept):
    house = House(site={"origins": [ORIGIN, "https://shop.example.com:8443"]})
    assert (await house.post(body(call(**{field: sent})))).json()["accepted"] == 1
    assert house.events[0]["data"].get(field) == kept


async def test_an_address_becomes_a_hash(house):
    await house.post(body(call("identified", lead=" Ann@Example.com ")))
    assert house.events[0]["data"]["lead_id"] == hashlib.sha256(b"ann@example.com").hexdigest()
    assert b"xample.com" not in house.intake.records[0].value.replace(b"www.example.com", b"")


async def test_no_address_is_kept(house):
    await house.post(x_forwarded_for="203.0.113.77")
    await house.post(b"garbage", x_forwarded_for="203.0.113.77")
    held = b"".join(record.value + record.key for record in house.intake.records) + repr(house.door._clients).encode()
    assert b"203.0.113.77" not in held and AGENT.encode() not in held


# --- bounds


async def test_the_rate_of_an_address_is_limited():
    house = House(client_rate=1)
    statuses = [(await house.post(x_forwarded_for="203.0.113.1")).status_code for _ in range(7)]
    assert statuses == [202] * 5 + [429] * 2
    answer = await house.post(x_forwarded_for="203.0.113.1")
    assert answer.headers["retry-after"] and answer.headers["access-control-allow-origin"] == ORIGIN
    assert (await house.post(x_forwarded_for="203.0.113.2")).status_code == 202
    house.now += 1_000
    assert [(await house.post(x_forwarded_for="203.0.113.1")).status_code for _ in range(2)] == [202, 429]


async def test_the_rate_of_a_site_is_limited():
    house = House(site={"rate": 2}, client_rate=0)
    assert [(await house.post()).status_code for _ in range(3)] == [202, 202, 429]


async def test_the_addresses_that_are_watched_are_bounded(monkeypatch):
    monkeypatch.setattr(bucket, "CLIENTS", 10)
    house = House()
    for n in range(50):
        await house.post(x_forwarded_for=f"203.0.113.{n}")
    assert len(house.door._clients) == 10


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's word
        ("10.0.0.7", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.7", "6.6.6.6, 198.51.100.1, 10.0.0.8", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.7", "nonsense", "10.0.0.7"),
        ("10.0.0.7", "198.51.100.1:51234", "198.51.100.1"),
        ("::ffff:10.0.0.7", "[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("unix:", "", ""),
    ],
)
def test_who_sends(peer, forwarded, client):
    assert settings_for(proxies=["10.0.0.0/8", "127.0.0.0/8"]).collect.client(peer, forwarded) == client
    assert settings_for().collect.client("10.0.0.7", "198.51.100.1") == "10.0.0.7", "nobody is believed who is not named"


async def test_a_slow_body_is_given_up(house):
    house.door.bodies.seconds = 0.01

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert (await house.post(slow())).status_code == 408


async def test_an_endless_body_is_cut_off(house):
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 4_096

    assert (await house.post(endless())).status_code == 413


async def test_more_at_a_time_than_allowed_are_asked_to_come_back(house):
    house.door.bodies.at_once = 2
    house.intake.gate = asyncio.Event()
    first = [asyncio.create_task(house.post(body(call(id=f"event-{n:04}")))) for n in range(2)]
    while house.door.bodies.under_way < 2:  # noqa: ASYNC110 - the loop's next round, not a wait
        await asyncio.sleep(0)
    answer = await house.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    house.intake.gate.set()
    assert [found.status_code for found in await asyncio.gather(*first)] == [202, 202]


async def test_while_the_broker_is_away_nothing_is_accepted_and_a_retry_is_no_duplicate(house):
    house.intake.away = True
    answer = await house.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    house.intake.away = False
    assert (await house.post()).status_code == 202 and len(house.events) == 1


# --- the browser's questions, and the script


async def ask(house: House, path: str = f"/collect?site={KEY}", origin: str = ORIGIN) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    return await house.client.options(path, headers=asked)


async def test_preflight(house):
    answer = await ask(house)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "content-type" in answer.headers["access-control-allow-headers"]
    for refused in (await ask(house, origin="https://evil.example"), await ask(house, "/collect?site=nobody")):
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers


async def test_only_post(house):
    assert (await house.client.get(f"/collect?site={KEY}")).status_code == 405


async def test_the_script_is_cached_by_its_tag(house):
    answer = await house.client.get("/vigie.js")
    assert answer.status_code == 200 and "sendBeacon" in answer.text
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "max-age=" in answer.headers["cache-control"] and answer.headers["content-encoding"] == "gzip"
    again = await house.client.get("/vigie.js", headers={"if-none-match": f'"x", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    plain = await house.client.get("/vigie.js", headers={"accept-encoding": "identity", "if-none-match": '"x"'})
    assert plain.text == answer.text and plain.headers["etag"] != answer.headers["etag"]
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"


def test_the_script_is_small():
    plain, packed, _ = collect._script()
    assert len(packed) < 3_000 and gzip.decompress(packed) == plain
    assert b"document.cookie" not in plain and b"innerHTML" not in plain


async def test_metrics_count_requests():
    metrics = Metrics()
    metrics.show_sites(["shop"])
    metrics.collected("shop", "accepted", 3)
    text = (await metrics.scrape(""))[0].decode()
    assert 'vigie_collect_total{outcome="accepted",site="shop"} 1.0' in text
    assert 'vigie_collect_total{outcome="unknown_key",site=""} 0.0' in text
    assert 'vigie_collect_events_total{site="shop"} 3.0' in text
