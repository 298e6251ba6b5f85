"""How does the company define its own figures: its clock, currency, stages, and for how long what is kept?"""

import re
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from alert_rules.words.language import SOURCE, languages
from models.business import Business
from models.calendar import time_zones
from models.config.suggest import meant
from models.kpis.entry import DIMENSIONS
from models.money import Rates
from models.seasons.holidays import unknown
from stream.config.journey_settings import Journeys, funnels
from stream.config.problems import LIST, ONE
from stream.config.sections import Duration, Section


class RateStep(Section):
    """An exchange rate from a day on: units of the business currency for one unit."""

    since: date = Field(alias="from")
    rate: float = Field(gt=0, allow_inf_nan=False)


class StageSettings(Section):
    """One stage of a pipeline."""

    name: str
    kind: Literal["open", "won", "lost"] = "open"


class PipelineSettings(Section):
    """One sales process, its stages in order."""

    stages: list[StageSettings]


def _steps(found: object) -> str:
    """Which of one rate and a list of them is meant."""
    return LIST if isinstance(found, list) else ONE


class BusinessSettings(Section):
    """The company's own definitions (``models/business.py``)."""

    timezone: str = "UTC"
    language: str = SOURCE
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")
    rates: dict[str, Annotated[Annotated[float, Tag(ONE)] | Annotated[list[RateStep], Tag(LIST)], Discriminator(_steps)]] = {}
    maturity: Duration = Business.maturity
    session_gap: Duration = Business.session_gap
    dedup_horizon: Duration = Business.dedup_horizon
    visit_horizon: Duration = Business.visit_horizon
    acquisition_lag: Duration = 0
    response_sla: Duration = Business.response_sla
    fiscal_year_start: int = Field(1, ge=1, le=12)
    holidays: list[str] = []
    stalled_after: Duration = Business.stalled_after
    renewal_grace: Duration = Business.renewal_grace
    pairs: list[tuple[str, str]] = []
    segment_limit: int = Field(Business.segment_limit, ge=1)
    keep_minutes: Duration = Business.keep_minutes
    keep_hours: Duration = Business.keep_hours
    keep_days: Duration = Business.keep_days
    pipelines: dict[str, PipelineSettings] = {}
    journeys: Journeys = {}

    @model_validator(mode="after")
    def _sound(self) -> "BusinessSettings":
        if self.timezone not in time_zones():
            hint = meant(self.timezone, time_zones())
            raise ValueError(f"timezone: unknown time zone{hint} (accepted: tz database names, such as Europe/Paris)")
        if self.language not in languages():
            raise ValueError(f"language: unknown {self.language!r}{meant(self.language, languages())}")
        for country in self.holidays:
            if (wrong := unknown(country)) is not None:
                raise ValueError(f"holidays: {wrong}")
        for code, rate in self.rates.items():
            if not re.fullmatch("[A-Z]{3}", code):
                raise ValueError("rates: not a currency (accepted: ISO 4217 codes, such as USD)")
            if (isinstance(rate, list) and not rate) or (isinstance(rate, float) and not 0 < rate < float("inf")):
                raise ValueError(f"rates: {code}: accepted is a number above 0, or a list of from and rate")
        for one, two in self.pairs:
            for name in (one, two):
                if name not in DIMENSIONS:
                    raise ValueError(f"pairs: not a dimension{meant(name, DIMENSIONS)} (accepted: {', '.join(DIMENSIONS)})")
            if one == two or [one, two] in [[b, a] for a, b in self.pairs] or self.pairs.count((one, two)) > 1:
                raise ValueError(f"pairs: {one} and {two}: accepted are two dimensions, and each pair once")
        return self

    def business(self) -> Business:
        """Return the pure code's form."""
        table = {
            code: [(_midnight(step.since), Fraction(str(step.rate))) for step in rate]
            if isinstance(rate, list)
            else [(0, Fraction(str(rate)))]
            for code, rate in self.rates.items()
        }
        same = self.model_dump(exclude={"rates", "pipelines", "pairs", "language", "journeys", "holidays"})
        kinds = {s.name: s.kind for p in self.pipelines.values() for s in p.stages}
        orders = {name: tuple(s.name for s in p.stages) for name, p in self.pipelines.items()}
        pairs, ways = tuple(self.pairs), funnels(self.journeys)
        return Business(
            rates=Rates(self.currency, table),
            stage_kinds=kinds,
            stage_orders=orders,
            pairs=pairs,
            funnels=ways,
            holidays=tuple(self.holidays),
            **same,
        )


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
