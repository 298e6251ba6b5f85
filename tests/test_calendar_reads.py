"""Is it counted who reads the calendar clock?"""

import json
import subprocess
import sys
from pathlib import Path

from tests.instants import CLOCK, ROOT, instant, shifted
from tests.tools import program

#: Tests, and whether another hour could change them. A name that begins with ``on`` reads the clock in some way.
TESTS = """
import datetime, functools, logging, subprocess, sys, threading, time
import confluent_kafka, pytest
CLIENTS = []

@pytest.fixture(scope="module")
def today():
    return datetime.date.today()

def test_off_the_clock():
    assert time.monotonic() and datetime.datetime.fromtimestamp(0).year
    logging.getLogger("x").warning("told")

def test_on_time():
    assert time.time_ns()

def test_on_a_date_in_a_thread():
    thread = threading.Thread(target=datetime.datetime.now)
    thread.start()
    thread.join()

def test_on_the_time_of_a_line_of_the_log(caplog):
    logging.getLogger("x").warning("told")
    assert caplog.records[0].created

def test_on_a_process():
    assert subprocess.run([sys.executable, "-c", ""]).returncode == 0

def test_on_a_shared_fixture(today):
    assert today

def test_on_what_a_fixture_was_given_before(request):
    assert request.getfixturevalue("today")

def test_on_a_library_s_threads():
    CLIENTS.append(confluent_kafka.Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}))
    time.sleep(1.0)  # a busy machine starts its threads late

def test_off_the_threads_of_an_earlier_test():
    time.sleep(0.3)

def test_on_a_library_that_is_called():
    for _ in range(10):  # one that has something to tell already looks at no clock
        CLIENTS[0].poll(0.05)

def test_on_the_hour_and_failing():
    assert False
"""
LOADED = "import time\nNOW = time.time()\ndef test_on_loading(): assert NOW\n"
FREE = "def test_off_it(): pass\n"


def test_who_reads_the_clock_is_run_at_every_instant_and_nobody_else(tmp_path: Path):
    program("cc")
    environment = shifted(instant("leap-day"))
    for name, text in (("test_a", TESTS), ("test_b", LOADED), ("test_c", FREE)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "conftest.py").write_text("pytest_plugins = ('tests.cpu_report',)\n")
    noted = tmp_path / "reads.json"

    def run(*words: object) -> str:
        asked = ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", "tests.calendar_reads", "-n", "2", *words]
        command = [sys.executable, "-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", *asked, tmp_path]
        paths = {**environment, "PYTHONPATH": str(ROOT)}
        return subprocess.run([*map(str, command)], env=paths, cwd=tmp_path, capture_output=True, text=True, timeout=600).stdout

    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    said = run("--clock", CLOCK, "--note-reads", noted)
    found = json.loads(noted.read_text())
    assert {test.partition("::")[2] for test in found["free"]} == {
        "test_off_the_clock",
        "test_off_it",
        "test_off_the_threads_of_an_earlier_test",
    }, said
    assert "10 tests depend on it" in said, said
    assert "1 failed, 9 passed" in (said := run("--only-readers", noted)), said
