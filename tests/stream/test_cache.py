import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stream.config.settings import load
from stream.readings.board import Board, Unavailable, ViewSource
from stream.readings.cache import TTL, CachedSource, CachePublisher, Fallback, Snapshots
from stream.readings.in_memory import Memory
from tests.redis_server import Redis
from tests.stream.demo import NOW, company, fresh
from tests.stream.web.web import application, board, client
from tests.tools import eventually, free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    found = Redis(tmp_path)
    yield found
    found.stop()


async def up(snapshots: Snapshots) -> None:
    async with asyncio.timeout(120):
        while not await snapshots.ping():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def snapshots_at(url: str, name: str = "vigie") -> AsyncIterator[Snapshots]:
    found = Snapshots(url, name, lambda: NOW)
    yield found
    await found.close()


def written(found: Board) -> dict[str, list]:
    return {window: found.source.read(NOW, window, None) for window in ("24h", "7d", "30d", "month")}


@pytest.mark.redis
async def test_what_one_process_writes_another_reads(server):
    server.start()
    async with snapshots_at(server.url) as writer, snapshots_at(server.url) as reader:
        await up(writer)
        assert await reader.read() is None
        assert await CachePublisher(writer, board(), dimensions=["source"]).publish()
        snapshot = await reader.read()
        assert snapshot is not None
        cached = CachedSource(board().source, snapshot)
        for window in ("24h", "7d", "30d", "month"):
            assert cached.read(0, window, None) == board().source.read(NOW, window, None)
        assert cached.read(0, "7d", "source") == board().source.read(NOW, "7d", "source")
        assert 0 < await writer._client.ttl("vigie:snapshot:totals") <= TTL
        assert writer.state == {"state": "up", "where": f"127.0.0.1:{server.port}"}


@pytest.mark.redis
async def test_redis_away_is_said_once_and_recovers_by_itself(server, caplog):
    async with snapshots_at(server.url) as snapshots:
        publisher = CachePublisher(snapshots, board())
        for _ in range(3):
            assert not await publisher.publish()
        assert snapshots.state["state"] == "away"
        assert snapshots.state["where"] == f"127.0.0.1:{server.port}"
        assert [r.levelname for r in caplog.records if "is away" in r.message] == ["WARNING"]
        server.start()
        await up(snapshots)
        assert await publisher.publish()
        assert snapshots.state["state"] == "up"
        assert "is back" in caplog.text
        server.stop()
        assert await snapshots.read() is None
        assert snapshots.state["state"] == "away"


async def test_a_password_is_never_said(caplog):
    async with snapshots_at(f"redis://user:hunter2@127.0.0.1:{free_port()}/0") as snapshots:
        assert await snapshots.read() is None
        assert "hunter2" not in caplog.text + str(snapshots.state)
        assert "is away" in caplog.text


async def test_a_server_that_hangs_does_not_hold_anybody_up():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with snapshots_at(f"redis://127.0.0.1:{port}/0") as snapshots:
            async with asyncio.timeout(120):
                assert await snapshots.read() is None
            assert snapshots.state["state"] == "away"


async def test_in_memory():
    async with snapshots_at("memory://", "in-memory") as snapshots:
        assert await CachePublisher(snapshots, board()).publish()
        snapshot = await snapshots.read()
        assert snapshot is not None
        assert snapshot.at == NOW
        assert snapshot.get("7d", None) == board().source.read(NOW, "7d", None)
        with pytest.raises(Unavailable):
            snapshot.get("7d", "owner")  # not the same as a dimension without values


async def test_what_the_snapshot_does_not_hold_is_refused_with_who_has_it():
    acme = fresh(8)
    acme.view.live = False
    async with snapshots_at("memory://", "beyond") as snapshots:
        snapshots._writer = "w-17"
        assert await CachePublisher(snapshots, board(), dimensions=["source", "owner"], segment_limit=4).publish()
        snapshot = await snapshots.read()
        assert snapshot is not None
        cached = Board(CachedSource(board().source, snapshot), acme.business.calendar, lambda: NOW)
        async with client(application(board(acme), cached=lambda: cached)) as web:
            whole = await web.get("/api/kpis?kpi=revenue&window=24h,7d,30d,month")
            for query in ("window=90d", "window=7d,90d", "window=7d&by=owner", "kpi=revenue&window=7d&by=team"):
                answer = await web.get(f"/api/kpis?{query}")
                assert answer.status_code == 503, query
                assert "worker 'w-17' held the view at" in answer.json()["error"]
            trend = await web.get("/api/trend?window=7d")
    assert len(whole.json()) == 4
    assert trend.status_code == 503


async def test_another_versions_snapshot_is_none():
    async with snapshots_at("memory://", "other-version") as snapshots:
        for body in (b'{"format":99,"at":1,"slices":{"7d|":[]}}', b"\xff", b"[]", b'{"format":1}'):
            await snapshots._client.set("other-version:snapshot:totals", body, ex=60)
            assert await snapshots.read() is None


async def test_half_a_sum_is_never_written():
    acme = fresh()
    acme.view.live = False
    async with snapshots_at("memory://", "half") as snapshots:
        assert await CachePublisher(snapshots, board(acme)).publish()
        assert await snapshots.read() is None


async def test_a_web_process_that_is_loading_answers_from_the_snapshot():
    acme = fresh(8)
    async with snapshots_at("memory://", "fallback") as snapshots:
        assert await CachePublisher(snapshots, board(), dimensions=["source"]).publish()
        acme.view.live = False
        loading = board(acme)
        fallback = Fallback(snapshots, loading.source, lambda source: Board(source, acme.business.calendar, lambda: NOW))
        task = asyncio.create_task(fallback.run(lambda: not loading.source.complete, period=0.01))
        await eventually(fallback.board)
        app = application(loading, {"state": "restoring"}, cached=fallback.board, cache_state=lambda: snapshots.state)
        async with client(app) as web:
            answer = await web.get("/api/kpis?kpi=revenue&window=30d")
            assert answer.headers["vigie-source"] == "cache"
            (expected,) = (r for r in company_source().read(NOW, "30d", None) if r["kpi"] == "revenue")
            assert answer.json() == [expected]
            ready = await web.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["cache"]["state"] == "up"
            acme.view.live = True
            assert (await web.get("/api/kpis?kpi=revenue&window=30d")).headers["vigie-source"] == "view"
        await eventually(lambda: fallback.board() is None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def company_source() -> ViewSource:
    source = board(company()).source
    assert isinstance(source, ViewSource)
    return source


def test_both_kinds_of_process_use_one_name():
    settings = load(environ={}, application="acme", kafka__topic_prefix="eu.")
    assert Snapshots.of(settings)._key("totals") == "eu.acme:snapshot:totals"


async def test_what_is_kept_in_memory_is_let_go_of_in_time():
    memory = Memory()
    await memory.set("a", b"1", ex=600)
    await memory.set("b", b"2", ex=0)
    assert await memory.mget(["a", "b", "c"]) == [b"1", None, None]
    await memory.aclose()
    assert await memory.mget(["a"]) == [None]
