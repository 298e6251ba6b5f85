"""Is the way of one event one trace, from the door to the message, and does it cost nothing where nobody asks for it?"""

import asyncio
import contextlib
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from pydantic import ValidationError

from agents.deliver_notifications import NAME, Deliverer
from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Sent
from models.fold import Changes, Output, Record
from stream.config.settings import SettingsError, load
from stream.config.tracing_settings import TracingSettings
from stream.engine.options import FoldSpec
from stream.engine.topic_list import TOPICS as ALL
from stream.ingest.event_ids import seen_of
from stream.ingest.intake import Intake, Outgoing
from stream.ledger.store import Ledger
from stream.logs import HEADER as REQUEST_ID
from stream.logs import JsonLines
from stream.metrics import Metrics
from stream.tracing import HEADER, UNTRACED, EventTraces, tracing_of
from tests.agents.doubles import ALERT
from tests.stream.engine.counting import TOPICS, Adder
from tests.stream.engine.running import Site
from tests.stream.web.web import application
from vigie.instance import Instance
from vigie.up import open_door

CARRIED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Alarm(Adder):
    """Alerts of each number."""

    def changes(self) -> Changes:
        found = super().changes()
        said = [
            Output("outbox", b"i", orjson.dumps(ALERT | {"id": f"t{i}", "incident": f"i{i}"})) for i, _ in enumerate(found.rows)
        ]
        return Changes(found.rows, said)


class Ops:
    """A receiver that keeps the log line of its message."""

    follows = False

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    async def send(self, delivery: Delivery) -> Outcome:
        record = logging.LogRecord("test", logging.INFO, "f", 1, "told", (), None)
        self.lines.append(json.loads(JsonLines().format(record)))
        return Sent()

    async def close(self) -> None:
        pass


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


def traces(spans: InMemorySpanExporter, sampler: Any = ALWAYS_ON) -> EventTraces:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return EventTraces(provider)


async def posted(site: Site, tracing: EventTraces) -> int:
    """Post to a door that writes one record, as :func:`vigie.up.open_door` puts it together."""
    intake = Intake(site.options, headers=tracing.headers)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await intake.put([Outgoing("numbers", b"k", b"7")])
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(tracing.door(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://vigie") as client:
        # What a stranger says of a trace is not taken.
        answer = await client.post("/webhooks/crm?secret=1", headers={HEADER: CARRIED.decode()})
    await intake.close()
    return answer.status_code


async def test_from_the_door_to_the_message_it_is_one_trace(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    tracing, ops = traces(spans), Ops()
    deliverer = Deliverer({"ops": ops}, tracing=tracing)
    alarm = FoldSpec(name="alarm", topics=("numbers",), make=Alarm)
    ledger = Ledger(tmp_path / "vigie.db")
    specs = [tracing.traced(spec) for spec in (alarm, deliverer.spec())]
    site = Site(str(ledger.path), specs, ledger=ledger, topics=(*TOPICS, *ALL))
    try:
        async with site.running() as engine:
            deliverer.owned.bind(engine)
            deliverer.wrote = lambda: engine.poke(NAME)
            assert isinstance(deliverer.owned(), DeliverNotifications), "it is what it was"
            assert await posted(site, tracing) == 202
            async with asyncio.timeout(120):
                while not ops.lines:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    finally:
        await asyncio.to_thread(ledger.close)
    found = {span.name: span for span in spans.get_finished_spans()}
    way = ["POST /webhooks/crm", "fold alarm", "say alarm", f"fold {NAME}", "tell ops"]
    assert set(way) <= set(found)
    for before, after in itertools.pairwise(way):
        parent = found[after].parent
        assert parent is not None and parent.span_id == found[before].context.span_id, f"{after} comes of {before}"
    assert found[way[0]].parent is None
    trace = f"{found[way[0]].context.trace_id:032x}"
    assert trace.encode() not in CARRIED and {span.context.trace_id for span in found.values()} == {int(trace, 16)}
    assert ops.lines[0]["trace_id"] == trace and ops.lines[0]["incident"] == "i0"
    about = dict(found["fold alarm"].attributes or {})
    assert (about["messaging.destination.name"], about["messaging.kafka.offset"]) == ("numbers", 0)
    assert "secret" not in str([dict(span.attributes or {}) for span in found.values()])


def record(offset: int, *headers: tuple[str, bytes]) -> Record:
    return Record("numbers", 0, offset, 0, b"k", b"1", headers)


def told(fold: Any) -> list[Sequence[tuple[str, bytes | None]]]:
    return [output.headers for output in fold.changes().outputs]


def test_what_is_not_followed_carries_nothing(spans: InMemorySpanExporter) -> None:
    fold = traces(spans).traced(FoldSpec(name="add", topics=("numbers",), make=Adder)).make(0)
    fold.fold([record(0), record(1, (HEADER, CARRIED[:-1] + b"0")), record(2, (HEADER, b"odd")), record(3, ("else", b"1"))])
    assert told(fold) == [()] and not spans.get_finished_spans()


def test_a_checkpoint_goes_on_under_the_latest_and_is_linked_to_the_others(spans: InMemorySpanExporter) -> None:
    fold = traces(spans).traced(FoldSpec(name="add", topics=("numbers",), make=Adder)).make(0)
    others = [CARRIED.replace(b"0af7", b"%04x" % number) for number in range(20)]
    fold.fold([record(number, (HEADER, carried)) for number, carried in enumerate(others)])
    (headers,) = told(fold)
    assert isinstance(fold, Adder) and fold.sums == {b"k": 20}
    (said,) = [span for span in spans.get_finished_spans() if span.name == "say add"]
    assert headers == ((HEADER, b"00-%032x-%016x-01" % (said.context.trace_id, said.context.span_id)),)
    assert b"%032x" % said.context.trace_id in others[-1] and len(said.links) == 7, "bounded"
    fold.fold([record(20)])
    assert told(fold) == [()], "what came later is of no trace"


async def test_what_is_not_sampled_is_written_as_ever(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    ledger = Ledger(tmp_path / "vigie.db")
    site = Site(str(ledger.path), [FoldSpec(name="add", topics=("numbers",), make=Adder)], ledger=ledger, partitions=1)
    try:
        assert await posted(site, traces(spans, ALWAYS_OFF)) == 202
        (written,) = ledger.read("numbers", 0, 0, 10, name="numbers").records
        assert not written.headers and not spans.get_finished_spans()
    finally:
        await asyncio.to_thread(ledger.close)


def test_every_fold_can_be_followed(spans: InMemorySpanExporter) -> None:
    tracing = traces(spans)
    for spec in Instance(load(environ={}, kafka__brokers="127.0.0.1:1"), "127.0.0.1:1").engine.specs:
        fold = tracing.traced(spec).make(0)
        assert isinstance(fold, type(spec.make(0)))


def test_off_it_is_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    spec = FoldSpec(name="add", topics=("numbers",), make=Adder)
    assert tracing_of(TracingSettings()) is UNTRACED
    assert UNTRACED.traced(spec) is spec and UNTRACED.door(app) is app and not UNTRACED.headers()
    loaded = "import sys, stream.tracing; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"tracing.endpoint: .*vigie\[otel\]"):
        tracing_of(TracingSettings(endpoint="http://127.0.0.1:9/v1/traces", share=0.5))
    with pytest.raises(ValidationError, match="OTLP over HTTP"):
        TracingSettings(endpoint="127.0.0.1:4317")


async def test_a_webhook_has_a_request_id_too() -> None:
    settings = load(environ={}, sources={"hubspot": {"client_secret": "s" * 32}})
    app = application()
    async with contextlib.AsyncExitStack() as stack:
        options = Instance(load(environ={}, kafka__brokers="127.0.0.1:1"), "127.0.0.1:1").options
        seen = seen_of(settings)
        stack.push_async_callback(seen.close)
        await open_door(app, settings, options, Metrics(), frozenset(), stack, Any, seen)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie") as client:
            answer = await client.post("/webhooks/hubspot", content=b"{}")
            other = await client.get("/healthz")
    assert answer.status_code == 401
    assert len(answer.headers[REQUEST_ID]) == 16 and len(other.headers.get_list(REQUEST_ID)) == 1
