"""What a door could not use is read again, with the settings of now."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models.events.dead_letter import MOST_REDRIVES, DeadLetter, dead_letter
from models.events.refused import Reason, Refused
from models.events.scalars import parse_time
from models.fold import Record
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.publisher import Publisher
from stream.engine.topics import create, declared
from stream.ingest.collect import letter
from stream.ingest.intake import Intake
from stream.sources.crm import Unusable
from stream.sources.tracker import TrackedBody
from tests.kafka_broker import KafkaBroker
from tests.kafka_records import records
from vigie.__main__ import app
from vigie.letters import AnotherRedrive, Redriver, standing

SITES = {"sites": {"shop": {"key": "shop-4f7a2c91", "origins": ["https://www.example.com"]}}}


def engagement(broker: str) -> list[dict]:
    return [json.loads(message.value() or b"") for message in records(broker, "engagement", partitions=2)]


async def test_what_a_tracker_sent_is_redriven_through_its_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in os.environ:
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    now = wall_clock()
    call = {"id": "event-01", "type": "cta_clicked", "at": 1_000, "visitor": "visitor-1", "cta": "hero"}
    once_unknown = TrackedBody([], [Unusable(Reason.UNKNOWN_TYPE, "type: as an older version had it")], False)
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


class Topics:
    """A broker with the dead letters of deals, and what a fold would make of each record that is sent again."""

    def __init__(self, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in os.environ:
            if name.startswith("VIGIE_"):
                monkeypatch.delenv(name)
        self.options = EngineOptions(brokers=broker.bootstrap, partitions=1, embedded=True)
        broker.create(declared(self.options))
        self.environment = {"VIGIE_KAFKA__BROKERS": broker.bootstrap, "VIGIE_KAFKA__PARTITIONS": "1"}
        self.folded = 0

    def write(self, *letters: DeadLetter) -> None:
        with Publisher(self.options) as publisher:
            for found in letters:
                publisher.send("dead-letters", found.id.encode(), found.encode())
            assert publisher.flush() == 0

    def records(self, topic: str = "deals") -> list[Record]:
        return [
            Record(topic, 0, message.offset() or 0, wall_clock(), message.key(), message.value(), message.headers() or ())
            for message in records(self.options.brokers, topic)
        ]

    def refuse(self) -> int:
        """Refuse again all that came since the last time; return how many those were."""
        fresh = self.records()[self.folded :]
        self.folded += len(fresh)
        self.write(*(dead_letter(record, REFUSED, wall_clock()) for record in fresh))
        return len(fresh)

    def vigie(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["dead-letters", *arguments], env=self.environment)

    def listed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.vigie("list", "--json").stdout.splitlines()]


REFUSED = Refused(Reason.UNKNOWN_CURRENCY, "currency: no rate for QQQ")


def test_what_comes_back_does_not_double_and_what_does_not_is_never_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker() as broker:
        site = Topics(broker, monkeypatch)
        first = [dead_letter(Record("deals", 0, 1000 + n, 7, b"d", b"{%d" % n, [("h", None)]), REFUSED, 7) for n in range(3)]
        site.write(*first)
        ids = [found.id for found in first]
        for round in range(1, MOST_REDRIVES + 1):
            assert "3 sent again, 0 not" in site.vigie("redrive", "--all").output
            assert site.listed() == [], "sent again and not come back: done with"
            assert "0 sent again, 0 not" in site.vigie("redrive", "--all").output
            assert site.refuse() == 3, "not 3, 6, 12, 24"
            assert [found["id"] for found in site.listed()] == ids
            assert f"(sent again {round}×)" in site.vigie("list").stdout
        limit = site.vigie("redrive", "--all")
        assert (limit.exit_code, "0 sent again, 3 not" in limit.output, f"{ids[0]}: sent again 5 times" in limit.output) == (
            1,
            True,
            True,
        )
        assert "1 sent again, 0 not" in site.vigie("redrive", ids[1], "--force").output
        assert [found["id"] for found in site.listed()] == [ids[0], ids[2]]


@pytest.mark.kafka
def test_a_redrive_that_another_one_has_overtaken_sends_nothing(kafka: KafkaBroker, prefix: str) -> None:
    options = EngineOptions(brokers=kafka.bootstrap, topic_prefix=prefix, partitions=1)
    create(options)
    found = dead_letter(Record("deals", 0, 1, 7, b"d", b"{", ()), REFUSED, 7)
    with Publisher(options) as publisher:
        publisher.send("dead-letters", b"", found.encode())
        assert publisher.flush() == 0
    with pytest.raises(AnotherRedrive), Redriver(options) as slow:
        slow.send("deals", b"d", b"{", [])
        slow.done(found)
        with Redriver(options) as quick:
            assert list(standing(options)) == [found], "what is not committed was not sent"
            quick.send("deals", b"d", b"{", [])
            quick.done(found)
    assert (quick.sent, slow.sent) == (1, 0)
    assert list(standing(options)) == []


async def test_what_was_taken_of_a_request_is_not_sent_a_second_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """However long ago it came: the ids of additive events are not remembered for ever."""
    for name in os.environ:
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    now = wall_clock() - 30 * 86_400_000
    calls = [{"id": f"event-0{n}", "type": "cta_clicked", "at": 1_000, "visitor": "visitor-1", "cta": "hero"} for n in range(3)]
    body = json.dumps({"sent": 3_000, "events": calls}).encode()
    # An older version took the first of them, and did not know the type of the others.
    taken = TrackedBody([{"id": "collect:shop:event-00"}], [Unusable(Reason.UNKNOWN_TYPE, "type: as it was")], False)
    broker = EmbeddedBroker().start()
    try:
        options = EngineOptions(brokers=broker.bootstrap, partitions=2, embedded=True)
        broker.create(declared(options))
        intake = Intake(options)
        await intake.put([letter("shop", body, taken, now)])
        await intake.close()
        environment = {
            "VIGIE_KAFKA__BROKERS": broker.bootstrap,
            "VIGIE_KAFKA__PARTITIONS": "2",
            "VIGIE_COLLECT": json.dumps(SITES),
        }
        for said in ("1 sent again, 0 not", "0 sent again, 0 not"):
            result = await asyncio.to_thread(CliRunner().invoke, app, ["dead-letters", "redrive", "--all"], env=environment)
            assert said in result.output
        found = await asyncio.to_thread(engagement, broker.bootstrap)
        assert sorted(event["id"] for event in found) == ["collect:shop:event-01", "collect:shop:event-02"]
    finally:
        await asyncio.to_thread(broker.stop)
