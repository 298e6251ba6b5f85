"""The rules that come with Vigie: sound, tested by their own timelines, and each with a page that exists."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.life_table import Phase
from alert_rules.judge.life_table import TransitionKind as Transitions
from alert_rules.judge.lifecycle import AlertState, Hold, _cause, orphaned
from alert_rules.judge.observation import Observation
from alert_rules.judge.rule import KpiRule, Rule, Timeline, TimelineMoment
from alert_rules.judge.transition_record import written
from alert_rules.kinds.standing import StandingCondition
from alert_rules.kinds.target import TargetPace
from alert_rules.trial.rule_test_run import run
from alert_rules.words.alert import letter
from models.calendar import MINUTE_MS
from models.kpis.reading import Reading
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import rule
from vigie.rule_files import load_rules

ROOT = Path(__file__).parents[2]
RULES = load_rules(load_catalogue())


def test_there_are_enough_and_each_has_a_reason_to_be() -> None:
    ids = [shipped.id for shipped in RULES]
    assert len(ids) >= 12
    watched = [rule if isinstance(rule, KpiRule) else rule.watch for rule in RULES]
    assert len({(one.kpi, one.window, one.by, one.condition) if isinstance(one, KpiRule) else one for one in watched}) == len(ids)


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_its_own_tests_pass(shipped: Rule) -> None:
    assert run(shipped) == []


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_its_tests_notice_other_thresholds(shipped: Rule) -> None:
    """A test that passes whatever the thresholds are is no test."""
    for moved in (0.5, 2.0):
        ladder = tuple(
            replace(step, threshold=step.threshold * moved - (0.1 if not step.threshold else 0), clear=step.clear * moved)
            for step in shipped.ladder
        )
        whether = not isinstance(shipped, KpiRule) and isinstance(shipped.watch, StandingCondition) and shipped.watch.WHETHER
        assert run(replace(shipped, ladder=ladder)) or shipped.is_absence or whether, moved
    nothing_of: dict[str, Any] = {"wait": 0, "min_samples": 0, "sure": None, "times": ()}
    for name, nothing in nothing_of.items():
        if isinstance(shipped, KpiRule) and getattr(shipped, name):
            assert run(replace(shipped, **{name: nothing})), name
    if isinstance(shipped, KpiRule) and isinstance(shipped.condition, TargetPace) and shipped.condition.after:
        assert run(replace(shipped, condition=replace(shipped.condition, after=0.0)))


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_it_is_not_judged_in_the_middle_of_a_history(shipped: Rule) -> None:
    """A figure of the first seconds is one of a part of the events; what is said of single ones has its own ways to wait."""
    assert not isinstance(shipped, KpiRule) or shipped.wait >= 15 * MINUTE_MS


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_its_runbook_names_it(shipped: Rule) -> None:
    assert f"`{shipped.id}`" in (ROOT / shipped.runbook).read_text("utf-8")


#: What is known of an entity, for the words of a rule on single ones.
KNOWN_OF: dict[str, dict[str, Any]] = {
    "deal": {"stage": "legal", "owner": "ann", "amount": 1.0, "stage_age": 3600.0, "usual": 60.0, "win": 0.2, "win_before": 0.7},
    "lead": {"source": "web", "owner": "ann", "waited": 3600.0, "began": 1_767_571_200.0, "score": 1.0},
    "experiment": {"variant": "B", "guard": "Discount rate", "evidence": 31.0, "judged": 400},
    "objective": {"period": "month", "team": "north", "progress": 0.4, "pace": 0.7},
    "challenge": {"guard": "Discount rate"},
    "customer": {"left": "champions", "joined": "at risk", "worth": 1.0, "quiet_days": 60},
    "sender": {"sender": "crm", "feeds": "deals", "last": "2026-01-01T09:00:00Z", "silence": 3600.0},
}


def words_of(shipped: Rule, value: float) -> str:
    """Title and text of the rule's alert, with numbers of one."""
    segment = {} if shipped.by is None else {shipped.by: "web"}
    seen: Observation
    if isinstance(shipped, KpiRule):
        one = {"value": 1.0, "due": 1.0, "expected": 1.0, "deviations": -1.0, "elapsed": 0.5, "sample": 1.0}
        past = {name: one for name in (shipped.condition.versus or "previous", "seasonal", "target")}
        seen = Reading(shipped.kpi, shipped.window, segment, 0, 0, value, 1.0, 1.0, None, None, shipped.unit, "EUR", against=past)
    else:
        seen = EntityFinding(shipped.id, segment, 0, value, shipped.unit, None, KNOWN_OF[shipped.watch.ENTITY])
    state = AlertState(shipped.id, seen.segment_name, Phase.FIRING, shipped.ladder[0].severity, 0, 0, {}, None, 0)
    cause = _cause(shipped, replace(state, holds={state.severity: Hold(0, True)}), value, seen)
    ended = replace(orphaned(state, 60_000, ""), kind=Transitions.FIRED, seen=seen, cause=cause)
    said = letter(written(shipped, ended))
    return f"{said.title}\n{said.text}"


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_what_it_says_has_no_names_of_ours_and_counts_as_people_do(shipped: Rule, value: float) -> None:
    words = words_of(shipped, value).replace(shipped.runbook, "")
    assert shipped.title and shipped.title[0].isupper()
    assert not re.search(r"\w=\w|[a-z]_[a-z]|\d{4}-\d\d-\d\dT", words), words
    assert shipped.id not in words and (not isinstance(shipped, KpiRule) or "_" not in shipped.kpi or shipped.kpi not in words), (
        words
    )
    assert not re.search(r"\b1 (?:hours|days|points|deviations|deals|leads|answers|cases|alerts|working \w+s)\b", words), words
    assert "busy hour" not in words.partition("\n")[0]


def test_a_failure_says_where() -> None:
    wrong = Timeline(
        "wrong", (TimelineMoment(0, 0.1, 40, "warn", None), TimelineMoment(1_800_000, 0.1, 40, "critical", "nobody says this"))
    )
    failures = [str(failure) for failure in run(replace(rule(), tests=(wrong,)))]
    assert failures[0] == "win-rate-drop: wrong: at 0 s: expected warn, found pending"
    assert failures[1].startswith("win-rate-drop: wrong: at 1800 s: expected 'nobody says this' in the message, found 'Win rate")
