"""``vigie forecast period`` against a web application that answers from a view."""

import asyncio
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner, Result

from models.business import Business
from models.calendar import HOUR_MS
from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from stream.readings.board import Board, ViewSource
from stream.web.server import serve
from tests.stream.web.web import application
from vigie.__main__ import app

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})
BUSINESS = Business(timezone="Europe/Paris")
CALENDAR = BUSINESS.calendar
#: Thursday, 19 November 2026, 12:00 in Paris.
TODAY = CALENDAR.day(1_795_096_830_000)
NOW = CALENDAR.day_start(TODAY) + 12 * HOUR_MS


def view(days: int) -> View:
    """A view of so many days of sales: two owners, nobody sells on Sundays."""
    found = View(BUSINESS)
    random = np.random.default_rng(1)
    for day in range(TODAY - days, TODAY):
        sold = [int(count) for count in random.poisson(0 if day % 7 == 0 else 4, 2)]
        for segment, count in (("owner=ann", sold[0]), ("owner=bob", sold[1]), ("total", sum(sold))):
            sums = {"deals_won": count, "won_amount": count * 10_000_000, "won_sized": count, "deals_lost": 3}
            found.put(f"deals:0:d:{day}:{segment}".encode(), orjson.dumps(sums))
    found.live = True
    found.advance(NOW)
    return found


async def asked(days: int, *options: str) -> Result:
    held = view(days)
    board = Board(ViewSource(lambda: held, load_catalogue()), CALENDAR, lambda: NOW)
    listening = await serve(application(board), "127.0.0.1", 0)
    try:
        return await asyncio.to_thread(RUN.invoke, app, ["forecast", "period", "--url", listening.url, *options])
    finally:
        await listening.stop()


async def test_the_month_s_end_in_total_and_by_owner() -> None:
    result = await asked(150, "--json", "--target", "100000")
    assert result.exit_code == 0, result.output
    (total,) = orjson.loads(result.stdout)
    assert (total["kpi"], total["period"], total["segment"], total["currency"]) == ("revenue", "month", {}, "EUR")
    assert (total["from"], total["until"]) == ("2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")
    # Half of today and eleven days are to come, of which nine or ten are no Sundays, at 8,000 a day.
    assert 70_000 < total["p50"] - total["so_far"] < 100_000
    assert total["so_far"] < total["p10"] < total["p50"] < total["p90"]
    assert total["p_target"] == 1.0

    by = orjson.loads((await asked(150, "--json", "--by", "owner")).stdout)
    assert [row["segment"] for row in by] == [{"owner": "ann"}, {"owner": "bob"}]
    assert sum(row["so_far"] for row in by) == total["so_far"]
    assert sum(row["mean"] for row in by) == pytest.approx(total["mean"], rel=0.05)


async def test_targets_come_from_the_settings(tmp_path: Any) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text(
        "targets: [{kpi: sales, period: month, value: 1}, {kpi: sales, period: month, for: {owner: ann}, value: 900}]"
    )
    (total,) = orjson.loads((await asked(150, "--json", "--kpi", "sales", "--config", str(config))).stdout)
    assert (total["target"], total["p_target"]) == (1, 1.0)
    by = orjson.loads((await asked(150, "--json", "--kpi", "sales", "--by", "owner", "--config", str(config))).stdout)
    assert [(row["target"], row["p_target"]) for row in by] == [(900, 0.0), (None, None)]


async def test_people_read_a_line() -> None:
    result = await asked(150, "--period", "quarter", "--kpi", "sales", "--target", "450")
    assert result.exit_code == 0, result.output
    line = " ".join(result.stdout.split())
    assert line.startswith("sales, quarter, total: ") and "so far;" in line and "(P10 to P90) by its end" in line
    assert "target 450 with " in line


async def test_another_kpi_beside_it_is_told_by_what_it_adds() -> None:
    (total,) = orjson.loads((await asked(150, "--json", "--kpi", "sales", "--with", "win_rate")).stdout)
    assert set(total["adds"]) == {"win_rate"} and total["p10"] < total["p90"]
    line = " ".join((await asked(150, "--with", "win_rate")).stdout.split())
    assert "revenue, month, total" in line and "; win_rate would have made errors " in line and line.endswith("and is not used")
    assert total["used"] == []


async def test_too_few_days_are_said() -> None:
    (total,) = orjson.loads((await asked(30, "--json")).stdout)
    assert total["p50"] is None and total["so_far"] > 0
    assert total["why"] == "30 days before are known; 50 are needed to have been forecast so far ahead"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--period", "decade"], "--period: found 'decade'; accepted: week, month, quarter"),
        (["--kpi", "revenu"], 'did you mean "revenue"?'),
        (["--by", "moon"], "--by: found 'moon'; accepted for revenue:"),
        (["--with", "leeds"], "--with: found 'leeds'; accepted: another KPI"),
        (["--kpi", "win_rate"], "accepted: a KPI that adds up"),
    ],
)
async def test_what_is_wrong_is_said(options: list[str], text: str) -> None:
    result = await asked(150, *options)
    assert result.exit_code == 2
    assert text in result.stderr
