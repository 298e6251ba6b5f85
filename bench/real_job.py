"""The real folds under chaos: simulated sales with duplicates, disorder, late events, reopenings, merges and bad records."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from agents.worker import entity_folds
from models.business import Business
from models.calendar import Grain
from models.fold import Record
from models.folds.partition import TOPICS as FOLDS
from models.folds.partition import EntityPartition
from models.simulator import Mischief, World
from stream.engine.address import NoTopic, address
from stream.engine.app import Engine
from stream.engine.options import FoldSpec
from stream.engine.topic_list import TOPICS as TOPICS

PARTITIONS = 8
BUSINESS = Business(timezone="Europe/Paris")


def specs() -> list[FoldSpec]:
    """The entity folds."""
    return entity_folds(BUSINESS, PARTITIONS)


def stream_of(count: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Events as (topic, key, value); what belongs to no topic is left out."""
    world = World(seed, datetime(2025, 1, 1, tzinfo=UTC), 400, scale=3.0)
    trouble = Mischief(
        seed=seed,
        duplicates=0.1,
        disorder=1,
        late=0.05,
        reopen=0.2,
        merge=0.1,
        bad=0.01,
        bad_kinds=("broken_json", "amount_huge"),
    )

    def addressed() -> Iterator[tuple[str, bytes, bytes]]:
        for event in trouble.apply(islice(world.events(), count)):
            value = event if isinstance(event, bytes) else orjson.dumps(event)
            try:
                topic, key = address(value)
            except NoTopic:
                continue
            yield topic, key, value

    return islice(addressed(), count)


def truth(stream: Iterable[tuple[str, bytes, bytes]]) -> object:
    """What the totals must be: every fold in one partition, in one go, without an engine."""
    now = time.time_ns() // 1_000_000
    by_fold: dict[str, list[Record]] = {fold: [] for fold in FOLDS}
    fold_of = {topic: fold for fold, topics in FOLDS.items() for topic in topics}
    for offset, (topic, key, value) in enumerate(stream):
        by_fold[fold_of[topic]].append(Record(topic, 0, offset, now, key, value, ()))
    partitions = []
    for fold, records in by_fold.items():
        partition = EntityPartition(fold, 0, BUSINESS)
        while records:
            partition.fold(records)
            # Merged entities hand their facts over; here the survivor is in the same partition.
            merges = [o for o in partition.changes().outputs if o.topic.endswith("-merges")]
            records = [Record(o.topic, 0, 0, now, o.key, o.value, ()) for o in merges]
        partitions.append(partition)
    return _totals(partitions)


def totals(engine: Engine) -> object:
    """What the engine's folds have, over all partitions."""
    driver = engine.driver
    found = (driver.fold_of(f"fold-{fold}", partition) for fold in FOLDS for partition in range(engine.options.partitions))
    return _totals([partition for partition in found if partition is not None])


def _totals(partitions: list[EntityPartition]) -> dict[str, Any]:
    """All days' and stocks' sums of every segment as one digest, and the totals in plain sight."""
    sums: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    for partition in partitions:
        partition.panes.roll(partition.watermark)
        for grain, pane, segment, measure, number in partition.panes.cells((Grain.DAY, Grain.ALL)):
            for key, count in number.items() if isinstance(number, dict) else (("", number),):
                sums[f"{partition.fold_name}:{grain}:{pane}:{segment}:{measure}:{key}"] += count
                if segment == "total" and grain is Grain.DAY:
                    plain[measure] += count
    kept = sorted((name, number) for name, number in sums.items() if number)
    body = json.dumps(kept)
    return {"cells": len(kept), "digest": hashlib.sha256(body.encode()).hexdigest(), **dict(sorted(plain.items()))}
