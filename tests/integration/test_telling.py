"""The small version of ``python -m bench.tell``: the worker that tells is killed between intent and result."""

from pathlib import Path

import pytest

from bench.tell import summary, tell
from tests.kafka_broker import KafkaBroker


@pytest.mark.kafka
def test_every_incident_is_told_though_who_tells_it_is_killed(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    told = tell(kafka.bootstrap, prefix, tmp_path, kills=2, session=3.0)
    assert told.faults == [], (tmp_path / "tell.log").read_text()[-5000:]
    assert (told.kills, len(told.unanswered), len(told.campaigns)) == (2, 1, 3)
    # What was not answered is sent again, under the same key; what was answered may be.
    assert 1 <= sum(count - 1 for count in told.times.values()) <= 2, summary(told, 0)
