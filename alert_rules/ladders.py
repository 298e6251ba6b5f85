"""Which condition and which severity ladder does a rule file give, and can they hold and end?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.condition import VALUE, Condition, Kind
from alert_rules.reader import Reader, is_percent
from alert_rules.rule import Direction, Known, KpiFacts, Severity, Step
from alert_rules.wording import number
from models.kpis.earlier import PREVIOUS, WEEK_AGO
from models.kpis.seasonal import SEASONS
from models.panes.windows import PERIODS, Window

STEP_KEYS = ("below", "above", "clear_above", "clear_below")
CHANGE_KEYS = ("versus", *STEP_KEYS)
ANOMALY_KEYS = ("mad", "clear", "side")
TARGET_KEYS = ("pace_below", "clear_above", "after")
#: The keys that choose another kind than a threshold on the value.
CONDITIONS = ("change", "anomaly", "target", "absent")
_EXAMPLES = {
    "change": "{versus: previous, below: -30%}",
    "anomaly": "{mad: 4}",
    "target": "{pace_below: 0.9}",
}
_SIDES = ("both", "below", "above")
#: Hours are kept 35 days: for longer rolling windows below 30 days there is no period before.
_LONGEST_COMPARED = 17 * 86_400_000

Ladder = tuple[Direction, tuple[Step, ...]]


def read_condition(reader: Reader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Condition:
    """Return what the rule measures; a threshold on the value where no other kind is named."""
    named = [name for name in CONDITIONS if name in tree]
    for other in named[1:]:
        reader.bad(other, f"found beside {named[0]} (accepted: one of {', '.join(CONDITIONS)})")
    if not named:
        return VALUE
    match named[0]:
        case "change":
            return _change(reader, tree, window)
        case "anomaly":
            found = reader.mapping(tree["anomaly"], "anomaly", ANOMALY_KEYS, _EXAMPLES["anomaly"]) or {}
            if window is not None and window.name not in SEASONS:
                reader.bad(
                    "window", f"found {window.name}: what is usual is known of complete periods (accepted: {', '.join(SEASONS)})"
                )
            return Condition(Kind.ANOMALY, side=reader.choice(found, "side", "anomaly.", _SIDES, "both"))
        case "target":
            return _target(reader, tree, facts, window, known)
    return Condition(Kind.ABSENT)


def _change(reader: Reader, tree: Mapping[str, Any], window: Window | None) -> Condition:
    found = reader.mapping(tree["change"], "change", CHANGE_KEYS, _EXAMPLES["change"]) or {}
    versus = reader.choice(found, "versus", "change.", (PREVIOUS, WEEK_AGO), PREVIOUS)
    if window is not None and window.grain == "h" and window.length > _LONGEST_COMPARED and versus == PREVIOUS:
        reader.bad("window", f"found {window.name}: hours are not kept for two of it (accepted: up to 17d, or from 30d)")
    steps = [found, *(tree[s.value] for s in Severity if isinstance(tree.get(s.value), dict))]
    limits = [step[side.value] for step in steps for side in Direction if side.value in step]
    return Condition(Kind.CHANGE, versus, relative=any(is_percent(limit) for limit in limits))


def _target(reader: Reader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Condition:
    found = reader.mapping(tree["target"], "target", TARGET_KEYS, _EXAMPLES["target"]) or {}
    if window is not None and window.length:
        reader.bad("window", f"found {window.name}: a target is for a calendar period (accepted: {', '.join(PERIODS)})")
    if facts.label and not facts.additive:
        reader.bad(
            "target", f'"{tree.get("kpi")}" does not grow over the period (accepted: a KPI that is a sum, such as revenue)'
        )
    by = tree.get("by")
    if known.targets is not None and window is not None and not known.targets.has(str(tree.get("kpi")), window.name, by):
        place = f" by {by}" if by else ""
        reader.bad(
            "target", f'there is no target of "{tree.get("kpi")}" for a {window.name}{place} (accepted: one under targets)'
        )
    after = reader.percent(found["after"], "target.after") if "after" in found else 0.0
    if after is not None and not 0 <= after < 1:
        reader.bad("target.after", f"found {found['after']} (accepted: from 0% to below 100%)")
    return Condition(Kind.TARGET, after=after or 0.0)


def read_ladder(reader: Reader, tree: Mapping[str, Any], condition: Condition, facts: KpiFacts) -> Ladder | None:
    """Return on which side the trouble lies and the steps, the least grave first; None where they cannot be used."""
    severities = [severity for severity in Severity if severity.value in tree]
    short = _short(reader, tree, condition, facts)
    if short is not None:
        if severities:
            reader.bad(severities[0].value, f"found beside the threshold in {condition.kind} (accepted: one of the two)")
        severity = reader.choice(tree, "severity", "", list(Severity), Severity.WARN)
        return short[0], (Step(Severity(severity), *short[1]),)
    if "severity" in tree:
        reader.bad("severity", "goes with a threshold in change, anomaly, target or absent (accepted: warn, critical)")
    if not severities:
        if condition.kind is Kind.VALUE:
            reader.bad("warn", "found nothing (accepted: warn, critical or both, each with below or above)")
        elif isinstance(tree.get(condition.kind.value), dict):
            reader.bad(condition.kind.value, f"found no threshold (accepted: such as {_EXAMPLES[condition.kind.value]})")
        return None
    read = [(severity, _step(reader, tree[severity.value], severity.value, condition, facts)) for severity in severities]
    steps = [Step(severity, *found[1]) for severity, found in read if found is not None]
    directions = {found[0] for _, found in read if found is not None}
    if len(directions) > 1:
        reader.bad("critical", "found below in one step and above in the other (accepted: the same side in both)")
    if not steps or len(directions) != 1:
        return None
    direction = directions.pop()
    fixed = {Kind.ANOMALY: Direction.ABOVE, Kind.TARGET: Direction.BELOW}.get(condition.kind, direction)
    if direction is not fixed:
        reader.bad(severities[0].value, f"found {direction} (accepted with {condition.kind}: {fixed})")
    if len(steps) == 2:
        _ordered(reader, direction, steps[0], steps[1], condition.unit(facts.unit))
    return direction, tuple(steps)


def _short(
    reader: Reader, tree: Mapping[str, Any], condition: Condition, facts: KpiFacts
) -> tuple[Direction, tuple[float, float]] | None:
    """Read a threshold that stands in the condition itself, None where there is none."""
    found = tree.get(condition.kind.value)
    match condition.kind:
        case Kind.ABSENT:
            if reader.duration(found, "absent") == 0 and not any(p.key == "absent" for p in reader.problems):
                reader.bad("absent", "found 0: every quiet moment would speak (accepted: a duration, such as 2h)")
            return Direction.ABOVE, (0.5, 0.5)
        case Kind.CHANGE if isinstance(found, dict) and any(side.value in found for side in Direction):
            step = {name: value for name, value in found.items() if name in STEP_KEYS}
            return _step(reader, step, "change", condition, facts) or (Direction.BELOW, (0.0, 0.0))
        case Kind.ANOMALY if isinstance(found, dict) and "mad" in found:
            step = {"above": found["mad"], **({"clear_below": found["clear"]} if "clear" in found else {})}
            names = {"above": "mad", "clear_below": "clear"}
            return _step(reader, step, "anomaly", condition, facts, names) or (Direction.ABOVE, (1.0, 1.0))
        case Kind.TARGET if isinstance(found, dict) and "pace_below" in found:
            step = {"below": found["pace_below"], **{n: found[n] for n in ("clear_above",) if n in found}}
            return _step(reader, step, "target", condition, facts, {"below": "pace_below"}) or (Direction.BELOW, (0.0, 0.0))
    return None


def _step(
    reader: Reader, tree: Any, key: str, condition: Condition, facts: KpiFacts, names: Mapping[str, str] | None = None
) -> tuple[Direction, tuple[float, float]] | None:
    """Read one step: threshold and clearing level, in the measured's unit. ``names`` are the keys as the file has them."""
    found = reader.mapping(tree, key, STEP_KEYS, "{below: 0.2, clear_above: 0.22}") if names is None else tree
    if found is None:
        return None
    names = names or {}
    sides = [side for side in Direction if side.value in found]
    if len(sides) != 1:
        reader.bad(key, f"found {' and '.join(sides) or 'neither below nor above'} (accepted: one of below, above)")
        return None
    (direction,) = sides
    below = direction is Direction.BELOW
    clear_key, wrong = ("clear_above", "clear_below") if below else ("clear_below", "clear_above")
    if wrong in found:
        reader.bad(f"{key}.{wrong}", f"does not go with {direction} (accepted: {clear_key})")
    unit = condition.unit(facts.unit)
    shown = f"{key}.{names.get(direction.value, direction.value)}"
    clear_shown = f"{key}.{names.get(clear_key, clear_key)}"
    threshold = reader.number(found[direction.value], shown, unit)
    if threshold is None:
        return None
    clear = reader.number(found[clear_key], clear_shown, unit) if clear_key in found else threshold
    if clear is None:
        return None
    if condition.kind is Kind.VALUE and facts.bounded:
        for name, value in ((shown, threshold), (clear_shown, clear)):
            if not 0 <= value <= 1:
                reader.bad(name, f"found {value:g} (accepted: a share from 0 to 1; {value:g} % is {value / 100:g})")
    if clear < threshold if below else clear > threshold:
        side = "above" if below else "below"
        reader.bad(clear_shown, f"found {clear:g} (accepted: at or {side} the threshold {threshold:g})")
    _possible(reader, shown, direction, threshold, condition, facts)
    return direction, (threshold, clear)


def _possible(reader: Reader, key: str, direction: Direction, threshold: float, condition: Condition, facts: KpiFacts) -> None:
    """Note a threshold that everything, or nothing, lies beyond."""
    low, high, what = _range(condition, facts)
    below = direction is Direction.BELOW
    if facts.bounded and condition.kind is Kind.VALUE:
        if not 0 <= threshold <= 1:
            return  # that has been said
        if threshold >= 1 if below else threshold <= 0:
            reader.bad(key, f"found {threshold:g}: nearly always true of {what}")
            return
    elif high is not None and below and threshold > high:
        reader.bad(key, f"found {threshold:g}: always true of {what}")
        return
    elif low is not None and not below and threshold < low:
        reader.bad(key, f"found {threshold:g}: always true of {what}")
        return
    if (low is not None and below and threshold <= low) or (high is not None and not below and threshold >= high):
        reader.bad(key, f"found {threshold:g}: never true of {what}")


def _range(condition: Condition, facts: KpiFacts) -> tuple[float | None, float | None, str]:
    match condition.kind:
        case Kind.CHANGE if condition.relative:
            return (None if facts.unit in ("score", "money") else -1.0), None, "a change (nothing falls by more than all of it)"
        case Kind.ANOMALY:
            return 0.0, None, "how far a value lies from what is usual"
        case Kind.VALUE if facts.bounded:
            return 0.0, 1.0, "a share from 0 to 1"
        case Kind.VALUE if facts.interval:
            return -100.0, 100.0, "a score from -100 to 100"
        case Kind.VALUE if facts.unit in ("count", "seconds", "days"):
            return 0.0, None, f"a number of {facts.unit if facts.unit != 'count' else 'cases'}, which is never below 0"
    return None, None, ""


def _ordered(reader: Reader, direction: Direction, warn: Step, critical: Step, unit: str) -> None:
    below = direction is Direction.BELOW
    side = "below" if below else "above"
    if critical.threshold >= warn.threshold if below else critical.threshold <= warn.threshold:
        reader.bad(
            f"critical.{side}",
            f"found {critical.threshold:g} ({number(critical.threshold, unit)}) "
            f"(accepted: further {side} than warn's {warn.threshold:g})",
        )
    elif critical.clear > warn.clear if below else critical.clear < warn.clear:
        reader.bad(
            f"critical.clear_{'above' if below else 'below'}",
            f"found {critical.clear:g} (accepted: not beyond warn's {warn.clear:g}, which would end before it)",
        )
