"""How was a figure day by day, and what was to be expected of each day? As JSON."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.kpis.catalogue import Catalogue
from models.kpis.seasonal import SEASONS, months, past
from models.panes.store import TOTAL
from models.panes.view import View
from stream.readings.board import UnknownName
from stream.web.api import reach_of, to_json
from stream.web.context import context
from stream.web.explain import answered, asked_of, denied

_PARAMETERS = ("window", "segment", "at", "with")
_BESIDE = 5  # other figures in one request


def router(catalogue: Catalogue, whole: Callable[[], View]) -> APIRouter:
    """Return the routes; ``whole`` gives the view, or raises :class:`Unavailable`."""
    routes = APIRouter(prefix="/api/kpis")

    @routes.get("/{kpi}/usual", summary="A figure's complete periods, and what was to be expected of each")
    async def usual(kpi: str, request: Request) -> Response:
        """Return the complete hours, days or weeks (``window``: 1h, day, week; default day) up to ``at``, the oldest first.

        Each with its ``value`` and the band in which four in five lie, as those before it say: level, weekday, holidays, month.
        ``segment`` (``source=web``; default: the total). ``with`` names other figures, at most five, such as one over a metric of
        your own: where their surprises explain some of this one's they make the band narrower, and ``adds`` says by what share
        the errors became smaller, said ahead each time (negative: larger; it is not used then).
        """
        return await answered(lambda: _told(catalogue, whole, kpi, request))

    return routes


async def _told(catalogue: Catalogue, whole: Callable[[], View], name: str, request: Request) -> Response:
    from models.seasons.usual import course

    ctx, query = context(request), request.query_params
    asked = asked_of(catalogue, ctx, name, request, _PARAMETERS, "day")
    if (refusal := denied(asked, request)) is not None:
        return refusal
    kpi, window, segment, at = asked
    if window.name not in SEASONS:
        raise UnknownName("window", window.name, tuple(SEASONS))
    others = [one for text in query.getlist("with") for one in text.split(",") if one]
    if len(others) > _BESIDE:
        raise UnknownName("with", f"{len(others)} of them", [f"at most {_BESIDE}"])
    ctx.live_board.check(others, [], [])
    if others and reach_of(request) is not None:
        return to_json({"error": "with: other figures are told of everything, which is about others"}, 403)
    view = whole()
    calendar = view.calendar

    def read(which: str, where: str, end: int, one: Any = window) -> Any:
        return catalogue.reading(catalogue.get(which), view, one, where, end).whole()

    found = past(window, at, calendar, lambda end: read(kpi.id, segment, end))
    factors = months(window, at, calendar, lambda one, end: read(kpi.id, segment, end, one))
    said = course(
        [one.value for one in found.readings],
        found.days,
        weekly=SEASONS[window.name].weekly,
        counted=kpi.unit == "count",
        holidays=[one is not None for one in found.holidays],
        months=factors[-len(found.days) :],
        beside={other: [read(other, TOTAL, one.at).value for one in found.readings] for other in others},
        tell=len(found.readings),
    )
    points = [
        {
            "from": iso(one.start), "at": iso(one.at), "value": one.value,
            "low": None if band is None else round(band.low, 6), "high": None if band is None else round(band.high, 6),
            "expected": None if band is None else round(band.expected, 6), "holiday": holiday,
        }
        for one, band, holiday in zip(found.readings, said.bands, found.holidays, strict=True)
    ]  # fmt: skip
    told = {"kpi": kpi.id, "window": window.name, "segment": segment, "unit": kpi.unit, "why": said.why, "points": points}
    currency = view.business.currency if kpi.unit == "money" else None
    return to_json(told | {"currency": currency, "adds": {other: round(share, 4) for other, share in said.adds.items()}})
