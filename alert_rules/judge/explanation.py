"""Why is an alert as it is: what was before, what moved it, who is behind it, what would end it?

The numbers come with the reading (``models/kpis/explain.py``), made at the reading's own instant. Here they become the
explanation that travels with a transition.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.life_table import Phase, TransitionKind
from alert_rules.judge.lifecycle import AlertChange, AlertState
from alert_rules.judge.observation import Observation
from alert_rules.judge.rule import Direction, KpiRule, Rule, Statistic
from alert_rules.kinds.value import Value
from alert_rules.records.facts import Ends, Severity
from alert_rules.words.inert import inert
from alert_rules.words.quantities import number
from alert_rules.words.reader import ANYBODY
from models.calendar import iso
from models.kpis.reading import Reading
from models.owners import Owners

#: Gives the address of the page of a deal or lead (``deal`` or ``lead``, its id, its sender), None where there is none.
PageLink = Callable[[str, str, str], str | None]


def no_link(kind: str, id: str, sender: str) -> str | None:
    """Know no addresses."""
    return None


def explanation(
    rule: Rule, transition: AlertChange, because: Mapping[str, Any] | None, link: PageLink, people: Owners
) -> dict[str, Any]:
    """Return a transition's explanation, ready for JSON.

    What came with the reading (``previous``, ``change``, ``parts``, ``moved_by``, ``total``, ``behind``), ``target`` where the
    rule has one, and ``resolves``: what would end the alert, in words.
    """
    ends = None if transition.kind is TransitionKind.RESOLVED else ends_of(rule, transition.severity, transition.seen)
    return _made(transition.seen, because, link, people, _resolves(rule, ends, transition.seen))


def standing(
    rule: Rule, state: AlertState, seen: Observation | None, because: Mapping[str, Any] | None, link: PageLink, people: Owners
) -> dict[str, Any] | None:
    """Return the explanation of an alert that stands, None while it is only pending."""
    if state.phase is Phase.PENDING:
        return None
    ends = ends_of(rule, state.severity, seen)
    return _made(seen, because, link, people, _resolves(rule, ends, seen))


def _made(
    seen: Observation | None, because: Mapping[str, Any] | None, link: PageLink, people: Owners, ends: str | None
) -> dict[str, Any]:
    found = dict(because or {})
    match seen:
        case Reading():
            if seen.against and "target" in seen.against:
                found["target"] = dict(seen.against["target"])
            if seen.since is not None:
                found["since"] = iso(seen.since)
            if seen.proven is False:
                found["proven"] = False
        case EntityFinding() if "behind" not in found and set(seen.segment) <= {"deal", "lead"}:  # a connector is no deal
            found["behind"] = [_itself(seen)]
    if "behind" in found:
        found["behind"] = [_linked(one, link, people) for one in found["behind"]]
    if "moved_by" in found:
        found["moved_by"] = [_named(one, people) for one in found["moved_by"]]
    if ends is not None:
        found["resolves"] = ends
    return found


def _itself(finding: EntityFinding) -> dict[str, Any]:
    """Return the deal or lead that an alert about a single one is about."""
    (kind, id), facts = next(iter(finding.segment.items())), finding.facts
    amount = facts.get("amount")
    known = [None if amount is None else number(amount, "money", finding.currency), facts.get("stage")]
    said = ", ".join(inert(str(one)) for one in known if one)
    found = {"id": id, "name": facts.get("name"), "entity": kind, "said": said, "amount": amount, "owner": facts.get("owner")}
    return {name: value for name, value in found.items() if value is not None} | {"sender": facts.get("sender") or ""}


def _linked(one: Mapping[str, Any], link: PageLink, people: Owners) -> dict[str, Any]:
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


def ends_of(rule: Rule, severity: Severity, seen: Observation | None) -> Ends | None:
    """Return what the reading must become for the alert to end, None for rules that do not say it by a threshold."""
    if not isinstance(rule, KpiRule):
        return None
    if rule.is_absence:
        return Ends()
    step, top = rule.ladder[0], rule.step(severity)
    graver = top if top is not None and top.severity is not step.severity else None
    return Ends(
        clear=step.clear,
        keep=rule.keep,
        severity=None if graver is None else graver.severity,
        severity_clear=None if graver is None else graver.clear,
        cases=(_needed(rule, step.clear, seen) or None) if isinstance(seen, Reading) else None,
    )


def _resolves(rule: Rule, ends: Ends | None, seen: Observation | None) -> str | None:
    if ends is None:
        return None
    return ANYBODY.words.resolves(ends, rule.direction, rule.measure_unit, seen.currency if seen is not None else None)


def _needed(rule: KpiRule, clear: float, reading: Reading) -> int | None:
    """Return how many good cases in a row would bring a share back to its clearing level, if nothing leaves the window."""
    if not isinstance(rule.condition, Value) or rule.unit != "ratio" or rule.statistic is not Statistic.BETA:
        return None
    if reading.numerator is None or not reading.denominator or not 0 <= reading.numerator <= reading.denominator:
        return None
    hits, cases = reading.numerator, reading.denominator
    if rule.direction is Direction.BELOW:
        return math.ceil((clear * cases - hits) / (1 - clear) - 1e-9) if clear < 1 and hits < clear * cases else None
    return math.ceil(hits / clear - cases - 1e-9) if clear > 0 and hits > clear * cases else None
