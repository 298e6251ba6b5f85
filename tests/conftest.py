"""Fixtures that every room may use."""

import logging
import os
import uuid
from collections.abc import Iterator

import hypothesis
import pytest

from tests.kafka_broker import KafkaBroker, Unavailable, jars

# How long an example takes is the machine's business: no test is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """What a command under test does to the root logger ends with the test: its handler holds that test's standard error."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


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


#: Tests that wait for programs which are not ours: they may be run again, and the last lines say how often they were.
#: What shows exactness, chaos or delivery (Kafka, Redis) never is: a loss one time in ten must not pass.
_PACED = frozenset({"prometheus", "browser"})
_EXACT = frozenset({"kafka", "redis"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on a browser or a Prometheus two more tries: they share the machine with others, and only wait for these."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if marks & _PACED and not marks & _EXACT:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))
