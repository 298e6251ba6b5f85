"""What the broker has "already" and is nowhere: an acknowledgement without an offset is none."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from stream.engine.acknowledged import unwritten
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.ingest.intake import Intake, NotAcknowledged, Outgoing


class Report:
    """A delivery report's message."""

    def __init__(self, topic: str, value: bytes, key: bytes, partition: int, offset: int | None) -> None:
        self._found = {"topic": topic, "value": value, "key": key, "partition": partition, "offset": offset, "headers": None}

    def __getattr__(self, name: str) -> Callable[[], Any]:
        return lambda: self._found[name]


class Forgetful:
    """A producer whose first ``nowhere`` records are said to be written, without a place, and are not."""

    def __init__(self, nowhere: int) -> None:
        self.nowhere, self.written = nowhere, list[bytes]()
        self._reports: list[Callable[[], None]] = []

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, told: Any, headers: Any = ()) -> None:
        lost, self.nowhere = self.nowhere > 0, self.nowhere - 1
        if not lost:
            self.written.append(value)
        report = Report(topic, value, key, partition, None if lost else len(self.written) - 1)
        self._reports.append(lambda: told(None, report))

    def poll(self, timeout: float) -> int:
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        return len(reports)

    def purge(self) -> None:
        self._reports = []

    def __len__(self) -> int:
        return len(self._reports)


def options(producer: Forgetful) -> EngineOptions:
    backend: Any = SimpleNamespace(producer=lambda options, settings: producer)
    return EngineOptions(brokers="nowhere:1", partitions=2, backend=backend)


def test_only_an_offset_says_that_a_record_is_there() -> None:
    assert unwritten(None, Report("deals", b"", b"", 0, 0)) is None
    assert unwritten(None, Report("deals", b"", b"", 0, None)).code() == KafkaError._STATE
    wrong = KafkaError(KafkaError._TIMED_OUT)
    assert unwritten(wrong, Report("deals", b"", b"", 0, None)) is wrong


async def test_a_sender_is_asked_to_come_back_with_what_may_be_nowhere() -> None:
    producer = Forgetful(1)
    intake = Intake(options(producer))
    events = [Outgoing("deals", b"D-%d" % n, b"%d" % n) for n in range(3)]
    async with asyncio.timeout(10):
        with pytest.raises(NotAcknowledged, match="without an offset"):
            await intake.put(events)
        await intake.put(events)
    assert set(producer.written) == {b"0", b"1", b"2"} and intake.held == 0
    await intake.close()


def test_a_publisher_sends_it_again() -> None:
    producer = Forgetful(2)
    with Publisher(options(producer)) as publisher:
        for n in range(4):
            publisher.send("deals", b"D-%d" % n, b"%d" % n)
        while len(producer):
            publisher.poll()
    assert sorted(producer.written) == [b"0", b"1", b"2", b"3"]
    assert (publisher.sent, publisher.acknowledged, publisher.failed) == (4, 4, 0)
