"""What do the tests of a rule on deals or leads say: what is heard of one, when, and which state after each?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.rule import Known, Timeline, TimelineMoment
from alert_rules.kinds import ENTITY_KINDS
from alert_rules.kinds.entity_condition import EntityCondition
from alert_rules.parse.rule_test_file import EXPECTED, check_speaks
from alert_rules.records.entity_facts import ATTRIBUTES
from models.config.reader import TreeReader, kind_of
from models.config.suggest import near

TEST_KEYS = ("name", "limits", "usual", "timeline")
MOMENT_KEYS = ("at", "set", "expect", "says")
#: What may be heard of one at a moment, beside its attributes.
HEARD: dict[str, tuple[str, ...]] = {
    "deal": ("amount", "win", "status"),
    "lead": ("contacted", "score", "status"),
    "sender": ("event",),
    "experiment": ("decision", "decided", "evidence", "srm", "guard_status"),
    "objective": ("state", "pace"),
    "challenge": ("annulled",),
    "customer": ("worth",),
}
STATUSES: dict[str, tuple[str, ...]] = {
    "deal": ("open", "won", "lost", "unknown", "gone"),
    "lead": ("open", "converted", "disqualified", "unknown", "gone"),
    "sender": (),
    **{name: () for name in ("experiment", "objective", "challenge", "customer")},
}


def read_entity_tests(
    reader: TreeReader, tree: Mapping[str, Any], condition: EntityCondition, known: Known
) -> tuple[Timeline, ...]:
    """Return the timelines; at least one must fire and one stay silent."""
    tests = tree.get("tests")
    if not isinstance(tests, list) or not tests:
        reader.bad("tests", "found none (accepted: a list of timelines, at least one that fires and one that stays silent)")
        return ()
    before = len(reader.problems)
    read = tuple(_timeline(reader, test, f"tests[{n}]", condition, known) for n, test in enumerate(tests))
    if len(reader.problems) > before:
        return ()
    check_speaks(reader, [any(moment.expect not in ("inactive", "pending") for moment in test.moments) for test in read])
    return read


def _timeline(reader: TreeReader, tree: Any, key: str, condition: EntityCondition, known: Known) -> Timeline:
    found = reader.mapping(tree, key, TEST_KEYS)
    if found is None:
        return Timeline("", ())
    name = reader.text(found, "name", f"{key}.")
    limits = found.get("limits", {})
    if not isinstance(limits, dict) or (limits and "limits" not in condition.TESTED):
        reader.bad(f"{key}.limits", f"found {limits!r} (accepted: usual stays by stage, with {_with('limits')} only)")
        limits = {}
    read_limits = {str(stage): reader.duration(stay, f"{key}.limits.{stage}") for stage, stay in limits.items()}
    usual = found.get("usual")
    if usual is not None and (usual not in known.intervals or "usual" not in condition.TESTED):
        reader.bad(f"{key}.usual", f"found {usual!r}{near(usual, sorted(known.intervals))} (with {_with('usual')} only)")
    moments = found.get("timeline")
    if not isinstance(moments, list) or not moments:
        reader.bad(f"{key}.timeline", "found none (accepted: a list of {at, set, expect})")
        return Timeline("", ())
    read: list[TimelineMoment] = []
    for n, moment in enumerate(moments):
        one = _moment(reader, moment, f"{key}.timeline[{n}]", condition)
        if one is not None and read and one.at <= read[-1].at:
            reader.bad(f"{key}.timeline[{n}].at", f"found {moment['at']} (accepted: after the line before)")
        if one is not None:
            read.append(one)
    return Timeline(name or "", tuple(read), read_limits, known.intervals.get(str(usual), ()))


def _moment(reader: TreeReader, tree: Any, key: str, condition: EntityCondition) -> TimelineMoment | None:
    found = reader.mapping(tree, key, MOMENT_KEYS)
    if found is None:
        return None
    for name in ("at", "expect"):
        if name not in found:
            reader.bad(f"{key}.{name}", "found nothing")
            return None
    heard = found.get("set", {})
    if not isinstance(heard, dict):
        reader.bad(f"{key}.set", f"found {kind_of(heard)} (accepted: a mapping such as {{stage: demo}})")
        return None
    accepted = (*ATTRIBUTES[condition.ENTITY], *HEARD[condition.ENTITY])
    reader.keys(heard, accepted, f"{key}.set.")
    if "status" in heard and heard["status"] not in STATUSES[condition.ENTITY]:
        reader.bad(f"{key}.set.status", f"found {heard['status']!r}{near(heard['status'], STATUSES[condition.ENTITY])}")
    for name, unit in (("amount", "money"), ("win", "ratio"), ("score", "count")):
        if heard.get(name) is not None:
            reader.number(heard[name], f"{key}.set.{name}", unit)
    expect = found["expect"]
    if expect not in EXPECTED:
        reader.bad(f"{key}.expect", f"found {expect!r}{near(expect, EXPECTED)}")
        return None
    says = reader.text(found, "says", f"{key}.") if "says" in found else None
    return TimelineMoment(reader.duration(found["at"], f"{key}.at"), None, None, expect, says, facts=heard)


def _with(name: str) -> str:
    return ", ".join(kind.KEY for kind in ENTITY_KINDS if name in kind.TESTED)
