"""What does Prometheus see of the sales and of Vigie itself?

One :class:`Metrics` per instance with a registry of its own, so that two instances in a process do not mix. The engine's
and the folds' numbers are counted as they happen; the KPIs are computed from the view when they are scraped.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.events.catalogue import TOPIC_OF
from models.events.refused import Reason
from stream.alert_metrics import DELAYS, AlertMetrics
from stream.collectors import Counts, KpiGauges, Models
from stream.door_metrics import DoorMetrics
from stream.engine.holdings import Backlog
from stream.merged_metrics import Page, Plain, plain
from stream.readings.board import Board
from stream.web.health import Health

#: What can become of a record: it changed something, it was known already, or it could not be used.
OUTCOMES = ("applied", "duplicate", "readdressed", "dead_letter")
#: The type under which a record is counted whose type cannot be told.
UNKNOWN_TYPE = "unknown"
#: An event this old (s) when it arrives is history that was loaded, not a live one that was slow.
HISTORY = 86_400.0
_END = b"# EOF\n"  # of a page of OpenMetrics
#: Where the loop's delays are told apart (s): below 5 ms nobody feels one.
LOOP_DELAYS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_CHECKPOINTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics(AlertMetrics, DoorMetrics):
    """The metrics of one instance. It is the engine's observer (:class:`stream.engine.options.Observer`)."""

    def __init__(self, version: str = "0.1.0", lanes: Sequence[str] = ("state",), role: str = "all") -> None:
        """``lanes`` are initialised to 0, so that rates over them have a beginning; ``role`` is what this process does."""
        self._role = role
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.colleagues: Callable[[list[Plain]], Awaitable[list[Plain]]] | None = None
        self._kpis: KpiGauges | None = None
        AlertMetrics.__init__(self, registry)
        DoorMetrics.__init__(self, registry)
        Gauge("vigie_build_info", "Always 1; the label says which version runs", ["version"], registry=registry).labels(
            version
        ).set(1)
        self._events = Counter(
            "vigie_events_total", "Records read, by what became of them", ["topic", "type", "outcome"], registry=registry
        )
        self._delay = Histogram(
            "vigie_event_delay_seconds", "From an event's own time to its fold, live only", registry=registry, buckets=DELAYS
        )
        self._dead = Counter(
            "vigie_dead_letters_total", "Records that could not be used, by reason", ["reason"], registry=registry
        )
        self._faults = Counter(
            "vigie_fold_faults_total", "Records that met a fault of Vigie's own, and changed nothing", ["fold"], registry=registry
        )
        self._set_back = Counter(
            "vigie_time_set_back_total", "Partitions whose time had run ahead and was set back", ["fold"], registry=registry
        )
        self._unknown = Counter(
            "vigie_unknown_fields_total", "Fields that are not of the contract and were kept out", ["type"], registry=registry
        )
        self._overflow = Counter(
            "vigie_segment_overflow_total",
            "Bookings under `other` because a dimension has too many values",
            ["dimension"],
            registry=registry,
        )
        self._checkpoint = Histogram(
            "vigie_checkpoint_seconds",
            "From a checkpoint's snapshot to the broker's commit",
            ["lane"],
            registry=registry,
            buckets=_CHECKPOINTS,
        )
        self._rows = Counter("vigie_checkpoint_rows_total", "Rows of state written", ["lane"], registry=registry)
        self._outputs = Counter(
            "vigie_checkpoint_outputs_total", "Records produced with checkpoints", ["lane"], registry=registry
        )
        self._retries = Counter(
            "vigie_checkpoint_retries_total", "Checkpoints that had to be tried again", ["lane", "reason"], registry=registry
        )
        self._restore = Gauge("vigie_restore_seconds", "How long the last restore of state took", ["role"], registry=registry)
        self._restored = Gauge("vigie_restore_rows", "Rows of state read back by the last restore", ["role"], registry=registry)
        self._folded = Counter("vigie_records_folded_total", "Records folded", ["fold", "topic"], registry=registry)
        self._lost = Counter(
            "vigie_lost_records_total",
            "Records that had left the log before they were folded (retention)",
            ["topic"],
            registry=registry,
        )
        self._rebalances = Counter("vigie_rebalances_total", "Generations of the consumer group seen", registry=registry)
        self._owned = Gauge("vigie_owned_partitions", "Partitions this instance folds now", ["role"], registry=registry)
        self._late = Histogram(
            "vigie_loop_delay_seconds",
            "By how much the event loop of a process was late, looked at a hundred times a second",
            ["role"],
            registry=registry,
            buckets=LOOP_DELAYS,
        ).labels(role)
        for type_, topic in TOPIC_OF.items():
            for outcome in OUTCOMES:
                self._events.labels(topic, type_, outcome)
        for topic in dict.fromkeys(TOPIC_OF.values()):
            self._events.labels(topic, UNKNOWN_TYPE, "dead_letter")
            self._lost.labels(topic)
        for reason in Reason:
            self._dead.labels(reason.value)
        for lane in lanes:
            self._checkpoint.labels(lane)
            self._rows.labels(lane)
            self._outputs.labels(lane)

    # ── the engine's observer ──

    def of(self, role: str) -> "Metrics":
        """Return the observer of one of several engines in this process: the same metrics, under that role."""
        found = copy.copy(self)
        found._role = role
        return found

    def checkpointed(self, lane: str, seconds: float, rows: int, outputs: int) -> None:
        """One transaction of a lane is committed."""
        self._checkpoint.labels(lane).observe(seconds)
        self._rows.labels(lane).inc(rows)
        self._outputs.labels(lane).inc(outputs)

    def checkpoint_retried(self, lane: str, reason: str) -> None:
        """A transaction had to be retried or written again."""
        self._retries.labels(lane, reason).inc()

    def restored(self, seconds: float, rows: int, partitions: int) -> None:
        """State is back in memory."""
        self._restore.labels(self._role).set(seconds)
        self._restored.labels(self._role).set(rows)

    def folded(self, fold: str, topic: str, records: int) -> None:
        """One chunk has been folded."""
        self._folded.labels(fold, topic).inc(records)

    def jumped(self, topic: str, partition: int, lost: int) -> None:
        """The log no longer held offsets that had not been folded."""
        self._lost.labels(topic).inc(lost)

    def rebalanced(self, generation: int, partitions: int) -> None:
        """The group has a new generation."""
        self._rebalances.inc()
        self._owned.labels(self._role).set(partitions)

    # ── what folds and notifiers count ──

    def events(self, topic: str, type_: str, outcome: str, count: int = 1) -> None:
        """Count records; a type that is not of the contract is booked as ``unknown``."""
        self._events.labels(topic, type_ if type_ in TOPIC_OF else UNKNOWN_TYPE, outcome).inc(count)

    def delayed(self, seconds: float) -> None:
        """Observe the delay of one event; a clock ahead of ours counts as no delay, history is no delay at all."""
        if seconds < HISTORY:
            self._delay.observe(max(0.0, seconds))

    def dead_letters(self, reason: str, count: int = 1) -> None:
        """Count records that could not be used."""
        self._dead.labels(reason).inc(count)

    def faults(self, fold: str, count: int) -> None:
        """Count faults of ours; 0 begins the counter."""
        self._faults.labels(fold).inc(count)

    def set_back(self, fold: str, count: int) -> None:
        """Count partitions whose time was set back; 0 begins the counter."""
        self._set_back.labels(fold).inc(count)

    def unknown_fields(self, type_: str, count: int = 1) -> None:
        """Count fields that are not of the contract."""
        self._unknown.labels(type_).inc(count)

    def overflowed(self, dimension: str, count: int = 1) -> None:
        """Count bookings that went to ``other``."""
        self._overflow.labels(dimension).inc(count)

    # ── what is asked for when scraped ──

    def show_models(self, models: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Export ``vigie_model_*{model}``: lessons, labels, drifts, who answers, and the measures over the last answers."""
        self._count(Models(models))

    def show_forecasts(self, figures: Callable[[], Mapping[str, Mapping[tuple[str, str], float]]]) -> None:
        """Export ``vigie_forecast{period,figure}`` of the total (p10, p50, p90, mean, won, target_probability), and its cost."""
        help = "What the period will bring, in total: money in the business currency; target_probability from 0 to 1"
        family = partial(GaugeMetricFamily, "vigie_forecast", help, labels=["period", "figure"])
        self._count(Counts(family, lambda: figures().get("forecast", {})))
        help = "CPU seconds that the last forecasts took"
        family = partial(GaugeMetricFamily, "vigie_forecast_cpu_seconds", help, labels=[])
        self._count(Counts(family, lambda: dict.fromkeys([()], sum(figures().get("seconds", {}).values()))))

    def show_kpis(
        self,
        board: Board,
        windows: Sequence[str],
        dimensions: Sequence[str],
        segments: int,
    ) -> None:
        """Export the KPIs of these windows, in total and for at most ``segments`` values of each dimension.

        While the board's source is not whole, nothing of them is exported: a gap is honest, half a sum is not.
        """
        self._kpis = KpiGauges(board, windows, dimensions, segments)

    def show_health(self, health: Callable[[], Health], cache: Callable[[], Mapping[str, Any] | None]) -> None:
        """Show whether this instance is ready, what is degraded, and whether Redis answers (no sample before it was asked)."""

        def redis() -> dict[tuple[str, ...], float]:
            state = (cache() or {}).get("state")
            return {(): float(state == "up")} if state in ("up", "away") else {}

        ready = "Whether this instance is ready for traffic, as /readyz has it (1), or not (0)"
        degraded = "How many things of this instance are degraded, as /readyz lists them"
        up = "Whether Redis answered when it was last asked (1), or is away (0)"
        self._count(Counts(lambda: GaugeMetricFamily("vigie_ready", ready, labels=()), lambda: {(): float(health().ready)}))
        self._count(
            Counts(lambda: GaugeMetricFamily("vigie_degraded", degraded, labels=()), lambda: {(): float(len(health().degraded))})
        )
        self._count(Counts(lambda: GaugeMetricFamily("vigie_redis_up", up, labels=()), redis))

    def show_behind(self, behind: Callable[[], Mapping[tuple[str, str], Backlog]]) -> None:
        """Export ``vigie_lag_records{topic,group}`` and ``vigie_behind_seconds{topic,group}`` of what this instance folds."""
        lag = "Records of the topic that are not folded yet, in the partitions of this instance"
        seconds = "How long the oldest record that is not folded yet has waited at most; 0 where none waits"
        families = (("vigie_lag_records", lag, "records"), ("vigie_behind_seconds", seconds, "seconds"))
        for name, help, field in families:
            counts = lambda field=field: {place: float(getattr(found, field)) for place, found in behind().items()}  # noqa: E731
            self._count(Counts(partial(GaugeMetricFamily, name, help, labels=["topic", "group"]), counts))

    def show_lanes(self, status: Callable[[], Mapping[str, Any]]) -> None:
        """Export ``vigie_checkpoint_interval_seconds{lane}`` from an engine's status."""
        help = "The least time between two checkpoints of the lane, as it is at this moment"

        def intervals() -> dict[tuple[str], float]:
            lanes = dict(status().get("lanes") or {})
            return {(name,): lane["interval_seconds"] for name, lane in lanes.items()}

        make = partial(GaugeMetricFamily, "vigie_checkpoint_interval_seconds", help, labels=["lane"])
        self._count(Counts(make, intervals))

    def late(self, seconds: float) -> None:
        """Note by how much the event loop was late."""
        self._late.observe(seconds)

    async def exported(self) -> list[Plain]:
        """Return all families but the KPIs', as another process can merge them."""
        for counts in self._counted:
            counts.refresh()
        return await asyncio.to_thread(lambda: plain(self.registry.collect()))

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics page and its content type, for an ``Accept`` header.

        With ``colleagues`` it is that of all processes: they are given what this one exports, and return it merged with theirs.
        """
        if self._kpis is not None:
            await self._kpis.refresh()
        families: Collector = self.registry
        if self.colleagues is None:
            for counts in self._counted:
                counts.refresh()
        else:
            families = Page(await self.colleagues(await self.exported()))
        # A page of a few hundred kilobytes takes some ten milliseconds to write: too long for the loop that folds.
        encode, kind = choose_encoder(accept)
        return await asyncio.to_thread(self._page, partial(encode, families), kind), kind

    def _page(self, encode: Callable[[], bytes], kind: str) -> bytes:
        page = encode()
        if self._kpis is None:
            return page
        body = page.removesuffix(_END)
        return b"".join((body, self._kpis.page(kind).encode(), _END if len(body) < len(page) else b""))
