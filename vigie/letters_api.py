"""How are the dead letters of a running instance seen and sent again over its API?

They hold what senders sent, personal data and all, so each request needs an operator's token; to send again, one who may act.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

import orjson
from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response

from stream.config.settings import Settings, SettingsError
from stream.engine.options import EngineOptions
from stream.ingest.body import Bodies, NotRead
from stream.web.api import to_json
from stream.web.operate import ActRefused, Operations, refused
from vigie.letters import AnotherRedrive
from vigie.redrive import chosen, letter_entry, redrive, shown

#: Letters that one answer lists.
LISTED = 10_000
_KEYS = ("ids", "reasons", "force")


def router(operations: Operations, options: EngineOptions, settings: Callable[[], Settings]) -> APIRouter:
    """Return the routes; ``operations`` knows who may, ``settings`` reads the settings of now."""
    routes = APIRouter(prefix="/api")
    one_at_a_time = asyncio.Lock()
    bodies = Bodies(1 << 20)

    async def answer(request: Request, role: str, work: Callable[[bytes], Any]) -> Response:
        try:
            operations.operator(request, role)
            with await bodies.read(request.headers, request.receive) as body:
                async with one_at_a_time:
                    return to_json(await asyncio.to_thread(work, body.content))
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except (AnotherRedrive, SettingsError) as error:
            return to_json({"error": str(error)}, 409)
        except ValueError as error:
            return to_json({"error": str(error)}, 400)
        except KafkaException:
            return to_json({"error": "the broker does not answer; try again"}, 503, {"retry-after": "2"})

    @routes.get("/dead-letters", summary="What could not be used")
    async def letters(request: Request) -> Response:
        """Return the dead letters that stand, oldest first, 10,000 at most (``left_out`` counts the others).

        ``reason`` chooses, and may be repeated; ``damaged`` says what on the topic is no dead letter.
        """
        reasons = request.query_params.getlist("reason")

        def work(_: bytes) -> dict[str, Any]:
            damaged: list[str] = []
            found = chosen(options, reasons, damaged.append)
            listed = [letter_entry(letter) for letter in islice(found, LISTED)]
            return {"letters": listed, "left_out": sum(1 for _ in found), "damaged": damaged[:LISTED]}

        return await answer(request, "read", work)

    @routes.get("/dead-letters/{id}", summary="One of them, with the original record")
    async def letter(id: str, request: Request) -> Response:
        """Return one dead letter with key, value and headers of the record as text."""

        def work(_: bytes) -> dict[str, Any]:
            for one in chosen(options, (), lambda text: None):
                if one.id == id:
                    return shown(one)
            raise ActRefused(404, f"no dead letter {id!r:.80}")

        return await answer(request, "read", work)

    @routes.post("/dead-letters/redrive", summary="Send some again")
    async def again(request: Request) -> Response:
        """Send letters again, each once until it comes back: ``{"ids": […], "reasons": […], "force": false}``; ``{}`` is all.

        The answer counts those that were ``sent``, and says why others were not (``refused``, by id) and which are ``missing``.
        """

        def work(body: bytes) -> dict[str, Any]:
            asked = _asked(body)
            force = bool(asked.get("force"))
            ids, reasons = set(asked.get("ids", ())), asked.get("reasons", ())
            return redrive(options, settings(), ids, reasons, force=force, damaged=lambda text: None)._asdict()

        return await answer(request, "operate", work)

    return routes


def _asked(body: bytes) -> dict[str, Any]:
    """Return what a redrive is asked for; raise ``ValueError``."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(tree, dict) or (unknown := sorted(set(tree) - set(_KEYS))):
        raise ValueError(f"found {unknown if isinstance(tree, dict) else tree!r:.80} (accepted: {', '.join(_KEYS)})")
    for name in ("ids", "reasons"):
        texts = tree.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name}: found {texts!r:.80} (accepted: a list of texts)")
    if not isinstance(tree.get("force", False), bool):
        raise ValueError(f"force: found {tree['force']!r:.80} (accepted: true, false)")
    return tree
