"""Which events tell of a deal?"""

from msgspec import UNSET, UnsetType, field

from models.events.wire import Amount, Currency, Data, Day, EntityId, Envelope, Instant, Nothing, Required, Sale, Share, Text


class Attributes(Data, kw_only=True, frozen=True):
    """What a CRM may say of a deal or a lead; any part of it, as a webhook may carry one changed property only."""

    amount: Amount | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    default_currency: Currency | UnsetType | None = UNSET
    cost: Amount | UnsetType | None = UNSET
    list_amount: Amount | UnsetType | None = UNSET
    discount: Share | UnsetType | None = UNSET
    sale: Sale | UnsetType | None = UNSET
    lead_created_at: Instant | UnsetType | None = UNSET
    stage: Text | UnsetType | None = UNSET
    pipeline: Text | UnsetType | None = UNSET
    owner: Text | UnsetType | None = UNSET
    team: Text | UnsetType | None = UNSET
    source: Text | UnsetType | None = UNSET
    campaign: Text | UnsetType | None = UNSET
    product: Text | UnsetType | None = UNSET
    category: Text | UnsetType | None = UNSET
    market: Text | UnsetType | None = UNSET
    region: Text | UnsetType | None = UNSET
    segment: Text | UnsetType | None = UNSET
    account_id: Text | UnsetType | None = UNSET
    lead_id: Text | UnsetType | None = UNSET
    expected_close_date: Day | UnsetType | None = UNSET
    variant: Text | UnsetType | None = UNSET
    name: Text | UnsetType | None = UNSET


class StageAttributes(Attributes, kw_only=True, frozen=True):
    """Attributes of a deal that has entered a stage."""

    stage: Required


class LostAttributes(Attributes, kw_only=True, frozen=True):
    """Attributes of a lost deal, and why it was lost."""

    reason: Text | UnsetType | None = UNSET


class Activity(Data, frozen=True):
    """What was done for a deal: call, meeting, email, demo, signature, …"""

    kind: Required
    owner: Text | UnsetType | None = UNSET


class Into(Data, frozen=True):
    """The entity that survives a merge."""

    into: EntityId


class DealCreated(Envelope, tag="deal.created", frozen=True):
    """A deal has been opened."""

    data: Attributes = field(default_factory=Attributes)


class DealUpdated(Envelope, tag="deal.updated", frozen=True):
    """Attributes of a deal have changed."""

    data: Attributes = field(default_factory=Attributes)


class DealStageChanged(Envelope, tag="deal.stage_changed", frozen=True):
    """A deal has entered a stage."""

    data: StageAttributes


class DealWon(Envelope, tag="deal.won", frozen=True):
    """A deal has been won."""

    data: Attributes = field(default_factory=Attributes)


class DealLost(Envelope, tag="deal.lost", frozen=True):
    """A deal has been lost."""

    data: LostAttributes = field(default_factory=LostAttributes)


class DealReopened(Envelope, tag="deal.reopened", frozen=True):
    """A closed deal is open again."""

    data: Attributes = field(default_factory=Attributes)


class DealActivity(Envelope, tag="deal.activity", frozen=True):
    """Something was done for a deal."""

    data: Activity


class DealMerged(Envelope, tag="deal.merged", frozen=True):
    """A deal has been merged into another one, which keeps the earliest creation and the facts of both."""

    data: Into


class DealDeleted(Envelope, tag="deal.deleted", frozen=True):
    """A deal has been removed from the CRM."""

    data: Nothing = field(default_factory=Nothing)


DealEvent = (
    DealCreated | DealUpdated | DealStageChanged | DealWon | DealLost | DealReopened | DealActivity | DealMerged | DealDeleted
)
