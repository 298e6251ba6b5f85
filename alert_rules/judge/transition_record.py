"""What is written of a transition: the record on ``alerts``, which has all that words are made of."""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.condition import ConditionKind as Condition
from alert_rules.judge.condition import measured
from alert_rules.judge.explanation import ends_of
from alert_rules.judge.finding import FACTS
from alert_rules.judge.lifecycle import AlertChange, TransitionKind
from alert_rules.judge.reading import sample
from alert_rules.judge.rule import Rule
from alert_rules.records.alerts import Transition as TransitionRecord
from alert_rules.records.facts import AlertFacts, Severity, StateChange
from alert_rules.words import alert as words
from alert_rules.words.letter import in_english
from alert_rules.words.quantities import fill
from models.calendar import iso
from models.kpis.reading import Reading
from models.owners import Owners

#: Nobody is known by name: owners are told by their ids.
NOBODY = Owners()


def written(
    rule: Rule, transition: AlertChange, why: Mapping[str, Any] | None = None, people: Owners = NOBODY
) -> TransitionRecord:
    """Return a transition as it travels. Deterministic. ``why`` is its explanation."""
    reading = transition.reading
    ended = transition.kind is TransitionKind.RESOLVED or why is None
    found = TransitionRecord(
        id=transition.id,
        incident=transition.incident,
        kind=transition.kind.value,
        state=StateChange(transition.before, transition.after),
        severity_before=transition.severity_before,
        at=iso(transition.at),
        fired=None if transition.fired is None else iso(transition.fired),
        reason=transition.reason,
        explanation=None if why is None else dict(why),
        ends=None if ended else ends_of(rule, transition.severity, reading),
        **_facts(rule, transition.segment, transition.severity, transition.started, reading, people),
    )
    found.message = in_english(words.letter(found))
    return found


def summary(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None, people: Owners = NOBODY) -> str:
    """Return the rule's summary, filled in; without a reading its numbers are told as ``no value``."""
    facts = AlertFacts(incident="", kind="fired", **_facts(rule, segment, severity, started, reading, people))
    return fill(rule.summary, words.fields(facts))


def check_summary(rule: Rule) -> None:
    """Raise :class:`alert_rules.words.quantities.TemplateError` where the summary cannot be filled in, whatever the reading."""
    segment = {} if rule.by is None else {rule.by: "web"}
    for value in (0.5, None):
        past = {
            name: dict.fromkeys(("value", "due", "elapsed", "expected", "deviations", "sample"), value)
            for name in rule.condition.against
        }
        if rule.entity is not None:
            past = {FACTS: {}}
        reading = Reading(rule.kpi, rule.window, segment, 0, 0, value, value, value, value, value, rule.unit, against=past)
        summary(rule, reading.segment_name, rule.ladder[0].severity, 0, reading)


def _facts(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None, people: Owners) -> dict[str, Any]:
    """Return what is known of an alert by its rule, and by the reading that it was last judged by."""
    dimension, _, place = segment.partition("=")
    step = rule.step(severity)
    return {
        "rule": rule.id,
        "rule_title": rule.title or rule.kpi,
        "kpi": rule.kpi or None,
        "window": rule.window or None,
        "segment": {} if segment == "total" else {dimension: place},
        "severity": severity,
        "since": iso(started),
        "value": reading.value if reading else None,
        "low": reading.low if reading else None,
        "high": reading.high if reading else None,
        "numerator": reading.numerator if reading else None,
        "denominator": reading.denominator if reading else None,
        "sample": sample(reading) if reading else None,
        "start": iso(reading.start) if reading else None,
        "unit": rule.unit,
        "currency": reading.currency if reading else None,
        "threshold": step.threshold if step else None,
        "clear": step.clear if step else None,
        "direction": rule.direction.value,
        "condition": rule.condition.kind.value,
        "measured": measured(rule.condition, reading, 0) if reading else None,
        "threshold_unit": rule.measure_unit,
        "against": dict(reading.against) if reading and reading.against is not None else None,
        "depends": list(rule.depends),
        "sure": rule.sure,
        "labels": dict(rule.labels),
        "runbook": rule.runbook,
        "template": rule.summary or None,
        "zone": getattr(rule.zone, "key", "UTC"),
        "spoken": rule.spoken,
        "spoken_limit": rule.spoken_limit,
        "wait": rule.wait,
        "watched": None if rule.entity is None else rule.entity.watched.value,
        "versus": rule.condition.versus if rule.condition.kind is Condition.CHANGE else None,
        "names": _names(reading, people) or None,
    }


def _names(reading: Reading | None, people: Owners) -> dict[str, str]:
    """Return what people call the owners whom an alert is about, by id, where that is not the id."""
    if reading is None:
        return {}
    ids = {reading.segment.get("owner"), ((reading.against or {}).get(FACTS) or {}).get("owner")}
    return {str(id): name for id in ids if id and (name := people.name(str(id))) != id}
