"""Why is an alert as it is, in data and in words: what was before, what moved it, who is behind it, what would end it?

The numbers come with the reading (``models/kpis/explain.py``), made at the reading's own instant. Here they become the
explanation that travels with a transition, and the lines of its message.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from alert_rules.condition import Kind as Condition
from alert_rules.durations import human
from alert_rules.evaluate import AlertState, Kind, Phase, Transition
from alert_rules.finding import FACTS
from alert_rules.inert import inert
from alert_rules.rule import Direction, Rule, Severity, Statistic
from alert_rules.wording import number
from models.calendar import iso
from models.kpis.reading import Reading
from models.owners import Owners

#: The heading of the deals or leads behind an alert.
BEHIND = "Behind it:"

#: Gives the address of the page of a deal or lead (``deal`` or ``lead``, its id, its sender), None where there is none.
Link = Callable[[str, str, str], str | None]


def no_link(kind: str, id: str, sender: str) -> str | None:
    """Know no addresses."""
    return None


def explanation(
    rule: Rule, transition: Transition, because: Mapping[str, Any] | None, link: Link, people: Owners
) -> dict[str, Any]:
    """Return a transition's explanation, ready for JSON.

    What came with the reading (``previous``, ``change``, ``parts``, ``moved_by``, ``total``, ``behind``), ``target`` where the
    rule has one, and ``resolves``: what would end the alert, in words.
    """
    ends = None if transition.kind is Kind.RESOLVED else resolves(rule, transition.severity, transition.reading)
    return _made(transition.reading, because, link, people, ends)


def standing(
    rule: Rule, state: AlertState, reading: Reading | None, because: Mapping[str, Any] | None, link: Link, people: Owners
) -> dict[str, Any] | None:
    """Return the explanation of an alert that stands, None while it is only pending."""
    if state.phase is Phase.PENDING:
        return None
    return _made(reading, because, link, people, resolves(rule, state.severity, reading))


def _made(
    reading: Reading | None, because: Mapping[str, Any] | None, link: Link, people: Owners, ends: str | None
) -> dict[str, Any]:
    found = dict(because or {})
    if reading is not None and reading.against and "target" in reading.against:
        found["target"] = dict(reading.against["target"])
    if reading is not None and (facts := (reading.against or {}).get(FACTS)) is not None and "behind" not in found:
        if "sender" not in reading.segment:  # a silent connector is no deal
            found["behind"] = [_itself(reading, facts)]
    if reading is not None and reading.since is not None:
        found["since"] = iso(reading.since)
    if "behind" in found:
        found["behind"] = [_linked(one, link, people) for one in found["behind"]]
    if "moved_by" in found:
        found["moved_by"] = [_named(one, people) for one in found["moved_by"]]
    if ends is not None:
        found["resolves"] = ends
    return found


def _itself(reading: Reading, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the deal or lead that an alert about a single one is about."""
    kind, id = next(iter(reading.segment.items()))
    amount = facts.get("amount")
    known = [None if amount is None else number(amount, "money", reading.currency), facts.get("stage")]
    said = ", ".join(inert(str(one)) for one in known if one)
    found = {"id": id, "name": facts.get("name"), "entity": kind, "said": said, "amount": amount, "owner": facts.get("owner")}
    return {name: value for name, value in found.items() if value is not None} | {"sender": facts.get("sender") or ""}


def _linked(one: Mapping[str, Any], link: Link, people: Owners) -> dict[str, Any]:
    url = link(str(one.get("entity", "deal")), str(one["id"]), str(one.get("sender", "")))
    shown = {name: value for name, value in one.items() if name != "sender"}
    if one.get("owner"):
        # The id stays beside it, for programs; people read the name.
        shown["said"] = ", ".join(part for part in (one.get("said"), inert(people.name(str(one["owner"])))) if part)
    return shown if url is None else {**shown, "url": url}


def _named(one: Mapping[str, Any], people: Owners) -> Mapping[str, Any]:
    """Return what moved a value by a dimension, with the ``name`` of each segment that people call otherwise than programs."""
    if one["dimension"] != "owner":
        return one
    owners = [(part, people.get(part.get("segment"))) for part in one["segments"]]
    return {**one, "segments": [part if owner is None else {**part, "name": owner.name} for part, owner in owners]}


def called(id: str, name: object) -> str:
    """Return what people call a deal or lead: its name with the id behind it, or the id."""
    return f"{inert(str(name))} ({inert(id)})" if name else inert(id)


def resolves(rule: Rule, severity: Severity, reading: Reading | None) -> str | None:
    """Return what the reading must become for the alert to end, None for rules that do not say it by a threshold."""
    step = rule.ladder[0] if rule.ladder else None
    if step is None or rule.condition.kind in (Condition.ENTITY, Condition.SOURCE):
        return None
    if rule.condition.kind is Condition.ABSENT:
        return "as soon as something is counted again"
    currency = reading.currency if reading is not None else None
    side = "at or above" if rule.direction is Direction.BELOW else "at or below"
    words = f"{side} {number(step.clear, rule.measure_unit, currency)}"
    words += f" for {human(rule.keep)}" if rule.keep else ""
    top = rule.step(severity)
    if top is not None and top.severity is not step.severity:
        words += f"; no longer {severity} from {number(top.clear, rule.measure_unit, currency)} on"
    needed = _needed(rule, step.clear, reading)
    if needed:
        words += f"; that is {needed:,} more case{'s' if needed > 1 else ''} in a row that go{'' if needed > 1 else 'es'} well"
    return words


def _needed(rule: Rule, clear: float, reading: Reading | None) -> int | None:
    """Return how many good cases in a row would bring a share back to its clearing level, if nothing leaves the window."""
    if rule.condition.kind is not Condition.VALUE or rule.unit != "ratio" or rule.statistic is not Statistic.BETA:
        return None
    if (
        reading is None
        or reading.numerator is None
        or not reading.denominator
        or not 0 <= reading.numerator <= reading.denominator
    ):
        return None
    hits, cases = reading.numerator, reading.denominator
    if rule.direction is Direction.BELOW:
        return math.ceil((clear * cases - hits) / (1 - clear) - 1e-9) if clear < 1 and hits < clear * cases else None
    return math.ceil(hits / clear - cases - 1e-9) if clear > 0 and hits > clear * cases else None


# --- in words ---------------------------------------------------------------------------------------------------------


def told_facts(rule: Rule, why: Mapping[str, Any], currency: str | None) -> Iterator[tuple[str, str]]:
    """Yield the lines (label, words) that explain the value."""
    unit = rule.unit
    if "since" in why:
        yield "Counted from", f"{why['since'][:10]} on, not in all of the period"
    previous = why.get("previous")
    if previous:
        when = f"{previous['from'][:10]} to {previous['at'][:10]}"
        words = f"{number(previous.get('value'), unit, currency)} ({when})"
        if previous.get("value") is None and previous.get("why"):
            words += f": {previous['why']}"
        if "change" in why:
            words += f", so {_moved(why['change'], unit, currency)}"
        yield "Period before", words
    if "total" in why:
        total = why["total"]
        now, before = (number(total.get(name), unit, currency) for name in ("value", "previous"))
        yield "Over everything", f"{now}, {before} in the period before"
    target = why.get("target") or {}
    if target.get("value") is not None:
        due = number(target.get("due"), unit, currency)
        yield "Target", f"{number(target['value'], unit, currency)} by {str(target.get('to'))[:10]}, {due} due by now"
    parts = why.get("parts")
    if parts and not why.get("moved_by"):
        top, bottom = (_moved(parts[name], unit, currency) for name in ("numerator", "denominator"))
        yield "Made of", f"{top} by what is counted, {bottom} by what it is counted of"
    for one in why.get("moved_by") or ():
        yield f"Moved by {one['dimension']}", "; ".join(_part(part, unit, currency) for part in one["segments"])


def _part(part: Mapping[str, Any], unit: str, currency: str | None) -> str:
    name = f"{part['others']} others" if "others" in part else inert(str(part.get("name") or part["segment"]))
    words = f"{name} {_moved(part['effect'], unit, currency)}"
    if part.get("mix"):
        rate, mix = (_moved(part[key], unit, currency) for key in ("rate", "mix"))
        words += f" ({rate} by its own rate, {mix} by its weight)"
    return words


def _moved(value: float, unit: str, currency: str | None) -> str:
    """Return a difference in words, with its sign: ``−6 points``, ``+12,400 EUR``."""
    sign = "−" if value < 0 else "+"
    if unit == "ratio":
        return sign + number(abs(value), "points")
    return sign + number(abs(value), unit, currency)


def behind_items(why: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return the deals or leads behind an alert: a line each, and the address of its page where it is known."""
    items = []
    for place, one in enumerate(why.get("behind") or (), start=1):
        who = called(str(one["id"]), one.get("name"))
        words = ", ".join([who, *(str(one[name]) for name in ("what", "said") if one.get(name))])
        items.append((f"{place}. {inert(words)}", one.get("url")))
    return items


def behind_lines(why: Mapping[str, Any]) -> list[str]:
    """Return the same as the end of a message; an address stands at the end of its line."""
    lines = [f"{line}: {url}" if url else line for line, url in behind_items(why)]
    return ["", BEHIND, *lines] if lines else []
