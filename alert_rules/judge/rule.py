"""What is a rule: which reading it watches, where its thresholds lie, how long it waits, what it says?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias

from alert_rules.judge.condition import VALUE, Condition, ConditionKind
from alert_rules.judge.entity_condition import EntityCondition
from alert_rules.judge.times import TimeInterval
from alert_rules.records.facts import Severity
from alert_rules.words.durations import WORKING
from models.foresight.readings import BY as FORECAST_BY
from models.foresight.readings import KPIS as FORECASTS
from models.foresight.readings import WINDOWS as FORECAST_OF
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.targets import Targets


class Direction(StrEnum):
    """On which side of a threshold the trouble lies."""

    BELOW = "below"
    ABOVE = "above"


class Statistic(StrEnum):
    """How sure a breach is: the stated tests (``alert_rules/judge/posterior.py``)."""

    BETA = "beta"  # a share of counted cases against a threshold
    NORMAL = "normal"  # a mean with a stated interval against a threshold
    BETAS = "betas"  # the change of a share
    POISSON = "poisson"  # the change of a count


__all__ = [
    "GROUPS",
    "Direction",
    "EntityRule",
    "Known",
    "KpiFacts",
    "KpiRule",
    "Rule",
    "SenderRule",
    "Severity",
    "Statistic",
    "Step",
    "Timeline",
    "TimelineMoment",
]

#: So many alerts of one rule stand at once at most, where the rule says nothing else.
GROUPS = 200


@dataclass(frozen=True, slots=True)
class Step:
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
    ladder: tuple[Step, ...]
    unit: str  # of the value
    summary: str
    runbook: str
    labels: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[Timeline, ...] = ()
    groups: int = GROUPS  # so many of its alerts stand at once at most
    depends: tuple[str, ...] = ()  # the topics of events that what it watches is made of
    zone: tzinfo = UTC  # in which times are told

    def step(self, severity: Severity) -> Step | None:
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
        return self.condition.kind is ConditionKind.ABSENT

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
        return self.watch.entity

    @property
    def watches(self) -> object:
        """What makes two versions of a rule watch the same."""
        return self.by, self.direction, self.watch.watched

    @property
    def measure_unit(self) -> str:
        """The unit of the thresholds."""
        return self.unit

    @property
    def spoken(self) -> str:
        """The unit in which value and thresholds are told: working time is not told as if it were time on the clock."""
        return f"{WORKING}{self.watch.day // 1000}" if self.watch.hours else self.unit

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


Rule: TypeAlias = KpiRule | EntityRule | SenderRule
"""What is watched, where its thresholds lie, how long it waits, what it says."""


@dataclass(frozen=True, slots=True)
class KpiFacts:
    """What the rules must know about a KPI of the catalogue."""

    unit: str  # ratio | count | money | seconds | score | …, as in the catalogue
    label: str
    dimensions: Collection[str] | None = None  # what it makes sense by; None: any
    sampled: bool = True  # whether its readings carry a denominator, which `min_samples` needs
    bounded: bool = False  # whether it is a share of a whole: 0 to 1
    interval: bool = False  # whether its readings carry a symmetric interval: a mean with a stated test
    additive: bool = False  # whether it is a sum over the window, so that half a month has half of it
    topics: tuple[str, ...] = ()  # of the events that it is made of
    windows: tuple[str, ...] = ()  # a forecast: it is told of these only, and has nothing to be compared with

    @classmethod
    def of(cls, kpi: Kpi) -> "KpiFacts":
        """Return what the catalogue says of a KPI."""
        additive = kpi.formula.denominator is None and kpi.basis[0] == "period" and kpi.unit in ("count", "money")
        return cls(
            unit=kpi.unit,
            label=kpi.label["en"],
            dimensions=kpi.by,
            sampled=kpi.sample is not None,
            bounded=kpi.interval == "wilson",
            interval=kpi.interval == "net_promoter",
            additive=additive and "median" not in kpi.formula.text,
            topics=tuple(sorted(kpi.formula.folds)),
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may refer to. The files are checked against it, so that a typing error is found before the night."""

    kpis: Mapping[str, KpiFacts]
    runbooks: Collection[str] | None = None  # paths of the pages that exist; None: not checked
    intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)  # named times, for `active`
    targets: Targets | None = None  # None: not checked

    @property
    def zone(self) -> tzinfo:
        """The business's time zone: that of its hours."""
        return next((interval.zone for interval in self.intervals.get("business_hours", ())), UTC)

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        runbooks: Collection[str] | None = None,
        intervals: Mapping[str, tuple[TimeInterval, ...]] | None = None,
        targets: Targets | None = None,
    ) -> "Known":
        """Return what a catalogue, the named times and the targets let the rules refer to."""
        forecasts = {
            name: KpiFacts(unit, label, FORECAST_BY, bounded=unit == "ratio", topics=("deals",), windows=FORECAST_OF)
            for name, (unit, label) in FORECASTS.items()
        }
        known = forecasts | {kpi.id: KpiFacts.of(kpi) for kpi in catalogue.kpis.values()}
        return cls(known, runbooks, intervals or {}, targets)
