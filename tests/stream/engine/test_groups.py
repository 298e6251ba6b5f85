"""Which groups are an installation's, and is a worker from before among them, which would hold the same partitions?"""

from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from stream.engine import groups
from stream.engine.merged_status import merged
from stream.engine.options import EngineOptions

BASE = frozenset(("deals", "leads"))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The members of the first group, each by the topics that it has been given."""
    members: list[Sequence[str]] = []

    class Admin:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def describe_consumer_groups(self, asked: list[str], **_: Any) -> dict[str, Future[Any]]:
            told: Future[Any] = Future()
            given = [SimpleNamespace(topic_partitions=[TopicPartition(topic, 0) for topic in topics]) for topics in members]
            named = [SimpleNamespace(assignment=one, client_id="faust", host="/10.0.0.7") for one in given]
            told.set_result(SimpleNamespace(members=named, state=SimpleNamespace(name="STABLE")))
            return dict.fromkeys(asked, told)

    monkeypatch.setattr(groups, "AdminClient", Admin)
    return members


def test_who_reads_more_than_events_in_the_first_group_is_from_before(reading: list[Sequence[str]]) -> None:
    options = EngineOptions(brokers="b", topic_prefix="p.", role="serve", base_topics=BASE)
    assert groups.in_one_group(options) == []
    reading.append(("p.deals", "p.vigie-fold-deals-changelog"))
    assert groups.in_one_group(options) == []
    reading.append(("p.leads", "p.panes"))
    (told,) = groups.in_one_group(options)
    assert told.startswith("group p.vigie: the worker faust at /10.0.0.7 is of an earlier version") and "it reads p.panes" in told
    assert groups.in_one_group(EngineOptions(brokers="b", topic_prefix="p.")) == [], "all in one group, as it is itself"


def test_a_role_adds_its_name_to_the_group_and_to_nothing_else() -> None:
    options = EngineOptions(brokers="b", topic_prefix="p.", role="serve")
    assert options.group == "p.vigie-serve" and options.changelog("learn") == "p.vigie-learn-changelog"
    assert groups.groups_of(options) == ["p.vigie", "p.vigie-serve", "p.vigie-predict"]


def test_several_statuses_are_one() -> None:
    running = {
        "state": "running", "generation": 3, "partitions": {"fold-deals": [0, 2]}, "jumps": {}, "lanes": {"state": {}},
        "last_error": None,
    }  # fmt: skip
    other = running | {"partitions": {"fold-deals": [1]}, "jumps": {"deals/0": {"times": 1, "offsets_lost": 4}}}
    found = merged({"fold": running, "fold-2": other})
    assert found["state"] == "running" and found["partitions"] == {"fold-deals": [0, 1, 2]} and found["generation"] == 6
    assert found["jumps"]["deals/0"]["offsets_lost"] == 4 and found["last_error"] is None
    lost = running | {
        "state": "restoring",
        "last_error": "no broker answers",
        "jumps": {"deals/0": {"times": 1, "offsets_lost": 9}},
    }
    found = merged({"fold": other, "predict": lost})
    assert found["state"] == "restoring" and found["last_error"] == "predict: no broker answers"
    assert found["jumps"]["deals/0"]["offsets_lost"] == 9
    assert merged({})["state"] == "starting"
