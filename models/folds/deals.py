"""What is a deal now, and what has it contributed to which pane?

Booked, and taken back and booked anew whenever a fact changes it:

* the *creation*, under the owner and team first known, with the amount as last known at the rate of that day;
* the *level* (open deals and their amount; deals of unknown status), moved from segment to segment as its attributes change, so
  that the pipeline at any past moment is as it was then;
* each *stage* that was entered or left (``stages.py``);
* the *close*, once: under owner and team as they were then, and all other attributes as last known; the amount as last known at
  the exchange rate of the close. A deal that is reopened loses it. Each stage it has been in has the outcome, too;
* what it counts for on days to come (``dates.py``).

A deal's status is *unknown* until a creation, a stage, a reopening or a close says otherwise: an edit of a deal of which nothing
else is known (a bulk edit of old, closed ones) says nothing of the pipeline.
"""

from typing import Any

import msgspec

from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS
from models.entities.entity_log import Entry
from models.folds import closing, dates, trials
from models.folds.stages import Stages
from models.measures import DEALS, RULES
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
_CREATED: Cells = ((_SLOT["deals_created"], 1),)
_OPEN_DEALS, _OPEN_AMOUNT = _SLOT["open_deals"], _SLOT["open_amount"]
_UNKNOWN: Cells = ((_SLOT["deals_unknown"], 1),)
_OPEN_DATED, _OPEN_SINCE, _OPEN_PUSHED = _SLOT["open_dated"], _SLOT["open_since_millis"], _SLOT["open_pushed"]
_STALLED: Cells = ((_SLOT["open_stalled"], 1),)
_PUSHED: Cells = ((_SLOT["closes_pushed"], 1),)
_CREATED_AMOUNT = _SLOT["created_amount"]
_TRIAL = trials.Trial.of("deals_given", "deals_varied", "deals_won_after")

#: Attributes that describe a deal: the close is booked under what is known of them last.
DESCRIBING = ("source", "campaign", "product", "category", "market", "region", "segment", "pipeline", "variant")
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
    created_value: int | None = None  # the amount in the business currency, at the rate of the creation
    expected: int = 0  # the day it is expected to close (its ordinal), as last known; 0: none is
    promised: int = 0  # the first such day that was said before the deal was closed
    pushed: bool = False  # that day was moved to a later one while the deal was open
    placed: int = 0  # when it came to its stage, or was opened without one (ms)
    stalls: int = 0  # from when on (ms) it has stalled, booked ahead; 0: not, or the level has it already
    visited: tuple[str, ...] = ()  # the segments of the stages it has been in
    due: Booking | None = None
    promise: Booking | None = None
    outcome: Booking | None = None  # of the stages
    variant: str | None = None  # the first one it had
    varied: bool = False  # it had another one later
    trial: Booking | None = None
    ahead: Booking | None = None  # of a won one: by how much before it was first expected to close
    lapse: Booking | None = None  # what it counts for as cancelled, unless it is won again
    cancelled: Booking | None = None


class DealSteps:
    """Steps through the facts of deals and books into one partition's panes."""

    __slots__ = ("_business", "_calendar", "_panes", "_patience", "_rates", "_segments", "_stages", "_unsaid")

    def __init__(self, business: Business, panes: Panes, segments: Segments, rules: int | None = None) -> None:
        """``rules``: by which to book (None: those in force)."""
        self._business = business
        self._panes = panes
        self._segments = segments
        self._rates = business.rates
        self._stages = Stages(business, panes, segments)
        self._calendar = business.calendar
        self._patience = business.stalled_after // DAY_MS
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
        bookings = present.creation, present.close, present.length, present.loss, present.due, present.promise, present.outcome
        for booking in (*bookings, present.trial, present.ahead, present.cancelled):
            if booking is not None:
                self._panes.book(booking, -sign)
        if present.level is not None:
            self._panes.add(at // MINUTE_MS, *present.level, -sign)
            if present.stalls:
                self._panes.add(present.stalls // MINUTE_MS, present.level[0], _STALLED, -sign)
        if present.status == OPEN:
            self._stages.let_go(present, at, sign)

    def renew(self, present: Deal, at: int, *, revalue: bool) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing. ``revalue``: amounts anew, too."""
        attributes, first = present.attributes, {"owner": present.first_owner, "team": present.first_team}
        present.described = self._segments.extend(_NOTHING, DESCRIBING, attributes)
        present.credited = self._segments.extend((), CREDITING, attributes)
        present.first_credited = self._segments.extend((), CREDITING, first)
        if revalue:
            present.value = self._worth(present, "amount", at)
        if present.created is not None:
            present.created_value = self._worth(present, "amount", present.created)
        present.expected = dates.day_of(attributes.get("expected_close_date"))
        present.placed = present.placed or present.stage_since
        present.creation = present.level = present.close = present.due = present.promise = present.outcome = None
        present.length = present.loss = present.trial = present.ahead = present.cancelled = None
        present.variant = present.variant or attributes.get("variant") or None  # of a row that did not know the first one
        present.stalls = 0
        if present.stage is not None and present.stage not in present.been:  # of a row that knew no stages of before
            present.been = (*present.been, present.stage)
        self._settle(present, at, 0)

    def step(self, present: Deal, entry: Entry, sign: int) -> None:
        """Take one fact that is not earlier than any before it."""
        at, _, kind, changes = entry
        deal = present
        described = credited = revalued = dated = False
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
                elif name == "expected_close_date":
                    dated = True
        if described:
            deal.described = self._segments.extend(_NOTHING, DESCRIBING, attributes)
            deal.variant, deal.varied = trials.seen(deal.variant, attributes.get("variant"), deal.varied)
        if credited:
            deal.credited = self._segments.extend((), CREDITING, attributes)
            if deal.first_owner is None or deal.first_team is None:
                deal.first_owner = deal.first_owner or attributes.get("owner")
                deal.first_team = deal.first_team or attributes.get("team")
                first = {"owner": deal.first_owner, "team": deal.first_team}
                deal.first_credited = self._segments.extend((), CREDITING, first)
        if revalued:
            deal.value = self._worth(deal, "amount", at)
        if kind == CREATED and deal.created is None:
            deal.created = at
            described = True
        if deal.created is not None and (revalued or deal.created == at):
            deal.created_value = self._worth(deal, "amount", deal.created)
        was = deal.status
        if not was:
            deal.status = self._unsaid
        self._move(deal, kind, changes.get("stage"), at, sign)
        if dated:
            self._expect(deal, attributes["expected_close_date"], at, sign, stays_open=was == deal.status == OPEN)
        if was != OPEN or described or credited or revalued or dated or deal.status != OPEN or "stage" in changes:
            self._settle(deal, at, sign)

    def _expect(self, deal: Deal, said: Any, at: int, sign: int, *, stays_open: bool) -> None:
        """Take note of the day a deal is expected to close; a later one than before, while it is open, is a push."""
        day = dates.day_of(said)
        if stays_open and day > deal.expected > 0:
            deal.pushed = True
            if sign:
                self._panes.add(at // MINUTE_MS, self._segments.paired(deal.described + deal.credited), _PUSHED, sign)
        deal.expected = day
        if deal.status != WON and deal.status != LOST:  # what is said with the close, or after it, is no expectation
            deal.promised = deal.promised or day

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
                deal.lapse = closing.lapse(deal, at)
                # The first event that says so dates the close; a later one of the other outcome replaces it.
                deal.status, deal.closed = outcome, at
                deal.owner_at_close = deal.attributes.get("owner")
                deal.team_at_close = deal.attributes.get("team")
        elif deal.status != OPEN and self._opens(deal, kind, stage):
            deal.lapse = closing.lapse(deal, at)
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
        everywhere = self._segments.paired(deal.described + deal.credited)
        level: tuple[tuple[str, ...], Cells] | None = None
        stalls = 0
        if deal.status == UNKNOWN:
            level = (everywhere, _UNKNOWN)
        elif deal.status == OPEN:
            names = everywhere
            if deal.stage is not None:
                names = self._segments.paired((*deal.described, *deal.credited, self._segments.name("stage", deal.stage)))
            cells: Cells = ((_OPEN_DEALS, 1), (_OPEN_AMOUNT, deal.value or 0))
            if deal.created is not None:
                cells = (*cells, (_OPEN_DATED, 1), (_OPEN_SINCE, deal.created))
            if deal.pushed:
                cells = (*cells, (_OPEN_PUSHED, 1))
            stalls = dates.stalls(deal.placed, self._patience, self._calendar)
            level = (names, cells)
        self._settle_level(deal, level, stalls, at, sign)
        creation = close = outcome = due = promise = trial = ahead = None
        if deal.created is not None:
            cells = _CREATED if deal.created_value is None else (*_CREATED, (_CREATED_AMOUNT, deal.created_value))
            creation = (deal.created // MINUTE_MS, self._segments.paired(deal.described + deal.first_credited), cells, ())
        closed = deal.status == WON or deal.status == LOST
        if deal.variant is not None and creation is not None:
            won = deal.closed if deal.status == WON else None
            trial = _TRIAL.booking(deal.created, deal.variant, won, creation[1], self._segments, varied=deal.varied)
        length = loss = None
        if closed:
            close, length, loss = self._close(deal)
            if deal.status == WON and deal.promised:
                names = (TOTAL, *self._credited_at_close(deal))
                ahead = closing.ahead(close, deal.promised - self._calendar.day(deal.closed), names)
            if deal.visited:
                outcome = (deal.closed // MINUTE_MS, deal.visited, ((_SLOT[f"stage_{deal.status}"], 1),), ())
        if deal.promised and deal.status != UNKNOWN:
            promise = dates.promise(deal.promised, everywhere, deal.closed if closed else None, self._calendar)
        if deal.expected and deal.status == OPEN:
            due = dates.due(deal.expected, everywhere, deal.value, self._calendar)
            if due is not None and promise is not None and due[0] == promise[0]:  # as most are: one booking is less work than two
                due, promise = (*due[:2], due[2] + promise[2], ()), None
        cancelled = None if deal.status == WON else deal.lapse
        if sign:
            rebook = self._panes.rebook
            if creation != deal.creation:
                rebook(deal.creation, creation, sign)
            if close != deal.close:
                rebook(deal.close, close, sign)
            if length != deal.length:
                rebook(deal.length, length, sign)
            if loss != deal.loss:
                rebook(deal.loss, loss, sign)
            if outcome != deal.outcome:
                rebook(deal.outcome, outcome, sign)
            if promise != deal.promise:
                rebook(deal.promise, promise, sign)
            if due != deal.due:
                rebook(deal.due, due, sign)
            if trial != deal.trial:
                rebook(deal.trial, trial, sign)
            if ahead != deal.ahead:
                rebook(deal.ahead, ahead, sign)
            if cancelled != deal.cancelled:
                rebook(deal.cancelled, cancelled, sign)
        deal.creation, deal.close, deal.outcome, deal.promise, deal.due = creation, close, outcome, promise, due
        deal.length, deal.loss, deal.trial = length, loss, trial
        deal.ahead, deal.cancelled = ahead, cancelled

    def _settle_level(self, deal: Deal, level: tuple[tuple[str, ...], Cells] | None, stalls: int, at: int, sign: int) -> None:
        """Move the level; what was booked ahead as stalled is a part of it once that time has come."""
        before, ahead = deal.level, deal.stalls
        if before is not None and 0 < ahead <= at:
            before, ahead = (before[0], (*before[1], *_STALLED)), 0
        if level is not None and 0 < stalls <= at:
            level, stalls = (level[0], (*level[1], *_STALLED)), 0
        if sign:
            if before != level:
                minute = at // MINUTE_MS
                self._panes.rebook(before and (minute, *before, ()), level and (minute, *level, ()), sign)
            names, then = (before or level or (_NOTHING, ()))[0], (level or (_NOTHING, ()))[0]
            if ahead and ahead == stalls:
                self._panes.move(ahead // MINUTE_MS, names, then, _STALLED, sign)
            else:
                if ahead:
                    self._panes.add(ahead // MINUTE_MS, names, _STALLED, -sign)
                if stalls:
                    self._panes.add(stalls // MINUTE_MS, then, _STALLED, sign)
        deal.level, deal.stalls = level, stalls

    def _close(self, deal: Deal) -> tuple[Booking, Booking | None, Booking | None]:
        """Return what a closed deal counts for: at its close, by how long it took, by why it was lost."""
        value = self._worth(deal, "amount", deal.closed)
        listed = cost = None
        if deal.status == WON:
            listed = self._convert(deal, closing.list_amount(deal), deal.closed)
            cost = self._worth(deal, "cost", deal.closed)
        names = self._segments.paired(deal.described + self._credited_at_close(deal))
        close = (deal.closed // MINUTE_MS, names, *closing.closing(deal, value, listed, cost))
        length = closing.length(deal, self._segments.extend((TOTAL, *deal.first_credited), _LENGTHS_BY, deal.attributes))
        reason = deal.attributes.get("reason")
        return close, length, closing.loss(deal, value, self._segments.name("reason", reason) if reason else None)

    def _credited_at_close(self, deal: Deal) -> tuple[str, ...]:
        """Return the segments of who had the credit at the close; where nobody had it yet, of who has it now."""
        now = deal.attributes.get("owner"), deal.attributes.get("team")
        then = deal.owner_at_close or now[0], deal.team_at_close or now[1]
        if then == now:
            return deal.credited
        return self._segments.extend((), CREDITING, {"owner": then[0], "team": then[1]})

    def _worth(self, deal: Deal, what: str, at: int) -> int | None:
        return self._convert(deal, deal.attributes.get(what), at)

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
