"""What do a rule's own tests say: which readings at which times, and which state after each?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.rule import KpiFacts, Timeline, TimelineMoment
from alert_rules.kinds.condition import Condition
from models.config.reader import TreeReader, kind_of
from models.config.suggest import near

TEST_KEYS = ("name", "timeline")
MOMENT_KEYS = ("at", "value", "sample", "expect", "says")
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
    more, interval = tuple(condition.MOMENT), ("low", "high") if facts.interval else ()
    if not isinstance(tree, dict):
        keys = (*MOMENT_KEYS, *more)
        reader.bad(key, f"found {kind_of(tree)} (accepted: a mapping with the keys {', '.join(keys)})")
        return None
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
    given = {name: _maybe(reader, tree, name, key, unit or facts.unit) for name, unit in condition.MOMENT.items()}
    against = condition.at_moment(given, value, sample)
    low, high = (_maybe(reader, tree, name, key, facts.unit) for name in ("low", "high"))
    return TimelineMoment(reader.duration(tree["at"], f"{key}.at"), value, sample, expect, says, against, low, high)


def _maybe(reader: TreeReader, tree: Mapping[str, Any], name: str, key: str, unit: str) -> float | None:
    return None if tree.get(name) is None else reader.number(tree[name], f"{key}.{name}", unit)
