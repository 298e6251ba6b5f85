"""What is said to people about a transition?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.condition import Kind as Condition
from alert_rules.condition import against, measured, told
from alert_rules.durations import human
from alert_rules.entity import ATTRIBUTES, NUMBERS
from alert_rules.evaluate import Kind, Transition
from alert_rules.explain import behind_lines, told_facts
from alert_rules.finding import FACTS
from alert_rules.reading import sample
from alert_rules.rule import Direction, Rule, Severity
from alert_rules.wording import Quantity, fill, number
from models.calendar import iso
from models.kpis.earlier import SEASONAL, TARGET
from models.kpis.reading import Reading


@dataclass(frozen=True, slots=True)
class Message:
    """What a notifier sends, in its own form: one line, some lines, and the same as data."""

    title: str
    text: str
    data: dict[str, Any]


def summary(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None) -> str:
    """Return the rule's summary, filled in; without a reading its numbers are told as ``no value``."""
    return fill(rule.summary, _fields(rule, segment, severity, started, reading))


def _fields(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None) -> dict[str, str | Quantity]:
    """Return what a summary may name."""
    step = rule.step(severity)
    currency = reading.currency if reading is not None else None

    def of(value: float | None, unit: str = rule.unit) -> Quantity:
        return Quantity(value, unit, currency)

    if rule.entity is not None:
        return _of_entity(rule, segment, severity, started, reading)
    place = segment.partition("=")[2] or "total"
    found: dict[str, str | Quantity] = {
        "kpi": rule.title or rule.kpi,
        "window": rule.window,
        "segment": place,
        "severity": severity.value,
        "since": iso(started),
        "value": of(reading.value if reading else None),
        "low": of(reading.low if reading else None),
        "high": of(reading.high if reading else None),
        "numerator": of(reading.numerator if reading else None, "money" if rule.unit == "money" else "count"),
        "denominator": of(reading.denominator if reading else None, "count"),
        "sample": of(sample(reading) if reading else None, "count"),
        "threshold": of(step.threshold if step else None, rule.measure_unit),
        "clear": of(step.clear if step else None, rule.measure_unit),
    }
    found |= {name: of(value, unit) for name, (value, unit) in _compared(rule, reading).items()}
    if rule.by is not None:
        found[rule.by] = place
    return found


def _of_entity(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None) -> dict[str, str | Quantity]:
    """Return what the summary of a rule on single deals or leads may name."""
    assert rule.entity is not None and rule.by is not None
    facts = against(reading, FACTS) if reading is not None else {}
    currency, step = reading.currency if reading is not None else None, rule.step(severity)
    found: dict[str, str | Quantity] = {name: str(facts.get(name) or "unknown") for name in ATTRIBUTES[rule.by]}
    found |= {name: Quantity(facts.get(name), unit, currency) for name, unit in NUMBERS[rule.by].items()}
    if rule.by == "sender":
        found |= {name: str(facts.get(name) or "unknown") for name in ("feeds", "last")}
    return found | {
        rule.by: segment.partition("=")[2],
        "severity": severity.value,
        "since": iso(started),
        "value": Quantity(reading.value if reading else None, rule.unit, currency),
        "threshold": Quantity(step.threshold if step else None, rule.unit, currency),
    }


def _compared(rule: Rule, reading: Reading | None) -> dict[str, tuple[float | None, str]]:
    """Return what a rule of this kind may name beside the value, each with its unit."""
    condition, unit = rule.condition, rule.unit
    number = measured(condition, reading, 0) if reading is not None else None

    def part(name: str, key: str) -> float | None:
        return against(reading, name).get(key) if reading is not None else None

    match condition.kind:
        case Condition.CHANGE:
            return {"previous": (part(condition.versus, "value"), unit), "change": (number, condition.unit(unit))}
        case Condition.ANOMALY:
            return {
                "value": (part(SEASONAL, "value"), unit),
                "sample": (part(SEASONAL, "sample"), "count"),
                "expected": (part(SEASONAL, "expected"), unit),
                "deviations": (part(SEASONAL, "deviations"), "deviations"),
            }
        case Condition.TARGET:
            return {
                "target": (part(TARGET, "value"), unit),
                "due": (part(TARGET, "due"), unit),
                "elapsed": (part(TARGET, "elapsed"), "ratio"),
                "pace": (number, "ratio"),
            }
    return {}


def message(rule: Rule, transition: Transition, why: Mapping[str, Any] | None = None) -> Message:
    """Return what to say. Deterministic: the same transition is told in the same words. ``why`` is its explanation."""
    reading = transition.reading
    name = rule.title or rule.kpi
    place = "" if transition.segment == "total" else f" · {transition.segment}"
    head = f": {_headline(rule, reading)}" if reading is not None else ""
    if rule.entity is not None and transition.kind is Kind.RESOLVED and (reading is None or reading.value is None):
        # What was measured is gone with its cause: the summary would be a sentence of holes.
        kind, _, which = transition.segment.partition("=")
        head, words = "", f"{kind.capitalize()} {which}: {transition.reason}"
    else:
        words = summary(rule, transition.segment, transition.severity, transition.started, reading)
    title = f"[{_stamp(transition)}] {name}{place}{head}"
    lines = [words, ""]
    lines += [f"{label}: {words}" for label, words in _facts(rule, transition, reading, why)]
    if why is not None:
        lines += behind_lines(why)
    return Message(title, "\n".join(lines), data(rule, transition) | {"explanation": why})


def _headline(rule: Rule, reading: Reading) -> str:
    value = measured(rule.condition, reading, 0)
    if rule.condition.kind is Condition.ABSENT:
        return "nothing" if value else number(reading.value, rule.unit, reading.currency)
    if rule.condition.kind is Condition.VALUE or value is None:
        return number(reading.value, rule.unit, reading.currency)
    return told(rule.condition, value, rule.unit, reading)


def _stamp(transition: Transition) -> str:
    match transition.kind:
        case Kind.RESOLVED:
            return "RESOLVED"
        case Kind.UPGRADED | Kind.DOWNGRADED:
            before = transition.severity_before
            return f"{before.value.upper() if before else '?'} → {transition.severity.value.upper()}"
        case _:
            return transition.severity.value.upper()


def _facts(rule: Rule, transition: Transition, reading: Reading | None, why: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    facts = [("Why", transition.reason)]
    if reading is not None:
        value = number(reading.value, rule.unit, reading.currency)
        if reading.low is not None and reading.high is not None:
            low, high = (number(bound, rule.unit, reading.currency) for bound in (reading.low, reading.high))
            value += f" (95 % interval {low} to {high})"
        if reading.value is not None or rule.entity is None:
            facts.append(("Value", value))
        if (cases := sample(reading)) is not None:
            facts.append(("Sample", number(cases, "count")))
        if rule.window:
            facts.append(("Window", f"{rule.window}, {iso(reading.start)} to {iso(reading.at)}"))
        facts += _known(rule, reading)
    if why is not None:
        facts += told_facts(rule, why, reading.currency if reading is not None else None)
    step = rule.step(transition.severity)
    if step is not None and rule.condition.kind is Condition.ABSENT:
        facts.append(("Threshold", f"{transition.severity} after nothing for {human(rule.wait)}"))
    elif step is not None:
        clears = "at or above" if rule.direction is Direction.BELOW else "at or below"
        unit = rule.measure_unit
        limit, level = number(step.threshold, unit), number(step.clear, unit)
        facts.append(("Threshold", f"{transition.severity} {rule.direction} {limit}, clears {clears} {level}"))
    lasted = transition.at - transition.started
    facts.append(("Since", f"{iso(transition.started)}{f' ({human(lasted)})' if lasted else ''}"))
    if why is not None and why.get("resolves"):
        facts.append(("Resolves", str(why["resolves"])))
    facts.append(("Runbook", rule.runbook))
    return facts


def _known(rule: Rule, reading: Reading) -> list[tuple[str, str]]:
    """Return what is known of the deal or lead, a line each."""
    if rule.entity is None or rule.by is None:
        return []
    facts, numbers = against(reading, FACTS), NUMBERS[rule.by]
    lines = [(name, facts[name]) for name in (*ATTRIBUTES[rule.by], *numbers) if facts.get(name) is not None]
    return [
        (name.replace("_", " ").capitalize(), number(value, numbers[name], reading.currency) if name in numbers else str(value))
        for name, value in lines
    ]


def data(rule: Rule, transition: Transition) -> dict[str, Any]:
    """Return a transition as it travels on the ``alerts`` topic and to receivers that are programs."""
    reading, step = transition.reading, rule.step(transition.severity)
    dimension, _, place = transition.segment.partition("=")
    return {
        "id": transition.id,
        "incident": transition.incident,
        "kind": transition.kind.value,
        "rule": rule.id,
        "kpi": rule.kpi or None,
        "window": rule.window or None,
        "segment": {} if transition.segment == "total" else {dimension: place},
        "state": {"before": transition.before, "after": transition.after},
        "severity": transition.severity.value,
        "severity_before": transition.severity_before.value if transition.severity_before else None,
        "at": iso(transition.at),
        "since": iso(transition.started),
        "fired": None if transition.fired is None else iso(transition.fired),
        "reason": transition.reason,
        "value": reading.value if reading else None,
        "low": reading.low if reading else None,
        "high": reading.high if reading else None,
        "numerator": reading.numerator if reading else None,
        "denominator": reading.denominator if reading else None,
        "sample": sample(reading) if reading else None,
        "from": iso(reading.start) if reading else None,
        "unit": rule.unit,
        "currency": reading.currency if reading else None,
        "threshold": step.threshold if step else None,
        "clear": step.clear if step else None,
        "direction": rule.direction.value,
        "condition": rule.condition.kind.value,
        "measured": measured(rule.condition, reading, 0) if reading else None,
        "threshold_unit": rule.measure_unit,
        "against": reading.against if reading else None,
        "depends": list(rule.depends),
        "sure": rule.sure,
        "labels": dict(rule.labels),
        "runbook": rule.runbook,
    }


def check_summary(rule: Rule) -> None:
    """Raise :class:`alert_rules.wording.TemplateError` where the summary cannot be filled in, whatever the reading."""
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
