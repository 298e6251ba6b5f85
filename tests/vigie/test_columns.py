"""What commands print fits a terminal of 80 columns: no word is broken, no number is written as a power of ten."""

import json
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from typer.testing import CliRunner

from alert_rules.trial.backtest import GUARDS
from tests.vigie.test_alerts import ALERT, ask
from vigie import models, publish
from vigie.__main__ import app
from vigie.backtest import _print
from vigie.common import wrapped
from vigie.doctor import _line
from vigie.findings import warn


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("VIGIE_TOKEN", raising=False)


def fits(text: str, *words: str) -> None:
    text = unstyle(text)
    assert max(map(len, text.splitlines())) <= 80, text
    for word in words:
        assert word in text.split(), f"{word} is broken in {text}"


async def test_alerts() -> None:
    summary = "Lead L7-000040 from web has waited 7 d 12 h of business time for a first contact (owner: eva.lindgren)"
    alert = ALERT | {"id": "35aa5d1da1cfb10ddc19", "summary": summary}
    result, _ = await ask("list", body=[alert, alert | {"summary": None}])
    fits(result.stdout, "35aa5d1da1cfb10ddc19", "critical,", "firing,", "eva.lindgren)", "win-rate-drop:")
    record = {
        "type": "decision",
        "at": "2026-03-01T10:00:00.123Z",
        "incidents": ["35aa5d1da1cfb10ddc19"],
        "outcome": "suppressed",
        "stage": "silence",
        "receivers": ["sales-slack"],
        "reason": "silenced by ada until the fair is over",
    }
    result, _ = await ask("history", body={"records": [record], "next": None})
    fits(result.stdout, "35aa5d1da1cfb10ddc19", "(silence)", "sales-slack:")


def test_doctor() -> None:
    fits(_line(warn("receivers", "alerts go to the console only, " * 4, "name one under receivers, such as {name: ops}, " * 3)))


RULE: dict[str, Any] = {
        "rule": "pipeline-shrinks-by-a-lot", "kpi": "weighted_pipeline_model", "window": "quarter", "by": "campaign",
        "unit": "money", "condition": "value", "threshold_unit": "money", "groups": 129,
        "values": {"p5": 14_300, "p50": 1_236_900, "p95": 5_236_900},
        "incidents": 129, "critical": 66, "per_week": 15.05, "share_firing": 0.021, "median_seconds": 378_000,
        "longest_seconds": 5_130_000, "never_spoke": 2,
    }  # fmt: skip


def test_backtest(capsys: pytest.CaptureFixture[str]) -> None:
    _print({"rules": [RULE]})
    fits(capsys.readouterr().out, "pipeline-shrinks-by-a-lot:", "weighted_pipeline_model", "campaign,")


def test_a_backtests_grid(capsys: pytest.CaptureFixture[str]) -> None:
    guard = {"per_week": 15.05, "groups": 129, "share_firing": 0.021}
    row = {"threshold": 1_236_900.0, **dict.fromkeys(GUARDS, guard)}
    _print({"rules": [RULE | {"grid": [row, row]}]})
    text = capsys.readouterr().out
    fits(text, "unguarded", "15.05")
    assert text.count("15.05 · 129 · 2.1 %") == 2 * len(GUARDS)


def test_models_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    part = dict.fromkeys(models._COLUMNS, 0.123456) | {"answers": 123_456}
    found = {"entity": "deal", "deals": 1_234_567, "answers": 123_456, "lessons": 99_999, "over_time": [part] * 4}
    models._print(found | {name: part for name, _ in models._SECTIONS})
    fits(capsys.readouterr().out, "123,456,", "log_loss", "0.123", "mae_days")


def test_topics_and_sources(tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text(
        "web: {public_url: 'https://vigie.a-long-name.example.com'}\n"
        "sources: {pipedrive-of-the-north: {adapter: pipedrive, token: a-token-of-some-length}, hubspot: {}}\n"
        "collect: {sites: {shop: {key: shop-4f7a2c91, origins: ['https://www.example.com', 'https://shop.example.com']}}}\n"
    )
    for command in (["topics"], ["sources", "list"]):
        result = CliRunner().invoke(app, [*command, "--config", str(config)])
        assert result.exit_code == 0, result.output
        fits(result.stdout)
        assert len(result.stdout.splitlines()) > 5


def test_a_log_hears_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(publish, "_SAID_EVERY", 0.0)
    with publish.progress_bar() as progress:
        task = progress.add_task("judging", total=None, rate="")
        progress.update(task, completed=24_000, rate="at 2025-01-27")
    assert "judging: 24,000 at 2025-01-27" in capsys.readouterr().err


def test_where_there_is_no_terminal_lines_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    text = "word " * 100
    assert wrapped(text) == text
    assert json.dumps(wrapped("")) == '""'
