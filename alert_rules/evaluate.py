"""Given a rule, what was known of one segment, and a new reading: what is its state now, and what has just happened?

The life of an alert, per rule and segment::

    inactive ──breached──► pending ──for elapsed──► firing ──back over the threshold──► recovering ──clear──► resolved
        ▲                     │                        ▲                                    │
        └──────cancelled──────┘                        └─────────────relapsed───────────────┘

Each step of the ladder waits its own ``for`` and is held until its own clearing level, so that a severity goes up and
down within one incident. **A reading without a value says nothing** (null, or a sample below ``min_samples``): an
inactive alert stays inactive, a firing one goes on firing, and a pending one waits: the time without a value does not
count towards ``for``. A reading older than the last one is ignored. The time is the reading's own ``at``, so that
history replays to the same alerts.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from alert_rules.durations import human
from alert_rules.posterior import probability
from alert_rules.reading import sample
from alert_rules.rule import Direction, Rule, Severity, Step
from alert_rules.wording import number
from models.kpis.reading import Reading


class Phase(StrEnum):
    """Where an alert stands; an inactive one has no state at all."""

    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Kind(StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    CANCELLED = "cancelled"  # was pending, never spoke
    FIRED = "fired"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    RECOVERING = "recovering"
    RELAPSED = "relapsed"
    RESOLVED = "resolved"

    @property
    def told(self) -> bool:
        """Whether people are told; the other kinds are kept for the history only."""
        return self in (Kind.FIRED, Kind.UPGRADED, Kind.DOWNGRADED, Kind.RESOLVED)


@dataclass(frozen=True, slots=True)
class Hold:
    """A step of the ladder that is breached, or not clear yet: since when, and whether it has spoken."""

    since: int
    on: bool


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that is known of one (rule, segment) that is not inactive. Times are milliseconds since the epoch."""

    rule: str
    segment: str
    phase: Phase
    severity: Severity  # the gravest step that has spoken; while pending, the gravest that is breached
    started: int  # when the incident began to be pending: its identity, with rule and segment
    fired: int | None
    holds: dict[Severity, Hold]
    blind: int | None  # since when the readings say nothing
    at: int  # of the last reading that changed this state

    @property
    def incident(self) -> str:
        """The incident's id: the same for all that is ever told about it."""
        return digest(self.rule, self.segment, str(self.started))


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened to one alert. ``id`` is the same whenever the same readings are evaluated again."""

    kind: Kind
    rule: str
    segment: str
    incident: str
    at: int
    before: str  # inactive | pending | firing | recovering
    after: str
    severity: Severity
    severity_before: Severity | None
    started: int
    fired: int | None
    reason: str
    reading: Reading | None = None  # None where it was not a reading that caused it

    @property
    def id(self) -> str:
        """The transition's id."""
        return digest(self.incident, self.kind, self.severity, str(self.at))


def digest(*parts: str) -> str:
    """Return a short, stable identifier of some texts (80 bits: a collision within a million incidents is 1 in 10^12)."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def evaluate(rule: Rule, state: AlertState | None, reading: Reading) -> tuple[AlertState | None, list[Transition]]:
    """Return the state after the reading and what has happened, in order. Pure; the state given is left as it was."""
    now = reading.at
    if state is not None and now < state.at:
        return state, []
    value = _spoken(rule, reading)
    if value is None:
        if state is not None and state.blind is None:
            state = replace(state, blind=now, at=now)
        return state, []

    holds = _holds(rule, state, reading, value)
    if not holds:
        return None, [] if state is None else [_ended(rule, state, value, reading)]
    on = [severity for severity, hold in holds.items() if hold.on]
    severity = max(on or holds, key=lambda s: s.rank)
    phase = Phase.PENDING if not on else Phase.FIRING if _breached(rule, severity, value) else Phase.RECOVERING
    started = min(hold.since for hold in holds.values()) if state is None else state.started
    fired = None if not on else now if state is None or state.fired is None else state.fired
    after = AlertState(rule.id, reading.segment_name, phase, severity, started, fired, holds, None, now)
    kind = _kind(state, after)
    if kind is None:
        # Nothing to tell; the row is rewritten only if something that matters later has changed.
        assert state is not None  # from nothing to something is always a kind
        same = (holds, None, severity) == (state.holds, state.blind, state.severity)
        return (state if same else after), []
    return after, [_transition(rule, kind, state, after, reading, _reason(rule, after, value, reading))]


def orphaned(state: AlertState, now: int, reason: str) -> Transition:
    """Return the end of an alert that no reading ends: its rule or its segment is gone."""
    kind = Kind.CANCELLED if state.phase is Phase.PENDING else Kind.RESOLVED
    return Transition(
        kind, state.rule, state.segment, state.incident, now, state.phase, "inactive", state.severity,
        state.severity, state.started, state.fired, reason,
    )  # fmt: skip


def _spoken(rule: Rule, reading: Reading) -> float | None:
    """Return the value if the reading says something: rule "no value, or too small a sample, holds the state"."""
    if reading.value is None or (rule.min_samples and (sample(reading) or 0) < rule.min_samples):
        return None
    return reading.value


def _holds(rule: Rule, state: AlertState | None, reading: Reading, value: float) -> dict[Severity, Hold]:
    """Return the steps that are breached or not clear yet."""
    now = reading.at
    # Time without a value does not count towards `for`.
    unseen = now - state.blind if state is not None and state.blind is not None else 0
    holds: dict[Severity, Hold] = {}
    for step in rule.ladder:
        hold = state.holds.get(step.severity) if state is not None else None
        if hold is not None and unseen and not hold.on:
            hold = replace(hold, since=hold.since + unseen)
        spoken = hold is not None and hold.on
        # What has spoken holds until it is clear; certainty is asked for before speaking only.
        if step.breached(rule.direction, value) and (spoken or surely(rule, step, reading)):
            since = now if hold is None else hold.since
            holds[step.severity] = Hold(since, spoken or now - since >= rule.wait)
        elif hold is not None and hold.on and not step.cleared(rule.direction, value):
            holds[step.severity] = hold
    return holds


def certainty(rule: Rule, step: Step, reading: Reading) -> float | None:
    """Return the probability that a rate truly lies beyond a step, None where the reading has no counts to tell it by."""
    if reading.numerator is None or reading.denominator is None or not 0 <= reading.numerator <= reading.denominator:
        return None
    return probability(rule.direction, step.threshold, reading.numerator, reading.denominator)


def surely(rule: Rule, step: Step, reading: Reading) -> bool:
    """Whether the reading is as sure of the breach as the rule asks for."""
    return rule.sure is None or (certainty(rule, step, reading) or 0.0) >= rule.sure


def _breached(rule: Rule, severity: Severity, value: float) -> bool:
    step = rule.step(severity)
    return step is not None and step.breached(rule.direction, value)


def _kind(before: AlertState | None, after: AlertState) -> Kind | None:
    spoke = before is not None and before.phase is not Phase.PENDING
    if after.phase is Phase.PENDING:
        return Kind.PENDING if before is None else None
    if not spoke:
        return Kind.FIRED
    assert before is not None
    if after.severity.rank != before.severity.rank:
        return Kind.UPGRADED if after.severity.rank > before.severity.rank else Kind.DOWNGRADED
    if after.phase is not before.phase:
        return Kind.RECOVERING if after.phase is Phase.RECOVERING else Kind.RELAPSED
    return None


def _ended(rule: Rule, state: AlertState, value: float, reading: Reading) -> Transition:
    kind = Kind.CANCELLED if state.phase is Phase.PENDING else Kind.RESOLVED
    step = rule.step(state.severity) or rule.ladder[0]
    if kind is Kind.CANCELLED and step.breached(rule.direction, value):
        told = number(value, rule.unit, reading.currency)
        limit, sure = number(step.threshold, rule.unit, reading.currency), certainty(rule, step, reading)
        doubt = f"only {number(sure, 'ratio')} sure" if sure is not None else "nobody knows how sure"
        reason = f"{told} is {rule.direction} {limit}, but it is {doubt}, not {number(rule.sure, 'ratio')}"
        return _transition(rule, kind, state, None, reading, reason)
    level = number(step.clear if kind is Kind.RESOLVED else step.threshold, rule.unit, reading.currency)
    side = "at or above" if rule.direction is Direction.BELOW else "at or below"
    reason = f"{number(value, rule.unit, reading.currency)} is {side} {level}"
    return _transition(rule, kind, state, None, reading, reason)


def _reason(rule: Rule, after: AlertState, value: float, reading: Reading) -> str:
    currency = reading.currency
    step = rule.step(after.severity)
    assert step is not None  # holds are made of the ladder's steps
    told, threshold = number(value, rule.unit, currency), number(step.threshold, rule.unit, currency)
    if after.phase is Phase.RECOVERING:
        return f"{told} is no longer {rule.direction} {threshold}, not yet at {number(step.clear, rule.unit, currency)}"
    held = after.at - after.holds[after.severity].since
    sure = None if rule.sure is None else certainty(rule, step, reading)
    how = "" if sure is None else f" ({number(sure, 'ratio')} sure)"
    return f"{told} is {rule.direction} {threshold}{how}{f' for {human(held)}' if held else ''}"


def _transition(
    rule: Rule, kind: Kind, before: AlertState | None, after: AlertState | None, reading: Reading, reason: str
) -> Transition:
    state = after or before
    assert state is not None
    return Transition(
        kind=kind,
        rule=rule.id,
        segment=reading.segment_name,
        incident=state.incident,
        at=reading.at,
        before="inactive" if before is None else before.phase.value,
        after="inactive" if after is None else after.phase.value,
        severity=state.severity,
        severity_before=None if before is None else before.severity,
        started=state.started,
        fired=state.fired,
        reason=reason,
        reading=reading,
    )


def encode_state(state: AlertState) -> dict[str, Any]:
    """Return a state as JSON can hold it."""
    return {
        "rule": state.rule,
        "segment": state.segment,
        "phase": state.phase.value,
        "severity": state.severity.value,
        "started": state.started,
        "fired": state.fired,
        "holds": {severity.value: [hold.since, hold.on] for severity, hold in state.holds.items()},
        "blind": state.blind,
        "at": state.at,
    }


def decode_state(tree: dict[str, Any]) -> AlertState:
    """Return the state that :func:`encode_state` was given."""
    return AlertState(
        rule=tree["rule"],
        segment=tree["segment"],
        phase=Phase(tree["phase"]),
        severity=Severity(tree["severity"]),
        started=tree["started"],
        fired=tree["fired"],
        holds={Severity(severity): Hold(since, on) for severity, (since, on) in tree["holds"].items()},
        blind=tree["blind"],
        at=tree["at"],
    )
