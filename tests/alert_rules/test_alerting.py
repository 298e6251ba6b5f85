from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from alert_rules.parse.plan_file import parse_alerting
from alert_rules.tell.plan import FallbackPlan
from alert_rules.tell.stages.inhibit import InhibitRule, cycles
from alert_rules.tell.stages.match import Matcher
from alert_rules.tell.stages.oncall import on_call
from alert_rules.tell.stages.route import match_routes
from models.calendar import epoch_ms
from models.time_intervals import parse_interval
from tests.alert_rules.timeline import RECEIVERS, Line, plan
from vigie.routes import app


def at(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def problems(text: str) -> list[str]:
    found, wrong = parse_alerting(yaml.safe_load(text), RECEIVERS)
    assert (found is None) is bool(wrong)
    return [str(problem) for problem in wrong]


def test_every_problem_at_once() -> None:
    wrong = problems("""
rout: {}
route:
  receiver: chatt
  group_wait: 30
  group_by: [rule, ...]
  mute_time_intervals: [night]
  routes:
    - {receiver: mail}
    - {matchers: [severity==critical, "rule=~(a*)*b", team], receivers: [], escalation: no, continue: yes please}
    - {matchers: [team=x, team=y], receivers: ["on_call:sale"], mute_time_intervals: [nigth]}
inhibit_rules: [{source_matchers: [severity=critical], equal: source}]
time_intervals:
  - name: night
    time_intervals:
      - {times: [{start_time: '22:00', end_time: '06:00'}]}
      - {weekdays: [munday], months: [13], years: ['2026:2025'], location: Europe/Pari}
      - {days_of_month: ['30'], months: [february]}
      - {days_of_month: ['-1:1', '0']}
on_call:
  sales: {start: 2026-01-06, members: [{name: ann, receivers: [ann], away: [{from: 2026-02-02, to: 2026-02-01}]}]}
escalations:
  sales: {severity: grave, steps: []}
  other: {steps: [{after: 1h, receivers: [boss]}, {after: 1h, receivers: [bos]}]}
""")
    for part in (
        'alerting.rout: unknown key "rout" (did you mean "route"?)',
        "alerting.route.receiver: undefined receiver 'chatt' (did you mean \"chat\"?)",
        "alerting.route.group_wait: not a duration: 30",
        "alerting.route.group_by: found '...' among others",
        "alerting.route.mute_time_intervals: the root takes every alert",
        "alerting.route.routes[0]: takes every alert, the routes after it none",
        "routes[1].matchers[0]: not a matcher",
        "routes[1].matchers[1]: 'rule=~(a*)*b': the pattern is too costly",
        "routes[1].matchers[2]: not a matcher: 'team'",
        "routes[1].receivers: found []",
        "routes[1].continue: found 'yes please'",
        'routes[2].matchers: team="x" and team="y" never hold together',
        "routes[2].receivers: undefined rotation 'on_call:sale' (did you mean \"on_call:sales\"?)",
        "routes[2].mute_time_intervals: undefined time interval 'nigth' (did you mean \"night\"?)",
        "inhibit_rules[0].target_matchers: found None",
        "inhibit_rules[0].equal: found 'source'",
        "time_intervals[0].times[0]: ends before it starts",
        "time_intervals[1].weekdays[0]: not a weekday: 'munday' (did you mean",
        "time_intervals[1].months[0]: not a month",
        "time_intervals[1].years[0]: ends before it starts",
        "time_intervals[1].location: unknown time zone 'Europe/Pari' (did you mean \"Europe/Paris\"?)",
        "time_intervals[2].days_of_month: found ['30']: never comes in these months",
        "time_intervals[3].days_of_month[0]: '-1:1': the end must be negative",
        "time_intervals[3].days_of_month[1]: not a day of the month: '0'",
        "on_call.sales.start: 2026-01-06 is a tuesday (accepted: a monday",
        "members[0].away[0].to: found 2026-02-01 (accepted: after 2026-02-02)",
        "escalations.sales.severity: found 'grave'",
        "escalations.other.steps[1].after: found '1h' (accepted: later",
        "escalations.other.steps[1].receivers: undefined receiver 'bos'",
    ):
        assert any(part in problem for problem in wrong), f"{part}\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "tree", [None, [], "x", {"route": None}, {"route": []}, {"route": {"receiver": "chat", "routes": [3]}}, {}]
)
def test_what_is_no_plan(tree: Any) -> None:
    found, wrong = parse_alerting(tree, RECEIVERS)
    assert found is None and wrong


def test_a_circle_of_inhibitions() -> None:
    def rule(source: str, target: str) -> InhibitRule:
        return InhibitRule((Matcher.parse(source),), (Matcher.parse(target),))

    assert cycles([rule("kpi=a", "kpi=b"), rule("kpi=b", "kpi=c")]) == []
    assert cycles([rule("kpi=a", "kpi=b"), rule("kpi=b", "kpi=c"), rule("kpi=c", "kpi=a")]) == [(0, 1, 2)]
    assert cycles([rule("severity=critical", "severity=warn")]) == []
    wrong = problems("""
route: {receiver: chat}
inhibit_rules:
  - {source_matchers: [kpi=a], target_matchers: [kpi=b]}
  - {source_matchers: ["kpi=~b|x"], target_matchers: [kpi!=c]}
""")
    assert "a circle: inhibit_rules[0] → inhibit_rules[1] → inhibit_rules[0]" in wrong[0]


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {}, False),
        ('a=""', {}, True),
        ("a!=b", {}, True),
        ("a=~b.*", {"a": "bcd"}, True),
        ("a=~b", {"a": "bcd"}, False),
        ("a!~b|c", {"a": "c"}, False),
        ("a = 'x y'", {"a": "x y"}, True),
    ],
)
def test_matchers(text: str, labels: dict[str, str], expected: bool) -> None:
    assert Matcher.parse(text).matches(labels) is expected
    assert Matcher.parse(str(Matcher.parse(text))) == Matcher.parse(text)


#: Alertmanager's own cases and a few more: the interval, an instant in UTC, whether it holds.
TIMES: list[tuple[str, str, bool]] = [
    ("{}", "2026-01-01T00:00", True),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-01-01T08:59", False),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-01-01T09:00", True),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-01-01T17:00", False),
    ("{times: [{start_time: '22:00', end_time: '24:00'}]}", "2026-01-01T23:59", True),
    ("{weekdays: ['monday:friday']}", "2026-01-03T12:00", False),
    ("{weekdays: ['sunday']}", "2026-01-04T12:00", True),
    ("{weekdays: ['saturday', 'sunday']}", "2026-01-03T12:00", True),
    ("{days_of_month: ['1:5', '-3:-1']}", "2026-02-26T12:00", True),
    ("{days_of_month: ['1:5', '-3:-1']}", "2026-02-25T12:00", False),
    ("{days_of_month: ['-1']}", "2028-02-29T12:00", True),
    ("{days_of_month: ['-1']}", "2028-02-28T12:00", False),
    ("{days_of_month: ['31']}", "2026-04-30T12:00", False),
    ("{days_of_month: ['29:31']}", "2026-04-30T12:00", True),
    ("{days_of_month: ['-31:-1']}", "2026-02-01T12:00", True),
    ("{days_of_month: ['10:-10']}", "2026-01-22T12:00", True),
    ("{days_of_month: ['10:-10']}", "2026-01-23T12:00", False),
    ("{months: ['january:march', 'december']}", "2026-12-31T12:00", True),
    ("{months: ['1:3']}", "2026-04-01T12:00", False),
    ("{years: ['2025:2026']}", "2026-06-01T12:00", True),
    ("{years: [2025]}", "2026-06-01T12:00", False),
    ("{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Paris}", "2026-03-29T00:30", False),  # 01:30
    ("{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Paris}", "2026-03-29T01:30", False),  # 03:30
    ("{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Paris}", "2026-10-25T00:30", True),
    ("{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Paris}", "2026-10-25T01:30", True),  # again 02:30
    ("{years: [2026], location: Australia/Sydney}", "2025-12-31T13:30", True),
]


@pytest.mark.parametrize(("text", "instant", "holds"), TIMES)
def test_time_intervals(text: str, instant: str, holds: bool) -> None:
    interval, wrong = parse_interval(yaml.safe_load(text), "UTC")
    assert interval is not None, wrong
    assert interval.holds(at(instant)) is holds


TREE = """
route:
  receiver: chat
  routes:
    - matchers: [team=x]
      continue: true
      receiver: mail
    - matchers: ["severity=~critical"]
      receiver: ann
      routes: [{matchers: [source=web], receiver: bob}]
    - matchers: [severity=critical]
      receiver: never
"""


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ["chat"]),
        ({"team": "x"}, ["mail"]),
        ({"severity": "critical"}, ["ann"]),
        ({"severity": "critical", "source": "web"}, ["bob"]),
        ({"severity": "critical", "team": "x"}, ["mail", "ann"]),
    ],
)
def test_the_tree_of_routes(labels: dict[str, str], expected: list[str]) -> None:
    found = plan(TREE.replace("never", "boss"))
    assert [route.receivers[0] for route in match_routes(found.route, labels)] == expected


ROTATION = """
route: {receiver: chat}
on_call:
  sales:
    timezone: Europe/Paris
    rotation: daily
    handover: '09:00'
    start: 2026-03-23
    members:
      - {name: ann, receivers: [ann]}
      - {name: bob, receivers: [bob], away: [{from: 2026-03-24, to: 2026-03-25}]}
      - {name: cleo, receivers: [cleo, mail]}
    overrides:
      - {who: ann, from: 2026-03-28T12:00, to: 2026-03-28T18:00}
"""


@pytest.mark.parametrize(
    ("instant", "ahead", "who"),
    [
        ("2026-03-23T07:59", 0, "cleo"),  # 08:59 in Paris: the turn before the first
        ("2026-03-23T08:00", 0, "ann"),
        ("2026-03-23T08:00", 1, "bob"),
        ("2026-03-23T08:00", 3, "ann"),
        ("2026-03-24T12:00", 0, "cleo"),  # bob's turn, who is away
        ("2026-03-24T12:00", 1, "ann"),
        ("2026-03-25T12:00", 0, "cleo"),
        ("2026-03-28T10:59", 0, "cleo"),
        ("2026-03-28T11:00", 0, "ann"),  # stands in
        ("2026-03-28T17:00", 0, "cleo"),
        ("2026-03-29T06:59", 0, "cleo"),  # summer time has begun: 08:59
        ("2026-03-29T07:00", 0, "ann"),
    ],
)
def test_who_is_on_call(instant: str, ahead: int, who: str) -> None:
    assert on_call(plan(ROTATION).rotations["sales"], at(instant), ahead).who == who


def silence(**changes: Any) -> dict[str, Any]:
    sound = {"id": "s", "matchers": ["team=x"], "starts": 0, "ends": 9}
    return {"type": "act", "act": "silence", "by": "ann", "silence": sound | changes}


UNUSABLE: list[Any] = [
    b"{",
    b"[]",
    b"{}",
    {"type": "act", "act": "dance", "by": "ann"},
    {"type": "transition", "kind": "fired"},
    silence(matchers=[]),
    silence(matchers=["a!=b"]),
    silence(ends=0),
    silence(id=3),
]


@pytest.mark.parametrize("bad", UNUSABLE)
def test_what_cannot_be_dispatched_is_a_dead_letter(bad: Any) -> None:
    t = Line()
    t.at("0s", lambda: t.put(bad))
    t.at("1s", t.fire("a"))
    t.run("2s")
    assert len(t.dead) == 1 and [s.kind for s in t.said] == ["fired"]


def test_routes_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "vigie.yaml"
    sound = {
        "receivers": [{"name": name, "type": "console"} for name in RECEIVERS],
        "alerting": yaml.safe_load(TREE.replace("never", "boss")),
    }
    file.write_text(yaml.safe_dump(sound))
    run = CliRunner()
    found = run.invoke(app, ["test", "--labels", "severity=critical,source=web", "--at", "2026-01-01T12:00:00Z"])
    assert found.exit_code == 0, found.output
    told = yaml.safe_load(found.stdout)
    assert [r["name"] for r in told["routes"][0]["receivers"]] == ["bob"] and told["routes"][0]["held"] is None
    assert run.invoke(app, ["check"]).stdout.splitlines()[0] == "{} → chat"
    assert run.invoke(app, ["test", "--labels", "severity"]).exit_code == 2
    assert run.invoke(app, ["test", "--labels", "severity=grave"]).exit_code == 2
    sound["alerting"] = str(tmp_path / "plan.yaml")
    file.write_text(yaml.safe_dump(sound))
    assert run.invoke(app, ["check"]).exit_code == 1
    (tmp_path / "plan.yaml").write_text("route: {receiver: nobody}")
    refused = run.invoke(app, ["check"])
    assert refused.exit_code == 1 and "plan.yaml:1: alerting.route.receiver: undefined receiver 'nobody'" in refused.stderr


def test_who_hears_of_a_receiver_that_fails() -> None:
    found = plan("{route: {receiver: chat}, fallback: {receivers: [mail, 'on_call:x'], after: 10m}, "
                 "on_call: {x: {start: 2026-01-05, members: [{name: ann, receivers: [ann]}]}}}")  # fmt: skip
    assert (found.fallback.receivers, found.fallback.after) == (("mail", "on_call:x"), 600_000)
    assert plan("route: {receiver: chat}").fallback == FallbackPlan()
    assert problems("{route: {receiver: chat}, fallback: {receivers: [male], after: 0, afte: 1m}}") == [
        'alerting.fallback.afte: unknown key "afte" (did you mean "after"?)',
        "alerting.fallback.receivers: undefined receiver 'male' (did you mean \"mail\"?)",
        "alerting.fallback.after: found 0 (accepted: 1s or more)",
    ]


def test_a_summary_of_what_there_is_not_and_for_whom_it_is_not(tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text("""
receivers:
  - {name: chat, type: console}
  - {name: duty, type: pagerduty, routing_key: k}
alerting: {route: {receiver: chat}, digest: {receivers: [chat, duty], kpis: [revenu, leads]}}
""")
    result = CliRunner().invoke(app, ["check", "--config", str(config)])
    assert result.exit_code == 1
    assert "alerting.digest.kpis: unknown KPI 'revenu' (did you mean \"revenue\"?)" in result.stderr
    assert "alerting.digest.receivers: 'duty' is of type pagerduty, which takes incidents only" in result.stderr
