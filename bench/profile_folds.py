"""Where does the time of a fold go? Events per second and cProfile of ``EntityPartition.fold``, one fold after the other.

No broker: the records are in memory, in one partition per fold, given in chunks as the engine gives them.
"""

import argparse
import cProfile
import io
import pstats
import sys
import time

import orjson

from bench.whole_job import TOPICS, Mix
from models.business import Business
from models.fold import Record
from models.partition import EntityPartition

CHUNK = 500


def records_of(count: int) -> dict[str, list[Record]]:
    """The mix, by topic, as the broker would give it."""
    now = time.time_ns() // 1_000_000
    found: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    for topic, key, value in Mix(count, now - count):
        found[topic].append(Record(topic, 0, len(found[topic]), now, key, value, ()))
    return found


def fold_all(fold: EntityPartition, records: list[Record], changes: int = 0) -> float:
    """Seconds to fold; ``changes`` > 0: with what a checkpoint takes after every so many records."""
    due = changes
    began = time.perf_counter()
    for index in range(0, len(records), CHUNK):
        fold.fold(records[index : index + CHUNK])
        if changes:
            due -= CHUNK
            if due <= 0:
                fold.changes()
                due = changes
    return time.perf_counter() - began


def main() -> int:
    """Print rates, then profiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--changes", type=int, default=2_000, help="records between two checkpoints, for the second figure")
    arguments = parser.parse_args()
    by_topic = records_of(arguments.events)
    total = decode = both = 0.0
    business = Business()
    for topic, records in by_topic.items():
        began = time.perf_counter()
        for record in records:
            orjson.loads(record.value or b"")
        loads = time.perf_counter() - began
        # The lowest of three: what other work on the machine adds is not the fold's.
        alone = min(fold_all(EntityPartition(topic, 0, business), records) for _ in range(3))
        rolled = min(fold_all(EntityPartition(topic, 0, business), records, arguments.changes) for _ in range(3))
        total, decode, both = total + alone, decode + loads, both + rolled
        count = len(records)
        checked = EntityPartition(topic, 0, business)
        fold_all(checked, records)
        checked.changes()
        print(
            f"{topic:11s} {count:8d} events; µs per event: orjson {loads / count * 1e6:5.2f}, fold {alone / count * 1e6:6.2f}, "
            f"fold and changes() every {arguments.changes} {rolled / count * 1e6:6.2f}; {dict(checked.outcomes)}"
        )
    events = arguments.events
    print(
        f"all         {events:8d} events; µs per event: orjson {decode / events * 1e6:5.2f}, fold {total / events * 1e6:6.2f}, "
        f"fold and changes() {both / events * 1e6:6.2f}; {events / total:,.0f} ev/s; orjson / fold {decode / total:.3f}"
    )
    for topic, records in by_topic.items():
        profile = cProfile.Profile()
        fold = EntityPartition(topic, 0, business)
        profile.enable()
        fold_all(fold, records)
        profile.disable()
        out = io.StringIO()
        pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(arguments.top)
        print(f"\n== {topic}: fold\n{out.getvalue()}")
    for topic in ("deals", "engagement"):
        profile = cProfile.Profile()
        fold = EntityPartition(topic, 0, business)
        profile.enable()
        fold_all(fold, by_topic[topic], arguments.changes)
        profile.disable()
        out = io.StringIO()
        pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(arguments.top)
        print(f"\n== {topic}: fold and changes() every {arguments.changes} records\n{out.getvalue()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
