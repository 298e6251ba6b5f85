"""Which tests take the most CPU? A pytest plugin: processor time says the same on a busy machine as on a quiet one.

Counted is what the process and the children that it has waited for have used, while the test ran: its fixtures, too. (What a
process that is still running has used is counted with the test that ends it.)
"""

import resource
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

SPENT = "cpu seconds"


def _used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--cpu N``: name the N tests and files that took the most processor time."""
    parser.addoption("--cpu", type=int, default=0, metavar="N", help="name the N tests and files that took the most CPU")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Note what the test has used, its set-up and its end included."""
    yield
    item.user_properties.append((SPENT, round(_used() - item.stash[_BEGAN], 3)))


_BEGAN = pytest.StashKey[float]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Note where it begins."""
    item.stash[_BEGAN] = _used()
    yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the dearest."""
    most = terminalreporter.config.getoption("--cpu")
    if not most:
        return
    tests: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                spent = sum(value for name, value in report.user_properties if name == SPENT)
                tests[report.nodeid] += spent
                files[report.nodeid.partition("::")[0]] += spent
    terminalreporter.write_sep("=", f"CPU: {sum(tests.values()):.0f} s, the {most} dearest")
    for counted in (tests, files):
        for name, spent in counted.most_common(most):
            terminalreporter.write_line(f"{spent:8.2f} s  {name}")
        terminalreporter.write_line("")
