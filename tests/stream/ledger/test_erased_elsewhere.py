"""Is somebody who was erased gone from what is kept beside the ledger: Redis with its files, /metrics; and by itself, in time?"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from models.calendar import DAY_MS
from models.privacy.finder import parts_of
from models.privacy.requests import TOPIC, ErasureRequest
from models.privacy.subject import Subject
from stream.config.settings import load
from stream.engine.options import wall_clock
from stream.engine.publisher import Publisher
from stream.ingest.event_ids import InMemory
from stream.ledger.erasing import LedgerCells
from stream.ledger.log_reader import LedgerError
from stream.ledger.schema import reader
from stream.ledger.store import Ledger
from stream.readings.cache import Snapshots
from tests.redis_server import Redis
from tests.stream.ledger.test_erasing import (
    HASH,
    JANE,
    NAMES,
    NOW,
    event,
    forms,
    instance,
    nowhere,
    of_jane,
    others,
    readings,
    take,
    wrong,
)
from tests.stream.ledger.test_minimised import SECRET, webhook
from tests.tools import eventually, free_port
from vigie import held
from vigie.instance import Instance
from vigie.privacy_api import Caches, carry_out
from vigie.running import kept_in
from vigie.up import start_web

TOKEN = "ann-s-token-of-20-chars"
SELLER = "Ottoline Harkaway"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """One that writes to its disk all it can, plainly."""
    folder = tmp_path / "redis"
    folder.mkdir()
    found = Redis(folder, "--save", "3600", "1", "--appendonly", "yes", "--rdbcompression", "no")
    found.start()
    yield found
    found.stop()


async def in_redis(server: Redis, folder: Path) -> bytes:
    """All keys and values of a Redis, and all bytes of its files."""

    def read() -> list[bytes]:
        with redis.Redis.from_url(server.url, socket_timeout=120, socket_connect_timeout=120) as client:
            keys = list(client.scan_iter())
            return [*keys, *(value or b"" for value in (client.mget(keys) if keys else []))]

    return b"\0".join([*await asyncio.to_thread(read), *map(content, files(folder))])


def content(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # it has just been written anew
        return path.read_bytes()
    return b""


def files(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / "redis").rglob("*")) if path.is_file()]


@contextlib.asynccontextmanager
async def office(tmp_path: Path, server: Redis) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """An instance with its page, and a browser of an operator's. Time goes on: what is remembered is written anew in time."""
    began = wall_clock()
    (tmp_path / "data").mkdir()
    settings = load(
        environ={"VIGIE_MODELS__LIVE": "false"}, kafka__brokers="embedded", kafka__partitions=2, data_dir=str(tmp_path / "data"),
        redis__url=server.url, web__port=free_port(), web__operators=[{"name": "ann", "token": TOKEN}],
        sources={"crm": {"adapter": "standard", "secrets": ["whsec_" + base64.b64encode(SECRET).decode()]}},
    )  # fmt: skip

    def clock() -> int:
        return NOW + wall_clock() - began

    async with (
        kept_in(settings, Ledger(tmp_path / "data" / "vigie.db", durable=False), clock=clock, delivering=False) as found,
        contextlib.AsyncExitStack() as stack,
    ):
        url = await start_web(found, stack)
        await found.start()
        await found.engine.ready()
        async with httpx.AsyncClient(base_url=url, timeout=60, headers={"authorization": f"Bearer {TOKEN}"}) as client:
            yield found, client


@pytest.mark.redis
async def test_redis_its_files_and_metrics_know_nobody_any_more_and_late_events_leave_nothing_there(
    tmp_path: Path, server: Redis
) -> None:
    async with office(tmp_path, server) as (found, client):

        async def sent(*events: dict[str, Any]) -> None:
            for one in events:
                asked = webhook(one, wall_clock())
                answer = await client.post("/webhooks/crm", content=asked.body, headers=dict(asked.headers))
                assert answer.status_code == 200, answer.text

        await take(found, others(NOW - DAY_MS, 10))
        # Ids of events with that of the person in them, by a door that remembers ids.
        mine = [one for one in of_jane(NOW - DAY_MS) if one["type"].startswith("lead.")]
        deal = {"amount": "70", "currency": "EUR", "owner": SELLER, "stage": "qualified"}
        await sent(*mine, event("deal.created", "deal-90-o", NOW - DAY_MS, 1, **deal))
        await eventually(lambda: SELLER in str(readings(found)))

        async def there(text: str) -> bool:
            return text.encode() in await in_redis(server, tmp_path)

        async def shown() -> str:
            return (await client.get("/metrics")).text

        async with asyncio.timeout(300):
            while not (await there(SELLER) and f'"{SELLER}"' in await shown()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        for kind, id in (("lead", JANE[1]), ("owner", SELLER)):
            answer = await client.post("/api/privacy/erase", json={"kind": kind, "id": id})
            assert (answer.status_code, answer.json()["outcome"]) == (200, "erased"), answer.text
        await found.engine.ready()
        await sent(*mine)  # all of it comes once more
        gone = {form for text in (*JANE[:3], *NAMES, HASH, SELLER) for form in forms(text)}

        async def left() -> list[bytes]:
            everything = await in_redis(server, tmp_path) + (await shown()).encode()
            return [form for form in gone if form in everything]

        async with asyncio.timeout(300):
            while await left():  # noqa: ASYNC110 - Redis writes its files anew in the background
                await asyncio.sleep(0.1)
        assert {path.suffix for path in files(tmp_path)} >= {".rdb", ".aof"}
        nowhere(tmp_path / "data", *JANE[:3], *NAMES, HASH, SELLER)


def cells_with(path: Path, found: Instance, *texts: str) -> set[tuple[str, int, int | None, str]]:
    """Return each record and row in whose bytes any of these is, of dead letters in what was sent."""
    there = set()
    with closing(reader(path)) as file:
        for cell in LedgerCells(found.options).scan(file)([text.encode() for text in texts]):
            everything = b"\0".join([*parts_of(cell), cell.key, cell.value or b""])
            if any(text.encode() in everything for text in texts):
                there.add((cell.where, cell.partition, cell.offset, cell.key.decode()))
    return there


async def test_every_record_and_row_with_anything_of_somebody_is_in_their_export(tmp_path: Path) -> None:
    path = tmp_path / "vigie.db"
    async with instance(path) as found:
        await take(found, others(NOW - DAY_MS, 5))
        await take(found, of_jane(NOW - DAY_MS))
        await take(found, wrong())
        told = held.of_ledger(path, found.options, Subject("lead", JANE[1]))
        given = {(one["where"], one["partition"], one["offset"], one["key"]) for one in told["held"]}
        there = cells_with(path, found, *JANE, *NAMES, HASH)
    assert len(there) > 50 and there <= given
    assert {where for where, *_ in there} >= {"leads", "engagement", "fold-leads", "dead-letters", "highlights", "lead-states"}


async def test_whom_a_crm_wants_erased_is_erased_by_itself_and_again_where_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, of_jane(NOW - DAY_MS))
        before, privacy = readings(found), found.privacy
        assert privacy is not None
        with Publisher(found.options) as publisher:
            for lead in (JANE[0], JANE[2], "nobody-1"):
                publisher.send(TOPIC, b"drawn", ErasureRequest("lead", lead, "hubspot", "").encode())
            assert not await publisher.flushed(30)
        asks = type(privacy).requests
        failed: list[int] = []

        def requests(self: Any) -> list[ErasureRequest]:
            if not failed:
                failed.append(1)
                raise LedgerError("the disk is full")
            return asks(self)

        monkeypatch.setattr(type(privacy), "requests", requests)
        caches = Caches(InMemory(), Snapshots("memory://"))
        task = asyncio.create_task(carry_out(found, caches, every=0.02))
        try:
            await eventually(lambda: len(privacy.certificates()) == 2 and all(one.gone for one in privacy.certificates()))
            await found.engine.ready()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert "could not be erased now: the disk is full" in caplog.text
        assert sorted((one.outcome, one.by, one.why) for one in privacy.certificates()) == [
            ("erased", "vigie", "asked for by: hubspot"),
            ("nothing held", "vigie", "asked for by: hubspot"),
        ], "two ids of one person are one erasure, and all who wait go in one pass"
        assert privacy.requests() == [] and readings(found) == before
        nowhere(tmp_path, *JANE, *NAMES, HASH, "nobody-1")
