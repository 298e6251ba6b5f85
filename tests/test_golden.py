"""Are rows that earlier versions have written still read, and do they count for what they counted for?

Each file under ``tests/models/golden/`` holds the rows of every fold over one small history (``tests/golden.py``).
"""

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.calendar import MINUTE_MS, Grain, iso
from models.measures import FROM_PRESENT, MEASURES
from models.partition import TOPICS, EntityPartition
from tests.golden import FOLDER, START, Clock, instance_of, read
from tests.models.test_partition import record

FILES = sorted(FOLDER.glob("*.jsonl.gz"))
END = int(START.timestamp() * 1000) + 30 * 24 * 60 * MINUTE_MS


def restored(file: Path, fold: str) -> tuple[Any, dict[bytes, bytes]]:
    rows = read(file)[fold]
    spec = next(s for s in instance_of(Clock()).engine.specs if s.name == fold)
    found = spec.make(0)
    found.restore(rows.items())
    return found, rows


@pytest.mark.parametrize("name", list(TOPICS))
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_panes_hold_what_they_held_and_entities_are_read(file: Path, name: str) -> None:
    partition, rows = restored(file, f"fold-{name}")
    known = {m.name for m in MEASURES[name]}
    while partition.behind:
        partition.changes()
    panes = 0
    for key, value in rows.items():
        if key[:1] == b"P":
            grain, pane, segment = key[1:].decode().split(":", 2)
            held = partition.panes.sums(Grain(grain), int(pane), segment)
            for measure, number in orjson.loads(value).items():
                if measure in known:
                    shown = held[measure] if isinstance(number, int) else {str(k): v for k, v in held[measure].items()}
                    assert shown == number, (key, measure)
                    panes += 1
        elif key[:1] == b"E":
            assert partition.entities.get(key[1:].decode()) is not None
    assert panes > 5


@pytest.mark.parametrize("name", ["deals", "leads"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_all_that_was_booked_can_be_taken_back(file: Path, name: str) -> None:
    partition, rows = restored(file, f"fold-{name}")
    assert isinstance(partition, EntityPartition)
    for number, key in enumerate(key for key in rows if key[:1] == b"E"):
        gone = {"specversion": "1.0", "id": f"gone-{number}", "source": "test", "type": f"{name[:-1]}.deleted"}
        gone |= {"time": iso(END), "subject": key[1:].decode(), "data": {}}
        partition.fold([record(name, gone, number, END)])
    while partition.behind:
        partition.changes()
    partition.changes()
    assert partition.outcomes[name, f"{name[:-1]}.deleted", "applied"] == sum(key[:1] == b"E" for key in rows) > 5
    # What a long deal did below its base stays where it was; its present goes.
    stocks = {m.name for m in MEASURES[name] if m.stock}
    left = {cell[:4] for cell in partition.panes.cells(Grain) if cell[3] in FROM_PRESENT}
    left |= {cell[:4] for cell in partition.panes.cells([Grain.ALL]) if cell[3] in stocks}
    assert left == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_other_fold_goes_on_from_its_rows(file: Path) -> None:
    others = {fold for fold, rows in read(file).items() if rows and not fold.startswith("fold-")}
    assert len(others) >= 7
    for fold in sorted(others):
        found, rows = restored(file, fold)
        if (live := getattr(found, "live", None)) is not None:
            live()
        found.tick(END)
        found.changes()
        if fold.startswith("predict-"):
            assert found.open > 0
        if fold == "evaluate-alerts":
            assert found.current()
        if fold == "dispatch-alerts":
            assert rows
