"""What does Prometheus see of who brings events, and of who asks: webhooks, trackers, senders, requests that are not let in?"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream.web.operators import FAILURES

_SOURCES = 200  # values of the label `source`; what comes after is booked as `other`


class DoorMetrics:
    """The metrics of what comes in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sources: set[str] = set()
        self._requests: dict[tuple[str, str], Counter] = {}
        self._webhooks = Counter(
            "vigie_webhooks_total", "Webhook requests, by what became of them", ["source", "outcome"], registry=registry
        )
        self._webhook_events = Counter(
            "vigie_webhook_events_total", "Events that webhooks have brought to the topics", ["source"], registry=registry
        )
        self._collected = Counter(
            "vigie_collect_total",
            "Requests of trackers, by what became of them",
            ["site", "outcome"],
            registry=registry,
        )
        self._collected_events = Counter(
            "vigie_collect_events_total", "Events that trackers have brought to the topics", ["site"], registry=registry
        )
        self._withheld = Counter(
            "vigie_collect_names_withheld_total", "New sources and campaigns told as `other`", ["site"], registry=registry
        )
        self._refused = Counter(
            "vigie_access_refused_total", "Requests of those who may not read or act, by why", ["reason"], registry=registry
        )
        self._last = Gauge(
            "vigie_source_last_event_timestamp_seconds", "Latest event time per source", ["source"], registry=registry
        )
        for why in FAILURES:
            self._refused.labels(why)

    def show_sources(self, sources: Iterable[str]) -> None:
        """Begin the webhooks' counters of these sources at 0."""
        for source in sources:
            self._webhook_events.labels(source)
            for outcome in ("accepted", "duplicate", "ignored", "unusable", "bad_signature", "throttled", "unavailable"):
                self._webhooks.labels(source, outcome)

    def webhook(self, source: str, outcome: str, events: int) -> None:
        """Count one request of a source that is set, and the events it brought."""
        counter = self._requests.get((source, outcome))
        if counter is None:  # looking labels up costs more than counting
            counter = self._requests[source, outcome] = self._webhooks.labels(source, outcome)
        counter.inc()
        if events:
            self._webhook_events.labels(source).inc(events)

    def show_sites(self, sites: Iterable[str]) -> None:
        """Begin the trackers' counters of these sites at 0; requests with another key count under an empty name."""
        for site in sites:
            self._collected_events.labels(site)
            self._withheld.labels(site)
            for outcome in ("accepted", "duplicate", "unusable", "opted_out", "bot", "wrong_origin", "throttled", "unavailable"):
                self._collected.labels(site, outcome)
        self._collected.labels("", "unknown_key")

    def collected(self, site: str, outcome: str, events: int) -> None:
        """Count one request to the tracker's door, and the events it brought."""
        self._collected.labels(site, outcome).inc()
        if events:
            self._collected_events.labels(site).inc(events)

    def withheld(self, site: str, names: int) -> None:
        """Count names of a tracker's site that were told as ``other``."""
        self._withheld.labels(site).inc(names)

    def access_refused(self, reason: str) -> None:
        """Count one request that was not let in."""
        self._refused.labels(reason).inc()

    def source_seen(self, source: str, at: int) -> None:
        """Note the time (epoch ms) of the latest event of a source; the number of sources shown is bounded."""
        if source not in self._sources:
            if len(self._sources) >= _SOURCES:
                source = "other"
            self._sources.add(source)
        self._last.labels(source).set(at / 1000)
