"""Which way did one event take, from the door to a message, and how long did each part of it take? OpenTelemetry's answer.

Off by default, and then nothing of it is loaded: folds are what they were, records have no header more. Where an ``endpoint`` is
set in ``tracing`` (``pip install 'vigie[otel]'``), one request in so many is followed. Its records carry ``traceparent`` (W3C's
form); a fold that reads one has a span, and what its next checkpoint says carries the header on. A checkpoint sums up many
records: what it says goes on under the latest of those that are followed, with links to the others.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Protocol

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.fold import Changes, Record
from stream.config.settings import SettingsError
from stream.config.tracing_settings import TracingSettings
from stream.engine.options import FoldSpec
from stream.logs import REQUEST, TRACE

HEADER = "traceparent"
Headers = Sequence[tuple[str, bytes | None]]
#: What begins here is followed: where events come in.
_DOORS = ("/webhooks/", "/collect")
#: Records of different traces that one checkpoint is linked to, and messages whose trace is remembered, at most.
_LINKS, _MESSAGES = 8, 1_000


class Tracing(Protocol):
    """Follows events, or does nothing."""

    def headers(self) -> Headers:
        """Return what a record that is written now is to carry."""

    def traced(self, spec: FoldSpec) -> FoldSpec:
        """Return a fold that is followed."""

    def attempt(self, message: str, receiver: str) -> AbstractContextManager[None]:
        """Around an attempt to tell a receiver of a message."""

    def door(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose doors are followed."""


class Untraced:
    """Nothing is followed."""

    def headers(self) -> Headers:
        """Return nothing."""
        return ()

    def traced(self, spec: FoldSpec) -> FoldSpec:
        """Return the fold as it is."""
        return spec

    def attempt(self, message: str, receiver: str) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def door(self, app: ASGIApp) -> ASGIApp:
        """Return the application as it is."""
        return app


UNTRACED = Untraced()


class EventTraces:
    """Follows what ``provider`` (OpenTelemetry's ``TracerProvider``) samples."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._tracer = provider.get_tracer("vigie")
        self._form = TraceContextTextMapPropagator()
        self._messages: dict[str, Any] = {}

    def headers(self) -> Headers:
        """Return the span under which this is called, where it is followed."""
        span = self._trace.get_current_span()
        return self._carried(span) if span.get_span_context().trace_flags.sampled else ()

    def _carried(self, span: Any) -> Headers:
        carrier: dict[str, str] = {}
        self._form.inject(carrier, self._trace.set_span_in_context(span))
        return ((HEADER, carrier[HEADER].encode()),)

    @contextmanager
    def _span(self, name: str, kind: str, attributes: dict[str, str], of: Any = None) -> Iterator[Any]:
        """A span that is the current one of this task, and whose trace log lines name."""
        kinds = self._trace.SpanKind
        with self._tracer.start_as_current_span(name, context=of, kind=kinds[kind], attributes=attributes) as span:
            context = span.get_span_context()
            token = TRACE.set(f"{context.trace_id:032x}" if context.trace_flags.sampled else "")
            try:
                yield span
            finally:
                TRACE.reset(token)

    # --- the door -----------------------------------------------------------------------------------------------------

    def door(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose requests that bring events begin a trace. What a caller calls it is not taken."""

        async def followed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_DOORS):
                await app(scope, receive, send)
                return
            about = {"http.request.method": "POST", "url.path": scope["path"]}
            with self._span(f"POST {scope['path']}", "SERVER", about) as span:

                async def answered(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        span.set_attribute("vigie.request", REQUEST.get())
                    await send(message)

                await app(scope, receive, answered)

        return followed

    # --- folds --------------------------------------------------------------------------------------------------------

    def traced(self, spec: FoldSpec) -> FoldSpec:
        """Return the spec with folds that are followed. Those that read their log anew at each start are not."""
        if spec.replayed:
            return spec

        def make(partition: int) -> Any:
            fold: Any = spec.make(partition)
            # To everybody else it stays what it is: of the same class, or one made of it.
            fold.__class__ = self._followed(fold.__class__, _Way(self, spec.name, partition))
            return fold

        return replace(spec, make=make)

    def _followed(self, base: Any, way: "_Way") -> type:
        class Followed(base):
            __slots__ = ()

            def fold(self, records: Sequence[Record]) -> None:
                way.fold(records, functools.partial(base.fold, self))

            def changes(self) -> Changes:
                return way.carry(base.changes(self))

        Followed.__name__ = Followed.__qualname__ = base.__name__
        return Followed

    def _began(self, carried: bytes) -> Any:
        return self._form.extract({HEADER: carried.decode("latin-1")})

    # --- messages -----------------------------------------------------------------------------------------------------

    def _remember(self, record: Record, of: Any) -> None:
        try:
            self._messages[orjson.loads(record.value or b"")["id"]] = of
        except (ValueError, KeyError, TypeError):
            return  # not a message: the fold says so
        while len(self._messages) > _MESSAGES:
            del self._messages[next(iter(self._messages))]

    def attempt(self, message: str, receiver: str) -> AbstractContextManager[None]:
        """A span for an attempt, where it is known what led to the message: not after a restart in between."""
        of = self._messages.get(message)
        return nullcontext() if of is None else self._attempt(of, receiver)

    @contextmanager
    def _attempt(self, of: Any, receiver: str) -> Iterator[None]:
        with self._span(f"tell {receiver}", "CLIENT", {"vigie.receiver": receiver}, of):
            yield


class _Way:
    """What of one partition of a fold is followed, from what it read to what it says of it."""

    def __init__(self, traces: EventTraces, name: str, partition: int) -> None:
        self._traces = traces
        self._name = name
        self._partition = partition
        self._waiting: dict[bytes, Any] = {}  # by what was carried: the span in which it was folded

    def fold(self, records: Sequence[Record], fold: Callable[[Sequence[Record]], None]) -> None:
        """Fold, with a span for each trace among the records."""
        found = {carried: record for record in records if record.headers and (carried := _followed(record.headers))}
        if not found:
            fold(records)
            return
        traces = self._traces
        spans = []
        for carried, record in list(found.items())[-_LINKS:]:
            of = traces._began(carried)
            attributes = {
                "messaging.system": "kafka",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
            }
            span = traces._tracer.start_span(
                f"fold {self._name}", context=of, kind=traces._trace.SpanKind.CONSUMER, attributes=attributes
            )
            spans.append(span)
            self._waiting.pop(carried, None)
            self._waiting[carried] = span
            if record.topic == "outbox":
                traces._remember(record, traces._trace.set_span_in_context(span))
        while len(self._waiting) > _LINKS:
            del self._waiting[next(iter(self._waiting))]
        try:
            fold(records)
        finally:
            for span in spans:
                span.end()

    def carry(self, changes: Changes) -> Changes:
        """What the fold says, under the latest trace that it may be of."""
        if not self._waiting or not changes.outputs:
            return changes
        *others, last = self._waiting.values()
        self._waiting = {}
        trace = self._traces._trace
        links = [trace.Link(span.get_span_context()) for span in others]
        span = self._traces._tracer.start_span(
            f"say {self._name}", context=trace.set_span_in_context(last), kind=trace.SpanKind.PRODUCER, links=links
        )
        span.set_attribute("messaging.batch.message_count", len(changes.outputs))
        carried = self._traces._carried(span)
        span.end()
        return Changes(changes.rows, [output._replace(headers=(*output.headers, *carried)) for output in changes.outputs])


def _followed(headers: Headers) -> bytes | None:
    """What a record carries, where it is followed (the last digit is odd)."""
    for name, value in headers:
        if name == HEADER and value is not None and value[-1:] in b"13579bdf" and len(value) == 55:
            return value
    return None


@functools.cache
def tracing_of(settings: TracingSettings) -> Tracing:
    """Return what the settings ask for, one for the process; raise :class:`SettingsError` without OpenTelemetry."""
    if not settings.endpoint or not settings.share:
        return UNTRACED
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        wanted = "OpenTelemetry is not installed (accepted: with the extra, pip install 'vigie[otel]')"
        raise SettingsError([f"tracing.endpoint: {wanted}"]) from error
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.share)),
        resource=Resource.create({"service.name": "vigie"}),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)))
    return EventTraces(provider)
