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

Outside a rule's active times nothing begins: an inactive alert stays so, a pending one waits as if there were no value, and
a step that has not spoken does not count. What has spoken goes on to recover and to end. With ``keep_firing_for`` a step that
is clear holds on for so long, and begins anew when it is breached meanwhile.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from alert_rules.judge.condition import ConditionKind as Condition
from alert_rules.judge.condition import against, cases_of, measured, told
from alert_rules.judge.posterior import change_of_count, change_of_share, of_interval, probability
from alert_rules.judge.rule import Direction, Rule, Severity, Statistic, Step
from alert_rules.words.durations import human
from alert_rules.words.quantities import number
from models.kpis.reading import Reading


class Phase(StrEnum):
    """Where an alert stands; an inactive one has no state at all."""

    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class TransitionKind(StrEnum):
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
        return self in (TransitionKind.FIRED, TransitionKind.UPGRADED, TransitionKind.DOWNGRADED, TransitionKind.RESOLVED)


@dataclass(frozen=True, slots=True)
class Hold:
    """A step of the ladder that is breached, or not clear yet: since when, whether it has spoken, since when it is clear."""

    since: int
    on: bool
    clear: int | None = None


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
class AlertChange:
    """One thing that happened to one alert. ``id`` is the same whenever the same readings are evaluated again."""

    kind: TransitionKind
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


def evaluate(rule: Rule, state: AlertState | None, reading: Reading) -> tuple[AlertState | None, list[AlertChange]]:
    """Return the state after the reading and what has happened, in order. Pure; the state given is left as it was."""
    now = reading.at
    value = measured(rule.condition, reading, rule.min_samples)
    if state is None:
        # By far the most readings say that all is well: they end here, before anything is made.
        if value is None or not rule.ladder[0].breached(rule.direction, value):
            return None, []
    elif now < state.at:
        return state, []
    awake = rule.awake(now)
    if value is None or (not awake and (state is None or state.phase is Phase.PENDING)):
        if state is not None and state.blind is None:
            state = replace(state, blind=now, at=now)
        return state, []

    holds = _holds(rule, state, reading, value, awake)
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


def orphaned(state: AlertState, now: int, reason: str) -> AlertChange:
    """Return the end of an alert that no reading ends: its rule or its segment is gone."""
    kind = TransitionKind.CANCELLED if state.phase is Phase.PENDING else TransitionKind.RESOLVED
    return AlertChange(
        kind, state.rule, state.segment, state.incident, now, state.phase, "inactive", state.severity,
        state.severity, state.started, state.fired, reason,
    )  # fmt: skip


def _holds(rule: Rule, state: AlertState | None, reading: Reading, value: float, awake: bool) -> dict[Severity, Hold]:
    """Return the steps that are breached or not clear yet."""
    now = reading.at
    # Time without a value does not count towards `for`.
    unseen = now - state.blind if state is not None and state.blind is not None else 0
    holds: dict[Severity, Hold] = {}
    for step in rule.ladder:
        hold = state.holds.get(step.severity) if state is not None else None
        if hold is not None and unseen:
            clear = None if hold.clear is None else hold.clear + unseen
            hold = replace(hold, clear=clear) if hold.on else replace(hold, since=hold.since + unseen)
        spoken = hold is not None and hold.on
        # What has spoken holds until it is clear; certainty is asked for before speaking only.
        if step.breached(rule.direction, value) and (spoken or (awake and surely(rule, step, reading))):
            since = now if hold is None else hold.since
            holds[step.severity] = Hold(since, spoken or now - since >= rule.wait)
        elif hold is not None and hold.on:
            if not step.cleared(rule.direction, value):
                holds[step.severity] = hold if hold.clear is None else replace(hold, clear=None)
            elif rule.keep:
                clear = now if hold.clear is None else hold.clear
                if now - clear < rule.keep:
                    holds[step.severity] = replace(hold, clear=clear)
    return holds


def certainty(rule: Rule, step: Step, reading: Reading) -> float | None:
    """Return the probability that what is measured truly lies beyond a step, None where the reading cannot tell it."""
    try:
        match rule.statistic:
            case Statistic.BETA:
                return probability(rule.direction, step.threshold, *_counts(reading.numerator, reading.denominator))
            case Statistic.NORMAL:
                if reading.value is None or reading.low is None or reading.high is None:
                    return None
                return of_interval(rule.direction, step.threshold, reading.value, reading.low, reading.high)
            case Statistic.POISSON:
                past = against(reading, rule.condition.versus)
                now, before = _counts(reading.value, past.get("value"))
                return change_of_count(rule.direction, step.threshold, now, before)
            case Statistic.BETAS:
                past = against(reading, rule.condition.versus)
                share, earlier = _counts(reading.numerator, reading.denominator), _counts(past.get("numerator"), cases_of(past))
                return change_of_share(rule.direction, step.threshold, share, earlier)
    except ValueError:  # counts that a late correction has left inconsistent for a moment
        return None


def _counts(hits: float | None, cases: float | None) -> tuple[float, float]:
    if hits is None or cases is None:
        raise ValueError("no counts")
    return hits, cases


def surely(rule: Rule, step: Step, reading: Reading) -> bool:
    """Whether the reading is as sure of the breach as the rule asks for."""
    return rule.sure is None or (certainty(rule, step, reading) or 0.0) >= rule.sure


def _breached(rule: Rule, severity: Severity, value: float) -> bool:
    step = rule.step(severity)
    return step is not None and step.breached(rule.direction, value)


def _kind(before: AlertState | None, after: AlertState) -> TransitionKind | None:
    spoke = before is not None and before.phase is not Phase.PENDING
    if after.phase is Phase.PENDING:
        return TransitionKind.PENDING if before is None else None
    if not spoke:
        return TransitionKind.FIRED
    assert before is not None
    if after.severity.rank != before.severity.rank:
        return TransitionKind.UPGRADED if after.severity.rank > before.severity.rank else TransitionKind.DOWNGRADED
    if after.phase is not before.phase:
        return TransitionKind.RECOVERING if after.phase is Phase.RECOVERING else TransitionKind.RELAPSED
    return None


def _ended(rule: Rule, state: AlertState, value: float, reading: Reading) -> AlertChange:
    kind = TransitionKind.CANCELLED if state.phase is Phase.PENDING else TransitionKind.RESOLVED
    step = rule.step(state.severity) or rule.ladder[0]
    if rule.condition.kind is Condition.ABSENT:
        return _transition(rule, kind, state, None, reading, f"there is something again: {_value(rule, reading)}")
    words = told(rule.condition, value, rule.spoken, reading)
    if kind is TransitionKind.CANCELLED and step.breached(rule.direction, value):
        limit, sure = _level(rule, step.threshold, reading), certainty(rule, step, reading)
        doubt = f"only {number(sure, 'ratio')} sure" if sure is not None else "nobody knows how sure"
        reason = f"{words} is {rule.direction} {limit}, but it is {doubt}, not {number(rule.sure, 'ratio')}"
        return _transition(rule, kind, state, None, reading, reason)
    side = "at or above" if rule.direction is Direction.BELOW else "at or below"
    kept = f" for {human(rule.keep)}" if rule.keep and kind is TransitionKind.RESOLVED else ""
    reason = f"{words} is {side} {_level(rule, step.clear if kind is Kind.RESOLVED else step.threshold, reading)}{kept}"
    return _transition(rule, kind, state, None, reading, reason)


def _reason(rule: Rule, after: AlertState, value: float, reading: Reading) -> str:
    step = rule.step(after.severity)
    assert step is not None  # holds are made of the ladder's steps
    hold = after.holds[after.severity]
    if rule.condition.kind is Condition.ABSENT:
        return f"nothing for {human(after.at - hold.since)}" if after.at > hold.since else "nothing"
    words, threshold = told(rule.condition, value, rule.spoken, reading), _level(rule, step.threshold, reading)
    if after.phase is Phase.RECOVERING:
        if hold.clear is not None:
            return f"{words} is clear; kept for {human(rule.keep)}"
        return f"{words} is no longer {rule.direction} {threshold}, not yet at {_level(rule, step.clear, reading)}"
    held = after.at - hold.since
    sure = None if rule.sure is None else certainty(rule, step, reading)
    how = "" if sure is None else f" ({number(sure, 'ratio')} sure)"
    return f"{words} is {rule.direction} {threshold}{how}{f' for {human(held)}' if held else ''}"


def _level(rule: Rule, level: float, reading: Reading) -> str:
    return number(level, rule.spoken_limit, reading.currency)


def _value(rule: Rule, reading: Reading) -> str:
    return number(reading.value, rule.spoken, reading.currency)


def _transition(
    rule: Rule, kind: TransitionKind, before: AlertState | None, after: AlertState | None, reading: Reading, reason: str
) -> AlertChange:
    state = after or before
    assert state is not None
    return AlertChange(
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
        "holds": {severity.value: [hold.since, hold.on, hold.clear] for severity, hold in state.holds.items()},
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
        holds={Severity(severity): Hold(*hold) for severity, hold in tree["holds"].items()},
        blind=tree["blind"],
        at=tree["at"],
    )
