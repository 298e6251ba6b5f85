"""Which way do people take to a sale, and what is bought together? As JSON."""

from collections.abc import Awaitable, Callable
from typing import Any

from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.customers.baskets import LEAST
from models.panes.windows import Window
from stream.readings.board import UnknownName
from stream.readings.past import instants
from stream.readings.people import PeopleDesk
from stream.web.api import refuse, to_json
from stream.web.context import context

_JOURNEYS, _BASKETS = ("journey", "window", "by", "at"), ("window", "at", "least", "limit")
_MOST, _PAGE = 1_000, 50


def router(desk: PeopleDesk) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api")

    @routes.get("/journeys", summary="How far people come, and how long they take")
    async def journeys(request: Request) -> Response:
        """Return each funnel (``journey`` chooses one) for who began it in a ``window`` (default 30d) up to ``at``.

        Of each step: how many people came to it, their share of the first step and of the one before, the drop-off, and the
        median time since the one before. ``may_still`` counts those who have time left. ``by=source`` tells it of each
        source, too.
        """

        async def made() -> Any:
            query = request.query_params
            names = [funnel.name for funnel in desk.business.funnels]
            _accept(request, _JOURNEYS)
            if (one := query.get("journey")) is not None and one not in names:
                raise UnknownName("journey", one, names)
            if (by := query.get("by")) not in (None, "source"):
                raise UnknownName("by", str(by), ["source"])
            window, at = _when(request)
            found = await desk.journeys(names if one is None else [one], window, at, by_source=by is not None)
            return {"window": window.name, "at": iso(at), "journeys": found}

        return await _answer(made)

    @routes.get("/baskets", summary="What is bought together")
    async def baskets(request: Request) -> Response:
        """Return pairs of products that accounts have bought in a ``window`` (default: year), those of the highest lift first.

        ``least`` (default 5) is in how many baskets both must be, ``limit`` (at most 1000) how many pairs are listed.
        """

        async def made() -> Any:
            _accept(request, _BASKETS)
            least, limit = _number(request, "least", LEAST), _number(request, "limit", _PAGE)
            window, at = _when(request, "year")
            found = await desk.baskets(window, at, max(1, least), limit)
            start = window.bounds(at, desk.business.calendar)[0]
            return {"window": window.name, "from": iso(start), "at": iso(at), **found}

        return await _answer(made)

    return routes


async def _answer(make: Callable[[], Awaitable[Any]]) -> Response:
    try:
        return to_json(await make())
    except UnknownName as error:
        return refuse(error)
    except (KafkaException, OSError):
        return to_json({"error": "the broker does not answer, which has what people have done"}, 503, {"retry-after": "2"})


def _accept(request: Request, accepted: tuple[str, ...]) -> None:
    for parameter in request.query_params:
        if parameter not in accepted:
            raise UnknownName("parameter", parameter, accepted)


def _when(request: Request, window: str = "30d") -> tuple[Window, int]:
    ctx, query = context(request), request.query_params
    name = query.get("window", window)
    ctx.live_board.check([], [name], [])
    now = ctx.live_board.now()
    times = instants({"at": query["at"]}, now, ctx.business.business()) if query.get("at") else None
    return Window.parse(name), times[0] if times else now


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 6 or int(text) > _MOST:
        raise UnknownName(name, text[:100], [f"a whole number from 0 to {_MOST}"])
    return int(text)
