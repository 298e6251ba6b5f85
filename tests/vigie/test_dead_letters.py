"""What a door could not use is read again, with the settings of now."""

import asyncio
import json
import os
from pathlib import Path

import confluent_kafka
import pytest
from typer.testing import CliRunner

from models.events.refused import Reason
from models.events.scalars import parse_time
from stream.embedded import EmbeddedBroker
from stream.intake import Intake
from stream.options import EngineOptions, wall_clock
from stream.sources.crm import Unusable
from stream.sources.tracker import Told
from stream.topics import declared
from stream.web.collect import letter
from vigie.__main__ import app

SITES = {"sites": {"shop": {"key": "shop-4f7a2c91", "origins": ["https://www.example.com"]}}}


def engagement(broker: str) -> list[dict]:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": "t", "enable.partition.eof": True})
    consumer.assign([confluent_kafka.TopicPartition("engagement", p, 0) for p in range(2)])
    found, ends = [], 0
    while ends < 2:
        message = consumer.poll(5)
        assert message is not None
        if message.error() is None:
            found.append(json.loads(message.value()))
        else:
            ends += 1
    consumer.close()
    return found


async def test_what_a_tracker_sent_is_redriven_through_its_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in os.environ:
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    now = wall_clock()
    call = {"id": "event-01", "type": "cta_clicked", "at": 1_000, "visitor": "visitor-1", "cta": "hero"}
    once_unknown = Told([], [Unusable(Reason.UNKNOWN_TYPE, "type: as an older version had it")], False)
    broker = EmbeddedBroker().start()
    try:
        options = EngineOptions(brokers=broker.bootstrap, partitions=2, embedded=True)
        broker.create(declared(options))
        intake = Intake(options)
        bodies = {"shop": json.dumps({"sent": 3_000, "events": [call]}).encode(), "gone": b"{}"}
        await intake.put([letter(site, body, once_unknown, now) for site, body in bodies.items()])
        await intake.close()
        environment = {
            "VIGIE_KAFKA__BROKERS": broker.bootstrap,
            "VIGIE_KAFKA__PARTITIONS": "2",
            "VIGIE_COLLECT": json.dumps(SITES),
        }
        result = await asyncio.to_thread(CliRunner().invoke, app, ["dead-letters", "redrive", "--all"], env=environment)
        assert result.exit_code == 1 and "1 sent again, 1 not" in result.output, result.output
        assert "collect.gone-0-" in result.output and "no site 'gone' any more" in result.output
        (event,) = await asyncio.to_thread(engagement, broker.bootstrap)
        assert (event["id"], event["type"], event["subject"]) == ("collect:shop:event-01", "web.cta_clicked", "visitor-1")
        # As old as it was when it came, not when it was sent again.
        assert parse_time(event["time"]) == now - 2_000
    finally:
        await asyncio.to_thread(broker.stop)
