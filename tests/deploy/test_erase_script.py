"""Who works is stopped, then people are erased, then who worked works again: whatever comes of the erasing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.ledger.store import Ledger

SCRIPT = Path(__file__).parents[2] / "deploy" / "erase.sh"


def begun(folder: Path, **more: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "STOP": "echo stopped >> acts",
        "START": "echo started >> acts",
        "TRIES": "1",
    } | more
    return subprocess.Popen(
        ["sh", str(SCRIPT)], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def acts(folder: Path) -> list[str]:
    return (folder / "acts").read_text().split() if (folder / "acts").exists() else []


def test_it_erases_while_nobody_works(tmp_path: Path) -> None:
    vigie = tmp_path / "vigie"
    vigie.write_text(f'#!/bin/sh\necho "$@" >> acts\nexec {sys.executable} -m vigie "$@"\n')
    vigie.chmod(0o755)
    (tmp_path / "data").mkdir()
    Ledger(tmp_path / "data" / "vigie.db").close()
    process = begun(tmp_path, VIGIE=str(vigie))
    told, wrong = process.communicate(timeout=300)
    assert process.returncode == 0, told + wrong
    assert acts(tmp_path) == ["stopped", "privacy", "erase", "--queued", "started"] and "nobody waits to be erased" in told


@pytest.mark.parametrize(
    ("more", "ended", "done"),
    [
        ({"VIGIE": "false"}, 1, ["stopped", "started"]),
        ({"STOP": "echo stopped >> acts; false"}, 1, ["stopped", "started"]),
        ({"START": ""}, 2, []),
    ],
)
def test_where_it_fails_who_worked_works_again(tmp_path: Path, more: dict[str, str], ended: int, done: list[str]) -> None:
    process = begun(tmp_path, **more)
    process.communicate(timeout=60)
    assert (process.returncode, acts(tmp_path)) == (ended, done)


def test_ended_in_the_middle_who_worked_works_again(tmp_path: Path) -> None:
    (tmp_path / "slow").write_text("#!/bin/sh\necho erasing >> acts\nsleep 3\n")
    (tmp_path / "slow").chmod(0o755)
    process = begun(tmp_path, VIGIE="./slow")
    while acts(tmp_path) != ["stopped", "erasing"]:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (process.returncode, acts(tmp_path)) == (143, ["stopped", "erasing", "started"])
