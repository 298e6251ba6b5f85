"""Which events tell what selling costs, in money and in people?"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from models.events.wire import Amount, Currency, Data, Day, Envelope, Required, Text


class Spend(Data, frozen=True):
    """Money spent on a channel or a campaign on a day."""

    amount: Amount
    currency: Currency
    channel: Text | UnsetType | None = UNSET
    campaign: Text | UnsetType | None = UNSET
    day: Day | UnsetType | None = UNSET


class Hiring(Data, frozen=True):
    """Who was hired."""

    owner: Required


class Training(Data, frozen=True):
    """Who was trained, for how many hours."""

    owner: Required
    hours: Annotated[float, Meta(ge=0, le=100_000)]


class SpendRecorded(Envelope, tag="spend.recorded", frozen=True):
    """Money has been spent."""

    data: Spend


class RepHired(Envelope, tag="rep.hired", frozen=True):
    """A sales representative has started."""

    data: Hiring


class RepTrained(Envelope, tag="rep.trained", frozen=True):
    """A sales representative has been trained."""

    data: Training


SpendEvent = SpendRecorded | RepHired | RepTrained
