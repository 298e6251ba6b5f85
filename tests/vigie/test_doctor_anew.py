"""What does the doctor say of a topic that was made anew under a state? What happens, and when there is something to do."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka.admin import AdminClient

from models.fold import PartitionFold
from stream.engine.options import EngineOptions, FoldSpec
from vigie.doctor_kafka import Offsets, _group
from vigie.findings import Level


class Admin:
    """One worker is a member of the group."""

    def describe_consumer_groups(self, groups: list[str], **_: Any) -> dict[str, Future[Any]]:
        described: Future[Any] = Future()
        described.set_result(SimpleNamespace(members=[1], state=SimpleNamespace(name="STABLE")))
        return dict.fromkeys(groups, described)


def test_a_topic_that_was_made_anew_needs_nothing_by_itself() -> None:
    spec = FoldSpec(name="fold-deals", topics=("deals",), make=lambda _: cast(PartitionFold, None))
    offsets = {("deals", 0): Offsets(0, 3, 90)}
    found = [one for one in _group(cast(AdminClient, Admin()), EngineOptions(brokers="kafka:9092"), [spec], offsets)]
    (anew,) = [one for one in found if "made anew" in one.found]
    assert anew.level is Level.WARN and "a worker reads the topic from its start by itself" in anew.do
