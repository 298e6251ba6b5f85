"""Acting from a message: looking does nothing, a button works once, and Slack's requests are Slack's."""

import asyncio
import hashlib
import hmac
import json
import urllib.parse
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from alert_rules.tell.delivery import Delivery
from alert_rules.tell.signed_links import LinkKey, Links
from stream.web.acting import Acting
from stream.web.page import SecureHeaders, router
from stream.web.server import serve
from tests.alert_rules.readings import BASE
from tests.alert_rules.timeline import Line
from tests.browser import browser
from tests.tools import program

LINKS = Links((LinkKey("k1", b"k" * 32),), "http://vigie", 3_600_000)
SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"


class Door:
    """The routes over a worker on a simulated clock, with one alert that stands and its message's links."""

    def __init__(self, *, secrets: tuple[bytes, ...] = (SECRET,), fails: bool = False, owned: bool = True) -> None:
        self.line = Line()
        self.now = BASE
        self.fails = fails
        self.acts: list[dict[str, Any]] = []
        self.line.fire("a")()
        self.line.run("1s")
        fold = self.line.fold
        acting = Acting(
            LINKS,
            self.put,
            slack=secrets,
            used=lambda link: fold.used(link) if owned else None,
            stands=lambda incident: fold.stands(incident) if owned else None,
            title=lambda incident: fold.title(incident) if owned else None,
            clock=lambda: self.now,
        )
        self.app = app = FastAPI()
        app.add_middleware(SecureHeaders)
        app.include_router(acting.router())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie")
        message = Delivery("msg_1", "boss", "a", 0, BASE, 0, BASE, None, self.line.said[0].tree)
        self.ack, self.silence, self.open = LINKS.actions(message)

    slow: Any = None

    async def put(self, key: bytes, value: bytes) -> None:
        if self.slow is not None:
            slow, self.slow = self.slow, None
            await slow(key, value)
            return
        if self.fails:
            raise OSError("no broker")
        self.acts.append(orjson.loads(value))
        self.line.put(value)

    @property
    def acknowledged(self) -> Any:
        return (self.line.fold.standing("a") or {})["acknowledged"]

    async def press(self, *tokens: str, at: int | None = None, **changes: Any) -> int:
        """Press buttons in Slack."""
        actions = [{"action_id": "vigie_ack", "value": token} for token in tokens]
        payload = {"type": "block_actions", "user": {"id": "U1", "username": "ann"}, "actions": actions} | changes
        return await self.slack(urllib.parse.urlencode({"payload": json.dumps(payload)}).encode(), at=at)

    async def slack(self, body: bytes, at: int | None = None, secret: bytes = SECRET, **headers: str) -> int:
        stamp = str((self.now if at is None else at) // 1000)
        signed = hmac.new(secret, f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        sent = {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={signed}"} | headers
        return (await self.client.post("/slack/interactivity", content=body, headers=sent)).status_code


async def test_looking_does_nothing_and_the_button_acts_once() -> None:
    door = Door()
    for method in ("GET", "GET", "HEAD"):  # previews, scanners
        answer = await door.client.request(method, door.ack.url)
    page = await door.client.get(door.ack.url)
    assert page.status_code == 200 and '<form method="post">' in page.text and "[WARN] a (a), as boss." in page.text
    assert answer.status_code in (200, 405) and door.acts == []
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "no-referrer"
    assert "form-action 'self'" in page.headers["content-security-policy"] and "script" not in page.text

    done = await door.client.post(door.ack.url)
    assert done.status_code == 200 and "Acknowledged" in done.text and "<form" not in done.text
    assert door.acknowledged == {"by": "boss", "at": "2026-01-01T00:00:00Z"}
    assert (door.acts[0]["via"], door.acts[0]["act"]) == ("link", "ack")

    again = await door.client.post(door.ack.url)
    assert again.status_code == 410 and "used before" in again.text and len(door.acts) == 1
    assert (await door.client.get(door.ack.url)).status_code == 410


async def test_of_two_quick_presses_one_acts_and_the_other_says_so() -> None:
    door = Door(owned=False)
    gate, right = asyncio.Event(), door.put

    async def slow(key: bytes, value: bytes) -> None:
        await gate.wait()
        await right(key, value)

    door.slow = slow
    pressed = [asyncio.create_task(door.client.post(door.ack.url)) for _ in range(3)]
    await asyncio.sleep(0.05)
    gate.set()
    answers = await asyncio.gather(*pressed)
    assert sorted(answer.status_code for answer in answers) == [200, 410, 410] and len(door.acts) == 1
    assert all("used before" in answer.text for answer in answers if answer.status_code == 410)
    assert (await door.client.get(door.ack.url)).status_code == 410


async def test_what_the_broker_did_not_take_can_be_pressed_again() -> None:
    door = Door(fails=True)
    assert (await door.client.post(door.ack.url)).status_code == 503
    door.fails = False
    assert [(await door.client.post(door.ack.url)).status_code for _ in range(2)] == [200, 410]


async def test_a_silence_of_an_hour() -> None:
    door = Door()
    page = await door.client.get(door.silence.url)
    assert "Silence for 1 hour" in page.text and "incident=&quot;a&quot;" in page.text
    assert (await door.client.post(door.silence.url)).status_code == 200
    (silence,) = door.line.fold.silences()
    assert (silence.starts, silence.ends, silence.by) == (BASE, BASE + 3_600_000, "boss")
    assert door.line.dead == []


@pytest.mark.browser
async def test_in_a_browser_the_button_works_under_the_pages_own_policy(tmp_path: Path) -> None:
    program("chromium", "chromium-browser")
    door = Door()
    door.app.include_router(router)
    listening = await serve(door.app, "127.0.0.1", 0)
    try:
        async with browser() as tab:
            await tab.open(f"{listening.url.rstrip('/')}/act/{door.ack.token}", width=360, height=640)
            assert await tab.run("document.documentElement.scrollWidth") <= 360
            assert await tab.run("getComputedStyle(document.querySelector('button')).color") == "rgb(243, 234, 214)", (
                "the style came"
            )
            assert door.acts == []
            await tab.act("document.querySelector('button').click()")
            async with asyncio.timeout(120):
                while not door.acts or await tab.run("document.querySelector('h1')?.textContent") != "Acknowledged":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert tab.errors == []
    finally:
        await listening.stop()


async def test_where_another_worker_holds_the_alerts_the_fold_still_lets_a_link_work_once() -> None:
    door = Door(owned=False)
    others = [Door(owned=False) for _ in range(2)]  # further processes, which know nothing of each other
    for other in others:
        other.line = door.line
    assert (await door.client.post(door.ack.url)).status_code == 200
    assert (await others[0].client.post(door.ack.url)).status_code == 200
    door.line.put({"type": "act", "act": "unack", "by": "ann", "incident": "a", "at": "x"})
    assert (await others[1].client.post(door.ack.url)).status_code == 200
    assert door.acknowledged is None and door.line.fold.decisions["refused", "link"] == 2


@pytest.mark.parametrize(("spoil", "status", "says"), [
    (lambda door: "k1.x.y", 403, "not one of ours"),
    (lambda door: door.ack.token + "A", 403, "not one of ours"),
    (lambda door: ".x.", 403, "not one of ours"),
    (lambda door: door.__dict__.update(now=BASE + 3_600_000) or door.ack.token, 410, "expired"),
    (lambda door: door.line.resolve("a")() or (door.line.run("9s") and door.ack.token), 410, "has ended"),
])  # fmt: skip
async def test_what_is_no_link(spoil: Any, status: int, says: str) -> None:
    door = Door()
    token = spoil(door)
    for method in ("GET", "POST"):
        answer = await door.client.request(method, f"/act/{token}")
        assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert door.acts == []


async def test_what_the_broker_does_not_take_is_not_done() -> None:
    door = Door(fails=True)
    answer = await door.client.post(door.ack.url)
    assert answer.status_code == 503 and "<form" in answer.text


async def test_a_button_in_slack() -> None:
    door = Door()
    assert await door.press(door.ack.token) == 200
    assert door.acknowledged["by"] == "slack:ann" and door.acts[0]["via"] == "slack"
    assert await door.press(door.ack.token) == 410, "Slack tells the user that it failed"
    assert await door.press("k1.forged.token") == 403
    assert await door.press(door.silence.token, user={"id": "U2"}) == 200
    assert door.line.fold.silences()[0].by == "slack:U2"


async def test_what_is_not_slack() -> None:
    door = Door()
    for late in (-301, 301):
        assert await door.press(door.ack.token, at=BASE + late * 1000) == 401
    assert await door.press(door.ack.token, at=BASE - 299_000) == 200
    body = b"payload=%7B%7D"
    assert await door.slack(body, secret=b"wrong") == 401
    wrongs: list[dict[str, Any]] = [
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0="},
        {"x-slack-request-timestamp": "soon"},
        {"x-slack-request-timestamp": "-1"},
        {"x-slack-request-timestamp": "9" * 30},
    ]
    for headers in wrongs:
        assert await door.slack(body, **headers) == 401
    assert await Door(secrets=()).slack(body) == 401
    assert len(door.acts) == 1


async def test_slacks_own_example_of_a_signature() -> None:
    """The values of Slack's documentation ("Verifying requests from Slack")."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    door = Door()
    door.now = 1531420618 * 1000
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    answer = await door.client.post("/slack/interactivity", content=body, headers=headers)
    assert answer.status_code == 400, "authentic, and no button"


@pytest.mark.parametrize(
    "body",
    [b"", b"payload=", b"payload=[]", b"payload=3", b"\xff", b"payload=%7B%22type%22%3A%22block_actions%22%7D", b"a=1&" * 50],
)
async def test_what_is_signed_and_no_button(body: bytes) -> None:
    assert await Door().slack(body) == 400


async def test_other_buttons_and_pings_are_acknowledged() -> None:
    door = Door()
    assert await door.press(type="view_submission") == 200
    assert await door.press(actions=[{"action_id": "runbook", "type": "button"}]) == 200
    assert await door.slack(b"ssl_check=1&token=x") == 200
    assert await door.slack(b"x" * 1_100_000) == 413
    assert door.acts == []
