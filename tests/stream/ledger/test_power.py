"""The power is cut while the ledger is written to: what was acknowledged is there, whole, and what is there fits together."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from stream.ledger.copies import problems
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from tests.power import Lost, cut, watched

#: Writes on and on, and says what has been acknowledged. A row counts the records, so that both must fit.
WRITER = """
import sys
from pathlib import Path
from stream.engine.backend import Message
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
ledger = Ledger(Path(sys.argv[1]))
if sys.argv[2] != "FULL":
    ledger._connection.execute(f"PRAGMA synchronous = {sys.argv[2]}")
ledger.declare([("deals", 1, False), ("states", 1, True), ("changes", 1, True)])
n = ledger.bounds("deals", 0)[1]
while True:
    futures = []
    for _ in range(7):
        rows = [Message("changes", b"%d" % (n + 1), b"count", 0)]
        outputs = [Message("deals", b"%d" % n + b"." * (n % 3000), b"k", 0), Message("states", b"%d" % n, b"k%d" % (n % 50), 0)]
        futures.append(ledger.write(rows, outputs))
        n += 1
    for future in futures:
        future.result()
    print(n, flush=True)
"""


class Cut:
    """One writer whose power is cut."""

    def __init__(self, folder: Path, synchronous: str, dice: random.Random) -> None:
        self.acknowledged = 0
        log = folder.parent / "power.log"
        path = folder / "vigie.db"
        command = [sys.executable, "-c", WRITER, str(path), synchronous]
        environment = watched(folder, log, slow=2_000)
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(dice.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            lines = [first.strip(), *process.stdout.read().splitlines()]
        self.acknowledged = max([int(line) for line in lines if line.isdigit()], default=0)
        self.lost: Lost = cut(folder, log, dice)
        self.problems: list[str] = []
        self.records: list[int] = []
        self.counted = 0
        try:
            self.problems = list(problems(path))
            with closing(sqlite3.connect(path)) as file:
                self.records = [int(value.rstrip(b".")) for (value,) in file.execute("SELECT value FROM records ORDER BY place")]
                self.counted = sum(int(value) for (value,) in file.execute("SELECT value FROM rows"))  # there is one
        except (LedgerRefused, sqlite3.OperationalError) as error:
            self.problems.append(f"nothing is left: {error}")


def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """`python -m bench.ledger_kills --power` does so to all of Vigie."""
    dice, hit = random.Random(3), 0
    for _ in range(6):
        found = Cut(tmp_path / "data", "FULL", dice)
        assert found.problems == []
        assert found.records == list(range(found.counted)), "each once, in order, and the state fits"
        assert found.counted >= found.acknowledged > 0, found.lost
        hit += found.lost.changed > 0
    assert hit, "no cut met anything that was not on the disk yet"
    ledger = Ledger(tmp_path / "data" / "vigie.db")
    ledger.declare([("deals", 1, False)])
    assert ledger.bounds("deals", 0)[1] == found.counted
    ledger.close()


def test_the_cut_can_take_what_was_acknowledged_where_commits_do_not_wait_for_the_disk(tmp_path: Path) -> None:
    dice = random.Random(3)
    for n in range(8):
        found = Cut(tmp_path / f"{n}", "NORMAL", dice)
        if found.counted < found.acknowledged:
            return
    pytest.fail("synchronous=NORMAL lost nothing: the cut is none")
