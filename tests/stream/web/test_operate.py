"""Who may act, and what an act is, from the request to the fold that obeys it."""

from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from stream.config.settings import OperatorSettings
from stream.web.operate import Operations
from stream.web.operators import Operators
from tests.alert_rules.readings import BASE
from tests.alert_rules.timeline import Line
from tests.stream.web.web import application

TOKEN = "ann-s-token-of-20-chars"
ANN = OperatorSettings(name="ann", token=SecretStr(TOKEN))
AUTH = {"Authorization": f"Bearer {TOKEN}"}


class Desk:
    """The routes over a worker on a simulated clock."""

    def __init__(self, operators: tuple[OperatorSettings, ...] = (ANN,), fails: bool = False, history: Any = None) -> None:
        self.line = Line()
        self.fails = fails
        self.acts: list[dict[str, Any]] = []
        operations = Operations(
            Operators(operators, clock=lambda: BASE),
            self.put,
            standing=lambda: {"a"} if self.line.fold.standing("a") else set(),
            silences=lambda: self.line.fold.silences(),
            history=history,
            clock=lambda: BASE,
        )
        app = application()
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
    assert (status, act) == (
        202,
        {"type": "act", "at": "2026-01-01T00:00:00Z", "by": "ann", "via": "api", "act": "ack", "incident": "a"},
    )
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
    (b"x" * 20_000, "too large"),
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


BOB = OperatorSettings(name="bob", token=SecretStr("bob-s-token-of-20-chars"), role="read")
BOBS = {"Authorization": "Bearer bob-s-token-of-20-chars"}


class Past:
    """A history that was read; remembers what it was asked."""

    records: tuple[dict[str, Any], ...] = (
        {"type": "act", "act": "ack", "incident": "a", "by": "ann"},
        {"type": "decision", "incidents": ["a", "b"]},
        {"type": "transition", "incident": "b", "rule": "r"},
        {"type": "other"},
    )

    def __init__(self, broken: bool = False) -> None:
        self.asked: list[tuple[int, int | None]] = []
        self.broken = broken

    def last(self, count: int, matches: Any, before: int | None) -> tuple[list[dict[str, Any]], int | None]:
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.asked.append((count, before))
        return [record for record in self.records if matches(record)][:count], 7


async def test_who_may_only_read_sees_the_history_and_acts_on_nothing() -> None:
    past = Past()
    desk = Desk((ANN, BOB), history=past.last)
    desk.line.fire("a")()
    status, body = await desk.ask("POST", "/api/alerts/a/ack", headers=BOBS)
    assert (status, desk.acts) == (403, []) and "bob may read only" in body["error"]
    for headers in (BOBS, AUTH):
        status, body = await desk.ask("GET", "/api/alerts/history", headers=headers)
        assert (
            status == 200 and [one["type"] for one in body["records"]] == ["act", "decision", "transition"] and body["next"] == 7
        )
    assert (await desk.ask("GET", "/api/alerts/history", headers={}))[0] == 401
    assert past.asked == [(100, None)] * 2
    assert (await Desk((), history=past.last).ask("GET", "/api/alerts/history", headers={}))[0] == 200


@pytest.mark.parametrize(("query", "found"), [
    ("incident=a", ["act", "decision"]), ("rule=r", ["transition"]), ("by=ann", ["act"]),
    ("type=act,transition", ["act", "transition"]), ("limit=1", ["act"]), ("incident=c", []),
])  # fmt: skip
async def test_what_is_asked_of_the_history(query: str, found: list[str]) -> None:
    status, body = await Desk(history=Past().last).ask("GET", f"/api/alerts/history?{query}")
    assert (status, [one["type"] for one in body["records"]]) == (200, found)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=-1", "type=acts", "incidents=a", "limit=١"])
async def test_what_cannot_be_asked(query: str) -> None:
    status, body = await Desk(history=Past().last).ask("GET", f"/api/alerts/history?{query}")
    assert status == 400 and "accepted" in body["error"]


async def test_a_history_that_cannot_be_read_now() -> None:
    assert (await Desk(history=Past(broken=True).last).ask("GET", "/api/alerts/history"))[0] == 503
    assert (await Desk().ask("GET", "/api/alerts/history"))[0] == 503


async def test_where_another_worker_holds_the_silences() -> None:
    async def nowhere(key: bytes, value: bytes) -> None:
        raise AssertionError

    app = application()
    app.include_router(Operations(Operators((ANN,)), nowhere).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://vigie") as client:
        assert (await client.get("/api/silences")).status_code == 503
