"""The predictions through the real engine: the same questions and lessons as in the evaluation; learnt once on a real Kafka."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from bench.learning import committed, learner, status
from models.learners.evaluation import DealEvaluation
from stream.config.settings import load
from tests.integration.installation import Installation, Worker, until
from tests.kafka_broker import KafkaBroker
from tests.models.learners.live import BEGIN, event
from tests.models.learners.test_live import jittered
from vigie.__main__ import app
from vigie.publish import lines, progress_bar
from vigie.replay import replaying
from vigie.stops import ReadingRequest


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "events.jsonl"
    path.write_bytes(b"\n".join(event(number, fact) for number, fact in enumerate(jittered(60))))
    return path


async def test_a_replay_asks_and_learns_as_the_evaluation_does(file: Path) -> None:
    judged = DealEvaluation(keep_features=True).run([fact._replace(at=fact.at + BEGIN) for fact in jittered(60)])
    assert judged.asked is not None
    settings = load(environ={}, kafka__partitions=3)
    with progress_bar() as progress:
        async with replaying(settings, ReadingRequest(predictions=True, kpis=["revenue"], windows=["30d"])) as player:
            task = progress.add_task("", total=None, rate="")
            await player.play(lines([file], "jsonl", None, "UTC"), progress, task)
            status = player.instance.engine.driver.fold_of("learn", 0).status()[0]
    assert status["examples"]["asked"] == sum(asked.learnt for asked in judged.asked)
    assert status["lessons"] == judged.model.hazard.lessons
    open_deals = {name for name, deal in judged.deals.items() if deal.status == "open"}
    assert {found["deal"] for found in map(orjson.loads, player.predictions)} == open_deals
    assert all(found["lessons"] > 0 for found in map(orjson.loads, player.predictions))


async def test_in_a_replay_time_passes_once_what_happened_until_then_is_folded(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    with progress_bar() as progress:
        async with replaying(load(environ={}), ReadingRequest(predictions=True, kpis=["revenue"], windows=["30d"])) as player:
            driver = player.instance.engine.driver
            settled = driver.settled

            async def watched(*given: Any, **more: Any) -> None:
                seen.append(player.clock.at)
                await settled(*given, **more)

            monkeypatch.setattr(driver, "settled", watched)
            await player.play(lines([file], "jsonl", None, "UTC"), progress, progress.add_task("", total=None, rate=""))
            last = player.clock.at
    assert seen[0] == 0 and {*seen[1:]} == {last}, "the engine ticks by itself, whatever is under way"


def test_replay_writes_what_is_said_of_each_open_deal(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.jsonl"
    arguments = ["replay", str(file), "--kpi", "revenue", "--window", "30d", "--predictions-out", str(out)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert found
    assert {"deal", "at", "win", "within", "low", "median", "high", "expected", "lessons", "terms", "why"} <= found[0].keys()


@pytest.mark.kafka
def test_killed_while_learning_no_example_is_learnt_twice(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path, MODELS__INTERVAL="1s", KAFKA__SESSION_TIMEOUT="6s")
    site.done("topics", "create")
    values = [event(number, fact) for number, fact in enumerate(jittered(60))]
    half = len(values) // 2

    def produce(part: list[bytes]) -> None:
        site.produce([("deals", json.loads(value)["subject"].encode(), value, None) for value in part])

    def learnt(workers: list[Worker]) -> int:
        return sum((status(workers).get("examples") or {}).values())

    produce(values[:half])
    with site.worker(INSTANCE="a") as first, site.worker(INSTANCE="b") as second:
        until(lambda: learnt([first, second]) > 50, 60, lambda: first.log + second.log)
        produce(values[half:])
        holder = until(lambda: learner([first, second]))
        other = second if holder is first else first
        assert holder.end(signal.SIGKILL) == -9
        site.settle()

        def truth() -> set[str]:
            return {str(example["id"]) for example in map(orjson.loads, committed(kafka.bootstrap, f"{prefix}examples"))}

        until(lambda: learnt([other]) == len(truth()) > 100, 60, lambda: f"{learnt([other])} of {len(truth())}: {other.log}")
        found = status([other])
        assert found["refused"] == {}
        assert len(committed(kafka.bootstrap, f"{prefix}examples")) == len(truth())
        names = dict.fromkeys(json.loads(value)["subject"] for value in values[-20:])
        answers = [httpx.get(f"{other.url}/api/predictions/{name}", timeout=60) for name in names]
        assert {answer.status_code for answer in answers} <= {200, 404}
        said = [answer.json() for answer in answers if answer.status_code == 200]
        assert said and all(one["lessons"] > 0 for one in said)
