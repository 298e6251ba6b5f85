"""Fixtures that every room may use."""

import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import browser
from tests.kafka_broker import KafkaBroker, Unavailable, jars

pytest_plugins = ("tests.cpu_report",)

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
    """A real Apache Kafka for the whole session of a process."""
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def prefix() -> str:
    """A topic prefix (and so a group) of its own for each test on a shared broker."""
    return f"t{uuid.uuid4().hex[:8]}."


#: What waits for other programs begins first, so that the files which only compute fill the rest (see ``make test``).
_FIRST = ("kafka", "browser", "redis", "prometheus")


def _wait(items: Iterable[pytest.Item]) -> int:
    marks = {mark.name for item in items for mark in item.iter_markers()}
    return next((place for place, name in enumerate(_FIRST) if name in marks), len(_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files. No test is given another try: what fails one time in ten has a cause."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    items[:] = [item for file in sorted(files.values(), key=_wait) for item in file]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the tests of this process share; the first process ends what all share."""
    browser.end()
