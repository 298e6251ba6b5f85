"""What is a rule: which reading it watches, where its thresholds lie, how long it waits, what it says?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, ClassVar, NamedTuple, TypeAlias

from alert_rules.kinds.condition import Condition
from alert_rules.kinds.entity_condition import EntityCondition, SenderCondition
from alert_rules.kinds.known import Direction, Known, KpiFacts, Statistic
from alert_rules.kinds.standing import StandingCondition
from alert_rules.kinds.value import VALUE
from alert_rules.records.facts import Severity
from models.time_intervals import TimeInterval

__all__ = [
    "GROUPS",
    "Direction",
    "EntityRule",
    "Known",
    "KpiFacts",
    "KpiRule",
    "LadderStep",
    "Rule",
    "SenderRule",
    "Severity",
    "StandingRule",
    "Statistic",
    "Timeline",
    "TimelineMoment",
    "rule_of",
]

#: So many alerts of one rule stand at once at most, where the rule says nothing else.
GROUPS = 200


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One rung of the severity ladder, in the KPI's own unit (ratios 0 to 1, seconds, currency units)."""

    severity: Severity
    threshold: float
    clear: float

    def breached(self, direction: Direction, value: float) -> bool:
        """Whether the value lies beyond the threshold (a value on the threshold does not)."""
        return value < self.threshold if direction is Direction.BELOW else value > self.threshold

    def cleared(self, direction: Direction, value: float) -> bool:
        """Whether the value is back at, or on the good side of, the clearing level."""
        return value >= self.clear if direction is Direction.BELOW else value <= self.clear


class TimelineMoment(NamedTuple):
    """One line of a rule's test: the reading at a time, and the state that must follow it."""

    at: int  # milliseconds from the timeline's start
    value: float | None
    sample: float | None
    expect: str  # inactive | pending | warn | critical | warn recovering | critical recovering
    says: str | None  # what the summary of the transition at this moment must contain
    against: Mapping[str, Mapping[str, Any]] | None = None  # what the reading is compared with
    low: float | None = None  # the reading's 95 % interval, where the KPI has one
    high: float | None = None
    facts: Mapping[str, Any] | None = None  # of a rule on deals or leads: what is heard of the one at this moment


@dataclass(frozen=True, slots=True)
class Timeline:
    """A rule's test: a history of one segment's readings."""

    name: str
    moments: tuple[TimelineMoment, ...]
    limits: Mapping[str, int] = field(default_factory=dict)  # usual stays by stage (ms), of a rule on deals
    usual: tuple[TimeInterval, ...] = ()  # when the sender usually sends, of a rule on senders


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What every rule has. ``ladder`` goes from the least grave step to the gravest."""

    id: str
    title: str  # what its alerts are called: its own title, or the name that people have for what it watches
    direction: Direction
    ladder: tuple[LadderStep, ...]
    unit: str  # of the value
    summary: str
    runbook: str
    labels: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[Timeline, ...] = ()
    groups: int = GROUPS  # so many of its alerts stand at once at most
    depends: tuple[str, ...] = ()  # the topics of events that what it watches is made of
    zone: tzinfo = UTC  # in which times are told

    def step(self, severity: Severity) -> LadderStep | None:
        """Return the ladder's step of a severity, None where the ladder has none."""
        return next((step for step in self.ladder if step.severity is severity), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiRule(_Rule):
    """A rule on the readings of a KPI, in total or by a dimension. Durations are milliseconds, ``unit`` is the KPI's.

    ``condition`` says what is held against the ladder.
    """

    kpi: str
    window: str
    by: str | None = None
    wait: int = 0  # `for`: how long a step must be breached before it speaks
    min_samples: float = 0
    sure: float | None = None  # speak only if what is measured truly lies beyond the threshold with this probability
    condition: Condition = VALUE
    keep: int = 0  # `keep_firing_for`: how long a step must be clear before it ends
    active: tuple[str, ...] = ()  # names of the times at which it may begin to speak; none: always
    times: tuple[TimeInterval, ...] = ()  # the intervals of those names
    statistic: Statistic = Statistic.BETA  # how `sure` is told

    @property
    def watches(self) -> object:
        """What makes two versions of a rule watch the same."""
        return self.kpi, self.window, self.by, self.condition, self.direction

    @property
    def measure_unit(self) -> str:
        """The unit of the thresholds."""
        return self.condition.unit(self.unit)

    @property
    def spoken(self) -> str:
        """The unit in which the value is told."""
        return self.unit

    @property
    def spoken_limit(self) -> str:
        """The unit in which the thresholds are told."""
        return self.measure_unit

    @property
    def is_absence(self) -> bool:
        """Whether it waits for nothing to be counted."""
        return self.condition.waits is not None

    def awake(self, now: int) -> bool:
        """Whether the rule may begin to speak at an instant."""
        return not self.times or any(interval.holds(now) for interval in self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SingleRule(_Rule):
    """A rule on single deals, leads or senders: those who watch them find them, and what is found is said at once."""

    watch: EntityCondition

    wait: ClassVar[int] = 0
    keep: ClassVar[int] = 0
    sure: ClassVar[float | None] = None
    is_absence: ClassVar[bool] = False

    @property
    def by(self) -> str:
        """What its alerts are about: ``deal``, ``lead`` or ``sender``."""
        return self.watch.ENTITY

    @property
    def watches(self) -> object:
        """What makes two versions of a rule watch the same."""
        return self.by, self.direction, self.watch.KEY

    @property
    def measure_unit(self) -> str:
        """The unit of the thresholds."""
        return self.unit

    @property
    def spoken(self) -> str:
        """The unit in which value and thresholds are told: working time is not told as if it were time on the clock."""
        return self.watch.spoken

    @property
    def spoken_limit(self) -> str:
        """The unit in which the thresholds are told."""
        return self.spoken

    def awake(self, now: int) -> bool:
        """Whether the rule may begin to speak at an instant: at any."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRule(_SingleRule):
    """A rule on single deals or leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRule(_SingleRule):
    """A rule on senders of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRule(_SingleRule):
    """A rule on how single tests, objectives, challenges or customers stand."""


Rule: TypeAlias = KpiRule | EntityRule | SenderRule | StandingRule
"""What is watched, where its thresholds lie, how long it waits, what it says."""


def rule_of(condition: EntityCondition) -> type[EntityRule] | type[SenderRule] | type[StandingRule]:
    """Return the kind of rule that watches such a condition, by who looks at what it is about."""
    if isinstance(condition, StandingCondition):
        return StandingRule
    return SenderRule if isinstance(condition, SenderCondition) else EntityRule
