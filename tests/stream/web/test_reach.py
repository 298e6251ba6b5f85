"""Who may see the figures of some owners and teams only: does any route of the API, the page or the stream tell more?"""

import csv
import functools
import io
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from alert_rules.records.entity_facts import FACTS
from models.customers.live import KnowCustomers
from models.customers.segments import Named, Terms
from models.feeds.tables import TABLES
from models.folds.entity_snapshots import DealState, LeadState
from stream.config.settings import Settings, SettingsError, load
from stream.web import customers, entities, mine, operate, predictions
from stream.web.access import Access, ReadGuard
from stream.web.acting import Acting
from stream.web.entities import OpenDeal, Story
from stream.web.feeds import export, odata
from stream.web.feeds.sources import FeedDesk
from stream.web.operators import Operators
from stream.web.reach import SegmentReach
from tests.models.customers.test_live import record
from tests.stream.demo import NOW, OWNERS, company
from tests.stream.web.test_acting import LINKS
from tests.stream.web.web import application, board

#: What is in all that is not theirs.
CANARY = "CANARY"
ANN, BOB, ALL = "ann-0123456789abcdef", "bob-0123456789abcdef", "all-0123456789abcdef"
MINE, OTHERS = OWNERS[0], OWNERS[1:]


def alert(id: str, segment: dict[str, str], **more: Any) -> dict[str, Any]:
    said = {
        "id": id,
        "incident": id,
        "type": "transition",
        "rule": "r",
        "severity": "warn",
        "state": "firing",
        "segment": segment,
    }
    return said | {"title": f"title of {id}", "summary": f"summary of {id}", "message": {"title": id, "text": CANARY}} | more


ALERTS = [
    alert("mine", {"owner": MINE}, explanation={"moved_by": [CANARY]}, against={"total": CANARY}),
    alert("deal-of-mine", {"deal": "d1"}, explanation={"behind": [{"id": "d1", "owner": MINE}]}),
    alert("told-of-mine", {"deal": "d3"}, against={FACTS: {"owner": MINE}}),
    alert(f"{CANARY}-other", {"owner": OTHERS[0]}),
    alert(f"{CANARY}-total", {}),
    alert(f"{CANARY}-source", {"source": "web"}),
    alert(f"{CANARY}-deal", {"deal": "d2"}, explanation={"behind": [{"id": "d2", "owner": OTHERS[0]}]}),
    alert(f"{CANARY}-two", {"deal": "d4"}, explanation={"behind": [{"owner": MINE}, {"owner": OTHERS[0]}]}),
    alert(f"{CANARY}-odd", {"owner": MINE, "team": "x"}),
]
RECORDS = [
    *ALERTS,
    {"type": "decision", "incidents": ["mine", CANARY], "reason": CANARY},
    {"type": "act", "by": CANARY, "incident": "mine"},
    {"type": "notification", "receiver": CANARY, "incident": "mine"},
]


class Answers:
    def answer(self, entity: predictions.Entity, key: str) -> dict[str, Any] | None:
        owner = {"d1": MINE, "l1": MINE}.get(key, CANARY)
        return {entity: key, "win": 0.5, "why": "so" if owner == MINE else CANARY, "owner": owner}

    def models(self) -> list[dict[str, Any]]:
        return [{"model": CANARY}]

    def document(self, model: str) -> bytes:
        return CANARY.encode()


class Deals:
    """Deals and leads of theirs and of others; whose theirs was before is not theirs to know."""

    def deals(self) -> list[OpenDeal]:
        return [OpenDeal(self.deal("d1", MINE), 0.4), OpenDeal(self.deal(f"{CANARY}-d2", OTHERS[0]), 0.6)]

    def deal(self, id: str, owner: str) -> DealState:
        name = id if owner == MINE else CANARY
        return DealState(id, "open", NOW, NOW, stage="demo", amount=10**8, owner=owner, name=name)

    def leads(self) -> list[LeadState]:
        return [
            LeadState("l1", "open", NOW, owner=MINE),
            LeadState(f"{CANARY}-l2", "open", NOW, owner=OTHERS[0], name=CANARY),
        ]

    def usual(self) -> dict[str, int]:
        return {"demo": 1}

    def ids(self, entity: predictions.Entity) -> list[str]:
        return ["d1", f"{CANARY}-d2"] if entity == "deal" else ["l1", f"{CANARY}-l2"]

    def state(self, entity: predictions.Entity, key: str) -> DealState | LeadState:
        return self.story(entity, key).state

    def win(self, deal: str) -> float:
        return 0.4

    def story(self, entity: predictions.Entity, key: str) -> Story:
        state = (self.deal(key, MINE if key == "d1" else OTHERS[0])) if entity == "deal" else self.leads()[key != "l1"]
        return Story(state, [(NOW, "created", {"owner": OTHERS[0], "stage": "demo"}), (NOW, "updated", {"owner": MINE})])


def clientele() -> customers.CustomerDesk:
    """Customers are nobody's: nobody who sees some owners' figures only is told of one."""
    fold = KnowCustomers(0, company().business)
    fold.fold([record(1, CANARY, 739_686, 50_000, name=CANARY)])
    fold.changes()
    return customers.CustomerDesk(lambda: [fold], lambda: 739_690, Named(), Terms(), "EUR")


PEOPLE: list[dict[str, Any]] = [
    {"name": "ann", "token": ANN, "role": "read", "owners": [MINE]},
    {"name": "bob", "token": BOB, "role": "read", "teams": ["no such team"]},
    {"name": "all", "token": ALL, "role": "read"},
]


@functools.cache
def house() -> FastAPI:
    settings = load(
        environ={}, web={"host": "0.0.0.0", "operators": PEOPLE, "proxies": ["203.0.113.7"], "user_header": "X-User"}
    ).web
    operators = Operators(settings.operators)
    app = application(board(company()), alerts=lambda: ALERTS)

    async def put(key: bytes, value: bytes) -> None:
        raise AssertionError("they may not act")

    def history(limit: int, matches: Any, before: int | None) -> tuple[list[dict[str, Any]], None]:
        return [record for record in RECORDS if matches(record)], None

    app.include_router(operate.Operations(operators, put, history=history, silences=lambda: []).router())
    app.include_router(predictions.router(Answers()))
    app.include_router(entities.router(Deals()))
    app.include_router(customers.router(clientele()))
    app.include_router(Acting(LINKS, put).router())
    tables = FeedDesk(app.state.vigie, Deals(), clientele())
    app.include_router(odata.router(tables))
    app.include_router(export.router(tables))
    app.add_middleware(ReadGuard, access=Access(settings, operators))
    return app


NAMES = {
    "deal": ("d1", "d2"),
    "customer": (CANARY,),
    "lead": ("l1", "l2"),
    "model": ("deal",),
    "incident": ("mine", f"{CANARY}-other"),
    "id_": ("s1",),
    "token": ("t",),
    "name": ("act.css",),
    "path": ("act.css",),
    "language": ("fr",),
    "entity": ("deal", "lead"),
    "feed": (*TABLES, "deals('d1')", f"deals('{CANARY}-d2')"),
    "key": ("d1", "l1", f"{CANARY}-d2", f"{CANARY}-l2"),
}
QUERIES = (
    "",
    "?by=owner",
    "?by=owner&by=total",
    "?by=total",
    "?by=team&format=csv",
    "?by=owner&format=csv",
    "?by=source,stage",
    f"?incident={CANARY}-other",
    "?type=decision,act,notification",
    "?window=24h&kpi=win_rate",
    "?window=30d",
    *(f"?feed={feed}&format=jsonl" for feed in TABLES),
    "?feed=readings&every=1d&from=2026-11-10",
    "?$count=true&$orderby=as_of desc&$top=3",
    "?$filter=at ge 2026-11-10T00:00:00Z",
)


def paths(routes: Iterable[Any]) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from paths(inner.routes)
        elif isinstance(route, Route):
            yield route.path


def addresses() -> list[str]:
    found = set()
    for path in paths(house().routes):
        filled = [path]
        for name, values in NAMES.items():
            for part in (f"{{{name}}}", f"{{{name}:path}}"):
                filled = [one.replace(part, value) for one in filled for value in (values if part in one else ("",))]
        found |= set(filled)
    return sorted(found)


def free(path: str) -> bool:
    """Routes that have a proof of their own, or tell nothing of the figures."""
    return path.startswith(("/act/", "/static/", "/webhooks/", "/slack/")) or path in ("/healthz", "/favicon.ico", "/collect")


async def ask(path: str, token: str = ANN, method: str = "GET", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(house(), client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://203.0.113.1") as client:
        given = {"authorization": f"Bearer {token}"} if token else {}
        return await client.request(method, path, headers=given | headers)


def tells_of_others(body: str) -> list[str]:
    return [name for name in (CANARY, *OTHERS) if name in body]


def test_every_route_is_walked() -> None:
    assert not [path for path in addresses() if "{" in path], "NAMES knows what to fill in"
    assert len(addresses()) >= 20 and {"/api/trend", "/api/stream", "/metrics", "/api/models"} <= set(addresses())
    assert len(OTHERS) >= 2, "there are others"


async def test_their_deals_are_told_and_nobody_else_s() -> None:
    assert [one["id"] for one in (await ask("/api/deals")).json()["deals"]] == ["d1"]
    assert (await ask("/api/pipeline")).json()["count"] == 1 and (await ask("/api/pipeline", ALL)).json()["count"] == 2
    assert [one["id"] for one in (await ask("/api/waiting")).json()["leads"]] == ["l1"]
    facts = (await ask("/api/entities/deal/d1")).json()["facts"]
    assert [fact["said"] for fact in facts] == [{"stage": "demo"}, {"owner": MINE}]
    assert (await ask(f"/api/entities/deal/{CANARY}-d2")).status_code == 404


@pytest.mark.parametrize("path", addresses())
@pytest.mark.parametrize("token", [ANN, BOB])
async def test_no_route_tells_more_than_is_theirs(path: str, token: str) -> None:
    house().state.vigie.live.stop()  # a stream says its first word and ends
    for query in QUERIES:
        answer = await ask(path + query, token)
        assert answer.status_code in (200, 400, 401, 403, 404, 405, 410, 422, 501, 503), (path, query)
        if not free(path):
            others = OTHERS if token == ANN else OWNERS
            assert not [name for name in (CANARY, *others) if name in answer.text], (path, query, answer.text[:300])
        if path == "/api/kpis" and answer.status_code == 200 and "csv" not in query:
            assert all(r["segment"] in ({"owner": MINE}, {"team": "no such team"}) for r in answer.json())
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        if not free(path) and path != "/login":
            assert (await ask(path, token, method)).status_code in (401, 403, 404, 405), (path, method)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/kpis", 200),
        ("/api/kpis?by=owner", 200),
        ("/api/kpis?by=total", 403),
        ("/api/kpis?by=source", 403),
        ("/api/kpis?by=team", 403),
        ("/api/trend", 403),
        ("/api/models", 403),
        ("/api/models/deal/document", 403),
        ("/api/silences", 403),
        ("/metrics", 403),
        ("/api/predictions/d1", 200),
        ("/api/predictions/d2", 404),
        ("/api/leads/l1", 200),
        ("/api/leads/l2", 404),
        ("/api/alerts", 200),
        ("/api/alerts/history", 200),
        ("/", 200),
        ("/api/whatever-comes-next", 403),
    ],
)
async def test_what_is_theirs_and_what_is_everybodys(path: str, status: int) -> None:
    assert (await ask(path)).status_code == status
    if status == 403 and "team" not in path:
        assert (await ask(path, ALL)).status_code in (200, 404), "who is not limited sees it"


async def test_their_figures_are_the_same_as_for_those_who_see_all() -> None:
    theirs = (await ask("/api/kpis?by=owner&window=30d")).json()
    every = (await ask("/api/kpis?by=owner&window=30d", ALL)).json()
    named = [reading["kpi"] for reading in every if reading["segment"] == {"owner": MINE}]
    assert [reading for reading in theirs if reading["kpi"] in named] == [
        reading for reading in every if reading["segment"] == {"owner": MINE}
    ]
    assert len(named) > 5
    rows = list(csv.reader(io.StringIO((await ask("/api/kpis?by=owner&format=csv")).text)))
    assert {tuple(row[2:4]) for row in rows[1:]} == {("owner", MINE)}
    page = (await ask("/")).text
    assert f"Owner {MINE}" in page and "<script" not in page and "title of mine" in page


async def test_their_alerts_and_history() -> None:
    found = (await ask("/api/alerts")).json()
    assert [one["id"] for one in found] == ["mine", "deal-of-mine", "told-of-mine"]
    assert "explanation" not in found[0] and found[1]["explanation"]
    records = (await ask("/api/alerts/history")).json()["records"]
    assert [(one["type"], one["title"]) for one in records] == [
        ("transition", i) for i in ("mine", "deal-of-mine", "told-of-mine")
    ]
    assert len((await ask("/api/alerts/history", ALL)).json()["records"]) == len(RECORDS)


async def test_their_stream() -> None:
    app = application(board(company()), alerts=lambda: ALERTS)
    reach = SegmentReach.of([MINE], [])
    assert reach is not None
    events = mine.stream(app.state.vigie, reach, "30d")
    assert await anext(events) == b"retry: 2000\n\n"
    name, data = (await anext(events)).decode().split("\n", 2)[1:]
    assert name == "event: readings" and not tells_of_others(data)
    told = orjson.loads(data.removeprefix("data: "))
    assert {tuple(reading["segment"].items()) for reading in told["readings"]} == {(("owner", MINE),)}
    app.state.vigie.live.stop()
    assert "bye" in (await anext(events)).decode()


async def test_a_session_and_a_proxys_user_are_as_limited_as_the_token() -> None:
    transport = httpx.ASGITransport(house(), client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://203.0.113.1") as client:
        cookie = (await client.post("/login", data={"token": ANN})).headers["set-cookie"].partition(";")[0]
        assert (await client.get("/api/trend", headers={"cookie": cookie})).status_code == 403
    transport = httpx.ASGITransport(house(), client=("203.0.113.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://203.0.113.1") as client:
        assert (await client.get("/api/trend", headers={"x-user": "ann"})).status_code == 403
        assert (await client.get("/api/trend", headers={"x-user": "somebody else"})).status_code == 200


def test_who_acts_is_not_limited() -> None:
    with pytest.raises(SettingsError, match=r"accepted: with role: read"):
        load(environ={}, web={"operators": [{"name": "a", "token": "x" * 16, "role": "operate", "teams": ["t"]}]})
    assert isinstance(load(environ={}), Settings)
