"""``vigie forecast``: lines of JSON in, lines of JSON out."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from vigie.__main__ import app

RUN = CliRunner(env={"NO_COLOR": "1", "VIGIE_CONFIG": ""})


def forecast(command: str, *lines: Any) -> tuple[list[dict[str, Any]], int]:
    sent = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    result = RUN.invoke(app, ["forecast", command, "--stdin"], input=sent)
    return [orjson.loads(line) for line in result.stdout_bytes.splitlines()], result.exit_code


def test_deals_are_answered_line_by_line() -> None:
    deals = [{"id": "x", "p": 0.5, "amount": 100}]
    found, code = forecast(
        "deals", {"id": 1, "won": 5, "target": 105, "deals": deals}, b"", {"id": "two", "draws": 100, "deals": deals}
    )
    assert code == 0
    assert found[0] == {"id": 1, "p_target": 0.5, "mean": 55.0, "p10": 5.0, "p50": 5.0, "p90": 105.0, "draws": None}
    assert (found[1]["id"], found[1]["draws"], found[1]["p_target"]) == ("two", 100, None)


def test_a_line_that_cannot_be_used_is_said_and_the_others_are_answered() -> None:
    wrong = {"id": "b", "deals": [{"p": 2, "amount": 1}]}
    found, code = forecast("deals", b"nope", wrong, {"id": "c"}, b"\xff\xfe", b"[" * 5_000)
    assert code == 1
    assert found[0]["error"].startswith('line 1: found "nope" (accepted: one JSON object')
    assert found[1] == {
        "id": "b", "error": "line 2: deals[0].p: found 2.0 (accepted: 0 to 1)", "line": 2, "where": "deals[0].p", "found": "2.0",
        "accepted": "0 to 1",
    }  # fmt: skip
    assert found[2]["mean"] == 0
    assert ["error" in line for line in found] == [True, True, False, True, True]


def test_without_stdin_it_is_wrong_usage() -> None:
    result = RUN.invoke(app, ["forecast", "deals"])
    assert result.exit_code == 2
    assert "accepted: vigie forecast deals --stdin" in result.stderr


def test_nothing_in_nothing_out() -> None:
    assert forecast("deals") == ([], 0)


def test_the_command_line_does_not_load_what_forecasts_need(tmp_path: Path) -> None:
    program = (
        "import sys, vigie.__main__; print([name for name in ('statsmodels', 'models.foresight.law') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_series_are_answered_line_by_line() -> None:
    asked = {"id": "s", "period": "month", "start": "2020-01", "season": 12, "horizon": 2, "history": [5.0] * 24}
    found, code = forecast("series", asked, asked | {"history": []}, asked | {"horizon": -1})
    assert code == 1
    same = "all 24 values are the same: no other is known to be possible"
    assert found[0] == {"id": "s", "p10": [5.0, 5.0], "p50": [5.0, 5.0], "p90": [5.0, 5.0], "why": [same]}
    assert found[1]["p50"] == [None, None]
    assert found[2]["error"] == "line 3: horizon: found -1 (accepted: 1 to 400 periods)"
