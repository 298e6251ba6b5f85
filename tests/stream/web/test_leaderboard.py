"""``/api/leaderboard``, who sees what of it, and the command that shows it."""

from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from typer.testing import CliRunner

from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from stream.config.leaderboard_settings import LeaderboardSettings
from stream.readings.board import Unavailable
from stream.web import leaderboard
from stream.web.reach import SegmentReach
from tests.stream.demo import company
from tests.stream.web.web import application, client
from vigie import remote
from vigie.__main__ import app
from vigie.leaderboard import leaderboard_lines

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})


def serving(reach: SegmentReach | None = None, **settings: Any) -> FastAPI:
    web = application(owners={"amelie.bernard": {"name": "Amélie Bernard"}})
    web.include_router(leaderboard.router(LeaderboardSettings(**settings), load_catalogue(), lambda: company().view))

    async def limited(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.reach = reach
        return await call_next(request)

    web.add_middleware(BaseHTTPMiddleware, dispatch=limited)
    return web


async def asked(web: FastAPI, query: str = "", status: int = 200) -> Any:
    async with client(web) as someone:
        answer = await someone.get(f"/api/leaderboard{query}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_upper_half_is_for_everybody_and_all_for_who_asks() -> None:
    public, everybody = await asked(serving(), "?window=30d"), await asked(serving(), "?window=30d&all=true")
    assert (public["kpi"], public["unit"], public["currency"], public["by"]) == ("revenue", "money", "EUR", "owner")
    assert len(everybody["places"]) == everybody["of"] > len(public["places"]) > 0
    assert public["places"] == everybody["places"][: len(public["places"])]
    assert len(public["places"]) <= max(1, everybody["of"] // 2)
    values = [place["value"] for place in everybody["places"]]
    assert values == sorted(values, reverse=True) and {"Amélie Bernard"} <= {place["name"] for place in everybody["places"]}
    assert any(place["moved"] is not None for place in everybody["places"])


async def test_rates_have_bounds_and_those_who_may_be_alike_share() -> None:
    found = await asked(serving(least=3), "?kpi=win_rate&window=30d&all=true")
    assert all(place["low"] <= place["drawn"] <= place["high"] for place in found["places"]) and found["of"] > 1
    none = await asked(serving(least=10_000), "?kpi=win_rate&window=30d&all=true")
    assert none["places"] == [] and none["without"] >= found["of"]


async def test_who_is_left_out_is_not_there() -> None:
    found = await asked(serving(left_out=("amelie.bernard",)), "?window=30d&all=true")
    assert "amelie.bernard" not in {place["who"] for place in found["places"]}


async def test_who_may_see_one_owner_sees_that_place_only() -> None:
    reach = SegmentReach.of(["clara.dubois"], [])
    for query in ("?window=30d", "?window=30d&all=true"):
        found = await asked(serving(reach), query)
        assert [place["who"] for place in found["places"]] == ["clara.dubois"] and found["of"] > 1
    assert (await asked(serving(reach), "?window=30d&by=team"))["places"] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("?kpi=revenu", "kpi"),
        ("?window=soon", "window"),
        ("?by=stage", "by"),
        ("?kpi=nps", "by"),
        ("?all=1", "all"),
        ("?x=1", "parameter"),
    ],
)
async def test_names_that_are_not_known(query: str, parameter: str) -> None:
    assert (await asked(serving(), query, 400))["parameter"] in (parameter, "kpi")


async def test_another_process_has_the_numbers() -> None:
    def away() -> View:
        raise Unavailable("another worker has it")

    web = application()
    web.include_router(leaderboard.router(LeaderboardSettings(), load_catalogue(), away))
    assert (await asked(web, status=503))["error"] == "another worker has it"


FOUND: dict[str, Any] = {
    "kpi": "win_rate", "window": "30d", "by": "owner", "unit": "ratio", "currency": None, "of": 5, "without": 2,
    "from": "2026-10-19T22:00:00Z",
    "places": [
        {"rank": 1, "shared": True, "who": "a", "name": "Ann Lee", "value": 0.5, "drawn": 0.41, "low": 0.3, "high": 0.52,
         "sample": 40, "moved": 2},
        {"rank": 1, "shared": True, "who": "b", "name": "b", "value": 0.45, "drawn": 0.4, "low": 0.31, "high": 0.49,
         "sample": 60, "moved": -1},
        {"rank": 3, "shared": False, "who": "c", "name": "c", "value": 0.2, "drawn": 0.21, "low": 0.15, "high": 0.27,
         "sample": 200, "moved": None},
    ],
}  # fmt: skip


def test_what_people_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaderboard_lines(FOUND) == [
        "win_rate, 30d, by owner",
        "  1=  Ann Lee  50.0 %  likely 41.0 % (30.0 – 52.0 %)  up 2",
        "  1=  b        45.0 %  likely 40.0 % (31.0 – 49.0 %)  down 1",
        "  3   c        20.0 %  likely 21.0 % (15.0 – 27.0 %)  new",
        "  2 more have a place",
        "  2 have too few cases",
    ]
    urls: list[str] = []

    def ask(method: str, url: str) -> Any:
        urls.append(url)
        return FOUND

    monkeypatch.setattr(remote, "ask", ask)
    result = RUN.invoke(app, ["leaderboard", "win_rate", "--window", "30d", "--all", "--url", "http://h:1"])
    assert result.stdout.splitlines() == leaderboard_lines(FOUND)
    assert urls == ["http://h:1/api/leaderboard?kpi=win_rate&window=30d&by=owner&all=true"]
    assert RUN.invoke(app, ["leaderboard", "--json", "--url", "http://h:1"]).stdout.startswith("{")


def test_nobody_answers() -> None:
    result = RUN.invoke(app, ["leaderboard", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1 and "no proper answer" in result.stderr
