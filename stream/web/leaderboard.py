"""Who leads by a KPI? As JSON: the upper half for everybody, the own place for who may see no more, all for who asks for it."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from models.kpis.catalogue import Catalogue
from models.leaderboards.places import LeaderPlace, board
from models.owners import Owners
from models.panes.view import View
from models.panes.windows import Window
from stream.config.leaderboard_settings import LeaderboardSettings
from stream.readings.board import Unavailable, UnknownName
from stream.web.api import reach_of, refuse, to_json
from stream.web.context import context
from stream.web.people import REFUSED, sees_people

_PARAMETERS = ("kpi", "window", "by", "all")
_BY = ("owner", "team")


def router(settings: LeaderboardSettings, catalogue: Catalogue, whole: Callable[[], View]) -> APIRouter:
    """Return the routes; ``whole`` gives the view, or raises :class:`Unavailable` where this process does not hold it."""
    routes = APIRouter(prefix="/api")

    @routes.get("/leaderboard", summary="Who leads by a KPI")
    async def leaderboard(request: Request) -> Response:
        """Return the places by ``kpi`` (default: revenue) in a ``window`` (default: month), of each ``by``: owner or team.

        The upper half at most, and no more than the setting ``leaderboards.show``; with ``all=true`` everybody. Whose token is
        limited to some owners and teams sees these only, with their places. ``of`` is how many have a place, ``without`` how many
        have no value or too few cases. ``moved`` is by how many places somebody rose since the period before.
        """
        ctx, reach, query = context(request), reach_of(request), request.query_params
        kpi, window, by = query.get("kpi", "revenue"), query.get("window", "month"), query.get("by", "owner")
        try:
            for parameter in query:
                if parameter not in _PARAMETERS:
                    raise UnknownName("parameter", parameter, _PARAMETERS)
            ctx.live_board.check([kpi], [window], [])
            entry = catalogue.get(kpi)
            accepted = [name for name in _BY if name in entry.by]
            if by not in accepted or entry.direction == "none":
                ranked = [other.id for other in catalogue.kpis.values() if other.direction != "none" and "owner" in other.by]
                raise UnknownName("by", by, accepted) if accepted and by not in accepted else UnknownName("kpi", kpi, ranked)
            if query.get("all", "false") not in ("true", "false"):
                raise UnknownName("all", query["all"], ("true", "false"))
        except UnknownName as error:
            return refuse(error)
        if by == "owner" and not sees_people(request):
            return to_json({"error": f"by: {REFUSED}"}, 403)
        try:
            view = whole()
        except Unavailable as why:
            return to_json({"error": str(why)}, 503, {"retry-after": "2"})
        at = ctx.live_board.now()
        start, _ = Window.parse(window).bounds(at, view.calendar)
        now, before = (catalogue.readings(view, moment, [kpi], [window], by) for moment in (at, start))
        found = board(now, before, entry.direction, settings.least, settings.left_out)
        shown = found.places if query.get("all") == "true" or reach is not None else found.public(settings.show)
        if reach is not None:
            shown = tuple(place for place in shown if reach.sees({by: place.who}))
        first = next(iter(now), None)
        return to_json(
            {
                "kpi": kpi,
                "window": window,
                "by": by,
                "unit": entry.unit,
                "currency": view.business.currency if entry.unit == "money" else None,
                "of": len(found.places),
                "without": found.without,
                "from": None if first is None else first.as_json()["from"],
                "places": [_told(place, ctx.people if by == "owner" else Owners()) for place in shown],
            }
        )

    return routes


def _told(place: LeaderPlace, people: Owners) -> Mapping[str, Any]:
    return {
        "rank": place.rank, "shared": place.shared, "who": place.who, "name": people.name(place.who), "value": place.value,
        "drawn": round(place.drawn, 6), "low": place.low, "high": place.high, "sample": place.sample, "moved": place.moved,
    }  # fmt: skip
