"""What do customers' and spend events add, each counted once?

An account also has its first invoice, which makes it a customer; an earlier one that comes late moves that day. What its
invoices, renewals and its leaving say together is in ``accounts.py``, and what metrics of one's own say in ``metrics.py``. A
step of a representative's onboarding counts once, when it was done first.
"""

from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET

from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS
from models.entities.recent_ids import RecentIds
from models.events import customers, spend
from models.folds.accounts import INVOICED, LEFT, RECOMMENDED, RENEWED, Accounts, Move, with_move
from models.folds.dates import day_of
from models.folds.metrics import Recorder, Value
from models.folds.presence import Past, Presence
from models.measures import CUSTOMERS, SPEND
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import TOTAL, Cells, Panes

_C = {m.name: slot for slot, m in enumerate(CUSTOMERS)}
_S = {m.name: slot for slot, m in enumerate(SPEND)}
_STEPS = 200  # steps that are remembered of a representative


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    seen: dict[int, int]
    first: int | None = None
    moves: list[Move] = []
    steps: dict[str, int] = {}
    levels: dict[str, list[Value]] = {}
    first_id: str = ""
    first_amount: int | None = None
    past: Past = {}


class Tally:
    """What is remembered of an account, a channel or a representative.

    Ids seen; of an account its moves, the panes in which there were invoices, and the first of these: ``first`` is its time (ms),
    ``first_id`` its event's id, ``first_amount`` what it counts for; of a representative when each step was done first; of
    whatever is measured the last values of each metric.
    """

    __slots__ = ("first", "first_amount", "first_id", "levels", "moves", "past", "seen", "steps")

    def __init__(
        self,
        seen: RecentIds,
        first: int | None = None,
        moves: list[Move] | None = None,
        steps: dict[str, int] | None = None,
        levels: dict[str, list[Value]] | None = None,
        first_id: str = "",
        first_amount: int | None = None,
        past: Past | None = None,
    ) -> None:
        self.seen = seen
        self.first = first
        self.moves: list[Move] = moves or []
        self.steps: dict[str, int] = steps or {}
        self.levels: dict[str, list[Value]] = levels or {}
        self.first_id = first_id
        self.first_amount = first_amount
        self.past: Past = {} if past is None else past


_decode_row = msgspec.json.Decoder(_Row).decode


def decode(row: bytes) -> Tally:
    """Return a tally from its row."""
    kept = _decode_row(row)
    told = kept.moves, kept.steps, kept.levels, kept.first_id, kept.first_amount, kept.past
    return Tally(RecentIds(kept.seen), kept.first, *told)


def encode(tally: Tally) -> bytes:
    """Return the row of a tally."""
    told = tally.moves, tally.steps, tally.levels, tally.first_id, tally.first_amount, tally.past
    return msgspec.json.encode(_Row(tally.seen.hours, tally.first, *told))


class Tallies:
    """Folds customers' and spend events and books into one partition's panes."""

    __slots__ = ("_accounts", "_business", "_buyers", "_grace", "_panes", "_recorder", "_segments")

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._accounts = Accounts(business.calendar, panes, segments)
        self._recorder = Recorder(panes, segments)
        self._grace = business.renewal_grace // DAY_MS
        self._business = business
        self._panes = panes
        self._segments = segments
        self._buyers = Presence(business, panes, _C["buyers"])

    def new(self) -> Tally:
        """Return a tally of nothing."""
        return Tally(RecentIds({}))

    def add(self, tally: Tally, event: Any, at: int, arrival: int) -> bool:
        """Take one event in; return whether it was new."""
        if not tally.seen.add(event.id, arrival, self._business.dedup_horizon):
            return False
        minute, names, cells = self._adds(event, at)
        if cells:
            self._panes.add(minute, names, cells)
        before = tally.moves, tally.first
        move = self._move(event, at)
        if move is not None:
            tally.moves = with_move(tally.moves, move)
        if isinstance(event, customers.CustomerInvoiced):
            self._buyers.attend(tally.past, at)
            if tally.first is None or (at, event.id) < (tally.first, tally.first_id):
                self._first(tally, event, at)
        if move is not None:
            self._accounts.rebook(before, (tally.moves, tally.first))
        elif isinstance(event, spend.RepOnboarded):
            self._onboard(tally, event, minute, names, at)
        elif isinstance(event, spend.MetricRecorded):
            data = event.data
            dimensions = _given(data.dimensions) or {}
            self._recorder.add(tally.levels, at, data.name, _given(data.unit), data.value, dimensions)
        return True

    def _first(self, tally: Tally, event: customers.CustomerInvoiced, at: int) -> None:
        """Have this be the account's first invoice."""
        if tally.first is not None:
            self._panes.add(tally.first // MINUTE_MS, (TOTAL,), _new(tally.first_amount), -1)
        tally.first, tally.first_id, tally.first_amount = at, event.id, self._worth(event.data, at)
        self._panes.add(at // MINUTE_MS, (TOTAL,), _new(tally.first_amount))

    def _move(self, event: Any, at: int) -> Move | None:
        """Return what an event says of an account, None where it says nothing that lasts."""
        match event:
            case customers.CustomerInvoiced() | customers.CustomerRenewed():
                data, kind = event.data, INVOICED if isinstance(event, customers.CustomerInvoiced) else RENEWED
                ends = day_of(_given(data.term_end))
                if ends < self._business.calendar.day(at):
                    ends = 0
                due = ends + 1 + self._grace if ends else 0
                return Move(at, kind, self._worth(data, at), ends, due, _given(data.product) or "")
            case customers.CustomerChurned():
                return Move(at, LEFT)
            case customers.CustomerRecommended():
                return Move(at, RECOMMENDED)
        return None

    def _onboard(self, tally: Tally, event: spend.RepOnboarded, minute: int, names: tuple[str, ...], at: int) -> None:
        """Count a step once, at the first time it was done."""
        done: Cells = ((_S["onboarding_done"], 1),)
        step, before = event.data.step, tally.steps.get(event.data.step)
        if (before is not None and before <= at) or (before is None and len(tally.steps) >= _STEPS):
            return
        if before is not None:
            self._panes.add(before // MINUTE_MS, names, done, -1)
        self._panes.add(minute, names, done)
        tally.steps[step] = at

    def _adds(self, event: Any, at: int) -> tuple[int, tuple[str, ...], Cells]:
        minute, total = at // MINUTE_MS, ("total",)
        data = event.data
        match event:
            case customers.CustomerInvoiced() | customers.CustomerRenewed():
                invoiced = isinstance(event, customers.CustomerInvoiced)
                count, amount = ("invoices", "invoiced_amount") if invoiced else ("renewals", "renewed_amount")
                names = self._segments.of([("product", _given(data.product))])
                return minute, names, ((_C[count], 1), (_C[amount], self._worth(data, at)))
            case customers.CustomerChurned():
                return minute, total, ((_C["churns"], 1),)
            case customers.CustomerRecommended():
                return minute, total, ((_C["recommendations"], 1),)
            case customers.CustomerSurveyed() if data.kind == "nps":
                mood: Cells = ()
                if data.score >= 9:
                    mood = ((_C["nps_promoters"], 1),)
                elif data.score <= 6:
                    mood = ((_C["nps_detractors"], 1),)
                return minute, total, ((_C["nps_answers"], 1), *mood)
            case customers.CustomerSurveyed():
                satisfied: Cells = ((_C["csat_satisfied"], 1),) if data.score >= 4 else ()
                return minute, total, ((_C["csat_answers"], 1), *satisfied)
            case customers.CustomerComplained() | customers.CustomerSupported():
                cells: Cells = ((_C["complaints" if isinstance(event, customers.CustomerComplained) else "supports"], 1),)
                seconds = _given(data.response_seconds)
                if seconds is not None:
                    cells = (*cells, (_C["supports_answered"], 1), (_C["support_response_millis"], round(seconds * 1000)))
                return minute, total, cells
            case spend.SpendRecorded():
                names = self._segments.of([("source", _given(data.channel)), ("campaign", _given(data.campaign))])
                day = _given(data.day)
                if day is not None:
                    at = self._business.calendar.day_start(date.fromisoformat(day).toordinal())
                return at // MINUTE_MS, names, ((_S["spend"], self._worth(data, at)),)
            case spend.RepHired():
                names, steps = self._segments.of([("owner", data.owner)]), _given(data.steps) or 0
                return minute, names, ((_S["reps_hired"], 1), (_S["onboarding_steps"], steps))
            case spend.RepOnboarded():
                return minute, self._segments.of([("owner", data.owner)]), ()
            case spend.MetricRecorded():
                return minute, total, ()
            case spend.RepTrained():
                names = self._segments.of([("owner", data.owner)])
                return minute, names, ((_S["reps_trained"], 1), (_S["training_millis"], round(data.hours * 3_600_000)))
        raise TypeError(f"{type(event).__name__}: not an event of customers or spend")

    def _worth(self, data: Any, at: int) -> int:
        try:
            return self._business.rates.convert(data.amount, data.currency, at)
        except UnknownRate:  # refused when decoded, unless the rate has gone since
            return 0


def _new(amount: int | None) -> Cells:
    """Return what a first invoice counts for; of rows of before its amount is not known, and was not counted."""
    return ((_C["customers_new"], 1),) if amount is None else ((_C["customers_new"], 1), (_C["first_amount"], amount))


def _given(value: Any) -> Any:
    return None if value is UNSET else value
