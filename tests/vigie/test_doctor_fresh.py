"""The doctor's first look at a broker that has just been installed."""

from collections.abc import Iterator

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException
from typer.testing import CliRunner

from stream.engine.options import EngineOptions
from tests.kafka_broker import KafkaBroker
from vigie import doctor_kafka
from vigie.__main__ import app
from vigie.findings import Finding


@pytest.mark.kafka
def test_the_first_questions_about_a_group_are_no_fault(kafka_jars: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaderless(options: EngineOptions) -> Iterator[Finding]:
        raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))

    with KafkaBroker() as broker:
        environ = {"VIGIE_KAFKA__BROKERS": broker.bootstrap, "VIGIE_KAFKA__PARTITIONS": "2", "VIGIE_WEB__PORT": "1"}
        runner = CliRunner(env=environ)
        assert runner.invoke(app, ["topics", "create"]).exit_code == 0
        result = runner.invoke(app, ["doctor", "--json"])
        with monkeypatch.context() as patched:  # a topic that has no leader yet, at the last question
            patched.setattr(doctor_kafka, "_dead_letters", leaderless)
            later = orjson.loads(runner.invoke(app, ["doctor", "--json"]).stdout)["findings"]
    report = orjson.loads(result.stdout)
    assert [finding for finding in report["findings"] if finding["level"] == "FAIL"] == []
    # How far a broker is with itself in its first second is not ours to say: either it answers, or that is what is told.
    said = [finding["found"] for finding in report["findings"] if finding["level"] == "WARN"]
    assert any("none in group" in text or "still settling" in text for text in said)
    assert [finding for finding in later if finding["level"] == "FAIL"] == []
    assert any("still settling" in finding["found"] for finding in later)
