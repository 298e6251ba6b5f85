"""Which tests of two variants are run (``experiments``)?"""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from models.experiments.plan import Plan
from stream.config.sections import Section


class ExperimentSettings(Section):
    """A test of two variants of leads: the values of ``variant``, since when, and the designed share of the second."""

    name: str = Field(min_length=1, max_length=100)
    variants: tuple[str, str]
    since: date = Field(alias="from")
    ratio: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _two(self) -> "ExperimentSettings":
        first, second = self.variants
        if first == second or not first or not second:
            raise ValueError(f"variants: found {first!r} and {second!r} (accepted: two names)")
        return self

    def plan(self) -> Plan:
        """Return the pure code's form."""
        return Plan(self.name, self.variants, self.since, self.ratio)


def _different(found: list[ExperimentSettings]) -> list[ExperimentSettings]:
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"name: found {twice!r} twice (accepted: a name of its own for each test)")
    return found


Experiments = Annotated[list[ExperimentSettings], AfterValidator(_different)]
