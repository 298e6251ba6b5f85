"""How long does an erasure take, with so many events in the ledger? ``python -m bench.erasing 40000`` (187,000 events).

``--people 10000``: so many leads are erased in one pass, too.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from models.calendar import DAY_MS
from models.privacy.subject import Subject
from tests.stream.ledger.test_erasing import JANE, NOW, erase, erase_all, instance, of_jane, others, take
from vigie import held

T = TypeVar("T")


async def timed(name: str, work: Awaitable[T]) -> T:
    """Say how long it took."""
    cpu, wall = time.process_time(), time.monotonic()
    found = await work
    print(f"{name}: {time.process_time() - cpu:.1f} s of CPU, {time.monotonic() - wall:.1f} s")
    return found


async def main(entities: int, people: int) -> None:
    """Fill a ledger, and erase one lead and one deal from it; then many leads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vigie.db"
        async with instance(path) as found:
            await take(found, others(NOW - DAY_MS, entities))
            await take(found, of_jane(NOW - DAY_MS))
            print(f"{entities * 14 // 3 + 18:,} events, {path.stat().st_size / 1e6:.0f} MB")
            lead = Subject("lead", JANE[0])
            told = await timed("export", asyncio.to_thread(held.of_ledger, path, found.options, lead))
            print(f"  {len(told['held'])} records and rows")
            await timed("erase a lead", erase(found, lead))
            await timed("erase a deal", erase(found, Subject("deal", "deal-4400-q")))
            if people:
                many = [Subject("lead", f"lead-{number}-y") for number in range(people)]
                certificates = await timed(f"erase {people:,} leads", erase_all(found, many))
                assert {one.outcome for one in certificates} == {"erased"}
            assert found.privacy is not None
            await timed("the last byte alone", asyncio.to_thread(found.privacy.clean))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entities", type=int, nargs="?", default=40_000)
    parser.add_argument("--people", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(main(given.entities, given.people))
