"""Do long commands say how far they are, also where nobody sees a terminal?"""

import io
from pathlib import Path

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from vigie import publish
from vigie.__main__ import app


def test_without_a_terminal_a_line_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(publish, "console", Console(file=said, soft_wrap=True))
    clock = iter([0.0, 4.0, 11.0, 12.0, 25.0])
    monkeypatch.setattr(publish._Steady, "clock", lambda self: next(clock))
    with publish.progress_bar() as progress:
        task = progress.add_task("reading", total=None, rate="")
        for count in (1000, 2000, 3000, 4000, 5000):
            progress.update(task, completed=count, rate="rows")
    lines = [line.strip() for line in said.getvalue().splitlines() if "reading:" in line]
    assert lines == ["reading: 3,000 rows", "reading: 5,000 rows"]


def test_a_backfill_is_seen_while_it_still_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Salesforce's rows are all put together first: before, nothing moved until the last was read."""
    monkeypatch.chdir(tmp_path)
    rows = [
        f"00600000000{number:04d},Open,false,false,5,2026-03-01,2026-01-05T09:00:00Z,2026-01-05T09:00:00Z"
        for number in range(3000)
    ]
    head = "Id,StageName,IsClosed,IsWon,Amount,CloseDate,CreatedDate,LastModifiedDate"
    (tmp_path / "Opportunity.csv").write_text("\n".join([head, *rows]) + "\n")
    monkeypatch.setattr(publish, "_SAID_EVERY", 0)
    result = CliRunner().invoke(app, ["backfill", "salesforce-csv", "Opportunity.csv", "--dry-run", "--json"])
    assert orjson.loads(result.stdout)["deals"]["created"] == 3000
    assert "reading: 1,024 rows and events" in result.stderr
