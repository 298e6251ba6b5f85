"""How long does a worker take to have 1,000,000 open deals back, and how much memory does each cost?

The changelog is filled with rows that the fold of deals has made itself: some thousands of deals with a creation and two or three
further facts each, copied under other ids. Then a fresh worker restores them through the engine's own Store.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from typing import Any

import confluent_kafka
import orjson

from agents.fold_deals import fold_deals
from bench.whole_job import Mix
from models.business import Business
from models.calendar import iso
from models.fold import Record
from models.folds.partition import EntityPartition
from stream.engine.app import build_app
from stream.engine.backend import POSITION
from stream.engine.options import EngineOptions, SilentObserver
from stream.engine.topics import create, partition_for
from tests.kafka_broker import ROOT

PARTITIONS = 8
TEMPLATES = 2_000
MARK = "TTTTTTTT"  # where a copy's own number goes: in the ids of the deal's events
MEAN_DAYS = 90


def options(brokers: str, **more: Any) -> EngineOptions:
    """The engine of this measurement."""
    return EngineOptions(brokers=brokers, application="restore", topic_prefix="restore.", partitions=PARTITIONS, **more)


def templates() -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Rows of deals with 3 or 4 facts, made by the fold; and the fold's other rows."""
    now = time.time_ns() // 1_000_000
    fold = EntityPartition("deals", 0, Business())
    mix = Mix(TEMPLATES * 9, now)
    records: list[Record] = []
    for number in range(TEMPLATES):
        created = now - (number * 7919 % (MEAN_DAYS * 86_400)) * 1000
        deal = f"D{number:07d}"
        for fact in range(3 + number % 2):
            kind, data = fact_of(mix, number, fact)
            event = {
                "specversion": "1.0",
                "id": f"{MARK}-{number}-{fact}",
                "source": "/bench",
                "type": kind,
                "time": iso(created + fact * 1000),
                "subject": deal,
                "data": data,
            }
            records.append(Record("deals", 0, len(records), now, deal.encode(), orjson.dumps(event), ()))
    fold.fold(records)
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    if any(fold.outcomes[name] for name in fold.outcomes if name[2] != "applied"):
        raise RuntimeError(f"restoring: found {dict(fold.outcomes)}; accepted: all applied")
    return [value for key, value in rows if key[:1] == b"E"], [row for row in rows if row[0][:1] != b"E"]


def fact_of(mix: Mix, number: int, fact: int) -> tuple[str, dict[str, Any]]:
    """One of a deal's first facts: its creation, then changes of stage and amount."""
    mix.deals[number] = fact
    kind, _, data = mix.deal_event(number)
    return kind, data


def fill(brokers: str, deals: int) -> dict[str, Any]:
    """Fill the changelog; return how large the rows are."""
    opts = options(brokers)
    spec = fold_deals(Business(), PARTITIONS)
    create(opts, [spec])
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": brokers,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 512_000,
        }
    )
    changelog = opts.changelog(spec.name)
    rows, others = templates()
    mark = MARK.encode()
    size = 0

    def put(key: bytes, value: bytes, partition: int) -> None:
        while True:
            try:
                producer.produce(changelog, value, key, partition)
                return
            except BufferError:
                producer.poll(0.1)

    for number in range(deals):
        deal = b"D%07d" % number
        value = rows[number % len(rows)].replace(mark, b"%08x" % number)
        size += len(value)
        put(b"E" + deal, value, partition_for(deal, PARTITIONS))
        if number % 2000 == 0:
            producer.poll(0)
    for partition in range(PARTITIONS):
        for key, value in others:
            # The panes of the templates, once: they are a company's, not a deal's.
            if partition == 0 or key == b"!":
                put(key, value, partition)
        put(POSITION + b"deals", b"0", partition)
    if producer.flush(120):
        raise RuntimeError("restoring: the broker has not taken all rows within 120 s")
    return {"row_bytes": round(size / deals), "pane_rows": len(others) - 1}


def rss() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Restored(SilentObserver):
    """Remembers what the engine says."""

    seconds = 0.0
    rows = 0

    def restored(self, seconds: float, rows: int, partitions: int) -> None:
        """State is back."""
        self.seconds, self.rows = seconds, rows


async def restore(brokers: str) -> dict[str, Any]:
    """One restore in this process."""
    seen = Restored()
    engine = build_app(options(brokers, observer=seen), [fold_deals(Business(), PARTITIONS)])
    gc.collect()
    before = rss()
    began = time.perf_counter()
    await engine.start()
    await engine.ready(120)
    ready = time.perf_counter() - began
    gc.collect()
    after = rss()
    deals = sum(len(engine.driver.fold_of("fold-deals", partition).entities) for partition in range(PARTITIONS))
    await engine.stop()
    return {
        "deals": deals,
        "seconds": round(seen.seconds, 2),
        "ready_seconds": round(ready, 2),
        "rows": seen.rows,
        "bytes_per_deal": round((after - before) / deals),
    }


def measure(brokers: str) -> dict[str, Any]:
    """One restore in a process of its own."""
    command = [sys.executable, "-m", "bench.restoring", "--brokers", brokers]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode:
        raise RuntimeError(f"restoring: {result.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """Fill the changelog, or restore from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--fill", type=int, default=0)
    arguments = parser.parse_args()
    found = fill(arguments.brokers, arguments.fill) if arguments.fill else asyncio.run(restore(arguments.brokers))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
