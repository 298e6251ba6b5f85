"""What is expected of this deal or lead, why, and how good have the models been? As JSON."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import msgspec
import orjson
from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.fold import Changes, Record
from stream.engine.options import FoldSpec
from stream.web.api import reach_of, to_json

Entity = Literal["deal", "lead"]
#: The topic of the answers, by what they are about.
TOPICS: dict[Entity, str] = {"deal": "predictions", "lead": "lead-predictions"}


T = TypeVar("T")
#: An answer, or the wait for that of another process.
Asked: TypeAlias = T | Awaitable[T]


async def come(asked: Asked[T]) -> T:
    """Return an answer, once it is there."""
    return await asked if isinstance(asked, Awaitable) else asked


class Elsewhere(LookupError):
    """This process does not know: another one holds the entity's partition, or it is still reading."""


class Predictions(Protocol):
    """Who knows the answers, at once or after having asked another process. All raise :class:`Elsewhere`."""

    def answer(self, entity: Entity, key: str) -> Asked[Mapping[str, Any] | None]:
        """Return what is expected of an open deal or lead, None where there is none."""

    def models(self) -> Asked[Sequence[Mapping[str, Any]]]:
        """Return what is known of each model, measures included."""

    def document(self, model: str) -> Asked[bytes | None]:
        """Return a model as JSON, as it was last sent round; None where none was."""


class Status(msgspec.Struct):
    """Of a release on ``model-snapshots``, all but the floor."""

    model: str
    version: int
    at: int
    lessons: int
    champion: str
    status: dict[str, Any]
    document: msgspec.Raw


_read = msgspec.json.Decoder(Status).decode


class PredictionBoard:
    """The answers and models as a process that does not predict can tell from the topics (a replayed fold, all partitions).

    A partition is read aside, in the restoring thread; what is shown is changed on the event loop only.
    """

    def __init__(self, running: Callable[[], bool] = lambda: True) -> None:
        """``running`` says whether the topics have been read."""
        self.running = running
        self._parts: dict[int, _Part] = {}

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""
        topics = (*TOPICS.values(), "model-snapshots")
        return FoldSpec(name="show-predictions", topics=topics, make=self._part, lane="show", replayed=True)

    def _part(self, partition: int) -> "_Part":
        return _Part(lambda part: self._parts.__setitem__(partition, part))

    def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        """Return the last answer on the topic."""
        name = key.encode()
        for part in self._parts.values():
            if name in part.answers[TOPICS[entity]]:
                found: dict[str, Any] = orjson.loads(part.answers[TOPICS[entity]][name])
                return {**found, "at": iso(int(found["at"]))}
        if not self.running():
            raise Elsewhere("the answers are still being read")
        return None

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Return the status in each model's last release."""
        names = sorted({name for part in self._parts.values() for name in part.models})
        return [found.status for name in names if (found := self._latest(name)) is not None]

    def document(self, model: str) -> bytes | None:
        """Return the model in its last release."""
        found = self._latest(model)
        return None if found is None else bytes(found.document)

    def _latest(self, model: str) -> Status | None:
        known = (part.models[model] for part in self._parts.values() if model in part.models)
        return max(known, key=lambda found: found.at, default=None)


class _Part:
    """One partition of the topics; ``show`` is given it once they have been read to their end."""

    def __init__(self, show: Callable[["_Part"], None]) -> None:
        self._show = show
        self.answers: dict[str, dict[bytes, bytes]] = {topic: {} for topic in TOPICS.values()}
        self.models: dict[str, Status] = {}

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topics themselves are read."""

    def live(self) -> None:
        """What is known is whole: it may be shown."""
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Take the records; what is damaged is passed over."""
        for record in records:
            if record.topic == "model-snapshots":
                try:
                    found = _read(record.value or b"")
                except msgspec.DecodeError:
                    continue
                known = self.models.get(found.model)
                if known is None or found.at >= known.at:
                    self.models[found.model] = found
            elif record.value is None:
                self.answers[record.topic].pop(record.key or b"", None)
            else:
                self.answers[record.topic][record.key or b""] = record.value

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])


def router(source: Predictions | None) -> APIRouter:
    """Return the routes; without a source (``models.live`` is off) they say so."""
    routes = APIRouter(prefix="/api")

    async def answer(entity: Entity, key: str, request: Request) -> Response:
        reach = reach_of(request)
        if source is None:
            return _off()
        try:
            found = await come(source.answer(entity, key))
        except Elsewhere as elsewhere:
            return to_json({"error": f"{entity} {key[:200]!r}: {elsewhere}"}, 503, {"retry-after": "2"})
        if found is None or (reach is not None and not reach.has(found)):  # that it is somebody else's is not told, either
            return to_json({"error": f"no open {entity} {key[:200]!r} is known; accepted: the id of one that is open"}, 404)
        return to_json(found)

    @routes.get("/predictions/{deal:path}", summary="What is expected of an open deal, and why")
    async def prediction(deal: str, request: Request) -> Response:
        """Return P(won), P(closes within 30 days), P10/P50/P90 of the days to close, the terms in words, the short history."""
        return await answer("deal", deal, request)

    @routes.get("/leads/{lead:path}", summary="What is expected of an open lead, and why")
    async def lead_prediction(lead: str, request: Request) -> Response:
        """Return P(converted within 135 days), P(converted) of those that end, when, and the terms in words."""
        return await answer("lead", lead, request)

    @routes.get("/models", summary="How good have the predictions been?")
    async def models() -> Response:
        """Return, of each model and its floor: lessons, measures over the last answers and over time, drifts, who answers."""
        if source is None:
            return _off()
        try:
            return to_json(await come(source.models()))
        except Elsewhere as elsewhere:
            return _elsewhere(elsewhere)

    @routes.get("/models/{model}/document", summary="A model, to be kept or brought elsewhere")
    async def document(model: str) -> Response:
        """Return the JSON document of a model: `vigie models import` and the setting `models.start` take it."""
        try:
            found = None if source is None else await come(source.document(model))
        except Elsewhere as elsewhere:
            return _elsewhere(elsewhere)
        if found is None:
            return to_json({"error": f"no model {model[:50]!r} has been sent round yet (accepted: {', '.join(TOPICS)})"}, 404)
        return Response(found, headers={"cache-control": "no-store"}, media_type="application/json")

    return routes


def _elsewhere(elsewhere: Elsewhere) -> Response:
    return to_json({"error": f"models: {elsewhere}"}, 503, {"retry-after": "2"})


def _off() -> Response:
    return to_json({"error": "there are no predictions here: models.live is false in the settings"}, 404)
