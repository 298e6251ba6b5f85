"""Reading a topic back from its end, on the embedded broker."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from confluent_kafka import KafkaException, Producer

from stream.engine import topic_tail as history
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions
from stream.engine.topic_tail import TopicTail
from stream.engine.topics import declared


@pytest.fixture
def options() -> Iterator[EngineOptions]:
    with EmbeddedBroker() as broker:
        found = EngineOptions(brokers=broker.bootstrap, embedded=True)
        broker.create(declared(found))
        yield found


def write(options: EngineOptions, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": options.brokers})
    for value in values:
        producer.produce("alerts", value, b"k", 0)
    assert producer.flush(120) == 0


def anything(tree: dict[str, Any]) -> bool:
    return True


def test_the_last_ones_first_in_pages_to_the_beginning(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BLOCK", 7)
    write(options, *(orjson.dumps({"n": n}) for n in range(20)), b"{", b"[]", b"", orjson.dumps({"n": 20}))
    reader = TopicTail(options, "alerts")
    found, before = reader.last(5, anything)
    assert ([one["n"] for one in found], found[0]["offset"]) == ([20, 19, 18, 17, 16], 23)
    seen = [one["n"] for one in found]
    while before is not None:
        found, before = reader.last(5, anything, before)
        seen += [one["n"] for one in found]
    assert seen == list(range(20, -1, -1))
    assert [one["n"] for one in reader.last(2, lambda tree: tree["n"] % 10 == 0)[0]] == [20, 10]


def test_it_is_bounded(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 10)
    monkeypatch.setattr(history, "BLOCK", 4)
    write(options, *(orjson.dumps({"n": n}) for n in range(30)))
    assert TopicTail(options, "alerts").last(5, lambda tree: tree["n"] < 15) == ([], 20), "where to go on"
    assert TopicTail(options, "alerts").last(5, lambda tree: tree["n"] < 15, 20)[1] is not None


def test_nothing_there(options: EngineOptions) -> None:
    assert TopicTail(options, "alerts").last(5, anything) == ([], None)
    with pytest.raises(KafkaException):
        TopicTail(options, "no-such-topic").last(5, anything)
