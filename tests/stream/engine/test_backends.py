"""What the engine promises on every backend: the embedded broker, and a ledger of this machine (Kafka: ``test_kafka.py``)."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from models.fold import Changes, Output
from stream.engine.embedded import EmbeddedBroker
from stream.engine.errors import FoldFailed
from stream.engine.options import EAGER, FoldSpec
from stream.ledger.store import Ledger
from tests.stream.engine.counting import Adder, adder, latest
from tests.stream.engine.running import Site

Make: TypeAlias = Callable[..., Site]


@pytest.fixture(params=["embedded", "ledger"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """How a site with some folds is made."""
    if request.param == "ledger":
        ledger = Ledger(tmp_path / "vigie.db")
        yield lambda specs, **options: Site(str(ledger.path), specs, ledger=ledger, **options)
        ledger.close()
    else:
        with EmbeddedBroker() as broker:
            yield lambda specs, **options: Site(broker.bootstrap, specs, embedded=broker, **options)


def folds(engine: Any, name: str = "add", partitions: int = 2) -> list[Any]:
    return [engine.driver.fold_of(name, partition) for partition in range(partitions)]


async def test_folds_and_restores_on_every_backend(make: Make) -> None:
    site = make([adder()])
    site.publish(1000)
    async with site.running() as engine:
        await engine.driver.settled(site.ends)
        assert site.folded(engine) == site.sums
        assert engine.status()["state"] == "running"
    assert engine.status()["state"] == "stopped"
    site.publish(500)
    async with site.running() as engine:
        assert sum(fold.was_live for fold in folds(engine)) == 2
        await engine.driver.settled(site.ends)
        assert site.folded(engine) == site.sums
        assert sum(len(fold.offsets) for fold in folds(engine)) == 500, "what was folded before came as rows"


async def test_a_replayed_fold_follows_what_another_writes(make: Make) -> None:
    site = make([adder(), latest()], lane_intervals={"light": EAGER})
    site.publish(200)
    async with site.running() as engine:
        await engine.driver.settled(site.ends, cascade=True)
        [fold] = folds(engine, "latest", 1)
        assert {key: int(value) for key, value in fold.values.items()} == site.sums
    async with site.running() as engine:
        [fold] = folds(engine, "latest", 1)
        assert fold.records_before_live > 0
        assert {key: int(value) for key, value in fold.values.items()} == site.sums


async def test_who_keeps_up_hears_all_that_is_said_of_a_key_of_a_compacted_topic(make: Make) -> None:
    """A finding that is over and its removal are written at once: whoever waits for the finding must see both."""

    class Teller(Adder):
        def changes(self) -> Changes:
            found = super().changes()
            return Changes(found.rows, [*found.outputs, *(Output("sums", output.key, None) for output in found.outputs)])

    heard: list[bytes | None] = []

    class Listener(Adder):
        def fold(self, records: Any) -> None:
            heard.extend(record.value for record in records)

    site = make([FoldSpec(name="tell", topics=("numbers",), make=Teller), FoldSpec(name="hear", topics=("sums",), make=Listener)])
    async with site.running() as engine:
        site.publish(1)
        await engine.driver.settled(site.ends, cascade=True)
    assert heard == [b"1", None]


async def test_the_state_is_pinned_before_the_first_record(make: Make) -> None:
    site = make([adder()])
    async with site.running() as engine:
        await engine.driver.checkpoint("state")
        assert engine.driver.positions() == {("add", "numbers", 0): (0, 0), ("add", "numbers", 1): (0, 0)}


async def test_a_fold_that_raises_ends_the_run_with_its_name(make: Make) -> None:
    class Broken(Adder):
        def fold(self, records: Any) -> None:
            raise ZeroDivisionError("a defect")

    site = make([FoldSpec(name="broken", topics=("numbers",), make=Broken)])
    async with site.running() as engine:
        site.publish(1)
        with pytest.raises(FoldFailed, match=r"broken at numbers/\d from offset 0"):
            async with asyncio.timeout(120):
                await engine.run_until_stopped()


async def test_a_barrier_is_quick(make: Make) -> None:
    site = make([adder()], checkpoint_interval=10.0)
    async with site.running() as engine:
        times = []
        for _ in range(10):
            site.publish(20)
            began = time.perf_counter()
            await engine.driver.settled(site.ends)
            times.append(time.perf_counter() - began)
        assert min(times) < 5, times  # not the interval's ten seconds


async def test_two_folds_in_two_lanes_read_one_topic_from_where_each_of_them_is(make: Make) -> None:
    site = make([adder(), adder("other", lane="slow")], lane_intervals={"slow": 60.0})
    site.publish(300)
    async with site.running() as engine:
        await engine.driver.settled(site.ends)
        site.publish(50)
        await engine.driver.checkpoint("state")
    site.publish(100)
    async with site.running() as engine:
        await engine.driver.settled(site.ends)
        assert site.folded(engine) == site.sums
        assert site.folded(engine, name="other") == site.sums
