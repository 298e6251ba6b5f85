"""``vigie models``: the command over a history of the simulator, its refusals, and the declared list."""

import json
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from models.learners.features import CATEGORIES, NUMBERS
from vigie.__main__ import app

runner = CliRunner()


def event(number: int, kind: str, deal: str, day: int, **data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": kind,
        "time": f"2026-01-{day:02d}T10:00:00Z",
        "subject": deal,
        "data": data,
    }


def written(path: Path, events: list[dict[str, object]]) -> Path:
    path.write_bytes(b"\n".join(map(orjson.dumps, events)))
    return path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    events, number = [], 0
    for deal in range(40):
        name, day = f"D{deal}", 1 + deal % 10
        events.append(
            event(number := number + 1, "deal.created", name, day, source="web" if deal % 2 else "fair", amount="100.00")
        )
        events.append(event(number := number + 1, "deal.won" if deal % 3 else "deal.lost", name, day + 2 + deal % 15))
    return written(tmp_path / "history.jsonl", [*reversed(events), events[0], event(999, "lead.created", "L1", 3)])


def test_evaluate_sorts_deduplicates_and_reports_in_json(history: Path) -> None:
    result = runner.invoke(app, ["models", "evaluate", "--events", str(history), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["events"], found["skipped"], found["rejected"], found["deals"]) == (80, 2, 0, 40)
    assert found["answers"] >= 40 and found["at_events"]["answers"] >= 5
    assert 0 <= found["second_half"]["ece"] <= 1 and 0 <= found["second_half"]["coverage"] <= 1
    assert {"auc", "log_loss", "ece", "mae_days", "bias_days", "coverage", "auc30", "brier30"} <= set(found["second_half"])
    assert len(found["over_time"]) == 8


def test_evaluate_prints_a_table_and_says_what_it_rejected(history: Path) -> None:
    history.write_bytes(history.read_bytes() + b'\n{"type": "deal.won"}\nnot json\n')
    result = runner.invoke(app, ["models", "evaluate", "--events", str(history)])
    assert result.exit_code == 0, result.output
    assert "40 deals" in result.stdout and "second half" in result.stdout


def test_a_stage_that_stands_for_an_outcome_closes_the_deal(tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text("business: {pipelines: {sales: {stages: [{name: Signed, kind: won}]}}}", "utf-8")
    path = written(
        tmp_path / "h.jsonl", [event(1, "deal.created", "D", 1), event(2, "deal.stage_changed", "D", 2, stage="Signed")]
    )
    result = runner.invoke(app, ["models", "evaluate", "--events", str(path), "--config", str(config), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["second_half"]["closed"] == 1


def test_a_history_without_deals_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "leads.jsonl", [event(1, "lead.created", "L1", 3)])
    result = runner.invoke(app, ["models", "evaluate", "--events", str(path)])
    assert result.exit_code == 1 and result.stdout == ""


def test_an_unknown_format_is_wrong_usage(history: Path) -> None:
    result = runner.invoke(app, ["models", "evaluate", "--events", str(history), "--format", "xls"])
    assert result.exit_code == 2


def test_the_declared_features_are_printed_and_documented() -> None:
    result = runner.invoke(app, ["models", "features"])
    assert len(result.stdout.splitlines()) == len(CATEGORIES) + len(NUMBERS)
    page = (Path(__file__).parents[2] / "docs/models.md").read_text("utf-8")
    for feature in (*CATEGORIES, *NUMBERS):
        assert f"| {feature.name} | {feature.words}" in page
