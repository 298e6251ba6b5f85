"""Which condition and which severity ladder does a rule file give, and can they hold and end?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.rule import Direction, Known, KpiFacts, LadderStep, Severity
from alert_rules.kinds import KPI_KINDS, kpi_kind
from alert_rules.kinds.condition import Condition
from alert_rules.kinds.form import STEP_KEYS
from alert_rules.kinds.value import VALUE, Value
from alert_rules.words.quantities import number
from models.config.reader import TreeReader
from models.panes.windows import Window

#: The keys that choose another kind than a threshold on the value.
CONDITIONS = tuple(kind.KEY for kind in KPI_KINDS if kind is not Value)

SeverityLadder = tuple[Direction, tuple[LadderStep, ...]]


def read_condition(
    reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known
) -> Condition:
    """Return what the rule measures; a threshold on the value where no other kind is named."""
    named = [name for name in CONDITIONS if name in tree]
    for other in named[1:]:
        reader.bad(other, f"found beside {named[0]} (accepted: one of {', '.join(CONDITIONS)})")
    if not named:
        return VALUE
    return kpi_kind(named[0]).read(reader, tree, facts, window, known)


def read_ladder(reader: TreeReader, tree: Mapping[str, Any], condition: Condition, facts: KpiFacts) -> SeverityLadder | None:
    """Return on which side the trouble lies and the steps, the least grave first; None where they cannot be used."""
    severities = [severity for severity in Severity if severity.value in tree]
    short = _short(reader, tree, condition, facts)
    if short is not None:
        if severities:
            reader.bad(severities[0].value, f"found beside the threshold in {condition.KEY} (accepted: one of the two)")
        severity = reader.choice(tree, "severity", "", list(Severity), Severity.WARN)
        return short[0], (LadderStep(Severity(severity), *short[1]),)
    if "severity" in tree:
        reader.bad(
            "severity", f"goes with a threshold in {', '.join(CONDITIONS[:-1])} or {CONDITIONS[-1]} (accepted: warn, critical)"
        )
    if not severities:
        if isinstance(condition, Value):
            reader.bad("warn", "found nothing (accepted: warn, critical or both, each with below or above)")
        elif isinstance(tree.get(condition.KEY), dict):
            reader.bad(condition.KEY, f"found no threshold (accepted: such as {condition.EXAMPLE})")
        return None
    read = [(severity, _step(reader, tree[severity.value], severity.value, condition, facts)) for severity in severities]
    steps = [LadderStep(severity, *found[1]) for severity, found in read if found is not None]
    directions = {found[0] for _, found in read if found is not None}
    if len(directions) > 1:
        reader.bad("critical", "found below in one step and above in the other (accepted: the same side in both)")
    if not steps or len(directions) != 1:
        return None
    direction = directions.pop()
    if condition.SIDE not in (None, direction):
        reader.bad(severities[0].value, f"found {direction} (accepted with {condition.KEY}: {condition.SIDE})")
    if len(steps) == 2:
        _ordered(reader, direction, steps[0], steps[1], condition.unit(facts.unit))
    return direction, tuple(steps)


def _short(
    reader: TreeReader, tree: Mapping[str, Any], condition: Condition, facts: KpiFacts
) -> tuple[Direction, tuple[float, float]] | None:
    """Read a threshold that stands in the condition itself, None where there is none."""
    if condition.waits is not None:
        return Direction.ABOVE, (0.5, 0.5)  # it is so (1), or it is not (0)
    found = tree.get(condition.KEY)
    if not isinstance(found, dict) or not any(condition.SHORT.get(side.value) in found for side in Direction):
        return None
    step = {name: found[key] for name, key in condition.SHORT.items() if key in found}
    return _step(reader, step, condition.KEY, condition, facts, condition.SHORT) or (Direction.BELOW, (0.0, 0.0))


def _step(
    reader: TreeReader, tree: Any, key: str, condition: Condition, facts: KpiFacts, names: Mapping[str, str] | None = None
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
    if condition.is_share(facts):
        for name, value in ((shown, threshold), (clear_shown, clear)):
            if not 0 <= value <= 1:
                reader.bad(name, f"found {value:g} (accepted: a share from 0 to 1; {value:g} % is {value / 100:g})")
    if clear < threshold if below else clear > threshold:
        side = "above" if below else "below"
        reader.bad(clear_shown, f"found {clear:g} (accepted: at or {side} the threshold {threshold:g})")
    _possible(reader, shown, direction, threshold, condition, facts)
    return direction, (threshold, clear)


def _possible(
    reader: TreeReader, key: str, direction: Direction, threshold: float, condition: Condition, facts: KpiFacts
) -> None:
    """Note a threshold that everything, or nothing, lies beyond."""
    low, high, what = condition.bounds(facts)
    below = direction is Direction.BELOW
    if condition.is_share(facts):
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


def _ordered(reader: TreeReader, direction: Direction, warn: LadderStep, critical: LadderStep, unit: str) -> None:
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
