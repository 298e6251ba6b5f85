"""The first hour: a history is loaded, and those who configured nothing are told of what still matters, together."""

from typing import Any

import msgspec
import orjson

from alert_rules.dispatch import DispatchAlerts
from alert_rules.evaluator import EvaluateAlerts
from alert_rules.finding import TOPIC as FINDINGS
from alert_rules.plan import by_rule
from alert_rules.watch import PAUSE_MS, WatchEntities
from models.calendar import DAY_MS
from models.fold import Output, Record
from models.folds.entity_snapshots import LEAD_STATES, LeadState
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.test_watch import NOW
from vigie.rule_files import load_rules

DAYS, A_DAY = 181, 2


def as_records(topic: str, outputs: list[Output], now: int) -> list[Record]:
    return [Record(topic, 0, n, now, o.key, o.value, ()) for n, o in enumerate(outputs) if o.topic == topic]


def messages_of_the_first_hour() -> list[dict[str, Any]]:
    """Half a year of leads that nobody has answered, read within two minutes; then an hour goes by."""
    rules = load_rules(load_catalogue())
    watch = WatchEntities(rules, settle=PAUSE_MS)
    alerts, dispatch = EvaluateAlerts(rules), DispatchAlerts(by_rule(["console"]))
    loaded: list[Record] = []
    for n in range(DAYS * A_DAY):
        at = NOW - DAYS * DAY_MS + n * (DAY_MS // A_DAY)
        value = msgspec.json.encode(LeadState(f"L-{n}", "open", at, created=at, source="web", owner="ann"))
        loaded.append(Record(LEAD_STATES, 0, n, NOW, f"L-{n}".encode(), value, ()))
    said: list[dict[str, Any]] = []
    for second in range(3600):
        now = NOW + second * 1000
        watch.tick(now)
        watch.fold(loaded[second * 3 : second * 3 + 3])
        alerts.fold(as_records(FINDINGS, watch.changes().outputs, now))
        dispatch.fold(as_records("alerts", alerts.changes().outputs, now))
        dispatch.tick(now)
        said += [orjson.loads(o.value or b"") for o in dispatch.changes().outputs if o.topic == "outbox"]
    return said


def test_of_half_a_year_one_message_tells_the_last_week() -> None:
    (message,) = messages_of_the_first_hour()
    assert message["group"] == {"rule": "lead-unanswered"}
    assert 5 <= len(message["alerts"]) + message["more"] <= 9 * A_DAY, (
        "the week, and the weekend before it, whose leads were due on Monday"
    )
