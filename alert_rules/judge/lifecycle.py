"""Given a rule, what was known of one segment, and a new reading: what is its state now, and what has just happened?

Which state follows which is the table in ``life_table.py``; here is told what a reading says.

Each step of the ladder waits its own ``for`` and is held until its own clearing level, so that a severity goes up and
down within one incident. **A reading without a value says nothing** (null, or a sample below ``min_samples``): an
inactive alert stays inactive, a firing one goes on firing, and a pending one waits: the time without a value does not
count towards ``for``. A reading older than the last one is ignored. The time is the reading's own ``at``, so that
history replays to the same alerts.

Outside a rule's active times nothing begins: an inactive alert stays so, a pending one waits as if there were no value, and
a step that has not spoken does not count. What has spoken goes on to recover and to end. With ``keep_firing_for`` a step that
is clear holds on for so long, and begins anew when it is breached meanwhile.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from alert_rules.judge.certainty import certainty, surely
from alert_rules.judge.life_table import Phase, Signal, TransitionKind, following
from alert_rules.judge.observation import Observation, measure
from alert_rules.judge.rule import Rule
from alert_rules.records.facts import Cause, CauseKind, Severity
from alert_rules.records.ids import digest


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
    before: Phase
    after: Phase
    severity: Severity
    severity_before: Severity | None
    started: int
    fired: int | None
    cause: Cause
    seen: Observation | None = None  # None where it was nothing seen that caused it

    @property
    def id(self) -> str:
        """The transition's id."""
        return digest(self.incident, self.kind, self.severity, str(self.at))


def evaluate(rule: Rule, state: AlertState | None, seen: Observation) -> tuple[AlertState | None, list[AlertChange]]:
    """Return the state after the reading and what has happened, in order. Pure; the state given is left as it was."""
    now = seen.at
    value = measure(rule, seen)
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

    holds = _holds(rule, state, seen, value, awake)
    before = Phase.INACTIVE if state is None else state.phase
    on = [severity for severity, hold in holds.items() if hold.on]
    severity = max(on or holds, key=lambda s: s.rank, default=None)
    step = following(before, _signal(rule, state, severity, on, value))
    if severity is None:
        return None, [] if state is None else [_ended(rule, step.kind, state, value, seen)]
    started = min(hold.since for hold in holds.values()) if state is None else state.started
    fired = None if not on else now if state is None or state.fired is None else state.fired
    after = AlertState(rule.id, seen.segment_name, step.phase, severity, started, fired, holds, None, now)
    if step.kind is None:
        # Nothing to write down; the row is rewritten only if something that matters later has changed.
        assert state is not None  # from nothing to something is always a kind
        same = (holds, None, severity) == (state.holds, state.blind, state.severity)
        return (state if same else after), []
    return after, [_change(step.kind, state, after, seen, _cause(rule, after, value, seen))]


def _signal(rule: Rule, state: AlertState | None, severity: Severity | None, on: Collection[Severity], value: float) -> Signal:
    """Return what a reading with a value says of an alert: ``severity`` is the gravest step that holds, ``on`` have spoken."""
    if severity is None:
        return Signal.CLEAR
    if not on:
        return Signal.WAITING
    beyond = _breached(rule, severity, value)
    grown = 0 if state is None or state.phase is Phase.PENDING else severity.rank - state.severity.rank
    if grown > 0:
        return Signal.GRAVER
    if grown < 0:
        return Signal.EASED if beyond else Signal.EASING
    return Signal.BEYOND if beyond else Signal.BACK


def orphaned(state: AlertState, now: int, why: str) -> AlertChange:
    """Return the end of an alert that no reading ends: its rule or its segment is gone, or its deal is over, as ``why`` says."""
    kind = following(state.phase, Signal.GONE).kind
    assert kind is not None  # every state that is kept has an end
    return AlertChange(
        kind, state.rule, state.segment, state.incident, now, state.phase, Phase.INACTIVE, state.severity,
        state.severity, state.started, state.fired, Cause(CauseKind.OTHER, text=why),
    )  # fmt: skip


def _holds(rule: Rule, state: AlertState | None, seen: Observation, value: float, awake: bool) -> dict[Severity, Hold]:
    """Return the steps that are breached or not clear yet."""
    now = seen.at
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
        if step.breached(rule.direction, value) and (spoken or (awake and surely(rule, step, seen))):
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


def _breached(rule: Rule, severity: Severity, value: float) -> bool:
    step = rule.step(severity)
    return step is not None and step.breached(rule.direction, value)


def _ended(rule: Rule, kind: TransitionKind | None, state: AlertState, value: float, seen: Observation) -> AlertChange:
    assert kind is not None  # every state that is kept has an end
    step = rule.step(state.severity) or rule.ladder[0]
    if rule.is_absence:
        cause = Cause(CauseKind.AGAIN)
    elif kind is TransitionKind.CANCELLED and step.breached(rule.direction, value):
        cause = Cause(CauseKind.UNSURE, step.threshold, sure=certainty(rule, step, seen), needed=rule.sure)
    elif kind is TransitionKind.CANCELLED:
        cause = Cause(CauseKind.CLEAR, step.threshold)
    else:
        cause = Cause(CauseKind.CLEAR, step.clear, lasted=rule.keep)
    return _change(kind, state, None, seen, cause)


def _cause(rule: Rule, after: AlertState, value: float, seen: Observation) -> Cause:
    step = rule.step(after.severity)
    assert step is not None  # holds are made of the ladder's steps
    hold = after.holds[after.severity]
    lasted = after.at - hold.since
    if rule.is_absence:
        return Cause(CauseKind.NOTHING, lasted=lasted)
    if after.phase is Phase.RECOVERING:
        if hold.clear is not None:
            return Cause(CauseKind.KEPT, lasted=rule.keep)
        return Cause(CauseKind.NOT_CLEAR, step.threshold, clear=step.clear)
    sure = None if rule.sure is None else certainty(rule, step, seen)
    return Cause(CauseKind.BEYOND, step.threshold, lasted=lasted, sure=sure)


def _change(
    kind: TransitionKind, before: AlertState | None, after: AlertState | None, seen: Observation, cause: Cause
) -> AlertChange:
    state = after or before
    assert state is not None
    return AlertChange(
        kind=kind,
        rule=state.rule,
        segment=seen.segment_name,
        incident=state.incident,
        at=seen.at,
        before=Phase.INACTIVE if before is None else before.phase,
        after=Phase.INACTIVE if after is None else after.phase,
        severity=state.severity,
        severity_before=None if before is None else before.severity,
        started=state.started,
        fired=state.fired,
        cause=cause,
        seen=seen,
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
