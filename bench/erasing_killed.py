"""Is an erasure whole however it ends? ``python -m bench.erasing_killed`` kills one ten times, on a ledger and on a Kafka.

Each time at another moment: on a ledger, where SQLite does most of it, after so many seconds; on a Kafka at one of the steps that
it takes, which are counted first on a twin: seven before its commit, three after it. Then it is run to its end, nothing of the
person may be left on the disk, and every reading must be what it was, also after all has been folded anew from the log.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from models.calendar import DAY_MS
from models.privacy.subject import Subject
from stream.engine.erasing import AskedBy
from stream.engine.kafka_erasing import KafkaPrivacy
from stream.engine.options import EngineOptions
from stream.ledger.erasing import LedgerPrivacy
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from tests.integration.test_erasing_on_kafka import Office
from tests.integration.test_erasing_on_kafka import take as take_on_kafka
from tests.kafka_broker import KafkaBroker
from tests.stream.ledger.test_erasing import (
    HASH,
    JANE,
    NAMES,
    NOW,
    folded_anew,
    instance,
    nowhere,
    of_jane,
    others,
    readings,
    take,
)

LEAD = Subject("lead", JANE[0])
#: What erases on a Kafka: each call of a function in here is a step.
STEPS = tuple(f"stream/engine/{name}.py" for name in ("kafka_erasing", "rewriting", "erasing", "topic_settings", "log_dirs"))


def on_ledger(path: str) -> None:
    """Erase from a ledger that nobody uses."""
    ledger = Ledger(Path(path))
    backend = OnLedger(ledger)
    options = EngineOptions(brokers=path, partitions=4, backend=backend)
    backend.create(options, ())
    LedgerPrivacy(ledger, options).erase([LEAD], AskedBy("bench"))
    ledger.close()


class Steps:
    """Counts the steps of a process, before its commit and from the cutting on; at one of them the process kills itself."""

    def __init__(self, part: int = 0, at: int = 0) -> None:
        self.counts, self._part, self._at, self._now = [0, 0], part, at, 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Called by Python for each call."""
        code = frame.f_code
        if event != "call" or not code.co_filename.endswith(STEPS):
            return
        self._now |= code.co_name == "_cut"
        self.counts[self._now] += 1
        if self._now == self._part and self.counts[self._now] == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def on_kafka(brokers: str, prefix: str, part: int = 0, at: int = 0, told: Any = None) -> None:
    """Erase from a Kafka without workers, up to a step (0: to the end)."""
    privacy = KafkaPrivacy(EngineOptions(brokers=brokers, topic_prefix=prefix, partitions=2))
    steps = Steps(part, at)
    sys.setprofile(steps)
    privacy.erase([LEAD], AskedBy("bench"))
    sys.setprofile(None)
    if told is not None:
        told.put(steps.counts)


def run(work: Callable[..., None], *arguments: Any, seconds: float | None = None) -> bool:
    """Run it in a process of its own, which is killed after so many seconds; return whether it was killed."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def to_the_end(work: Callable[..., None], *arguments: Any, killed: int) -> None:
    """Run it, at last."""
    began = time.monotonic()
    assert not run(work, *arguments)
    print(f"killed {killed} times; then done in {time.monotonic() - began:.1f} s")


def killed_on_ledger(path: str, times: int, seconds: float) -> None:
    """Kill it so often, each time a little later, and let it end at last."""
    draw = random.Random(11)
    count = sum(run(on_ledger, path, seconds=seconds * (number + draw.random()) / times) for number in range(times))
    to_the_end(on_ledger, path, killed=count)


def killed_on_kafka(brokers: str, times: int) -> None:
    """Kill it at so many steps of those that a twin of it takes, and let it end at last."""
    told = multiprocessing.get_context("spawn").SimpleQueue()
    assert not run(on_kafka, brokers, "twin.", 0, 0, told)
    before, after = told.get()
    print(f"{before:,} steps before the commit, {after:,} after it")
    draw, early = random.Random(11), times * 7 // 10
    # What it does last, once there is nothing left to finish, is done once.
    drawn = [(0, at) for at in sorted(draw.sample(range(1, before), early))]
    drawn += [(1, at) for at in sorted(draw.sample(range(1, after // 2), times - early))]
    for part, at in drawn:
        assert run(on_kafka, brokers, "killed.", part, at), (part, at)
    to_the_end(on_kafka, brokers, "killed.", killed=len(drawn))


async def ledger(times: int, seconds: float) -> None:
    """On one machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vigie.db"
        async with instance(path) as found:
            await take(found, others(NOW - DAY_MS, 3_000))
            await take(found, of_jane(NOW - DAY_MS))
            before = readings(found)
        await asyncio.to_thread(killed_on_ledger, str(path), times, seconds)
        nowhere(Path(folder), *JANE, *NAMES, HASH)
        async with instance(path) as found:
            assert readings(found) == before
        assert await folded_anew(path) == before
    print("ledger: nothing is left, all readings are equal, after a restart and folded anew")


async def kafka(times: int) -> None:
    """On a Kafka."""
    with KafkaBroker() as broker:
        for prefix in ("twin.", "killed."):
            office = Office(broker, prefix)
            async with office.instance() as found:
                await take_on_kafka(found, others(NOW - DAY_MS, 100))
                await take_on_kafka(found, of_jane(NOW - DAY_MS))
                before = readings(found)
        await asyncio.to_thread(killed_on_kafka, broker.bootstrap, times)
        assert office.holding(*JANE, *NAMES, HASH) == []
        async with office.instance() as found:
            assert readings(found) == before
        async with office.instance(application="anew") as found:
            assert readings(found) == before
    print("Kafka: nothing is left, all readings are equal, after a restart and folded anew")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument(
        "--ledger", type=float, default=6.0, help="seconds that an erasure takes there, with its start; 0: not there"
    )
    given = parser.parse_args()
    if given.ledger:
        asyncio.run(ledger(given.times, given.ledger))
    asyncio.run(kafka(given.times))
