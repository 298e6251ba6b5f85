"""Which tests of two variants are run (``experiments``)?"""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from models.calendar import DAY_MS
from models.experiments.plan import Guard, Plan
from stream.config.sections import Duration, Section

#: So many tests at most: each is judged anew every few seconds.
_MOST = 50


class GuardSettings(Section):
    """A KPI that a variant must not spoil: a limit in its own unit, or none for a share, which is then compared."""

    kpi: str
    at_most: float | None = Field(None, allow_inf_nan=False)
    at_least: float | None = Field(None, allow_inf_nan=False)


class ExperimentSettings(Section):
    """A test of two variants of leads or deals: the values of ``variant``, since when, and the designed share of the second.

    ``maturity`` is the age at which each is judged; of leads ``business.maturity`` where it is left out.
    """

    name: str = Field(min_length=1, max_length=100)
    variants: tuple[str, str]
    since: date = Field(alias="from")
    ratio: float = Field(0.5, gt=0, lt=1)
    unit: Literal["lead", "deal"] = "lead"
    maturity: Duration | None = None
    guards: list[GuardSettings] = Field([], max_length=10)

    @model_validator(mode="after")
    def _sound(self) -> "ExperimentSettings":
        first, second = self.variants
        if first == second or not first or not second:
            raise ValueError(f"variants: found {first!r} and {second!r} (accepted: two names)")
        if self.unit == "deal" and self.maturity is None:
            raise ValueError(
                "maturity: missing (accepted with unit: deal: the age at which a deal is judged, such as 60d: by then nearly all "
                "that are won must have been)"
            )
        if self.maturity is not None and (self.maturity % DAY_MS or not DAY_MS <= self.maturity <= 730 * DAY_MS):
            raise ValueError(f"maturity: found {self.maturity / DAY_MS:g} days (accepted: whole days, 1d to 730d)")
        return self

    def plan(self) -> Plan:
        """Return the pure code's form."""
        guards = tuple(Guard(one.kpi, one.at_most, one.at_least) for one in self.guards)
        return Plan(self.name, self.variants, self.since, self.ratio, self.unit, self.maturity, guards)


def _different(found: list[ExperimentSettings]) -> list[ExperimentSettings]:
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"name: found {twice!r} twice (accepted: a name of its own for each test)")
    return found


Experiments = Annotated[list[ExperimentSettings], Field(max_length=_MOST), AfterValidator(_different)]
