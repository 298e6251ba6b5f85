"""The alerts' names on the wire: changing one loses state or breaks whoever reads the topic."""

from agents.deliver_notifications import Deliverer
from agents.dispatch_alerts import Dispatcher
from agents.evaluate_alerts import Evaluator
from alert_rules.alerting import everything_to
from models.kpis.roll_kpis import Wanted
from tests.alert_rules.readings import rule


def test_folds_topics_and_lanes() -> None:
    evaluator = Evaluator([rule()])
    specs = [evaluator.spec(), Dispatcher(everything_to(())).spec(), Deliverer({}).spec()]
    assert [(spec.name, spec.topics, spec.lane, spec.replayed) for spec in specs] == [
        ("evaluate-alerts", ("readings", "findings"), "alerts", False),
        ("dispatch-alerts", ("alerts",), "dispatch", False),
        ("deliver-notifications", ("outbox",), "deliveries", False),
    ]
    assert evaluator.wanted == {Wanted("win_rate", "7d", "source")}


def test_a_worker_that_does_not_own_the_readings_shows_nothing() -> None:
    evaluator = Evaluator([rule()])
    assert evaluator.current() == []
    phases = ("pending", "firing", "recovering")
    assert evaluator.counts() == {("win-rate-drop", severity, phase): 0 for severity in ("warn", "critical") for phase in phases}
