"""``vigie simulate`` and the demonstration's batches."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from typer.testing import CliRunner

from models.simulator import Mischief
from stream.sources.files import FileEvent, FileReject, read_file
from vigie import simulate as module
from vigie.simulate import command, demo, simulate

MISCHIEF = Mischief(
    9, duplicates=0.1, disorder=1.0, late=0.05, reopen=0.1, merge=0.1, bad=0.02, bad_kinds=("broken_json", "naive_time")
)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("1", "2", "3"))
    first = simulate(one, seed=9, days=3, mischief=MISCHIEF)
    assert simulate(two, seed=9, days=3, mischief=MISCHIEF) == first
    simulate(three, seed=10, days=3, mischief=MISCHIEF)
    assert one.read_bytes() == two.read_bytes() != three.read_bytes()
    assert first.bytes == one.stat().st_size
    assert first.lines == first.types.total() == one.read_bytes().count(b"\n")


def test_a_compressed_file_is_the_same_too(tmp_path: Path) -> None:
    plain, one, two = tmp_path / "x", tmp_path / "1.gz", tmp_path / "2.gz"
    for path in (plain, one, two):
        simulate(path, seed=9, days=2)
    assert one.read_bytes() == two.read_bytes()
    assert gzip.decompress(one.read_bytes()) == plain.read_bytes()


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    written = simulate(path, seed=9, days=3, mischief=MISCHIEF)
    items = list(read_file(path))
    assert len(items) == written.lines
    rejects = [item for item in items if isinstance(item, FileReject)]
    assert len(rejects) == written.types["?"] > 10
    assert all(isinstance(item, FileEvent) for item in items if item not in rejects)


def test_a_history_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def stop(day: int) -> None:
        if day == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "x.jsonl", days=5, on_day=stop)
    assert list(tmp_path.iterdir()) == []


def test_days_are_reported(tmp_path: Path) -> None:
    days: list[int] = []
    simulate(tmp_path / "x", days=4, on_day=days.append)
    assert days == [1, 2, 3, 4]


def test_the_command_writes_and_says_how_much(app: typer.Typer, tmp_path: Path) -> None:
    out = tmp_path / "x.jsonl"
    options = (
        "--seed 7 --days 2 --duplicates 0.1 --disorder 1 --late 0.05 --reopen 0.1 --merge 0.1 --bad 0.01 --bad-kind missing_id"
    )
    result = CliRunner().invoke(app, ["--out", str(out), *options.split()])
    assert result.exit_code == 0
    assert f"{out.read_bytes().count(10):,} lines" in result.stderr.replace("\n", "")
    assert result.stdout == ""


def test_standard_output_has_the_events_only(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--out", "-", "--days", "1"])
    assert result.exit_code == 0
    assert all(orjson.loads(line)["specversion"] == "1.0" for line in result.stdout.splitlines())


def test_mischief_is_done_to_a_file_too(app: typer.Typer, tmp_path: Path) -> None:
    clean, out = tmp_path / "clean.jsonl", tmp_path / "out.jsonl"
    simulate(clean, days=2)
    with clean.open("ab") as file:
        file.write(b"{broken\n")
    result = CliRunner().invoke(app, ["--events", str(clean), "--out", str(out), "--disorder", "1", "--duplicates", "0.1"])
    assert result.exit_code == 0
    assert "1 left out: not JSON" in result.stderr.replace("\n", " ")
    lines = clean.read_bytes().splitlines()[:-1]
    assert set(out.read_bytes().splitlines()) == set(lines)
    assert 1.05 * len(lines) < len(out.read_bytes().splitlines()) < 1.15 * len(lines)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--bad-kind", "nonsense"], 1, "bad_kinds: found nonsense"),
        (["--out", "missing/folder/x"], 1, "missing/folder/x"),
        (["--scale", "0"], 1, "days and scale"),
        (["--events", "absent.jsonl"], 1, "absent.jsonl: No such file"),
        (["--events", "x", "--format", "xlsx"], 1, 'found "xlsx"'),
        (["--events", "x", "--zone", "Mars"], 1, '--zone: found "Mars"'),
        (["--late", "2"], 2, "less than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_said(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["--out", "x", *options])
    assert result.exit_code == code
    assert message in result.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


async def test_the_demonstration_publishes_history_then_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LiveCompany", FakeLive)
    now = [int(datetime(2025, 6, 10, tzinfo=UTC).timestamp() * 1000)]
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += round(seconds * 1000)

    batches: list[list[dict[str, Any]]] = []
    async for batch in demo(1, lambda: now[0], wait, batch=3, tick=0.2):
        batches.append(batch)
        if len(batches) == 6:
            break
    assert [len(batch) for batch in batches] == [3, 3, 1, 1, 1, 1]
    assert waits == [0.2] * 6  # every other step brought nothing


class FakeLive:
    def __init__(self, seed: int, now: int, *, currency: str) -> None:
        self.steps = 0

    def history(self) -> list[dict[str, Any]]:
        return [{"id": str(number)} for number in range(7)]

    def step(self, now: int) -> list[dict[str, Any]]:
        self.steps += 1
        return [{"id": str(now)}] if self.steps % 2 == 0 else []
