"""``python -m bench.mutants FILE…``: a table of how many of a file's faults its tests notice, and the faults that they do not.

The tests are collected and run once, to see which of them reach which line. Then each fault is made in a child of this process
(``fork``: nothing is imported again) by exchanging one function's code, and the tests that reach its line are run, the quickest
first, until one fails. A fault that no test reaches counts as not noticed. Faults are made in functions only: constants of a
module, defaults and the words of errors are left alone.
"""

import argparse
import functools
import gc
import os
import signal
import sys
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.mutants.faults import Fault, faults

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("test_partition", "test_roll", "test_view", "test_visitors", "test_whole", "test_states", "test_default_currency")
#: The tests that answer for a file, quick ones; a folder stands for all files in it that are not named.
TESTS: dict[str, tuple[str, ...]] = {
    "models/panes": tuple(f"tests/models/{name}.py" for name in (*MODELS, "test_time", "test_boundaries", "test_windows")),
    "models/folds": tuple(f"tests/models/{name}.py" for name in (*MODELS, "test_evolve")),
    "models/kpis/survival.py": ("tests/models/test_stays.py",),
    "models/kpis/stays.py": ("tests/models/test_stays.py",),
    "models/kpis/formula.py": ("tests/models/test_kpis_formula.py", "tests/models/test_kpis.py"),
    "alert_rules": ("tests/alert_rules",),
}
#: A fault that keeps its tests busy for so many times as long as they take is noticed: it never ends. Seconds at least.
LONGER, AT_LEAST = 10.0, 20.0


class Watcher:
    """Runs the tests once, and then the faults."""

    def __init__(self, files: Sequence[Path], every: int) -> None:
        self.files, self.every = {str(file): file for file in files}, every
        self.reached: dict[tuple[str, int], set[int]] = {}
        self.seconds: list[float] = []
        self.failed = False
        self.survivors: list[str] = []
        self.table: list[tuple[str, int, int]] = []

    def pytest_collection(self) -> None:
        """Let Hypothesis give each fault the same examples, and lose no time on making a failure small."""
        from hypothesis import Phase, settings  # not before pytest has seen to it that it may rewrite it

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep whether one has failed."""
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        for number, item in enumerate(session.items):
            began = time.process_time()
            sys.settrace(functools.partial(self._trace, number))
            self._run(item, session.items[number + 1] if number + 1 < len(session.items) else None)
            sys.settrace(None)
            self.seconds.append(time.process_time() - began)
            if self.failed:
                pytest.exit(f"{item.nodeid} fails without a fault", 1)
        for name, file in self.files.items():
            made = noticed = 0
            for fault in list(faults(file))[:: self.every]:
                made += 1
                if self._noticed(session, name, fault):
                    noticed += 1
                else:
                    self.survivors.append(f"{file.relative_to(ROOT)}:{fault.line}: {fault.before} -> {fault.after}")
                    print("+" if made % 60 else "+\n", end="", file=sys.stderr, flush=True)
            self.table.append((str(file.relative_to(ROOT)), made, noticed))
        return True

    def _trace(self, number: int, frame: types.FrameType, event: str, arg: object) -> Any:
        name = frame.f_code.co_filename
        if name not in self.files:
            return None

        def line(frame: types.FrameType, event: str, arg: object) -> Any:
            self.reached.setdefault((name, frame.f_lineno), set()).add(number)
            return line

        return line

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _noticed(self, session: pytest.Session, name: str, fault: Fault) -> bool:
        numbers = sorted(self.reached.get((name, fault.line), ()), key=self.seconds.__getitem__)
        if not numbers:
            return False
        limit = max(AT_LEAST, LONGER * sum(self.seconds[number] for number in numbers))
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
            for number in numbers:
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


def tests_of(files: Sequence[Path]) -> Iterator[str]:
    """Yield the tests that answer for these files."""
    for file in files:
        name = str(file.relative_to(ROOT))
        place = next((one for one in (name, *map(str, Path(name).parents)) if one in TESTS), None)
        if place is None:
            raise SystemExit(f"{name}: no tests are named for it in {Path(__file__).relative_to(ROOT)}: TESTS")
        yield from TESTS[place]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 where fewer are noticed than are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each n-th fault")
    parser.add_argument("--goal", type=float, default=85.0, help="percent of each file's faults (default: %(default)s)")
    parser.add_argument("--survivors", action="store_true", help="name the faults that no test noticed")
    given = parser.parse_args(argv)
    files = [path.resolve() for path in given.files]
    os.environ.pop("PYTEST_ADDOPTS", None)
    watcher = Watcher(files, given.every)
    plain = ["-o", "addopts=--import-mode=importlib", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*plain, "-m", "not kafka", *dict.fromkeys(tests_of(files))], plugins=[watcher])
    if code:
        return int(code)
    print("\n| File | Faults | Noticed | % |\n|---|---:|---:|---:|")
    for name, made, noticed in watcher.table:
        print(f"| {name} | {made} | {noticed} | {100 * noticed / max(1, made):.1f} |")
    if given.survivors:
        print("\n" + "\n".join(watcher.survivors))
    return int(any(100 * noticed < given.goal * made for _, made, noticed in watcher.table))


if __name__ == "__main__":
    sys.exit(main())
