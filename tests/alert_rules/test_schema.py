from typing import Any

import pytest

from alert_rules.judge.rule import KpiRule
from alert_rules.parse.rule_file import parse_rules
from tests.alert_rules.readings import KNOWN, tree

FILE = "rules/win-rate-drop.yaml"


def problems(**changes: Any) -> list[str]:
    rules, found = parse_rules({FILE: tree(**changes)}, KNOWN)
    assert bool(rules) != bool(found)
    return [str(problem).removeprefix(f"{FILE}: ") for problem in found]


def test_a_sound_rule() -> None:
    (rule,), found = parse_rules({FILE: tree()}, KNOWN)
    assert not found and isinstance(rule, KpiRule)
    assert (rule.wait, rule.min_samples, rule.unit, rule.title) == (1_800_000, 20, "ratio", "Win rate")
    assert [(s.severity, s.threshold, s.clear) for s in rule.ladder] == [("warn", 0.20, 0.22), ("critical", 0.15, 0.17)]


def test_the_clearing_level_is_the_threshold_where_none_is_given() -> None:
    (rule,), _ = parse_rules({FILE: tree(warn={"below": 0.2}, critical=None)}, KNOWN)
    assert rule.ladder[0].clear == 0.2


def test_time_may_be_written_as_a_duration() -> None:
    timelines = [
        {"name": "fires", "timeline": [{"at": 0, "value": "5h", "sample": 20, "expect": "warn"}]},
        {"name": "silent", "timeline": [{"at": 0, "value": 60, "sample": 20, "expect": "inactive"}]},
    ]
    changes = {"for": 0, "kpi": "lead_response_time", "warn": {"above": "4h"}, "critical": None, "tests": timelines}
    (rule,), found = parse_rules({FILE: tree(**changes)}, KNOWN)
    assert not found
    assert rule.ladder[0].threshold == 4 * 3600


FIRES = {"name": "f", "timeline": [{"at": "0m", "value": 0.1, "sample": 20, "expect": "pending"},
                                   {"at": "30m", "value": 0.1, "sample": 20, "expect": "critical"}]}  # fmt: skip
SILENT: dict[str, Any] = {"name": "s", "timeline": [{"at": "0m", "value": 0.3, "expect": "inactive"}]}


def moment(**changes: Any) -> list[dict[str, Any]]:
    line = {"at": "0m", "value": 0.3, "expect": "inactive"} | changes
    return [FIRES, {"name": "s", "timeline": [{k: v for k, v in line.items() if v != "gone"}]}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kpi": "winrate"}, 'kpi: unknown KPI "winrate" (did you mean "win_rate"?)'),
        ({"kpi": None}, "kpi: found nothing (accepted: a text)"),
        ({"window": "7 days"}, "window: unknown window '7 days'"),
        ({"by": "sources"}, 'by: "win_rate" is not told by "sources" (did you mean "source"?)'),
        ({"treshold": 1}, 'treshold: unknown key "treshold"'),
        ({"sumary": "x"}, 'sumary: unknown key "sumary" (did you mean "summary"?)'),
        ({"id": "win-rate"}, "id: found 'win-rate' (accepted: the file's name, 'win-rate-drop')"),
        ({"id": "Win rate!"}, "id: found 'Win rate!' (accepted: small letters"),
        ({"warn": None, "critical": None}, "warn: found nothing (accepted: warn, critical or both"),
        ({"warn": 0.2}, "warn: found a float (accepted: a mapping such as"),
        ({"warn": {"below": 0.2, "above": 0.9}}, "warn: found below and above (accepted: one of below, above)"),
        ({"warn": {"clear_above": 0.2}}, "warn: found neither below nor above (accepted: one of below, above)"),
        ({"warn": {"below": "low"}}, "warn.below: found 'low' (accepted: a number)"),
        ({"warn": {"below": True}}, "warn.below: found True (accepted: a number)"),
        ({"warn": {"below": float("nan")}}, "warn.below: found nan (accepted: a number)"),
        ({"warn": {"below": 20, "clear_above": 22}}, "warn.below: found 20 (accepted: a share from 0 to 1; 20 % is 0.2)"),
        ({"warn": {"below": 1.0}}, "warn.below: found 1: nearly always true of a share from 0 to 1"),
        ({"warn": {"below": 0.2, "clear_above": 0.18}}, "warn.clear_above: found 0.18 (accepted: at or above the threshold 0.2)"),
        ({"warn": {"below": 0.2, "clear_below": 0.1}}, "warn.clear_below: does not go with below (accepted: clear_above)"),
        ({"warn": {"below": 0.2, "bellow": 0.1}}, 'warn.bellow: unknown key "bellow" (did you mean "below"?)'),
        ({"critical": {"below": 0.2}}, "critical.below: found 0.2 (20 %) (accepted: further below than warn's 0.2)"),
        ({"critical": {"below": 0.1, "clear_above": 0.3}}, "critical.clear_above: found 0.3 (accepted: not beyond warn's 0.22"),
        ({"critical": {"above": 0.9}}, "critical: found below in one step and above in the other"),
        ({"for": "half an hour"}, "for: not a duration: 'half an hour' (accepted: a number and ms, s, m, h, d or w"),
        ({"for": 30}, "for: not a duration: 30"),
        ({"min_samples": -1}, "min_samples: found -1 (accepted: a number from 0)"),
        ({"kpi": "revenue", "warn": {"below": 10}, "critical": None}, 'min_samples: "revenue" has no sample'),
        ({"labels": ["sales"]}, "labels: found ['sales'] (accepted: a mapping of texts)"),
        ({"labels": {"severity": "x"}}, "labels.severity: is set by Vigie itself"),
        ({"runbook": None}, "runbook: found nothing (accepted: a text)"),
        ({"summary": "{valeu}"}, "summary: unknown field {valeu} (accepted: clear, denominator"),
        ({"summary": "{owner}"}, "summary: unknown field {owner}"),
        ({"summary": "{value.__class__}"}, "summary: unknown field {value.__class__}"),
        ({"summary": "{value!r}"}, "summary: {value!r}: unknown format"),
        ({"summary": "{value:999999999f}"}, "summary: {value:999999999f}: unknown format"),
        ({"summary": "{source:.0%}"}, "summary: {source:.0%}: source is a text"),
        ({"summary": "{value"}, "summary: expected '}' before end of string"),
        ({"tests": None}, "tests: found none"),
        ({"tests": [FIRES]}, "tests: none of them stays silent (accepted: at least one that does)"),
        ({"tests": [SILENT]}, "tests: none of them fires (accepted: at least one that does)"),
        ({"tests": ["x"]}, "tests[0]: found a str"),
        ({"tests": [FIRES, {"name": "s", "timeline": []}]}, "tests[1].timeline: found none"),
        ({"tests": moment(expect="firing")}, "tests[1].timeline[0].expect: found 'firing'"),
        ({"tests": moment(at="soon")}, "tests[1].timeline[0].at: not a duration: 'soon'"),
        ({"tests": moment(value="gone")}, "tests[1].timeline[0].value: found nothing"),
        ({"tests": moment(values=1)}, 'tests[1].timeline[0].values: unknown key "values" (did you mean "value"?)'),
        ({"tests": [FIRES, {"name": "s", "timeline": SILENT["timeline"] * 2}]},
         "tests[1].timeline[1].at: found 0m (accepted: after the line before)"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(changes: dict[str, Any], expected: str) -> None:
    found = problems(**changes)
    assert any(problem.startswith(expected) for problem in found), found


def test_all_problems_of_all_files_in_one_list() -> None:
    documents = {
        "b/two.yaml": tree(id="two", kpi="winrate", window="9x", summary=None),
        "a/one.yaml": "not a mapping",
        "c/win-rate-drop.yaml": tree(),
        "d/win-rate-drop.yaml": tree(),
    }
    rules, found = parse_rules(documents, KNOWN)
    assert [rule.id for rule in rules] == ["win-rate-drop"]
    assert [(p.file, p.key) for p in found] == [
        ("a/one.yaml", ""),
        ("b/two.yaml", "kpi"),
        ("b/two.yaml", "window"),
        ("b/two.yaml", "summary"),
        ("d/win-rate-drop.yaml", "id"),
    ]
    assert "is the id of c/win-rate-drop.yaml too" in str(found[-1])


def test_a_runbook_must_exist_where_pages_are_known() -> None:
    known = type(KNOWN)(KNOWN.kpis, ["docs/runbooks/win-rate.md"])
    _, found = parse_rules({FILE: tree()}, known)
    assert [str(p) for p in found] == [
        f"{FILE}: runbook: no such page 'docs/runbooks/win-rate-drop.md' (did you mean \"docs/runbooks/win-rate.md\"?)"
    ]
    assert parse_rules({FILE: tree(runbook="https://wiki.example.com/x")}, known)[1] == []
