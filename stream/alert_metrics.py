"""What does Prometheus see of alerts and of who is told of them?"""

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from stream.collectors import Counts, Models, labelled

#: Where delays are told apart, seconds.
DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 86400)


class AlertMetrics:
    """The metrics of alerts, and what those have in common that are asked for when scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._counted: list[Counts | Models] = []
        self._told = Histogram(
            "vigie_notification_seconds",
            "From the reading that changed an alert (or the decision to tell again) to the receiver's acceptance",
            ["receiver"],
            registry=registry,
            buckets=DELAYS,
        )
        self._delivered = Histogram(
            "vigie_delivery_seconds",
            "From a message's coming to the outbox to the receiver's acceptance",
            ["receiver"],
            registry=registry,
            buckets=DELAYS,
        )

    def show_alerts(self, counts: Callable[[], Mapping[tuple[str, str, str], int]]) -> None:
        """Export ``vigie_alerts{rule,severity,state}``: how many alerts stand, by what ``counts`` is keyed by."""
        labels = ["rule", "severity", "state"]
        self._count(Counts(lambda: GaugeMetricFamily("vigie_alerts", "Alerts that stand", labels=labels), counts))

    def show_reload(self, success: Callable[[], float], at: Callable[[], float]) -> None:
        """Export ``vigie_rules_reload_success`` (1 or 0) and when the rules in force were read (seconds since the epoch)."""
        help = "Whether the last reading of rules, routes and targets could be used; if not, those before are in force"
        Gauge("vigie_rules_reload_success", help, registry=self.registry).set_function(success)
        help = "When the rules, routes and targets in force were read"
        Gauge("vigie_rules_reload_timestamp_seconds", help, registry=self.registry).set_function(at)

    def show_held_back(self, counts: Callable[[], Mapping[tuple[str], int]]) -> None:
        """Export ``vigie_rule_beyond_groups_total{rule}``: readings whose alert did not begin, for its rule had enough."""
        help = "Readings whose alert did not begin because its rule had as many standing as it may (groups)"
        self._count(Counts(lambda: CounterMetricFamily("vigie_rule_beyond_groups", help, labels=["rule"]), counts))

    def show_old(self, counts: Callable[[], Mapping[tuple[str], int]]) -> None:
        """Export ``vigie_rule_old_total{rule}``: deals and leads that began no alert, for they were old when they arrived."""
        help = "Deals and leads that were beyond a rule's threshold for over a week when they were first heard of: no alert began"
        self._count(Counts(lambda: CounterMetricFamily("vigie_rule_old", help, labels=["rule"]), counts))

    def show_notifications(self, counts: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Export ``vigie_notifications_total{receiver,outcome}``: attempts so far, by what ``counts`` is keyed by."""
        help, labels = "Attempts to notify a receiver, by how they ended", ["receiver", "outcome"]
        self._count(Counts(lambda: CounterMetricFamily("vigie_notifications", help, labels=labels), counts))

    def show_decisions(self, counts: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Export ``vigie_alert_decisions_total{outcome,stage}``: notified, held, suppressed or refused, and by which stage."""
        help, labels = "Decisions about who is told of alerts, by the stage that made them", ["outcome", "stage"]
        self._count(Counts(lambda: CounterMetricFamily("vigie_alert_decisions", help, labels=labels), counts))

    def show_outbox(
        self,
        waiting: Callable[[], Mapping[str, float]],
        ages: Callable[[], Mapping[str, float]],
        failing: Callable[[], Mapping[str, float]],
    ) -> None:
        """Export by receiver the messages without an end, the age of the oldest, and for how long nothing has arrived."""
        for name, help, counts in (
            ("vigie_outbox_messages", "Messages that have neither arrived nor been given up", waiting),
            ("vigie_outbox_oldest_seconds", "How long the oldest such message has been waiting", ages),
            ("vigie_receiver_failing_seconds", "For how long no attempt has arrived; 0 where the last one did", failing),
        ):
            self._count(Counts(partial(GaugeMetricFamily, name, help, labels=["receiver"]), partial(labelled, counts)))

    def notified(self, receiver: str, told: float, outbox: float) -> None:
        """Observe a message that has arrived: seconds since what it tells of, and since it came to the outbox."""
        self._told.labels(receiver).observe(max(0.0, told))
        self._delivered.labels(receiver).observe(max(0.0, outbox))

    def _count(self, counts: "Counts | Models") -> None:
        self._counted.append(counts)
        self.registry.register(counts)
