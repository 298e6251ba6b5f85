"""The life of an alert as one table: in this state, with this signal, it goes to that state, and this has happened.

The only place that says so; the picture in ``docs/alerts.md`` is drawn of it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Phase(StrEnum):
    """Where an alert stands; nothing is kept of an inactive one."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


#: The phases that are kept.
STANDING = (Phase.PENDING, Phase.FIRING, Phase.RECOVERING)


class Signal(StrEnum):
    """What a reading, or the end of what is watched, says of an alert."""

    SILENT = "no value"  # or outside the rule's active times
    WAITING = "breached"  # a step, not for long enough yet
    BEYOND = "breached for long enough"  # the gravest step that has spoken
    GRAVER = "a graver step"  # is breached for long enough
    EASED = "the graver step is clear"  # a lesser one is breached
    EASING = "the graver step is clear, none breached"
    BACK = "no longer breached"  # not clear yet, or not for long enough
    CLEAR = "clear"
    GONE = "rule or segment gone"


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
    def notifies(self) -> bool:
        """Whether people are notified; the other kinds are kept for the history only."""
        return self in _NOTIFYING


_NOTIFYING = frozenset((TransitionKind.FIRED, TransitionKind.UPGRADED, TransitionKind.DOWNGRADED, TransitionKind.RESOLVED))


class NextPhase(NamedTuple):
    """The state that follows, and what has happened; None: nothing to be written down."""

    phase: Phase
    kind: TransitionKind | None = None


_SPOKEN: Mapping[Signal, NextPhase] = {
    Signal.WAITING: NextPhase(Phase.RECOVERING),  # the rule has changed: none of its steps has spoken, but people were notified
    Signal.GRAVER: NextPhase(Phase.FIRING, TransitionKind.UPGRADED),
    Signal.EASED: NextPhase(Phase.FIRING, TransitionKind.DOWNGRADED),
    Signal.EASING: NextPhase(Phase.RECOVERING, TransitionKind.DOWNGRADED),
    Signal.CLEAR: NextPhase(Phase.INACTIVE, TransitionKind.RESOLVED),
    Signal.GONE: NextPhase(Phase.INACTIVE, TransitionKind.RESOLVED),
}
_LIFE: Mapping[Phase, Mapping[Signal, NextPhase]] = {
    Phase.INACTIVE: {
        Signal.WAITING: NextPhase(Phase.PENDING, TransitionKind.PENDING),
        Signal.BEYOND: NextPhase(Phase.FIRING, TransitionKind.FIRED),
        Signal.CLEAR: NextPhase(Phase.INACTIVE),
    },
    Phase.PENDING: {
        Signal.WAITING: NextPhase(Phase.PENDING),
        Signal.BEYOND: NextPhase(Phase.FIRING, TransitionKind.FIRED),
        Signal.CLEAR: NextPhase(Phase.INACTIVE, TransitionKind.CANCELLED),
        Signal.GONE: NextPhase(Phase.INACTIVE, TransitionKind.CANCELLED),
    },
    Phase.FIRING: {
        **_SPOKEN,
        Signal.BEYOND: NextPhase(Phase.FIRING),
        Signal.BACK: NextPhase(Phase.RECOVERING, TransitionKind.RECOVERING),
    },
    Phase.RECOVERING: {
        **_SPOKEN,
        Signal.BEYOND: NextPhase(Phase.FIRING, TransitionKind.RELAPSED),
        Signal.BACK: NextPhase(Phase.RECOVERING),
    },
}
#: By (state, signal). Where nothing is said of a pair, as where a reading has no value, the state stays.
TABLE: Mapping[tuple[Phase, Signal], NextPhase] = {
    (phase, signal): step for phase, steps in _LIFE.items() for signal, step in steps.items()
}


def following(phase: Phase, signal: Signal) -> NextPhase:
    """Return what follows."""
    return TABLE.get((phase, signal), NextPhase(phase))


def markdown() -> str:
    """Return the table as a picture (Mermaid), for the docs."""
    edges: dict[tuple[Phase, Phase, TransitionKind | None], list[Signal]] = {}
    for (phase, signal), step in TABLE.items():
        if step.kind is not None:
            edges.setdefault((phase, step.phase, step.kind), []).append(signal)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.INACTIVE}"]
    for (before, after, kind), signals in edges.items():
        shown = f"{kind} (notified)" if kind is not None and kind.notifies else kind
        lines.append(f"    {before} --> {after}: {', or '.join(signals)} / {shown}")
    return "\n".join([*lines, "```"]) + "\n"
