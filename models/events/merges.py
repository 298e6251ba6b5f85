"""What does a merged entity hand to the one that survives it? Vigie's own events, on ``deal-merges`` and ``lead-merges`` only."""

from typing import Annotated, Any

from msgspec import Meta

from models.events.wire import Data, EntityId, Envelope


class Absorption(Data, frozen=True):
    """The facts of the entity ``origin``; ``version`` grows with each correction, ``path`` is the way they have come so far."""

    origin: EntityId
    version: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    path: list[EntityId]
    facts: Any


class DealAbsorbed(Envelope, tag="deal.absorbed", frozen=True):
    """The facts of a deal that was merged into the subject."""

    data: Absorption


class LeadAbsorbed(Envelope, tag="lead.absorbed", frozen=True):
    """The facts of a lead that was merged into the subject."""

    data: Absorption


MergeEvent = DealAbsorbed | LeadAbsorbed
