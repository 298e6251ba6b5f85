"""Forecasts through the real engine: a replay says once a day what the month will bring, and what came; the same each time."""

from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from models.calendar import DAY_MS, iso
from vigie.__main__ import app

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})
BEGIN = 1_767_225_600_000  # 2026-01-01


def events() -> list[dict[str, Any]]:
    """Three deals a day for forty days; every other one is won, a week later."""
    found: list[tuple[int, str, str, dict[str, Any]]] = []
    for number in range(120):
        at, deal = BEGIN + number // 3 * DAY_MS + number % 3 * 3_600_000, f"D{number}"
        owner = ("ann", "bob")[number % 2]
        found.append((at, deal, "created", {"stage": "demo", "amount": str(100 + number % 7), "owner": owner}))
        found.append((at + 7 * DAY_MS, deal, "won" if number % 4 < 2 else "lost", {}))
    return [
        {
            "specversion": "1.0",
            "id": f"e{n}",
            "source": "test",
            "type": f"deal.{kind}",
            "time": iso(at),
            "subject": deal,
            "data": data,
        }
        for n, (at, deal, kind, data) in enumerate(sorted(found, key=lambda one: one[:2]))
    ]


def test_a_replay_says_what_the_month_brings_and_what_came(tmp_path: Path) -> None:
    file, out = tmp_path / "events.jsonl", tmp_path / "forecasts.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, events())))
    result = RUN.invoke(app, ["replay", str(file), "--kpi", "revenue", "--window", "month", "--forecasts-out", str(out)])
    assert result.exit_code == 0, result.output
    said = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    totals = [one for one in said if one["period"] == "month" and one["by"] == "total"]
    january = [one for one in totals if one["start"] == BEGIN]
    won = [e for e in events() if e["type"] == "deal.won" and e["time"] < "2026-02-01"]
    amounts = {e["subject"]: int(e["data"]["amount"]) for e in events() if e["type"] == "deal.created"}
    assert {one["actual"] for one in january} == {sum(amounts[e["subject"]] for e in won) * 10_000}
    assert len(january) >= 28 and len({one["day"] for one in january}) == len(january)
    last = max(january, key=lambda one: one["day"])
    assert 0.75 < last["quantiles"][10] / last["actual"] < 1.25
    assert {one["value"] for one in said if one["by"] == "owner"} == {"ann", "bob"}
