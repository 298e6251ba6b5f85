"""What is a deal now, and what has it contributed to which pane?

Booked, and taken back and booked anew whenever a fact changes it:

* the *creation*, under the owner and team first known;
* the *level* (open deals and their amount; deals of unknown status), moved from segment to segment as its attributes change, so
  that the pipeline at any past moment is as it was then;
* each *stage* that was entered or left (``stages.py``);
* the *close*, once: under owner and team as they were then, and all other attributes as last known; the amount as last known at
  the exchange rate of the close. A deal that is reopened loses it.

A deal's status is *unknown* until a creation, a stage, a reopening or a close says otherwise: an edit of a deal of which nothing
else is known (a bulk edit of old, closed ones) says nothing of the pipeline.
"""

from typing import Any

import msgspec

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import Entry
from models.folds import closing
from models.folds.stages import Stages
from models.measures import DEALS, RULES
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
_CREATED: Cells = ((_SLOT["deals_created"], 1),)
_OPEN_DEALS, _OPEN_AMOUNT = _SLOT["open_deals"], _SLOT["open_amount"]
_UNKNOWN: Cells = ((_SLOT["deals_unknown"], 1),)

#: Attributes that describe a deal: the close is booked under what is known of them last.
DESCRIBING = ("source", "campaign", "product", "region", "segment", "pipeline", "variant")
#: Attributes that give credit: the close is booked under what they were then.
CREDITING = ("owner", "team")
_DESCRIBING, _CREDITING = frozenset(DESCRIBING), frozenset(CREDITING)
_VALUING = frozenset({"amount", "currency", "default_currency"})
_NOTHING = (TOTAL,)
#: By what it is kept how long deals take: a multiset in each is dear.
_LENGTHS_BY = ("source", "product", "region", "segment")

#: The kinds of a deal's facts.
CREATED, UPDATED, STAGE, WON, LOST, REOPENED, MERGED, DELETED = (
    "created",
    "updated",
    "stage",
    "won",
    "lost",
    "reopened",
    "merged",
    "deleted",
)
#: The statuses of a deal that is neither won nor lost.
OPEN, UNKNOWN = "open", "unknown"


class Deal(msgspec.Struct, array_like=True):
    """A deal's present, at the end of its log."""

    attributes: dict[str, Any]
    created: int | None = None
    status: str = ""  # "" before the first fact, then unknown, open, won or lost
    closed: int = 0
    stage: str | None = None
    stage_since: int = 0
    value: int | None = None  # the amount in the business currency, at the rate of the day it was set
    owner_at_close: str | None = None
    team_at_close: str | None = None
    first_owner: str | None = None
    first_team: str | None = None
    first_credited: tuple[str, ...] = ()  # the segments of those two
    described: tuple[str, ...] = (TOTAL,)  # the total and the segments of what describes the deal
    credited: tuple[str, ...] = ()  # the segments of those who have the credit now
    creation: Booking | None = None
    level: tuple[tuple[str, ...], Cells] | None = None
    close: Booking | None = None
    been: tuple[str, ...] = ()  # the stages it has been in
    length: Booking | None = None  # of a closed one: how long it took, at its creation
    loss: Booking | None = None  # of a lost one: by its reason


class DealSteps:
    """Steps through the facts of deals and books into one partition's panes."""

    __slots__ = ("_business", "_panes", "_rates", "_segments", "_stages", "_unsaid")

    def __init__(self, business: Business, panes: Panes, segments: Segments, rules: int | None = None) -> None:
        """``rules``: by which to book (None: those in force)."""
        self._business = business
        self._panes = panes
        self._segments = segments
        self._rates = business.rates
        self._stages = Stages(business, panes, segments)
        rules = RULES["deals"] if rules is None else rules
        self._unsaid = UNKNOWN if rules >= 1 else OPEN

    def fresh(self) -> Deal:
        """Return a deal of which nothing is known."""
        return Deal({})

    def copy(self, present: Deal) -> Deal:
        """Return an independent copy."""
        copied = msgspec.structs.replace(present)
        copied.attributes = dict(present.attributes)
        return copied

    def void(self, log: list[Entry]) -> bool:
        """A merged deal is gone; a deleted one too, unless it was created or reopened afterwards."""
        gone = False
        for _, _, kind, _ in log:
            if kind == MERGED:
                return True
            if kind == DELETED:
                gone = True
            elif kind == CREATED or kind == REOPENED:
                gone = False
        return gone

    def unbook(self, present: Deal, at: int, sign: int) -> None:
        """Take back all that a deal counts for; what it did in stages stays."""
        for booking in (present.creation, present.close, present.length, present.loss):
            if booking is not None:
                self._panes.book(booking, -sign)
        if present.level is not None:
            self._panes.add(at // MINUTE_MS, *present.level, -sign)
        if present.status == OPEN:
            self._stages.let_go(present, at, sign)

    def renew(self, present: Deal, at: int, *, revalue: bool) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing. ``revalue``: amounts anew, too."""
        attributes, first = present.attributes, {"owner": present.first_owner, "team": present.first_team}
        present.described = self._segments.extend(_NOTHING, DESCRIBING, attributes)
        present.credited = self._segments.extend((), CREDITING, attributes)
        present.first_credited = self._segments.extend((), CREDITING, first)
        if revalue:
            present.value = self._worth(present, at)
        present.creation = present.level = present.close = present.length = present.loss = None
        if present.stage is not None and present.stage not in present.been:  # of a row that knew no stages of before
            present.been = (*present.been, present.stage)
        self._settle(present, at, 0)

    def step(self, present: Deal, entry: Entry, sign: int) -> None:
        """Take one fact that is not earlier than any before it."""
        at, _, kind, changes = entry
        deal = present
        described = credited = revalued = False
        attributes = deal.attributes
        for name, value in changes.items():
            if attributes.get(name) != value:
                attributes[name] = value
                if name in _DESCRIBING:
                    described = True
                elif name in _CREDITING:
                    credited = True
                elif name in _VALUING:
                    revalued = True
        if described:
            deal.described = self._segments.extend(_NOTHING, DESCRIBING, attributes)
        if credited:
            deal.credited = self._segments.extend((), CREDITING, attributes)
            if deal.first_owner is None or deal.first_team is None:
                deal.first_owner = deal.first_owner or attributes.get("owner")
                deal.first_team = deal.first_team or attributes.get("team")
                first = {"owner": deal.first_owner, "team": deal.first_team}
                deal.first_credited = self._segments.extend((), CREDITING, first)
        if revalued:
            deal.value = self._worth(deal, at)
        if kind == CREATED and deal.created is None:
            deal.created = at
            described = True
        was = deal.status
        if not was:
            deal.status = self._unsaid
        self._move(deal, kind, changes.get("stage"), at, sign)
        if was != OPEN or described or credited or revalued or deal.status != OPEN or "stage" in changes:
            self._settle(deal, at, sign)

    def _move(self, deal: Deal, kind: str, stage: str | None, at: int, sign: int) -> None:
        """Follow the process: enter and leave stages, close and reopen."""
        outcome = kind if kind == WON or kind == LOST else None
        if stage is not None and outcome is None:
            means = self._business.stage_kinds.get(stage)
            if means == WON or means == LOST:
                outcome = means
        if outcome is not None:
            if deal.status == OPEN:
                self._stages.leave(deal, at, sign, won=outcome == WON)
            if deal.status != outcome:
                # The first event that says so dates the close; a later one of the other outcome replaces it.
                deal.status, deal.closed = outcome, at
                deal.owner_at_close = deal.attributes.get("owner")
                deal.team_at_close = deal.attributes.get("team")
        elif deal.status != OPEN and self._opens(deal, kind, stage):
            deal.status = OPEN
            self._stages.enter(deal, stage or deal.stage, at, sign)
        elif deal.status == OPEN and stage is not None and stage != deal.stage:
            self._stages.leave(deal, at, sign, stage)
            self._stages.enter(deal, stage, at, sign)

    @staticmethod
    def _opens(deal: Deal, kind: str, stage: str | None) -> bool:
        """Whether a fact says that a deal is open which was not, or was not known to be."""
        if kind == REOPENED or (kind == STAGE and stage is not None):
            return True
        return deal.status == UNKNOWN and (kind == CREATED or stage is not None)

    def _settle(self, deal: Deal, at: int, sign: int) -> None:
        """Bring what is booked in line with the present."""
        level: tuple[tuple[str, ...], Cells] | None = None
        if deal.status == UNKNOWN:
            level = (deal.described + deal.credited, _UNKNOWN)
        elif deal.status == OPEN:
            names = deal.described + deal.credited
            if deal.stage is not None:
                names = (*names, self._segments.name("stage", deal.stage))
            level = (names, ((_OPEN_DEALS, 1), (_OPEN_AMOUNT, deal.value or 0)))
        if level != deal.level:
            if sign:
                self._move_level(at // MINUTE_MS, deal.level, level, sign)
            deal.level = level
        if deal.created is not None:
            creation = (deal.created // MINUTE_MS, deal.described + deal.first_credited, _CREATED, ())
            if creation != deal.creation:
                if sign:
                    self._panes.rebook(deal.creation, creation, sign)
                deal.creation = creation
        closed = deal.status == WON or deal.status == LOST
        if closed or deal.close is not None:
            self._close(deal, closed, sign)

    def _close(self, deal: Deal, closed: bool, sign: int) -> None:
        close = length = loss = None
        if closed:
            value = self._worth(deal, deal.closed)
            listed = self._convert(deal, closing.list_amount(deal), deal.closed) if deal.status == WON else None
            names = deal.described + self._credited_at_close(deal)
            close = (deal.closed // MINUTE_MS, names, *closing.closing(deal, value, listed))
            length = closing.length(deal, self._segments.extend((TOTAL, *deal.first_credited), _LENGTHS_BY, deal.attributes))
            reason = deal.attributes.get("reason")
            loss = closing.loss(deal, value, self._segments.name("reason", reason) if reason else None)
        rebook = self._panes.rebook
        if close != deal.close:
            if sign:
                rebook(deal.close, close, sign)
            deal.close = close
        if length != deal.length:
            if sign:
                rebook(deal.length, length, sign)
            deal.length = length
        if loss != deal.loss:
            if sign:
                rebook(deal.loss, loss, sign)
            deal.loss = loss

    def _move_level(
        self, minute: int, before: tuple[tuple[str, ...], Cells] | None, after: tuple[tuple[str, ...], Cells] | None, sign: int
    ) -> None:
        panes = self._panes
        if before is not None and after is not None and before[1][0] == after[1][0]:
            old, new = before[1], after[1]
            panes.move(minute, before[0], after[0], old, sign)
            if old != new:
                panes.add(minute, after[0], ((_OPEN_AMOUNT, new[1][1] - old[1][1]),), sign)
            return
        if before is not None:
            panes.add(minute, *before, -sign)
        if after is not None:
            panes.add(minute, *after, sign)

    def _credited_at_close(self, deal: Deal) -> tuple[str, ...]:
        """Return the segments of who had the credit at the close; where nobody had it yet, of who has it now."""
        now = deal.attributes.get("owner"), deal.attributes.get("team")
        then = deal.owner_at_close or now[0], deal.team_at_close or now[1]
        if then == now:
            return deal.credited
        return self._segments.extend((), CREDITING, {"owner": then[0], "team": then[1]})

    def _worth(self, deal: Deal, at: int) -> int | None:
        return self._convert(deal, deal.attributes.get("amount"), at)

    def _convert(self, deal: Deal, amount: int | None, at: int) -> int | None:
        if amount is None:
            return None
        try:
            # A default says nothing of the deal: it holds where no fact does, whichever came first.
            currency = deal.attributes.get("currency") or deal.attributes.get("default_currency")
            return self._rates.convert(amount, currency, at)
        except UnknownRate:
            # Events with such a currency are refused; this one was taken when settings still had its rate.
            return None
