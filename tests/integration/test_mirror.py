"""The tables in a real PostgreSQL, of a whole Vigie: on its own file, and on a real Kafka; what it writes is what it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from models.calendar import iso
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker
from tests.postgres_server import Postgres

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    found = Postgres()
    found.start()
    yield found
    found.remove()


def ask(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    async def asked() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(server.url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()

    return asyncio.run(asked())


def deals(count: int) -> list[dict[str, Any]]:
    """So many deals, of which every third is won."""
    now = time.time_ns() // 1_000_000
    found = []
    for number in range(count):
        at = now - 86_400_000 - number * 1000
        found.append(
            event("deal.created", f"c{number}", f"D{number}", iso(at), amount=100.5 + number, currency="EUR", owner="ann")
        )
        if number % 3 == 0:
            found.append(event("deal.won", f"w{number}", f"D{number}", iso(at + 60_000), amount=200.25, currency="EUR"))
    return found


def write(worker: Worker, events: list[dict[str, Any]]) -> None:
    body = b"\n".join(map(orjson.dumps, events))
    answer = until(
        lambda: (
            sent
            if (sent := httpx.post(f"{worker.url}/api/events", content=body, headers=TOKEN, timeout=60)).status_code == 200
            else None
        )
    )
    assert answer.json()["acknowledged"] == len(events)


TOKEN = {"authorization": "Bearer ann-s-token-of-20-chars"}
OPERATOR = '[{"name": "ann", "token": "ann-s-token-of-20-chars"}]'


def mirrored(server: Postgres, worker: Worker, count: int, namespace: str) -> None:
    """Write events, look at the tables, take the database away, write again, and look at them again."""
    write(worker, deals(count))
    query = f"select status, count(*), sum(amount)::text from {namespace}.deals group by 1 order by 1"
    won = len(range(0, count, 3))
    expected = [
        ("open", count - won, f"{sum(100.5 + n for n in range(count) if n % 3):.4f}"),
        ("won", won, f"{won * 200.25:.4f}"),
    ]
    until(lambda: ask(server, query) == expected, 180, why=lambda: str(ask(server, query)))
    server.stop()
    try:
        now = iso(time.time_ns() // 1_000_000)
        write(worker, [event("deal.won", f"x{n}", f"D{n}", now, amount=1.5, currency="EUR") for n in range(1, count, 3)])
        until(lambda: any("PostgreSQL" in line for line in worker.readyz().get("degraded", ())), why=lambda: str(worker.readyz()))
        assert worker.readyz()["ready"], "nothing else waits for it"
    finally:
        server.start()
    more = len(range(1, count, 3))
    until(lambda: [row[:2] for row in ask(server, query)] == [("open", count - won - more), ("won", won + more)])
    assert ask(server, f"select count(*) - count(distinct id) from {namespace}.deals") == [(0,)]
    until(lambda: not any("PostgreSQL" in line for line in worker.readyz().get("degraded", ())))
    rows = httpx.get(f"{worker.url}/odata/v4/deals?$select=id,status,amount", headers=TOKEN, timeout=60).json()["value"]
    told = ask(server, f"select id, status, amount::float from {namespace}.deals")
    assert sorted(told) == sorted((row["id"], row["status"], row["amount"]) for row in rows)


def test_on_its_own_file(server: Postgres, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"POSTGRES__URL": server.url, "POSTGRES__NAMESPACE": "one", "WEB__OPERATORS": OPERATOR}
    with Worker(Installation("embedded", "", tmp_path, **settings), {}, "up") as up:
        mirrored(server, up.ready(), 60, "one")
        assert "Traceback" not in up.log, up.log
    with Worker(Installation("embedded", "", tmp_path, **settings), {}, "up") as up:  # all of it is written again
        before = ask(server, "select id, xmin::text from one.deals order by id")
        up.ready()
        time.sleep(2)
        assert ask(server, "select id, xmin::text from one.deals order by id") == before, "and no row is touched"


@pytest.mark.kafka
def test_on_a_real_kafka(kafka: KafkaBroker, prefix: str, server: Postgres, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"POSTGRES__URL": server.url, "POSTGRES__NAMESPACE": "two", "WEB__OPERATORS": OPERATOR}
    installation = Installation(kafka.bootstrap, prefix, tmp_path, **settings)
    installation.done("topics", "create")
    with installation.worker() as worker:
        mirrored(server, worker.ready(180), 60, "two")
        assert "Traceback" not in worker.log, worker.log
