"""Copies of a ledger: of one moment, whole or not there, and found out where they are not."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream.engine.backend import Message
from stream.ledger.copies import backup, problems, restore
from stream.ledger.lock import LedgerTaken
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger

CHANGELOG = "vigie-fold-deals-changelog"
TOPICS = [("deals", 1, False), ("panes", 1, True), ("dead-letters", 1, False), (CHANGELOG, 1, True)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "vigie.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    found = Ledger(path)
    found.declare(TOPICS)
    yield found
    found.close()


def write(ledger: Ledger, first: int, stop: int) -> None:
    """State and log move together: the row says how many records there are."""
    for n in range(first, stop):
        rows = [Message(CHANGELOG, b"%d" % (n + 1), b"@deals", 0), Message(CHANGELOG, b"%d" % (n + 1), b"count", 0)]
        ledger.write(rows, [Message("deals", b"%d" % n, b"k", 0), Message("panes", b"%d" % n, b"p", 0)]).result()


def counted(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as file:
        records = file.execute("SELECT count(*) FROM records").fetchone()[0]
        return records, int(file.execute("SELECT value FROM rows WHERE key = ?", (b"count",)).fetchone()[0])


def test_a_copy_made_while_it_is_written_to_is_of_one_moment(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    write(ledger, 0, 20)
    thread = threading.Thread(target=write, args=(ledger, 20, 400))
    thread.start()
    for n in range(5):
        copy = tmp_path / f"{n}.backup"
        assert backup(path, copy) == copy.stat().st_size
        records, count = counted(copy)
        assert records == count >= 20
        assert list(problems(copy)) == []
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    thread.join()
    assert list(problems(path)) == []
    assert not list(tmp_path.glob("*.part"))


def test_what_is_restored_is_as_it_was_and_what_was_there_is_kept(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    write(ledger, 0, 30)
    copy = tmp_path / "copy"
    backup(path, copy)
    write(ledger, 30, 50)
    with pytest.raises(LedgerTaken):
        restore(copy, path)
    ledger.close()
    kept = restore(copy, path)
    assert kept is not None
    assert counted(kept) == (50, 50)
    again = Ledger(path)
    again.declare(TOPICS)
    assert again.bounds("deals", 0) == (0, 30)
    write(again, 30, 31)
    again.close()
    assert counted(path) == (31, 31)


def test_a_copy_restored_elsewhere_runs(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    write(ledger, 0, 10)
    backup(path, tmp_path / "copy")
    other = tmp_path / "other" / "vigie.db"
    assert restore(tmp_path / "copy", other) is None
    again = Ledger(other)
    again.declare(TOPICS)
    assert again.rows(CHANGELOG, 0)[b"count"] == b"10"
    again.close()


def test_nothing_is_overwritten(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    write(ledger, 0, 3)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError):
        backup(path, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_damage_is_found_and_not_restored(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    write(ledger, 0, 300)
    copy = tmp_path / "copy"
    backup(path, copy)
    body = bytearray(copy.read_bytes())
    middle = len(body) // 2 // 8192 * 8192  # where a page begins: what lies between its cells is nothing to find
    for place in range(middle, middle + 3000):
        body[place] ^= 0x5A
    copy.write_bytes(body)
    assert list(problems(copy))
    ledger.close()
    with pytest.raises(LedgerRefused):
        restore(copy, path)
    assert counted(path) == (300, 300)
    copy.write_bytes(body[: len(body) // 3])  # cut off
    with pytest.raises(LedgerRefused):
        restore(copy, path)
    for what in (b"", b"no database" * 1000):
        copy.write_bytes(what)
        with pytest.raises(LedgerRefused):
            list(problems(copy))


def test_state_that_does_not_fit_the_logs_is_named(ledger: Ledger, path: Path) -> None:
    write(ledger, 0, 5)
    ledger.write([Message(CHANGELOG, b"9", b"@deals", 0)], []).result()
    assert list(problems(path)) == [f"{CHANGELOG}/0: has folded deals up to 9, which ends at 5"]
    ledger.write([Message(CHANGELOG, b"1", b"@deals", 0)], []).result()
    ledger.forget("deals", 0, 3)
    assert list(problems(path)) == [f"{CHANGELOG}/0: 2 records of deals are gone before they were folded"]
