"""``python -m bench.mutants FILE…``: a table of how many of a file's faults its tests notice, and the faults that they do not.

The tests that answer for the files (``TESTS``) are collected and run once, to see which of them reach which line. Then each
fault is made in a child of this process (``fork``: nothing is imported again) by exchanging one function's code, and those of
the file's tests that reach its line are run, the quickest first, until one fails. A fault that no test reaches counts as not
noticed. Faults are made in functions only: constants of a module, defaults and the words of errors are left alone.

A fault that nobody notices costs all tests that reach its line, so these are kept cheap at first: Hypothesis gives each fault the
same few examples, and a test of more than a second is run only where no quicker one reaches the line. What is not noticed
then is given to all of the file's tests that reach it, with as many examples as they have themselves. The whole suite may notice
more.
"""

import argparse
import functools
import gc
import os
import signal
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from bench.mutants.faults import Fault, faults

ROOT = Path(__file__).resolve().parents[2]


def _models(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/models/test_{name}.py" for name in names)


#: The tests that answer for a file, quick ones; a folder stands for all files in it that are not named.
TESTS: dict[str, tuple[str, ...]] = {
    "models/panes/boundaries.py": _models("boundaries"),
    "models/panes/windows.py": _models("windows"),
    "models/panes/view.py": _models("view", "roll"),
    "models/panes/series.py": _models("series", "view"),
    "models/panes/segments.py": _models("segments"),
    "models/panes/store.py": _models("panes"),
    "models/folds": _models("partition", "aida", "states", "default_currency", "evolve"),
    "models/folds/accounts.py": _models("aida", "kpis_customers"),
    "models/folds/closing.py": _models("days_ahead", "aida", "wins_that_last", "partition"),
    "models/folds/dates.py": _models("days_ahead"),
    "models/folds/engagement.py": _models("partition", "aida", "sessions", "visitors", "time"),
    "models/folds/entity_snapshots.py": _models("states", "present", "names"),
    "models/folds/evolve.py": _models("evolve"),
    "models/folds/logged_keeper.py": _models("partition", "whole", "states"),
    "models/folds/mails.py": _models("mails", "aida"),
    "models/folds/metrics.py": _models("kpis_customers", "partition"),
    "models/folds/pane_rows.py": _models("evolve", "partition"),
    "models/folds/partition.py": _models("partition", "whole", "time"),
    "models/folds/presence.py": _models("presence"),
    "models/folds/sessions.py": _models("sessions", "aida"),
    "models/folds/stages.py": _models("days_ahead", "aida", "partition"),
    "models/folds/tallies.py": _models("kpis_customers", "partition"),
    "models/folds/trail.py": ("tests/models/journeys/test_journeys.py",),
    "models/folds/trials.py": _models("days_ahead"),
    "models/kpis/survival.py": ("tests/models/test_stays.py",),
    "models/kpis/stays.py": ("tests/models/test_stays.py",),
    "models/kpis/formula.py": ("tests/models/test_kpis_formula.py", "tests/models/test_kpis.py"),
    "alert_rules": ("tests/alert_rules",),
}
#: A fault that keeps its tests busy for so many times as long as they take is noticed: it never ends. Seconds at least.
LONGER, AT_LEAST = 10.0, 20.0
#: Tests that go through all time zones take minutes: they are left out.
CHOSEN = "not kafka", "not in_every_zone"
#: Examples of a property, and seconds of CPU after which a test is too slow to be run where another reaches the line.
EXAMPLES, SLOW = 20, 1.0


class Watcher:
    """Runs the tests once, and then the faults."""

    def __init__(self, files: Sequence[Path], every: int, goal: float) -> None:
        self.files, self.every, self.goal = {str(file): file for file in files}, every, goal
        self.reached: dict[tuple[str, int], list[int]] = {}
        self.seconds: list[float] = []
        self.failed = False
        self.survivors: list[str] = []
        self.slowest: list[tuple[float, str]] = []
        self.whole: dict[Any, Any] = {}  # of a property of which few examples are tried at first: its own settings
        self.short = False  # whether fewer of a file's faults are noticed than are asked for

    def pytest_collection(self) -> None:
        """Let Hypothesis give each fault the same examples, and lose no time on making a failure small."""
        from hypothesis import Phase, settings  # not before pytest has seen to it that it may rewrite it

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases, max_examples=EXAMPLES)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Take as few examples where a test asks for more of them, too."""
        from hypothesis import Phase, settings

        for function in {item.function for item in items}:
            own = getattr(function, "_hypothesis_internal_use_settings", None)
            if own is not None and own.max_examples > EXAMPLES:
                self.whole[function] = settings(own, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
                function._hypothesis_internal_use_settings = settings(own, max_examples=EXAMPLES)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep whether one has failed."""
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        self._reach(session)
        print("| File | Faults | Noticed | % |\n|---|---:|---:|---:|", flush=True)
        for name, file in self.files.items():
            shown = str(file.relative_to(ROOT))
            made = noticed = 0
            for fault in list(faults(file))[:: self.every]:
                made += 1
                if self._noticed(session, name, fault):
                    noticed += 1
                else:
                    self.survivors.append(f"{shown}:{fault.line}: {fault.before} -> {fault.after}")
                    print(self.survivors[-1], file=sys.stderr, flush=True)
            print(f"| {shown} | {made} | {noticed} | {100 * noticed / max(1, made):.1f} |", flush=True)
            self.short |= 100 * noticed < self.goal * made
        return True

    def _reach(self, session: pytest.Session) -> None:
        """Run each test once, and see which lines it reaches and how long it takes."""
        coverage = Coverage(data_file=None, include=list(self.files), config_file=False)
        coverage.start()
        for number, item in enumerate(session.items):
            coverage.switch_context(str(number))
            began = time.process_time()
            self._run(item, session.items[number + 1] if number + 1 < len(session.items) else None)
            self.seconds.append(time.process_time() - began)
            if self.failed:
                print(f"{item.nodeid} fails without a fault", file=sys.stderr, flush=True)  # pytest would say so in no terminal
                pytest.exit("", 1)
        coverage.stop()
        self.slowest = sorted(zip(self.seconds, (item.nodeid for item in session.items), strict=True), reverse=True)
        for name in self.files:
            mine = tests_of(self.files[name])
            for line, numbers in coverage.get_data().contexts_by_lineno(name).items():
                known = [int(number) for number in numbers if number]
                self.reached[name, line] = [number for number in known if session.items[number].nodeid.startswith(mine)]

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _noticed(self, session: pytest.Session, name: str, fault: Fault) -> bool:
        numbers = sorted(self.reached.get((name, fault.line), ()), key=self.seconds.__getitem__)
        if not numbers:
            return False
        quick = [number for number in numbers if self.seconds[number] <= SLOW] or numbers[:1]
        again = [number for number in numbers if number not in quick or session.items[number].function in self.whole]  # type: ignore[attr-defined]
        limit = max(AT_LEAST, LONGER * sum(self.seconds[number] for number in (*quick, *again, *again, *again)))
        if child := os.fork():
            end = time.monotonic() + limit
            while not (ended := os.waitpid(child, os.WNOHANG))[0]:
                if time.monotonic() > end:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    return True
                time.sleep(0.01)
            return ended[1] != 0
        try:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            _exchange(name, fault)
            for number in quick:
                self._run(session.items[number], None)
                if self.failed:
                    os._exit(1)
            for function, own in self.whole.items():
                function._hypothesis_internal_use_settings = own
            for number in again:
                self._run(session.items[number], None)
                if self.failed:
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(2)


def _exchange(name: str, fault: Fault) -> None:
    """Give the function its faulty code, and forget what was kept of its answers."""
    codes, todo = {}, [fault.code]
    while todo:  # also what is defined within it, as there may be some already
        code = todo.pop()
        codes[code.co_qualname, code.co_firstlineno, code.co_freevars] = code
        todo += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__code__.co_filename == name:
            code = found.__code__
            found.__code__ = codes.get((code.co_qualname, code.co_firstlineno, code.co_freevars), code)
        elif isinstance(found, functools._lru_cache_wrapper):
            found.cache_clear()


def tests_of(file: Path) -> tuple[str, ...]:
    """Return the tests that answer for a file."""
    name = str(file.relative_to(ROOT))
    place = next((one for one in (name, *map(str, Path(name).parents)) if one in TESTS), None)
    if place is None:
        raise SystemExit(f"{name}: no tests are named for it in {Path(__file__).relative_to(ROOT)}: TESTS")
    return TESTS[place]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 where fewer are noticed than are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each n-th fault")
    parser.add_argument("--goal", type=float, default=85.0, help="percent of each file's faults (default: %(default)s)")
    parser.add_argument("--slowest", type=int, default=0, help="name so many of the slowest tests, with their seconds of CPU")
    parser.add_argument("--survivors", action="store_true", help="name the faults that no test noticed")
    given = parser.parse_args(argv)
    files = [path.resolve() for path in given.files]
    os.environ.pop("PYTEST_ADDOPTS", None)
    watcher = Watcher(files, given.every, given.goal)
    plain = ["-o", "addopts=--import-mode=importlib", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main(
        [*plain, "-m", CHOSEN[0], "-k", CHOSEN[1], *dict.fromkeys(test for file in files for test in tests_of(file))],
        plugins=[watcher],
    )
    if code:
        return int(code)
    if given.slowest:
        print("\n" + "\n".join(f"{seconds:8.2f} s {name}" for seconds, name in watcher.slowest[: given.slowest]))
    if given.survivors:
        print("\n" + "\n".join(watcher.survivors))
    return int(watcher.short)


if __name__ == "__main__":
    sys.exit(main())
