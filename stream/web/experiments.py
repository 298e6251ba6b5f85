"""What do the tests say that were declared? As JSON."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from models.experiments.plan import Plan
from models.kpis.catalogue import Catalogue
from models.panes.view import View
from stream.readings.board import Unavailable
from stream.web.api import to_json
from stream.web.context import context

#: An answer is told again for so long (ms): days are judged, and a test of two years takes some 30 ms.
_FRESH = 10_000


def router(plans: Sequence[Plan], catalogue: Catalogue, whole: Callable[[], View]) -> APIRouter:
    """Return the routes; ``whole`` gives the view, or raises :class:`Unavailable` where this process does not hold it."""
    routes = APIRouter(prefix="/api")
    made, known = 0, list[dict[str, Any]]()

    @routes.get("/experiments", summary="Tests of two variants, as they stand")
    async def experiments(request: Request) -> Response:
        """Return each declared test with what it says: the better variant, if it knows, by how much, and what is still needed.

        Judged are the leads or deals that are of age, of days that are over. ``srm``: the variants are not given in the designed
        ratio, and nothing is decided any more. Bounds of ``lift`` hold however often one looks. ``guards`` warn early;
        ``segments`` are exploratory: nothing is decided by them. 503 where this process does not hold the numbers.
        """
        nonlocal made, known
        if not plans:
            return to_json([])
        from models.experiments.document import experiment_document  # with the arithmetic, which nobody else here needs

        try:
            view = whole()
        except Unavailable as why:
            return to_json({"error": str(why)}, 503, {"retry-after": "2"})
        now = context(request).live_board.now()
        if not 0 <= now - made < _FRESH:
            found = []
            for plan in plans:
                found.append(experiment_document(view, catalogue, plan, now))
                await asyncio.sleep(0)
            made, known = now, found
        return to_json(known)

    return routes
