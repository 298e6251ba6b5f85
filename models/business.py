"""What does this company mean by a day, an amount, a stage, a lead that has come of age?

The pure code's whole configuration; ``stream/config/settings.py`` makes it from ``vigie.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from models.calendar import DAY_MS, HOUR_MS, Calendar, calendar
from models.funnels import AIDA, Funnel
from models.money import Rates


@dataclass(frozen=True)
class Business:
    """The company's own definitions. Durations are milliseconds."""

    timezone: str = "UTC"
    currency: str = "EUR"
    rates: Rates = field(default_factory=lambda: Rates("EUR", {}))
    maturity: int = 30 * DAY_MS  # a lead has come of age so long after its creation
    session_gap: int = 30 * 60_000  # silence that ends a visit, where the tracker names no session
    dedup_horizon: int = 72 * HOUR_MS  # how long, by arrival, ids of additive events are remembered
    visit_horizon: int = 100 * DAY_MS  # how long a visitor's visits are remembered one by one; then only where they began
    acquisition_lag: int = 0  # spend works so long before the customer comes
    fiscal_year_start: int = 1  # the month in which the year, and with it each quarter, begins
    holidays: tuple[str, ...] = ()  # countries whose holidays are no usual days
    stalled_after: int = 30 * DAY_MS  # an open deal has stalled that has been in its stage for longer, in whole days
    renewal_grace: int = 30 * DAY_MS  # so long after its end a term may still be renewed, in whole days
    pairs: tuple[tuple[str, str], ...] = ()  # dimensions by which deals and leads are counted together, too
    segment_limit: int = 1000  # values a dimension may have per partition; further ones go to `other`
    stage_kinds: Mapping[str, str] = field(default_factory=dict)  # stage -> open | won | lost; a stage not named here is open
    stage_orders: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # pipeline -> its stages in the order of the process
    funnels: tuple[Funnel, ...] = (AIDA,)  # the ways that are asked about
    response_sla: int = HOUR_MS  # a lead is to be answered within so long
    keep_minutes: int = 2 * HOUR_MS
    keep_hours: int = 35 * DAY_MS
    keep_days: int = 800 * DAY_MS

    def __post_init__(self) -> None:
        if self.rates.base != self.currency:
            raise ValueError(f"rates are into {self.rates.base}, the business currency is {self.currency}")

    @cached_property
    def calendar(self) -> Calendar:
        """The panes of the business time zone, its fiscal year and holidays."""
        return calendar(self.timezone, self.fiscal_year_start, self.holidays)
