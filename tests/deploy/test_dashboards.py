"""Every expression of every dashboard is run on a real Prometheus that has scraped the demonstration."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stream.collectors import MODEL_MEASURES
from stream.config.kpi_files import load_catalogue
from stream.config.settings import load
from stream.metrics import Metrics
from stream.web.app import build_web
from stream.web.server import serve
from tests.stream.demo import Company
from tests.stream.web.web import RUNNING, board
from tests.tools import free_port, program
from vigie.grafana.__main__ import files
from vigie.rule_files import load_rules

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))
#: What Grafana puts in the place of its variables.
VARIABLES = {
    "$__rate_interval": "10s",
    "$segment": ".*",
    "$window": "30d",
    "$dimension": "source",
    "$currency": "EUR",
    "${datasource}": "p",
}
#: What may be empty in a demonstration in which nothing goes wrong; everything else must have data.
MAY_BE_EMPTY = ("Dead letters by reason", "Checkpoint retries and rebalances")
#: What is known of a model, as a worker that learns has it.
MODEL = {
    "model": "deal", "lessons": 9_000, "labels": 800, "alarms": 1, "examples": {"close": 800}, "refused": {}, "champion": "model",
    "measures": {speaker: dict.fromkeys(MODEL_MEASURES, 0.5) for speaker in ("model", "floor")},
}  # fmt: skip


def panels(dashboard: dict) -> Iterator[tuple[str, str]]:
    """Yield (title, expression)."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


EXPRESSIONS = [
    pytest.param(file.stem, title, filled(expression), id=f"{file.stem}: {title} {number}")
    for file in DASHBOARDS
    for number, (title, expression) in enumerate(panels(json.loads(file.read_text("utf-8"))))
]


async def _scraped(prometheus: str, directory: Path, ask: Callable[[httpx.AsyncClient, float], Awaitable[None]]) -> None:
    """Serve the demonstration, let a Prometheus scrape it some times, and ask it everything, as of one moment."""
    now = time.time_ns() // 1_000_000
    acme = Company(now)
    metrics = Metrics(lanes=("state", "readings"))
    over = board(acme, clock=lambda: time.time_ns() // 1_000_000)
    metrics.show_kpis(over, ["7d", "30d"], ["source", "owner", "stage"], 20)
    metrics.show_alerts(lambda: {("win-rate-drop", "critical", "firing"): 1})
    metrics.show_lanes(lambda: {"lanes": {"state": {"interval_seconds": 0.25}}})
    metrics.late(0.002)
    metrics.show_models(lambda: [MODEL])
    sent = {("console", "sent"): 0}
    metrics.show_notifications(lambda: sent)
    metrics.show_decisions(lambda: {("notified", "dedup"): sent["console", "sent"]})
    metrics.show_outbox(lambda: {"console": 0}, lambda: {"console": 0.0}, lambda: {"console": 0.0})

    async def scrape(accept: str) -> tuple[bytes, str]:
        # One more second of business per scrape.
        acme.step(1_000)
        sent["console", "sent"] += 1
        for fold in acme.folds.values():
            for (topic, kind, outcome), count in fold.outcomes.items():
                metrics.events(topic, kind, outcome if kind else "dead_letter", count)
            for source, at in fold.last_event.items():
                metrics.source_seen(source, at)
            fold.outcomes.clear()
        for lane in ("state", "readings"):
            metrics.checkpointed(lane, 0.02, 10, 3)
        metrics.delayed(0.01)
        metrics.notified("console", 0.2, 0.1)
        metrics.restored(1.0, 1000, 8)
        metrics.rebalanced(1, 8)
        return await metrics.scrape(accept)

    app = build_web(over, lambda: RUNNING, load(environ={}), scrape=scrape)
    listening = await serve(app, "127.0.0.1", 0)
    port = free_port()
    config = directory / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\n"
        f"scrape_configs: [{{job_name: vigie, static_configs: [{{targets: ['127.0.0.1:{listening.port}']}}]}}]\n"
    )
    process = subprocess.Popen(  # noqa: ASYNC220
        [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60) as web:
            # Enough for every range that is asked for. All is asked as of that moment: a scrape that a busy machine lets time
            # out later takes nothing away from it.
            enough = "count_over_time(vigie_kpi_sales[10s]) >= 3 and vigie_kpi_sales"
            async with asyncio.timeout(240):
                while True:
                    try:
                        answer = await web.get("/query", params={"query": enough})
                        if answer.status_code == 200 and (found := answer.json()["data"]["result"]):
                            break
                    except httpx.TransportError:
                        pass
                    await asyncio.sleep(0.2)
            await ask(web, float(found[0]["value"][0]))
    finally:
        process.terminate()
        process.wait(120)
        await listening.stop()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Every expression's answer."""
    prometheus = program("prometheus")
    found: dict[str, dict] = {}

    async def ask(web: httpx.AsyncClient, at: float) -> None:
        for file in DASHBOARDS:
            dashboard = json.loads(file.read_text("utf-8"))
            for _, expression in panels(dashboard):
                query = filled(expression)
                found[query] = (await web.get("/query", params={"query": query, "time": at})).json()
                # As a Prometheus without data answers: this one, a day before it began.
                earlier: dict[str, str | float] = {"query": query, "time": at - 86_400}
                found[f"{query} of nothing"] = (await web.get("/query", params=earlier)).json()
            for variable in dashboard["templating"]["list"]:
                if found_in := re.fullmatch(r"label_values\((.+), (\w+)\)", str(variable.get("definition"))):
                    match = {"match[]": found_in[1]}
                    found[variable["definition"]] = (await web.get(f"/label/{found_in[2]}/values", params=match)).json()

    asyncio.run(_scraped(prometheus, tmp_path_factory.mktemp("prometheus"), ask))
    return found


@pytest.mark.prometheus
@pytest.mark.parametrize(("dashboard", "title", "expression"), EXPRESSIONS)
def test_an_expression_answers(answers, dashboard, title, expression):
    answer = answers[expression]
    assert answer["status"] == "success", answer
    assert "$" not in expression
    if title not in MAY_BE_EMPTY:
        assert answer["data"]["result"], f"{dashboard}: {title}: no data for {expression}"


@pytest.mark.prometheus
@pytest.mark.parametrize(("dashboard", "title", "expression"), EXPRESSIONS)
def test_without_data_nothing_is_made_up(answers, dashboard, title, expression):
    answer = answers[f"{expression} of nothing"]
    assert answer["status"] == "success", answer
    assert not answer["data"]["result"], f"{dashboard}: {title}: {answer['data']['result']} of no data"


@pytest.mark.prometheus
def test_the_variables_have_values(answers):
    assert answers["label_values(vigie_kpi_sales, window)"]["data"] == ["30d", "7d"]
    assert answers["label_values(vigie_kpi_revenue, currency)"]["data"] == ["EUR"]
    assert "source" in answers['label_values(vigie_kpi_win_rate_ratio{dimension!="total"}, dimension)']["data"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_sound(file: Path):
    dashboard = json.loads(file.read_text("utf-8"))
    assert {"uid", "title", "panels", "templating", "schemaVersion"} <= dashboard.keys()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]


def test_every_dashboard_is_there():
    made = sorted([*files(), "sales-overview.json", "vigie-health.json"])
    assert [file.name for file in DASHBOARDS] == made and len(files()) == 8


@pytest.mark.parametrize("name", sorted(files()))
def test_a_dashboard_that_is_made_is_as_it_is_made(name):
    assert (ROOT / "dashboards" / name).read_text("utf-8") == files()[name], "make docs writes it anew"


@pytest.mark.parametrize("name", sorted(files()))
def test_a_dashboard_that_is_made_says_what_its_figures_are(name):
    tree = json.loads(files()[name])
    assert tree["annotations"]["list"][0]["expr"].startswith("max by (rule") and len(tree["links"]) == 9
    uids = {json.loads(file.read_text("utf-8"))["uid"] for file in DASHBOARDS}
    assert {link["url"].removeprefix("/d/") for link in tree["links"]} <= uids
    named = {variable["name"] for variable in tree["templating"]["list"]}
    for used in re.findall(r"\$\{?(\w+)", json.dumps(tree)):
        assert used in named or used.startswith("__"), used
    for panel in tree["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"] and (panel["description"] or name == "alerts.json"), panel["title"]


def test_thresholds_are_the_rules():
    catalogue = load_catalogue()
    (panel,) = (
        one
        for one in json.loads(files()["loyalty.json"])["panels"]
        if one["title"] == catalogue.kpis["nps"].label["en"] and one["type"] == "stat"
    )
    (rule,) = (rule for rule in load_rules(catalogue) if rule.id == "nps-low")
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, *sorted(step.threshold for step in rule.ladder)]
    assert steps[-1]["color"] == "green" and steps[0]["color"] != "green"
    assert panel["fieldConfig"]["defaults"]["unit"] == "none" and panel["description"] == catalogue.kpis["nps"].definition
