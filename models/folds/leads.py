"""What is a lead now, and what has it contributed to which pane?

Three bookings, each taken back and booked anew when a fact changes it: at the lead's *creation* (with what has become of it
since: qualified, answered or still waiting), at its *conversion*, and at its *age* (creation + maturity), so that the conversion
of leads that had the same time to convert can be told.
"""

from typing import Any

import msgspec

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import Entry
from models.folds.deals import CREATED, CREDITING, DELETED, DESCRIBING, MERGED
from models.measures import LEADS, RULES
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Panes

_SLOT = {m.name: slot for slot, m in enumerate(LEADS)}
_DIMENSIONS = DESCRIBING + CREDITING
_NAMED = frozenset(_DIMENSIONS)

#: The kinds of a lead's facts, beside those it shares with deals.
CONTACTED, MQL, SQL, CONVERTED, DISQUALIFIED = "contacted", "mql", "sql", "converted", "disqualified"

#: A contact so long (ms) before the creation may have led to it, and answers it: a call, after which somebody enters the lead.
LED_TO = 86_400_000


class Lead(msgspec.Struct, array_like=True):
    """A lead's present, at the end of its log. Times are those of the first such fact."""

    attributes: dict[str, Any]
    created: int | None = None
    contacted: int | None = None
    converted: int | None = None
    level: int = 0  # 1: MQL, 2: SQL
    disqualified: bool = False
    segments: tuple[str, ...] = (TOTAL,)
    creation: Booking | None = None
    conversion: Booking | None = None
    age: Booking | None = None


class LeadSteps:
    """Steps through the facts of leads and books into one partition's panes."""

    __slots__ = ("_all_answer", "_maturity", "_panes", "_segments")

    def __init__(self, business: Business, panes: Panes, segments: Segments, rules: int | None = None) -> None:
        """``rules``: by which to book (None: those in force)."""
        self._all_answer = (RULES["leads"] if rules is None else rules) < 1
        self._maturity = business.maturity
        self._panes = panes
        self._segments = segments

    def fresh(self) -> Lead:
        """Return a lead of which nothing is known."""
        return Lead({})

    def copy(self, present: Lead) -> Lead:
        """Return an independent copy."""
        copied = msgspec.structs.replace(present)
        copied.attributes = dict(present.attributes)
        return copied

    def void(self, log: list[Entry]) -> bool:
        """A merged lead is gone; a deleted one too, unless it was created again afterwards."""
        gone = False
        for _, _, kind, _ in log:
            if kind == MERGED:
                return True
            gone = kind == DELETED or (gone and kind != CREATED)
        return gone

    def unbook(self, present: Lead, at: int, sign: int) -> None:
        """Take back all that a lead counts for."""
        for booking in (present.creation, present.conversion, present.age):
            if booking is not None:
                self._panes.book(booking, -sign)

    def renew(self, present: Lead, at: int, *, revalue: bool) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing. A lead has no amounts."""
        present.segments = self._segments.extend((TOTAL,), _DIMENSIONS, present.attributes)
        present.creation = present.conversion = present.age = None
        self._settle(present, 0)

    def step(self, present: Lead, entry: Entry, sign: int) -> None:
        """Take one fact that is not earlier than any before it."""
        at, _, kind, changes = entry
        lead = present
        attributes = lead.attributes
        renamed = False
        for name, value in changes.items():
            if attributes.get(name) != value:
                attributes[name] = value
                renamed = renamed or name in _NAMED
        if renamed:
            lead.segments = self._segments.extend((TOTAL,), _DIMENSIONS, attributes)
        if kind == CREATED:
            if lead.created is None:
                lead.created = at
                if lead.contacted is not None and lead.contacted < at - LED_TO and not self._all_answer:
                    lead.contacted = None  # with somebody who was no lead yet: it answers none of this
        elif kind == CONTACTED:
            if lead.contacted is None or (lead.created is None and not self._all_answer):
                lead.contacted = at
        elif kind == MQL:
            lead.level = max(lead.level, 1)
        elif kind == SQL:
            lead.level = 2
        elif kind == CONVERTED:
            if lead.converted is None:
                lead.converted = at
        elif kind == DISQUALIFIED:
            lead.disqualified = True
        elif not renamed:
            return
        self._settle(lead, sign)

    def _settle(self, lead: Lead, sign: int) -> None:
        created, converted, names = lead.created, lead.converted, self._segments.paired(lead.segments)
        creation: Booking | None = None
        age: Booking | None = None
        conversion: Booking | None = None
        if created is not None:
            creation = (created // MINUTE_MS, names, self._since_creation(lead, created), ())
            ripe = created + self._maturity
            cells = [(_SLOT["leads_matured"], 1)]
            if converted is not None and converted <= ripe:
                cells.append((_SLOT["leads_matured_converted"], 1))
            age = (ripe // MINUTE_MS, names, tuple(cells), ())
        if converted is not None:
            conversion = (converted // MINUTE_MS, names, ((_SLOT["leads_converted"], 1),), ())
        rebook = self._panes.rebook
        if creation != lead.creation:
            if sign:
                rebook(lead.creation, creation, sign)
            lead.creation = creation
        if age != lead.age:
            if sign:
                rebook(lead.age, age, sign)
            lead.age = age
        if conversion != lead.conversion:
            if sign:
                rebook(lead.conversion, conversion, sign)
            lead.conversion = conversion

    @staticmethod
    def _since_creation(lead: Lead, created: int) -> tuple[tuple[int, int], ...]:
        cells = [(_SLOT["leads"], 1)]
        if lead.level >= 1:
            cells.append((_SLOT["leads_mql"], 1))
        if lead.level == 2:
            cells.append((_SLOT["leads_sql"], 1))
        # Who was converted was answered, said or not. Who was disqualified unanswered waits no longer: out of the measure.
        answered = lead.contacted if lead.contacted is not None else lead.converted
        if answered is not None:
            cells += [(_SLOT["leads_answered"], 1), (_SLOT["response_millis"], max(0, answered - created))]
        elif not lead.disqualified:
            cells += [(_SLOT["leads_unanswered"], 1), (_SLOT["unanswered_since_millis"], created)]
        return tuple(cells)
