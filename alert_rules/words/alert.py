"""What is told of one alert? Its facts, in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alert_rules.kinds import entity_kind, kpi_kind, numbers_of
from alert_rules.records.entity_facts import ATTRIBUTES, DAYS, FACTS
from alert_rules.records.facts import AlertFacts, CauseKind
from alert_rules.words import prose, together
from alert_rules.words.course import Course, bars, course_of
from alert_rules.words.inert import inert
from alert_rules.words.language import SOURCE
from alert_rules.words.parts import Letter, Line, behind_lines, called
from alert_rules.words.quantities import NumberWords, Quantity, TemplateError, fill
from alert_rules.words.reader import ANYBODY, Reader
from alert_rules.words.runbooks import address
from models.calendar import DAY_MS, epoch_ms

#: An alert that stands for these is no longer beyond its threshold: on its way back, or clear for not long enough.
_NOT_BEYOND = frozenset({CauseKind.NOT_CLEAR, CauseKind.KEPT})


def letter(facts: AlertFacts, reader: Reader = ANYBODY) -> Letter:
    """Return an alert in words, as it was at its transition."""
    words = reader.words
    changed = facts.kind in ("upgraded", "downgraded")
    stamp = words.RESOLVED if facts.kind == "resolved" else words.stamp(facts.severity, facts.severity_before, changed=changed)
    why = facts.explanation
    behind = tuple(behind_lines(why or {}, words.sentence))
    heading = words.BEHIND if behind else ""
    title, head = titled(facts, stamp, reader), headline(facts, reader)
    unit = facts.unit or ""
    found = None if facts.watched else course_of(why, facts.threshold, unit, facts.threshold_unit or unit)
    course_words = "" if found is None else _course(found, facts, reader)
    return Letter(
        title, about(facts, reader), lead(facts, reader), tuple(_lines(facts, reader)), behind, heading,
        headline=head, course=found, course_words=course_words,
    )  # fmt: skip


def _course(found: Course, facts: AlertFacts, reader: Reader) -> str:
    """Return from when to when, from what to what."""
    words, zone = reader.words, reader.clock(facts.zone)
    first, last = next(value for value in found.values if value is not None), found.values[-1]
    said = (words.number(value, facts.unit or "count", facts.currency) for value in (first, last))
    # Over days the hours say nothing.
    clock = words.day_of if _ms(found.end) - _ms(found.start) > 2 * DAY_MS else words.moment
    start, end = (clock(_ms(at), zone) for at in (found.start, found.end))
    return words.course(start, end, *said)


def titled(facts: AlertFacts, stamp: str, reader: Reader = ANYBODY, *, short: bool = False) -> str:
    """Return an alert's title under a stamp; ``short``: without the rule's."""
    if facts.zone is None:
        return prose.titled(facts, stamp, short=short)
    name = about(facts, reader, short=short)
    head = headline(facts, reader)
    return f"[{stamp}] {name}{reader.words.COLON + head if head else ''}"


def item(facts: AlertFacts, reader: Reader, *, over: bool, short: bool) -> tuple[str, str, str | None]:
    """Return title, first line and reason of one alert among several."""
    words = reader.words
    stamp = words.RESOLVED if over else words.stamp(facts.severity)
    first = (lead(facts, reader) if facts.zone is not None else prose.lead(facts)).partition("\n")[0]
    why = inert(words.cause(facts), 300)
    return titled(facts, stamp, reader, short=short), first, None if over or why == first else why or None


def about(facts: AlertFacts, reader: Reader = ANYBODY, *, short: bool = False) -> str:
    """Return what an alert is about: the same during the incident. ``short``: without the rule's title, where there is more."""
    if facts.zone is None:
        return prose.about(facts, short=short)
    title = reader.words.sentence(str(facts.rule_title or facts.rule or ""))
    place = ""
    for dimension, value in (facts.segment or {}).items():
        named = _place(facts, dimension, value)
        place = named if facts.watched else reader.words.place(dimension, named)
    if short and place:
        # What people call it is enough beside what is said of it; a message's subject keeps the id, which stays.
        return inert(str(known(facts).get("name") or "")) or place if facts.watched else place
    return f"{title} · {place}" if place else title


def _place(facts: AlertFacts, dimension: str, value: str) -> str:
    return inert(_named(facts, value) if dimension == "owner" else value)


def _named(facts: AlertFacts, owner: str) -> str:
    return (facts.names or {}).get(owner, owner)


def told_in(reader: Reader) -> NumberWords | None:
    """Return how numbers are written for a reader; None in English, as the topics have them."""
    return None if reader.words.language.code == SOURCE else reader.words.numbers


def known(facts: AlertFacts) -> Mapping[str, Any]:
    """Return what is known of the deal, lead or sender that the alert is about."""
    return (facts.against or {}).get(FACTS) or {}


def _by(facts: AlertFacts) -> str:
    return next(iter(facts.segment or {}), "")


def headline(facts: AlertFacts, reader: Reader) -> str:
    """Return what is measured, as a headline has it; of a deal or lead that is over, why."""
    words = reader.words
    if facts.watched and facts.kind == "resolved":
        return inert(words.cause(facts))
    if facts.start is None:
        return ""
    if facts.watched:
        said = entity_kind(facts.watched).headline(known(facts), words)
        return words.number(facts.value, facts.spoken or "", facts.currency) if said is None else said
    value = words.number(facts.value, facts.unit or "", facts.currency)
    return kpi_kind(facts.condition).headline(facts, words, value)


def lead(facts: AlertFacts, reader: Reader) -> str:
    """Return the first sentences: the rule's summary, filled in."""
    words = reader.words
    if facts.watched and facts.kind == "resolved":
        # What was measured is gone with its cause: the summary would be a sentence of holes.
        reason, by = inert(words.cause(facts)), _by(facts)
        if by == "sender":
            return f"{about(facts, reader, short=True)}{words.COLON}{reason}"
        return words.ended(by, inert((facts.segment or {}).get(by, "")), reason)
    if facts.template is None:
        return words.RULE_GONE
    if facts.kind in ("resolved", "cancelled"):
        # The summary was written for while it stands: "NPS is 25, below 20", "no lead has arrived since 09:00".
        return words.over(_ms(facts.at) - _ms(facts.since), inert(words.cause(facts)))
    if "{threshold" in facts.template and facts.cause is not None and facts.cause.kind in _NOT_BEYOND:
        return inert(words.cause(facts))
    try:
        return fill(words.sentence(facts.template), fields(facts, reader))
    except TemplateError:  # of a version that knew other fields
        return prose.lead(facts)


def in_words(facts: AlertFacts, reader: Reader) -> dict[str, str]:
    """Return an alert as a list of alerts has it: the ``title`` of its rule, and the ``summary``."""
    return {"title": reader.words.sentence(facts.rule_title or ""), "summary": lead(facts, reader).partition("\n")[0]}


def fields(facts: AlertFacts, reader: Reader = ANYBODY) -> dict[str, str | Quantity]:
    """Return what a summary may name."""
    if facts.watched:
        return _entity_fields(facts, reader)
    words, zone, unit = reader.words, reader.clock(facts.zone), facts.unit or "count"
    by = _by(facts)
    place = _place(facts, by, (facts.segment or {})[by]) if by else ""

    numerals = told_in(reader)

    def of(value: float | None, its: str = unit) -> Quantity:
        return Quantity(value, its, facts.currency, numerals)

    found: dict[str, str | Quantity] = {
        "kpi": words.sentence(facts.rule_title or ""),
        "window": words.stretch(facts.window or ""),
        "segment": place or words.TOTAL,
        "severity": words.grade(facts.severity),
        "since": words.moment(_ms(facts.since), zone),
        "value": of(facts.value),
        "low": of(facts.low),
        "high": of(facts.high),
        "numerator": of(facts.numerator, "money" if unit == "money" else "count"),
        "denominator": of(facts.denominator, "count"),
        "sample": of(facts.sample, "count"),
        "threshold": of(facts.threshold, facts.threshold_unit or unit),
        "clear": of(facts.clear, facts.threshold_unit or unit),
    }
    found |= {name: of(value, its) for name, (value, its) in kpi_kind(facts.condition).fields(facts, unit).items()}
    if by:
        found[by] = place
    return found


def _entity_fields(facts: AlertFacts, reader: Reader) -> dict[str, str | Quantity]:
    """Return what the summary of a rule on single deals, leads or senders may name."""
    words, zone, by, entity = reader.words, reader.clock(facts.zone), _by(facts), known(facts)
    attributes = _attributes(facts, by, reader)
    found: dict[str, str | Quantity] = {name: inert(attributes.get(name, words.UNKNOWN)) for name in ATTRIBUTES[by]}
    found |= {
        name: Quantity(entity.get(name), _spoken(facts, by, name), facts.currency, told_in(reader)) for name in numbers_of(by)
    }
    days = {name: entity.get(name) for name in DAYS[by]}
    found |= {name: words.UNKNOWN if at is None else words.day_of(at * 1000, zone) for name, at in days.items()}
    if by == "sender":
        last = entity.get("last")
        feeds = str(entity.get("feeds") or words.UNKNOWN).split(", ")
        found["feeds"] = inert(", ".join(map(words.sentence, feeds)))
        found["last"] = words.moment(_ms(str(last)), zone) if last else words.UNKNOWN
    return found | {
        by: called((facts.segment or {}).get(by, ""), entity.get("name")),
        "severity": words.grade(facts.severity),
        "since": words.moment(_ms(facts.since), zone),
        "value": Quantity(facts.value, facts.spoken or "", facts.currency, told_in(reader)),
        "threshold": Quantity(facts.threshold, facts.spoken or "", facts.currency, told_in(reader)),
    }


def _attributes(facts: AlertFacts, by: str, reader: Reader) -> dict[str, str]:
    entity = known(facts)
    found = {name: str(entity[name]) for name in ATTRIBUTES[by] if entity.get(name)}
    if "guard" in found and (label := (entity.get("labels") or {}).get(reader.words.language.code)):
        found["guard"] = str(label)
    if "period" in found:
        found["period"] = reader.words.window_name(found["period"])
    return found | {name: _named(facts, value) for name, value in found.items() if name == "owner"}


def _spoken(facts: AlertFacts, by: str, name: str) -> str:
    """Return the unit in which a number known of a deal, lead or sender is told."""
    return (facts.spoken or "") if name == "waited" else numbers_of(by)[name]


def _lines(facts: AlertFacts, reader: Reader) -> list[Line]:
    words, zone, unit, spoken = reader.words, reader.clock(facts.zone), facts.unit or "count", facts.spoken or "count"
    found = [("why", "", inert(words.cause(facts), 500))]
    if facts.start is not None:
        value = words.number(facts.value, spoken, facts.currency)
        if facts.low is not None and facts.high is not None:
            low, high = (words.number(bound, unit, facts.currency) for bound in (facts.low, facts.high))
            value = words.interval(value, low, high)
        if facts.value is not None or not facts.watched:
            found.append(("value", "", value))
        if facts.sample is not None:
            found.append(("sample", "", words.number(facts.sample, "count")))
        past = None if facts.watched else course_of(facts.explanation, None, unit, unit)
        if past is not None:
            found.append(("course", "", bars(past)))
        if facts.window:
            bounds = (words.moment(_ms(at), zone) for at in (facts.start, facts.at))
            found.append(("window", "", words.window(facts.window, *bounds)))
        found += [(name, "", text) for name, text in _of_entity(facts, reader)]
    why = facts.explanation
    if why is not None:
        found += words.explained(why, unit, facts.currency, zone)
        if why.get("playbook"):
            found.append(("todo", "", together.todo(why["playbook"], reader)))
    if facts.threshold is not None:
        found.append(("threshold", "", words.threshold(facts, facts.spoken_limit or unit)))
    began = _ms(facts.since)
    found.append(("since", "", words.since(words.moment(began, zone), _ms(facts.at) - began)))
    if facts.ends is not None:
        limit = facts.threshold_unit or unit
        found.append(("resolves", "", words.resolves(facts.ends, facts.direction, limit, facts.currency)))
    lines = [Line(words.label(name, of), text) for name, of, text in found]
    page = address(facts.runbook, reader.home)
    return [*lines, Line(words.label("runbook"), page or facts.runbook or "", page)]


def _of_entity(facts: AlertFacts, reader: Reader) -> list[tuple[str, str]]:
    """Return what is known of the deal or lead, each with its name."""
    by, entity = _by(facts), known(facts)
    if not facts.watched or not by:
        return []
    attributes = ({"name": entity["name"]} if entity.get("name") else {}) | _attributes(facts, by, reader)
    numbers = {name: entity[name] for name, unit in numbers_of(by).items() if _known(entity.get(name), unit)}
    return [
        *((name, inert(value)) for name, value in attributes.items()),
        *((name, reader.words.number(value, _spoken(facts, by, name), facts.currency)) for name, value in numbers.items()),
    ]


def _known(value: float | None, unit: str) -> bool:
    """Return whether there is something to say: a time that has not begun says nothing."""
    return value is not None and not (unit == "seconds" and not value)


def _ms(at: str | None) -> int:
    return epoch_ms(datetime.fromisoformat(at)) if at else 0
