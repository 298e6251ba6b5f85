"""Write down the rows that every fold keeps of a small history: ``python -m tests.golden NAME``.

The files under ``tests/models/golden/`` were written by earlier versions and are never written again: later versions must read
them. A version that changes the form of a row adds a file of its own.
"""

import base64
import gzip
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from models.calendar import HOUR_MS, iso
from models.simulator.world import World
from stream.inline import Inline
from stream.publisher import address
from stream.settings import Settings
from vigie.instance import Instance
from vigie.replay import event_time

FOLDER = Path(__file__).parent / "models" / "golden"
START = datetime(2026, 5, 20, tzinfo=UTC)


class Clock:
    """A clock that is set."""

    at = int(START.timestamp() * 1000)

    def __call__(self) -> int:
        return self.at


def history() -> list[bytes]:
    """Return the events: a few days of a small company, one deal with more facts than are kept, one merged, one deleted."""
    events = [orjson.dumps(event) for event in World(seed=5, start=START, days=6, scale=0.03).events()]
    begin = int(START.timestamp() * 1000)

    def one(type: str, subject: str, minute: int, data: dict[str, Any]) -> bytes:
        event = {"specversion": "1.0", "id": f"{subject}-{type}-{minute}", "source": "golden", "type": type}
        return orjson.dumps({**event, "time": iso(begin + minute * 60_000), "subject": subject, "data": data})

    def customer(kind: str, minute: int, /, **data: Any) -> bytes:
        return one("customer." + kind, "acme", minute, data)

    def deal(kind: str, subject: str, minute: int, /, **data: Any) -> bytes:
        return one("deal." + kind, subject, minute, data)

    events.append(deal("created", "long", 0, amount="1000", owner="ann", source="web"))
    for i in range(1, 100):
        events.append(deal("stage_changed", "long", i * 50, stage=f"stage {i % 4}", amount=str(1000 + i), owner=f"rep {i % 3}"))
    events += [deal("won", "long", 5000), deal("activity", "long", 5001, kind="meeting", owner="ann")]
    events += [
        deal("created", "loser", 10, amount="5"),
        deal("created", "survivor", 11),
        deal("merged", "loser", 12, into="survivor"),
    ]
    events += [deal("created", "gone", 10, amount="7"), deal("deleted", "gone", 20)]
    events += [customer("invoiced", 5, amount="10.5", currency="EUR"), customer("invoiced", 3, amount=2, currency="EUR")]
    events += [customer("surveyed", 60, kind="nps", score=10), customer("supported", 70, response_seconds=12.5)]
    events += [deal("created", "huge", 7000, amount="9000000"), deal("stage_changed", "huge", 7100, stage="demo")]
    return events


def instance_of(clock: Clock) -> Instance:
    """Return the instance whose folds keep the rows."""
    settings = Settings.model_validate({"kafka": {"partitions": 1}, "business": {"timezone": "Europe/Paris"}})
    return Instance(settings, "127.0.0.1:1", clock=clock, paced=True)


def read(file: Path) -> dict[str, dict[bytes, bytes]]:
    """Return the rows of every fold by its name."""
    found: dict[str, dict[bytes, bytes]] = {}
    for line in gzip.decompress(file.read_bytes()).splitlines():
        fold, key, value = orjson.loads(line)
        found.setdefault(fold, {})[base64.b64decode(key)] = base64.b64decode(value)
    return found


def rows_of() -> dict[str, dict[bytes, bytes]]:
    """Return the rows of every fold by its name, all in one partition."""
    clock = Clock()
    specs = instance_of(clock).engine.specs
    found: dict[str, dict[bytes, bytes]] = {spec.name: {} for spec in specs}
    engine = Inline(specs, lambda topic: 1)
    for spec in specs:
        keep(engine.fold_of(spec.name, 0), found[spec.name])
    stop = int(START.timestamp() * 1000)
    for at, event in sorted((event_time(event) or 0, event) for event in history()):
        while at >= stop:  # judged every two hours, as it happens
            settled(engine, clock, stop)
            stop += 2 * HOUR_MS
        engine.publish(*address(event), event, at)
    for minutes in range(0, 120, 10):
        settled(engine, clock, stop + minutes * 60_000)
    return found


def settled(engine: Inline, clock: Clock, at: int) -> None:
    """Let it be a time."""
    engine.settle(at)
    clock.at = at
    engine.tick(at, at, "roll-kpis")


def keep(fold: Any, rows: dict[bytes, bytes]) -> None:
    """Note the rows that a fold hands over at its checkpoints."""
    changes = fold.changes

    def noted() -> Any:
        found = changes()
        for key, value in found.rows:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        return found

    fold.changes = noted


def write(name: str) -> None:
    """Write the rows of all folds into one file."""
    lines = [
        orjson.dumps([fold, base64.b64encode(key).decode(), base64.b64encode(value).decode()])
        for fold, rows in sorted(rows_of().items())
        for key, value in sorted(rows.items())
    ]
    FOLDER.mkdir(exist_ok=True)
    with gzip.GzipFile(FOLDER / f"{name}.jsonl.gz", "wb", mtime=0) as file:
        file.write(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    write(sys.argv[1])
