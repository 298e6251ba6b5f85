"""Which tests can come out otherwise at another hour? A pytest plugin that counts who reads the calendar clock.

Beneath ``clock.c`` every reading of the wall clock in this process passes by, Python's and libraries' alike: ``time.time()``,
``datetime.now()``, what Rust and C ask. A test counts as reading it if, while it runs or while a fixture of its is made,

* code reads the clock, other than the readers below whose answer no test can see,
* a process is started, or a shared one is used (Kafka, Redis, PostgreSQL, Prometheus, Chromium): what it reads is not seen here,
* a thread reads it without Python's lock: a library that one of Python's threads has called (librdkafka, SQLite, TLS), or a
  thread that a library begins meanwhile. One that it began for an earlier test, and that nobody calls, changes nothing here.

What is read while a file of tests is loaded counts for all of its tests; what is read by a module of ours while it is loaded,
or within a function that keeps its answers, counts for all there are. ``tests/instants.py`` runs everything at its first
instant, and at the others what has read the clock, has failed, or was not there.
"""

import ctypes
import functools
import gc
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import util
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

#: Who may read it unnoticed: the file in which it is read, and why no test can tell.
UNSEEN = {
    "/_pytest/": "the runner's own times",
    "/xdist/": "the runner's own times",
    "/execnet/": "the runner's own times",
    "/hypothesis/": "the runner's own times",
    "/schemathesis/pytest/": "the runner's own times",
    "/prometheus_client/metrics.py": "since when a series is counted, which we do not show",
    "/http/server.py": "the date in a header of an answer, which nobody asks for",
    "/aiohttp/helpers.py": "the date in a header of an answer, which nobody asks for",
    "/http/cookiejar.py": "a test's client: how old a cookie is, between two readings of its own",
    "/logging/__init__.py": "the time of a line of the log counts when somebody asks for it",
    "importlib._bootstrap": "a library that is loaded",
    "/numpy/f2py/": "the date in Fortran interfaces that it would write, which comes with SciPy and which nobody asks for",
}
#: What starts a process.
STARTS = ((subprocess.Popen, "__init__"), (os, "fork"), (os, "posix_spawn"), (os, "system"), (util, "spawnv_passfds"))
SHARED = ("kafka", "redis", "postgres", "prometheus", "browser")

_READS = "calendar reads"


class Reads:
    """What was read, by whom. ``found`` are those of the test that runs."""

    def __init__(self, library: Path, root: Path) -> None:
        self._root = f"{root}/"
        self.found: set[str] = set()
        self.loading: dict[str, set[str]] = {}
        self.everywhere: set[str] = set()
        self.fixtures: dict[Any, set[str]] = {}
        self._keeping: set[CodeType] = set()
        self._wrapped = 0
        self._clock = ctypes.CDLL(str(library))
        self._clock.reads_elsewhere.restype = ctypes.c_long
        self._callback = ctypes.PYFUNCTYPE(None)(self._note)  # kept: the library calls it
        self._clock.tell_reads(self._callback)

    @property
    def elsewhere(self) -> int:
        """How often threads without Python's lock have read it so far."""
        return int(self._clock.reads_elsewhere())

    def _note(self) -> None:
        self.note(sys._getframe(1))

    def note(self, frame: FrameType | None) -> None:
        """Note that the clock is read in this frame."""
        if frame is None or any(part in frame.f_code.co_filename for part in UNSEEN):
            return
        reader = f"{self.short(frame.f_code.co_filename)} {frame.f_code.co_qualname}"
        self.found.add(reader)
        while frame is not None:
            code = frame.f_code
            file = self.short(code.co_filename)
            if code.co_name == "<module>" and code.co_filename == self._root + file and not file.startswith("."):
                if Path(file).name.startswith("test_"):
                    self.loading.setdefault(file, set()).add(reader)
                else:
                    self.everywhere.add(f"{reader}, while {file} is loaded")
            elif code in self._keepers():
                self.everywhere.add(f"{reader}, within {code.co_qualname} of {file}, which keeps its answer")
            frame = frame.f_back

    def _keepers(self) -> set[CodeType]:
        """The functions that keep their answers (``functools.cache``); looked for anew where modules have been loaded since."""
        if len(sys.modules) != self._wrapped:
            self._wrapped = len(sys.modules)
            kept = (one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper))
            self._keeping = {code for one in kept if (code := getattr(one.__wrapped__, "__code__", None)) is not None}
            if (shared := sys.modules.get("tests.shared")) is not None:
                self._keeping.add(shared.once.__code__)
        return self._keeping

    def short(self, file: str) -> str:
        """Return how a file is named: from our own folder on, or from that of the packages."""
        return file.partition("site-packages/")[2] or file.removeprefix(self._root)


class Recorder:
    """Records in each process; the first one writes what all have found."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._reads = Reads(Path(config.getoption("--clock")), config.rootpath)
        self._first = not hasattr(config, "workerinput")
        self._all: dict[str, set[str]] = {}
        for owner, name in STARTS:
            setattr(owner, name, self._noting(getattr(owner, name)))
        logging.setLogRecordFactory(_record_of(self._reads))

    def _noting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def noted(*given: Any, **more: Any) -> Any:
            self._reads.found.add("a process")
            return start(*given, **more)

        return noted

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """A fixture that is made once reads the clock for all who use it."""
        before, self._reads.found, elsewhere = self._reads.found, set(), self._reads.elsewhere
        yield
        if self._reads.elsewhere > elsewhere:
            self._reads.found.add("a thread of a library")
        if self._reads.found and fixturedef.scope != "function":
            self._reads.fixtures.setdefault(fixturedef, set()).update(self._reads.found)
        self._reads.found |= before

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Begin anew with each test."""
        self._reads.found = set()
        self._elsewhere = self._reads.elsewhere
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """Say of the test what it has read."""
        used = set(item._request._fixture_defs.values())  # type: ignore[attr-defined]
        yield
        found = self._reads.found
        if self._reads.elsewhere > self._elsewhere:
            found.add("a thread of a library")
        for fixture in used & self._reads.fixtures.keys():
            found |= self._reads.fixtures[fixture]
        found |= {f"shared: {mark.name}" for mark in item.iter_markers() if mark.name in SHARED}
        item.user_properties.append((_READS, sorted(found)))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what is nobody's test."""
        told = {
            "loading": {file: sorted(found) for file, found in self._reads.loading.items()},
            "": sorted(self._reads.everywhere),
        }
        if self._first:
            self._heard(told)
        else:
            self._config.workeroutput["calendar"] = told  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what another process has found."""
        self._heard(getattr(node, "workeroutput", {}).get("calendar", {}))

    def _heard(self, told: dict[str, Any]) -> None:
        for file, found in told.get("loading", {}).items():
            self._all.setdefault(file, set()).update(found)
        self._all.setdefault("", set()).update(told.get("", ()))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write which tests passed without the clock, and say how many there are of each kind."""
        if not self._first:
            return
        from tests.cpu_report import SPENT  # pytest loads it itself

        reads: dict[str, set[str]] = {}
        spent: Counter[str] = Counter()
        passed = {report.nodeid for report in terminalreporter.stats.get("passed", []) if report.when == "call"}
        bad = {report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])}
        for report in (report for reports in terminalreporter.stats.values() for report in reports):
            if getattr(report, "when", "") == "teardown":
                known = dict(report.user_properties)
                reads[report.nodeid] = set(known.get(_READS, ())) | self._all.get(report.nodeid.partition("::")[0], set())
                spent[report.nodeid] += known.get(SPENT, 0)
        shared = self._all.get("", set())
        free = sorted(test for test in passed - bad if test in reads and not reads[test] and not shared)
        self._path.write_text(
            json.dumps({"free": free, "reads": {test: sorted(found) for test, found in reads.items() if found}})
        )
        say = terminalreporter.write_line
        terminalreporter.write_sep("=", "who reads the calendar clock")
        for reader in sorted(shared):
            say(f"counts for all tests: {reader}")
        rest = reads.keys() - set(free)
        free_cpu, rest_cpu = (sum(spent[test] for test in tests) for tests in (free, rest))
        say(f"{len(free):,} tests passed without reading it ({free_cpu:,.0f} s of CPU): the same at any hour.")
        say(f"{len(rest):,} tests depend on it ({rest_cpu:,.0f} s of CPU): run at each instant.")
        readers = Counter(reader for test in rest for reader in reads[test])
        for reader, tests in readers.most_common(25):
            say(f"{tests:6,}  {reader}")


def _record_of(reads: Reads) -> type[logging.LogRecord]:
    made = logging.LogRecord.__init__.__code__

    class Record(logging.LogRecord):
        """A line of the log whose time is a reading of the clock if somebody asks for it."""

        @property
        def created(self) -> float:
            frame = sys._getframe(1)
            if frame.f_code is not made:
                caller = frame.f_back if frame.f_code.co_filename == logging.__file__ else frame
                reads.found.add(f"{reads.short((caller or frame).f_code.co_filename)} the time of a line of the log")
            return self._created

        @created.setter
        def created(self, at: float) -> None:
            self._created = at

    return Record


class Selected:
    """Leaves out the tests of which a recording has said that no hour changes them."""

    def __init__(self, path: Path) -> None:
        self._free = set(json.loads(path.read_text())["free"])

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave them out; they are counted as deselected."""
        out = [item for item in items if item.nodeid in self._free]
        items[:] = [item for item in items if item.nodeid not in self._free]
        config.hook.pytest_deselected(items=out)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that ``tests/instants.py`` gives."""
    parser.addoption("--clock", default="", metavar="FILE", help="clock.so, which is beneath this process")
    parser.addoption("--note-reads", default="", metavar="FILE", help="write there which tests never read the calendar clock")
    parser.addoption("--only-readers", default="", metavar="FILE", help="leave out the tests that FILE says never do")


def pytest_configure(config: pytest.Config) -> None:
    """Record, or select."""
    if path := config.getoption("--note-reads"):
        config.pluginmanager.register(Recorder(config, Path(path)), "calendar reads")
    if path := config.getoption("--only-readers"):
        config.pluginmanager.register(Selected(Path(path)), "calendar readers")
