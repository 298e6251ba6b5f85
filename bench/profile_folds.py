"""Which functions take the folds' time? A profile of each fold over the whole job's events, in memory, without a broker."""

import argparse
import cProfile
import gc
import pstats
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from bench.whole_job import TOPICS, Mix
from models.business import Business
from models.calendar import epoch_ms
from models.fold import Record
from models.folds.partition import EntityPartition
from models.simulator import World
from stream.engine.address import address
from tests.kafka_broker import ROOT

CHUNK = 500
#: Records between two checkpoints: what 0.25 s bring to one of eight partitions at 20,000 events a second is 100 to 300.
EVERY = 300


def records_of(count: int) -> dict[str, list[Record]]:
    """The mix, by topic, as the broker would give it."""
    now = time.time_ns() // 1_000_000
    found: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    for topic, key, value in Mix(count, now - count):
        found[topic].append(Record(topic, 0, len(found[topic]), now, key, value, ()))
    return found


def company_records(count: int) -> dict[str, list[Record]]:
    """The first events of a simulated company, by topic: owners and sources as they are, each event in its own minute."""
    found: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    for event in islice(World(5, datetime(2026, 3, 2, tzinfo=UTC), 400, scale=1.0).events(), count):
        value = orjson.dumps(event)
        topic, key = address(value)
        arrival = epoch_ms(datetime.fromisoformat(orjson.loads(value)["time"]))
        found[topic].append(Record(topic, 0, len(found[topic]), arrival, key, value, ()))
    return found


def fold_all(fold: EntityPartition, records: list[Record], every: int = 0) -> float:
    """CPU seconds to fold; ``every`` > 0: with what a checkpoint takes after so many records."""
    chunk = every or CHUNK
    began = time.process_time()
    for index in range(0, len(records), chunk):
        fold.fold(records[index : index + chunk])
        if every:
            fold.changes()
    return time.process_time() - began


def profiles(count: int, top: int = 8, records_by: Callable[[int], dict[str, list[Record]]] = records_of) -> dict[str, Any]:
    """Microseconds of CPU per event and the dearest functions, by fold."""
    business = Business()
    found: dict[str, Any] = {}
    for topic, records in records_by(count).items():
        gc.collect()
        began = time.process_time()
        for record in records:
            orjson.loads(record.value or b"")
        parsed = time.process_time() - began
        # The lowest of three: what others do to caches is not the fold's.
        alone = min(fold_all(EntityPartition(topic, 0, business), records) for _ in range(3))
        written = min(fold_all(EntityPartition(topic, 0, business), records, EVERY) for _ in range(3))
        found[topic] = {
            "events": len(records),
            "orjson": round(parsed / len(records) * 1e6, 2),
            "fold": round(alone / len(records) * 1e6, 2),
            "fold_and_changes": round(written / len(records) * 1e6, 2),
            "top": _top(topic, business, records, top),
        }
    return {"every": EVERY, "folds": found}


def _top(topic: str, business: Business, records: list[Record], top: int) -> list[dict[str, Any]]:
    profile = cProfile.Profile()
    fold = EntityPartition(topic, 0, business)
    profile.enable()
    fold_all(fold, records, EVERY)
    profile.disable()
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    ranked = sorted(stats.items(), key=lambda item: -item[1][2])[:top]
    return [
        {"function": _name(*where), "calls": calls, "share": round(own / total, 3)} for where, (_, calls, own, _, _) in ranked
    ]


def _name(file: str, line: int, function: str) -> str:
    if file.startswith(str(ROOT)):
        return f"{Path(file).relative_to(ROOT)}:{function}"
    # Addresses would differ from run to run.
    return re.sub(r" at 0x[0-9a-f]+", "", function) if file == "~" else f"{Path(file).name}:{function}"


def main() -> int:
    """Print what ``profiles`` finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=120_000)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--company", action="store_true", help="a simulated company's events, not the dearest mix")
    arguments = parser.parse_args()
    found = profiles(arguments.events, arguments.top, company_records if arguments.company else records_of)
    folds = found["folds"]
    for topic, fold in folds.items():
        print(f"\n{topic}: {fold['events']} events; CPU µs per event: ", end="")
        print(f"orjson {fold['orjson']}, fold {fold['fold']}, fold and changes() every {EVERY} {fold['fold_and_changes']}")
        for line in fold["top"]:
            print(f"  {line['share']:6.1%} {line['calls']:9d} {line['function']}")
    events = sum(fold["events"] for fold in folds.values())
    means = {name: sum(f["events"] * f[name] for f in folds.values()) / events for name in ("orjson", "fold", "fold_and_changes")}
    print("\nthe whole mix, CPU µs per event: " + ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
