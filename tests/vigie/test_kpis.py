"""``vigie kpis`` against a server that answers, and one that does not."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from models.business import Business
from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from vigie.kpi_lines import shown
from vigie.kpis import app
from vigie.schemas import documents

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})


def answer() -> bytes:
    view = View(Business())
    view.put(f"deals:0:h:{view.calendar.hour(NOW) - 1}:total".encode(), b'{"deals_won":5,"deals_lost":15,"won_amount":12345000}')
    found = load_catalogue().readings(view, NOW, kpis=["win_rate", "revenue", "time_to_close_won"], windows=["24h"])
    return orjson.dumps([reading.as_json() for reading in found])


class Handler(BaseHTTPRequestHandler):
    asked = ""
    status, body = 200, b"[]"

    def do_GET(self) -> None:
        type(self).asked = self.path
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    class Answering(Handler):
        pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", Answering
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_readings_as_a_table(server: tuple[str, type[Handler]]) -> None:
    url, handler = server
    handler.body = answer()
    result = RUN.invoke(app, ["--url", url, "--kpi", "win_rate", "--kpi", "revenue", "--window", "24h", "--by", "source"])
    assert result.exit_code == 0
    assert handler.asked == "/api/kpis?kpi=win_rate&kpi=revenue&window=24h&by=source"
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert rows[0] == "24h"
    assert "win_rate 25.0 % 5 / 20 11.2 – 46.9 %" in rows
    assert "revenue 1,234.50 EUR" in rows
    assert "time_to_close_won – no deal whose creation is known was won in the window" in rows


def test_owners_have_their_names(server: tuple[str, type[Handler]]) -> None:
    url, handler = server
    reading = {"from": "", "at": "", "window": "7d", "kpi": "sales", "value": 3, "unit": "count"}
    handler.body = orjson.dumps(
        [reading | {"segment": {"owner": id}, **name} for id, name in (("17", {"name": "Ann"}), ("18", {}))]
    )
    result = RUN.invoke(app, ["--url", url, "--by", "owner"])
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == ["sales, 7d", "Ann (owner 17) 3", "owner 18 3"]


def test_80_columns_are_enough(server: tuple[str, type[Handler]]) -> None:
    """No word is broken, no line is longer, no number is written as a power of ten."""
    url, handler = server
    unit: dict[str, Any] = {"from": "", "at": "", "window": "month"}
    long: list[dict[str, Any]] = [
        unit | {"kpi": "lead_response_time", "segment": {}, "value": 117_360.0, "numerator": 8.97602e10, "denominator": 832,
                "unit": "seconds"},
        unit | {"kpi": "weighted_pipeline_model", "segment": {}, "value": 123_456_789.12, "unit": "money", "currency": "EUR"},
        unit | {"kpi": "win_rate_value", "segment": {}, "value": 0.41, "numerator": 12_345_678.9, "denominator": 30_112_234.5,
                "unit": "ratio"},
        unit | {"kpi": "lead_conversion_period", "segment": {}, "value": 0.2861, "numerator": 238, "denominator": 832,
                "low": 0.2561, "high": 0.3181, "unit": "ratio"},
        unit | {"kpi": "visitor_to_lead_rate", "segment": {}, "value": None, "unit": "ratio",
                "why": "leads_answered + leads_unanswered is 0, and no panes are kept for so long a window"},
    ]  # fmt: skip
    by = [reading | {"segment": {"campaign": "an autumn offer to who has been here before"}} for reading in long]
    for found in (long, [*long, *by]):
        handler.body = orjson.dumps(found)
        result = RUN.invoke(app, ["--url", url], env={"COLUMNS": "80"})
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80, result.stdout
        assert "e+" not in result.stdout and "n = 832" in result.stdout
        for reading in found:
            assert reading["kpi"] in result.stdout


def test_readings_as_json(server: tuple[str, type[Handler]]) -> None:
    url, handler = server
    handler.body = answer()
    result = RUN.invoke(app, ["--url", url, "--json"])
    assert result.exit_code == 0
    assert orjson.loads(result.stdout) == orjson.loads(handler.body)


def test_the_address_comes_from_the_settings(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, handler = server
    handler.body = answer()
    config = tmp_path / "vigie.yaml"
    config.write_text(f"web: {{host: 0.0.0.0, port: {url.rsplit(':', 1)[1]}}}\n")
    assert RUN.invoke(app, ["--config", str(config), "--json"]).exit_code == 0


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, b'{"error":"unknown KPI x"}', 2, "400: unknown KPI x"),
        (503, b'{"error":"no readings yet: restoring"}', 1, "503: no readings yet: restoring"),
        (500, b"oops", 1, "500: oops"),
        (200, b"<html>", 1, "not an answer of Vigie"),
        (200, b'{"a":1}', 1, "not an answer of Vigie: not a list of readings"),
        (200, b"[1]", 1, "not an answer of Vigie: not a list of readings"),
    ],
)
def test_what_the_instance_refuses(server: tuple[str, type[Handler]], status: int, body: bytes, code: int, message: str) -> None:
    url, handler = server
    handler.status, handler.body = status, body
    result = RUN.invoke(app, ["--url", url])
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        result = RUN.invoke(app, ["--url", url])
    assert result.exit_code == 1
    assert "no answer" in result.stderr
    assert "is `vigie up` or `vigie web` running there?" in result.stderr.replace("\n", " ")


def test_what_is_no_address() -> None:
    result = RUN.invoke(app, ["--url", "localhost:8080"])
    assert (result.exit_code, "accepted: http://host:port" in result.stderr) == (2, True)


def test_the_catalogue() -> None:
    result = RUN.invoke(app, ["list"])
    assert result.exit_code == 0
    begun = [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")]  # a long formula has two lines
    assert begun == ["KPI", *load_catalogue().kpis]
    listed = orjson.loads(RUN.invoke(app, ["list", "--json"]).stdout)
    assert [entry["id"] for entry in listed] == list(load_catalogue().kpis)


def test_one_kpi_explained() -> None:
    result = RUN.invoke(app, ["explain", "win_rate"])
    assert result.exit_code == 0
    for text in (
        "deals_won / (deals_won + deals_lost)",
        "a ratio",
        "period",
        "minimum sample",
        "Wilson",
        "won deals, at their close",
    ):
        assert text in result.stdout
    assert orjson.loads(RUN.invoke(app, ["explain", "win_rate", "--json"]).stdout)["minimum"] == 1


def test_a_kpi_there_is_not() -> None:
    result = RUN.invoke(app, ["explain", "winrate"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert 'did you mean "win_rate"?' in result.stderr


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "kpis.yaml").write_text("x: {formula: leeds}\n")
    config = tmp_path / "vigie.yaml"
    config.write_text(f"kpi_files: [{tmp_path / 'kpis.yaml'}]\n")
    result = RUN.invoke(app, ["list", "--config", str(config)])
    assert result.exit_code == 1
    assert "unknown measure 'leeds'" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ratio", "–"),
        (0.256, "ratio", "25.6 %"),
        (1234.5, "money", "1,234.50"),
        (12, "seconds", "12.0 s"),
        (59.99, "seconds", "60.0 s"),
        (150, "seconds", "2 min"),
        (7500, "seconds", "2 h 05 min"),
        (86400 * 40 + 3600, "seconds", "40 d 1 h"),
        (-60, "seconds", "-1 min"),
        (1.25, "days", "1.2 d"),
        (-12.3, "score", "-12.3"),
        (1234567, "count", "1,234,567"),
    ],
)
def test_values_as_people_read_them(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_the_document_is_what_the_catalogue_says() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "kpis.md").read_text("utf-8") == documents()["kpis.md"]
