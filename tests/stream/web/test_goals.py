"""``/api/objectives`` and ``/api/challenges``: who sees what, who sets what, and what is refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from models.calendar import iso
from models.goals.plan import Playbook
from models.goals.standings import Standings
from stream.config.goal_settings import PeopleSettings
from stream.config.kpi_files import load_catalogue
from stream.config.settings import SettingsError, load
from stream.config.web_settings import OperatorSettings
from stream.web import entities, goals, leaderboard, playbooks, usual
from stream.web.access import Access, ReadGuard
from stream.web.operate import Operations
from stream.web.operators import Operators
from stream.web.people import dimensions_shown, events_without_people
from tests.stream.demo import NOW, OWNERS, company
from tests.stream.web.book import Kept
from tests.stream.web.web import application, client
from vigie import remote
from vigie.__main__ import app
from vigie.plans import plans_of

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})
DAY = iso(NOW)[:10]
ANN, BOB = OWNERS[:2]
GUARD = {"kpi": "discount_rate", "guard": True, "at_most": 0.5}
TEAM = {"name": "North", "team": "north", "main": {"kpi": "revenue", "target": 1000}, "indicators": [GUARD]}
MINE = {"name": "Ann's", "owner": ANN, "period": "week", "main": {"kpi": "meetings", "target": 5}}
LEARN = {"name": "Ann learns", "owner": ANN, "main": {"text": "three demos"}}
SPRINT = {
    "name": "Sprint",
    "kpi": "revenue",
    "from": f"{DAY[:8]}01",
    "until": DAY,
    "guards": [{"kpi": "discount_rate", "at_most": 0.5}],
}
TOKENS = {
    name: {"authorization": f"Bearer {name}-{'x' * 20}"} for name in ("boss", "reader", "ann", "head")
}  # fmt: skip


class Written(dict[bytes, bytes | None]):
    """What was put on the topic, given to the plans at once."""

    def __init__(self, plans: Standings) -> None:
        self.plans = plans

    async def put(self, key: bytes, value: bytes | None) -> None:
        self[key] = value
        self.plans.put(key, value)


def serving(**given: Any) -> tuple[FastAPI, Written]:
    settings = load(
        environ={}, objectives=[TEAM, MINE, LEARN], challenges=[SPRINT, SPRINT | {"name": "Trial", "dry_run": True}], **given
    )
    web, plans = application(), plans_of(settings, load_catalogue())
    web.state.vigie.figures = settings.people_figures
    operators = Operators([
        OperatorSettings(name=name, token=TOKENS[name]["authorization"][7:], role="operate" if name == "boss" else "read",
                         owners=(ANN,) if name == "ann" else ())
        for name in TOKENS
    ])  # fmt: skip
    written = Written(plans)
    asked: Callable[[bytes, bytes], Awaitable[None]] = written.put
    web.include_router(goals.router(lambda: plans, lambda: company().view, Operations(operators, asked), written.put))
    web.include_router(leaderboard.router(settings.leaderboards, load_catalogue(), lambda: company().view))
    web.add_middleware(ReadGuard, access=Access(settings.web, operators))
    return web, written


async def get(web: FastAPI, path: str, who: str = "reader") -> Any:
    async with client(web) as found:
        answer = await found.get(path, headers=TOKENS[who])
    return answer.json() if answer.status_code == 200 else answer.status_code


async def post(web: FastAPI, body: Any, who: str = "boss") -> tuple[int, Any]:
    async with client(web) as found:
        answer = await found.post(
            "/api/objectives", content=body if isinstance(body, bytes) else orjson.dumps(body), headers=TOKENS[who]
        )
    return answer.status_code, answer.json()


def names(found: Any) -> list[str]:
    return [one["name"] for one in found["objectives"]]


async def test_who_sees_which_objectives() -> None:
    web, _ = serving()
    assert names(await get(web, "/api/objectives")) == ["North", "Ann's", "Ann learns"]
    assert names(await get(web, "/api/objectives", "ann")) == ["Ann's", "Ann learns"]
    assert names(await get(web, "/api/objectives?team=north")) == ["North"] and names(
        await get(web, "/api/objectives?period=week")
    ) == ["Ann's"]
    limited, _ = serving(people={"figures": "limited", "readers": ["head"]})
    assert names(await get(limited, "/api/objectives")) == ["North"]
    assert names(await get(limited, "/api/objectives", "head")) == ["North", "Ann's", "Ann learns"]
    assert names(await get(limited, "/api/objectives", "ann")) == ["Ann's", "Ann learns"]
    without, _ = serving(people={"left_out": [ANN]})
    assert names(await get(without, "/api/objectives")) == ["North"]
    one = (await get(web, "/api/objectives"))["objectives"][1]
    assert (one["id"], one["source"], one["by"], one["main"]["kind"]) == ("ann-s", "settings", None, "kpi")
    for query in ("?owners=x", "?past=13", "?past=x", "?period=year"):
        assert await get(web, f"/api/objectives{query}") == 400


async def test_figures_of_people_are_for_those_who_may_read_them() -> None:
    limited, _ = serving(people={"figures": "limited", "readers": ["head"]})
    for path in ("/api/kpis?by=owner", "/api/leaderboard?by=owner"):
        assert await get(limited, path) == 403 and await get(limited, path, "head") != 403
    assert (await get(limited, "/api/challenges"))["challenges"] == [] and await get(limited, "/api/kpis?by=source") != 403
    (mine,) = (await get(limited, "/api/challenges", "ann"))["challenges"]
    assert [place["who"] for place in mine["places"]] == [ANN]


async def test_challenges_show_the_upper_half_the_own_place_or_all_to_who_asks() -> None:
    web, _ = serving()
    (found,) = (await get(web, "/api/challenges"))["challenges"]
    assert found["name"] == "Sprint" and 0 < len(found["places"]) <= found["of"] // 2
    (whole,) = (await get(web, "/api/challenges?all=true"))["challenges"]
    assert (
        len(whole["places"]) == whole["of"] > len(found["places"]) and whole["places"][0]["score"] == whole["places"][0]["value"]
    )
    assert [one["name"] for one in (await get(web, "/api/challenges?dry_run=true"))["challenges"]] == ["Sprint", "Trial"]
    assert len((await get(web, "/api/challenges?dry_run=true", "ann"))["challenges"]) == 1, "a dry run is told to nobody"
    assert await get(web, "/api/challenges?dry_run=yes") == 400 and await get(web, "/api/challenges?x=1") == 400


async def test_objectives_are_set_and_removed_and_progress_is_said() -> None:
    web, written = serving()
    status, made = await post(web, TEAM | {"name": "South", "team": "south"})
    assert status == 202 and made["id"] == "south" and made["by"] == "boss"
    assert names(await get(web, "/api/objectives"))[-1] == "South" and written.plans.targets()[0].segment == "team=south"
    assert (await post(web, {"id": "ann-learns", "progress": 0.4, "note": "one"}, "ann"))[0] == 202
    main = (await get(web, "/api/objectives", "ann"))["objectives"][1]["main"]
    assert (main["progress"], main["note"], main["said_by"]) == (0.4, "one", "ann")
    assert (await post(web, {"id": "south", "remove": True}))[0] == 202 and "South" not in names(
        await get(web, "/api/objectives")
    )
    assert (await post(web, MINE | {"name": "More"}, "ann"))[0] == 202
    assert (await post(web, MINE | {"name": "More", "owner": BOB}))[0] == 409


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"),
        ([1], 400, "accepted: an objective, or an id"),
        (TEAM, 409, "declared in the settings"),
        (TEAM | {"name": "x", "indicators": []}, 400, "one of them is a guard"),
        (MINE | {"name": "x", "until": "2020-01-01", "from": "2020-02-01"}, 400, "before it begins (accepted: 2020-02-01"),
        (MINE | {"name": "x", "main": {"kpi": "revnue", "target": 1}}, 400, "main.kpi: unknown KPI 'revnue' (did you mean"),
        (MINE | {"name": "x", "main": {"kpi": "sessions", "target": 1}}, 400, "not told by owner"),
        (MINE | {"name": "x", "main": {"kpi": "revenue"}}, 400, "a kpi with a target, or a text"),
        (MINE | {"name": "x", "main": {"kpi": "revenue", "target": -1}}, 400, "main.target"),
        (MINE | {"name": "x", "ownr": "y"}, 400, "ownr"),
        ({"id": "nobody", "progress": 1}, 404, "the id of an objective"),
        ({"id": "ann-learns", "progress": 1.5}, 400, "a number from 0 to 1"),
        ({"id": "ann-learns", "progress": True}, 400, "a number from 0 to 1"),
        ({"id": "ann-s", "progress": 0.5}, 400, "measured by meetings"),
        ({"id": "ann-learns", "remove": True}, 409, "declared in the settings"),
        ({"id": "ann-learns", "progress": 0.5, "nte": "x"}, 400, "accepted: id, progress, note"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_with_what_is_accepted(body: Any, status: int, said: str) -> None:
    web, written = serving()
    found, answer = await post(web, body)
    assert (found, not written) == (status, True) and said in answer["error"], answer


async def test_who_may_not_set_them() -> None:
    web, written = serving()
    assert (await post(web, MINE | {"name": "x"}, "reader"))[0] == 403
    assert (await post(web, MINE | {"name": "x", "owner": BOB}, "ann"))[0] == 403
    assert (await post(web, {"id": "north", "progress": 1}, "ann"))[0] in (400, 403) and not written


@pytest.mark.parametrize(
    ("section", "wrong", "said"),
    [
        ("challenges", [SPRINT | {"until": "2020-01-01"}], "before it begins"),
        ("challenges", [SPRINT | {"guards": []}], "guards"),
        ("challenges", [SPRINT | {"guards": [{"kpi": "discount_rate"}]}], "at_most or at_least"),
        ("challenges", [SPRINT, SPRINT], "a name of its own for each"),
        ("challenges", [SPRINT | {"among": ["x", "x"]}], "each once"),
        ("challenges", [SPRINT | {"among": ["x"]}], "two or more"),
        ("challenges", [SPRINT | {"from": "2020-01-01"}], "366 days at most"),
        ("objectives", [TEAM | {"owner": "x"}], "found both"),
        ("objectives", [MINE | {"main": GUARD}], "found a guard"),
        ("objectives", [MINE | {"main": {"kpi": "revenue", "target": 1, "at_most": 1}}], "accepted with guard: true"),
        ("objectives", [MINE | {"indicators": [{"kpi": "meetings", "target": 1}]}], "each KPI once"),
        ("people", {"figures": "nobody"}, "people.figures"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used(section: str, wrong: Any, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(environ={}, **{section: wrong})
    assert said in str(error.value)


def test_what_only_the_catalogue_knows_is_said_at_the_start() -> None:
    test = {
        "name": "s",
        "variants": ["A", "B"],
        "from": "2026-01-01",
        "guards": [{"kpi": "cac"}, {"kpi": "revenue"}, {"kpi": "x"}],
    }
    settings = load(
        environ={},
        experiments=[test],
        objectives=[MINE | {"main": {"kpi": "x", "target": 1}}],
        challenges=[SPRINT | {"kpi": "cac"}],
    )
    with pytest.raises(SettingsError) as error:
        plans_of(settings, load_catalogue())
    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "experiments[0].guards[0].kpi", "experiments[0].guards[1].kpi", "experiments[0].guards[2].kpi", "objectives[0].main.kpi",
        "challenges[0].kpi",
    ]  # fmt: skip


async def test_the_commands_tell_them(monkeypatch: pytest.MonkeyPatch) -> None:
    web, _ = serving()
    answers = {path: await get(web, path) for path in ("/api/objectives", "/api/challenges?all=false&dry_run=false")}
    monkeypatch.setattr(remote, "call", lambda method, path, **more: answers[path])
    told = RUN.invoke(app, ["objectives", "--url", "http://h:1"])
    assert told.exit_code == 0 and "North (" in told.stdout and "three demos: nobody has said yet how far it is" in told.stdout
    told = RUN.invoke(app, ["challenges", "--url", "http://h:1"])
    assert told.exit_code == 0 and told.stdout.startswith("Sprint (Revenue, ") and "more have a place" in told.stdout
    assert RUN.invoke(app, ["objectives", "templates", "learning"]).stdout.startswith("# learning\n- name: PERSON learns")
    assert RUN.invoke(app, ["objectives", "templates", "lerning"]).exit_code == 2


def test_templates_can_be_used_as_they_are() -> None:
    from models.goals.templates import TEMPLATES

    plans_of(load(environ={}, objectives=list(TEMPLATES.values())), load_catalogue())


async def test_playbooks_are_told_with_their_runs() -> None:
    fired: dict[str, Any] = {
        "type": "transition",
        "kind": "fired",
        "rule": "leads-drop",
        "incident": "i1",
        "kpi": "leads",
        "at": iso(NOW - 20 * 86_400_000),
    }
    records: list[dict[str, Any]] = [fired | {"segment": {}}, fired | {"incident": "i2", "segment": {"owner": ANN}}]
    book = Playbook(name="Call", rules=("leads-drop",), steps=("call",), owner="Ann")

    def history(count: int, matches: Callable[[dict[str, Any]], bool], before: int | None) -> tuple[list[dict[str, Any]], None]:
        return [one for one in records if matches(one)], None

    for figures, whose in (("everybody", ["i1", "i2"]), ("limited", ["i1"])):
        web, _ = serving(people={"figures": figures})
        web.include_router(playbooks.router([book], load_catalogue(), lambda: company().view, history))
        (one,) = (await get(web, "/api/playbooks"))["playbooks"]
        assert [run["incident"] for run in one["runs"]] == whose and one["record"]["runs"] == 2
        assert one["owner"] == ("Ann" if figures == "everybody" else None)
        assert all(run["status"] in ("better", "worse", "as_expected", "unknown") for run in one["runs"])
        assert await get(web, "/api/playbooks", "ann") == 403, "they are about everybody"


# ── figures of single people, wherever else they are told ──

ALERTS = [
    {"id": "of-ann", "rule": "r", "severity": "warn", "state": "firing", "segment": {"owner": ANN}, "title": "Ann's"},
    {"id": "pair", "rule": "r", "severity": "warn", "state": "firing", "segment": {"owner.source": f"{ANN} × web"}},
    {"id": "deal", "rule": "r", "severity": "warn", "state": "firing", "segment": {"deal": "D-1"},
     "explanation": {"behind": [{"id": "D-1", "owner": ANN}], "moved_by": [{"dimension": "owner"}, {"dimension": "source"}]}},
    {"id": "all", "rule": "r", "severity": "warn", "state": "firing", "segment": {}},
]  # fmt: skip


def guarded(figures: str) -> FastAPI:
    web, _ = serving(people={"figures": figures, "readers": ["head"]})
    web.state.vigie.alerts = lambda: ALERTS
    web.include_router(entities.router(Kept(NOW)))
    web.include_router(usual.router(load_catalogue(), lambda: company().view))
    return web


async def test_open_deals_and_leads_are_listed_without_whose_they_are() -> None:
    web = guarded("limited")
    for who, named in (("reader", False), ("head", True)):
        deals, leads = (await get(web, "/api/deals?limit=200", who))["deals"], (await get(web, "/api/waiting", who))["leads"]
        shown = [deal for stage in (await get(web, "/api/pipeline", who))["stages"] for deal in stage["deals"]]
        assert deals and leads and shown
        assert {bool(one["owner"] or one["owner_name"]) for one in (*deals, *leads, *shown)} == {named}
    assert await get(web, "/api/deals?owner=ada") == 403 and (await get(web, "/api/deals?owner=ada", "head"))["count"]
    assert (await get(web, "/api/deals?search=ada"))["count"] == 0 < (await get(web, "/api/deals?search=ada", "head"))["count"]
    assert (await get(guarded("everybody"), "/api/deals?owner=ada"))["count"]


async def test_alerts_on_a_person_s_figures_and_names_are_for_those_who_may_read_them() -> None:
    web = guarded("limited")
    assert [one["id"] for one in await get(web, "/api/alerts", "head")] == ["of-ann", "pair", "deal", "all"]
    seen = await get(web, "/api/alerts")
    assert [one["id"] for one in seen] == ["deal", "all"] and ANN not in str(seen)
    assert seen[0]["explanation"]["moved_by"] == [{"dimension": "source"}]
    ctx = web.state.vigie
    for people, ids in ((False, ["deal", "all"]), (True, ["of-ann", "pair", "deal", "all"])):
        events: Any = ctx.live.stream("30d") if people else events_without_people(ctx.live.stream("30d"))
        assert await anext(events) == b"retry: 2000\n\n"
        told = orjson.loads((await anext(events)).partition(b"data: ")[2])
        assert [one["id"] for one in told["alerts"]] == ids
        assert {one.get("owner") for one in told["alerts"]} == ({None, ANN} if people else {None})
        await events.aclose()


async def test_what_is_usual_of_an_owner_and_metrics_by_owner_are_guarded() -> None:
    web = guarded("limited")
    assert await get(web, f"/api/kpis/sales/usual?segment=owner%3D{ANN}") == 403
    assert await get(web, f"/api/kpis/sales/usual?segment=owner%3D{ANN}", "head") != 403
    assert await get(web, f"/api/kpis/sales/usual?segment=owner%3D{ANN}", "ann") != 403
    for readers, expected in (((), ["source"]), (("head",), ["source"]), (("metrics",), ["source", "owner", "owner.source"])):
        limited = PeopleSettings(figures="limited", readers=readers)
        assert dimensions_shown(["source", "owner", "owner.source"], limited) == expected
    assert dimensions_shown(["owner"], PeopleSettings()) == ["owner"]
