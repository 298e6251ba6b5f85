"""The SQL that is exported gives our numbers to the cent, over the tables that are exported."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from models.business import Business
from models.feeds.query import parse_query
from models.feeds.semantic import adds_up, expression, metricflow, osi, sql
from models.feeds.tables import READINGS, TABLES, Row
from stream.config.kpi_files import load_catalogue
from stream.web.feeds.files import FileForm, written
from stream.web.feeds.sources import FeedDesk, FeedQuestion
from tests.stream.demo import NOW, ZONE, company
from tests.stream.web.feeds.house import application_with_feeds, feeds
from vigie.__main__ import app

KPIS = load_catalogue().kpis
CALENDAR = Business(timezone=ZONE).calendar
DAY = CALENDAR.day(NOW)
LAST, FIRST = CALENDAR.day_start(DAY), CALENDAR.day_start(DAY - 7)


async def exported(made: FeedDesk, ask: FeedQuestion) -> list[Row]:
    return [row async for batch in made.batches(ask) for row in batch]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The exported readings of a week's days, and of its end over 30 days, in DuckDB."""
    made = feeds(application_with_feeds())
    connection = duckdb.connect()
    for number, (window, every) in enumerate((("day", "1d"), ("30d", "1d"))):
        query = parse_query({}, READINGS)
        begin = DAY - 7 if window == "day" else DAY - 1
        day = date.fromordinal(begin).isoformat()
        asked = {"from": day, "every": every, "window": window, "by": "total,source,owner"}
        rows = asyncio.run(exported(made, FeedQuestion(query, asked, None, NOW)))
        path = tmp_path_factory.mktemp("semantic") / f"{number}.parquet"
        path.write_bytes(written(query, rows, FileForm("parquet")))
        made_by = "create table readings as" if number == 0 else "insert into readings"
        connection.execute(f"{made_by} select * from '{path}'")
    return connection


def filled(text: str) -> str:
    at = "epoch_ms({})::timestamptz"
    return text.replace(":first", at.format(FIRST)).replace(":last", at.format(LAST)).replace(":window", "'30d'")


def test_the_sql_gives_our_numbers_to_the_cent(tables: Any) -> None:
    view, compared, wrong = company().view, 0, list[Any]()
    catalogue = load_catalogue()
    tables.execute("set timezone = 'UTC'")
    for kpi in KPIS.values():
        window = "7d" if adds_up(kpi) else "30d"
        found = {(row[0], row[1]): row[2] for row in tables.execute(filled(sql(kpi))).fetchall()}
        for by in ("total", "source", "owner"):
            if by != "total" and by not in kpi.by:
                continue
            for reading in catalogue.readings(view, LAST, [kpi.id], [window], None if by == "total" else by):
                given = reading.as_json()
                segment = next(iter(given["segment"].values()), "")
                if given["value"] is None:
                    continue
                told = found.get((by, segment))
                close = told is not None and abs(told - given["value"]) <= max(0.005, 1e-9 * abs(given["value"]))
                exact = told is not None and abs(told - given["value"]) <= max(1e-9, 1e-4 if given["unit"] == "money" else 0)
                compared += 1
                if not close or not (exact or given["unit"] in ("seconds", "days", "money", "score")):
                    wrong.append((kpi.id, by, segment, given["value"], told))
    assert not wrong, wrong[:10]
    assert compared > 300 and sum(map(adds_up, KPIS.values())) > 60


def test_the_expressions_of_osi_give_the_same(tables: Any) -> None:
    (model,) = osi(KPIS.values())["semantic_model"]
    for metric in model["metrics"]:
        kpi = KPIS[metric["name"]]
        text = metric["expression"]["dialects"][0]["expression"]
        after = FIRST if adds_up(kpi) else LAST - 1
        chosen = f"dimension = 'total' and \"at\" > epoch_ms({after})::timestamptz"
        ((value,),) = tables.execute(f"select {text} from readings where {chosen}").fetchall()
        told = tables.execute(filled(sql(kpi))).fetchall()
        wanted = next((row[2] for row in told if row[0] == "total"), None)
        assert kpi.minimum > 1 or value == wanted or value == pytest.approx(wanted), metric["name"]


def test_what_is_written_can_be_read() -> None:
    result = CliRunner().invoke(app, ["kpis", "export", "--format", "osi"], env={"VIGIE_CONFIG": None})
    tree = yaml.safe_load(result.stdout)
    (model,) = tree["semantic_model"]
    assert tree["version"] == "1.0" and {one["name"] for one in model["datasets"]} <= set(TABLES)
    for dataset in model["datasets"]:
        assert [field["name"] for field in dataset["fields"]] == list(TABLES[dataset["name"]].names)
    for relation in model["relationships"]:
        assert set(relation["from_columns"]) <= set(TABLES[relation["from"]].names)
        assert relation["to_columns"] == list(TABLES[relation["to"]].key)
    assert {metric["name"] for metric in model["metrics"]} == set(KPIS)
    for metric in model["metrics"]:
        (more,) = metric["custom_extensions"]
        assert json.loads(more["data"])["basis"] == list(KPIS[metric["name"]].basis)


def test_metricflow_names_what_it_uses() -> None:
    result = CliRunner().invoke(app, ["kpis", "export", "--format", "metricflow"], env={"VIGIE_CONFIG": None})
    tree = yaml.safe_load(result.stdout)
    assert tree == metricflow(KPIS.values())
    (model,) = tree["semantic_models"]
    measures = {one["name"]: one for one in model["measures"]}
    assert len(measures) == len(model["measures"])
    made = {name for name, one in measures.items() if one.get("create_metric")}
    assert not made & {metric["name"] for metric in tree["metrics"]}, "no metric is there twice"
    for metric in tree["metrics"]:
        params = metric["type_params"]
        match metric["type"]:
            case "simple":
                assert params["measure"] in measures
            case "ratio":
                assert {params["numerator"], params["denominator"]} <= made
            case "derived":
                assert {one["name"] for one in params["metrics"]} <= made
        assert metric["config"]["meta"]["vigie"]["basis"] and metric["label"]


def test_sql_is_written_for_each() -> None:
    text = CliRunner().invoke(app, ["kpis", "export", "--format", "sql"], env={"VIGIE_CONFIG": None}).stdout
    assert text.count(";\n") == len(KPIS)
    assert expression(KPIS["win_rate"]) == "sum(numerator) / nullif(sum(denominator), 0)"
