"""Which events tell what selling costs, in money and in people, and what else somebody measures?"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from models.events.wire import Amount, Currency, Data, Day, Envelope, Required, Text

#: By what a metric of one's own may be told.
Dimension = Literal["owner", "team", "source", "campaign", "product", "category", "market", "region", "segment", "variant"]


class Spend(Data, frozen=True):
    """Money spent on a channel or a campaign on a day."""

    amount: Amount
    currency: Currency
    channel: Text | UnsetType | None = UNSET
    campaign: Text | UnsetType | None = UNSET
    day: Day | UnsetType | None = UNSET


class Hiring(Data, frozen=True):
    """Who was hired, and how many steps it takes to be on board."""

    owner: Required
    steps: Annotated[int, Meta(ge=0, le=200)] | UnsetType | None = UNSET


class Training(Data, frozen=True):
    """Who was trained, for how many hours."""

    owner: Required
    hours: Annotated[float, Meta(ge=0, le=100_000)]


class Step(Data, frozen=True):
    """Which step of the onboarding somebody has done."""

    owner: Required
    step: Required


class Recording(Data, frozen=True):
    """A value of a metric of one's own; the subject is what it was measured of."""

    name: Required
    value: Amount
    unit: Text | UnsetType | None = UNSET
    dimensions: dict[Dimension, Required] | UnsetType | None = UNSET


class SpendRecorded(Envelope, tag="spend.recorded", frozen=True):
    """Money has been spent."""

    data: Spend


class RepHired(Envelope, tag="rep.hired", frozen=True):
    """A sales representative has started."""

    data: Hiring


class RepTrained(Envelope, tag="rep.trained", frozen=True):
    """A sales representative has been trained."""

    data: Training


class RepOnboarded(Envelope, tag="rep.onboarded", frozen=True):
    """A sales representative has done a step of the onboarding."""

    data: Step


class MetricRecorded(Envelope, tag="metric.recorded", frozen=True):
    """A metric of one's own has been measured."""

    data: Recording


SpendEvent = SpendRecorded | RepHired | RepTrained | RepOnboarded | MetricRecorded
