"""Fixtures that every room may use."""

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import browser, shared
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


#: The files that take longest, longest first: one that begins last is waited for by all (``make test`` names the slowest).
_LONGEST = (
    "integration/test_failures.py", "test_chaos.py", "oracle/test_oracle.py", "integration/test_first_hour.py",
    "models/learners/test_deal_model.py", "integration/test_moving.py", "integration/test_pipeline.py",
    "integration/test_upgrade.py", "integration/test_roles.py", "stream/engine/test_kafka.py", "integration/test_explaining.py",
    "integration/test_security.py", "integration/test_doors.py", "vigie/test_remote.py", "vigie/test_erase.py",
    "integration/test_telling.py", "integration/test_one_machine.py", "deploy/test_dashboards.py",
    "integration/test_predictions.py", "models/learners/test_live.py", "models/events/test_both_ways.py",
)  # fmt: skip
#: Then what waits for other programs, so that the files which only compute fill the rest.
_FIRST = ("kafka", "browser", "redis", "prometheus")


def _place(file: Path, items: Iterable[pytest.Item]) -> int:
    name = file.relative_to(Path(__file__).parent).as_posix()
    if name in _LONGEST:
        return _LONGEST.index(name)
    marks = {mark.name for item in items for mark in item.iter_markers()}
    return len(_LONGEST) + next((place for place, mark in enumerate(_FIRST) if mark in marks), len(_FIRST))


def pytest_configure(config: pytest.Config) -> None:
    """Let files begin in the order below: xdist begins with those of many tests, and ends with the longest, which are one."""
    assert all((Path(__file__).parent / name).is_file() for name in _LONGEST), "tests/conftest.py names a file that is gone"
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
    if not hasattr(config, "workerinput"):
        os.environ[shared.FOLDER] = tempfile.mkdtemp(prefix="vigie-shared-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files. No test is given another try: what fails one time in ten has a cause."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    items[:] = [item for file in sorted(files, key=lambda file: _place(file, files[file])) for item in files[file]]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the tests of this process share; the first process ends what all share."""
    browser.end()
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(os.environ.pop(shared.FOLDER, ""), ignore_errors=True)
