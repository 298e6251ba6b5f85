"""How is a model of a running installation replaced: by a document that somebody brings, or by one that begins anew?"""

import asyncio
import uuid

import msgspec
from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response

from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.ingest.body import Bodies, NotRead
from stream.web.api import to_json
from stream.web.operate import ActRefused, Operations, refused
from stream.web.predictions import TOPICS

#: A model's document is a row of its fold, which may have 3 MiB (models/sizes.py).
LARGEST = 3 << 20


def usable(model: str, document: bytes) -> None:
    """Raise ``ValueError`` where a document is none of this model."""
    # River and numpy take a second to import, and are needed by who brings a model only.
    from models.learners.live_kinds import KINDS
    from models.learners.live_model import checked
    from models.learners.snapshot import SnapshotRefused

    kind = KINDS.get(model)
    if kind is None:
        raise ValueError(f"model: found {model!r:.80}; accepted: {', '.join(KINDS)}")
    try:
        checked(document, kind.known)
    except SnapshotRefused as error:
        raise ValueError(str(error)) from None


def replace(options: EngineOptions, model: str, why: str, document: bytes | None) -> None:
    """Say to who learns a model that it goes on from a document, or begins anew; return once the log has it.

    Raises ``OSError`` where it does not take it within 10 s, and :class:`confluent_kafka.KafkaException` where no broker answers.
    """
    from models.learners.examples import Command, encode

    raw = msgspec.Raw(document or b"null")
    command = Command(id=f"command:{uuid.uuid4()}", model=model, kind="replace", why=why, document=raw)
    with Publisher(options, message_timeout_ms=10_000) as publisher:
        publisher.send("examples", model.encode(), encode(command))
        if publisher.flush(15) or publisher.failed:
            raise OSError("the broker did not take it within 10 s")


def router(operations: Operations, options: EngineOptions) -> APIRouter:
    """Return the routes with which operators replace a model of this instance."""
    routes = APIRouter(prefix="/api/models")
    bodies = Bodies(LARGEST)

    async def said(model: str, why: str, document: bytes | None) -> Response:
        try:
            await asyncio.to_thread(replace, options, model, why, document)
        except (OSError, KafkaException):
            return to_json({"error": "the broker does not answer; try again"}, 503, {"retry-after": "2"})
        return to_json({"model": model, "said": why}, 202)

    @routes.put("/{model}/document", summary="Let a model go on from a document")
    async def bring(model: str, request: Request) -> Response:
        """Replace what a model has learnt by a document of `vigie models warm` or `export`."""
        try:
            who = operations.operator(request, "operate")
            with await bodies.read(request.headers, request.receive) as body:
                await asyncio.to_thread(usable, model, body.content)
                return await said(model, f"imported by {who}", body.content)
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except ValueError as error:
            return to_json({"error": str(error)}, 400)

    @routes.delete("/{model}/document", summary="Let a model begin anew")
    async def reset(model: str, request: Request) -> Response:
        """Forget what a model has learnt; deals and leads, and what was asked of them, are kept."""
        try:
            who = operations.operator(request, "operate")
        except ActRefused as refusal:
            return refused(refusal)
        if model not in TOPICS:
            return to_json({"error": f"model: found {model!r:.80}; accepted: {', '.join(TOPICS)}"}, 404)
        return await said(model, f"reset by {who}", None)

    return routes
