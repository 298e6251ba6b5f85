"""From one machine to a Kafka and back: nothing is lost, nothing is another, nobody is told twice."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from bench.tell import RULE
from models.calendar import epoch_ms, iso
from models.simulator import World
from stream.config.settings import Settings
from stream.engine.publisher import Publisher
from stream.ledger.copies import problems
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from tests.agents.doubles import Receiver, receiver
from tests.kafka_broker import KafkaBroker
from tests.tools import eventually
from vigie.instance import Instance
from vigie.ledger import ledger_of
from vigie.running import running
from vigie.simulate import START

DAYS = 12
#: Both sides live at one moment: readings are of a window that ends now.
NOW = epoch_ms(START) + DAYS * 86_400_000
SILENCE = {"id": "s1", "matchers": ['rule="nothing"'], "starts": NOW, "ends": 4_000_000_000_000, "comment": "", "by": "ann"}

#: What is compared of an alert; its words come with the next reading.
STANDS = ("id", "rule", "segment", "state", "severity", "since", "fired", "acknowledged", "told")


class Office:
    """The settings of an installation in a folder."""

    def __init__(self, folder: Path, prefix: str, brokers: str, url: str) -> None:
        self.folder, self.brokers = folder, brokers
        (folder / "rules").mkdir()
        (folder / "rules" / "bench-told.yaml").write_text(RULE)
        route = {"receivers": ["told"], "group_by": ["..."], "group_wait": 0, "group_interval": 0}
        self.tree = {
            "data_dir": str(folder / "data"),
            "kafka": {"topic_prefix": prefix, "partitions": 2, "brokers": brokers},
            "rule_folders": [str(folder / "rules")],
            "receivers": [{"name": "told", "type": "http", "url": url}],
            "alerting": {"route": route},
        }
        (folder / "vigie.yaml").write_text(json.dumps(self.tree))

    def settings(self, *, embedded: bool) -> Settings:
        kafka = self.tree["kafka"] | ({"brokers": "embedded"} if embedded else {})  # type: ignore[operator]
        return Settings(**{**self.tree, "kafka": kafka})

    def move(self, *how: str, kill_at: int | None = None) -> tuple[int, str]:
        """Run ``vigie move``; killed once it has said so many lines."""
        command = [sys.executable, "-m", "vigie", "move", *how, "--config", str(self.folder / "vigie.yaml")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")} | {"COLUMNS": "400"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True) as process:
            assert process.stdout is not None
            said = ""
            for n, line in enumerate(process.stdout):
                said += line
                if n + 1 == kill_at:
                    process.send_signal(signal.SIGKILL)
            return process.wait(), said


async def everything(instance: Instance) -> Mapping[str, Any]:
    """What an installation says of itself at this moment."""
    await instance.engine.ready(180)
    view = instance.roller.view
    readings = instance.catalogue.readings(view, NOW, None, ["24h", "7d", "30d"], ["total", "owner", "source", "campaign"])
    return {
        "readings": [reading.encode() for reading in readings],
        "alerts": sorted((orjson.dumps([alert[name] for name in STANDS]) for alert in instance.alerts() or ()), key=bytes),
        "silences": [silence.id for silence in instance.dispatcher.silences()],
        "models": [(model["model"], model["version"], model["lessons"]) for model in instance.models()],
        "highlights": len(list(instance.predictions())),
    }


def fired(server: Receiver) -> list[str]:
    """What was said to have begun: incident and where."""
    told = [orjson.loads(one.body) for one in server.received]
    return [f"{tree['data']['incident']} {tree['data']['segment']}" for tree in told if tree["type"] == "alert.fired"]


def twice(server: Receiver) -> list[str]:
    """Messages and beginnings that came more than once."""
    came = Counter([one.headers["webhook-id"] for one in server.received] + fired(server))
    return [what for what, times in came.items() if times > 1]


async def tell(publisher: Publisher, instance: Instance, *events: bytes) -> None:
    for event in events:
        publisher.publish(event)
    assert await publisher.flushed() == 0
    await instance.engine.driver.settled(publisher.ends, cascade=True)


def lead(n: int) -> bytes:
    envelope = {"specversion": "1.0", "id": f"x{n}", "source": "crm", "type": "lead.created", "time": iso(NOW - 1_000)}
    return orjson.dumps({**envelope, "subject": f"x{n}", "data": {"campaign": f"new{n}"}})


async def lived(office: Office) -> Mapping[str, Any]:
    """Twelve days of a company, alerts told, one of them acknowledged, and a silence."""
    ledger = Ledger(Path(office.tree["data_dir"]) / "vigie.db")  # type: ignore[arg-type]
    async with running(office.settings(embedded=True), ledger=ledger, clock=lambda: NOW) as instance:
        await instance.engine.ready(180)
        with Publisher(instance.options) as publisher:
            events = [orjson.dumps(event) for event in World(7, START, DAYS).events()]
            await tell(publisher, instance, *events, lead(0))
            await eventually(lambda: any(a["segment"].get("campaign") == "new0" for a in instance.alerts() or ()))
            [incident] = [a["id"] for a in instance.alerts() or () if a["segment"].get("campaign") == "new0"]
            act = {"type": "act", "at": iso(NOW), "by": "ann", "via": "api"}
            publisher.send("alerts", incident.encode(), orjson.dumps({**act, "act": "ack", "incident": incident}))
            publisher.send("alerts", b"silence", orjson.dumps({**act, "act": "silence", "silence": SILENCE}))
            await tell(publisher, instance)
        await eventually(lambda: instance.dispatcher.silences() and not instance.deliverer.depth)
        await eventually(lambda: b'"ann"' in orjson.dumps(list(instance.alerts() or ())))
        await asyncio.sleep(1)
        return await everything(instance)


@pytest.mark.kafka
async def test_all_is_the_same_on_both_sides_though_it_is_killed_on_the_way(
    kafka: KafkaBroker, prefix: str, tmp_path: Path
) -> None:
    async with receiver() as server:
        office = Office(tmp_path, prefix, kafka.bootstrap, server.url)
        before = await lived(office)
        assert any(b'"ann"' in alert for alert in before["alerts"]), before["alerts"]
        assert before["silences"] == ["s1"]
        assert fired(server), "somebody was told of something"
        for line in (1, 4, 9):
            code, said = await asyncio.to_thread(office.move, "--to", "kafka", kill_at=line)
            assert code == -signal.SIGKILL, said
            with (
                pytest.raises(LedgerRefused, match="is being moved to"),
                ledger_of(office.settings(embedded=True), in_memory=False),
            ):
                pass
        code, said = await asyncio.to_thread(office.move, "--to", "kafka")
        assert code == 0, said
        assert "each compared" in said

        async with running(office.settings(embedded=False), clock=lambda: NOW) as instance:
            assert await everything(instance) == before
            with Publisher(instance.options) as publisher:
                await tell(publisher, instance, lead(0), lead(1))  # one that is known, and one that is not
                await eventually(lambda: any(a["segment"].get("campaign") == "new1" for a in instance.alerts() or ()))
                await eventually(lambda: any("new1" in told for told in fired(server)))
            await eventually(lambda: not instance.deliverer.depth)
            after = await everything(instance)
        assert twice(server) == []

        for line in (1, 2, 3):
            code, said = await asyncio.to_thread(office.move, "--from", "kafka", kill_at=line)
            assert code == -signal.SIGKILL, said
        code, said = await asyncio.to_thread(office.move, "--from", "kafka")
        assert code == 0, said
        assert re.search(r"records, after [\d,]+ that are here", said), said
        file = tmp_path / "data" / "vigie.db"
        assert list(problems(file)) == []
        async with running(office.settings(embedded=True), ledger=Ledger(file), clock=lambda: NOW) as instance:
            assert await everything(instance) == after
            await asyncio.sleep(2)
        assert twice(server) == []


@pytest.mark.kafka
def test_what_is_in_the_way_is_named_and_left_alone(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    office = Office(tmp_path, prefix, kafka.bootstrap, "http://127.0.0.1:9/")
    code, said = office.move("--to", "kafka")
    assert code == 1 and "there is nothing to be moved" in said
    code, said = office.move()
    assert code == 2 and "accepted: one" in said
    ledger = Ledger(tmp_path / "data" / "vigie.db")
    code, said = office.move("--to", "kafka")
    assert code == 1 and "held by process" in said
    ledger.close()
    code, said = office.move("--to", "kafka")
    assert code == 1 and "has no topics that begin with" in said
    assert not (tmp_path / "data" / "vigie.moved").exists()
    # The Kafka has something else already.
    asyncio.run(_once(office))
    office.move("--to", "kafka", kill_at=1)
    time.sleep(0.2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(f"{prefix}deals", b"other", b"k", 0)
    producer.flush(120)
    code, said = office.move("--to", "kafka")
    assert code == 1 and "is another record" in said, said
    code, said = office.move("--undo")
    assert code == 0 and "stays in use" in said
    asyncio.run(_once(office))


async def _once(office: Office) -> None:
    ledger = Ledger(Path(office.tree["data_dir"]) / "vigie.db")  # type: ignore[arg-type]
    async with running(office.settings(embedded=True), ledger=ledger) as instance:
        await instance.engine.ready(180)
