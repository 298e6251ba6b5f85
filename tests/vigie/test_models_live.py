"""``vigie models`` around the live loop: learn from a history, show, take a model away and bring one."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from models.learners.evaluation import DealEvaluation
from models.learners.lead_features import CATEGORIES, NUMBERS
from models.learners.live_kinds import DEALS
from models.learners.live_model import checked
from stream.metrics import Metrics
from tests.models.learners.live import BEGIN, Loop, event
from tests.models.learners.test_live import jittered
from vigie.__main__ import app

runner = CliRunner()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "events.jsonl"
    lines = [event(number, fact) for number, fact in enumerate(jittered(40))]
    path.write_bytes(b"\n".join([*lines, b"{broken", orjson.dumps({"type": "web.page_viewed", "id": "x"})]))
    return path


def test_warm_learns_what_the_evaluation_learns(history: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["models", "warm", "--events", str(history), "--out", str(tmp_path / "models")])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told.keys() == {"deal"}, "there are no leads in it"
    assert "1 × not JSON" in result.stderr
    model = checked((tmp_path / "models" / "deal-model.json").read_bytes(), DEALS.known)
    judged = DealEvaluation(keep_features=True).run([fact._replace(at=fact.at + BEGIN) for fact in jittered(40)])
    assert model.hazard.lessons == judged.model.hazard.lessons == told["deal"]["lessons"] > 50
    assert judged.asked is not None
    x = judged.asked[-1].x
    # Warming asks what an event calls for before it learns what that event teaches, so what was said is a lesson older.
    assert model.predict_one(x).win == pytest.approx(judged.model.predict_one(x).win, abs=2e-3)


def test_the_list_of_a_lead_s_features() -> None:
    lines = runner.invoke(app, ["models", "features", "lead"]).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == [feature.name for feature in (*CATEGORIES, *NUMBERS)]
    assert runner.invoke(app, ["models", "features", "weather"]).exit_code == 2


@pytest.fixture(scope="module")
def instance() -> Iterator[tuple[str, bytes]]:
    """An instance that answers what a taught one does, and the document of its model."""
    loop = Loop(interval=0).run(jittered(12))
    pages = {"/api/models": orjson.dumps(loop.learner.status()), "/api/models/deal/document": loop.rows["learn"][b"M:deal"]}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b'{"error": "no model"}')

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages["/api/models/deal/document"]
    server.shutdown()
    thread.join()
    server.server_close()


def test_show_and_export(instance: tuple[str, bytes], tmp_path: Path) -> None:
    url, document = instance
    shown = runner.invoke(app, ["models", "show", "--url", url])
    assert shown.exit_code == 0, shown.output
    assert "deal-floor" in shown.stdout and "lead" in shown.stdout
    assert json.loads(runner.invoke(app, ["models", "show", "--url", url, "--json"]).stdout)[0]["model"] == "deal"
    out = tmp_path / "m.json"
    assert runner.invoke(app, ["models", "export", "deal", "--out", str(out), "--url", url]).exit_code == 0
    assert out.read_bytes() == document
    refused = runner.invoke(app, ["models", "export", "lead", "--out", str(out), "--url", url])
    assert refused.exit_code == 1
    assert "no model" in refused.stderr
    away = runner.invoke(app, ["models", "show", "--url", "http://127.0.0.1:1"])
    assert away.exit_code == 1
    assert "no instance answers there" in away.stderr


def test_what_is_no_model_is_not_brought_in(instance: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    whole.write_bytes(instance[1])
    cut.write_bytes(instance[1][:500])
    refused = runner.invoke(app, ["models", "import", "deal", str(cut)])
    assert refused.exit_code == 1
    assert "cut short" in refused.stderr
    other = runner.invoke(app, ["models", "import", "lead", str(whole)])
    assert other.exit_code == 1
    assert "features" in other.stderr
    nobody = runner.invoke(app, ["models", "import", "deal", str(whole), "--url", "http://127.0.0.1:9"])
    assert nobody.exit_code == 1
    assert "an instance that runs there" in nobody.stderr
    assert runner.invoke(app, ["models", "reset", "weather"]).exit_code == 2


async def test_what_prometheus_is_told() -> None:
    loop = Loop(interval=0).run(jittered(25))
    metrics = Metrics()
    metrics.show_models(loop.learner.status)
    page = (await metrics.scrape("text/plain"))[0].decode()
    lessons = loop.learner.trainers["deal"].model.hazard.lessons
    assert f'vigie_model_lessons{{model="deal"}} {float(lessons)}' in page
    assert 'vigie_model_answering{model="deal"} 1.0' in page
    assert 'vigie_model_log_loss{model="deal-floor"}' in page
    assert 'vigie_model_examples_total{kind="asked",model="deal"}' in page
    assert 'vigie_model_lessons{model="lead"} 0.0' in page
