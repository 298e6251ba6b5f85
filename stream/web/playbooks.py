"""What is to be done about alerts, and did the figures move afterwards? As JSON."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response

from models.goals.plan import Playbook
from models.goals.playbooks import playbook_document, runs
from models.kpis.catalogue import Catalogue
from models.panes.view import View
from stream.readings.board import Unavailable
from stream.web.api import to_json
from stream.web.context import context
from stream.web.operate import Reader
from stream.web.people import sees_people

#: So many alerts of each are looked at, and an answer is told again for so long (ms).
_MOST, _FRESH = 200, 60_000


def router(books: Sequence[Playbook], catalogue: Catalogue, whole: Callable[[], View], history: Reader) -> APIRouter:
    """Return the routes; ``whole`` gives the view, ``history`` reads ``alerts`` back, and raises what Kafka's client does."""
    routes = APIRouter(prefix="/api")
    made, known = 0, list[dict[str, Any]]()
    asking = asyncio.Lock()

    @routes.get("/playbooks", summary="What is to be done about alerts, and whether the figures moved afterwards")
    async def playbooks(request: Request) -> Response:
        """Return each playbook with the alerts it was for, how the KPI was then against what was expected, and its record."""
        nonlocal made, known
        ctx, now = context(request), context(request).live_board.now()
        async with asking:
            if books and not 0 <= now - made < _FRESH:
                try:
                    view = whole()
                    found = []
                    for book in books:
                        records, _ = await asyncio.to_thread(history, _MOST, _fired(book), None)
                        found.append(playbook_document(view, catalogue, book, runs(records, book.rules), now))
                except Unavailable as why:
                    return to_json({"error": str(why)}, 503, {"retry-after": "2"})
                except KafkaException:
                    return to_json({"error": "the broker does not answer; try again"}, 503, {"retry-after": "2"})
                made, known = now, found
        if sees_people(request):
            return to_json({"currency": ctx.business.currency, "playbooks": known})
        shown = [{**one, "owner": None, "runs": [run for run in one["runs"] if "owner" not in run["segment"]]} for one in known]
        return to_json({"currency": ctx.business.currency, "playbooks": shown})

    return routes


def _fired(book: Playbook) -> Callable[[dict[str, Any]], bool]:
    return lambda tree: tree.get("type") == "transition" and tree.get("kind") == "fired" and tree.get("rule") in book.rules
