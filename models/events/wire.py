"""What do all events have in common on the wire, as the hot path sees it?

These structs are the fast reading of the contract that ``contract.py`` states in full. Whatever they accept, the contract
accepts too, with the same value; whatever they refuse is looked at again, slowly. In ``data``, an absent field is ``UNSET``
(not known to this event) and a null one is ``None`` (cleared): folds keep the difference.
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models.events import scalars

if TYPE_CHECKING:
    #: An amount in 1/10,000 of its currency's unit.
    Amount: TypeAlias = int
    #: Milliseconds since the epoch.
    Instant: TypeAlias = int
else:
    # What arrives. `decode` puts the parsed value in its place before anyone else sees the event.
    Amount = int | float | Annotated[str, Meta(max_length=scalars.AMOUNT_LENGTH)]
    Instant = Annotated[str, Meta(max_length=64)]

Text: TypeAlias = Annotated[str, Meta(max_length=scalars.TEXT_LENGTH)]
Url: TypeAlias = Annotated[str, Meta(max_length=scalars.URL_LENGTH)]
#: The name of an entity: a deal, a lead, a visitor, an account.
EntityId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=scalars.SUBJECT_LENGTH)]
Required: TypeAlias = Annotated[str, Meta(min_length=1, max_length=scalars.TEXT_LENGTH)]
#: A calendar date as in 2026-03-31.
Day: TypeAlias = Annotated[str, Meta(min_length=10, max_length=10)]
Currency: TypeAlias = Annotated[str, Meta(min_length=3, max_length=3)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=scalars.LARGEST_SECONDS)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Sale: TypeAlias = Literal["new", "cross_sell", "upsell", "renewal"]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=scalars.LARGEST_COUNT)]


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """The part of an event that depends on its type."""


class Nothing(Data, frozen=True):
    """No data: the type and the subject say it all."""


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag_field="type", tag="-"):
    """CloudEvents 1.0 attributes; each type adds its ``data``. ``time`` is as it was written: `decode` gives the number."""

    id: Annotated[str, Meta(min_length=1, max_length=scalars.ID_LENGTH)]
    source: Annotated[str, Meta(min_length=1, max_length=scalars.SOURCE_LENGTH)]
    time: Annotated[str, Meta(max_length=64)]
    subject: EntityId
    specversion: Literal["1.0"]
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
    dataschema: Annotated[str, Meta(max_length=scalars.URL_LENGTH)] | UnsetType = UNSET
    # W3C trace context (CloudEvents' distributed tracing extension): instrumented producers put it on every event.
    traceparent: Text | UnsetType = UNSET
    tracestate: Text | UnsetType = UNSET
