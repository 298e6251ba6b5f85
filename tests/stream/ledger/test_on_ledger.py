"""What the rest of Vigie sees of a ledger: when the disk is nearly full, when nobody listens any more, when its form changes."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stream.engine.backend import Message
from stream.engine.options import EngineOptions
from stream.ingest.intake import Intake, NotAcknowledged, Outgoing
from stream.ledger import keeping, schema
from stream.ledger.flow import LedgerFlow
from stream.ledger.on_ledger import OnLedger
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from tests.stream.engine.counting import TOPICS, adder
from tests.tools import eventually

RECORD = [Outgoing("numbers", b"k", b"1")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "vigie.db")
    yield found
    found.close()


def options_of(ledger: Ledger) -> EngineOptions:
    options = EngineOptions(brokers="", topics=TOPICS, partitions=1, backend=OnLedger(ledger))
    OnLedger(ledger).create(options, [adder()])
    return options


async def until(ledger: Ledger, *, refusing: bool) -> None:
    while ledger.refusing is not refusing:  # noqa: ASYNC110 - the housekeeper tells nobody
        await asyncio.sleep(0.01)


async def test_a_disk_that_is_nearly_full_takes_nothing_from_outside_and_says_so_until_there_is_room(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of(ledger)
    room = [keeping.FLOOR - 1]
    monkeypatch.setattr(keeping, "free", lambda _: room[0])
    monkeypatch.setattr(keeping, "_LOOK", 0.01)
    driver: Any = SimpleNamespace(state="running", positions=dict)
    housekeeper = keeping.Housekeeper(ledger, options, lambda: driver)
    running = asyncio.create_task(housekeeper.run())
    intake = Intake(options)
    async with asyncio.timeout(120):
        await until(ledger, refusing=True)
        assert "make room" in housekeeper.warnings()[0]
        with pytest.raises(NotAcknowledged, match="nearly full"):
            await intake.put(RECORD)
        # What is there is still folded: checkpoints are written.
        await asyncio.to_thread(ledger.write([Message(options.changelog("add"), b"1", b"k", 0)], []).result)
        room[0] = keeping.FLOOR
        await until(ledger, refusing=False)
        assert housekeeper.warnings() == []
        await intake.put(RECORD)
    assert ledger.bounds("numbers", 0) == (0, 1)
    await intake.close()
    running.cancel()
    await asyncio.wait([running])


def test_old_records_stay_until_it_is_known_who_has_folded_them(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold that is being restored has no position yet: nothing that it may want goes."""
    options = options_of(ledger)
    ledger.append([Message("numbers", b"1", b"k", 0)]).result()
    monkeypatch.setattr(keeping, "_LOOK", 0.01)

    async def look(state: str) -> tuple[int, int]:
        looks = 0

        class Driver:
            positions = dict

            @property
            def state(self) -> str:
                nonlocal looks
                looks += 1
                return state

        driver: Any = Driver()
        housekeeper = keeping.Housekeeper(ledger, options, lambda: driver)
        housekeeper._keep = {"numbers": -1}
        running = asyncio.create_task(housekeeper.run())
        await eventually(lambda: looks > 20 or ledger.bounds("numbers", 0) == (1, 1))
        running.cancel()
        await asyncio.wait([running])
        return ledger.bounds("numbers", 0)

    assert asyncio.run(look("restoring")) == (0, 1)
    assert asyncio.run(look("running")) == (1, 1)


def test_a_listener_whose_loop_is_closed_does_not_end_the_writing(ledger: Ledger) -> None:
    options = options_of(ledger)

    async def listen() -> None:
        flow = LedgerFlow(ledger, options)
        flow.add(adder(), "")
        flow._loop = asyncio.get_running_loop()
        ledger.listen(flow._heard)

    asyncio.run(listen())
    for n in range(2):
        assert ledger.append([Message("numbers", b"1", b"k", 0)]).result(10) == {("numbers", 0): n + 1}


def test_an_older_file_is_brought_up_with_a_copy_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    options_of(ledger)
    ledger.append([Message("numbers", b"1", b"k", 0)]).result()
    ledger.close()
    now = schema.FORMAT
    monkeypatch.setattr(schema, "FORMAT", now + 2)
    monkeypatch.setattr(schema, "STEPS", {now: "CREATE TABLE one (x);", now + 1: "CREATE TABLE two (x); nonsense;"})
    with pytest.raises(LedgerRefused, match="nonsense"):
        Ledger(ledger.path)
    with closing(sqlite3.connect(ledger.path)) as file:
        # The first step stands, the second left nothing.
        assert file.execute("PRAGMA user_version").fetchone() == (now + 1,)
        assert {name for (name,) in file.execute("SELECT name FROM sqlite_schema")} >= {"one"}
        assert not file.execute("SELECT 1 FROM sqlite_schema WHERE name = 'two'").fetchone()
    monkeypatch.setattr(schema, "STEPS", {now + 1: "CREATE TABLE two (x);"})
    Ledger(ledger.path).close()
    with closing(sqlite3.connect(ledger.path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (now + 2,)
        assert file.execute("SELECT count(*) FROM records").fetchone() == (1,)
    copies = sorted(path.name for path in ledger.path.parent.glob("vigie.format-*.db"))
    assert copies == [f"vigie.format-{now}.db", f"vigie.format-{now + 1}.db"]
    with closing(sqlite3.connect(ledger.path.parent / copies[0])) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (now,)
        assert file.execute("SELECT count(*) FROM records").fetchone() == (1,)
    monkeypatch.undo()
    with pytest.raises(LedgerRefused, match="later Vigie"):
        Ledger(ledger.path)
