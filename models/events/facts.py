"""What may a merged entity hand over to the one that survives it?

The facts of ``deal-merges`` and ``lead-merges`` become log entries as they are, so each is looked at before any is taken: a
value of another type, or a number too large, would fail in the middle of a step, or in a row that can no longer be written.
"""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models.events import scalars
from models.events.deals import LostAttributes
from models.events.leads import LeadAttributes
from models.events.refused import Reason, Refused
from models.events.wire import Seconds, Text

#: When it happened (ms), event id, kind, attributes: :data:`models.entities.entity_log.Entry`.
Fact: TypeAlias = tuple[int, str, str, dict[str, Any]]

#: An amount as folds keep it, in 1/10,000 of its currency's unit.
_Parts: TypeAlias = Annotated[int, Meta(ge=-scalars.LARGEST_AMOUNT * scalars.UNIT, le=scalars.LARGEST_AMOUNT * scalars.UNIT)]
_Listed: TypeAlias = Annotated[int, Meta(ge=0, le=scalars.LARGEST_AMOUNT * scalars.UNIT)]
#: A moment as folds keep it, in epoch milliseconds.
_Moment: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
#: That an entity is gone is not handed over; a base fact's id is the entity's with a mark.
_GONE = frozenset({"merged", "deleted"})
_ID_LENGTH = scalars.SUBJECT_LENGTH + scalars.ID_LENGTH
_LARGEST = 2**53


class DealFacts(LostAttributes, frozen=True):
    """All that facts of a deal may say, amounts as folds keep them."""

    amount: _Parts | UnsetType | None = UNSET
    cost: _Parts | UnsetType | None = UNSET
    list_amount: _Listed | UnsetType | None = UNSET
    lead_created_at: _Moment | UnsetType | None = UNSET


class LeadFacts(LeadAttributes, frozen=True):
    """All that facts of a lead may say, amounts as folds keep them."""

    amount: _Parts | UnsetType | None = UNSET
    cost: _Parts | UnsetType | None = UNSET
    list_amount: _Listed | UnsetType | None = UNSET
    lead_created_at: _Moment | UnsetType | None = UNSET
    channel: Text | UnsetType | None = UNSET
    preparation_seconds: Seconds | UnsetType | None = UNSET
    reason: Text | UnsetType | None = UNSET
    deal_id: Text | UnsetType | None = UNSET


def read_facts(raw: Any, said: type[DealFacts | LeadFacts], arrival: int) -> list[Fact]:
    """Return the facts; raise :class:`Refused` where one of them could not stand in a log. ``arrival`` is in epoch ms."""
    try:
        facts = msgspec.convert(raw, list[Fact])
    except msgspec.ValidationError as error:
        raise Refused(Reason.INVALID_DATA, f"facts: {error}") from None
    names = frozenset(field.name for field in msgspec.structs.fields(said))
    for place, (at, event_id, kind, attributes) in enumerate(facts):
        where = f"facts.{place}"
        scalars.check_time(at, arrival, where)
        if not 0 < len(event_id) <= _ID_LENGTH or not 0 < len(kind) <= 32 or kind in _GONE:
            raise Refused(Reason.INVALID_DATA, f"{where}: found the id {scalars.shown(event_id)}, the kind {scalars.shown(kind)}")
        try:
            found = msgspec.convert({name: value for name, value in attributes.items() if name in names}, said)
        except msgspec.ValidationError as error:
            raise Refused(Reason.INVALID_DATA, f"{where}: {error}") from None
        if found.currency is not UNSET and found.currency is not None:
            scalars.check_currency(found.currency, None)
        if found.expected_close_date is not UNSET and found.expected_close_date is not None:
            scalars.check_date(found.expected_close_date, f"{where}.expected_close_date")
        for name, value in attributes.items():
            if name not in names and not _plain(name, value):  # of another release: kept, as long as it can be
                raise Refused(Reason.INVALID_DATA, f"{where}.{name[:60]}: found {scalars.shown(value)}, accepted is a short text")
    return facts


def _plain(name: str, value: Any) -> bool:
    if len(name) > 64:
        return False
    if isinstance(value, str):
        return len(value) <= scalars.URL_LENGTH
    return value is None or (isinstance(value, int | float) and -_LARGEST <= value <= _LARGEST)
