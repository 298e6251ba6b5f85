"""How do files of events and a CRM's history get into a running instance over its API?

``POST /api/events`` takes lines of CloudEvents (JSON, structured mode) from an operator. It answers when the broker has them all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, Request, Response

from stream.engine.address import BODY, EVENTS, NoTopic, address
from stream.ingest.body import Bodies, NotRead
from stream.web.api import to_json
from stream.web.operate import ActRefused, Operations, refused

#: Writes events and returns once they are safe; raises ``OSError`` where the broker does not take them.
Take = Callable[[Sequence[bytes]], Awaitable[None]]


def router(operations: Operations, take: Take) -> APIRouter:
    """Return the route; ``operations`` knows who may."""
    routes = APIRouter(prefix="/api")
    one_at_a_time = asyncio.Lock()
    # Those who may write are few, and their line may be slow.
    bodies = Bodies(BODY, at_once=16, seconds=60.0)

    @routes.post("/events", summary="Take in events")
    async def events(request: Request) -> Response:
        """Publish CloudEvents, one a line: at most 500, and 1 MiB. The answer counts them, and says which are none and why.

        It comes once the broker has them; on the embedded broker, once they are folded. Sending a batch again does no harm: an
        event counts once.
        """
        try:
            operations.operator(request, "operate")
            with await bodies.read(request.headers, request.receive) as body:
                usable, wrong = _sorted(body.content.splitlines())
                async with one_at_a_time:
                    await take(usable)
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except OSError as error:
            return to_json({"error": f"{error}; try again"}, 503, {"retry-after": "2"})
        return to_json({"acknowledged": len(usable), "refused": wrong})

    return routes


def _sorted(lines: Sequence[bytes]) -> tuple[list[bytes], list[dict[str, object]]]:
    """Return the lines that belong to a topic, and what is wrong with the others; raise :class:`ActRefused` for too many."""
    if len(lines) > EVENTS:
        raise ActRefused(413, f"found {len(lines)} lines (accepted: {EVENTS})")
    usable: list[bytes] = []
    wrong: list[dict[str, object]] = []
    for number, line in enumerate(lines, start=1):
        try:
            address(line)
            usable.append(line)
        except NoTopic as error:
            wrong.append({"line": number, "reason": str(error)})
    return usable, wrong
