"""``/api/experiments``, and the commands that show it."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from models.experiments.plan import Plan
from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from stream.config.settings import SettingsError, load
from stream.readings.board import Unavailable
from stream.web import experiments
from tests.stream.demo import company
from tests.stream.web.web import application, client
from vigie import remote
from vigie.__main__ import app
from vigie.experiments import experiment_lines

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})


def since() -> date:
    began = company().view.began(["leads"])
    assert began is not None
    return date.fromordinal(company().view.calendar.day(began)) + timedelta(days=1)


def serving(plans: list[Plan], whole: Callable[[], View] = lambda: company().view) -> FastAPI:
    web = application()
    web.include_router(experiments.router(plans, load_catalogue(), whole))
    return web


async def test_declared_tests_as_they_stand() -> None:
    async with client(serving([Plan("scripts", ("A", "B"), since())])) as web:
        answer = await web.get("/api/experiments")
        assert (await web.get("/api/experiments")).json() == answer.json()
    (found,) = answer.json()
    assert answer.status_code == 200 and found["name"] == "scripts" and found["srm"] is False
    a, b = found["variants"]
    assert a["entered"] > a["judged"] > 100 and b["entered"] > b["judged"] > 100
    assert found["lift"]["difference"] == pytest.approx(b["won"] / b["judged"] - a["won"] / a["judged"], abs=1e-6)
    assert (found["unit"], found["left_out"], found["guards"], found["segments"]) == ("lead", 0, [], [])


async def test_without_tests_or_numbers() -> None:
    async with client(serving([])) as web:
        assert (await web.get("/api/experiments")).json() == []

    def away() -> View:
        raise Unavailable("another worker has it")

    async with client(serving([Plan("scripts", ("A", "B"), since())], away)) as web:
        answer = await web.get("/api/experiments")
    assert (answer.status_code, answer.json()["error"]) == (503, "another worker has it")


def test_the_settings_of_tests() -> None:
    one = {"name": "scripts", "variants": ["A", "B"], "from": "2026-09-01"}
    assert load(environ={}, experiments=[one]).experiments[0].plan() == Plan("scripts", ("A", "B"), date(2026, 9, 1), 0.5)
    for wrong, said in (
        ([one | {"variants": ["A", "A"]}], "two names"),
        ([one | {"ratio": 1}], "less than 1"),
        ([one, one], "a name of its own for each test"),
        ([one | {"unit": "deal"}], "maturity: missing (accepted with unit: deal"),
        ([one | {"maturity": "36h"}], "maturity: found 1.5 days (accepted: whole days, 1d to 730d)"),
        ([one | {"unit": "company"}], "unit"),
    ):
        with pytest.raises(SettingsError) as error:
            load(environ={}, experiments=wrong)
        assert said in str(error.value)


TEST: dict[str, Any] = {
    "name": "scripts", "since": "2026-09-01", "ratio": 0.5, "decision": "none", "decided": None, "srm": False, "srm_since": None,
    "evidence": 6.785, "needed": 1170, "why": None,
    "variants": [
        {"variant": "A", "entered": 626, "judged": 196, "won": 63, "share": 0.3214, "low": 0.26, "high": 0.3897},
        {"variant": "B", "entered": 665, "judged": 224, "won": 99, "share": 0.442, "low": 0.3784, "high": 0.5074},
    ],
    "lift": {"difference": 0.121, "low": -0.0312, "high": 0.2723, "loss_of_a": 0.1206, "loss_of_b": 0.0},
}  # fmt: skip


def test_what_people_are_told() -> None:
    assert experiment_lines(TEST) == [
        "scripts, since 2026-09-01",
        "not decided; evidence 6.79 (25 decides)",
        "  A: 626 leads, 196 of age, 63 converted: 32.1% (26.0% – 39.0%)",
        "  B: 665 leads, 224 of age, 99 converted: 44.2% (37.8% – 50.7%)",
        "  B less A: +12.1 points (between -3.1 and +27.2, however often one looks)",
        "  expected loss: 12.06 points with A, 0.00 with B",
        "  if the difference is as it looks: decided after some 1,170 more leads of age",
    ]
    decided = experiment_lines(TEST | {"decision": "B", "decided": "2026-10-20", "needed": None})
    assert decided[1] == "B is better (decided on 2026-10-20); evidence 6.79 (25 decides)"
    off = experiment_lines(TEST | {"srm": True, "srm_since": "2026-10-02", "needed": None})
    assert off[1] == "not decided; the variants are not given as designed (626 and 665, since 2026-10-02): do not trust it"


def test_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    answers: list[Any] = [[TEST]]
    monkeypatch.setattr(remote, "ask", lambda method, url: answers[-1])
    assert RUN.invoke(app, ["experiments", "list"]).stdout == "scripts: not decided; evidence 6.79 (25 decides)\n"
    assert RUN.invoke(app, ["experiments", "show", "scripts"]).stdout.splitlines() == experiment_lines(TEST)
    unknown = RUN.invoke(app, ["experiments", "show", "script"])
    assert unknown.exit_code == 2 and "did you mean" in unknown.stderr
    assert RUN.invoke(app, ["experiments", "show", "scripts", "--json"]).stdout.startswith("{")
    answers.append([])
    assert "none are declared" in RUN.invoke(app, ["experiments", "list"]).stdout
    assert RUN.invoke(app, ["experiments", "list", "--json"]).stdout == "[]\n"


def test_nobody_answers() -> None:
    result = RUN.invoke(app, ["experiments", "list", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1 and "is `vigie up` or `vigie web` running there?" in result.stderr
