"""Which deals and leads are behind a figure: the largest won and lost, the longest waiting, of a day and a segment?

Two halves. :class:`PickHighlights` is a fold over the present of the deals and leads of one partition
(``models/folds/entity_snapshots.py``): per kind, business day and segment it keeps the first few by rank, takes back what has
changed, and hands over absolute rows.
:class:`Highlights` is what the reader of all partitions' rows keeps, and finds the first few over a stretch of time in.

Bounded: of each day and segment :data:`KEPT` are kept, of which :data:`SHOWN` are handed over, for :data:`KEPT_DAYS`. What
was beyond the first :data:`KEPT` is not known any more, so after more than ``KEPT - SHOWN`` of them have left, a list is shorter
than it could be, until one of the others changes. Who had the credit is who has it now.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from models.business import Business
from models.calendar import DAY_MS, iso
from models.fold import Changes, Output, Record, Row
from models.folds.entity_snapshots import DEAL_STATES, DealState, LeadState, decode_deal, decode_lead
from models.kpis.entry import Kpi
from models.money import UNIT
from models.panes.store import TOTAL

TOPIC = "highlights"
KEPT, SHOWN = 20, 5
KEPT_DAYS = 130
#: Lists of one partition; further segments have none.
MOST_LISTS = 100_000

LOST, WON, OPEN, STALLED = "lost", "won", "open", "stalled"
UNANSWERED, UNQUALIFIED, UNCONVERTED = "unanswered", "unqualified", "unconverted"
#: Kinds that are about now, not about a day.
TIMELESS = frozenset({OPEN, STALLED})

#: Which kind stands behind what a measure counts. What nobody counts one by one (visits, answers to surveys) has none.
_OF_MEASURE = {
    **dict.fromkeys(("deals_lost", "lost_amount", "lost_sized"), LOST),
    **dict.fromkeys(("deals_won", "won_amount", "won_sized", "won_sizes", "cycle_millis", "cycle_won"), WON),
    **dict.fromkeys(("open_deals", "open_amount"), OPEN),
    **dict.fromkeys(("stage_entered", "stage_left", "stage_millis"), STALLED),
    **dict.fromkeys(("leads_answered", "response_millis", "leads_unanswered", "unanswered_since_millis"), UNANSWERED),
    **dict.fromkeys(("leads_mql", "leads_sql"), UNQUALIFIED),
    "leads_converted": UNCONVERTED,
}
_FIRST = (UNANSWERED, UNQUALIFIED, UNCONVERTED, STALLED, LOST, OPEN, WON)
_WORDS = {
    WON: "won",
    LOST: "lost",
    OPEN: "open",
    STALLED: "in its stage",
    UNANSWERED: "not answered yet",
    UNQUALIFIED: "not qualified",
    UNCONVERTED: "not converted",
}
_DIMENSIONS = ("owner", "team", "source", "campaign", "product", "region", "segment", "variant")


def kind_behind(kpi: Kpi) -> str | None:
    """Return the kind of deals or leads that a KPI's alert names: where it could be several, those that went wrong.

    Of what only counts what was won and is good when it is more, the lost ones: they are what is missing.
    """
    kinds = {kind for name in kpi.formula.measures if (kind := _OF_MEASURE.get(name)) is not None}
    if kinds == {WON} and kpi.direction == "up" and kpi.unit in ("count", "money"):
        return LOST
    return next((kind for kind in _FIRST if kind in kinds), None)


class HighlightItem(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One deal or lead in a list; lists are in the order of the fields. ``order`` is the rank's negative."""

    order: int
    id: str
    at: int  # when it was won or lost, entered its stage, was created
    amount: int | None = None
    sender: str | None = None
    owner: str | None = None
    stage: str | None = None
    name: str = ""  # what people call it; "" where it is not known


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[HighlightItem]).decode


class PickHighlights:
    """One partition of deals' and leads' states. Rows: ``kind:day:segment`` to the list, ``!`` the latest time seen."""

    def __init__(self, partition: int, business: Business) -> None:
        self.partition = partition
        self.refused = 0  # records that could not be read, and entities without a list because there are too many
        self._calendar = business.calendar
        self._lists: dict[str, list[HighlightItem]] = {}
        self._places: dict[str, dict[str, HighlightItem]] = {}  # entity -> the lists (kind:day:segment) it is in, and as what
        self._dirty: set[str] = set()
        self._said: dict[str, int] = {}  # hash of what was handed over last; not state: after a restart it is said again
        self._watermark = 0
        self._floor = 0  # the first day that is kept

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the lists back."""
        for key, value in rows:
            if key == b"!":
                self._watermark = int(value)
                self._floor = self._first_kept()
                continue
            cell = key.decode()
            items = self._lists[cell] = _decode(value)
            for item in items:
                self._places.setdefault(_entity(cell, item.id), {})[cell] = item

    def fold(self, records: Sequence[Record]) -> None:
        """Put each entity into the lists where it belongs now, and take it out of those where it does not."""
        for record in records:
            deals = record.topic == DEAL_STATES
            key = ("d" if deals else "l") + (record.key or b"").decode(errors="replace")
            places: dict[str, HighlightItem] = {}
            if record.value is not None:
                try:
                    state = decode_deal(record.value) if deals else decode_lead(record.value)
                except msgspec.MsgspecError:
                    self.refused += 1  # our own topic: what is not a state is not from us
                    continue
                self._watermark = max(self._watermark, min(state.changed, record.timestamp))
                places = dict(self._belongs(state))
            before = self._places.pop(key, {})
            for cell, item in before.items():
                if places.get(cell) != item:
                    self._lists[cell].remove(item)
                    self._dirty.add(cell)
            kept = {cell: item for cell, item in places.items() if before.get(cell) == item or self._insert(cell, item)}
            if kept:
                self._places[key] = kept

    def _insert(self, cell: str, item: HighlightItem) -> bool:
        items = self._lists.get(cell)
        if items is None:
            if len(self._lists) >= MOST_LISTS:
                self.refused += 1
                return False
            items = self._lists[cell] = []
        if len(items) >= KEPT:
            if item > items[-1]:
                return False
            self._unplace(cell, items.pop())
        insort(items, item)
        self._dirty.add(cell)
        return True

    def _unplace(self, cell: str, item: HighlightItem) -> None:
        entity = _entity(cell, item.id)
        places = self._places[entity]
        del places[cell]
        if not places:
            del self._places[entity]

    def _belongs(self, state: DealState | LeadState) -> Iterator[tuple[str, HighlightItem]]:
        facts = _deal(state) if isinstance(state, DealState) else _lead(state)
        names: list[str] | None = None
        for kind, at, rank in facts:
            day = 0 if kind in TIMELESS else self._calendar.day(at)
            if day and day < self._floor:
                continue
            if names is None:
                names = [TOTAL]
                names += [f"{d}={value}" for d in _DIMENSIONS if (value := getattr(state, d))]
            stage = getattr(state, "stage", None)
            item = HighlightItem(
                -rank, state.id, at, getattr(state, "amount", None), state.sender, state.owner, stage, state.name or ""
            )
            for name in [*names, f"stage={stage}"] if kind in TIMELESS and stage else names:
                yield f"{kind}:{day}:{name}", item

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock: days pass by the entities' own times."""

    def changes(self) -> Changes:
        """Return the lists that have changed."""
        rows: list[Row] = []
        outputs: list[Output] = []
        floor = self._first_kept()
        if floor > self._floor:
            self._floor = floor
            self._expire(floor)
        for cell in sorted(self._dirty):
            items = self._lists.get(cell)
            kind, day, name = cell.split(":", 2)
            rows.append(Row(cell.encode(), _encode(items) if items else None))
            shown = _encode(items[:SHOWN]) if items else None
            if self._said.get(cell) != hash(shown):
                outputs.append(Output(TOPIC, f"{kind}:{self.partition}:{day}:{name}".encode(), shown))
                self._said[cell] = hash(shown)
            if not items:
                self._lists.pop(cell, None)
                self._said.pop(cell, None)
        if rows:
            rows.append(Row(b"!", b"%d" % self._watermark))
        self._dirty.clear()
        return Changes(rows, outputs)

    def _first_kept(self) -> int:
        return self._calendar.day(self._watermark - KEPT_DAYS * DAY_MS) if self._watermark > KEPT_DAYS * DAY_MS else 0

    def _expire(self, floor: int) -> None:
        for cell in [cell for cell in self._lists if 0 < int(cell.split(":", 2)[1]) < floor]:
            for item in self._lists.pop(cell):
                self._unplace(cell, item)
            self._dirty.add(cell)


def _entity(cell: str, id: str) -> str:
    return ("l" if cell.partition(":")[0] in (UNANSWERED, UNQUALIFIED, UNCONVERTED) else "d") + id


def _deal(state: DealState) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, when, rank) of what a deal is now: the highest rank is told first."""
    amount = state.amount or 0
    if state.status == "open":
        yield OPEN, state.created or state.changed, amount
        if state.stage_since is not None:
            yield STALLED, state.stage_since, -state.stage_since
    elif state.closed is not None:
        yield (WON if state.status == "won" else LOST), state.closed, amount


def _lead(state: LeadState) -> Iterator[tuple[str, int, int]]:
    if state.status != "open" or state.created is None:
        return
    if state.contacted is None:
        yield UNANSWERED, state.created, -state.created
    if not state.level:
        yield UNQUALIFIED, state.created, round((state.score or 0) * 1000)
    yield UNCONVERTED, state.created, round((state.score or 0) * 1000)


class Highlights:
    """The rows of all partitions, as they came."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[str, str], dict[tuple[int, str], bytes]] = defaultdict(dict)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take one record of the topic; raise ``ValueError`` where its key has not that form."""
        kind, partition, day, segment = key.decode().split(":", 3)
        rows = self._rows[kind, segment]
        if value is None:
            rows.pop((int(day), partition), None)
            if not rows:
                del self._rows[kind, segment]
        else:
            rows[int(day), partition] = value

    def best(self, kind: str, segment: str, start: int, end: int, days: Collection[int]) -> list[HighlightItem]:
        """Return the first few of a kind in [start, end), which touches these days; of kinds about now, those of now."""
        found: list[HighlightItem] = []
        for (day, _), value in self._rows.get((kind, segment), {}).items():
            if kind in TIMELESS:
                found += _decode(value)
            elif day in days:
                found += [item for item in _decode(value) if start <= item.at < end]
        return sorted(found)[:SHOWN]

    def document(self, kind: str, items: Iterable[HighlightItem], currency: str) -> list[dict[str, Any]]:
        """Return items as an explanation holds them, ready for JSON: amounts in units of the business currency."""
        return [_told(kind, item, currency) for item in items]


def _told(kind: str, item: HighlightItem, currency: str) -> dict[str, Any]:
    amount = None if item.amount is None else item.amount / UNIT
    when = iso(item.at)
    money = "" if amount is None else f"{amount:,.0f} {currency}, "
    stage = f" {item.stage}" if kind == STALLED and item.stage else ""
    since = "since" if kind in (OPEN, STALLED, UNANSWERED, UNQUALIFIED, UNCONVERTED) else "on"
    told: Mapping[str, Any] = {
        "id": item.id,
        "name": item.name or None,
        "entity": "deal" if kind in (WON, LOST, OPEN, STALLED) else "lead",
        "kind": kind,
        "what": f"{_WORDS[kind]}{stage}",
        "said": f"{money}{since} {when[:10]}",
        "amount": amount,
        "owner": item.owner,
        "at": when,
        "sender": item.sender,
    }
    return {name: value for name, value in told.items() if value is not None}
