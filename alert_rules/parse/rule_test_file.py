"""What do a rule's own tests say: which readings at which times, and which state after each?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.condition import Condition, ConditionKind
from alert_rules.judge.rule import KpiFacts, Timeline, TimelineMoment
from alert_rules.parse.reader import TreeReader, kind_of
from alert_rules.words.suggest import near
from models.kpis.earlier import SEASONAL, TARGET

TEST_KEYS = ("name", "timeline")
MOMENT_KEYS = ("at", "value", "sample", "expect", "says")
#: What a moment must give beside these, by the rule's kind.
MORE = {
    ConditionKind.CHANGE: ("previous", "previous_sample"),
    ConditionKind.ANOMALY: ("expected", "spread"),
    ConditionKind.TARGET: ("target", "elapsed"),
}
EXPECTED = ("inactive", "pending", "warn", "critical", "warn recovering", "critical recovering")


def read_tests(reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, condition: Condition) -> tuple[Timeline, ...]:
    """Return the timelines; at least one must fire and one stay silent."""
    tests = tree.get("tests")
    if not isinstance(tests, list) or not tests:
        reader.bad("tests", "found none (accepted: a list of timelines, at least one that fires and one that stays silent)")
        return ()
    before = len(reader.problems)
    read = tuple(_timeline(reader, test, f"tests[{n}]", facts, condition) for n, test in enumerate(tests))
    if len(reader.problems) > before:
        return ()
    check_speaks(reader, [any(moment.expect not in ("inactive", "pending") for moment in test.moments) for test in read])
    return read


def check_speaks(reader: TreeReader, speaks: list[bool]) -> None:
    """Note where no test fires, or none stays silent."""
    if not any(speaks):
        reader.bad("tests", "none of them fires (accepted: at least one that does)")
    if all(speaks):
        reader.bad("tests", "none of them stays silent (accepted: at least one that does)")


def _timeline(reader: TreeReader, tree: Any, key: str, facts: KpiFacts, condition: Condition) -> Timeline:
    found = reader.mapping(tree, key, TEST_KEYS)
    if found is None:
        return Timeline("", ())
    name = reader.text(found, "name", f"{key}.")
    moments = found.get("timeline")
    if not isinstance(moments, list) or not moments:
        reader.bad(f"{key}.timeline", "found none (accepted: a list of {at, value, sample, expect})")
        return Timeline("", ())
    read: list[TimelineMoment] = []
    for n, moment in enumerate(moments):
        one = _moment(reader, moment, f"{key}.timeline[{n}]", facts, condition)
        if one is not None and read and one.at <= read[-1].at:
            reader.bad(f"{key}.timeline[{n}].at", f"found {moment['at']} (accepted: after the line before)")
        if one is not None:
            read.append(one)
    return Timeline(name or "", tuple(read))


def _moment(reader: TreeReader, tree: Any, key: str, facts: KpiFacts, condition: Condition) -> TimelineMoment | None:
    if not isinstance(tree, dict):
        keys = (*MOMENT_KEYS, *MORE.get(condition.kind, ()))
        reader.bad(key, f"found {kind_of(tree)} (accepted: a mapping with the keys {', '.join(keys)})")
        return None
    more, interval = MORE.get(condition.kind, ()), ("low", "high") if facts.interval else ()
    reader.keys(tree, (*MOMENT_KEYS, *more, *interval), f"{key}.")
    for name in ("at", "value", "expect", *more[:1]):
        if name not in tree:
            reader.bad(f"{key}.{name}", "found nothing")
            return None
    value = _maybe(reader, tree, "value", key, facts.unit)
    sample = _maybe(reader, tree, "sample", key, "count")
    expect = tree["expect"]
    if expect not in EXPECTED:
        reader.bad(f"{key}.expect", f"found {expect!r}{near(expect, EXPECTED)}")
        return None
    says = reader.text(tree, "says", f"{key}.") if "says" in tree else None
    against = _against(reader, tree, key, facts, condition, value, sample)
    low, high = (_maybe(reader, tree, name, key, facts.unit) for name in ("low", "high"))
    return TimelineMoment(reader.duration(tree["at"], f"{key}.at"), value, sample, expect, says, against, low, high)


def _maybe(reader: TreeReader, tree: Mapping[str, Any], name: str, key: str, unit: str) -> float | None:
    return None if tree.get(name) is None else reader.number(tree[name], f"{key}.{name}", unit)


def _against(
    reader: TreeReader,
    tree: Mapping[str, Any],
    key: str,
    facts: KpiFacts,
    condition: Condition,
    value: float | None,
    sample: float | None,
) -> Mapping[str, Mapping[str, Any]] | None:
    match condition.kind:
        case ConditionKind.CHANGE:
            before, cases = (
                _maybe(reader, tree, "previous", key, facts.unit),
                _maybe(reader, tree, "previous_sample", key, "count"),
            )
            hits = None if before is None or cases is None else before * cases
            return {condition.versus: {"value": before, "numerator": hits, "denominator": cases}}
        case ConditionKind.ANOMALY:
            expected, spread = (_maybe(reader, tree, name, key, facts.unit) for name in ("expected", "spread"))
            known = value is not None and expected is not None and spread
            found = {"value": value, "sample": sample, "expected": expected, "spread": spread}
            return {SEASONAL: found | {"deviations": (value - expected) / spread if known else None}}  # type: ignore[operator]
        case ConditionKind.TARGET:
            quota, elapsed = _maybe(reader, tree, "target", key, facts.unit), _maybe(reader, tree, "elapsed", key, "ratio")
            share = 0.5 if elapsed is None else elapsed
            return {TARGET: {"value": quota, "due": None if quota is None else quota * share, "elapsed": share}}
    return None
