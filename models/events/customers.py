"""Which events tell of a customer?"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from models.events.wire import Amount, Currency, Data, Day, Envelope, Instant, Seconds, Text


class Account(Data, frozen=True):
    """What people call a customer."""

    name: Text | UnsetType | None = UNSET


class Invoice(Account, kw_only=True, frozen=True):
    """What a customer was billed."""

    amount: Amount
    currency: Currency
    product: Text | UnsetType | None = UNSET
    deal_id: Text | UnsetType | None = UNSET
    term_end: Day | UnsetType | None = UNSET


class Churn(Account, kw_only=True, frozen=True):
    """Why a customer has left."""

    reason: Text | UnsetType | None = UNSET


class Survey(Account, kw_only=True, frozen=True):
    """A customer's answer: ``nps`` from 0 to 10, ``csat`` from 1 to 5."""

    kind: Literal["nps", "csat"]
    score: Annotated[float, Meta(ge=0, le=10)]


class Ticket(Account, kw_only=True, frozen=True):
    """When a customer wrote, and how long the answer took."""

    opened_at: Instant | UnsetType | None = UNSET
    response_seconds: Seconds | UnsetType | None = UNSET


class Recommendation(Account, kw_only=True, frozen=True):
    """Whom a customer has recommended us to."""

    lead_id: Text | UnsetType | None = UNSET


class CustomerInvoiced(Envelope, tag="customer.invoiced", frozen=True):
    """A customer has been billed."""

    data: Invoice


class CustomerRenewed(Envelope, tag="customer.renewed", frozen=True):
    """A customer has renewed a contract."""

    data: Invoice


class CustomerChurned(Envelope, tag="customer.churned", frozen=True):
    """A customer has left."""

    data: Churn = field(default_factory=Churn)


class CustomerSurveyed(Envelope, tag="customer.surveyed", frozen=True):
    """A customer has answered a survey."""

    data: Survey


class CustomerComplained(Envelope, tag="customer.complained", frozen=True):
    """A customer has complained."""

    data: Ticket = field(default_factory=Ticket)


class CustomerSupported(Envelope, tag="customer.supported", frozen=True):
    """A customer has been helped."""

    data: Ticket = field(default_factory=Ticket)


class CustomerRecommended(Envelope, tag="customer.recommended", frozen=True):
    """A customer has recommended us."""

    data: Recommendation = field(default_factory=Recommendation)


CustomerEvent = (
    CustomerInvoiced
    | CustomerRenewed
    | CustomerChurned
    | CustomerSurveyed
    | CustomerComplained
    | CustomerSupported
    | CustomerRecommended
)
