"""The tables in a real PostgreSQL: what is here is there, whatever was in between, and once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import orjson
import pytest
from pydantic import SecretStr

from agents import mirror_tables
from agents.mirror_tables import MirrorTables, Periodic
from models.feeds.mirror import Mirror
from models.fold import Record
from models.folds.entity_snapshots import DealState, LeadState, encode
from models.owners import Owners
from stream.config.postgres_settings import PostgresSettings
from stream.config.settings import SettingsError, load
from stream.web.feeds.sources import FeedDesk
from tests.postgres_server import Postgres
from tests.stream.demo import NOW, company
from tests.stream.web.feeds.house import Folds, application_with_feeds, clientele
from tests.tools import eventually
from vigie.mirrored import periodic

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    found = Postgres()
    found.start()
    yield found
    found.remove()


class Holder:
    """Holds the folds as the engine does."""

    def __init__(self) -> None:
        self.folds: dict[tuple[str, int], Mirror] = {}

    def fold_of(self, name: str, partition: int) -> Any:
        return self.folds.get((name, partition))

    def partitions_of(self, name: str) -> int:
        return 1


class Sink:
    """The writer as a worker runs it, with its folds, over one schema."""

    def __init__(self, server: Postgres, namespace: str, rows: Periodic | None = None) -> None:
        self.settings = PostgresSettings(url=SecretStr(server.url), namespace=namespace)
        self.now = NOW
        self.tables = MirrorTables(self.settings, "EUR", Owners(), clock=lambda: self.now)
        self.holder, self.rows = Holder(), rows
        self.specs = {spec.name: spec for spec in self.tables.specs()}
        for name, owned in self.tables.owned.items():
            owned.bind(self.holder)
            self.holder.folds[name, 0] = self.specs[name].make(0)  # type: ignore[assignment]

    def say(self, topic: str, key: str, body: bytes | None, at: int = NOW) -> None:
        fold = next(fold for (name, _), fold in self.holder.folds.items() if topic in fold.tables)
        fold.fold([Record(topic, 0, 0, at, key.encode(), body, ())])

    def live(self) -> None:
        for fold in self.holder.folds.values():
            fold.live()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.tables.run(self.rows))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def settled(self) -> None:
        def done() -> bool:
            return not self.tables.waiting and all(fold.first is None for fold in self.holder.folds.values())

        await eventually(done, 60)


async def ask(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(server.url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def deal(id: str, status: Any = "open", amount: int | None = 10_000, **more: Any) -> bytes:
    return encode(DealState(id, status, NOW, amount=amount, **more))


async def test_what_is_here_is_there_and_what_has_gone_is_not(server: Postgres) -> None:
    sink = Sink(server, "a")
    sink.say("deal-states", "D'1", deal("D'1", amount=12_345_678, name="Acme", expected_close="2026-02-01"))
    sink.say("deal-states", "D2", deal("D2", "won"))
    sink.say("deal-states", "D3", b"damaged")
    sink.say("lead-states", "L\u00001", encode(LeadState("L\u00001", "open", NOW, score=0.5)))
    sink.say("alert-states", "i1", orjson.dumps({"id": "i1", "rule": "r", "state": "firing", "since": "2026-11-19T12:00:00Z"}))
    sink.live()
    async with sink.running():
        await sink.settled()
        found = await ask(
            server, "select id, status, amount::text, expected_close::text, changed at time zone 'utc' from a.deals order by id"
        )
        assert [row[:4] for row in found] == [("D'1", "open", "1234.5678", "2026-02-01"), ("D2", "won", "1.0000", None)]
        assert found[0][4].isoformat() == "2026-11-19T14:00:30"
        assert await ask(server, "select id, score from a.leads") == [("L1", 0.5)]
        assert await ask(server, "select rule, dimension from a.alerts") == [("r", "total")]
        sink.say("deal-states", "D2", None, NOW + 1)
        sink.say("alert-states", "i1", None, NOW + 1)
        sink.say("deal-states", "D'1", deal("D'1", "lost"), NOW + 1)
        await sink.settled()
        assert await ask(server, "select id, status from a.deals") == [("D'1", "lost")]
        assert await ask(server, "select * from a.alerts") == []
    columns = {row[0] for row in await ask(server, "select column_name from information_schema.columns where table_schema = 'a'")}
    assert "name" not in columns, "names of people go nowhere else"
    (said,) = await ask(server, "select obj_description('a.deals'::regclass)")
    assert said[0].startswith("Deals as they are now")


async def test_writing_it_again_touches_no_row(server: Postgres) -> None:
    versions = []
    for later in (0, 1000):
        sink = Sink(server, "b")
        sink.say("deal-states", "D1", deal("D1"), NOW + later)
        sink.say("deal-states", "D2", deal("D2"), NOW + later)
        sink.live()
        async with sink.running():
            await sink.settled()
        versions.append(await ask(server, "select id, xmin::text, ctid::text from b.deals order by id"))
    assert versions[0] == versions[1] and len(versions[0]) == 2


async def test_a_start_makes_it_whole_whatever_it_has_missed(server: Postgres) -> None:
    sink = Sink(server, "c")
    for name in ("D1", "D2", "D3"):
        sink.say("deal-states", name, deal(name))
    sink.live()
    async with sink.running():
        await sink.settled()
    again = Sink(server, "c")  # D1 has gone, of which no record is left; D2 has another amount
    again.say("deal-states", "D2", deal("D2", amount=20_000), NOW + 5)
    again.say("deal-states", "D3", deal("D3"), NOW + 5)
    again.live()
    again.say("deal-states", "D4", deal("D4"), NOW + 6)  # comes before anything could be written
    async with again.running():
        await again.settled()
    assert await ask(server, "select id, amount::int from c.deals order by id") == [("D2", 2), ("D3", 1), ("D4", 1)]


async def test_a_worker_that_had_it_before_writes_nothing_over(server: Postgres) -> None:
    for at, status in ((NOW + 10, "won"), (NOW, "open")):
        sink = Sink(server, "d")
        sink.say("deal-states", "D1", deal("D1", status), at)
        sink.live()
        async with sink.running():
            await sink.settled()
    assert await ask(server, "select status from d.deals") == [("won",)]


async def test_down_for_a_while_it_catches_up_once(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_tables, "_PAUSES", (0.05,))
    monkeypatch.setattr(mirror_tables, "_LOOK", 0.05)
    sink = Sink(server, "e")
    sink.say("deal-states", "D0", deal("D0"))
    sink.live()
    async with sink.running():
        await sink.settled()
        await asyncio.to_thread(server.stop)
        try:
            for number in range(3_000):
                sink.say("deal-states", f"D{number % 1_500}", deal(f"D{number % 1_500}", amount=number * 10_000), NOW + number)
            await eventually(lambda: sink.tables.warnings(), 60)
            sink.now += 3_600_000
            (told,) = sink.tables.warnings()
            assert "for 60 min" in told and "1500 changes wait" in told
        finally:
            await asyncio.to_thread(server.start)
        await sink.settled()
        await eventually(lambda: not sink.tables.warnings(), 60)
    assert await ask(server, "select count(*), count(distinct id), sum(amount)::bigint from e.deals") == [
        (1_500, 1_500, sum(range(1_500, 3_000)))
    ]


async def test_a_row_that_the_database_refuses_holds_up_no_other(server: Postgres) -> None:
    sink = Sink(server, "f")
    for name in ("D1", "D2", "D3"):
        sink.say("deal-states", name, deal(name, stage_since=10**18 if name == "D2" else NOW))
    sink.live()
    async with sink.running():
        await sink.settled()
    assert await ask(server, "select id from f.deals order by id") == [("D1",), ("D3",)]


async def test_readings_and_customers_are_there_by_the_day(server: Postgres) -> None:
    app = application_with_feeds()
    settings = PostgresSettings(url=SecretStr(server.url), namespace="g", history=10 * 86_400_000, dimensions=("source",))
    sink = Sink(server, "g", periodic(FeedDesk(app.state.vigie, Folds(company()), clientele()), settings))
    sink.live()

    async def written() -> int:
        try:
            return int((await ask(server, "select count(*) from g.customers"))[0][0])
        except asyncpg.PostgresError:
            return 0

    async with sink.running():
        async with asyncio.timeout(120):
            while await written() < 30:  # noqa: ASYNC110 - another process has it
                await asyncio.sleep(0.2)
    days = await ask(server, "select count(distinct at), count(distinct kpi), min(dimension), max(dimension) from g.readings")
    assert days[0][0] == 10 and days[0][1] > 100 and days[0][2:] == ("source", "total")
    assert len(await ask(server, "select id from g.catalogue")) > 100
    told = await ask(
        server, "select sum(numerator) / sum(denominator) from g.readings where kpi = 'win_rate' and dimension = 'total'"
    )
    assert told[0][0] is not None and 0 < told[0][0] < 1


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("mysql://x/y", "postgresql://host", "host:5432"):
        with pytest.raises(SettingsError, match=r"postgres.*postgresql://user:password@host:5432/database"):
            load(environ={"VIGIE_POSTGRES__URL": url})
    assert "secret" not in repr(load(environ={"VIGIE_POSTGRES__URL": "postgresql://u:secret@h/d"}))
