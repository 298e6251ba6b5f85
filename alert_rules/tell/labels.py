"""By which labels is an alert routed, silenced and inhibited?"""

from alert_rules.records.facts import AlertFacts


def labels_of(alert: AlertFacts) -> dict[str, str]:
    """Return what routes, silences and inhibitions can ask about: the rule's labels, its own names, and the segment."""
    segment = alert.segment or {}
    own = {"rule": alert.rule or "", "kpi": alert.kpi or "", "window": alert.window or "", "severity": str(alert.severity or "")}
    place = next((f"{name}={value}" for name, value in segment.items()), "total")
    return {**segment, **(alert.labels or {}), **own, "segment": place, "incident": alert.incident}
