"""Is an erasure whole however it ends? ``python -m bench.erasing_killed`` kills one ten times, on a ledger and on a Kafka.

Each time at another moment of what it takes; then it is run to its end, nothing of the person may be left on the disk, and every
reading must be what it was.
"""

import argparse
import asyncio
import multiprocessing
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
from tests.stream.ledger.test_erasing import HASH, JANE, NAMES, NOW, instance, nowhere, of_jane, others, readings, take

LEAD = Subject("lead", JANE[0])


def on_ledger(path: str) -> None:
    """Erase from a ledger that nobody uses."""
    ledger = Ledger(Path(path))
    backend = OnLedger(ledger)
    options = EngineOptions(brokers=path, partitions=4, backend=backend)
    backend.create(options, ())
    LedgerPrivacy(ledger, options).erase([LEAD], AskedBy("bench"))
    ledger.close()


def on_kafka(brokers: str, prefix: str) -> None:
    """Erase from a Kafka without workers."""
    KafkaPrivacy(EngineOptions(brokers=brokers, topic_prefix=prefix, partitions=2)).erase([LEAD], AskedBy("bench"))


def killed(work: Callable[..., None], arguments: tuple[str, ...], times: int, seconds: float) -> None:
    """Kill it so often, each time a little later, and let it end at last."""
    spawn = multiprocessing.get_context("spawn")
    draw, count = random.Random(11), 0
    for number in range(times):
        process = spawn.Process(target=work, args=arguments)
        process.start()
        process.join(seconds * (number + draw.random()) / times)
        process.kill()
        process.join()
        count += process.exitcode == -signal.SIGKILL
    began = time.monotonic()
    process = spawn.Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode
    print(f"killed {count} times within {seconds:.0f} s; done in {time.monotonic() - began:.1f} s")


async def ledger(times: int, seconds: float) -> None:
    """On one machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vigie.db"
        async with instance(path) as found:
            await take(found, others(NOW - DAY_MS, 3_000))
            await take(found, of_jane(NOW - DAY_MS))
            before = readings(found)
        await asyncio.to_thread(killed, on_ledger, (str(path),), times, seconds)
        nowhere(Path(folder), *JANE, *NAMES, HASH)
        async with instance(path) as found:
            assert readings(found) == before
    print("ledger: nothing is left, all readings are equal")


async def kafka(times: int, seconds: float) -> None:
    """On a Kafka."""
    with KafkaBroker() as broker:
        office = Office(broker, "killed.")
        async with office.instance() as found:
            await take_on_kafka(found, others(NOW - DAY_MS, 300))
            await take_on_kafka(found, of_jane(NOW - DAY_MS))
            before = readings(found)
        await asyncio.to_thread(killed, on_kafka, (broker.bootstrap, "killed."), times, seconds)
        assert office.holding(*JANE, *NAMES, HASH) == []
        async with office.instance() as found:
            assert readings(found) == before
    print("Kafka: nothing is left, all readings are equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--ledger", type=float, default=6.0, help="seconds that an erasure takes there, with its start")
    parser.add_argument("--kafka", type=float, default=25.0)
    given = parser.parse_args()
    if given.ledger:
        asyncio.run(ledger(given.times, given.ledger))
    asyncio.run(kafka(given.times, given.kafka))
