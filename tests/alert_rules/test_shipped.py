"""The rules that come with Vigie: sound, tested by their own timelines, and each with a page that exists."""

from dataclasses import replace
from pathlib import Path

import pytest

from alert_rules.condition import Kind
from alert_rules.rule import Moment, Rule, Timeline
from alert_rules.timeline import run
from models.calendar import MINUTE_MS
from stream.catalogue import load_catalogue
from tests.alert_rules.readings import rule
from vigie.rules import load_rules

ROOT = Path(__file__).parents[2]
RULES = load_rules(load_catalogue())


def test_there_are_enough_and_each_has_a_reason_to_be() -> None:
    ids = [shipped.id for shipped in RULES]
    assert len(ids) >= 12
    assert len({(shipped.kpi, shipped.window, shipped.by, shipped.condition, shipped.entity) for shipped in RULES}) == len(ids)


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
        assert run(replace(shipped, ladder=ladder)) or shipped.condition.kind is Kind.ABSENT, moved
    for name, nothing in (("wait", 0), ("min_samples", 0), ("sure", None), ("times", ())):
        if getattr(shipped, name):
            assert run(replace(shipped, **{name: nothing})), name
    if shipped.condition.after:
        assert run(replace(shipped, condition=replace(shipped.condition, after=0.0)))


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_it_is_not_judged_in_the_middle_of_a_history(shipped: Rule) -> None:
    """A figure of the first seconds is one of a part of the events; what is said of single ones has its own ways to wait."""
    assert shipped.entity is not None or shipped.wait >= 15 * MINUTE_MS


@pytest.mark.parametrize("shipped", RULES, ids=lambda shipped: shipped.id)
def test_its_runbook_names_it(shipped: Rule) -> None:
    assert f"`{shipped.id}`" in (ROOT / shipped.runbook).read_text("utf-8")


def test_a_failure_says_where() -> None:
    wrong = Timeline("wrong", (Moment(0, 0.1, 40, "warn", None), Moment(1_800_000, 0.1, 40, "critical", "nobody says this")))
    failures = [str(failure) for failure in run(replace(rule(), tests=(wrong,)))]
    assert failures[0] == "win-rate-drop: wrong: at 0 s: expected warn, found pending"
    assert failures[1].startswith("win-rate-drop: wrong: at 1800 s: expected 'nobody says this' in the message, found 'Win rate")
