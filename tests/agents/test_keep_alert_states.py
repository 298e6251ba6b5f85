"""What stands, told by a worker that finds the log of transitions of the version before, and no states."""

import asyncio
from typing import Any

import orjson
from confluent_kafka import Producer

from agents.keep_alert_states import NAME, keep_alert_states
from stream.engine.app import Engine
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions
from stream.engine.topics import declared
from stream.web.alert_board import AlertBoard

PATIENCE = 120.0


def transition(incident: str, after: str) -> bytes:
    state = {"before": "inactive", "after": after}
    tree = {"type": "transition", "incident": incident, "rule": "r", "severity": "warn", "since": "2026-11-19T12:00:00Z"}
    return orjson.dumps({**tree, "segment": {}, "state": state})


async def test_an_upgrade_keeps_what_is_on_the_board() -> None:
    worker = keep_alert_states()
    board = AlertBoard()
    with EmbeddedBroker() as broker:
        common: dict[str, Any] = {"brokers": broker.bootstrap, "partitions": 1, "embedded": True, "tick_interval": 0.1}
        options = EngineOptions(**common, lane_intervals={worker.lane: 0.005})
        broker.create(declared(options, [worker]))
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for incident, after in (("a", "firing"), ("b", "firing"), ("b", "inactive"), ("c", "pending")):
            producer.produce("alerts", transition(incident, after), incident.encode())
        producer.produce("alerts", orjson.dumps({"type": "act", "act": "ack", "incident": "a", "by": "ada", "at": "x"}), b"a")
        assert producer.flush(PATIENCE) == 0
        engine = Engine(options, [worker])
        await engine.start(patience=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while (fold := engine.fold_of(NAME, 0)) is None:  # noqa: ASYNC110 - it is being restored
                await asyncio.sleep(0.01)
            await engine.driver.settled({("alerts", 0): 5})
        assert fold is not None
        web = Engine(EngineOptions(**common, application="web"), [board.spec()])
        await web.start(patience=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while board.incidents() is None:  # noqa: ASYNC110 - it is being read
                await asyncio.sleep(0.01)
        assert [(one["id"], one["state"], one["acknowledged"]) for one in board.current() or []] == [
            ("a", "firing", {"by": "ada", "at": "x"}),
            ("c", "pending", None),
        ]
        await web.stop()
        await engine.stop()
