"""The view and the readings in the engine, on the embedded broker and on a ledger."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from agents.roll_kpis import NAME, Roller
from agents.worker import entity_folds
from models.business import Business
from models.calendar import DAY_MS, iso
from models.kpis.catalogue import NotInCatalogue
from models.kpis.reading import Reading
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from stream.engine.app import Engine
from stream.engine.embedded import EmbeddedBroker
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import declared, partition_for
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
PARTITIONS = 4
PATIENCE = 120.0

Start = Callable[[list[FoldSpec]], Awaitable[EngineOptions]]


@pytest.fixture(params=["embedded", "ledger"])
async def start(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Start]:
    running: list[Engine] = []
    with EmbeddedBroker() as broker, closing(Ledger(tmp_path / "vigie.db")) as ledger:
        backend = OnLedger(ledger) if request.param == "ledger" else None

        async def begin(specs: list[FoldSpec]) -> EngineOptions:
            options = EngineOptions(
                brokers=broker.bootstrap,
                partitions=PARTITIONS,
                embedded=True,
                backend=backend,
                checkpoint_interval=0.05,
                tick_interval=0.1,
                clock=lambda: NOW,
            )
            if backend is None:
                broker.create(declared(options, specs))
            engine = Engine(options, specs)
            running.append(engine)
            await engine.start(patience=PATIENCE)
            return options

        yield begin
        for engine in running:
            await engine.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is waited for knows nothing of us
            await asyncio.sleep(0.01)


def produce(options: EngineOptions, records: list[tuple[str, int, str, bytes]]) -> None:
    producer = backend_of(options).producer(options, {})
    for topic, partition, key, value in records:
        producer.produce(topic, value, key.encode(), partition, lambda error, message: None)
    assert producer.flush(PATIENCE) == 0


async def first_reading(options: EngineOptions, accept: Callable[[Reading], bool]) -> Reading:
    """Return the first committed reading that is accepted."""
    with closing(backend_of(options).log(options, "readings")) as log:
        async with asyncio.timeout(PATIENCE):
            while True:
                for _, value in await asyncio.to_thread(lambda: log.block(*log.bounds()) if log.bounds()[1] else []):
                    reading = Reading.decode(value or b"")
                    if accept(reading):
                        return reading
                await asyncio.sleep(0.05)


async def test_panes_become_a_view_and_readings(start: Start) -> None:
    roller = Roller(Business(), load_catalogue(), [("sales", "24h", None)], clock=lambda: NOW)
    hour = roller.view.calendar.hour(NOW) - 1
    assert not roller.view.live
    options = await start([roller.spec()])
    await until(lambda: roller.view.live)
    produce(options, [("panes", 0, f"deals:{p}:h:{hour}:total", b'{"deals_won":%d}' % (p + 1)) for p in range(3)])
    produce(options, [("panes", 0, "nonsense", b"{}")])
    reading = await first_reading(options, lambda r: r.value == 6)
    assert (reading.key, reading.at) == ("sales|24h|total", NOW)
    await until(lambda: roller.refused == 1)
    assert roller.view.total("deals", "total", Window.parse("24h"), NOW).numbers == {"deals_won": 6}


async def test_from_an_event_to_a_reading(start: Start) -> None:
    business = Business()
    roller = Roller(business, load_catalogue(), [("win_rate", "7d", "source")], clock=lambda: NOW)
    options = await start([*entity_folds(business, PARTITIONS), roller.spec()])
    records = []
    for number, kind in enumerate(("won", "won", "won", "lost")):
        event = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/test",
            "type": f"deal.{kind}",
            "time": iso(NOW - DAY_MS),
            "subject": f"d{number}",
            "data": {"source": "web", "amount": "10"},
        }
        records.append(("deals", partition_for(f"d{number}".encode(), PARTITIONS), f"d{number}", orjson.dumps(event)))
    produce(options, records + records[:2])  # two of them twice
    reading = await first_reading(options, lambda r: r.denominator == 4)
    assert (reading.value, reading.numerator, dict(reading.segment)) == (0.75, 3, {"source": "web"})
    assert roller.view.segments("source") == ["web"]


def test_a_rule_about_a_kpi_there_is_not_stops_the_start() -> None:
    with pytest.raises(NotInCatalogue, match="win_rat"):
        Roller(Business(), load_catalogue(), [("win_rat", "7d", None)])


def test_the_names_on_the_wire() -> None:
    spec = Roller(Business(), load_catalogue()).spec()
    assert (NAME, spec.name, spec.topics, spec.replayed) == ("roll-kpis", "roll-kpis", ("panes", "objectives"), True)
