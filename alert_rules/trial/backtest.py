"""How often would a rule have spoken over a history, for how long, about what, and how much noise would other thresholds make?

Pure bookkeeping over what the evaluation says: the records of the topic ``alerts`` in, a report out. The thresholds of the grid
are rules like any other, evaluated by the same code over the same readings.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

import orjson

from alert_rules.judge.rule import Direction, KpiRule, LadderStep, Rule
from alert_rules.kinds.value import Value
from alert_rules.records.facts import gravity
from models.calendar import DAY_MS, epoch_ms, iso

#: By what the first threshold of a rule is multiplied in the grid.
FACTORS = (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 2.0)
#: How sure the grid's column of that name is that a rate lies beyond the threshold.
SURE = 0.95
#: The grid's columns: as written; without `for`, `min_samples`, `sure` and `active`; as written and sure, where there is a test.
GUARDS = ("as written", "unguarded", f"sure {SURE:g}")
#: So many incidents and deals of a rule are named in a report; all are counted.
NAMED = 5

_WEEK = 7 * DAY_MS


@dataclass(slots=True)
class Incident:
    """One alert that spoke: from when to when (None: to the end of the history), how grave at most."""

    id: str
    segment: str
    severity: str
    fired: int
    ended: int | None = None
    relapses: int = 0
    summary: str = ""
    behind: list[dict[str, Any]] = field(default_factory=list)  # the deals or leads it named

    def lasted(self, end: int) -> int:
        """Return how long it fired, in milliseconds, up to the end of the history."""
        return (end if self.ended is None else self.ended) - self.fired


@dataclass(slots=True)
class Spoken:
    """What one rule has said so far."""

    incidents: dict[str, Incident] = field(default_factory=dict)  # by id, those that fired
    pending: int = 0  # how often it began to wait
    cancelled: int = 0  # how often it stopped waiting without having spoken


class Bench:
    """Takes transitions as they come, and keeps what each rule has said."""

    def __init__(self) -> None:
        self.rules: dict[str, Spoken] = {}

    def take(self, value: bytes) -> None:
        """Take one record of the topic ``alerts``; what is not a transition is passed over."""
        tree = orjson.loads(value)
        if tree.get("type") != "transition":
            return
        record = self.rules.setdefault(tree["rule"], Spoken())
        kind, at = tree["kind"], epoch_ms(datetime.fromisoformat(tree["at"]))
        if kind == "pending":
            record.pending += 1
            return
        if kind == "cancelled":
            record.cancelled += 1
            return
        incident = record.incidents.get(tree["incident"])
        if incident is None:
            if kind != "fired":
                return
            incident = record.incidents[tree["incident"]] = Incident(
                tree["incident"],
                next((f"{name}={place}" for name, place in tree["segment"].items()), "total"),
                tree["severity"],
                at,
                summary=str(tree["message"]["text"]).partition("\n")[0],
                behind=list((tree.get("explanation") or {}).get("behind") or ()),
            )
        match kind:
            case "upgraded":
                incident.severity = max(incident.severity, tree["severity"], key=gravity)
            case "relapsed":
                incident.relapses += 1
            case "resolved":
                incident.ended = at


class WatchedSeries(NamedTuple):
    """What there was for a rule to see: since when each group had readings, and a sample of the values."""

    since: Mapping[str, int]
    values: Sequence[float]


def report(rule: Rule, record: Spoken, watched: WatchedSeries, start: int, end: int) -> dict[str, Any]:
    """Return what a rule has said from ``start`` to ``end`` (epoch ms), ready for JSON. Times are ISO, lengths seconds."""
    incidents = sorted(record.incidents.values(), key=lambda one: (one.fired, one.segment))
    lengths = [one.lasted(end) for one in incidents]
    weeks = max(1, end - start) / _WEEK
    behind: dict[str, int] = {}
    for one in incidents:
        for deal in one.behind:
            behind[str(deal.get("id"))] = behind.get(str(deal.get("id")), 0) + 1
    return {
        "rule": rule.id,
        "groups": len(watched.since),
        "incidents": len(incidents),
        "critical": sum(one.severity == "critical" for one in incidents),
        "per_week": round(len(incidents) / weeks, 2),
        "standing": sum(one.ended is None for one in incidents),
        "relapses": sum(one.relapses for one in incidents),
        "never_spoke": record.cancelled,
        "median_seconds": median(lengths) // 1000 if lengths else None,
        "longest_seconds": max(lengths) // 1000 if lengths else None,
        "share_firing": _share(sum(lengths), watched, end),
        "values": _quantiles(watched.values),
        "by_group": _by_group(incidents, watched, end),
        "examples": [_shown(one, end) for one in incidents[:NAMED]],
        "behind": dict(sorted(behind.items(), key=lambda item: (-item[1], item[0]))[:NAMED]),
    }


def _share(firing: int, watched: WatchedSeries, end: int) -> float | None:
    """Return the share of the time in which groups had readings that was spent firing."""
    seen = sum(end - since for since in watched.since.values())
    return round(firing / seen, 4) if seen else None


def _by_group(incidents: Iterable[Incident], watched: WatchedSeries, end: int) -> list[dict[str, Any]]:
    groups: dict[str, list[Incident]] = {}
    for one in incidents:
        groups.setdefault(one.segment, []).append(one)
    return [
        {
            "segment": segment,
            "incidents": len(ones),
            "share_firing": _share(
                sum(one.lasted(end) for one in ones), WatchedSeries({segment: watched.since.get(segment, ones[0].fired)}, ()), end
            ),
        }
        for segment, ones in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _shown(one: Incident, end: int) -> dict[str, Any]:
    return {
        "incident": one.id,
        "segment": one.segment,
        "severity": one.severity,
        "fired": iso(one.fired),
        "ended": None if one.ended is None else iso(one.ended),
        "seconds": one.lasted(end) // 1000,
        "summary": one.summary,
        "behind": one.behind,
    }


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {name: ordered[round(share * (len(ordered) - 1))] for name, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95))}


# --- the grid ---------------------------------------------------------------------------------------------------------


class Variant(NamedTuple):
    """A rule of the grid: which rule it is made of, where its one threshold lies, what guards it."""

    origin: str
    threshold: float
    guard: str
    rule: Rule


def variants(rule: Rule, bounded: bool) -> Iterator[Variant]:
    """Yield the rule with other thresholds, one step each; ``bounded`` says that it watches a share of counted cases."""
    if not isinstance(rule, KpiRule):
        return  # of single deals and senders only what is beyond the rule's own threshold is told here
    share = bounded and isinstance(rule.condition, Value)
    absent = rule.is_absence
    number = 0
    for threshold, changed in _waits(rule) if absent else _steps(rule, share):
        for guard in GUARDS:
            if (guard == GUARDS[1] and absent) or (guard == GUARDS[2] and not (share or rule.sure is not None)):
                continue
            guarded = replace(changed, id=f"{rule.id}~{number}")
            if guard == GUARDS[1]:
                guarded = replace(guarded, wait=0, keep=0, min_samples=0, sure=None, active=(), times=())
            elif guard == GUARDS[2]:
                guarded = replace(guarded, sure=SURE)
            number += 1
            yield Variant(rule.id, threshold, guard, guarded)


def _waits(rule: KpiRule) -> list[tuple[float, KpiRule]]:
    """Return an absence's own times to try, in seconds, longest first."""
    waits = sorted({round(rule.wait * factor) for factor in FACTORS}, reverse=True)
    return [(wait / 1000, replace(rule, wait=wait)) for wait in waits]


def _steps(rule: KpiRule, bounded: bool) -> list[tuple[float, KpiRule]]:
    """Return the thresholds to try, from the one that speaks least to the one that speaks most."""
    first = rule.ladder[0]
    gap = first.clear - first.threshold
    if first.threshold:
        tried = [first.threshold * factor for factor in FACTORS]
    else:
        tried = [count * (abs(gap) or 1.0) for count in range(-3, 5)]
    tried += [step.threshold for step in rule.ladder]
    found: dict[float, LadderStep] = {}
    for threshold in tried:
        threshold = float(f"{threshold:.4g}")
        clear = threshold + gap * (threshold / first.threshold if first.threshold else 1)
        if bounded:
            if not 0 < threshold < 1:
                continue
            clear = min(1.0, max(0.0, clear))
        if math.isfinite(clear):
            found[threshold] = LadderStep(first.severity, threshold, clear)
    steps = sorted(found.items(), reverse=rule.direction is Direction.ABOVE)
    return [(threshold, replace(rule, ladder=(step,))) for threshold, step in steps]


def grid(tried: Iterable[Variant], bench: Bench, watched: WatchedSeries, start: int, end: int) -> list[dict[str, Any]]:
    """Return the table of one rule: a row a threshold, under each guard the number of incidents and the share of time."""
    rows: dict[float, dict[str, Any]] = {}
    weeks = max(1, end - start) / _WEEK
    for one in tried:
        incidents = list(bench.rules.get(one.rule.id, Spoken()).incidents.values())
        row = rows.setdefault(one.threshold, {"threshold": one.threshold})
        row[one.guard] = {
            "incidents": len(incidents),
            "per_week": round(len(incidents) / weeks, 2),
            "groups": len({incident.segment for incident in incidents}),
            "share_firing": _share(sum(incident.lasted(end) for incident in incidents), watched, end),
        }
    return list(rows.values())
