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
