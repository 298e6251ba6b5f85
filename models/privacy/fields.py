"""Which fields of the contract are personal data, why is each kept, and what becomes of it when somebody is erased?

The one table of it, by a field's name: the same name means the same everywhere. A field of the contract that is not here fails
a test; so does one that ``x-personal`` in the contract says otherwise of.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Personal(StrEnum):
    """Whether a field is about a person."""

    YES = "yes"
    PERHAPS = "perhaps"
    STAFF = "of staff"
    NO = "no"


class Erased(StrEnum):
    """What becomes of a field of somebody's own events and state when they are erased."""

    REMOVED = "removed"
    ANONYMOUS = "a drawn name in its place"
    SHORTENED = "kept as figures have it: without what follows ? or #"
    LINK = "a drawn name where it is the person's own, else removed"
    KEPT = "kept: a figure is made of it"


class Field(NamedTuple):
    """A field, why it is kept, and what becomes of it."""

    personal: Personal
    why: str
    erased: Erased


_FORM = Field(Personal.NO, "the form of an event", Erased.KEPT)
_FIGURE = Field(Personal.NO, "figures", Erased.KEPT)
_SEGMENT = Field(Personal.NO, "figures by segment", Erased.KEPT)
_STAFF = Field(Personal.STAFF, "figures by who sells; whom to tell", Erased.KEPT)
_NAME = Field(Personal.YES, "for people to read in alerts and lists", Erased.REMOVED)
_LINK = Field(Personal.YES, "which other record it belongs to", Erased.LINK)
_SAID = Field(Personal.PERHAPS, "figures by what was said", Erased.KEPT)
_SEEN = Field(Personal.YES, "not used by any figure: kept with the event only", Erased.REMOVED)
_TRACE = Field(Personal.PERHAPS, "to follow a request through a sender's systems", Erased.REMOVED)

#: Every field of every event, by name.
FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "specversion": _FORM,
        "type": _FORM,
        "datacontenttype": _FORM,
        "dataschema": _FORM,
        "id": Field(Personal.PERHAPS, "so that what comes twice counts once", Erased.ANONYMOUS),
        "source": _SEGMENT,
        "subject": Field(Personal.YES, "which deal, lead, visitor or customer it is about", Erased.ANONYMOUS),
        "time": _FIGURE,
        "traceparent": _TRACE,
        "tracestate": _TRACE,
        "amount": _FIGURE,
        "currency": _FIGURE,
        "default_currency": _FIGURE,
        "cost": _FIGURE,
        "list_amount": _FIGURE,
        "discount": _FIGURE,
        "sale": _FIGURE,
        "lead_created_at": _FIGURE,
        "stage": _SEGMENT,
        "pipeline": _SEGMENT,
        "owner": _STAFF,
        "team": _STAFF,
        "campaign": _SEGMENT,
        "product": _SEGMENT,
        "category": _SEGMENT,
        "market": _SEGMENT,
        "region": _SEGMENT,
        "segment": _SEGMENT,
        "variant": _SEGMENT,
        "channel": _SEGMENT,
        "account_id": _LINK,
        "lead_id": _LINK,
        "deal_id": _LINK,
        "visitor_id": _LINK,
        "session_id": _LINK,
        "message_id": _LINK,
        "into": _LINK,
        "origin": _LINK,
        "path": _LINK,
        "facts": Field(Personal.YES, "what was known of an entity that was merged", Erased.ANONYMOUS),
        "version": _FORM,
        "expected_close_date": _FIGURE,
        "name": _NAME,
        "first_name": _NAME,
        "last_name": _NAME,
        "email_hash": Field(Personal.YES, "to know one person under several ids", Erased.REMOVED),
        "score": Field(Personal.YES, "predictions", Erased.KEPT),
        "bant": Field(Personal.PERHAPS, "predictions", Erased.REMOVED),
        "budget": Field(Personal.PERHAPS, "predictions", Erased.REMOVED),
        "authority": Field(Personal.PERHAPS, "predictions", Erased.REMOVED),
        "need": Field(Personal.PERHAPS, "predictions", Erased.REMOVED),
        "timing": Field(Personal.PERHAPS, "predictions", Erased.REMOVED),
        "kind": _FIGURE,
        "level": _FIGURE,
        "reason": _SAID,
        "preparation_seconds": _FIGURE,
        "response_seconds": _FIGURE,
        "opened_at": _FIGURE,
        "duration_seconds": _FIGURE,
        "count": _FIGURE,
        "page": Field(Personal.YES, "figures by page", Erased.SHORTENED),
        "referrer": _SEEN,
        "form": _SEGMENT,
        "machine": _FIGURE,
        "cta": _SEEN,
        "term_end": _FIGURE,
        "day": _FIGURE,
        "hours": _STAFF,
        "steps": _STAFF,
        "step": _STAFF,
        "value": _FIGURE,
        "unit": _FIGURE,
        "dimensions": _SEGMENT,
    }
)
#: The fields that go.
REMOVED = frozenset(name for name, field in FIELDS.items() if field.erased is Erased.REMOVED)
#: The fields that name another record, and of which kind.
LINKS: Mapping[str, str] = MappingProxyType(
    {"lead_id": "lead", "account_id": "customer", "deal_id": "deal", "visitor_id": "visitor", "owner": "owner"}
)
#: The fields whose texts are of a person: they are looked for wherever the person is spoken of.
NAMES = ("name", "first_name", "last_name", "email_hash")
