"""Is the tests' other clock true: shifted for all, and no wait longer or shorter for it?"""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.instants import INSTANTS, ROOT, instant, shifted
from tests.tools import program

#: The embedded broker waits with C11's threads, Python with POSIX's: both have to come to an end in time.
PROGRAM = """
import threading, time, confluent_kafka
from stream.engine.embedded import EmbeddedBroker
begun = time.monotonic()
condition = threading.Condition()
with condition:
    condition.wait(0.2)
assert 0.2 <= time.monotonic() - begun < 60, "the wait on a condition is as long as it was asked to be"
with EmbeddedBroker().start() as broker:
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    producer.produce("t", b"x")
    assert producer.flush(120) == 0, "the broker answers"
print(time.time())
"""


@pytest.mark.parametrize("name", ["leap-day", "paris-autumn"])
def test_a_process_lives_at_another_instant(name: str):
    program("cc")
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=shifted(instant(name)), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert -2 <= float(told.stdout) - instant(name).timestamp() < 60


def test_instants_are_names_or_times():
    assert len(INSTANTS) == 10
    assert instant("2028-02-29T12:00Z") == instant("leap-day") == datetime(2028, 2, 29, 12, tzinfo=UTC)
    with pytest.raises(SystemExit, match="no instant 'leapday'; there are sunday-night"):
        instant("leapday")
