"""What is a rule: which reading it watches, where its thresholds lie, how long it waits, what it says?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi


class Severity(StrEnum):
    """How grave an alert is; the order of the members is the order of gravity."""

    WARN = "warn"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least grave."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Direction(StrEnum):
    """On which side of a threshold the trouble lies."""

    BELOW = "below"
    ABOVE = "above"


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


class Moment(NamedTuple):
    """One line of a rule's test: the reading at a time, and the state that must follow it."""

    at: int  # milliseconds from the timeline's start
    value: float | None
    sample: float | None
    expect: str  # inactive | pending | warn | critical | warn recovering | critical recovering
    says: str | None  # what the summary of the transition at this moment must contain


@dataclass(frozen=True, slots=True)
class Timeline:
    """A rule's test: a history of one segment's readings."""

    name: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One threshold rule. Durations are milliseconds; ``ladder`` goes from the least grave step to the gravest."""

    id: str
    kpi: str
    window: str
    by: str | None
    direction: Direction
    ladder: tuple[Step, ...]
    wait: int  # `for`: how long a step must be breached before it speaks
    min_samples: float
    labels: Mapping[str, str]
    summary: str
    runbook: str
    tests: tuple[Timeline, ...]
    unit: str = "count"
    sure: float | None = None  # of a rate: speak only if it lies beyond the threshold with this probability
    title: str = ""  # the KPI's name as people say it

    def step(self, severity: Severity) -> Step | None:
        """Return the ladder's step of a severity, None where the ladder has none."""
        return next((step for step in self.ladder if step.severity is severity), None)


@dataclass(frozen=True, slots=True)
class KpiFacts:
    """What the rules must know about a KPI of the catalogue."""

    unit: str  # ratio | count | money | seconds | score | …, as in the catalogue
    label: str
    dimensions: Collection[str] | None = None  # what it makes sense by; None: any
    sampled: bool = True  # whether its readings carry a denominator, which `min_samples` needs
    bounded: bool = False  # whether it is a share of a whole: 0 to 1

    @classmethod
    def of(cls, kpi: Kpi) -> "KpiFacts":
        """Return what the catalogue says of a KPI."""
        return cls(kpi.unit, kpi.label["en"], kpi.by, kpi.sample is not None, kpi.interval == "wilson")


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may refer to. The files are checked against it, so that a typing error is found before the night."""

    kpis: Mapping[str, KpiFacts]
    runbooks: Collection[str] | None = None  # paths of the pages that exist; None: not checked

    @classmethod
    def of(cls, catalogue: Catalogue, runbooks: Collection[str] | None = None) -> "Known":
        """Return what a catalogue lets the rules refer to."""
        return cls({kpi.id: KpiFacts.of(kpi) for kpi in catalogue.kpis.values()}, runbooks)
