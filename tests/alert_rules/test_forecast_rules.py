"""Rules on the forecast: as on a KPI's readings, of a period, by what a forecast is told by."""

from typing import Any

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.rule import Known
from alert_rules.parse.rule_file import parse_rules
from alert_rules.trial.rule_test_run import run
from models.fold import Record
from models.kpis.reading import Reading
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import BASE

KNOWN = Known.of(load_catalogue())
RULE: dict[str, Any] = {
    "id": "target-in-danger", "kpi": "target_probability", "window": "month", "by": "team", "warn": {"below": 0.3},
    "critical": {"below": 0.1}, "summary": "The month's target of {team} is reached with {value:.0%}",
    "runbook": "https://example.com/playbook",
    "tests": [
        {"name": "fires", "timeline": [{"at": "0m", "value": 0.2, "expect": "warn"}]},
        {"name": "not", "timeline": [{"at": "0m", "value": 0.5, "expect": "inactive"}]},
    ],
}  # fmt: skip


def parsed(**changes: Any) -> tuple[list[Any], list[str]]:
    rules, problems = parse_rules({"rules/target-in-danger.yaml": RULE | changes}, KNOWN)
    return rules, [str(one) for one in problems]


def test_a_target_in_danger_begins_an_alert_and_ends_it() -> None:
    rules, problems = parsed()
    assert not problems and not run(rules[0])
    fold = EvaluateAlerts(rules)
    assert {(one.kpi, one.window, one.by) for one in fold.wanted} == {("target_probability", "month", "team")}
    states = []
    for minute, value in enumerate((0.5, 0.2, 0.05, 0.6)):
        at = BASE + minute * 60_000
        reading = Reading(
            "target_probability", "month", {"team": "north"}, BASE, at, value, None, None, None, None, "ratio", sample=12
        )
        fold.fold([Record("readings", 0, minute, at, reading.key.encode(), reading.encode(), ())])
        fold.changes()
        states.append([one["severity"] for one in fold.current()])
    assert states == [[], ["warn"], ["critical"], []]


def test_it_is_told_of_a_period_and_compared_with_nothing() -> None:
    assert any("month, quarter, year" in one for one in parsed(window="7d")[1])
    assert any('not told by "stage"' in one for one in parsed(by="stage")[1])
    changed = {key: value for key, value in RULE.items() if key not in ("warn", "critical")}
    _, problems = parse_rules({"rules/target-in-danger.yaml": changed | {"change": {}, "warn": {"below": "-20%"}}}, KNOWN)
    assert any("no past to be compared with" in str(one) for one in problems)
    assert not parsed(kpi="forecast_p50", warn={"below": 100_000}, critical={"below": 50_000}, tests=[
        {"name": "fires", "timeline": [{"at": "0m", "value": 60_000, "expect": "warn"}]},
        {"name": "not", "timeline": [{"at": "0m", "value": 200_000, "expect": "inactive"}]},
    ], summary="{value}")[1]  # fmt: skip
