"""What exactly may the data of an event hold? The published contract, from which the schemas in ``docs/`` are generated.

Here is the authority on what is accepted; the structs beside it are its fast reading. The rules on single values live in
``scalars.py``, for both.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from models.events import scalars
from models.events.refused import Reason, Refused


def _amount(raw: int | float | str) -> int | float | str:
    scalars.parse_amount(raw)
    return raw


def _list_amount(raw: int | float | str) -> int | float | str:
    scalars.check_not_negative(scalars.parse_amount(raw), "list_amount")
    return raw


def _time(text: str) -> str:
    scalars.parse_time(text)
    return text


def _currency(text: str) -> str:
    return scalars.check_currency(text, None)


def _whole(raw: object) -> object:
    """Take 3.0 for 3, as JSON does not tell them apart."""
    return int(raw) if isinstance(raw, float) and raw.is_integer() else raw


def _identifier(text: str) -> str:
    if scalars.has_control(text):
        raise Refused(
            Reason.INVALID_DATA, f"identifier: found {scalars.shown(text)}, accepted is text without control characters"
        )
    return text


def _content_type(text: str) -> str:
    """Take every way to say JSON for the plain one."""
    kind = text.partition(";")[0].strip().lower()
    if kind in ("application/json", "text/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return "application/json"
    raise Refused(Reason.BAD_ENVELOPE, f"datacontenttype: found {scalars.shown(text)}, accepted is application/json")


Amount: TypeAlias = Annotated[
    int | float | str,
    AfterValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": -scalars.LARGEST_AMOUNT, "maximum": scalars.LARGEST_AMOUNT},
                {
                    "type": "string",
                    "maxLength": scalars.AMOUNT_LENGTH,
                    "pattern": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$",
                },
            ],
            "description": "Decimal string or number within ±10^12; kept to 1/10,000 of a unit, rounded half to even.",
        }
    ),
]
ListAmount: TypeAlias = Annotated[
    int | float | str,
    AfterValidator(_list_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": scalars.LARGEST_AMOUNT},
                {
                    "type": "string",
                    "maxLength": scalars.AMOUNT_LENGTH,
                    "pattern": r"^[+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$",
                },
            ],
            "description": "Decimal string or number from 0 to 10^12; kept to 1/10,000 of a unit, rounded half to even.",
        }
    ),
]
Currency: TypeAlias = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code with a rate in the settings."}),
]
Time: TypeAlias = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with an offset, from 2000-01-01 to one day after arrival; kept to the millisecond.",
        }
    ),
]
Day: TypeAlias = Annotated[str, AfterValidator(scalars.check_date), WithJsonSchema({"type": "string", "format": "date"})]
Text: TypeAlias = Annotated[str, Field(max_length=scalars.TEXT_LENGTH)]
Url: TypeAlias = Annotated[str, Field(max_length=scalars.URL_LENGTH)]
Required: TypeAlias = Annotated[str, Field(min_length=1, max_length=scalars.TEXT_LENGTH)]
EntityId: TypeAlias = Annotated[str, Field(min_length=1, max_length=scalars.SUBJECT_LENGTH), AfterValidator(_identifier)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=scalars.LARGEST_SECONDS, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Score: TypeAlias = Annotated[float, Field(ge=-scalars.LARGEST_SCORE, le=scalars.LARGEST_SCORE, allow_inf_nan=False)]
Sale: TypeAlias = Literal["new", "cross_sell", "upsell", "renewal"]
Answer: TypeAlias = bool | Score | Text


Dimension: TypeAlias = Literal[
    "owner", "team", "source", "campaign", "product", "category", "market", "region", "segment", "variant"
]


class Part(BaseModel):
    """A part of the contract. Fields it does not name are kept out, and counted."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Envelope(Part):
    """CloudEvents 1.0 attributes. Extension attributes are allowed and kept out."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1, max_length=scalars.ID_LENGTH), AfterValidator(_identifier)] = Field(
        description="Idempotency key: an event is counted once however often it comes. Never use an id again for something else.",
    )
    source: Annotated[str, Field(min_length=1, max_length=scalars.SOURCE_LENGTH)] = Field(
        description="Where it comes from, as in crm/hubspot."
    )
    type: str
    time: Time = Field(description="When it happened (not when it was sent).")
    subject: EntityId = Field(description="The entity's id, and the record's key.")
    datacontenttype: Annotated[
        str, AfterValidator(_content_type), WithJsonSchema({"type": "string", "const": "application/json"})
    ] = "application/json"
    dataschema: Url = ""
    traceparent: Text = ""
    tracestate: Text = ""


class Nothing(Part):
    """No data."""


class Attributes(Part):
    """Any attribute of a deal or a lead; absent means not known to this event, null means cleared."""

    amount: Amount | None = None
    currency: Currency | None = Field(None, description="Without one, the deal's own, the default, or the business currency.")
    default_currency: Currency | None = Field(
        None, description="What a sender that does not know the deal holds its amounts to be in; counts where no event gives one."
    )
    cost: Amount | None = Field(None, description="What the deal costs to deliver, in the same currency.")
    list_amount: ListAmount | None = Field(
        None, description="What it would have come to without a discount, in the same currency."
    )
    discount: Share | None = Field(None, description="0.2 is 20 % off; counts where no list amount is known.")
    sale: Sale | None = Field(None, description="Whether the account is new, buys something else, more of the same, or again.")
    lead_created_at: Time | None = Field(None, description="When the deal's lead was created, where a sender knows it.")
    stage: Text | None = None
    pipeline: Text | None = None
    owner: Text | None = None
    team: Text | None = None
    source: Text | None = None
    campaign: Text | None = None
    product: Text | None = None
    category: Text | None = Field(None, description="The product's category.")
    market: Text | None = Field(None, description="The market it is sold in.")
    region: Text | None = None
    segment: Text | None = None
    account_id: Text | None = None
    lead_id: Text | None = None
    expected_close_date: Day | None = None
    variant: Text | None = Field(None, description="The arm of an experiment.")
    name: Text | None = Field(
        None,
        description="What people call it. For people to read only: no figure, segment or metric has it. It may name a person.",
        json_schema_extra={"x-personal": "perhaps"},
    )


class StageAttributes(Attributes):
    """The stage entered, and any attribute."""

    stage: Required


class LostAttributes(Attributes):
    """Why the deal was lost, and any attribute."""

    reason: Text | None = None


class Activity(Part):
    """What was done for a deal, and by whom."""

    kind: Required = Field(description="call, meeting, email, demo, signature, …")
    owner: Text | None = None


class Into(Part):
    """The entity that survives a merge; not the subject itself."""

    into: EntityId


class Absorption(Part):
    """The facts of a merged entity on their way to the survivor (Vigie's own)."""

    origin: EntityId
    version: Annotated[int, Field(ge=0, le=2**53 - 1), BeforeValidator(_whole)]
    path: list[EntityId]
    facts: Any


class Bant(Part):
    """Budget, authority, need, timing: each a yes or no, a score, or the CRM's words."""

    budget: Answer | None = None
    authority: Answer | None = None
    need: Answer | None = None
    timing: Answer | None = None


class LeadAttributes(Attributes):
    """Any attribute of a lead."""

    score: Score | None = None
    email_hash: Text | None = Field(
        None, description="A hash: addresses themselves have no place here.", json_schema_extra={"x-personal": "yes"}
    )
    bant: Bant | None = None
    name: Text | None = Field(
        None, description="Who the lead is, or the company. For people to read only.", json_schema_extra={"x-personal": "yes"}
    )
    first_name: Text | None = Field(None, description="Where a CRM has no whole name.", json_schema_extra={"x-personal": "yes"})
    last_name: Text | None = Field(None, description="Where a CRM has no whole name.", json_schema_extra={"x-personal": "yes"})


class Contact(Part):
    """How a lead was contacted, and how long that was prepared."""

    channel: Text | None = None
    preparation_seconds: Seconds | None = None


class Qualification(Part):
    """Who holds the lead to be worth pursuing: marketing (mql) or sales (sql)."""

    level: Literal["mql", "sql"]


class Disqualification(Part):
    """Why a lead is not pursued."""

    reason: Text | None = None


class Conversion(Part):
    """What a lead has become."""

    deal_id: Text | None = None
    account_id: Text | None = None


class Visit(Part):
    """What a visitor did, where, and for how long."""

    visitor_id: Text | None = None
    session_id: Text | None = None
    lead_id: Text | None = None
    page: Url | None = None
    referrer: Url | None = None
    source: Text | None = None
    campaign: Text | None = None
    duration_seconds: Seconds | None = None
    form: Text | None = None
    cta: Text | None = None


class Identity(Visit):
    """Which lead a visitor is."""

    visitor_id: EntityId
    lead_id: EntityId


class Reach(Part):
    """A message or an ad, and how many times it was sent, seen or used."""

    message_id: Text | None = Field(
        None, description="One message to one person. What is told of it one by one makes the rates of e-mails."
    )
    lead_id: Text | None = None
    campaign: Text | None = None
    channel: Text | None = None
    count: Annotated[int, Field(ge=1, le=scalars.LARGEST_COUNT), BeforeValidator(_whole)] = 1
    cost: Amount | None = None
    currency: Currency | None = Field(None, description="The cost's; without one, the business currency.")


class Opening(Reach):
    """An e-mail that was opened, and by what."""

    machine: bool | None = Field(None, description="Opened by a program (a mail provider's proxy, a scanner), not by a person.")


class Account(Part):
    """What people call a customer."""

    name: Text | None = Field(
        None, description="The account's name. For people to read only.", json_schema_extra={"x-personal": "perhaps"}
    )


class Invoice(Account):
    """What a customer was billed."""

    amount: Amount
    currency: Currency
    product: Text | None = None
    deal_id: Text | None = None
    term_end: Day | None = None


class Churn(Account):
    """Why a customer has left."""

    reason: Text | None = None


class Survey(Account):
    """A customer's answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"kind": {"const": "csat"}}},
            "then": {"properties": {"score": {"minimum": 1, "maximum": 5}}},
        }
    )

    kind: Literal["nps", "csat"]
    score: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = Field(description="nps 0 to 10, csat 1 to 5.")

    @model_validator(mode="after")
    def _in_range(self) -> "Survey":
        scalars.check_score(self.kind, self.score)
        return self


class Ticket(Account):
    """When a customer wrote, and how long the answer took."""

    opened_at: Time | None = None
    response_seconds: Seconds | None = None


class Spend(Part):
    """Money spent on a channel or a campaign on a day."""

    amount: Amount
    currency: Currency
    channel: Text | None = None
    campaign: Text | None = None
    day: Day | None = Field(None, description="The day it is for; without one, the day of the event.")


class Recommendation(Account):
    """Whom a customer has recommended us to."""

    lead_id: Text | None = None


class Hiring(Part):
    """Who was hired, and how many steps it takes to be on board."""

    owner: Required
    steps: Annotated[int, Field(ge=0, le=200), BeforeValidator(_whole)] | None = None


class Step(Part):
    """Which step of the onboarding somebody has done. It counts once."""

    owner: Required
    step: Required


class Recording(Part):
    """A value of a metric of one's own; the subject is what it was measured of."""

    name: Required
    value: Amount = Field(description="Decimal string or number within ±10^12; kept to 1/10,000.")
    unit: Text | None = Field(None, description="In each unit a metric is one of its own: nothing is converted or mixed.")
    dimensions: dict[Dimension, Required] | None = Field(None, description="By what it may be told.")


class Training(Part):
    """Who was trained, for how many hours."""

    owner: Required
    hours: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
