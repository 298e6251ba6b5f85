"""Who are the customers, how do they score, and what is to be expected of them? As JSON, from those who hold the customers."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from models.customers.segments import Named, Terms
from models.events.scalars import shown
from stream.engine.options import FoldSpec
from stream.web.api import to_json

if TYPE_CHECKING:  # numpy and scipy take a second to import
    from models.customers.clientele import Clientele
    from models.customers.live import Rows
    from models.customers.moves import SegmentMove
    from models.customers.purchases import Purchases
    from models.customers.register import Register

STATES = "customer-states"
#: What an answer may be old (s), and for how long parameters hold (s): at least so much, and so many times what they took.
_FRESH, _FITTED, _TIMES = 1.0, 900.0, 20
#: The most that one answer lists.
_MOST, _PAGE = 500, 50
_MOVING = ("since", "as_of", "left", "joined", "limit")
_PARAMETERS = ("segment", "sort", "order", "limit", "offset", "format", "as_of")


Answer = TypeVar("Answer")


class CustomerPartition(Protocol):
    """One partition of the customers."""

    def everything(self) -> "Rows":
        """Return the rows of all customers, and from now on note which of them change."""

    def news(self) -> "Rows":
        """Return the rows of those that have changed since the last call of this, or of :meth:`everything`."""


class CustomerBoard:
    """The customers as a process that does not fold can tell from the topic (a replayed fold, all partitions)."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._parts: dict[int, CustomerPartition] = {}

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""

        def make(partition: int) -> Any:
            from models.customers.live import ShowCustomers

            return ShowCustomers(lambda part: self._parts.__setitem__(partition, part))

        return FoldSpec(name="show-customers", topics=(STATES,), make=make, lane="show", replayed=True)

    def parts(self) -> Sequence[CustomerPartition] | None:
        """Return all partitions; None while some are being read."""
        return list(self._parts.values()) if len(self._parts) == self._partitions else None


class CustomersElsewhere(LookupError):
    """This process does not hold all customers."""


class CustomerDesk:
    """Answers what is asked about all customers. ``parts`` gives all their partitions, None where some are elsewhere.

    Answers are made in a thread, one at a time, of what has changed since the last one. Parameters are fitted there, too, when
    they are asked for and the last ones have held for a while: no fold waits for that.
    """

    def __init__(
        self,
        parts: Callable[[], Sequence[CustomerPartition] | None],
        today: Callable[[], int],
        named: Named,
        terms: Terms,
        currency: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``today`` is a day of the business (an ordinal), ``clock`` seconds of whenever."""
        self._source, self._today, self._named, self._terms, self._clock = parts, today, named, terms, clock
        self.segments, self.currency = named.names, currency
        self._parts: list[CustomerPartition] = []
        self._register: Register | None = None
        self._lock = asyncio.Lock()
        self._last: Clientele | None = None
        self._fresh_until = self._fitted_until = 0.0

    async def now(self) -> "Clientele":
        """Return the customers as of today, at most a little old; raise :class:`CustomersElsewhere`."""
        # What has begun is ended, whoever goes away meanwhile: the register is in the middle of it.
        return await asyncio.shield(asyncio.ensure_future(self._now()))

    async def then(self, day: int) -> "Clientele":
        """Return the customers as they were at the end of a day; raise :class:`CustomersElsewhere`."""
        return await asyncio.shield(asyncio.ensure_future(self._then(day)))

    def purchases(self, name: str) -> "Purchases | None":
        """Return what a customer has bought, as of the last answer; None where it is not known."""
        return None if self._register is None else self._register.customer(name)

    def named(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a customer's row with what people call it, where that is known."""
        known = self.purchases(str(row["customer"]))
        return row | {"name": known.name} if known is not None and known.name else row

    async def one(self, name: str) -> dict[str, Any] | None:
        """Return all that is known of a customer, None where it is not known; raise :class:`CustomersElsewhere`."""
        whole = await self.now()
        customer = None if self._register is None else self._register.customer(name)
        if customer is None:
            return None
        place, known = whole.place(name), {"customer": name, "name": customer.name or None}
        if place is None:
            return {**known, "why": "has bought nothing that was not given back"}
        return {**known, **whole.row(place), "ranges": await asyncio.to_thread(whole.ranges, place)}

    async def _now(self) -> "Clientele":
        async with self._lock:
            began, day, last = self._clock(), self._today(), self._last
            if last is not None and last.day == day and began < self._fresh_until and self._same():
                return last
            fitted = last.fitted if last is not None and began < self._fitted_until else None
            found = self._last = await self._made(lambda register: register.now(day, fitted))
            end = self._clock()
            held = _TIMES * (end - began)
            if fitted is not None:
                self._fresh_until = end + max(_FRESH, held)
            else:
                self._fresh_until = end + _FRESH
                # Without parameters it takes little to find whether there are any now.
                self._fitted_until = end + max(_FITTED, held) if found.fitted.bgnbd is not None else 0.0
            return found

    async def moves(self, since: int | None, day: int | None) -> "tuple[int, int, list[SegmentMove]]":
        """Return two days, and who is in another segment at the later one's end; raise :class:`CustomersElsewhere`.

        By default they are yesterday, the last whole day, and the day before.
        """
        later = self._today() - 1 if day is None else day
        earlier = later - 1 if since is None else since
        return earlier, later, await asyncio.shield(asyncio.ensure_future(self._moves(earlier, later)))

    async def _moves(self, since: int, day: int) -> "list[SegmentMove]":
        async with self._lock:
            return await self._made(lambda register: register.moves(since, day))

    async def _then(self, day: int) -> "Clientele":
        async with self._lock:
            return await self._made(lambda register: register.then(day))

    async def _made(self, ask: "Callable[[Register], Answer]") -> "Answer":
        register, news = self._taken()

        def made() -> "Answer":
            register.put(news)
            return ask(register)

        try:
            return await asyncio.to_thread(made)
        except BaseException:
            self._register = None  # what it was given may be lost
            raise

    def _same(self) -> bool:
        parts = self._source()
        return parts is not None and list(map(id, parts)) == list(map(id, self._parts))

    def _taken(self) -> "tuple[Register, Rows]":
        """Return the register and what has changed since the last time; a new one where partitions have come or gone."""
        parts = self._source()
        if parts is None:
            raise CustomersElsewhere(
                "some customers are with another worker, or being read (accepted: ask again, or `vigie web`)"
            )
        if self._register is None or not self._same():
            from models.customers.register import Register

            self._register, self._parts, self._last = Register(self._named, self._terms), list(parts), None
            return self._register, [row for part in parts for row in part.everything()]
        return self._register, [row for part in parts for row in part.news()]


def router(desk: CustomerDesk) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api")

    async def whole(request: Request) -> "Clientele | Response":
        """Return the customers that are asked about, or the refusal."""
        text = request.query_params.get("as_of")
        try:
            return await (desk.now() if text is None else desk.then(date.fromisoformat(text).toordinal()))
        except ValueError:
            return to_json({"error": f"as_of: found {shown(text)} (accepted: a day such as 2026-03-31)"}, 400)
        except CustomersElsewhere as elsewhere:
            return to_json({"error": str(elsewhere)}, 503, {"retry-after": "2"})

    @routes.get("/customers", summary="Who are the customers, and what is to be expected of them?")
    async def customers(request: Request) -> Response:
        """Return customers, the largest totals first, with how many are in each segment, ``worth`` of each, and ``map``.

        ``worth`` has what a segment's customers have paid and are expected to be worth, ``map`` how many there are of each pair
        of scores R and F.

        ``segment`` chooses one; ``sort`` is a column, ``order`` asc or desc, ``limit`` and ``offset`` say which part. With
        ``format=jsonl`` all are given, one a line, in the order of their ids. ``as_of`` asks for them as they were at the end of
        a day, held against each other.
        """
        from models.customers.clientele import SORTED

        asked = request.query_params
        kind, sort, order = asked.get("format", "json"), asked.get("sort", "monetary"), asked.get("order")
        for name, value, accepted in (
            *(("parameter", name, _PARAMETERS) for name in asked),
            ("format", kind, ("json", "jsonl")), ("sort", sort, tuple(SORTED)), ("order", order or "asc", ("asc", "desc")),
            ("segment", asked.get("segment") or desk.segments[0], desk.segments),
        ):  # fmt: skip
            if value not in accepted:
                return to_json({"error": f"{name}: found {shown(value)} (accepted: {', '.join(accepted)})"}, 400)
        try:
            limit, offset = int(asked.get("limit", _PAGE)), int(asked.get("offset", 0))
        except ValueError:
            limit = offset = -1
        if not 0 <= limit <= _MOST or not 0 <= offset < 2**53:
            return to_json({"error": f"limit, offset: accepted are 0 to {_MOST}, and 0 or more"}, 400)
        found = await whole(request)
        if isinstance(found, Response):
            return found
        if kind == "jsonl":
            return StreamingResponse(_lines(found), headers={"cache-control": "no-store"}, media_type="application/x-ndjson")
        descending = (sort not in ("customer", "recency_days")) if order is None else order == "desc"
        places = await asyncio.to_thread(found.order, sort, descending=descending, segment=asked.get("segment") or None)
        return to_json(
            {
                "as_of": date.fromordinal(found.day).isoformat(),
                "currency": desk.currency,
                "total": len(places),
                "segments": found.counts(),
                "worth": found.worth(),
                "map": found.cells(),
                "customers": [desk.named(found.row(int(place))) for place in places[offset : offset + limit]],
            }
        )

    @routes.get("/customers/{customer:path}", summary="What is known and expected of a customer")
    async def customer(customer: str) -> Response:
        """Return scores, segment, P(alive), what is expected and worth, with ranges (P10, P90), or why there is none."""
        try:
            found = await desk.one(customer)
        except CustomersElsewhere as elsewhere:
            return to_json({"error": f"customer {shown(customer)}: {elsewhere}"}, 503, {"retry-after": "2"})
        if found is None:
            return to_json(
                {"error": f"no customer {shown(customer)} is known; accepted: the id of one that has been billed"}, 404
            )
        return to_json(found)

    @routes.get("/customer-models", summary="The parameters of the models of customers")
    async def customer_models(request: Request) -> Response:
        """Return the parameters of BG/NBD and Gamma–Gamma, now or as of the end of a day (``as_of``)."""
        from models.customers.clientele import parameters

        found = await whole(request)
        return found if isinstance(found, Response) else to_json(parameters(found.fitted, found.day, desk.currency))

    @routes.get("/customer-moves", summary="Which customers have moved to another segment?")
    async def customer_moves(request: Request) -> Response:
        """Return who was in another segment at the end of the day ``since`` than of the day ``as_of``, the largest totals first.

        By default it is yesterday against the day before. ``left`` and ``joined`` choose segments, ``limit`` how many are listed.
        """
        from models.customers.moves import moves_document

        asked = request.query_params
        for name, value, accepted in (
            *(("parameter", name, _MOVING) for name in asked),
            *((name, asked[name], desk.segments) for name in ("left", "joined") if name in asked),
        ):
            if value not in accepted:
                return to_json({"error": f"{name}: found {shown(value)} (accepted: {', '.join(accepted)})"}, 400)
        try:
            days = [date.fromisoformat(asked[name]).toordinal() if name in asked else None for name in ("since", "as_of")]
            limit = int(asked.get("limit", _PAGE))
        except ValueError:
            return to_json({"error": "since, as_of, limit: accepted are days such as 2026-03-31, and a number"}, 400)
        if not 0 <= limit <= _MOST:
            return to_json({"error": f"limit: accepted is 0 to {_MOST}"}, 400)
        try:
            since, day, found = await desk.moves(*days)
        except CustomersElsewhere as elsewhere:
            return to_json({"error": str(elsewhere)}, 503, {"retry-after": "2"})
        return to_json(moves_document(found, since, day, asked.get("left"), asked.get("joined"), limit))

    return routes


def _lines(found: "Clientele") -> Iterator[bytes]:
    lines = list[bytes]()
    for row in found.rows():
        lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        if len(lines) == _MOST:
            yield b"".join(lines)
            lines.clear()
    yield b"".join(lines)
