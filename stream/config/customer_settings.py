"""How are customers called by their scores, and how is their worth counted?"""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from models.calendar import DAY_MS
from models.customers.segments import SEGMENTS, CustomerSegment, Named, Terms
from stream.config.sections import Duration, Section


def _ascending(found: tuple[int, int]) -> tuple[int, int]:
    if found[0] > found[1]:
        raise ValueError("accepted are two scores from 1 to 5, the lower first, such as [4, 5]")
    return found


_Score = Annotated[int, Field(ge=1, le=5)]
_Scores = Annotated[tuple[_Score, _Score], AfterValidator(_ascending)]


class SegmentSettings(Section):
    """A segment: the scores that its customers have, each from and to."""

    r: _Scores = (1, 5)
    f: _Scores = (1, 5)
    m: _Scores = (1, 5)


class CustomerSettings(Section):
    """The customers (docs/customers.md)."""

    figures: bool = True  # whether KPIs and moves of segments are worked out, every quarter of an hour
    horizon: Duration = 364 * DAY_MS
    discount: float = Field(0.1, ge=0, le=10, allow_inf_nan=False)
    margin: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    segments: dict[Annotated[str, Field(min_length=1, max_length=60)], SegmentSettings] = Field(
        {one.name: SegmentSettings(r=one.r, f=one.f, m=one.m) for one in SEGMENTS}, min_length=1, max_length=50
    )

    @model_validator(mode="after")
    def _all_named(self) -> "CustomerSettings":
        try:
            self.named()
        except ValueError as error:
            raise ValueError(f"segments: {error}") from None
        return self

    def named(self) -> Named:
        """Return the segments as the pure code has them, in their order."""
        return Named([CustomerSegment(name, one.r, one.f, one.m) for name, one in self.segments.items()])

    def terms(self) -> Terms:
        """Return how worth is counted."""
        return Terms(self.horizon / DAY_MS / 7, self.discount, self.margin)
