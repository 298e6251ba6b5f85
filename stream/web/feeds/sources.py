"""Where do the rows of each table come from, and which of them may the asking one see?

Rows are given in batches, in the order of the table's key, so that a page is made without the rows behind it, and others run
in between.
"""

import asyncio
import bisect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from models.calendar import iso
from models.feeds.query import Query
from models.feeds.rows import alert_row, deal_row, instant, lead_row
from models.feeds.semantic import adds_up
from models.feeds.tables import Row
from models.folds.entity_snapshots import DealState, LeadState
from models.panes.store import TOTAL
from models.panes.windows import DEFAULT_WINDOWS
from stream.readings.board import Reading, Unavailable, UnknownName
from stream.readings.past import PARAMETERS, PastQuestion, instants, past, slices_of
from stream.web.api import NO_ALERTS
from stream.web.context import Context
from stream.web.customers import CustomerDesk, CustomersElsewhere
from stream.web.feeds.forecasts import forecast_rows
from stream.web.forecast import Forecasts
from stream.web.people import REFUSED, of_people, without_people
from stream.web.predictions import Elsewhere, Entity
from stream.web.reach import SegmentReach

if TYPE_CHECKING:
    from models.customers.clientele import Clientele

#: Rows that are made before others may run.
_BATCH = 50
#: Readings of earlier instants that are made at once: of several instants they cost less together.
_AT_ONCE = 10_000


class Everything(Protocol):
    """Who holds all deals and leads, ended ones too. All raise :class:`~stream.web.predictions.Elsewhere` where they do not."""

    def ids(self, entity: Entity) -> list[str]:
        """Return the ids of all, in any order."""

    def state(self, entity: Entity, key: str) -> DealState | LeadState | None:
        """Return the present of one, None where it has gone meanwhile."""

    def win(self, deal: str) -> float | None:
        """Return how probable it is that an open deal is won, None where nothing is expected of it."""


class FeedQuestion(NamedTuple):
    """What is asked of a table: the query, the parameters beside it, and who asks."""

    query: Query
    parameters: Mapping[str, str]
    reach: SegmentReach | None
    now: int  # the instant of the first page (epoch ms)
    people: bool = True  # whether figures of single people may be told (docs/people.md)

    def names(self, parameter: str, column: str) -> list[str]:
        """Return the names that a parameter, or else the filter, chooses of a column; none for all."""
        given = [name.strip() for name in self.parameters.get(parameter, "").split(",")]
        if any(given):
            return list(dict.fromkeys(name for name in given if name))
        return sorted(value for value in self.query.chosen.values(column) or () if isinstance(value, str))


class Forbidden(PermissionError):
    """Who sees the figures of some owners and teams only may not ask for this; the message says why."""


class FeedDesk:
    """The tables of one application. ``everything`` holds deals and leads, ``desk`` customers; ``forecasts`` makes those."""

    def __init__(self, ctx: Context, everything: Everything, desk: CustomerDesk, forecasts: Forecasts | None = None) -> None:
        self._ctx = ctx
        self._everything = everything
        self._desk = desk
        self._foreseen = forecasts
        self._calendar = ctx.business.business().calendar
        self._makers: dict[str, Callable[[FeedQuestion], AsyncIterator[Sequence[Row]]]] = {
            "readings": self._readings,
            "deals": lambda ask: self._entities(ask, "deal", self._deal),
            "leads": lambda ask: self._entities(ask, "lead", self._lead),
            "customers": self._customers,
            "alerts": self._alerts,
            "catalogue": self._catalogue,
            "forecasts": self._forecasts,
        }
        self._sorted: dict[Entity, tuple[int, list[str]]] = {}

    def now(self) -> int:
        """Return the instant that rows are of."""
        return self._ctx.live_board.now()

    def batches(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows of a table in the order of its key, all that may fulfil the filter among them.

        Raise :class:`UnknownName`, :class:`Unavailable`, :class:`Elsewhere`, :class:`Forbidden`.
        """
        return self._makers[ask.query.table.name](ask)

    # -- readings --------------------------------------------------------------------------------------------------------

    async def _readings(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        board, query = self._ctx.live_board, ask.query
        kpis, windows, by = ask.names("kpi", "kpi"), ask.names("window", "window"), ask.names("by", "dimension")
        board.check([], windows, by)
        if ask.parameters.get("kpi"):
            board.check(kpis, windows, by)
        kpis = [name for name in kpis if name in board.source.kpis]
        if query.chosen.values("kpi") is not None and not kpis:
            return
        times = self._times(ask)
        if ask.reach is not None and times is not None:
            raise Forbidden("readings of earlier instants are about everybody (accepted: those of now)")
        if not ask.people:
            if any(of_people(name) for name in by):
                raise Forbidden(f"by: {REFUSED}")
            by = by or [TOTAL, *(name for name in board.source.dimensions if not of_people(name))]
        dimensions = [None if name == TOTAL else name for name in by or [TOTAL, *board.source.dimensions]]
        after = query.after if query.by_key else None
        wanted = sorted(windows or (DEFAULT_WINDOWS if times is None else ("day",)))
        if times is None:
            for window in wanted:
                if after is not None and (ask.now, window) < after[:2]:
                    continue
                found = await self._current(ask, window, dimensions)
                rows = [self._reading(reading, ask.now, None) for reading in found if not kpis or reading["kpi"] in kpis]
                yield sorted(rows, key=_reading_key)
            return
        times = [at for at in times if after is None or at >= after[0]]
        some = max(1, _AT_ONCE // max(1, slices_of(PastQuestion(kpis, wanted, dimensions, times), board.source)))
        for begin in range(0, len(times), some):
            question = PastQuestion(kpis, wanted, dimensions, times[begin : begin + some])
            earlier = await past(question, board.source, self._calendar)
            for row, at in enumerate(question.times):
                rows = [self._reading(reading, at, ask.now) for reading in earlier.readings(row)]
                yield sorted(rows, key=_reading_key)
                await asyncio.sleep(0)

    def _times(self, ask: FeedQuestion) -> list[int] | None:
        """Return the instants that are asked for: by parameters, or by what the filter says of ``at``; None for now."""
        business, asked = self._ctx.business.business(), {name: ask.parameters.get(name, "") for name in PARAMETERS}
        low, high = ask.query.chosen.span("at")
        if not any(asked[name] for name in ("at", "from", "to")) and (low, high) != (None, None):
            if low is not None and low > ask.now:
                return []
            asked["from"] = iso(max(0, (low or 0) - 1))
            asked["to"] = "" if high is None else iso(max(0, high))
        if any(asked.values()):
            if not asked["at"]:
                asked["every"] = {"day": "1d", "hour": "1h", "": "1d"}.get(asked["every"], asked["every"])
            return instants({name: value for name, value in asked.items() if value}, ask.now, business)
        return None

    async def _current(self, ask: FeedQuestion, window: str, dimensions: Sequence[str | None]) -> Sequence[Reading]:
        reach = ask.reach
        chosen = {} if reach is None else {name: of for name, of in reach.dimensions.items() if name in dimensions}
        found, _ = await self._ctx.answer(
            lambda board: board.slices([window], dimensions) if reach is None else board.only([window], chosen)
        )
        return found

    def _reading(self, reading: Reading, at: int, as_of: int | None) -> Row:
        """Return a reading as a row; without ``as_of`` it was made when it says."""
        dimension, segment = next(iter(reading["segment"].items()), (TOTAL, ""))
        kpi = self._ctx.live_board.source.kpis[reading["kpi"]]
        person = self._ctx.people.get(segment) if dimension == "owner" else None
        value, get = reading["value"], reading.get
        return (
            at, reading["window"], reading["kpi"], dimension, segment, segment if person is None else person.name,
            instant(reading["from"]), value, value if kpi.formula.denominator is None else get("numerator"),
            get("denominator"), get("low"), get("high"), get("sample"), reading["unit"], get("currency"),
            kpi.basis[0], get("why"), instant(get("since")), instant(reading["at"]) if as_of is None else as_of,
        )  # fmt: skip

    # -- deals and leads -------------------------------------------------------------------------------------------------

    async def _entities(self, ask: FeedQuestion, entity: Entity, row: Callable[[Any, int], Row]) -> AsyncIterator[Sequence[Row]]:
        keys, wanted = await self._keys(entity, ask.now), ask.query.chosen.values("id")
        if wanted is not None:
            keys = sorted(key for key in wanted if isinstance(key, str))
        if ask.query.by_key and ask.query.after is not None:
            keys = keys[bisect.bisect_right(keys, ask.query.after[0]) :]
        for begin in range(0, len(keys), _BATCH):
            states = (self._everything.state(entity, key) for key in keys[begin : begin + _BATCH])
            known = (state for state in states if state is not None and _seen(ask.reach, state))
            yield [row(state if ask.people else msgspec.structs.replace(state, owner=None), ask.now) for state in known]
            await asyncio.sleep(0)

    async def _keys(self, entity: Entity, now: int) -> list[str]:
        """Return all ids in order; as they were when a page before was asked for, as of the same instant."""
        known = self._sorted.get(entity)
        if known is not None and known[0] == now:
            return known[1]
        keys = await asyncio.to_thread(sorted, self._everything.ids(entity))
        self._sorted[entity] = now, keys
        return keys

    def _deal(self, deal: DealState, now: int) -> Row:
        win = self._everything.win(deal.id) if deal.status == "open" else None
        return deal_row(deal, self._ctx.business.currency, self._ctx.people, win, now)

    def _lead(self, lead: LeadState, now: int) -> Row:
        return lead_row(lead, self._ctx.people, now)

    # -- the others ------------------------------------------------------------------------------------------------------

    async def _customers(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        if ask.reach is not None:
            raise Forbidden("customers are nobody's: your token shows the figures of its owners and teams")
        for day in self._days(ask):
            if ask.query.by_key and ask.query.after is not None and day.isoformat() < ask.query.after[0]:
                continue
            now = day.toordinal() == self._calendar.day(self.now())
            found = await (self._desk.now() if now else self._desk.then(day.toordinal()))
            places = await asyncio.to_thread(found.order, "customer", descending=False)
            if ask.query.by_key and ask.query.after is not None and day.isoformat() == ask.query.after[0]:
                last = ask.query.after[1]
                places = places[bisect.bisect_right(places, last, key=lambda place: found.ids[place]) :]
            for begin in range(0, len(places), _BATCH):
                yield self._customer_rows(found, places[begin : begin + _BATCH], day)
                await asyncio.sleep(0)

    def _customer_rows(self, found: "Clientele", places: Iterable[Any], day: date) -> list[Row]:
        shown = day.isoformat()
        return [(shown, *found.row(int(place)).values(), self._desk.currency) for place in places]

    def _days(self, ask: FeedQuestion) -> list[date]:
        """Return the days that are asked for: ``as_of``, each of ``from``, ``to`` and ``every``, or the filter's."""
        today = date.fromordinal(self._calendar.day(ask.now))
        wanted = ask.query.chosen.values("as_of_day")
        if ask.parameters.get("as_of"):
            wanted = frozenset((ask.parameters["as_of"],))
        if wanted is not None:
            try:
                return [day for day in sorted(date.fromisoformat(text) for text in wanted if text is not None) if day <= today]
            except ValueError:
                raise UnknownName("as_of", ask.parameters.get("as_of", ""), ["a day such as 2026-03-31"]) from None
        if any(ask.parameters.get(name) for name in PARAMETERS):
            return [date.fromordinal(self._calendar.day(at - 1)) for at in self._times(ask) or ()]
        return [today]

    async def _alerts(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        known = self._ctx.alerts()
        if known is None:
            raise Unavailable(NO_ALERTS)
        if ask.reach is not None:
            known = [seen for alert in known if (seen := ask.reach.alert(alert)) is not None]
        if not ask.people:
            known = without_people(known)
        yield sorted((alert_row(alert, ask.now) for alert in known), key=lambda row: str(row[0]))

    async def _catalogue(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        yield [
            (
                kpi.id, kpi.label["en"], kpi.label["fr"], kpi.stage, kpi.unit, kpi.direction, *kpi.basis,
                "yes" if adds_up(kpi) else "no", kpi.minimum, ",".join(kpi.by), kpi.formula.text, kpi.definitions["en"],
                kpi.definitions["fr"],
            )
            for kpi in sorted(self._ctx.live_board.source.kpis.values(), key=lambda kpi: kpi.id)
        ]  # fmt: skip

    async def _forecasts(self, ask: FeedQuestion) -> AsyncIterator[Sequence[Row]]:
        if ask.reach is not None:
            raise Forbidden("forecasts are about everybody: your token shows the figures of its owners and teams")
        yield await forecast_rows(self._ctx, self._foreseen, ask.now, people=ask.people)


def _seen(reach: SegmentReach | None, state: DealState | LeadState) -> bool:
    return reach is None or reach.has({"owner": state.owner, "team": state.team})


def _reading_key(row: Row) -> tuple[Any, ...]:
    return row[:5]


ELSEWHERE = (Unavailable, Elsewhere, CustomersElsewhere)
