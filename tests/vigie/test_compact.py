"""``vigie compact``: what is not kept goes, what is kept and what is not folded yet stays, and the file is smaller."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.config.settings import Settings
from stream.engine.backend import POSITION, Message
from stream.ledger.copies import problems
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from vigie.__main__ import app
from vigie.lanes import engine_options
from vigie.topics import folds_of

LONG_AGO = 1_600_000_000_000


def compact(folder: Path) -> Any:
    return CliRunner().invoke(
        app, ["compact"], env={"VIGIE_DATA_DIR": str(folder), "COLUMNS": "300", "VIGIE_KAFKA__PARTITIONS": "1"}
    )


def test_it_makes_the_file_smaller_and_keeps_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_KAFKA__PARTITIONS", "1")
    assert compact(tmp_path).exit_code == 1
    path = tmp_path / "vigie.db"
    ledger = Ledger(path, clock=lambda: LONG_AGO)
    settings = Settings(**{"data_dir": str(tmp_path), "kafka": {"partitions": 1}})
    options = engine_options(settings, "", backend=OnLedger(ledger))
    OnLedger(ledger).create(options, folds_of(settings, options))
    ledger.append([Message("deals", bytes(2_000), b"d%d" % n, 0) for n in range(3_000)]).result()
    ledger.append([Message("panes", bytes(500), b"p%d" % (n % 5), 0) for n in range(3_000)]).result()
    # The slowest has folded the deals up to 2,990.
    reading = [spec.name for spec in folds_of(settings, options) if "deals" in spec.topics]
    positions = {name: 2_990 + n for n, name in enumerate(reading)}
    rows = [Message(options.changelog(name), b"%d" % at, POSITION + b"deals", 0) for name, at in positions.items()]
    ledger.write(rows, []).result()
    assert compact(tmp_path).exit_code == 1, "it is in use"
    ledger.close()
    before = path.stat().st_size
    result = compact(tmp_path)
    assert result.exit_code == 0, result.output
    assert "5,985 records have gone" in result.output + result.stderr
    assert path.stat().st_size < before / 5
    assert list(problems(path)) == []
    ledger = Ledger(path)
    OnLedger(ledger).create(options, folds_of(settings, options))
    assert ledger.bounds("deals", 0) == (2_990, 3_000)
    assert [record.offset for record in ledger.read("panes", 0, 0, 10).records] == [2_995, 2_996, 2_997, 2_998, 2_999]
    ledger.close()
