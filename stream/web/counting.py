"""Which figures count this deal or lead, and with what? As JSON."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.folds.entity_snapshots import DealState, LeadState
from models.kpis.behind import KnownEntity
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.kpis.recount import number_shown
from models.panes.windows import Window
from stream.readings.board import UnknownName
from stream.readings.counted import CountedDesk
from stream.web.api import reach_of, to_json
from stream.web.context import context
from stream.web.explain import answered

_KINDS = ("deal", "lead")


def router(catalogue: Catalogue, desk: CountedDesk) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/api")

    @routes.get("/counted/{entity}/{key:path}", summary="The figures that count a deal or lead")
    async def counted(entity: str, key: str, request: Request) -> Response:
        """Return the figures whose totals count a deal or lead (``window``, default 30d), in the catalogue's order, each with the
        measures that it counts for there. Whose token is limited asks of what is theirs now.
        """
        return await answered(lambda: _counted(catalogue, desk, entity, key, request))

    return routes


async def _counted(catalogue: Catalogue, desk: CountedDesk, entity: str, key: str, request: Request) -> Response:
    if entity not in _KINDS:
        raise UnknownName("kind", entity, _KINDS)
    ctx, window, reach = context(request), request.query_params.get("window", "30d"), reach_of(request)
    ctx.live_board.check([], [window], [])
    at = ctx.live_board.now()
    kpis = list(catalogue.kpis.values())
    known, figures = await desk.counting(kpis, Window.parse(window), at, f"{entity}s", key)
    if known is None or (reach is not None and not reach.has(_whose(known.one.state))):
        return to_json({"error": f"{entity}: nothing is known of {key[:100]}"}, 404)
    return to_json({"entity": entity, "id": key, "window": window, "at": iso(at), "figures": _shown(known, figures)})


def _whose(state: DealState | LeadState) -> dict[str, str | None]:
    return {"owner": state.owner, "team": state.team}


def _shown(known: KnownEntity, figures: Sequence[tuple[Kpi, Sequence[Any]]]) -> list[dict[str, Any]]:
    return [
        {
            "kpi": kpi.id,
            "label": dict(kpi.label),
            "counts": {ask.name: number_shown(kpi, ask, known.one.numbers[ask]) for ask in asks},
        }
        for kpi, asks in figures
    ]
