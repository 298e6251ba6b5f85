"""``/api/forecast``, its scores, and the commands that show them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from agents.foresee import Foreseer
from models.business import Business
from models.calendar import DAY_MS, epoch_ms
from models.deal_outlook import TOPIC, DealOutlook, encode
from models.fold import Record
from models.foresight import kept
from models.foresight.foresee import Foresee
from models.foresight.kept import Said
from models.targets import Target, Targets
from stream.config.forecast_settings import ForecastSettings
from stream.config.goal_settings import PeopleSettings
from stream.web import forecast
from tests.models.foresight.deals import closed, company, opened
from tests.stream.web.web import application, client
from vigie import forecast_live
from vigie.__main__ import app

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})
BUSINESS = Business(timezone="Europe/Paris", fiscal_year_start=4)
NOW = epoch_ms(datetime(2026, 11, 16, 12, tzinfo=UTC))


class Holder:
    """Who holds the fold, in place of an engine."""

    def __init__(self, fold: Foresee | None) -> None:
        self.fold = fold

    def fold_of(self, name: str, partition: int) -> Foresee | None:
        return self.fold

    def partitions_of(self, name: str) -> int:
        return 1


def record(month: int, day: int, p50: int, actual: int) -> Said:
    """What was said on a day of a month of 2026."""
    start, end = (epoch_ms(datetime(2026, one, 1, tzinfo=UTC)) for one in (month, month + 1))
    quantiles = tuple(p50 + 1_000 * step for step in range(-10, 11))
    ordinal = datetime(2026, month, day, tzinfo=UTC).toordinal()
    asked = "month", start, end, "total", "", ordinal, start + (day - 1) * DAY_MS, quantiles, p50
    return Said(*asked, 0, 5.0, 5.0, 5.0, 100, (2 * p50, None, None, 3 * p50), 2 * p50, 0.1, actual, 5)


def foreseer(deals: Sequence[DealOutlook] | None = None, *, records: bool = True) -> Foreseer:
    """One that has these deals; left out: those of a company of some months."""
    fold = Foresee(BUSINESS, Targets([Target("revenue", "month", "total", 30_000.0)]))
    for number, deal in enumerate(company(NOW, 200, 5, lambda day: 2.0) if deals is None else deals):
        fold.fold([Record(TOPIC, 0, 0, 0, f"D{number}".encode(), encode(deal), ())])
    for one in (
        (record(month, day, 100_000, 102_000 + 500 * month) for month in (7, 8, 9) for day in (1, 8, 16)) if records else ()
    ):
        fold.fold([Record(kept.TOPIC, 0, 0, 0, one.key.encode(), kept.encode(one), ())])
    fold.live()
    fold.tick(NOW)
    found = Foreseer(BUSINESS, clock=lambda: NOW)
    found.owned.bind(Holder(fold))
    return found


def serving(source: Foreseer | None, **scenarios: str) -> FastAPI:
    web = application(owners={"owner1": {"name": "Ann Onymous"}})
    web.include_router(forecast.router(source, ForecastSettings(scenarios=scenarios), BUSINESS.calendar))
    return web


async def asked(source: Foreseer | None, path: str, status: int = 200, **scenarios: str) -> Any:
    making = None if source is None else asyncio.create_task(source.run())
    try:
        async with client(serving(source, **scenarios)) as someone:
            answer = await someone.get(f"/api/forecast{path}")
    finally:
        if making is not None:
            making.cancel()
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_month_in_parts_with_its_segments_and_scenarios() -> None:
    found = await asked(foreseer(), "?by=owner&scenario=growth&scenario=win_rate%20%2B50%20%25", growth="arrivals +100 %")
    assert (found["from"], found["until"]) == ("2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")
    assert [one["name"] for one in found["scenarios"]] == ["expected", "growth", "win_rate +50 %"]
    assert found["scenarios"][1]["arrivals"] == 2.0
    totals = {row["scenario"]: row for row in found["forecasts"] if row["segment"] == {}}
    total = totals["expected"]
    parts = total["parts"]
    assert total["mean"] == pytest.approx(parts["won"]["value"] + parts["open"]["mean"] + parts["new"]["mean"], abs=0.01)
    assert total["p10"] < total["p50"] < total["p90"] and total["quantiles"][2] == [0.1, total["p10"]]
    assert total["target"] == 30_000.0 and 0 <= total["target_probability"] <= 1
    assert totals["growth"]["parts"]["new"]["mean"] == pytest.approx(2 * parts["new"]["mean"], rel=1e-6)
    assert totals["win_rate +50 %"]["mean"] > total["mean"]
    owners = [row for row in found["forecasts"] if row["segment"] and row["scenario"] == "expected"]
    assert [row["mean"] for row in owners] == sorted((row["mean"] for row in owners), reverse=True)
    assert {(row["segment"]["owner"], row["name"]) for row in owners} >= {("owner1", "Ann Onymous"), ("owner0", None)}
    assert set(found["yardsticks"]) == {"last_period", "season_ago", "last_year_growth", "stage_weighted"}
    assert found["yardsticks"]["last_period"] > 0 and found["yardsticks"]["last_year_growth"] is None
    assert found["best_lately"]["name"] == "forecast" and found["best_lately"]["periods"] == 2
    year = await asked(foreseer(), "?period=fiscal_year")
    assert (year["period"], year["from"]) == ("year", "2026-03-31T22:00:00Z")


async def test_scores_are_told_beside_the_yardsticks() -> None:
    found = await asked(foreseer(), "/scores?period=month")
    assert [one["asked"] for one in found["summary"]] == ["start", "quarter", "half"]
    start = found["summary"][0]["scores"]
    assert start["forecast"]["forecasts"] == 3 and start["forecast"]["coverage"] == 1.0
    assert start["forecast"]["bias"] == pytest.approx(-6_000 / 106_000, abs=0.001)
    assert set(start) == {"forecast", "last_period", "stage_weighted"} and start["last_period"]["forecasts"] == 2
    assert start["stage_weighted"]["crps"] > start["forecast"]["crps"]
    assert found["target_probability"] == {"forecasts": 9, "ece": 0.1, "bins": [{"said": 0.1, "came": 0.0, "forecasts": 9}]}
    latest = found["periods"][0]
    assert (latest["from"], latest["actual"], len(latest["said"])) == ("2026-09-01T00:00:00Z", 10.65, 3)
    assert latest["said"][0]["day"] == "2026-09-01" and latest["said"][0]["covered"] is True
    nothing = await asked(foreseer(records=False), "/scores")
    assert (nothing["summary"], nothing["best_lately"], nothing["periods"]) == ([], None, [])
    assert forecast_live.score_lines(nothing) == ["No month is over yet of which a forecast was kept."]
    assert any("the weighted pipeline" in line for line in forecast_live.score_lines(found))


async def test_nothing_at_all_has_its_reason() -> None:
    found = await asked(foreseer([], records=False), "?by=team")
    assert found["forecasts"][0]["mean"] == 0.0 and found["why"]


async def test_an_owner_without_open_deals_has_what_is_won_and_what_usually_comes() -> None:
    """Ann has won two days in three for four months and has nothing open; Bob has; a third has lost his only deal."""
    deals = [closed(NOW - n * DAY_MS, 100.0, values=(None, "ann" if n % 3 else "bob"), age=3) for n in range(1, 120)]
    deals += [*(opened(NOW, 100.0, values=(None, "bob")) for _ in range(5)), closed(NOW - DAY_MS, 9.0, "lost", (None, "cid"))]
    found = await asked(foreseer(deals, records=False), "?by=owner")
    total, *owners = found["forecasts"]
    by = {row["segment"]["owner"]: row for row in owners}
    assert set(by) == {"ann", "bob", "cid"}
    ann = by["ann"]
    assert ann["parts"]["won"] == {"value": 1000.0, "deals": 10}
    assert ann["parts"]["open"] == {"deals": 0, "mean": 0.0, "p10": 0.0, "p50": 0.0, "p90": 0.0}
    assert 500.0 < ann["parts"]["new"]["mean"] < 1500.0  # two in three of the days that are left
    assert ann["mean"] == pytest.approx(1000.0 + ann["parts"]["new"]["mean"], abs=0.01)
    assert 1000.0 < ann["p10"] < ann["p50"] < ann["p90"]
    assert by["bob"]["parts"]["open"]["deals"] == 5
    assert by["cid"]["parts"]["won"]["deals"] == by["cid"]["parts"]["open"]["deals"] == 0 and by["cid"]["mean"] < 100.0
    assert sum(row["mean"] for row in owners) == pytest.approx(total["mean"], abs=0.01)


async def test_figures_of_people_are_for_those_who_may_read_them() -> None:
    web = serving(foreseer())
    web.state.vigie.figures = PeopleSettings(figures="limited", readers=["head"])
    async with client(web) as someone:
        for path in ("/api/forecast?by=owner", "/api/forecast/scores?by=owner"):
            assert (await someone.get(path)).status_code == 403
        assert (await someone.get("/api/forecast/scores?by=team")).status_code == 200


async def test_what_cannot_be_asked_is_said() -> None:
    source = foreseer()
    for query, what in (
        ("?period=week", "period"),
        ("?by=stage", "by"),
        ("?scenario=wins%20%2B1%20%25", "scenario"),
        ("?perod=month", "parameter"),
    ):  # fmt: skip
        assert (await asked(source, query, 400))["parameter"] == what
    assert "accepted" in (await asked(source, "/scores?by=deal", 400))
    assert "models.live" in (await asked(None, "", 404))["error"]
    away = Foreseer(BUSINESS, clock=lambda: NOW)
    away.owned.bind(Holder(None))
    assert "another worker" in (await asked(away, "", 503))["error"]
    assert "another worker" in (await asked(away, "/scores", 503))["error"]


def test_people_read_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.run(asked(foreseer(), "?scenario=win_rate%20%2B50%20%25"))
    monkeypatch.setattr(forecast_live, "_ask", lambda address, path: told)
    result = RUN.invoke(app, ["forecast", "period", "--url", "http://127.0.0.1:1", "--target", "1"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "revenue, month, total: " in text and "P50" in text and "open deals" in text and "target 1.00 EUR with 100 %" in text
    assert "total, win_rate +50 %:" in text and "Best lately (2 periods): the forecast" in text
    machine = RUN.invoke(app, ["forecast", "period", "--url", "http://127.0.0.1:1", "--json"])
    assert orjson.loads(machine.stdout)["kpi"] == "revenue"
    wrong = RUN.invoke(app, ["forecast", "period", "--url", "http://127.0.0.1:1", "--kpi", "sales", "--period", "year"])
    assert wrong.exit_code == 2 and "accepted: week, month, quarter" in " ".join(wrong.stderr.split())


def test_scenarios_of_the_settings_are_checked_at_the_start() -> None:
    assert ForecastSettings(scenarios={"bad year": "win_rate -10 %"}).scenario("bad year") is not None
    for wrong in ({"expected": "win_rate -10 %"}, {"x": "wins -10 %"}, {"": "win_rate -10 %"}):
        with pytest.raises(ValueError, match="accepted"):
            ForecastSettings(scenarios=wrong)
