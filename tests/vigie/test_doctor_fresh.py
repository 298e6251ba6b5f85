"""The doctor's first look at a broker that has just been installed."""

import orjson
import pytest
from typer.testing import CliRunner

from tests.kafka_broker import KafkaBroker
from vigie.__main__ import app


@pytest.mark.kafka
def test_the_first_questions_about_a_group_are_no_fault(kafka_jars: None) -> None:
    with KafkaBroker() as broker:
        environ = {"VIGIE_KAFKA__BROKERS": broker.bootstrap, "VIGIE_KAFKA__PARTITIONS": "2", "VIGIE_WEB__PORT": "1"}
        runner = CliRunner(env=environ)
        assert runner.invoke(app, ["topics", "create"]).exit_code == 0
        result = runner.invoke(app, ["doctor", "--json"])
    report = orjson.loads(result.stdout)
    assert [finding for finding in report["findings"] if finding["level"] == "FAIL"] == []
    # How far a broker is with itself in its first second is not ours to say: either it answers, or that is what is told.
    said = [finding["found"] for finding in report["findings"] if finding["level"] == "WARN"]
    assert any("none in group" in text or "still settling" in text for text in said)
