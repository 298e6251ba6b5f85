"""Disks that are not as they should be: each has a name, and what is in the file stays as it is."""

import contextlib
import re
import shutil
from pathlib import Path

import pytest

from stream.engine.backend import Message
from stream.engine.options import EngineOptions
from stream.ledger import store
from stream.ledger.copies import problems
from stream.ledger.disk import remote
from stream.ledger.log_reader import LedgerError
from stream.ledger.on_ledger import OnLedger
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from tests.stream.engine.counting import TOPICS, adder

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
files:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/ann/disk ext4 rw 0 0
//nas/a\\040b /mnt/a\\040b cifs rw 0 0
"""


def filled(path: Path, count: int = 2_000) -> EngineOptions:
    ledger = Ledger(path)
    options = EngineOptions(brokers="", topics=TOPICS, partitions=1, backend=OnLedger(ledger))
    OnLedger(ledger).create(options, [adder()])
    rows = [Message(options.changelog("add"), b"%d" % n, b"row %d" % n, 0) for n in range(count)]
    ledger.write(rows, [Message("numbers", b"1" * 200, b"k", 0) for _ in range(count)]).result()
    ledger.close()
    return options


def test_a_disk_of_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    found = {
        path: remote(Path(path), mounts)
        for path in ("/var/lib/vigie/vigie.db", "/home/ann/x.db", "/home/ann/disk/x", "/mnt/a b/x")
    }
    assert list(found.values()) == [None, "nfs4", None, "cifs"]
    assert remote(tmp_path, tmp_path / "none") is None
    monkeypatch.setattr(store, "remote", lambda path: "nfs4")
    with pytest.raises(LedgerRefused, match="on nfs4; accepted: a disk of this machine"):
        Ledger(tmp_path / "vigie.db")
    assert not (tmp_path / "vigie.db").exists()


def test_what_cannot_be_written_is_refused_with_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "vigie.db").mkdir()
    for path in (Path("/proc/vigie/vigie.db"), tmp_path / "file" / "vigie.db", tmp_path / "vigie.db"):
        with pytest.raises(LedgerRefused, match="cannot be written"):
            Ledger(path)


@pytest.mark.parametrize("how", ["cut off", "flipped"])
def test_a_damaged_file_is_named_with_what_to_do_and_never_read_as_if_it_were_whole(tmp_path: Path, how: str) -> None:
    path = tmp_path / "vigie.db"
    options = filled(path)
    body = bytearray(path.read_bytes())
    if how == "cut off":
        del body[len(body) // 2 :]
    else:
        body[8192 * 2 :] = bytes(byte ^ 0x5A for byte in body[8192 * 2 :])
    path.write_bytes(body)
    with contextlib.suppress(LedgerRefused):
        assert list(problems(path))
    with pytest.raises((LedgerError, LedgerRefused), match="vigie restore"):
        ledger = Ledger(path)
        try:
            backend = OnLedger(ledger)
            backend.create(options, [adder()])
            assert backend.read_changelogs(options, [(options.changelog("add"), 0)], lambda: False)
        finally:
            ledger.close()


@pytest.mark.parametrize(
    ("written", "what"),
    [(b"1" * 200, r"numbers/0: offset \d+ has other bytes"), (b"row 12341234", "add.*/0: a row of state has other bytes")],
)
def test_one_flipped_bit_of_what_lies_in_it_is_found(tmp_path: Path, written: bytes, what: str) -> None:
    """The file's structure is whole, so SQLite has nothing to say."""
    path = tmp_path / "vigie.db"
    options = filled(path)
    body = bytearray(path.read_bytes())
    body[body.index(written) + len(written) - 1] ^= 0x01
    path.write_bytes(body)
    [found] = problems(path)
    assert re.match("damaged: .*" + what, found)
    with pytest.raises(LedgerError, match=what + ".*vigie restore"):
        ledger = Ledger(path)
        try:
            backend = OnLedger(ledger)
            backend.create(options, [adder()])
            backend.read_changelogs(options, [(options.changelog("add"), 0)], lambda: False)
            ledger.read("numbers", 0, 0, 5_000)
        finally:
            ledger.close()


def test_a_clock_that_is_set_back_an_hour_changes_no_order_and_loses_nothing(tmp_path: Path) -> None:
    now = [1_800_000_000_000]
    ledger = Ledger(tmp_path / "vigie.db", clock=lambda: now[0])
    ledger.declare([("numbers", 1, False)])
    for value in (b"1", b"2"):
        ledger.append([Message("numbers", value, b"k", 0)]).result()
        now[0] -= 3_600_000
    found = ledger.read("numbers", 0, 0, 10).records
    assert [(r.offset, r.value, r.timestamp) for r in found] == [(0, b"1", 1_800_000_000_000), (1, b"2", 1_799_996_400_000)]
    assert ledger.oldest("numbers", 0, 1_799_999_000_000, 2, 10) == 0, "the first is young: what is behind it stays"
    ledger.close()


def test_a_copy_on_another_machine_runs_and_says_that_there_may_be_two(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "a" / "vigie.db", 5)
    (tmp_path / "a" / "vigie.lock").write_text("process 7 on elsewhere\n")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    Ledger(tmp_path / "b" / "vigie.db").close()
    assert "last held by process 7 on elsewhere, and not let go of" in caplog.text
    caplog.clear()
    Ledger(tmp_path / "b" / "vigie.db").close()
    assert "last held" not in caplog.text


def test_records_that_do_not_fit_are_told_to_who_wrote_them(tmp_path: Path) -> None:
    """As a publisher hears it from Kafka: which topic, and why."""
    ledger = Ledger(tmp_path / "vigie.db")
    options = EngineOptions(brokers="", topics=TOPICS, partitions=1, backend=OnLedger(ledger))
    OnLedger(ledger).create(options, [adder()])
    ledger.refusing = True
    heard: list[tuple[str, str]] = []
    producer = OnLedger(ledger).producer(options, {})
    producer.produce("numbers", b"1", b"k", 0, lambda error, message: heard.append((message.topic(), error.str())))
    assert producer.flush(5) == 0
    [(topic, why)] = heard
    assert topic == "numbers" and "nearly full" in why
    ledger.close()
