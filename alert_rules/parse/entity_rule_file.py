"""Which rule on single deals or leads does a file give?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.condition import VALUE
from alert_rules.judge.entity_condition import ENTITY, QUANTILES, UNIT_OF, EntityCondition, Watched
from alert_rules.judge.rule import Direction, Known, KpiFacts, Severity, Step
from alert_rules.parse.ladders import STEP_KEYS, SeverityLadder, read_ladder
from alert_rules.parse.reader import TreeReader
from alert_rules.records.entity_facts import ATTRIBUTES
from alert_rules.words.suggest import near

ENTITIES = ("deal", "lead", "sender", "experiment", "objective", "challenge", "customer")
STALLED_KEYS = ("beyond", "at_least")
UNANSWERED_KEYS = ("sla", "hours")
AMOUNT_KEYS = ("above",)
ODDS_KEYS = ("fallen", "within")
SILENT_KEYS = ("missed",)
BEHIND_KEYS = ("by",)
QUIET_KEYS = ("above", "left", "joined")
NO_KEYS: tuple[str, ...] = ()
KEYS_OF = {
    Watched.STALLED: STALLED_KEYS,
    Watched.UNANSWERED: UNANSWERED_KEYS,
    Watched.AMOUNT: AMOUNT_KEYS,
    Watched.ODDS: ODDS_KEYS,
    Watched.SILENT: SILENT_KEYS,
    Watched.DECIDED: NO_KEYS,
    Watched.WORSE: NO_KEYS,
    Watched.ANNULLED: NO_KEYS,
    Watched.BEHIND: BEHIND_KEYS,
    Watched.QUIET: QUIET_KEYS,
}
#: The threshold that may stand in the condition itself: its key, and its value where it is left out.
_SHORT: dict[Watched, tuple[str, Any]] = {
    Watched.STALLED: ("", 1.0),
    Watched.UNANSWERED: ("sla", None),
    Watched.AMOUNT: ("above", None),
    Watched.ODDS: ("fallen", None),
    Watched.SILENT: ("missed", None),
    Watched.DECIDED: ("", 1.0),
    Watched.WORSE: ("", 0.5),
    Watched.ANNULLED: ("", 0.5),
    Watched.BEHIND: ("by", None),
    Watched.QUIET: ("above", None),
}
_EXAMPLES = {
    Watched.STALLED: "{beyond: p90}",
    Watched.UNANSWERED: "{sla: 4h, hours: business_hours}",
    Watched.AMOUNT: "{above: 100000}",
    Watched.ODDS: "{fallen: 0.3, within: 1d}",
    Watched.SILENT: "{missed: 3}",
    Watched.DECIDED: "{}",
    Watched.WORSE: "{}",
    Watched.ANNULLED: "{}",
    Watched.BEHIND: "{by: 0.2}",
    Watched.QUIET: "{above: 10000, left: [champions]}",
}
TITLES = {
    Watched.STALLED: "Deal stalled",
    Watched.UNANSWERED: "Lead unanswered",
    Watched.AMOUNT: "Large deal",
    Watched.ODDS: "Win probability fallen",
    Watched.SILENT: "Sender silent",
    Watched.DECIDED: "Test decided",
    Watched.WORSE: "A variant spoils its guard",
    Watched.ANNULLED: "Challenge annulled",
    Watched.BEHIND: "Objective behind",
    Watched.QUIET: "A customer has gone quiet",
}
WATCHED = tuple(watched.value for watched in Watched)


def read_entity(reader: TreeReader, tree: Mapping[str, Any], known: Known) -> tuple[EntityCondition, SeverityLadder] | None:
    """Return what is watched, and the ladder; None where they cannot be used."""
    entity = reader.choice(tree, "entity", "", ENTITIES, "deal")
    named = [watched for watched in Watched if watched.value in tree]
    if len(named) != 1:
        several = " and ".join(named) or "nothing"
        reader.bad("entity", f"found {several} to watch of a {entity} (accepted: one of {', '.join(WATCHED)})")
        return None
    (watched,) = named
    if ENTITY[watched] != entity:
        reader.bad(watched.value, f"is of a {ENTITY[watched]} (accepted with entity: {ENTITY[watched]})")
    found = reader.mapping(tree[watched.value], watched.value, KEYS_OF[watched], _EXAMPLES[watched])
    if found is None:
        return None
    condition = EntityCondition(
        watched,
        where=_where(reader, tree, entity),
        quantile=reader.choice(found, "beyond", f"{watched}.", QUANTILES, "p90"),
        least=reader.duration(found.get("at_least", 0), f"{watched}.at_least"),
        hours_named=_hours(reader, found, known),
        hours=tuple(interval for name in _hours(None, found, known) for interval in known.intervals.get(name, ())),
        within=reader.duration(found.get("within", "1d"), f"{watched}.within"),
        left=_names(reader, found, f"{watched}.", "left"),
        joined=_names(reader, found, f"{watched}.", "joined"),
    )
    if not condition.within:
        reader.bad(f"{watched}.within", "found 0 (accepted: a duration, such as 1d)")
    ladder = _ladder(reader, tree, found, watched)
    return None if ladder is None else (condition, ladder)


def _ladder(reader: TreeReader, tree: Mapping[str, Any], found: Mapping[str, Any], watched: Watched) -> SeverityLadder | None:
    key, default = _SHORT[watched]
    facts = KpiFacts(UNIT_OF[watched], "")
    severities = [severity for severity in Severity if severity.value in tree]
    if severities and (not key or key not in found):
        if "severity" in tree:
            reader.bad("severity", f"found beside {severities[0]} (accepted: one of the two)")
        ladder = read_ladder(reader, {name: tree[name] for name in severities}, VALUE, facts)
        if ladder is not None and ladder[0] is not Direction.ABOVE:
            reader.bad(severities[0].value, "found below (accepted: above)")
        for severity in severities:
            for name in STEP_KEYS[2:]:
                if isinstance(tree[severity], dict) and name in tree[severity]:
                    reader.bad(f"{severity}.{name}", "a deal or lead is clear at its threshold (accepted: leave it out)")
        for step in ladder[1] if ladder is not None else ():
            _possible(reader, f"{step.severity}.above", step.threshold, watched)
        return ladder
    if severities:
        reader.bad(severities[0].value, f"found beside {watched}.{key} (accepted: one of the two)")
    if key and key not in found:
        reader.bad(watched.value, f"found no threshold (accepted: such as {_EXAMPLES[watched]}, or warn and critical with above)")
        return None
    threshold = (
        default if not key else reader.number(found[key], f"{watched}.{key}", facts.unit if facts.unit != "times" else "count")
    )
    if threshold is None:
        return None
    _possible(reader, f"{watched}.{key}" if key else watched.value, threshold, watched)
    severity = Severity(reader.choice(tree, "severity", "", list(Severity), Severity.WARN))
    return Direction.ABOVE, (Step(severity, threshold, threshold),)


def _possible(reader: TreeReader, key: str, threshold: float, watched: Watched) -> None:
    if watched is Watched.ODDS and not 0 < threshold < 1:
        reader.bad(key, f"found {threshold:g} (accepted: a fall between 0 and 1; 30 points are 0.3)")
    elif threshold <= 0:
        reader.bad(key, f"found {threshold:g}: true of every {ENTITY[watched]} (accepted: above 0)")


def _where(reader: TreeReader, tree: Mapping[str, Any], entity: str) -> tuple[tuple[str, frozenset[str]], ...]:
    where = tree.get("where", {})
    if not isinstance(where, dict):
        reader.bad("where", f"found {where!r} (accepted: a mapping such as {{stage: [demo, proposal]}})")
        return ()
    read: list[tuple[str, frozenset[str]]] = []
    for name, values in where.items():
        accepted = ATTRIBUTES[entity]
        if name not in accepted:
            reader.bad(f"where.{name}", f'unknown attribute "{name}" of a {entity}{near(name, accepted)}')
            continue
        values = values if isinstance(values, list) else [values]
        if not values or not all(isinstance(value, str) and value for value in values):
            reader.bad(f"where.{name}", f"found {tree['where'][name]!r} (accepted: a text, or a list of texts)")
            continue
        read.append((name, frozenset(values)))
    return tuple(sorted(read, key=lambda pair: pair[0]))


def _names(reader: TreeReader, found: Mapping[str, Any], key: str, name: str) -> frozenset[str]:
    """Return the names of segments of customers; none: any."""
    given = found.get(name, [])
    names = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) and one for one in names):
        reader.bad(f"{key}{name}", f"found {given!r} (accepted: a name, or a list of names)")
        return frozenset()
    return frozenset(names)


def _hours(reader: TreeReader | None, found: Mapping[str, Any], known: Known) -> tuple[str, ...]:
    named = found.get("hours", [])
    names = named if isinstance(named, list) else [named]
    for name in names:
        if name not in known.intervals and reader is not None:
            reader.bad("unanswered.hours", f"undefined time interval {name!r}{near(name, sorted(known.intervals))}")
    return tuple(str(name) for name in names)
