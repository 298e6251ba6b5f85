"""What is a lead now, and what has it contributed to which pane?

Bookings, each taken back and booked anew when a fact changes it: at the lead's *creation* (with what has become of it since:
qualified, answered or still waiting; a disqualified one under its *reason* too), at its *conversion*, when its first answer was
*due*, and at its *age* (creation + maturity), so that the conversion of leads that had the same time to convert can be told.
"""

from typing import Any

import msgspec

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import Entry
from models.folds import trials
from models.folds.deals import CREATED, CREDITING, DELETED, DESCRIBING, MERGED
from models.measures import LEADS, RULES
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(LEADS)}


def _one(name: str) -> tuple[int, int]:
    return _SLOT[name], 1


_LEAD, _ANSWERED, _WAITING = _one("leads"), _one("leads_answered"), _one("leads_unanswered")
_SCORED, _PREPARED, _CONVERTED_SCORED = _one("leads_scored"), _one("leads_prepared"), _one("converted_scored")
_RESPONSE, _WAITING_SINCE, _SCORES = _SLOT["response_millis"], _SLOT["unanswered_since_millis"], _SLOT["lead_scores"]
_ATTEMPTS, _PREPARATION, _CONVERTED_SCORES = _SLOT["contact_attempts"], _SLOT["preparation_millis"], _SLOT["converted_scores"]
_MQL: Cells = (_one("leads_mql"),)
_SQL: Cells = (_one("leads_mql"), _one("leads_sql"))
_BANT_KNOWN: Cells = (_one("leads_bant"),)
_TO_DEAL: Cells = (_one("leads_to_deal"),)
_DISQUALIFIED: Cells = (_one("leads_disqualified"),)
_CONVERTED: Cells = (_one("leads_converted"),)
_RIPE: Cells = (_one("leads_matured"),)
_RIPE_CONVERTED: Cells = (_one("leads_matured"), _one("leads_matured_converted"))
_DUE: Cells = (_one("leads_due"),)
_IN_TIME: Cells = (_one("leads_due"), _one("leads_in_time"))
_TRIAL = trials.Trial.of("leads_given", "leads_varied", "leads_converted_after")
_DIMENSIONS = DESCRIBING + CREDITING
_NAMED = frozenset(_DIMENSIONS)

#: The kinds of a lead's facts, beside those it shares with deals.
CONTACTED, MQL, SQL, CONVERTED, DISQUALIFIED = "contacted", "mql", "sql", "converted", "disqualified"
ATTEMPTED = "attempted"
#: Budget, authority, need, timing: a bit each.
_BANT = {"budget": 1, "authority": 2, "need": 4, "timing": 8}
_ALL_OF_BANT = 15

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
    bant: int = 0  # which of budget, authority, need and timing are known: a bit each
    attempts: int = 0  # to reach it for the first time; the contact that did is one
    preparation: int | None = None  # of the first contact, in milliseconds
    to_deal: bool = False  # converted into a deal, not into an account alone
    due: Booking | None = None
    reasoned: Booking | None = None  # of a disqualified one: by its reason
    variant: str | None = None  # the first one it had
    varied: bool = False  # it had another one later
    trial: Booking | None = None


class LeadSteps:
    """Steps through the facts of leads and books into one partition's panes."""

    __slots__ = ("_all_answer", "_maturity", "_panes", "_segments", "_sla")

    def __init__(self, business: Business, panes: Panes, segments: Segments, rules: int | None = None) -> None:
        """``rules``: by which to book (None: those in force)."""
        self._all_answer = (RULES["leads"] if rules is None else rules) < 1
        self._maturity = business.maturity
        self._sla = business.response_sla
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
        for booking in (present.creation, present.conversion, present.age, present.due, present.reasoned, present.trial):
            if booking is not None:
                self._panes.book(booking, -sign)

    def renew(self, present: Lead, at: int, *, revalue: bool) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing. A lead has no amounts."""
        present.segments = self._segments.extend((TOTAL,), _DIMENSIONS, present.attributes)
        present.creation = present.conversion = present.age = present.due = present.reasoned = present.trial = None
        present.variant = present.variant or present.attributes.get("variant") or None  # of a row that did not know the first one
        if not present.bant:  # of a row that did not count them
            present.bant = _known(0, present.attributes.get("bant"))
        if present.converted is not None and not present.to_deal:
            present.to_deal = bool(present.attributes.get("deal_id"))
        self._settle(present, 0)

    def step(self, present: Lead, entry: Entry, sign: int) -> None:
        """Take one fact that is not earlier than any before it."""
        at, _, kind, changes = entry
        lead = present
        attributes = lead.attributes
        renamed = False
        scored = False
        for name, value in changes.items():
            if attributes.get(name) != value:
                attributes[name] = value
                renamed = renamed or name in _NAMED
                scored = scored or name == "score" or name == "reason"
        if "bant" in changes:
            lead.bant, scored = _known(lead.bant, changes["bant"]), True
        if renamed:
            lead.segments = self._segments.extend((TOTAL,), _DIMENSIONS, attributes)
            lead.variant, lead.varied = trials.seen(lead.variant, attributes.get("variant"), lead.varied)
        if kind == CREATED:
            if lead.created is None:
                lead.created = at
                if lead.contacted is not None and lead.contacted < at - LED_TO and not self._all_answer:
                    lead.contacted = lead.preparation = None  # with somebody who was no lead yet: it answers none of this
                lead.attempts = int(lead.contacted is not None)  # what else was tried before was no attempt to reach a lead
        elif kind == CONTACTED:
            if lead.contacted is None:
                lead.attempts += 1
            if lead.contacted is None or (lead.created is None and not self._all_answer):
                lead.contacted = at
                seconds = changes.get("preparation_seconds")
                lead.preparation = None if seconds is None else round(seconds * 1000)
        elif kind == ATTEMPTED:
            if lead.created is None or lead.contacted is not None:  # none to reach a lead for the first time
                return
            lead.attempts += 1
        elif kind == MQL:
            lead.level = max(lead.level, 1)
        elif kind == SQL:
            lead.level = 2
        elif kind == CONVERTED:
            if lead.converted is None:
                lead.converted = at
                # Where nothing is named that it has become, it is a deal; an account alone is none.
                lead.to_deal = bool(changes.get("deal_id")) or not changes.get("account_id")
        elif kind == DISQUALIFIED:
            lead.disqualified = True
        elif not renamed and not scored:
            return
        self._settle(lead, sign)

    def _settle(self, lead: Lead, sign: int) -> None:
        created, converted, names = lead.created, lead.converted, self._segments.paired(lead.segments)
        creation = age = conversion = due = reasoned = trial = None
        if created is not None:
            # Who was converted was answered, said or not.
            answered = converted if lead.contacted is None else lead.contacted
            creation = (created // MINUTE_MS, names, self._since_creation(lead, created, answered), ())
            ripe = created + self._maturity
            age = (ripe // MINUTE_MS, names, _RIPE_CONVERTED if converted is not None and converted <= ripe else _RIPE, ())
            if answered is not None or not lead.disqualified:  # who waits no longer, unanswered, is out of it
                deadline = created + self._sla
                in_time = answered is not None and answered <= deadline
                due = (deadline // MINUTE_MS, names, _IN_TIME if in_time else _DUE, ())
            if lead.disqualified and converted is None and (reason := lead.attributes.get("reason")):
                reasoned = (created // MINUTE_MS, (self._segments.name("reason", reason),), _DISQUALIFIED, ())
            if lead.variant is not None:
                trial = _TRIAL.booking(created, lead.variant, converted, names, self._segments, varied=lead.varied)
        if converted is not None:
            conversion = (converted // MINUTE_MS, names, self._since_conversion(lead), ())
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
        if due != lead.due:
            if sign:
                rebook(lead.due, due, sign)
            lead.due = due
        if reasoned != lead.reasoned:
            if sign:
                rebook(lead.reasoned, reasoned, sign)
            lead.reasoned = reasoned
        if trial != lead.trial:
            if sign:
                rebook(lead.trial, trial, sign)
            lead.trial = trial

    @staticmethod
    def _since_creation(lead: Lead, created: int, answered: int | None) -> Cells:
        cells = [_LEAD]
        if lead.level:
            cells += _SQL if lead.level == 2 else _MQL
        # Who was disqualified unanswered waits no longer: out of the measure.
        if answered is not None:
            cells += (_ANSWERED, (_RESPONSE, max(0, answered - created)))
        elif not lead.disqualified:
            cells += (_WAITING, (_WAITING_SINCE, created))
        score = lead.attributes.get("score")
        if score is not None:
            cells += (_SCORED, (_SCORES, round(score * 100)))
        if lead.bant == _ALL_OF_BANT:
            cells += _BANT_KNOWN
        if lead.attempts:
            cells.append((_ATTEMPTS, lead.attempts))
        if lead.preparation is not None:
            cells += (_PREPARED, (_PREPARATION, lead.preparation))
        if lead.to_deal:
            cells += _TO_DEAL
        if lead.disqualified and lead.converted is None:
            cells += _DISQUALIFIED
        return tuple(cells)

    @staticmethod
    def _since_conversion(lead: Lead) -> Cells:
        score = lead.attributes.get("score")
        return _CONVERTED if score is None else (*_CONVERTED, _CONVERTED_SCORED, (_CONVERTED_SCORES, round(score * 100)))


def _known(before: int, said: Any) -> int:
    """Return which parts are known after a fact that speaks of them (a part it leaves out stays as it was; None: cleared)."""
    if said is None:
        return 0
    for name, bit in _BANT.items():
        if name in said:
            before = before & ~bit if said[name] is None else before | bit
    return before
