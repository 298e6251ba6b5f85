"""What may a rule refer to: KPIs, named times, targets, pages? And on which side of a threshold, how sure?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum

from models.foresight.readings import BY as FORECAST_BY
from models.foresight.readings import KPIS as FORECASTS
from models.foresight.readings import WINDOWS as FORECAST_OF
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.targets import Targets
from models.time_intervals import TimeInterval


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
