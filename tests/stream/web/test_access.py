"""Who may read, and who may not: by address, token, session, proxy and name."""

import hashlib
from collections.abc import Sequence
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from stream.config.settings import Settings, SettingsError, load
from stream.engine.client_logs import RateLimit
from stream.metrics import Metrics
from stream.web import operate
from stream.web import operators as operators_module
from stream.web.access import COOKIE, Access, ReadGuard
from stream.web.operators import Operators
from tests.stream.web.web import application, board
from vigie.up import open_access

NOW = 1_790_000_000_000
ANN, BOB, SCRAPER = "ann-0123456789abcdef", "bob-0123456789abcdef", "scrape-0123456789abcdef"
LOCAL = "local-0123456789abcdef"
PEOPLE: list[dict[str, Any]] = [
    {"name": "ann", "token": ANN, "role": "operate"},
    {"name": "bob", "token": "sha256:" + hashlib.sha256(BOB.encode()).hexdigest(), "role": "read", "expires": "2026-10-01"},
]
READ = ["/", "/api/kpis", "/api/trend", "/api/catalogue", "/api/alerts", "/api/openapi.json", "/api/silences", "/metrics",
        "/api/alerts/history", "/api/stream?window=nope"]  # fmt: skip
FREE = ["/healthz", "/readyz", "/static/act.css", "/favicon.ico"]


class House:
    """The application behind its guard, and who knocks: from ``peer``, calling it ``host``."""

    def __init__(self, local: str = "", **web: Any) -> None:
        self.now = NOW
        self.refused: list[str] = []
        settings = load(environ={}, web={"host": "0.0.0.0", "operators": PEOPLE, "metrics_token": SCRAPER, **web}).web
        operators = Operators(settings.operators, local=local, clock=lambda: self.now, counted=self.refused.append)
        self.app = application()
        self.acts: list[bytes] = []
        routes = operate.Operations(operators, self.put, history=self.history, silences=lambda: [], clock=lambda: self.now)
        self.app.include_router(routes.router())
        self.app.add_middleware(ReadGuard, access=Access(settings, operators, clock=lambda: self.now))

    async def put(self, key: bytes, value: bytes) -> None:
        self.acts.append(value)

    def history(self, limit: int, matches: Any, before: int | None) -> tuple[list[dict[str, Any]], None]:
        return [], None

    async def ask(
        self, path: str, method: str = "GET", *, peer: str = "203.0.113.9", host: str = "203.0.113.1:8080",
        headers: Sequence[tuple[Any, Any]] = (), content: bytes = b"", **more: str,
    ) -> httpx.Response:  # fmt: skip
        given = [("host", host), *headers, *((name.replace("_", "-"), value) for name, value in more.items())]
        sent: Any = [tuple(part if isinstance(part, bytes) else part.encode() for part in pair) for pair in given]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app, client=(peer, 1)), base_url="http://x") as client:
            return await client.request(method, path, headers=sent, content=content)

    async def status(self, path: str = "/api/kpis", **more: Any) -> int:
        return (await self.ask(path, **more)).status_code


def bearer(token: str) -> str:
    return f"Bearer {token}"


# -- from elsewhere --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READ)
async def test_from_elsewhere_reading_needs_a_proof(path: str) -> None:
    house = House()
    answer = await house.ask(path)
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
    assert await house.status(path, authorization=bearer("wrong-0123456789abcdef")) == 401
    for token in (ANN, BOB):
        assert await house.status(path, authorization=bearer(token)) in (200, 400)


@pytest.mark.parametrize("path", FREE)
async def test_what_probes_and_the_login_need_is_free(path: str) -> None:
    assert await House().status(path, host="anything.example") == 200


async def test_a_probe_learns_yes_or_no_only() -> None:
    house = House()
    assert (await house.ask("/readyz")).json() == {"ready": True, "state": "running"}
    assert "view" in (await house.ask("/readyz", authorization=bearer(BOB))).json()


async def test_a_post_of_strangers_reaches_nothing() -> None:
    house = House()
    assert await house.status("/api/alerts/a/ack", method="POST") == 401
    assert await house.status("/api/alerts/a/ack", method="POST", authorization=bearer(BOB)) == 403
    assert await house.status("/api/alerts/a/ack", method="POST", authorization=bearer(ANN)) == 202
    assert len(house.acts) == 1


async def test_anybody_may_read_where_the_settings_say_so() -> None:
    house = House(anonymous=True)
    assert await house.status() == 200
    assert await house.status(host="rebound.example") == 421


async def test_the_scraper_s_token_opens_the_metrics_only() -> None:
    house = House()
    assert await house.status("/metrics", authorization=bearer(SCRAPER), host="worker:8080") == 200
    assert await house.status("/api/kpis", authorization=bearer(SCRAPER)) == 401


# -- on this machine -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.0.0.1", "LOCALHOST"])
async def test_on_this_machine_reading_needs_nothing(host: str) -> None:
    house = House(host="127.0.0.1", operators=[], metrics_token=None)
    for path in ("/", "/api/kpis", "/metrics", "/api/catalogue"):
        assert await house.status(path, host=host, peer="127.0.0.1") == 200


@pytest.mark.parametrize(
    "host", ["rebound.example:8080", "rebound.example", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
async def test_a_page_of_strangers_reads_nothing_by_another_name(host: str) -> None:
    house = House(host="127.0.0.1", operators=[])
    for path in ("/", "/api/kpis", "/metrics"):
        answer = await house.ask(path, host=host, peer="127.0.0.1")
        assert (answer.status_code == 421 and host.encode() not in answer.content) or not host
    assert set(house.refused) == {"wrong_host"}


async def test_who_comes_through_a_proxy_does_not_come_from_this_machine() -> None:
    house = House(host="127.0.0.1", public_url="https://vigie.example.com")
    assert await house.status(host="vigie.example.com", peer="127.0.0.1") == 401
    assert await house.status(host="localhost", peer="127.0.0.1", x_forwarded_for="203.0.113.9") == 401


@pytest.mark.parametrize("host, status", [("vigie.example.com", 401), ("a.sales.example", 401), ("sales.example", 421)])
async def test_the_names_that_are_ours(host: str, status: int) -> None:
    assert await House(public_url="https://vigie.example.com", hosts=["*.sales.example"]).status(host=host) == status


async def test_no_redirect_repeats_the_host() -> None:
    house = House(anonymous=True)
    for path in ("/api/kpis/", "/metrics/", "/healthz/"):
        answer = await house.ask(path, host="localhost:8080")
        assert answer.status_code == 404 and "location" not in answer.headers


# -- tokens ----------------------------------------------------------------------------------------------------------------


async def test_a_token_that_has_expired_is_of_no_use() -> None:
    house = House()
    house.now = 1_790_812_799_999  # 2026-09-30T23:59:59.999Z
    assert await house.status(authorization=bearer(BOB)) == 200
    house.now += 1
    assert await house.status(authorization=bearer(BOB)) == 401
    assert house.refused == ["expired", "no_proof"]


async def test_wrong_tokens_are_logged_counted_and_limited(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators_module.log, "filters", [RateLimit()])
    house = House()
    statuses = [await house.status(authorization=bearer(f"guess-{n:016}")) for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert await house.status(authorization=bearer(ANN)) == 429, "a right one is not told from a wrong one"
    assert await house.status(authorization=bearer(ANN), peer="203.0.113.10") == 200
    house.now += 5_000
    assert await house.status(authorization=bearer(ANN)) == 200
    assert house.refused.count("wrong_token") == 10 and house.refused.count("throttled") == 3
    assert "a wrong token from 203.0.113.9" in caplog.text and "guess-" not in caplog.text


async def test_acts_over_the_api_are_limited_as_well() -> None:
    house = House(host="127.0.0.1")
    local = {"host": "localhost", "peer": "127.0.0.1", "method": "POST"}
    statuses = [await house.status("/api/alerts/a/ack", **local, authorization=bearer(f"guess-{n:016}")) for n in range(11)]
    assert statuses[-1] == 429 and set(statuses) == {401, 429}


async def test_tokens_are_kept_as_hashes_only() -> None:
    house = House()
    await house.status(authorization=bearer(ANN))
    operators = Operators(load(environ={}, web__operators=PEOPLE).web.operators)
    assert ANN not in repr([*operators]) and ANN.encode() not in repr([*operators]).encode()


@pytest.mark.parametrize("token", ["short", "sha256:abc", "sha256:" + "g" * 64])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(SettingsError):
        load(environ={}, web__operators=[{"name": "ann", "token": token}])
    with pytest.raises(SettingsError):
        load(environ={}, web__metrics_token=token)


async def test_refusals_are_metrics() -> None:
    metrics = Metrics()
    metrics.access_refused("wrong_token")
    page = (await metrics.scrape(""))[0].decode()
    assert 'vigie_access_refused_total{reason="wrong_token"} 1.0' in page
    assert 'vigie_access_refused_total{reason="expired"} 0.0' in page


# -- browsers --------------------------------------------------------------------------------------------------------------


async def test_a_browser_is_asked_for_a_token_and_reads_with_a_session() -> None:
    house = House(public_url="https://vigie.example.com")
    asked = await house.ask("/", accept="text/html,*/*")
    assert asked.status_code == 401 and 'action="./login"' in asked.text and "script" not in asked.text
    assert "form-action 'self'" in asked.headers["content-security-policy"]
    wrong = await house.ask("/login", method="POST", content=b"token=nobodys-0123456789")
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers and "nobodys-" not in wrong.text
    done = await house.ask("/login", method="POST", content=f"token={BOB}".encode(), host="evil.example")
    cookie = done.headers["set-cookie"]
    assert (done.status_code, done.headers["location"]) == (303, "./")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/")) and BOB not in cookie
    value = cookie.partition(";")[0]
    for path in ("/", "/api/kpis", "/api/alerts/history"):
        assert await house.status(path, cookie=value) == 200
    assert await house.status("/api/alerts/a/ack", method="POST", cookie=value) == 401, (
        "a page of strangers sends no more than this"
    )
    assert await house.status("/api/alerts/a/ack", method="POST", cookie=value, x_vigie="page") == 403, "its token reads only"
    house.now += 12 * 3_600_000
    assert await house.status(cookie=value) == 401


async def test_a_session_acts_from_our_page_only_and_for_as_long_as_it_lasts() -> None:
    house = House(public_url="https://vigie.example.com")
    done = await house.ask("/login", method="POST", content=f"token={ANN}".encode())
    value = done.headers["set-cookie"].partition(";")[0]
    acts: dict[str, Any] = {"path": "/api/alerts/a/ack", "method": "POST"}
    assert await house.status(**acts, cookie=value) == 401 and not house.acts
    assert await house.status(**acts, x_vigie="page") == 401 and not house.acts
    assert await house.status(**acts, cookie=f"{value[:-1]}x", x_vigie="page") == 401 and not house.acts
    done = await house.ask(**acts, cookie=value, x_vigie="page")
    assert done.status_code == 202 and done.json()["by"] == "ann" and len(house.acts) == 1
    # A browser asks first before a page of strangers may send that header, and is not told that it may.
    asked = await house.ask("/api/alerts/a/ack", method="OPTIONS", cookie=value, origin="https://evil.example")
    assert not [name for name in asked.headers if name.startswith("access-control-")]
    house.now += 12 * 3_600_000
    assert await house.status(**acts, cookie=value, x_vigie="page") == 401


@pytest.mark.parametrize("spoil", [lambda v: v[:-1] + ("1" if v[-1] == "0" else "0"), lambda v: v.split(".")[0], lambda v: "x",
                                   lambda v: "x" + v, lambda v: "é", lambda v: ""])  # fmt: skip
async def test_a_session_that_is_forged_is_none(spoil: Any) -> None:
    house = House()
    done = await house.ask("/login", method="POST", content=f"token={ANN}".encode())
    value = done.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
    assert await house.status(cookie=f"{COOKIE}={value}") == 200
    spoilt: Any = f"{COOKIE}={spoil(value)}".encode()
    assert await house.status(headers=[(b"cookie", spoilt)]) == 401


async def test_a_session_ends_with_its_token() -> None:
    house = House()
    house.now = 1_790_812_800_000 - 60_000  # a minute before bob's expires
    done = await house.ask("/login", method="POST", content=f"token={BOB}".encode())
    assert "Max-Age=60;" in done.headers["set-cookie"]


async def test_processes_that_have_the_same_keys_know_each_other_s_sessions() -> None:
    def house(*keys: str) -> House:
        found = [{"id": str(number), "key": key * 32} for number, key in enumerate(keys)]
        more: dict[str, Any] = {"links": {"keys": found}} if found else {}
        return House(public_url="https://vigie.example.com", **more)

    done = await house("a").ask("/login", method="POST", content=f"token={ANN}".encode())
    value = done.headers["set-cookie"].partition(";")[0]
    assert [await house(*keys).status(cookie=value) for keys in ("a", "ba", "b", "")] == [200, 200, 401, 401]


async def test_guessing_at_the_login_is_limited() -> None:
    house = House()
    statuses = [await house.status("/login", method="POST", content=b"token=guess-%016d" % n) for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2


# -- a proxy that lets people in (the contract of oauth2-proxy) ------------------------------------------------------------

PROXY: dict[str, Any] = {"proxies": ["10.0.0.5/32"], "user_header": "X-Forwarded-User"}
#: What oauth2-proxy sends upstream with --pass-user-headers and --pass-authorization-header.
INTRODUCED = [
    ("x-forwarded-user", "116254"), ("x-forwarded-email", "ann@example.com"), ("x-forwarded-preferred-username", "ann"),
    ("x-forwarded-for", "198.51.100.7"), ("x-forwarded-host", "vigie.example.com"), ("authorization", "Bearer eyJ.a.b"),
]  # fmt: skip


async def test_whom_a_named_proxy_introduces_may_read() -> None:
    house = House(**PROXY)
    for _ in range(20):  # the identity provider's token in Authorization is nobody's wrong token
        assert await house.status(peer="10.0.0.5", headers=INTRODUCED) == 200
    assert house.refused == []
    assert await house.status("/api/alerts/a/ack", method="POST", peer="10.0.0.5", headers=INTRODUCED) == 401, "reads only"


async def test_nobody_introduces_themselves() -> None:
    house = House(**PROXY)
    assert await house.status(peer="203.0.113.9", headers=INTRODUCED[:-1]) == 401
    assert await house.status(peer="10.0.0.6", headers=INTRODUCED[:-1]) == 401
    assert await house.status(peer="10.0.0.5", headers=INTRODUCED[1:-1]) == 401, "let through without a user"
    assert await house.status(peer="10.0.0.5", headers=[("x-forwarded-user", " ")]) == 401
    twice = [("x-forwarded-user", "mallory"), *INTRODUCED[:-1]]
    assert await house.status(peer="10.0.0.5", headers=twice) == 401, "one of the two is not the proxy's"
    assert await House(proxies=["10.0.0.5/32"]).status(peer="10.0.0.5", headers=INTRODUCED[:-1]) == 401


async def test_behind_a_named_proxy_each_client_has_its_own_limit() -> None:
    house = House(**PROXY)
    for n in range(12):
        await house.status(peer="10.0.0.5", authorization=bearer(f"guess-{n:016}"), x_forwarded_for="198.51.100.7")
    assert await house.status(peer="10.0.0.5", authorization=bearer(ANN), x_forwarded_for="198.51.100.7") == 429
    assert await house.status(peer="10.0.0.5", authorization=bearer(ANN), x_forwarded_for="198.51.100.8") == 200


def test_a_header_is_believed_of_named_proxies_only() -> None:
    with pytest.raises(SettingsError, match="user_header: needs proxies"):
        load(environ={}, web__user_header="X-Forwarded-User")


# -- this process's own user -----------------------------------------------------------------------------------------------


async def test_the_local_token_reads_and_acts_and_closes_nothing_that_was_open() -> None:
    house = House(local=LOCAL)
    assert await house.status(authorization=bearer(LOCAL)) == 200  # wherever others can connect, its user's commands can read
    assert await house.status("/api/alerts/history", authorization=bearer(LOCAL)) == 200
    silence = b'{"matchers": ["team=x"], "duration": "1h"}'
    assert await house.status("/api/silences", method="POST", authorization=bearer(LOCAL), content=silence) == 202
    assert orjson.loads(house.acts[0])["by"] == "local"
    assert await house.status(authorization=bearer("sha256:" + hashlib.sha256(LOCAL.encode()).hexdigest())) == 401

    house = House(local=LOCAL, host="127.0.0.1", operators=[])
    here = {"peer": "127.0.0.1", "host": "localhost:8080"}
    assert await house.status("/api/alerts/history", **here) == 200
    assert await house.status("/api/silences", method="POST", **here, content=silence) == 401
    assert await house.status("/api/silences", method="POST", **here, content=silence, authorization=bearer(LOCAL)) == 202


# -- the start -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("web", "printed"), [
    ({}, False), ({"host": "0.0.0.0"}, True), ({"public_url": "https://vigie.example.com"}, True),
    ({"host": "0.0.0.0", "operators": PEOPLE}, False), ({"host": "0.0.0.0", "anonymous": True}, False),
    ({"host": "0.0.0.0", **PROXY}, False),
])  # fmt: skip
async def test_where_nobody_could_read_a_token_is_printed(
    web: dict[str, Any], printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Settings = load(environ={}, web=web)
    app: FastAPI = application(board())
    operators = open_access(app, settings, Metrics(), LOCAL)
    said = capsys.readouterr().err
    assert ("here is one for this run" in said) is printed
    if printed:
        token = said.partition("run: ")[2].split()[0]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.1") as client:
            assert (await client.get("/api/kpis", headers={"authorization": bearer(token)})).status_code == 200
            assert (await client.get("/api/kpis")).status_code == 401
        assert [one.role for one in operators if one.name != "local"] == ["read"]
