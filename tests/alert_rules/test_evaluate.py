import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.judge import lifecycle
from alert_rules.judge.life_table import TABLE, NextPhase, Phase, Signal, TransitionKind, following
from alert_rules.judge.lifecycle import AlertChange, AlertState, decode_state, encode_state, evaluate, orphaned
from alert_rules.judge.rule import Rule
from alert_rules.judge.transition_record import written
from alert_rules.trial.rule_test_run import describe
from models.calendar import MINUTE_MS
from tests.alert_rules.readings import BASE, reading, rule

RULE = rule()


def run(
    rule: Rule, *steps: tuple[float, float | None] | tuple[float, float | None, float]
) -> tuple[list[str], list[AlertChange]]:
    state: AlertState | None = None
    states: list[str] = []
    said: list[AlertChange] = []
    for step in steps:
        state, transitions = evaluate(rule, state, reading(*step))
        states.append(describe(state))
        said += transitions
    return states, said


#: What is drawn: minutes and values above, the state that must follow below.
CASES: list[tuple[str, dict[str, Any], list[tuple[Any, ...]], list[str], list[str]]] = [
    (
        "pending until `for` has elapsed",
        {},
        [(0, 0.19), (29, 0.19), (30, 0.19)],
        ["pending", "pending", "warn"],
        ["pending", "fired"],
    ),
    ("without `for` it fires at once", {"for": 0}, [(0, 0.19)], ["warn"], ["fired"]),
    ("gravest step first", {"for": 0}, [(0, 0.10)], ["critical"], ["fired"]),
    ("a dip is cancelled", {}, [(0, 0.19), (10, 0.20)], ["pending", "inactive"], ["pending", "cancelled"]),
    ("a dip does not count for the next one", {}, [(0, 0.1), (10, 0.3), (20, 0.1), (40, 0.1)],
     ["pending", "inactive", "pending", "pending"], ["pending", "cancelled", "pending"]),
    ("on the threshold is not beyond it", {"for": 0}, [(0, 0.20)], ["inactive"], []),
    ("each step waits its own `for`", {}, [(0, 0.19), (20, 0.10), (30, 0.10), (49, 0.10), (50, 0.10)],
     ["pending", "pending", "warn", "warn", "critical"], ["pending", "fired", "upgraded"]),
    ("down through the band to the end", {"for": 0}, [(0, 0.10), (1, 0.16), (2, 0.17), (3, 0.21), (4, 0.22)],
     ["critical", "critical recovering", "warn", "warn recovering", "inactive"],
     ["fired", "recovering", "downgraded", "recovering", "resolved"]),
    ("straight to the end", {"for": 0}, [(0, 0.10), (1, 0.5)], ["critical", "inactive"], ["fired", "resolved"]),
    ("a relapse within the band is one incident", {"for": 0}, [(0, 0.19), (1, 0.21), (2, 0.19)],
     ["warn", "warn recovering", "warn"], ["fired", "recovering", "relapsed"]),
    ("no value holds a firing alert", {"for": 0}, [(0, 0.19), (1, None), (2, 0.19)], ["warn", "warn", "warn"], ["fired"]),
    ("no value does not start an alert", {"for": 0}, [(0, None)], ["inactive"], []),
    ("too small a sample is no value", {"for": 0}, [(0, 0.0, 19), (1, 0.0, 20)], ["inactive", "critical"], ["fired"]),
    ("time without a value does not count towards `for`", {}, [(0, 0.1), (20, None), (120, 0.1), (129, 0.1), (130, 0.1)],
     ["pending", "pending", "pending", "pending", "critical"], ["pending", "fired"]),
    ("a reading older than the last change is ignored", {"for": 0}, [(5, 0.10), (4, 0.50)], ["critical", "critical"], ["fired"]),
    ("only one step", {"for": 0, "critical": None, "tests": [
        {"name": "f", "timeline": [{"at": 0, "value": 0.1, "sample": 20, "expect": "warn"}]},
        {"name": "s", "timeline": [{"at": 0, "value": 0.3, "sample": 20, "expect": "inactive"}]},
    ]}, [(0, 0.01), (1, 0.3)], ["warn", "inactive"], ["fired", "resolved"]),
    ("above", {"for": 0, "warn": {"above": 0.6, "clear_below": 0.5}, "critical": {"above": 0.8}},
     [(0, 0.6), (1, 0.61), (2, 0.81), (3, 0.80), (4, 0.55), (5, 0.5)],
     ["inactive", "warn", "critical", "warn", "warn recovering", "inactive"],
     ["fired", "upgraded", "downgraded", "recovering", "resolved"]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "steps", "states", "kinds"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_life(changes: dict[str, Any], steps: list[Any], states: list[str], kinds: list[str]) -> None:
    found, said = run(rule(**changes), *steps)
    assert found == states
    assert [t.kind for t in said] == kinds


def test_one_incident_has_one_id_and_every_transition_its_own() -> None:
    _, said = run(rule(**{"for": 0}), (0, 0.19), (1, 0.10), (2, 0.18), (3, 0.3), (4, 0.1))
    assert [t.kind for t in said] == [
        TransitionKind.FIRED,
        TransitionKind.UPGRADED,
        TransitionKind.DOWNGRADED,
        TransitionKind.RESOLVED,
        TransitionKind.FIRED,
    ]
    assert len({t.incident for t in said[:4]}) == 1
    assert said[4].incident != said[0].incident
    assert len({t.id for t in said}) == 5


def test_reason_and_times() -> None:
    _, said = run(RULE, (0, 0.10), (30, 0.10), (45, 0.4))
    assert [written(RULE, t).reason for t in said] == [
        "10 % is below 15 %",
        "10 % is below 15 % for 30 min",
        "40 % is at or above 17 %",
    ]
    assert [(t.before, t.after) for t in said] == [("inactive", "pending"), ("pending", "firing"), ("firing", "inactive")]
    assert (said[1].started, said[1].fired) == (BASE, BASE + 30 * MINUTE_MS)


def test_only_what_people_act_on_is_told() -> None:
    assert {kind for kind in TransitionKind if kind.notifies} == {"fired", "upgraded", "downgraded", "resolved"}


def test_a_severity_that_left_the_ladder_is_downgraded() -> None:
    state, _ = evaluate(rule(**{"for": 0}), None, reading(0, 0.1))
    lone = replace(rule(**{"for": 0}), ladder=rule().ladder[:1])
    state, said = evaluate(lone, state, reading(1, 0.1))
    assert (describe(state), [t.kind for t in said]) == ("warn", [TransitionKind.DOWNGRADED])


VALUES = st.one_of(st.none(), st.sampled_from([0.10, 0.15, 0.16, 0.17, 0.18, 0.20, 0.21, 0.22, 0.3]))
HISTORIES = st.lists(st.tuples(st.integers(0, 40), VALUES, st.sampled_from([10, 20, 50])), max_size=30)


@given(HISTORIES)
@settings(deadline=None)
def test_a_restart_after_every_reading_changes_nothing(history: list[tuple[int, float | None, int]]) -> None:
    at, straight, restarted = 0, None, None
    for wait, value, sample in history:
        at += wait
        one = reading(at, value, sample)
        straight, said = evaluate(RULE, straight, one)
        restarted = None if restarted is None else decode_state(encode_state(restarted))
        restarted, said_again = evaluate(RULE, restarted, one)
        assert (straight, [t.id for t in said]) == (restarted, [t.id for t in said_again])


@given(HISTORIES)
@settings(deadline=None)
def test_every_incident_is_well_formed(history: list[tuple[int, float | None, int]]) -> None:
    _, said = run(RULE, *[(sum(w for w, _, _ in history[: n + 1]), v, s) for n, (_, v, s) in enumerate(history)])
    state = "inactive"
    for transition in said:
        assert transition.before == state or transition.before == transition.after == state
        state = transition.after
    told = [t.kind for t in said if t.kind.notifies]
    depth = 0
    for kind in told:
        depth += {"fired": 1, "resolved": -1}.get(kind, 0)
        assert 0 <= depth <= 1 and (depth == 1 or kind == "resolved")


def test_every_row_of_the_table_is_lived_and_every_other_reading_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random readings under rules that change: no row is dead, and no state is met that the table does not know."""
    met: set[tuple[Phase, Signal]] = set()

    def noted(phase: Phase, signal: Signal) -> NextPhase:
        met.add((phase, signal))
        return following(phase, signal)

    monkeypatch.setattr(lifecycle, "following", noted)
    chance = random.Random(1)
    ladders: list[dict[str, Any]] = [
        {},
        {"warn": None},
        {"for": 0},
        {"critical": {"below": 0.05, "clear_above": 0.07}},
        {"keep_firing_for": "5m"},
    ]
    tests: dict[str, Any] = {"tests": [
        {"name": "a", "timeline": [{"at": 0, "value": 0.01, "sample": 20, "expect": "critical"}]},
        {"name": "b", "timeline": [{"at": 0, "value": 0.9, "sample": 20, "expect": "inactive"}]},
    ]}  # fmt: skip
    rules = [rule(**tests, **changes) for changes in ladders]
    for _ in range(300):
        state: AlertState | None = None
        for minute in range(0, 400, 10):
            before = state
            state, _ = evaluate(chance.choice(rules), state, reading(minute, chance.choice((0.01, 0.1, 0.16, 0.19, 0.21, 0.4))))
            if before is not None and chance.random() < 0.02:
                orphaned(before, BASE, "gone")
    assert met - {(Phase.INACTIVE, Signal.CLEAR)} >= set(TABLE) - {(Phase.INACTIVE, Signal.CLEAR)}
    assert met <= set(TABLE)
