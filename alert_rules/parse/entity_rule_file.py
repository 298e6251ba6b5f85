"""Which rule on single deals or leads does a file give?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.rule import Direction, Known, KpiFacts, LadderStep, Severity
from alert_rules.kinds import ENTITY_KINDS
from alert_rules.kinds.entity_condition import EntityCondition
from alert_rules.kinds.form import STEP_KEYS
from alert_rules.kinds.value import VALUE
from alert_rules.parse.ladders import SeverityLadder, read_ladder
from alert_rules.records.entity_facts import ATTRIBUTES
from models.config.reader import TreeReader
from models.config.suggest import near

ENTITIES = tuple(ATTRIBUTES)
WATCHED = tuple(kind.KEY for kind in ENTITY_KINDS)


def read_entity(reader: TreeReader, tree: Mapping[str, Any], known: Known) -> tuple[EntityCondition, SeverityLadder] | None:
    """Return what is watched, and the ladder; None where they cannot be used."""
    entity = reader.choice(tree, "entity", "", ENTITIES, "deal")
    named = [kind for kind in ENTITY_KINDS if kind.KEY in tree]
    if len(named) != 1:
        several = " and ".join(kind.KEY for kind in named) or "nothing"
        reader.bad("entity", f"found {several} to watch of a {entity} (accepted: one of {', '.join(WATCHED)})")
        return None
    (kind,) = named
    if kind.ENTITY != entity:
        reader.bad(kind.KEY, f"is of a {kind.ENTITY} (accepted with entity: {kind.ENTITY})")
    found = reader.mapping(tree[kind.KEY], kind.KEY, tuple(kind.FORM), kind.EXAMPLE)
    if found is None:
        return None
    condition = kind.read(reader, found, _where(reader, tree, entity), known)
    ladder = _ladder(reader, tree, found, kind)
    return None if ladder is None else (condition, ladder)


def _ladder(
    reader: TreeReader, tree: Mapping[str, Any], found: Mapping[str, Any], kind: type[EntityCondition]
) -> SeverityLadder | None:
    key = kind.THRESHOLD
    severities = [severity for severity in Severity if severity.value in tree]
    if severities and (not key or key not in found):
        if "severity" in tree:
            reader.bad("severity", f"found beside {severities[0]} (accepted: one of the two)")
        ladder = read_ladder(reader, {name: tree[name] for name in severities}, VALUE, KpiFacts(kind.UNIT, ""))
        if ladder is not None and ladder[0] is not Direction.ABOVE:
            reader.bad(severities[0].value, "found below (accepted: above)")
        for severity in severities:
            for name in STEP_KEYS[2:]:
                if isinstance(tree[severity], dict) and name in tree[severity]:
                    reader.bad(f"{severity}.{name}", "a deal or lead is clear at its threshold (accepted: leave it out)")
        for step in ladder[1] if ladder is not None else ():
            _possible(reader, f"{step.severity}.above", step.threshold, kind)
        return ladder
    if severities:
        reader.bad(severities[0].value, f"found beside {kind.KEY}.{key} (accepted: one of the two)")
    if key and key not in found:
        reader.bad(kind.KEY, f"found no threshold (accepted: such as {kind.EXAMPLE}, or warn and critical with above)")
        return None
    unit = kind.UNIT if kind.UNIT != "times" else "count"
    threshold = reader.number(found[key], f"{kind.KEY}.{key}", unit) if key else kind.DEFAULT
    if threshold is None:
        return None
    _possible(reader, f"{kind.KEY}.{key}" if key else kind.KEY, threshold, kind)
    severity = Severity(reader.choice(tree, "severity", "", list(Severity), Severity.WARN))
    return Direction.ABOVE, (LadderStep(severity, threshold, threshold),)


def _possible(reader: TreeReader, key: str, threshold: float, kind: type[EntityCondition]) -> None:
    if (wrong := kind.impossible(threshold)) is not None:
        reader.bad(key, wrong)


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
