"""Are rows that earlier versions have written still read, and do they count for what they counted for?

Each file under ``tests/models/golden/`` holds the rows of every fold over one small history (``tests/golden.py``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.calendar import MINUTE_MS, Grain, iso
from models.fold import Record
from models.folds.partition import TOPICS, EntityPartition
from models.measures import FROM_PRESENT, LOGGED, MEASURES, UNLOGGED
from stream.engine.address import address
from tests.golden import BEGIN, FOLDER, HISTORIES, Clock, deal, in_order, instance_of, lead, read
from tests.models.test_partition import record

#: What depends on all stages that a deal was ever in.
OF_ALL_STAGES = {"stage_advanced", "stage_back", "stage_repeated"}
FILES = sorted(FOLDER.glob("*.jsonl.gz"))
END = BEGIN + 30 * 24 * 60 * MINUTE_MS


def restored(file: Path, fold: str) -> tuple[Any, dict[bytes, bytes]]:
    rows = read(file)[fold]
    spec = next(s for s in instance_of(Clock()).engine.specs if s.name == fold)
    found = spec.make(0)
    found.restore(rows.items())
    return found, rows


def partition_of(fold: str) -> EntityPartition:
    found = next(s for s in instance_of(Clock()).engine.specs if s.name == f"fold-{fold}").make(0)
    assert isinstance(found, EntityPartition)
    return found


class Kept:
    """A partition of one fold, with all that it has written, and what it tells survivors of merges taken in."""

    def __init__(self, fold: str, rows: Mapping[bytes, bytes]) -> None:
        self.fold, self.rows = fold, dict(rows)
        self.partition = partition_of(fold)
        self.partition.restore(self.rows.items())

    def take(self, events: list[bytes]) -> "Kept":
        for at, event in in_order(events):
            topic = address(event)[0]
            if topic in TOPICS[self.fold]:
                self.partition.fold([Record(topic, 0, 0, at, None, event, ())])
        self.checkpoint()
        return self

    def checkpoint(self) -> None:
        changes = self.partition.changes()
        for key, value in changes.rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        if merged := [Record(o.topic, 0, 0, END, None, o.value, ()) for o in changes.outputs if o.topic.endswith("-merges")]:
            self.partition.fold(merged)
            self.checkpoint()

    def restarted(self) -> "Kept":
        return Kept(self.fold, self.rows)

    def settled(self) -> "Kept":
        self.checkpoint()
        while self.partition.behind:
            self.checkpoint()
        return self

    @property
    def since(self) -> dict[str, int]:
        found: dict[str, int] = orjson.loads(self.rows[b"!"]).get("since", {})
        return found

    def numbers(self, since: Mapping[str, int]) -> dict[tuple[bytes, str], Any]:
        """All that is counted, by pane and measure; in panes that begin before a measure is whole, nothing of it.

        Nor, where that is so, of what depends on the stages that a deal was in before: these were folded away.
        """
        found: dict[tuple[bytes, str], Any] = {}
        calendar = self.partition.business.calendar
        for key, value in self.rows.items():
            if key[:1] == b"P":
                grain, pane, _ = key[1:].decode().split(":", 2)
                start = END if grain == "a" else calendar.start(Grain(grain), int(pane))
                whole = {m: n for m, n in orjson.loads(value).items() if start >= since.get(m, 0)}
                found |= {(key, m): n for m, n in whole.items() if m not in since or m not in OF_ALL_STAGES}
        return found


#: What is told, after the upgrade, of what was there before it: earlier than what is known, later, and merged.
LATE = [
    *[deal("created", f"{name}-edit", 50, amount="4") for name in ("plain", "bulk", "staged")],
    *[deal("stage_changed", f"{name}-won", 700, stage="late") for name in ("plain", "bulk", "staged")],
    *[deal("deleted", f"{name}-created", 7500) for name in ("plain", "bulk", "staged")],
    *[deal("merged", f"{name}-lost", 7500, into="survivor") for name in ("plain", "bulk", "staged")],
    deal("created", "called", 20),
    deal("updated", "slow", 20, stage="between"),
    deal("stage_changed", "stays", 7400, stage="demo"),
    deal("updated", "new", 7400, owner="ann"),
    lead("contacted", "long-before", 3500),
    lead("created", "unborn", 3500),
    lead("created", "led-to", 1000),
    lead("contacted", "never", 20),
    lead("deleted", "twice", 7400),
    lead("merged", "off", 7400, into="converted"),
]


@pytest.fixture(
    scope="module", params=[(file, fold) for file in FILES for fold in sorted(LOGGED)], ids=lambda p: f"{p[0].stem}-{p[1]}"
)
def upgrade(request: pytest.FixtureRequest) -> tuple[str, dict[bytes, bytes], Kept]:
    """A fold, the rows that an earlier version wrote, and what this one makes of the same events."""
    file, fold = request.param
    return fold, read(file)[f"fold-{fold}"], Kept(fold, {}).take(HISTORIES[file.name.partition(".")[0]]())


def same(kept: Kept, whole: Kept) -> None:
    since = kept.since
    assert kept.numbers(since) == whole.numbers(since)


def test_state_of_before_equals_what_is_counted_from_the_first_event_on(upgrade: tuple[str, dict[bytes, bytes], Kept]) -> None:
    fold, old, whole = upgrade
    kept = Kept(fold, old).settled()
    same(kept, whole)
    busy = any(key[:1] == b"E" and orjson.loads(value)[1:2] not in ([], [0]) for key, value in old.items())
    known = set(orjson.loads(old[b"!"])["made_of"]["measures"])
    new = {m.name for m in MEASURES[fold]} - known - FROM_PRESENT - UNLOGGED
    unlogged = {m.name for m in MEASURES[fold]} & UNLOGGED - known
    assert set(kept.since) == (new if busy else set()) | unlogged
    after = whole.restarted().take(LATE)
    same(kept.restarted().take(LATE), after)
    same(Kept(fold, old).take(LATE).settled(), after)
    assert after.numbers({}) != whole.numbers({})


def test_the_bringing_up_of_old_state_may_be_killed_after_every_checkpoint(
    upgrade: tuple[str, dict[bytes, bytes], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, old, whole = upgrade
    after = whole.restarted().take(LATE)
    monkeypatch.setattr("models.folds.partition._RAISED", 1)  # one entity per checkpoint
    kept, count = Kept(fold, old), 0
    least = 5 if kept.partition.behind else 1  # rows of this version need no bringing up
    while not count or kept.partition.behind:
        kept.checkpoint()
        count += 1
        if count % 5 == 0:
            killed = kept.restarted()
            killed.partition.changes()  # not committed
            same(killed.restarted().take(LATE).settled(), after)
    assert count >= least
    same(kept, whole)


@pytest.mark.parametrize("name", [name for name in TOPICS if name not in LOGGED])
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
        gone: dict[str, Any] = {"specversion": "1.0", "id": f"gone-{number}", "source": "test", "type": f"{name[:-1]}.deleted"}
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
