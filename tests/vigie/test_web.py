"""``vigie web`` on a real Kafka, next to what workers have written."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import confluent_kafka
import httpx
import orjson
import pytest
from typer.testing import CliRunner

from alert_rules.tell.alert_states import AlertStates
from models.calendar import epoch_ms
from models.fold import Record
from stream.config.settings import Settings, load
from stream.engine.topics import create
from stream.readings.cache import CachePublisher as CachePublisher
from stream.readings.cache import Snapshots
from tests.kafka_broker import KafkaBroker
from tests.kafka_records import records
from tests.redis_server import Redis
from tests.stream.demo import NOW, Company, company
from tests.stream.web.web import board
from tests.tools import free_port
from vigie.__main__ import app
from vigie.lanes import engine_options
from vigie.web import web


def settings_for(kafka: KafkaBroker, prefix: str, **more: Any) -> Settings:
    return load(
        environ={},
        kafka__brokers=kafka.bootstrap,
        kafka__topic_prefix=prefix,
        kafka__partitions=1,
        web__port=free_port(),
        instance="w1",
        business__timezone="Europe/Paris",
        **more,
    )


def write(kafka: KafkaBroker, prefix: str, acme: Company, alert: dict) -> None:
    """Write what a worker's folds would: the panes of the company, in transactions, and an alert."""
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{prefix}test"})
    producer.init_transactions()
    producer.begin_transaction()
    for (fold, grain, segment), series in acme.view._series.items():
        for slot, body in series.parts.items():
            key = f"{fold}:{slot & 1023}:{grain}:{slot >> 10}:{segment}"
            producer.produce(f"{prefix}panes", body, key.encode())
            producer.poll(0)
    states = AlertStates()
    states.fold([Record("alerts", 0, 0, 0, b"i1", orjson.dumps(alert), ())])
    for output in states.changes().outputs:
        producer.produce(prefix + output.topic, output.value, output.key)
    producer.commit_transaction()
    producer.begin_transaction()
    producer.produce(f"{prefix}panes", b'{"sessions":1000000}', b"engagement:3:a:0:total")
    producer.flush()
    producer.abort_transaction()


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    task = asyncio.create_task(web(settings))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.web.port}", timeout=60) as client:
        try:
            async with asyncio.timeout(120):
                while True:
                    if task.done():
                        task.result()
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/healthz")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            yield client
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def ready(client: httpx.AsyncClient, seconds: float = 60) -> httpx.Response:
    async with asyncio.timeout(seconds):
        while (answer := await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.kafka
async def test_it_shows_what_the_workers_have_written(kafka: KafkaBroker, prefix: str):
    settings = settings_for(kafka, prefix)
    await asyncio.to_thread(create, engine_options(settings, kafka.bootstrap), replication=1)
    alert = {
        "type": "transition",
        "incident": "i1",
        "rule": "win-rate-drop",
        "severity": "critical",
        "segment": {},
        "state": {"before": "pending", "after": "firing"},
        "since": "2026-11-19T12:00:00Z",
        "message": {"title": "Win rate", "text": "Win rate is 14 %"},
    }
    await asyncio.to_thread(write, kafka, prefix, company(), alert)
    async with running(settings) as client:
        answer = await ready(client)
        assert answer.json()["view"] == "live"
        # Of a day of the demonstration's: what today's 90 days hold depends on the day on which this runs.
        found = (await client.get("/api/kpis?window=90d&at=2026-11-18")).json()
        at = found[0]["at"]
        assert all(reading["at"] == at for reading in found)
        sales = next(r for r in found if r["kpi"] == "sales")
        expected = board().source.read(epoch_ms(datetime.fromisoformat(at)), "90d", None)
        assert sales["value"] == next(r for r in expected if r["kpi"] == "sales")["value"] > 0
        (shown,) = (await client.get("/api/alerts")).json()
        assert (shown["id"], shown["state"], shown["summary"]) == ("i1", "firing", "Win rate is 14 %")
        metrics = (await client.get("/metrics")).text
        # The worker that holds them exports them: together they would count twice in every sum.
        assert "vigie_build_info{" in metrics
        assert not any(name in metrics for name in ("vigie_kpi_", "vigie_alerts", "vigie_model_"))


@pytest.mark.redis
async def test_without_a_broker_it_answers_from_the_snapshot_and_says_why(tmp_path):
    server = Redis(tmp_path)
    server.start()
    try:
        await answers_from_the_snapshot(server.url)
    finally:
        server.stop()


async def answers_from_the_snapshot(redis: str) -> None:
    settings = load(
        environ={},
        application="lonely",
        kafka__brokers=f"127.0.0.1:{free_port()}",
        web__port=free_port(),
        business__timezone="Europe/Paris",
        redis__url=redis,
    )
    writer = Snapshots(redis, "lonely", lambda: NOW)
    async with asyncio.timeout(120):
        while not await CachePublisher(writer, board()).publish():  # noqa: ASYNC110 - Redis is starting
            await asyncio.sleep(0.02)
    async with running(settings) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"]
        async with asyncio.timeout(120):
            while (readings := await client.get("/api/kpis?window=30d")).status_code != 200:
                assert readings.headers["retry-after"]
                await asyncio.sleep(0.05)
        assert readings.headers["vigie-source"] == "cache"
        assert readings.json() == board().source.read(NOW, "30d", None)
        async with asyncio.timeout(120):
            while "no broker answers" not in (await client.get("/readyz")).text:  # noqa: ASYNC110 - another task
                await asyncio.sleep(0.1)
    await writer.close()


def test_the_embedded_broker_is_refused_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["web"])
    assert result.exit_code == 1
    assert "vigie up" in result.stderr


@pytest.mark.kafka
async def test_it_takes_what_pages_send(kafka: KafkaBroker, prefix: str):
    site = {"key": "shop-4f7a2c91", "origins": ["https://www.example.com"]}
    settings = settings_for(kafka, prefix, collect={"sites": {"shop": site}})
    await asyncio.to_thread(create, engine_options(settings, kafka.bootstrap), replication=1)
    call = {"id": "event-01", "type": "cta_clicked", "at": 1_000, "visitor": "visitor-1", "cta": "hero"}
    headers = {"origin": "https://www.example.com", "user-agent": "Mozilla/5.0", "content-type": "text/plain"}
    async with running(settings) as client:
        assert "sendBeacon" in (await client.get("/vigie.js")).text
        body = orjson.dumps({"sent": 3_000, "events": [call]})
        answers = [await client.post("/collect?site=shop-4f7a2c91", content=body, headers=headers) for _ in range(3)]
        assert [(answer.status_code, answer.json()["accepted"]) for answer in answers] == [(202, 1)] * 3
        page = (await client.get("/metrics")).text
        assert 'vigie_collect_total{outcome="duplicate",site="shop"} 2.0' in page
    (message,) = await asyncio.to_thread(list, records(kafka.bootstrap, f"{prefix}engagement"))
    assert message.key() == b"visitor-1"
    assert orjson.loads(message.value() or b"")["id"] == "collect:shop:event-01"
