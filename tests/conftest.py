"""Fixtures that every room may use."""

import os
import uuid
from collections.abc import Iterator

import pytest

from tests.kafka_broker import KafkaBroker, Unavailable, jars


@pytest.fixture(scope="session")
def kafka_jars() -> None:
    """Kafka can be started here; without Java and Maven the test is skipped, in CI it fails."""
    try:
        jars()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"real Kafka is required in CI: {error}")
        pytest.skip(f"REAL KAFKA NOT TESTED: {error}")


@pytest.fixture(scope="session")
def kafka(kafka_jars: None) -> Iterator[KafkaBroker]:
    """A real Apache Kafka for the whole session."""
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def prefix() -> str:
    """A topic prefix (and so a group) of its own for each test on a shared broker."""
    return f"t{uuid.uuid4().hex[:8]}."


#: Tests against real programs, whose pace is not ours to set.
_REAL = frozenset({"kafka", "redis", "prometheus", "browser"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with real parts two more tries: they share the machine with others, and time is part of what they test."""
    for item in items:
        if _REAL & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))
