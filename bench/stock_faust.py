"""What do the same jobs cost on Faust as it comes: ``take(1000)``, Tables with the memory store, at least once?

The small job is written as its users would: one agent, batches, each touched key of the tables written once a batch. The
whole job uses our own folds in the agents' batches, which is more than a user would have: only the engine differs.
"""

import asyncio
import contextlib
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import orjson
from confluent_kafka.admin import AdminClient, NewTopic

from bench.engine_small import cpu
from bench.small_fold import MEASURES
from stream.engine.options import EngineOptions
from stream.engine.topic_list import TOPICS
from stream.engine.topics import create

BATCH = 1_000
WITHIN = 0.25
#: Seconds without a batch after which no more are expected: a rebalance drops what `take` has buffered.
SILENCE = 10.0
PARTITIONS = 8
#: Seconds between two writes of the whole job: twenty times ours, which would leave it no time for events.
EVERY = 5.0
Write = Callable[[int], Awaitable[None]]


class Clock:
    """Begins with the first batch, ends when all events are dealt with."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.seen = self.first = 0
        self.began = self.used = 0.0
        self.last = self.last_used = 0.0
        self.ready = asyncio.Event()
        self.done = asyncio.Event()

    def took(self, count: int) -> None:
        """A batch has been dealt with."""
        if not self.seen:
            self.first, self.began, self.used = count, time.perf_counter(), cpu()
        self.seen += count
        self.last, self.last_used = time.perf_counter(), cpu()
        if self.seen >= self.expected:
            self.done.set()

    async def wait(self) -> bool:
        """Wait until all events are dealt with; False where no more come, though some have not been seen."""
        while not self.done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.done.wait()
            if self.seen and time.perf_counter() - self.last > SILENCE:
                return self.done.is_set()
        return True

    def result(self) -> dict[str, float]:
        """The figures up to now; where events were lost, up to the last one that came."""
        lost = self.expected - self.seen
        wall, used = (self.last, self.last_used) if lost > 0 else (time.perf_counter(), cpu())
        return {"wall": wall - self.began, "cpu": used - self.used, "events": self.seen - self.first, "lost": lost}


def build(brokers: str) -> Any:
    """A Faust app with the settings that a careful user gives it."""
    return faust.App(
        f"faust-{uuid.uuid4().hex[:6]}",
        broker=f"kafka://{brokers}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="vigie-bench-"),
        autodiscover=False,
        web_enabled=False,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_linger=0.005,
        producer_max_batch_size=1_000_000,
        broker_max_poll_records=5_000,
    )


def small(app: Any, prefix: str, clock: Clock) -> list[Write]:
    """Panes of 12 measures for 4 dimensions, and each deal's state."""
    topic = app.topic(f"{prefix}small", key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    # The batch has no single source partition, so the changelog's is chosen by the key.
    panes = app.Table("panes", partitions=PARTITIONS, use_partitioner=True)
    deals = app.Table("deals", partitions=PARTITIONS, use_partitioner=True)

    @app.agent(topic)  # type: ignore[untyped-decorator,unused-ignore]
    async def fold(stream: Any) -> None:
        async for batch in stream.take(BATCH, within=WITHIN):
            await clock.ready.wait()
            sums: dict[str, list[int]] = {}
            states: dict[str, list[Any]] = {}
            for value in batch:
                event = orjson.loads(value)
                minute = event["ts"] // 60_000
                vectors = []
                for name in ("a", "c" + event["channel"], "r" + event["region"], "o" + event["owner"]):
                    key = f"{minute}|{name}"
                    vector = sums.get(key)
                    if vector is None:
                        vector = sums[key] = list(panes.get(key) or [0] * MEASURES)
                    vectors.append(vector)
                kind = event["type"]
                if kind == "deal":
                    deal, amount, stage = event["deal_id"], event["amount"], event["stage"]
                    old = states.get(deal) or deals.get(deal)
                    was = old[1] if old is not None and old[0] not in ("won", "lost") else 0
                    moved = 1 if old is not None and old[0] != stage else 0
                    opened = (amount if stage not in ("won", "lost") else 0) - was
                    states[deal] = [stage, amount]
                    won = 1 if stage == "won" else 0
                    lost = 1 if stage == "lost" else 0
                    for v in vectors:
                        v[0] += 1
                        v[1] += amount
                        v[2] += won
                        v[3] += amount if won else 0
                        v[4] += lost
                        v[5] += opened
                        v[6] += moved
                elif kind == "lead":
                    converted = 1 if event["status"] == "converted" else 0
                    score = event["score"]
                    for v in vectors:
                        v[7] += 1
                        v[8] += converted
                        v[9] += score
                else:
                    duration = event["duration_s"]
                    for v in vectors:
                        v[10] += 1
                        v[11] += duration
            for key, vector in sums.items():
                panes[key] = vector
            for deal, state in states.items():
                deals[deal] = state
            clock.took(len(batch))

    return []


def whole(app: Any, prefix: str, clock: Clock) -> list[Write]:
    """Our folds, each in an agent of its own: rows into a Table, outputs to their topics. Return what writes the rest."""
    from agents.evaluate_alerts import Evaluator
    from agents.roll_kpis import Roller
    from agents.worker import entity_folds
    from models.business import Business
    from models.fold import Record
    from stream.config.kpi_files import load_catalogue
    from stream.engine.options import wall_clock
    from vigie.rule_files import load_rules

    business = Business()
    catalogue = load_catalogue([])
    evaluator = Evaluator(load_rules(catalogue, []))
    roller = Roller(business, catalogue, evaluator.wanted, clock=wall_clock)
    specs = [*entity_folds(business, PARTITIONS), roller.spec(), evaluator.spec()]

    def raw(*names: str) -> Any:
        return app.topic(
            *(prefix + name for name in names),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )

    sinks = {topic.name: raw(topic.name) for topic in TOPICS}

    def add(spec: Any) -> None:
        entity = spec.name.startswith("fold-")
        table = None
        if not spec.replayed:
            table = app.Table(spec.name, partitions=PARTITIONS, use_partitioner=True, key_type=bytes, value_type=bytes)
        folds: dict[int, Any] = {}
        touched: dict[int, Any] = {}
        due = [time.monotonic() + EVERY]

        async def write(now: int) -> None:
            """Not after each batch: a message costs Faust some 0.2 ms, and there are thousands of panes."""
            for partition, fold in touched.items():
                fold.tick(now)
                changes = fold.changes()
                if table is not None:
                    # Each partition has rows of the same names.
                    mark = b"%d:" % partition
                    for key, value in changes.rows:
                        if key[:1] == b"P":  # the compacted topic has them already
                            continue
                        if value is not None:
                            table[mark + key] = value
                        else:
                            table.pop(mark + key, None)
                for output in changes.outputs:
                    await sinks[output.topic].send(key=output.key, value=output.value)
            touched.clear()

        async def agent(stream: Any) -> None:
            async for events in stream.take_events(BATCH, within=WITHIN):
                await clock.ready.wait()
                now = wall_clock()
                records: dict[int, list[Record]] = {}
                for event in events:
                    message = event.message
                    records.setdefault(message.partition, []).append(
                        Record(
                            message.topic.removeprefix(prefix),
                            message.partition,
                            message.offset,
                            int(message.timestamp * 1000),
                            message.key,
                            message.value,
                            (),
                        )
                    )
                for partition, found in records.items():
                    fold = folds.get(partition)
                    if fold is None:
                        fold = folds[partition] = spec.make(partition)
                        if hasattr(fold, "live"):
                            fold.live()
                    fold.fold(found)
                    touched[partition] = fold
                if time.monotonic() >= due[0]:
                    due[0] = time.monotonic() + EVERY
                    await write(now)
                if entity:
                    clock.took(len(events))

        app.agent(raw(*spec.topics), name=spec.name)(agent)
        writes.append(write)

    writes: list[Write] = []
    for spec in specs:
        add(spec)
    return writes


async def run(brokers: str, job: str, ends: dict[tuple[str, int], int], prefix: str) -> dict[str, float]:
    """Fold all events; return when the last one's table writes are on the broker."""
    logging.getLogger("faust").setLevel(logging.CRITICAL)  # each first assignment restarts the agents, loudly
    os.environ.setdefault("FAUST_DATADIR", tempfile.gettempdir())
    clock = Clock(sum(ends.values()))
    app = build(brokers)
    writes = (small if job == "small" else whole)(app, prefix, clock)
    # Topics made in flight would begin a rebalance in the middle of the run.
    if job == "whole":
        create(EngineOptions(brokers=brokers, partitions=PARTITIONS, topic_prefix=prefix))
    changelogs = [table.changelog_topic.get_topic_name() for table in app.tables.values()]
    news = [NewTopic(name, PARTITIONS, 1, config={"cleanup.policy": "compact"}) for name in changelogs]
    admin = AdminClient({"bootstrap.servers": brokers})  # kept: its futures end with it
    for created in admin.create_topics(news).values():
        created.result()
    await app.start()
    # A table write in a batch has no source partition; the partitioner raises until it has the changelog's metadata.
    for name in changelogs:
        await app.producer._producer.partitions_for(name)
    clock.ready.set()
    if not await clock.wait():
        return clock.result()
    for write in writes:
        await write(time.time_ns() // 1_000_000)
    while app.producer.buffer.size:  # noqa: ASYNC110 - its own flush() waits for ever where the buffer has just become empty
        await asyncio.sleep(0.001)
    await app.producer._producer.flush()
    return clock.result()
