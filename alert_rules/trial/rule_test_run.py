"""Does a rule do what its own tests say?"""

from typing import NamedTuple

from alert_rules.judge.life_table import Phase
from alert_rules.judge.lifecycle import AlertState, evaluate
from alert_rules.judge.rule import EntityRule, KpiRule, Rule, SenderRule, StandingRule, Timeline, TimelineMoment
from alert_rules.judge.transition_record import written
from alert_rules.trial.entity_test_run import play
from alert_rules.words.alert import letter
from models.kpis.reading import Reading

_BASE = 1_767_225_600_000  # 2026-01-01: a timeline's zero, so that messages show plausible times


class Failure(NamedTuple):
    """A moment at which a rule was not as its test expects."""

    rule: str
    test: str
    at: int  # milliseconds from the timeline's start
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.test}: at {self.at // 1000} s: expected {self.expected}, found {self.found}"


def run(rule: Rule) -> list[Failure]:
    """Run the rule's tests with the same code as live; return what failed, in order."""
    return [failure for test in rule.tests for failure in _run(rule, test)]


def describe(state: AlertState | None) -> str:
    """Return a state in the words of ``expect``."""
    if state is None:
        return "inactive"
    match state.phase:
        case Phase.PENDING:
            return "pending"
        case Phase.FIRING:
            return state.severity.value
        case _:
            return f"{state.severity.value} recovering"


def _run_entity(rule: EntityRule | SenderRule | StandingRule, test: Timeline) -> list[Failure]:
    failures: list[Failure] = []
    for moment, found, message in play(rule, test, _BASE):
        if found != moment.expect:
            failures.append(Failure(rule.id, test.name, moment.at, moment.expect, found))
        if moment.says is not None and moment.says not in message:
            failures.append(
                Failure(rule.id, test.name, moment.at, f"{moment.says!r} in the message", repr(message or "no transition"))
            )
    return failures


def _run(rule: Rule, test: Timeline) -> list[Failure]:
    if not isinstance(rule, KpiRule):
        return _run_entity(rule, test)
    failures: list[Failure] = []
    state: AlertState | None = None
    for moment in test.moments:
        state, transitions = evaluate(rule, state, _reading(rule, moment))
        found = describe(state)
        if found != moment.expect:
            failures.append(Failure(rule.id, test.name, moment.at, moment.expect, found))
        if moment.says is not None:
            message = "\n".join(letter(written(rule, transition)).text for transition in transitions) or "no transition"
            if moment.says not in message:
                failures.append(Failure(rule.id, test.name, moment.at, f"{moment.says!r} in the message", repr(message)))
    return failures


def _reading(rule: KpiRule, moment: TimelineMoment) -> Reading:
    at = _BASE + moment.at
    segment = {} if rule.by is None else {rule.by: "web"}
    sample, value = moment.sample, moment.value
    numerator = None if sample is None or value is None else value * sample
    return Reading(
        rule.kpi,
        rule.window,
        segment,
        _BASE,
        at,
        value,
        numerator,
        sample,
        moment.low,
        moment.high,
        rule.unit,
        against=moment.against,
    )
