"""What does a start load? Processor time and memory of each process, in tests and for users: what is not needed waits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_one_machine import Machine

#: Loaded by who uses them: each is a tenth of a second to a second of CPU, and 5 to 80 MB.
HEAVY = (
    "apprise", "asyncpg", "babel", "duckdb", "fakeredis", "models.events.contract", "models.simulator", "pandas",
    "pyarrow", "river.datasets", "scipy.io", "scipy.optimize", "scipy.special._ufuncs", "scipy.stats", "sklearn", "unittest",
)  # fmt: skip
#: Who says no numbers, or tells nobody, needs none of these either.
FOLDS = ("faust", "aiokafka", "numpy", "river", "redis")
TELLS = ("aiohttp", "aiosmtplib")


def loaded(program: str) -> set[str]:
    """Return the modules that are there after a program of Python, each with its packages."""
    command = [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("vigie.worker", HEAVY + FOLDS + TELLS),
        ("vigie.up", (*HEAVY, "faust.app", "numpy")),
        ("vigie.web", HEAVY),
        ("vigie.publish", HEAVY + FOLDS + TELLS),
        ("vigie.export", (*HEAVY, *FOLDS, *TELLS, "fastapi")),
    ],
)
def test_a_command_loads_nothing_that_it_may_never_use(module: str, without: tuple[str, ...]) -> None:
    assert not loaded(f"import {module}") & set(without)


def test_river_is_taken_in_parts_and_they_are_the_whole_one_s() -> None:
    same = """
import models.learners.river_parts as parts, sys
assert not {"river.drift", "river.linear_model", "scipy.stats", "scipy.special._ufuncs"} & set(sys.modules)
from river import drift, linear_model, optim
assert parts.ADWIN is drift.ADWIN and parts.LogisticRegression is linear_model.LogisticRegression
assert parts.AdaGrad is optim.AdaGrad
from river.optim.losses import CrossEntropy
import numpy
assert abs(CrossEntropy().mean_func(numpy.array([1.0, 2.0, 3.0])).sum() - 1) < 1e-9
"""
    assert "scipy.special._ufuncs" in loaded(same)  # what was put off is there when it is asked for


def test_everything_runs_in_little_memory(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.settings = {"PYTHONPROFILEIMPORTTIME": "1", "VIGIE_MODELS__LIVE": "true"}
    machine.start()
    assert machine.process is not None
    status = Path(f"/proc/{machine.process.pid}/status").read_text()
    machine.end()
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", (tmp_path / "up.log").read_text(), re.MULTILINE))
    assert "models.learners.river_parts" in imported and not imported & set(HEAVY)
    resident = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
    assert resident < 200, f"{resident} MB; it was 136"
