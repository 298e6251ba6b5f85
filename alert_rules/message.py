"""What is said to people about a transition?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alert_rules.condition import Kind as Condition
from alert_rules.condition import against, measured, told
from alert_rules.durations import day_of, human, moment
from alert_rules.entity import ATTRIBUTES, DAYS, NUMBERS, Watched
from alert_rules.evaluate import Kind, Transition
from alert_rules.explain import behind_lines, called, told_facts
from alert_rules.finding import FACTS
from alert_rules.inert import inert
from alert_rules.reading import sample
from alert_rules.rule import Direction, Rule, Severity
from alert_rules.wording import Quantity, fill, number
from models.calendar import epoch_ms, iso
from models.kpis.earlier import SEASONAL, TARGET
from models.kpis.reading import Reading
from models.owners import Owners

#: Nobody is known by name: owners are told by their ids.
NOBODY = Owners()


@dataclass(frozen=True, slots=True)
class Message:
    """What a notifier sends, in its own form: one line, some lines, and the same as data.

    ``about`` is the part of the title that stays the same during the incident, ``headline`` what is measured now.
    """

    title: str
    text: str
    data: dict[str, Any]
    about: str = ""
    headline: str = ""

    @property
    def words(self) -> dict[str, str]:
        """The words as they travel with a transition."""
        return {"title": self.title, "text": self.text, "about": self.about, "headline": self.headline}


def summary(rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None, people: Owners = NOBODY) -> str:
    """Return the rule's summary, filled in; without a reading its numbers are told as ``no value``."""
    return fill(rule.summary, _fields(rule, segment, severity, started, reading, people))


def _fields(
    rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None, people: Owners
) -> dict[str, str | Quantity]:
    """Return what a summary may name."""
    step = rule.step(severity)
    currency = reading.currency if reading is not None else None

    def of(value: float | None, unit: str = rule.unit) -> Quantity:
        return Quantity(value, unit, currency)

    if rule.entity is not None:
        return _of_entity(rule, segment, severity, started, reading, people)
    place = _place(segment, people) or "total"
    found: dict[str, str | Quantity] = {
        "kpi": rule.title or rule.kpi,
        "window": rule.window,
        "segment": place,
        "severity": severity.value,
        "since": moment(started, rule.zone),
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


def _place(segment: str, people: Owners) -> str:
    """Return what people call a segment's value."""
    dimension, _, value = segment.partition("=")
    return inert(people.name(value) if dimension == "owner" else value)


def _of_entity(
    rule: Rule, segment: str, severity: Severity, started: int, reading: Reading | None, people: Owners
) -> dict[str, str | Quantity]:
    """Return what the summary of a rule on single deals or leads may name."""
    assert rule.entity is not None and rule.by is not None
    facts = against(reading, FACTS) if reading is not None else {}
    currency, step = reading.currency if reading is not None else None, rule.step(severity)
    known = _attributes(rule.by, facts, people)
    found: dict[str, str | Quantity] = {name: inert(known.get(name, "unknown")) for name in ATTRIBUTES[rule.by]}
    found |= {name: Quantity(facts.get(name), _spoken(rule, name), currency) for name in NUMBERS[rule.by]}
    days = {name: facts.get(name) for name in DAYS[rule.by]}
    found |= {name: "unknown" if at is None else day_of(at * 1000, rule.zone) for name, at in days.items()}
    if rule.by == "sender":
        last = facts.get("last")
        found["feeds"] = inert(str(facts.get("feeds") or "unknown"))
        found["last"] = moment(epoch_ms(datetime.fromisoformat(str(last))), rule.zone) if last else "unknown"
    return found | {
        rule.by: called(segment.partition("=")[2], facts.get("name")),
        "severity": severity.value,
        "since": moment(started, rule.zone),
        "value": Quantity(reading.value if reading else None, rule.spoken, currency),
        "threshold": Quantity(step.threshold if step else None, rule.spoken, currency),
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


def message(rule: Rule, transition: Transition, why: Mapping[str, Any] | None = None, people: Owners = NOBODY) -> Message:
    """Return what to say. Deterministic: the same transition is told in the same words. ``why`` is its explanation."""
    reading = transition.reading
    about = rule.title or rule.kpi
    if transition.segment != "total":
        kind, _, which = transition.segment.partition("=")
        place = _place(transition.segment, people)
        about += f" · {place}" if rule.entity is not None else f" · {kind.replace('_', ' ')} {place}"
    if rule.entity is not None and transition.kind is Kind.RESOLVED:
        # What was measured is gone with its cause: the summary would be a sentence of holes.
        head = inert(transition.reason)
        words = f"{about.partition(' · ')[2]}: {head}" if rule.by == "sender" else f"{kind.capitalize()} {inert(which)}: {head}"
    else:
        head = _headline(rule, reading) if reading is not None else ""
        words = summary(rule, transition.segment, transition.severity, transition.started, reading, people)
    title = f"[{_stamp(transition)}] {about}{f': {head}' if head else ''}"
    lines = [words, ""]
    lines += [f"{label}: {words}" for label, words in _facts(rule, transition, reading, why, people)]
    if why is not None:
        lines += behind_lines(why)
    return Message(title, "\n".join(lines), data(rule, transition) | {"explanation": why}, about, head)


def _headline(rule: Rule, reading: Reading) -> str:
    if rule.entity is not None:
        return _entity_headline(rule, reading)
    value = measured(rule.condition, reading, 0)
    if rule.condition.kind is Condition.ABSENT:
        return "nothing" if value else number(reading.value, rule.unit, reading.currency)
    if rule.condition.kind is Condition.VALUE or value is None:
        return number(reading.value, rule.unit, reading.currency)
    return told(rule.condition, value, rule.unit, reading)


def _entity_headline(rule: Rule, reading: Reading) -> str:
    """Return what is measured of a deal, lead or sender as a headline has it."""
    assert rule.entity is not None
    facts = against(reading, FACTS)
    match rule.entity.watched:
        case Watched.SILENT if facts.get("silence") is not None:
            return f"for {human(facts['silence'] * 1000)}"
        case Watched.STALLED if facts.get("stage_age") is not None:
            return f"{human(facts['stage_age'] * 1000)} in {inert(str(facts.get('stage')))}"
        case Watched.ODDS if facts.get("win_before") is not None:
            return f"{facts['win_before']:.0%} → {facts['win']:.0%}"
    return number(reading.value, rule.spoken, reading.currency)


def _stamp(transition: Transition) -> str:
    match transition.kind:
        case Kind.RESOLVED:
            return "RESOLVED"
        case Kind.UPGRADED | Kind.DOWNGRADED:
            before = transition.severity_before
            return f"{before.value.upper() if before else '?'} → {transition.severity.value.upper()}"
        case _:
            return transition.severity.value.upper()


def _facts(
    rule: Rule, transition: Transition, reading: Reading | None, why: Mapping[str, Any] | None, people: Owners
) -> list[tuple[str, str]]:
    facts = [("Why", inert(transition.reason, 500))]
    if reading is not None:
        value = number(reading.value, rule.spoken, reading.currency)
        if reading.low is not None and reading.high is not None:
            low, high = (number(bound, rule.unit, reading.currency) for bound in (reading.low, reading.high))
            value += f" (95 % interval {low} to {high})"
        if reading.value is not None or rule.entity is None:
            facts.append(("Value", value))
        if (cases := sample(reading)) is not None:
            facts.append(("Sample", number(cases, "count")))
        if rule.window:
            facts.append(("Window", f"{rule.window}, {moment(reading.start, rule.zone)} to {moment(reading.at, rule.zone)}"))
        facts += _known(rule, reading, people)
    if why is not None:
        facts += told_facts(rule, why, reading.currency if reading is not None else None)
    step = rule.step(transition.severity)
    if step is not None and rule.condition.kind is Condition.ABSENT:
        facts.append(("Threshold", f"{transition.severity} after nothing for {human(rule.wait)}"))
    elif step is not None:
        clears = "at or above" if rule.direction is Direction.BELOW else "at or below"
        unit = rule.spoken_limit
        limit, level = number(step.threshold, unit), number(step.clear, unit)
        facts.append(("Threshold", f"{transition.severity} {rule.direction} {limit}, clears {clears} {level}"))
    lasted = transition.at - transition.started
    facts.append(("Since", f"{moment(transition.started, rule.zone)}{f' ({human(lasted)})' if lasted else ''}"))
    if why is not None and why.get("resolves"):
        facts.append(("Resolves", str(why["resolves"])))
    facts.append(("Runbook", rule.runbook))
    return facts


def _attributes(by: str, facts: Mapping[str, Any], people: Owners) -> dict[str, str]:
    """Return what is known of a deal, lead or sender in words: its owner by name."""
    found = {name: str(facts[name]) for name in ATTRIBUTES[by] if facts.get(name)}
    return found | {name: people.name(value) for name, value in found.items() if name == "owner"}


def _known(rule: Rule, reading: Reading, people: Owners) -> list[tuple[str, str]]:
    """Return what is known of the deal or lead, a line each."""
    if rule.entity is None or rule.by is None:
        return []
    facts, numbers = against(reading, FACTS), NUMBERS[rule.by]
    names = {"name": facts["name"]} if facts.get("name") else {}
    known: dict[str, Any] = names | _attributes(rule.by, facts, people)
    lines = [*known.items(), *((name, facts[name]) for name in numbers if facts.get(name) is not None)]
    return [
        (
            _LABELS.get(name, name.capitalize()),
            number(value, _spoken(rule, name), reading.currency) if name in numbers else inert(str(value)),
        )
        for name, value in lines
    ]


def _spoken(rule: Rule, name: str) -> str:
    """Return the unit in which a number known of a deal, lead or sender is told."""
    assert rule.by is not None
    return rule.spoken if name == "waited" else NUMBERS[rule.by][name]


#: What is known of a deal, lead or sender, where its name is not what people say.
_LABELS = {
    "stage_age": "Time in stage",
    "usual": "Usual there",
    "win": "Win probability",
    "win_before": "It was",
    "silence": "Silent for",
}


def data(rule: Rule, transition: Transition) -> dict[str, Any]:
    """Return a transition as it travels on the ``alerts`` topic and to receivers that are programs."""
    reading, step = transition.reading, rule.step(transition.severity)
    dimension, _, place = transition.segment.partition("=")
    return {
        "id": transition.id,
        "incident": transition.incident,
        "kind": transition.kind.value,
        "rule": rule.id,
        "rule_title": rule.title or rule.kpi,
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
