"""Who may act, and what an act is, from the request to the fold that obeys it."""

from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from stream.settings import OperatorSettings
from stream.web.operate import Operations
from tests.alert_rules.readings import BASE
from tests.alert_rules.timeline import Line

TOKEN = "ann-s-token-of-20-chars"
ANN = OperatorSettings(name="ann", token=SecretStr(TOKEN))
AUTH = {"Authorization": f"Bearer {TOKEN}"}


class Desk:
    """The routes over a worker on a simulated clock."""

    def __init__(self, operators: tuple[OperatorSettings, ...] = (ANN,), fails: bool = False) -> None:
        self.line = Line()
        self.fails = fails
        self.acts: list[dict[str, Any]] = []
        operations = Operations(
            operators,
            self.put,
            standing=lambda: {"a"} if self.line.fold.standing("a") else set(),
            silences=lambda: self.line.fold.silences(),
            clock=lambda: BASE,
        )
        app = FastAPI()
        app.include_router(operations.router())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie")

    async def put(self, key: bytes, value: bytes) -> None:
        if self.fails:
            raise OSError("no broker")
        self.acts.append(orjson.loads(value))
        self.line.put(value)

    async def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        answer = await self.client.request(method, path, content=sent, headers=AUTH if headers is None else headers)
        return answer.status_code, answer.json()


async def test_an_alert_is_acknowledged_by_somebody() -> None:
    desk = Desk()
    desk.line.fire("a")()
    status, act = await desk.ask("POST", "/api/alerts/a/ack")
    assert (status, act) == (202, {"type": "act", "at": "2026-01-01T00:00:00Z", "by": "ann", "act": "ack", "incident": "a"})
    standing = desk.line.fold.standing("a")
    assert standing is not None and standing["acknowledged"] == {"by": "ann", "at": "2026-01-01T00:00:00Z"}
    assert (await desk.ask("POST", "/api/alerts/a/unack"))[0] == 202
    standing = desk.line.fold.standing("a")
    assert standing is not None and standing["acknowledged"] is None
    assert (await desk.ask("POST", "/api/alerts/b/ack"))[0] == 404


async def test_a_silence_from_its_beginning_to_its_end() -> None:
    desk = Desk()
    status, act = await desk.ask("POST", "/api/silences", {"matchers": ["team=x"], "duration": "2h", "comment": "paused"})
    assert status == 202
    (shown,) = (await desk.ask("GET", "/api/silences", headers={}))[1]
    assert shown == {"id": act["silence"]["id"], "matchers": ['team="x"'], "by": "ann", "comment": "paused",
                     "starts": "2026-01-01T00:00:00Z", "ends": "2026-01-01T02:00:00Z"}  # fmt: skip
    desk.line.at("1s", desk.line.fire("a", team="x"))
    desk.line.run("3s")
    assert desk.line.said == []
    assert (await desk.ask("DELETE", f"/api/silences/{shown['id']}"))[0] == 202
    assert (await desk.ask("DELETE", f"/api/silences/{shown['id']}"))[0] == 404
    desk.line.run("20s")
    assert [said.kind for said in desk.line.said] == ["fired"]
    assert desk.line.dead == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
    ],
)
async def test_nobody_acts_without_a_token(headers: dict[str, str]) -> None:
    desk = Desk()
    desk.line.fire("a")()
    for method, path in (("POST", "/api/alerts/a/ack"), ("POST", "/api/silences"), ("DELETE", "/api/silences/x")):
        status, body = await desk.ask(method, path, headers=headers)
        assert status == 401 and TOKEN not in str(body)
    assert desk.acts == []


async def test_without_operators_nobody_may_act_at_all() -> None:
    assert (await Desk(()).ask("POST", "/api/alerts/a/ack"))[0] == 403


SOUND: dict[str, Any] = {"matchers": ["team=x"], "duration": "2h"}
WRONG: list[tuple[Any, str]] = [
    (b"{", "not JSON"),
    ([], "found []"),
    (SOUND | {"until": 1}, "found ['until'] (accepted: matchers"),
    (SOUND | {"matchers": []}, "matchers: found []"),
    (SOUND | {"matchers": ["team"]}, "not a matcher: 'team'"),
    (SOUND | {"matchers": ["team!=x"]}, "all of them match an empty value"),
    (SOUND | {"matchers": ["team=~(a+)+"]}, "too costly"),
    (SOUND | {"duration": "2"}, "not a duration"),
    (SOUND | {"duration": 0}, "ends: found"),
    (SOUND | {"duration": "9999d"}, "at most 366 days"),
    (SOUND | {"ends": "2026-02-01T00:00:00Z"}, "both or neither"),
    ({"matchers": ["a=b"], "ends": "2025-02-01T00:00:00Z"}, "after now"),
    ({"matchers": ["a=b"], "ends": "2026-02-01T00:00:00"}, "a time with offset"),
    (SOUND | {"comment": 3}, "comment: found"),
    (b"x" * 20_000, "longer than"),
]


@pytest.mark.parametrize(("body", "says"), WRONG)
async def test_what_is_no_silence(body: Any, says: str) -> None:
    desk = Desk()
    status, answer = await desk.ask("POST", "/api/silences", body)
    assert status in (400, 413) and says in answer["error"], answer
    assert desk.acts == []


async def test_an_act_the_broker_does_not_take_is_not_done() -> None:
    desk = Desk(fails=True)
    desk.line.fire("a")()
    assert (await desk.ask("POST", "/api/alerts/a/ack"))[0] == 503


async def test_where_another_worker_holds_the_silences() -> None:
    async def nowhere(key: bytes, value: bytes) -> None:
        raise AssertionError

    app = FastAPI()
    app.include_router(Operations((ANN,), nowhere).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie") as client:
        assert (await client.get("/api/silences")).status_code == 503
