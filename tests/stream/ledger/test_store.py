"""The ledger's file: what was acknowledged is in it, once, whatever happens to the process or the disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream.engine.backend import Message
from stream.ledger.compaction import TOMBSTONES, Compaction
from stream.ledger.copies import problems
from stream.ledger.keeping import expire, give_back
from stream.ledger.lock import LedgerTaken
from stream.ledger.log_reader import LedgerError
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger, LedgerFull

TOPICS = [("deals", 2, False), ("panes", 1, True), ("vigie-fold-changelog", 2, True)]


#: A file as the first version made it, with two keys of a compacted topic.
FIRST_FORMAT = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition)
);
CREATE TABLE records (place INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB);
CREATE TABLE latest (
    log INTEGER NOT NULL, key BLOB NOT NULL, place INTEGER NOT NULL UNIQUE, at INTEGER NOT NULL, value BLOB, UNIQUE (log, key)
);
CREATE INDEX removed ON latest (at) WHERE value IS NULL;
CREATE TABLE rows (log INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, UNIQUE (log, key));
INSERT INTO logs VALUES (1, 'panes', 0, 0, 5);
INSERT INTO latest VALUES (1, x'62', (1 << 40) + 4, 7, NULL), (1, x'61', (1 << 40) + 3, 7, x'34');
PRAGMA application_id = 0x56494749;
PRAGMA user_version = 1;
"""


class Clock:
    """Epoch milliseconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "vigie.db"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[Ledger]:
    found = Ledger(path, clock=clock)
    found.declare(TOPICS)
    yield found
    found.close()


def again(path: Path, clock: Clock) -> Ledger:
    found = Ledger(path, clock=clock)
    found.declare(TOPICS)
    return found


def deal(n: int, partition: int = 0) -> Message:
    return Message("deals", b"value %d" % n, b"key %d" % n, partition)


def test_records_come_back_in_their_order_with_arrival_key_value_and_headers(ledger: Ledger, clock: Clock) -> None:
    headers = [("ce_id", b"\xff\x00"), ("empty", None)]
    ends = ledger.append([deal(1), Message("deals", None, b"", 1, headers), deal(2)]).result()
    assert ends == {("deals", 0): 2, ("deals", 1): 1}
    found = ledger.read("deals", 0, 0, 10)
    assert found.end == 2
    assert [(r.offset, r.key, r.value, r.timestamp) for r in found.records] == [
        (0, b"key 1", b"value 1", clock.now),
        (1, b"key 2", b"value 2", clock.now),
    ]
    other = ledger.read("deals", 1, 0, 10).records[0]
    assert (other.key, other.value, list(other.headers)) == (b"", None, headers)


def test_a_stretch_ends_where_it_was_cut_or_at_the_logs_end(ledger: Ledger) -> None:
    ledger.append([deal(n) for n in range(5)]).result()
    assert (ledger.read("deals", 0, 1, 2).end, ledger.read("deals", 0, 3, 10).end) == (3, 5)
    assert ledger.read("deals", 0, 5, 10) == (5, [])


def test_a_job_that_cannot_be_written_leaves_nothing_and_the_others_are_whole(ledger: Ledger) -> None:
    good = ledger.append([deal(1)])
    bad = ledger.append([deal(2), Message("nowhere", b"", b"", 0)])
    after = ledger.append([deal(3)])
    assert good.result() == {("deals", 0): 1}
    with pytest.raises(KeyError):
        bad.result()
    assert after.result() == {("deals", 0): 2}
    assert [r.value for r in ledger.read("deals", 0, 0, 10).records] == [b"value 1", b"value 3"]


def test_of_a_compacted_topic_the_last_record_of_each_key_is_kept_in_its_place(ledger: Ledger, clock: Clock) -> None:
    for value in (b"1", b"2", None):
        ledger.append(
            [Message("panes", value, b"a", 0), Message("panes", value, b"b", 0)] if value else [Message("panes", None, b"a", 0)]
        )
    ledger.append([]).result()
    Compaction(ledger).run(clock.now, lambda topic, partition: None)
    found = ledger.read("panes", 0, 0, 10)
    assert [(r.offset, r.key, r.value) for r in found.records] == [(3, b"b", b"2"), (4, b"a", None)]
    assert found.end == 5
    # Who has read up to 1 gets what is left from there on, and the log's end.
    assert ledger.read("panes", 0, 4, 10).end == 5


def test_one_job_may_write_a_key_twice(ledger: Ledger) -> None:
    changelog = "vigie-fold-changelog"
    rows = [Message(changelog, b"1", b"k", 0), Message(changelog, b"2", b"k", 0)]
    ledger.write(rows, [Message("panes", b"1", b"a", 0), Message("panes", b"2", b"a", 0)]).result()
    assert ledger.rows(changelog, 0) == {b"k": b"2"}
    assert [(r.offset, r.value) for r in ledger.read("panes", 0, 0, 10).records] == [(0, b"1"), (1, b"2")]


def test_rows_are_taken_away_and_kept_apart_by_partition(ledger: Ledger) -> None:
    changelog = "vigie-fold-changelog"
    many = [Message(changelog, b"%d" % n, b"key %d" % n, n % 2) for n in range(501)]
    ledger.write(many, []).result()
    ledger.write([Message(changelog, None, b"key %d" % n, 0) for n in range(0, 501, 2) if n], []).result()
    assert ledger.rows(changelog, 0) == {b"key 0": b"0"}
    assert len(ledger.rows(changelog, 1)) == 250


def test_everything_is_there_after_it_was_closed(path: Path, ledger: Ledger, clock: Clock) -> None:
    ledger.write([Message("vigie-fold-changelog", b"v", b"k", 1)], [deal(1), Message("panes", b"p", b"a", 0)]).result()
    ledger.close()
    found = again(path, clock)
    try:
        assert found.append([deal(2)]).result() == {("deals", 0): 2}
        assert [r.value for r in found.read("deals", 0, 0, 10).records] == [b"value 1", b"value 2"]
        assert found.rows("vigie-fold-changelog", 1) == {b"k": b"v"}
    finally:
        found.close()


def test_a_full_disk_is_named_and_nothing_of_the_job_is_there_until_there_is_room(ledger: Ledger) -> None:
    ledger.append([deal(1)]).result()
    pages = ledger.do(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    ledger.do(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    large = [Message("deals", bytes(100_000), b"large", 0)]
    with pytest.raises(LedgerFull, match="full"):
        ledger.append([deal(2), *large]).result()
    assert ledger.bounds("deals", 0) == (0, 1)
    ledger.do(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchall())
    assert ledger.append([deal(3), *large]).result() == {("deals", 0): 3}
    assert [r.key for r in ledger.read("deals", 0, 0, 10).records] == [b"key 1", b"key 3", b"large"]


def test_a_second_process_is_told_who_has_it(ledger: Ledger, path: Path, clock: Clock) -> None:
    code = f"from pathlib import Path; from stream.ledger.store import Ledger; Ledger(Path({str(path)!r}))"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert second.returncode
    assert f"held by process {os.getpid()}" in second.stderr
    with pytest.raises(LedgerTaken):
        Ledger(path, clock=clock)


def test_a_file_of_a_later_version_or_of_something_else_is_refused_and_left_as_it_is(
    path: Path, ledger: Ledger, clock: Clock
) -> None:
    ledger.close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(LedgerRefused, match="later Vigie"):
        Ledger(path, clock=clock)
    other = path.with_name("other.db")
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE something (x)")
    file.close()
    before = other.read_bytes()
    with pytest.raises(LedgerRefused, match="something else"):
        Ledger(other, clock=clock)
    assert other.read_bytes() == before
    junk = path.with_name("junk.db")
    junk.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(LedgerRefused, match="vigie restore"):
        Ledger(junk, clock=clock)
    # The lock was let go of each time.
    with pytest.raises(LedgerRefused):
        Ledger(other, clock=clock)


def test_other_partitions_than_those_there_are_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="found 2 partitions; accepted: 3"):
        ledger.declare([("deals", 3, False)])


def test_old_records_go_unless_somebody_has_not_folded_them_yet(ledger: Ledger, clock: Clock) -> None:
    ledger.append([deal(n) for n in range(10)]).result()
    clock.now += 1000
    ledger.append([deal(n) for n in range(10, 15)]).result()
    clock.now += 500
    assert expire(ledger, {"deals": 1000}, clock.now, lambda topic, partition: 7) == 7
    assert ledger.bounds("deals", 0) == (7, 15)
    assert expire(ledger, {"deals": 1000}, clock.now, lambda topic, partition: 15) == 3
    assert [r.offset for r in ledger.read("deals", 0, 10, 10).records] == [10, 11, 12, 13, 14]
    assert expire(ledger, {"deals": 0}, clock.now + 1, lambda topic, partition: None) == 5
    assert ledger.bounds("deals", 0) == (15, 15)
    assert ledger.append([deal(1)]).result() == {("deals", 0): 16}


def test_where_a_log_begins_is_known_after_a_restart(path: Path, ledger: Ledger, clock: Clock) -> None:
    ledger.append([deal(n) for n in range(10)]).result()
    expire(ledger, {"deals": 0}, clock.now + 1, lambda topic, partition: 4)
    ledger.close()
    found = again(path, clock)
    assert found.bounds("deals", 0) == (4, 10)
    found.close()


def test_who_keeps_up_sees_every_record_of_a_key_and_who_comes_later_the_last(ledger: Ledger, path: Path, clock: Clock) -> None:
    """One transaction may say what has happened, and that it is over: the first is what somebody waits for."""
    values = [b"1", b"2", None]
    ledger.append([Message("panes", value, b"a", 0) for value in values] + [Message("panes", b"x", b"b", 0)]).result()
    assert [r.value for r in ledger.read("panes", 0, 0, 10).records] == [*values, b"x"]
    compaction = Compaction(ledger)
    assert compaction.run(clock.now, lambda topic, partition: 2) == 1
    assert [r.value for r in ledger.read("panes", 0, 0, 10).records] == [b"2", None, b"x"]
    assert compaction.run(clock.now, lambda topic, partition: None) == 1
    ledger.append([Message("panes", b"y", b"b", 0)]).result()
    assert Compaction(ledger).run(clock.now, lambda topic, partition: None) == 1
    assert [(r.offset, r.value) for r in ledger.read("panes", 0, 0, 10).records] == [(2, None), (4, b"y")]


def test_removed_keys_are_told_for_a_day(ledger: Ledger, clock: Clock) -> None:
    ledger.append([Message("panes", b"1", b"a", 0), Message("panes", b"1", b"b", 0), Message("panes", None, b"b", 0)]).result()
    for now, folded, left in ((TOMBSTONES, None, 2), (TOMBSTONES + 1, 2, 2)):
        Compaction(ledger).run(clock.now + now, lambda topic, partition, folded=folded: folded)  # type: ignore[misc]
        assert len(ledger.read("panes", 0, 0, 10).records) == left, "it is young, or somebody has not read it"
    Compaction(ledger).run(clock.now + TOMBSTONES + 1, lambda topic, partition: None)
    assert [r.key for r in ledger.read("panes", 0, 0, 10).records] == [b"a"]


def test_a_file_of_the_first_format_is_brought_up_with_all_that_is_in_it(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(FIRST_FORMAT)
    assert list(problems(path)) == [], "a copy made then is whole"
    found = again(path, clock)
    assert [(r.offset, r.key, r.value) for r in found.read("panes", 0, 0, 10).records] == [(3, b"a", b"4"), (4, b"b", None)]
    assert found.append([Message("panes", b"5", b"a", 0)]).result() == {("panes", 0): 6}
    assert Compaction(found).run(clock.now, lambda topic, partition: None) == 2  # and what was removed long ago
    found.close()
    assert list(problems(path)) == []


def test_room_is_given_back(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.append([Message("deals", bytes(50_000), b"k", 0) for _ in range(1000)]).result()
    ledger.do(lambda c: None)
    expire(ledger, {"deals": 0}, clock.now + 1, lambda topic, partition: None)
    give_back(ledger)
    ledger.close()
    assert path.stat().st_size < 20_000_000


def test_who_listens_hears_of_what_is_readable(ledger: Ledger) -> None:
    heard: list[tuple[str, int, int]] = []
    ledger.listen(lambda grown: heard.extend((t, p, ledger.bounds(t, p)[1]) for t, p in grown))
    ledger.append([deal(1)]).result()
    ledger.append([deal(2)]).result()
    ledger.do(lambda c: None)
    assert heard == [("deals", 0, 1), ("deals", 0, 2)]


KILLED = """
import sys
from pathlib import Path
from stream.ledger.store import Ledger
from stream.engine.backend import Message
ledger = Ledger(Path(sys.argv[1]))
ledger.declare([("deals", 2, False), ("panes", 1, True), ("vigie-fold-changelog", 2, True)])
start = sum(ledger.bounds("deals", p)[1] for p in range(2))
pending = []
for n in range(start, start + 100_000):
    job = [Message("vigie-fold-changelog", b"%d" % n, b"k%d" % (n % 50), 0)], [Message("deals", b"%d" % n, b"k", 0)]
    pending.append((n, ledger.write(*job)))
    while len(pending) > 20 or (pending and pending[0][1].done()):
        n, future = pending.pop(0)
        future.result()
        print(n, flush=True)
"""


def test_what_was_acknowledged_survives_being_killed_again_and_again(path: Path, clock: Clock) -> None:
    acknowledged = -1
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged % 37 == 36:
                process.send_signal(signal.SIGKILL)
                break
        rest = [int(line) for line in process.stdout.read().split("\n")[:-1]]  # told before the end, read after it
        acknowledged = rest[-1] if rest else acknowledged
        process.stdout.close()
        process.wait()
        found = again(path, clock)
        end = found.bounds("deals", 0)[1]
        assert end > acknowledged
        assert [r.value for r in found.read("deals", 0, 0, end + 1).records] == [b"%d" % n for n in range(end)]
        # State and log are of one moment.
        kept = {int(key[1:]): int(value) for key, value in found.rows("vigie-fold-changelog", 0).items()}
        assert kept == {n % 50: n for n in range(max(0, end - 50), end)}
        found.close()


def test_after_the_end_nothing_is_acknowledged(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(LedgerError):
        ledger.append([deal(1)]).result(timeout=5)


def test_who_reads_while_it_is_closed_is_told_and_the_process_lives(path: Path, clock: Clock) -> None:
    """SQLite ends the process where a connection that is in use is closed: it had, in housekeeping, at a stop."""
    with closing(again(path, clock)) as ledger:
        ledger.append([deal(n) for n in range(20_000)]).result()
    script = f"""
import random, threading, time
from pathlib import Path
from stream.ledger.log_reader import LedgerError
from stream.ledger.store import Ledger

for _ in range(12):
    ledger, told = Ledger(Path({str(path)!r})), []
    ledger.declare({TOPICS!r})
    def read():
        try:
            while True:
                ledger.oldest("deals", 0, 1 << 60, 20_000, 20_000)
        except LedgerError as error:
            told.append(str(error))
    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers: one.start()
    time.sleep(random.random() / 20)
    ledger.close()
    for one in readers: one.join()
    assert len(told) == 3 and all("let go of" in one for one in told), told
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=120).returncode == 0
