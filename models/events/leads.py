"""Which events tell of a lead?"""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field

from models.events import scalars
from models.events.deals import Attributes, Into
from models.events.wire import Data, Envelope, Nothing, Seconds, Text

Score: TypeAlias = Annotated[float, Meta(ge=-scalars.LARGEST_SCORE, le=scalars.LARGEST_SCORE)]


class Bant(Data, frozen=True):
    """How far a lead is qualified: each a yes or no, a score, or the CRM's words."""

    budget: bool | Score | Text | UnsetType | None = UNSET
    authority: bool | Score | Text | UnsetType | None = UNSET
    need: bool | Score | Text | UnsetType | None = UNSET
    timing: bool | Score | Text | UnsetType | None = UNSET


class LeadAttributes(Attributes, kw_only=True, frozen=True):
    """What a CRM may say of a lead, any part of it."""

    score: Score | UnsetType | None = UNSET
    email_hash: Text | UnsetType | None = UNSET
    bant: Bant | UnsetType | None = UNSET
    first_name: Text | UnsetType | None = UNSET
    last_name: Text | UnsetType | None = UNSET


class Contact(Data, frozen=True):
    """How a lead was contacted, and how long that was prepared."""

    channel: Text | UnsetType | None = UNSET
    preparation_seconds: Seconds | UnsetType | None = UNSET


class Qualification(Data, frozen=True):
    """Who holds the lead to be worth pursuing: marketing (mql) or sales (sql)."""

    level: Literal["mql", "sql"]


class Disqualification(Data, frozen=True):
    """Why a lead is not pursued."""

    reason: Text | UnsetType | None = UNSET


class Conversion(Data, frozen=True):
    """What a lead has become."""

    deal_id: Text | UnsetType | None = UNSET
    account_id: Text | UnsetType | None = UNSET


class LeadCreated(Envelope, tag="lead.created", frozen=True):
    """A lead has come in."""

    data: LeadAttributes = field(default_factory=LeadAttributes)


class LeadUpdated(Envelope, tag="lead.updated", frozen=True):
    """Attributes of a lead have changed."""

    data: LeadAttributes = field(default_factory=LeadAttributes)


class LeadContacted(Envelope, tag="lead.contacted", frozen=True):
    """Somebody has contacted the lead."""

    data: Contact = field(default_factory=Contact)


class LeadContactAttempted(Envelope, tag="lead.contact_attempted", frozen=True):
    """Somebody has tried to contact the lead, and reached nobody."""

    data: Contact = field(default_factory=Contact)


class LeadQualified(Envelope, tag="lead.qualified", frozen=True):
    """A lead has been qualified by marketing or by sales."""

    data: Qualification


class LeadDisqualified(Envelope, tag="lead.disqualified", frozen=True):
    """A lead is no longer pursued."""

    data: Disqualification = field(default_factory=Disqualification)


class LeadConverted(Envelope, tag="lead.converted", frozen=True):
    """A lead has become a deal or an account."""

    data: Conversion = field(default_factory=Conversion)


class LeadMerged(Envelope, tag="lead.merged", frozen=True):
    """A lead has been merged into another one, which keeps the earliest creation and the facts of both."""

    data: Into


class LeadDeleted(Envelope, tag="lead.deleted", frozen=True):
    """A lead has been removed from the CRM."""

    data: Nothing = field(default_factory=Nothing)


LeadEvent = (
    LeadCreated
    | LeadUpdated
    | LeadContacted
    | LeadContactAttempted
    | LeadQualified
    | LeadDisqualified
    | LeadConverted
    | LeadMerged
    | LeadDeleted
)
