"""How are people found and erased over the API of a running instance?

The id is in the body, so that no log of addresses has it. Each request needs an operator's token of one who may act.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import orjson
from fastapi import APIRouter, Request, Response

from models.privacy.certificate import WHY
from models.privacy.requests import ErasureRequest
from models.privacy.subject import KINDS, Subject
from stream.config.settings import Settings
from stream.engine.erasing import AskedBy, ErasureResult
from stream.ingest.body import Bodies, NotRead
from stream.ingest.event_ids import EventIds
from stream.ledger.erasing import LedgerPrivacy
from stream.ledger.flow import LedgerFlow
from stream.ledger.log_reader import LedgerError
from stream.readings.cache import Snapshots
from stream.web.api import to_json
from stream.web.operate import ActRefused, Operations, refused
from vigie import held
from vigie.instance import Instance

log = logging.getLogger(__name__)

ON_KAFKA = "it is kept on a Kafka: stop the workers, and run `vigie privacy erase` (docs/privacy.md)"


class PrivacyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is meant, and why."""

    kind: str
    id: str
    why: str = ""


_decode = msgspec.json.Decoder(PrivacyRequest).decode


def asked(body: bytes) -> tuple[Subject, str]:
    """Return who is meant, and why; raise ``ValueError`` with what is accepted."""
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f'{error} (accepted: {{"kind": …, "id": …, "why": …}})') from None
    return checked(Subject(found.kind, found.id), found.why), found.why


def checked(subject: Subject, why: str) -> Subject:
    """Return who is meant; raise ``ValueError`` where nobody can be."""
    if subject.kind not in KINDS:
        raise ValueError(f"kind: found {subject.kind!r:.80} (accepted: {', '.join(KINDS)})")
    if not subject.id.strip():
        raise ValueError("id: found nothing (accepted: the id as events have it)")
    if len(why) > WHY or subject.id in why:
        raise ValueError(f"why: accepted are up to {WHY} characters without the id: it is kept")
    return subject


def as_kept(subject: Subject, settings: Settings) -> Subject:
    """Return who is meant, an address by what is kept of its hash; raise ``ValueError`` where nothing is."""
    if subject.kind != "email":
        return subject
    kept = settings.privacy.minimiser().text("email_hash", subject.id)
    if kept is None:
        raise ValueError("email: hashes of addresses are not kept here (privacy.minimise; accepted: the lead's id)")
    return subject._replace(id=kept)


def named(subject: Subject, settings: Settings) -> list[str]:
    """Return where the settings name an owner: on call, with targets, to be told of their deals."""
    if subject.kind != "owner":
        return []
    tree = orjson.loads(settings.model_dump_json())
    return sorted(where for where, text in _texts(tree, "") if text == subject.id)


def _texts(tree: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        found = [(where, name) for name in tree]
        return found + [pair for name, value in tree.items() for pair in _texts(value, f"{where}.{name}".strip("."))]
    if isinstance(tree, list):
        return [pair for value in tree for pair in _texts(value, where)]
    return [(where, tree)] if isinstance(tree, str) else []


class InSettings(ValueError):
    """The settings name this owner: they would come back with the next start."""

    def __init__(self, where: list[str]) -> None:
        super().__init__(f"the settings name this owner ({', '.join(dict.fromkeys(where))}): take them out first")


def not_named(subject: Subject, settings: Settings) -> None:
    """Raise :class:`InSettings` where the settings name somebody."""
    if where := named(subject, settings):
        raise InSettings(where)


class Erases(Protocol):
    """What erases: from a ledger, or a Kafka."""

    def requests(self) -> list[ErasureRequest]:
        """Return what CRMs have asked for and nobody has done yet."""

    def erase(self, subjects: Sequence[Subject], asked: AskedBy) -> ErasureResult:
        """Erase people in one pass."""


def carried_out(
    privacy: Erases, subject: Subject | None, asked: AskedBy, objections: Collection[str] = frozenset()
) -> ErasureResult:
    """Erase somebody, or (None) all whom CRMs have asked for: the certificates say who did.

    ``objections`` are the leads whom the settings name: where one is erased, that is left to take out of there.
    """
    if subject is not None:
        if subject.kind == "lead" and subject.id in objections:
            asked = asked._replace(left=("the settings: privacy.objections",))
        return privacy.erase([subject], asked)
    waiting = privacy.requests()
    if not waiting:
        return ErasureResult([], [])
    why = asked.why or f"asked for by: {', '.join(sorted({one.by for one in waiting}))}"[:WHY]
    return privacy.erase([Subject(one.kind, one.id) for one in waiting], asked._replace(why=why))


class Caches(NamedTuple):
    """What is remembered of people besides the log, in Redis: ids of events, and the last readings, by owner too."""

    seen: EventIds
    snapshots: Snapshots

    async def forget(self, erased: ErasureResult) -> None:
        """Let go of what may name who was erased."""
        await self.seen.forget(erased.events)
        if erased.certificates:
            await self.snapshots.forget()


async def carry_out(instance: Instance, caches: Caches, every: float = 3_600.0) -> None:
    """Erase whom CRMs have asked for, all who wait in one pass, every so many seconds. Where it fails it is tried again."""
    while True:
        await asyncio.sleep(every)
        privacy = instance.privacy
        try:
            waiting = [] if privacy is None else await asyncio.to_thread(privacy.requests)
            if privacy is not None and waiting:
                await erase(instance, privacy, caches, None, "vigie", "")
        except (LedgerError, RuntimeError, TimeoutError) as error:
            log.warning("those whom CRMs have asked for could not be erased now: %s", error)


async def erase(
    instance: Instance, privacy: LedgerPrivacy, caches: Caches, subject: Subject | None, by: str, why: str
) -> ErasureResult:
    """Erase somebody, or all whom CRMs have asked for, from a running instance: its folds write down what they hold, and take it
    back afterwards."""
    flow = instance.engine.flow
    assert isinstance(flow, LedgerFlow)
    objections = instance.settings.privacy.objections
    erased = await flow.rewritten(lambda: carried_out(privacy, subject, AskedBy(by, why), objections))
    await caches.forget(erased)
    for certificate in erased.certificates:
        log.info("erasure %s of a %s, asked by %s: %s", certificate.id, certificate.kind, by, certificate.outcome)
    return erased


def router(operations: Operations, instance: Instance, settings: Callable[[], Settings], caches: Caches) -> APIRouter:
    """Return the routes; ``operations`` knows who may, ``caches`` what is remembered of people elsewhere."""
    routes = APIRouter(prefix="/api/privacy")
    one_at_a_time = asyncio.Lock()
    bodies = Bodies(16_384)

    async def answer(request: Request, role: str, work: Callable[[str, bytes, LedgerPrivacy], Any]) -> Response:
        try:
            by = operations.operator(request, role)
            with await bodies.read(request.headers, request.receive) as body:
                if instance.privacy is None:
                    raise ActRefused(409, ON_KAFKA)
                async with one_at_a_time:
                    return to_json(await work(by, body.content, instance.privacy))
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except InSettings as error:
            return to_json({"error": str(error)}, 409)
        except ValueError as error:
            return to_json({"error": str(error)}, 400)
        except (LedgerError, RuntimeError, TimeoutError) as error:
            return to_json({"error": str(error)}, 503, {"retry-after": "10"})

    @routes.post("/erase", summary="Erase somebody, and keep every figure")
    async def erase_(request: Request) -> Response:
        """Erase who is meant by ``{"kind": "lead", "id": "…", "why": "…"}``; answered once no byte of them is in the file.

        The answer is the certificate. The folds let go of what they hold meanwhile, for some seconds.
        """

        async def work(by: str, body: bytes, privacy: LedgerPrivacy) -> Any:
            subject, why = asked(body)
            not_named(subject, settings())
            request.state.audited = subject
            subject = as_kept(subject, settings())
            return msgspec.to_builtins((await erase(instance, privacy, caches, subject, by, why)).certificate)

        return await answer(request, "operate", work)

    @routes.post("/queued", summary="Erase all whom CRMs have asked for")
    async def queued(request: Request) -> Response:
        """Erase all who wait for it, in one pass; the answer is their certificates. An instance does so by itself every hour."""

        async def work(by: str, body: bytes, privacy: LedgerPrivacy) -> Any:
            return msgspec.to_builtins((await erase(instance, privacy, caches, None, by, "")).certificates)

        return await answer(request, "operate", work)

    @routes.post("/export", summary="All that is held of somebody")
    async def export(request: Request) -> Response:
        """Return every record and row that says anything of who is meant by ``{"kind": "lead", "id": "…"}``."""

        async def work(by: str, body: bytes, privacy: LedgerPrivacy) -> Any:
            subject, _ = asked(body)
            request.state.audited = subject
            subject = as_kept(subject, settings())
            log.info("all that is held of a %s was asked for by %s", subject.kind, by)
            return await asyncio.to_thread(held.of_ledger, privacy.path, instance.options, subject)

        return await answer(request, "operate", work)

    @routes.get("/erasures", summary="The certificates of all erasures")
    async def erasures(request: Request) -> Response:
        """Return what was erased when, by whom, and where it was found; nothing of who it was."""

        async def work(by: str, body: bytes, privacy: LedgerPrivacy) -> Any:
            return [msgspec.to_builtins(one) for one in await asyncio.to_thread(privacy.certificates)]

        return await answer(request, "read", work)

    return routes
