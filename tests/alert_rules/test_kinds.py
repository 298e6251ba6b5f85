"""The kinds of rules: what is measured, what is said, and what of a file is refused."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.lifecycle import AlertChange, AlertState, decode_state, encode_state, evaluate
from alert_rules.judge.posterior import change_of_count, change_of_share, of_interval
from alert_rules.judge.rule import Direction, Known, KpiFacts, KpiRule, Statistic
from alert_rules.judge.transition_record import written
from alert_rules.parse.rule_file import parse_rules
from alert_rules.trial.rule_test_run import describe, run
from alert_rules.words.alert import letter
from models.calendar import MINUTE_MS, epoch_ms
from models.targets import Target, Targets
from models.time_intervals import usual
from tests.alert_rules.readings import BASE, reading, records

KNOWN = Known(
    {
        "win_rate": KpiFacts("ratio", "Win rate", ("source", "owner"), bounded=True, topics=("deals",)),
        "revenue": KpiFacts("money", "Revenue", ("owner",), sampled=False, additive=True, topics=("deals",)),
        "leads": KpiFacts("count", "Leads", ("source",), sampled=False, additive=True, topics=("leads",)),
        "nps": KpiFacts("score", "Net Promoter Score", (), interval=True),
        "lead_response_time": KpiFacts("seconds", "Lead response time", ("source",)),
    },
    intervals=usual("UTC"),
    targets=Targets([Target("revenue", "month", "total", 100_000), Target("revenue", "month", "owner=ann", 10_000)]),
)
MONDAY = epoch_ms(datetime(2026, 1, 5, tzinfo=UTC))
HOUR = 60


def tree(**changes: Any) -> dict[str, Any]:
    """A sound rule as parsed YAML; a change to None removes the key."""
    moments = {k: v for k, v in changes.pop("moment", {}).items()}
    fires = {"at": "0m", "expect": "warn"} | moments
    quiet = {"at": "0m", "value": None, "expect": "inactive"} | {name: None for name in moments}
    sound: dict[str, Any] = {
        "id": "one", "kpi": "revenue", "window": "7d", "labels": {}, "summary": "{value}", "runbook": "https://example.com",
        "tests": [{"name": "fires", "timeline": [fires]}, {"name": "not", "timeline": [quiet]}],
    }  # fmt: skip
    return {key: value for key, value in (sound | changes).items() if value is not None}


def rule(**changes: Any) -> Any:
    rules, problems = parse_rules({"rules/one.yaml": tree(**changes)}, KNOWN)
    assert not problems, [str(p) for p in problems]
    assert not run(rules[0])
    return rules[0]


def problems(**changes: Any) -> list[str]:
    _, found = parse_rules({"rules/one.yaml": tree(**changes)}, KNOWN)
    return [str(problem).removeprefix("rules/one.yaml: ") for problem in found]


CHANGE = {"change": {"below": "-30%", "clear_above": "-20%"}, "moment": {"value": 60, "previous": 100}}


def past(value: float | None, now: float | None = None, **more: Any) -> dict[str, Any]:
    """A reading's fields for a change: what it is now, and what it was."""
    fields: dict[str, Any] = {
        "kpi": "revenue",
        "segment": {},
        "unit": "money",
        "numerator": None,
        "denominator": None,
        "currency": "EUR",
    }
    return {**fields, "value": now, "against": {"previous": {"value": value} | more}}


def run_through(one: Any, *steps: tuple[float, dict[str, Any]], base: int = BASE) -> tuple[list[str], list[AlertChange]]:
    state: AlertState | None = None
    states: list[str] = []
    said: list[AlertChange] = []
    for minutes, fields in steps:
        at = base + round(minutes * MINUTE_MS)
        fields = {"at": at, "start": at, "kpi": one.kpi, "segment": {}, **fields}
        seen = replace(reading(minutes, None, None), **fields)
        state, transitions = evaluate(one, state if state is None else decode_state(encode_state(state)), seen)
        states.append(describe(state))
        said += transitions
    return states, said


# ── change ──


def test_a_relative_change() -> None:
    states, said = run_through(
        rule(**CHANGE), (0, past(100, 90)), (1, past(100, 70)), (2, past(100, 69)), (3, past(100, 75)), (4, past(100, 80))
    )
    assert states == ["inactive", "inactive", "warn", "warn recovering", "inactive"]
    assert written(rule(**CHANGE), said[0]).reason == "−31 % (69 EUR, 100 EUR in the period before) is below −30 %"
    assert letter(written(rule(**CHANGE), said[0])).title == "[WARN] Revenue: −31 % (69 EUR, 100 EUR in the period before)"
    assert written(rule(**CHANGE), said[0]).measured == pytest.approx(-0.31)


@pytest.mark.parametrize("before", [None, 0])
def test_nothing_to_compare_with_says_nothing(before: float | None) -> None:
    assert run_through(rule(**CHANGE), (0, past(before, 10)), (1, past(100, None)))[0] == ["inactive", "inactive"]


def test_a_change_from_below_zero_goes_the_right_way() -> None:
    nps = rule(kpi="nps", change={"below": "-30%"}, moment={"value": -60, "previous": -40})
    fields = {"unit": "score", "currency": None}
    assert run_through(nps, (0, past(-40, -60) | fields), (1, past(-40, -20) | fields))[0] == ["warn", "inactive"]


def test_an_absolute_change_is_in_the_kpis_unit() -> None:
    points = rule(kpi="win_rate", change={"versus": "same_last_week", "below": -0.05}, moment={"value": 0.2, "previous": 0.3})
    fields = {"value": 0.24, "unit": "ratio", "against": {"same_last_week": {"value": 0.3}}}
    states, said = run_through(points, (0, fields), (1, fields | {"value": 0.26}))
    assert states == ["warn", "inactive"]
    assert "a week before" in str(written(points, said[0]).reason)


def test_a_ladder_of_changes_with_wait() -> None:
    fall = rule(
        change={"versus": "previous"}, warn={"below": "-20%"}, critical={"below": "-50%", "clear_above": "-40%"},
        moment={"value": 60, "previous": 100},
    )  # fmt: skip
    steps = [(minute, past(100, now)) for minute, now in enumerate((75, 40, 55, 65, 90))]
    assert run_through(fall, *steps)[0] == ["warn", "critical", "critical recovering", "warn", "inactive"]


def test_too_few_cases_in_either_period() -> None:
    fall = rule(
        kpi="win_rate",
        change={"below": "-30%"},
        min_samples=20,
        moment={"value": 0.1, "sample": 30, "previous": 0.3, "previous_sample": 30},
    )
    for now, before, expected in ((30, 30, "warn"), (19, 30, "inactive"), (30, 19, "inactive")):
        fields = past(0.3, 0.1, denominator=before, numerator=0.3 * before) | {"denominator": now, "numerator": 0.1 * now}
        assert run_through(fall, (0, fields))[0] == [expected]


# ── the rest of the kinds ──


def unusual(deviations: float | None) -> dict[str, Any]:
    return {"value": 3, "against": {"seasonal": {"value": 10, "expected": 40, "spread": 5, "deviations": deviations}}}


@pytest.mark.parametrize(
    ("side", "six_above", "six_below"), [("both", "warn", "warn"), ("below", "inactive", "warn"), ("above", "warn", "inactive")]
)
def test_an_anomaly_has_sides(side: str, six_above: str, six_below: str) -> None:
    value, one = (70, 40) if side == "above" else (10, 40)
    strange = rule(window="day", anomaly={"mad": 4, "side": side}, moment={"value": value, "expected": one, "spread": 5})
    assert [run_through(strange, (0, unusual(d)))[0][0] for d in (6, -6, 3)] == [six_above, six_below, "inactive"]
    assert run_through(strange, (0, unusual(None)))[0] == ["inactive"]


def test_an_anomaly_is_told_with_what_was_expected() -> None:
    summary = "{value} instead of {expected}, {deviations:.1f} off"
    strange = rule(window="day", anomaly={"mad": 4}, summary=summary, moment={"value": 10, "expected": 40, "spread": 5})
    (said,) = run_through(strange, (0, unusual(-6)))[1]
    assert written(strange, said).reason == "6 deviations from what is usual (10, 40 expected) is above 4 deviations"
    assert letter(written(strange, said)).text.startswith("10 instead of 40, -6.0 off")


@pytest.mark.parametrize(
    ("more", "window", "said"),
    [
        ({"weekday": 0}, "day", "(21, usually 40 to 55 on Mondays)"),
        ({"weekday": 4, "holiday": "Christmas Day"}, "day", "(21, usually 40 to 55 on holidays (Christmas Day))"),
        ({}, "1h", "(21, usually 40 to 55 at this hour)"),
        ({}, "week", "(21, usually 40 to 55 in a week)"),
    ],
)
def test_an_anomaly_is_told_with_what_is_usual_on_such_a_day(more: dict[str, Any], window: str, said: str) -> None:
    strange = rule(kpi="leads", window=window, anomaly={"mad": 4}, moment={"value": 21, "expected": 47, "spread": 6})
    usual = {"value": 21, "expected": 47, "low": 40, "high": 55, "spread": 6, "deviations": -5.2, **more}
    (one,) = run_through(strange, (0, {"value": 3, "unit": "count", "window": window, "against": {"seasonal": usual}}))[1]
    assert written(strange, one).reason == f"5.2 deviations from what is usual {said} is above 4 deviations"


def test_the_pace_of_a_target() -> None:
    pace = rule(
        window="month", target={"pace_below": 0.9, "after": "20%"}, moment={"value": 40_000, "target": 100_000, "elapsed": 0.5}
    )

    def at(value: float, elapsed: float) -> dict[str, Any]:
        target = {"value": 100_000, "due": 100_000 * elapsed, "elapsed": elapsed}
        return {"value": value, "currency": "EUR", "unit": "money", "against": {"target": target}}

    states, said = run_through(
        pace,
        (0, at(100, 0.1)),
        (1, at(20_000, 0.5)),
        (2, at(45_000, 0.5)),
        (3, {"value": 1, "against": {"target": {"why": "none"}}}),
    )
    assert states == ["inactive", "warn", "inactive", "inactive"]
    assert written(pace, said[0]).reason == "40 % of the pace (20,000 EUR of the 50,000 EUR due by now) is below 90 %"


def test_absence() -> None:
    gone = rule(
        kpi="leads", window="1h", absent="2h", severity="critical",
        tests=[
            {"name": "a", "timeline": [
                {"at": 0, "value": 0, "expect": "pending"},
                {"at": "2h", "value": None, "expect": "critical", "says": "nothing for 2 h"},
            ]},
            {"name": "b", "timeline": [{"at": 0, "value": 1, "expect": "inactive"}]},
        ],
    )  # fmt: skip
    states, said = run_through(
        gone, (0, {"value": 0}), (119, {"value": None}), (121, {"value": 0}), (130, {"value": 2, "unit": "count"})
    )
    assert states == ["pending", "pending", "critical", "inactive"]
    assert written(gone, said[-1]).reason == "there is something again: 2"
    assert letter(written(gone, said[1])).title == "[CRITICAL] Leads: nothing"


# ── keep_firing_for, active ──

LOW = {"kpi": "win_rate", "warn": {"below": 0.2, "clear_above": 0.22}, "moment": {"value": 0.1}}


def share(value: float | None) -> dict[str, Any]:
    return {"value": value, "unit": "ratio"}


def test_it_keeps_firing_until_it_has_been_clear_for_so_long() -> None:
    low = rule(**LOW, keep_firing_for="10m")
    states, said = run_through(
        low, (0, share(0.1)), (1, share(0.3)), (9, share(0.3)), (10, share(0.1)), (11, share(0.3)), (20, share(0.21)),
        (21, share(0.3)), (25, share(None)), (32, share(0.3)), (36, share(0.3)), (38, share(0.3)),
    )  # fmt: skip
    recovering = "warn recovering"
    assert states == [
        "warn",
        *[recovering] * 2,
        "warn",
        *[recovering] * 6,
        "inactive",
    ]  # the 7 minutes without a value do not count
    assert written(low, said[1]).reason == "30 % is clear; kept for 10 min"
    assert written(low, said[-1]).reason == "30 % is at or above 22 % for 10 min"


def test_outside_its_times_nothing_begins_and_what_has_spoken_may_end() -> None:
    low = rule(**LOW, active="business_hours", tests=[
        {"name": "a", "timeline": [{"at": "9h", "value": 0.1, "expect": "warn"}]},  # a Thursday
        {"name": "b", "timeline": [{"at": "8h", "value": 0.1, "expect": "inactive"}]},
    ])  # fmt: skip
    day = 24 * HOUR
    states, _ = run_through(
        low, (8 * HOUR, share(0.1)), (9 * HOUR, share(0.1)), (18 * HOUR, share(0.1)), (19 * HOUR, share(0.3)),
        (20 * HOUR, share(0.1)), (day + 9 * HOUR, share(0.1)), (5 * day + 12 * HOUR, share(0.1)),
        (5 * day + 13 * HOUR, share(0.3)), (5 * day + 14 * HOUR, share(0.1)), base=MONDAY,
    )  # fmt: skip
    assert states == ["inactive", "warn", "warn", "inactive", "inactive", "warn", "warn", "inactive", "inactive"]


def test_the_night_does_not_count_towards_for() -> None:
    low = rule(**LOW, active=["business_hours"], **{"for": "2h"}, tests=[
        {"name": "a", "timeline": [
            {"at": "9h", "value": 0.1, "expect": "pending"}, {"at": "11h", "value": 0.1, "expect": "warn"},
        ]},
        {"name": "b", "timeline": [{"at": "8h", "value": 0.1, "expect": "inactive"}]},
    ])  # fmt: skip
    day = 24 * HOUR
    states, _ = run_through(
        low, (17 * HOUR, share(0.1)), (18 * HOUR, share(0.1)), (30 * HOUR, share(0.1)), (day + 9 * HOUR, share(0.1)),
        (day + 9 * HOUR + 59, share(0.1)), (day + 10 * HOUR, share(0.1)), base=MONDAY,
    )  # fmt: skip
    assert states == [*["pending"] * 5, "warn"]


# ── how sure ──


def test_the_change_of_a_count_against_the_binomial_sum() -> None:
    """With the counts' prior left out, P(X ≤ n of the total) is a sum that can be written down."""
    exact = sum(math.comb(50, k) for k in range(15, 51)) / 2**50  # P(15 or more of 50 at even odds)
    assert change_of_count(Direction.BELOW, 0.0, 14.5, 35.5) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("direction", list(Direction))
def test_certainties_are_probabilities_and_opposites(direction: Direction) -> None:
    other = Direction.ABOVE if direction is Direction.BELOW else Direction.BELOW
    for now, before in ((0, 0), (3, 30), (300, 30), (10_000, 9_000)):
        p = change_of_count(direction, -0.3, now, before)
        assert 0 <= p <= 1 and p + change_of_count(other, -0.3, now, before) == pytest.approx(1)
        q = change_of_share(direction, -0.3, (now / 2, now), (before / 3, before))
        assert 0 <= q <= 1 and q + change_of_share(other, -0.3, (now / 2, now), (before / 3, before)) == pytest.approx(1)
    assert of_interval(direction, 5, 5, 0, 10) == pytest.approx(0.5)
    assert of_interval(Direction.BELOW, 10, 5, 0, 10) == pytest.approx(0.975)
    assert of_interval(Direction.BELOW, 6, 5, 5, 5) == 1


def test_a_fall_of_few_leads_is_chance_and_of_many_is_not() -> None:
    fall = {"kpi": "leads", "change": {"below": "-30%"}, "sure": 0.9, "moment": {"value": 100, "previous": 200}}
    one = rule(**fall)
    for now, before, expected in (
        (6, 10, "inactive"),
        (60, 100, "inactive"),
        (45, 100, "warn"),
        (0, 10, "warn"),
        (600, 1000, "warn"),
    ):
        assert run_through(one, (0, past(before, now) | {"unit": "count"}))[0] == [expected], (now, before)


def test_a_score_is_sure_by_its_interval() -> None:
    low = replace(rule(kpi="nps", warn={"below": 20}, moment={"value": 10}), sure=0.9, statistic=Statistic.NORMAL)
    fields = {"value": 15, "unit": "score"}
    wide, narrow = {"low": 0, "high": 30}, {"low": 12, "high": 18}
    assert run_through(low, (0, fields | wide), (1, fields), (2, fields | narrow))[0] == ["inactive", "inactive", "warn"]
    rules, found = parse_rules({"rules/one.yaml": tree(kpi="nps", warn={"below": 20}, sure=0.9, moment={"value": 10})}, KNOWN)
    assert not found and isinstance(rules[0], KpiRule) and rules[0].statistic is Statistic.NORMAL
    assert run(rules[0]), "a moment without low and high cannot be sure"


# ── what is refused ──


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (CHANGE | {"anomaly": {"mad": 3}}, "anomaly: found beside change (accepted: one of change, anomaly, target, absent)"),
        (CHANGE | {"change": {"versus": "last_week", "below": "-30%"}},
         "change.versus: found 'last_week' (did you mean \"same_last_week\"?)"),
        (CHANGE | {"change": {"below": "-30%", "above": "30%"}}, "change: found below and above"),
        (CHANGE | {"change": {"versus": "previous"}}, "change: found no threshold"),
        (CHANGE | {"change": {"below": "-30%", "clear_above": -20}},
         "change.clear_above: found -20 (accepted: a percentage, such as -30%)"),
        (CHANGE | {"change": {"below": "-30%", "clear_above": "-40%"}}, "change.clear_above: found -0.4 (accepted: at or above"),
        (CHANGE | {"change": {"below": "30 percent"}}, "change.below: found '30 percent' (accepted: a number of currency units)"),
        (CHANGE | {"kpi": "leads", "change": {"above": "-120%"}}, "change.above: found -1.2: always true of a change"),
        (CHANGE | {"kpi": "leads", "change": {"below": "-100%"}}, "change.below: found -1: never true of a change"),
        (CHANGE | {"warn": {"below": "-10%"}}, "warn: found beside the threshold in change"),
        (CHANGE | {"window": "20d"}, "window: found 20d: hours are not kept for two of it"),
        ({"anomaly": {"mad": 4}, "window": "7d"},
         "window: found 7d: what is usual is known of complete periods (accepted: 1h, day, week)"),
        ({"anomaly": {"mad": 4, "side": "under"}, "window": "day"}, "anomaly.side: found 'under' (accepted: both, below, above)"),
        ({"anomaly": {"mad": -1}, "window": "day"}, "anomaly.mad: found -1: always true of how far"),
        ({"anomaly": {"side": "both"}, "warn": {"below": 3}, "window": "day"},
         "warn: found below (accepted with anomaly: above)"),
        ({"target": {"pace_below": 0.9}}, "window: found 7d: a target is for a calendar period"),
        ({"target": {"pace_below": 0.9}, "window": "week"}, 'target: there is no target of "revenue" for a week'),
        ({"target": {"pace_below": 0.9}, "kpi": "nps", "window": "month"}, 'target: "nps" does not grow over the period'),
        ({"target": {"pace_below": "90"}, "window": "month"}, "target.pace_below: found '90' (accepted: a number)"),
        ({"target": {"pace_below": 0.9, "after": 0.2}, "window": "month"}, "target.after: found 0.2 (accepted: a percentage"),
        ({"absent": "0"}, "absent: not a duration"),
        ({"absent": 0}, "absent: found 0: every quiet moment would speak"),
        ({"absent": "2h", "for": "1h"}, "for: found beside absent"),
        ({"absent": "2h", "severity": "bad"}, "severity: found 'bad' (accepted: warn, critical)"),
        ({"warn": {"below": 5}, "severity": "warn"}, "severity: goes with a threshold in change"),
        ({"warn": {"below": 5}, "active": "nights"},
         "active: undefined time interval 'nights' (accepted: business_hours, weekdays)"),
        ({"warn": {"below": 5}, "active": []}, "active: found []"),
        ({"warn": {"below": 5}, "groups": 0}, "groups: found 0 (accepted: a whole number from 1 to 10000)"),
        ({"warn": {"below": 5}, "keep_firing_for": "soon"}, "keep_firing_for: not a duration: 'soon'"),
        ({"warn": {"below": 5}, "sure": 0.9}, 'sure: there is no stated test for value of "revenue"'),
        ({"kpi": "leads", "warn": {"above": -1}}, "warn.above: found -1: always true of a number of cases"),
        ({"kpi": "leads", "warn": {"below": 0}}, "warn.below: found 0: never true of a number of cases"),
        ({"kpi": "leads", "warn": {"below": "4h"}}, "warn.below: found '4h' (accepted: a number)"),
        ({"warn": {"below": "30%"}}, "warn.below: found '30%' (accepted: a number of currency units)"),
        ({"kpi": "lead_response_time", "warn": {"above": "30%"}}, "warn.above: not a duration: '30%'"),
        ({"kpi": "nps", "warn": {"below": 120}}, "warn.below: found 120: always true of a score"),
        ({"kpi": "win_rate", "warn": {"above": 1}}, "warn.above: found 1: never true of a share"),
        (CHANGE | {"summary": "{expected}"}, "summary: unknown field {expected}"),
        (CHANGE | {"moment": {"value": 60}}, "tests[0].timeline[0].previous: found nothing"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(changes: dict[str, Any], expected: str) -> None:
    found = problems(**changes)
    assert any(problem.startswith(expected) for problem in found), found


# ── a bound on groups ──


def test_a_rule_holds_so_many_alerts_and_counts_the_rest() -> None:
    low = rule(**LOW, by="source", groups=2)
    fold = EvaluateAlerts([low])

    def say(minutes: float, value: float, *places: str) -> None:
        readings = [reading(minutes, value, segment={"source": place}, window="7d").encode() for place in places]
        fold.fold(records("readings", *readings))

    say(0, 0.1, "a", "b", "c", "d")
    assert ([alert["segment"]["source"] for alert in fold.current()], fold.beyond) == (["a", "b"], {"one": 2})
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    say(1, 0.5, "a")
    say(2, 0.1, "c", "d")
    assert [alert["segment"]["source"] for alert in fold.current()] == ["b", "c"]
    again = EvaluateAlerts([low])
    again.restore(rows)
    again.fold(records("readings", reading(3, 0.1, segment={"source": "e"}).encode()))
    assert len(again.current()) == 2


def test_what_is_wanted_is_put_together() -> None:
    first, second = (
        rule(**CHANGE),
        replace(rule(**CHANGE), id="two", condition=replace(rule(**CHANGE).condition, versus="same_last_week")),
    )
    (wanted,) = EvaluateAlerts([first, second]).wanted
    assert wanted == ("revenue", "7d", None, frozenset(("previous", "same_last_week")))
