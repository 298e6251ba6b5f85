"""What is written of a transition: the record on ``alerts``, which has all that words are made of."""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.explanation import ends_of
from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.life_table import TransitionKind
from alert_rules.judge.lifecycle import AlertChange
from alert_rules.judge.observation import Observation, measure
from alert_rules.judge.rule import Direction, KpiRule, Rule
from alert_rules.kinds.condition import sample
from alert_rules.kinds.value import VALUE
from alert_rules.records.alerts import Transition as TransitionRecord
from alert_rules.records.entity_facts import FACTS
from alert_rules.records.facts import AlertFacts, Severity, StateChange
from alert_rules.words import alert as words
from alert_rules.words.letter import in_english
from alert_rules.words.quantities import fill
from alert_rules.words.reader import ANYBODY
from models.calendar import iso
from models.kpis.reading import Reading
from models.owners import Owners
from models.panes.store import TOTAL

#: Nobody is known by name: owners are told by their ids.
NOBODY = Owners()


def written(
    rule: Rule | str, transition: AlertChange, why: Mapping[str, Any] | None = None, people: Owners = NOBODY
) -> TransitionRecord:
    """Return a transition as it travels. Deterministic. ``why`` is its explanation, ``rule`` the id of one that is gone."""
    seen, severity, started = transition.seen, transition.severity, transition.started
    ended = transition.kind is TransitionKind.RESOLVED or why is None
    facts = (
        _of_gone(rule) | _of_alert(transition.segment, severity, started)
        if isinstance(rule, str)
        else known(rule, transition.segment, severity, started, seen, people)
    )
    found = TransitionRecord(
        id=transition.id,
        incident=transition.incident,
        kind=transition.kind.value,
        state=StateChange(transition.before, transition.after),
        severity_before=transition.severity_before,
        at=iso(transition.at),
        fired=None if transition.fired is None else iso(transition.fired),
        cause=transition.cause,
        explanation=None if why is None else dict(why),
        ends=None if ended or isinstance(rule, str) else ends_of(rule, severity, seen),
        **facts,
    )
    found.reason = ANYBODY.words.cause(found)
    found.message = in_english(words.letter(found))
    return found


def facts_of(
    rule: Rule, segment: str, severity: Severity, started: int, seen: Observation | None, people: Owners = NOBODY
) -> AlertFacts:
    """Return what is known of an alert that stands, by what was seen of it last."""
    return AlertFacts(incident="", kind="fired", **known(rule, segment, severity, started, seen, people))


def summary(facts: AlertFacts) -> str:
    """Return the rule's summary, filled in; without a reading its numbers are told as ``no value``."""
    return fill(facts.template or "", words.fields(facts))


def check_summary(rule: Rule) -> None:
    """Raise :class:`alert_rules.words.quantities.TemplateError` where the summary cannot be filled in, whatever is seen."""
    for value in (0.5, None):
        seen: Observation
        if isinstance(rule, KpiRule):
            names = ("value", "due", "elapsed", "expected", "deviations", "sample")
            past = {name: dict.fromkeys(names, value) for name in rule.condition.against}
            segment = {} if rule.by is None else {rule.by: "web"}
            seen = Reading(rule.kpi, rule.window, segment, 0, 0, value, value, value, value, value, rule.unit, against=past)
        else:
            seen = EntityFinding(rule.id, {rule.by: "web"}, 0, value, rule.unit, None, {})
        summary(facts_of(rule, seen.segment_name, rule.ladder[0].severity, 0, seen))


def known(rule: Rule, segment: str, severity: Severity, started: int, seen: Observation | None, people: Owners) -> dict[str, Any]:
    """Return the fields of an alert that its rule, and what it was last judged by, say."""
    return _of_rule(rule, severity) | _of_alert(segment, severity, started) | _of_seen(rule, seen, people)


def _of_alert(segment: str, severity: Severity, started: int) -> dict[str, Any]:
    dimension, _, place = segment.partition("=")
    return {"segment": {} if segment == TOTAL else {dimension: place}, "severity": severity, "since": iso(started)}


def _of_rule(rule: Rule, severity: Severity) -> dict[str, Any]:
    step = rule.step(severity)
    common = {
        "rule": rule.id,
        "rule_title": rule.title,
        "unit": rule.unit,
        "threshold": step.threshold if step else None,
        "clear": step.clear if step else None,
        "direction": rule.direction.value,
        "threshold_unit": rule.measure_unit,
        "depends": list(rule.depends),
        "sure": rule.sure,
        "labels": dict(rule.labels),
        "runbook": rule.runbook,
        "template": rule.summary,
        "zone": getattr(rule.zone, "key", "UTC"),
        "spoken": rule.spoken,
        "spoken_limit": rule.spoken_limit,
        "wait": rule.wait,
    }
    if not isinstance(rule, KpiRule):
        return common | {"condition": FACTS, "watched": rule.watch.KEY}
    condition = rule.condition
    return common | {"kpi": rule.kpi, "window": rule.window, "condition": condition.KEY, "versus": condition.versus}


def _of_gone(rule: str) -> dict[str, Any]:
    """Return what is left of a rule that is no longer there: enough to say that its alert has ended."""
    return {
        "rule": rule, "rule_title": rule, "unit": "count", "threshold_unit": "count", "spoken": "count", "spoken_limit": "count",
        "direction": Direction.BELOW.value, "condition": VALUE.KEY, "depends": [], "labels": {}, "wait": 0,
        "runbook": "docs/alerts.md", "zone": "UTC",
    }  # fmt: skip


def _of_seen(rule: Rule, seen: Observation | None, people: Owners) -> dict[str, Any]:
    match seen:
        case None:
            return {}
        case Reading():
            found: dict[str, Any] = {
                "low": seen.low,
                "high": seen.high,
                "numerator": seen.numerator,
                "denominator": seen.denominator,
                "sample": sample(seen),
                "start": iso(seen.start),
                "against": None if seen.against is None else dict(seen.against),
            }
            owners = {seen.segment.get("owner")}
        case EntityFinding():
            found = {"start": iso(seen.at), "against": {FACTS: dict(seen.facts)}}
            owners = {seen.facts.get("owner")}
    names = {str(id): name for id in owners if id and (name := people.name(str(id))) != id}
    shown = {"value": seen.value, "currency": seen.currency, "measured": measure(rule, seen, 0), "names": names or None}
    return found | shown
