"""Who acknowledges an alert, who silences some, and is it they? And who did so before?

Operators are named in the settings, each with a bearer token and a role: ``operate`` acts, ``read`` only sees the history. An
act is a record on the topic ``alerts``: what it changes is decided by the fold that dispatches alerts, and the record is its
audit. It is answered once the broker has it.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import orjson
from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response

from alert_rules.tell.stages.silence import Silence, decode, encode
from models.calendar import DAY_MS, epoch_ms, iso
from models.config import durations
from stream.engine.options import wall_clock
from stream.ingest.body import Bodies, NotRead
from stream.web.api import reach_of, to_json
from stream.web.operators import Operator, Operators, TokenThrottled, bearer
from stream.web.people import sees_people, without_people

_BODY = 16_384
_LONGEST = 366 * DAY_MS
_KEYS = ("matchers", "duration", "starts", "ends", "comment")
#: What is told of the history: the types of records on the topic ``alerts``, and the parameters to ask with.
HISTORY = ("transition", "decision", "act", "notification")
_ASKED = ("incident", "rule", "type", "by", "limit", "before")
_LIMIT = 500
_READERS = 2  # at a time
#: Reads back from the topic's end: how many, which, before which offset (None: the end); blocks.
Reader = Callable[[int, Callable[[dict[str, Any]], bool], int | None], tuple[list[dict[str, Any]], int | None]]


class ActRefused(Exception):
    """What is answered in place of acting."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Operations:
    """The acts of the API. ``put`` writes one on the topic and returns once the broker has it; ``clock`` is epoch ms.

    ``standing`` gives the ids of the alerts that stand, None where this process does not know; ``silences`` likewise.
    ``history`` reads the topic back, and raises what Kafka's client raises.
    """

    def __init__(
        self,
        operators: Operators,
        put: Callable[[bytes, bytes], Awaitable[None]],
        *,
        standing: Callable[[], set[str] | None] = lambda: None,
        silences: Callable[[], Sequence[Silence] | None] = lambda: None,
        history: Reader | None = None,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self._operators = operators
        self._history = history
        self._reading = asyncio.Semaphore(_READERS)
        self._put = put
        self._standing = standing
        self._silences = silences
        self._clock = clock
        self._bodies = Bodies(_BODY)

    def router(self) -> APIRouter:
        """Return the routes, to be included in the application."""
        router = APIRouter(prefix="/api")

        @router.post("/alerts/{incident}/ack", summary="Somebody takes care of it")
        async def ack(incident: str, request: Request) -> Response:
            """Acknowledge an alert: it is not repeated and does not escalate, until it becomes critical."""
            return await self._answer(request, lambda by, _: self._on_alert("ack", incident, by))

        @router.post("/alerts/{incident}/unack", summary="Nobody takes care of it any more")
        async def unack(incident: str, request: Request) -> Response:
            """Take an acknowledgement back."""
            return await self._answer(request, lambda by, _: self._on_alert("unack", incident, by))

        @router.post("/silences", summary="Be quiet about what the matchers say")
        async def silence(request: Request) -> Response:
            """Silence alerts: ``{"matchers": ["team=x"], "duration": "2h", "comment": "…"}``, or ``ends`` (and ``starts``)."""
            return await self._answer(request, self._silence)

        @router.delete("/silences/{id_}", summary="End a silence")
        async def unsilence(id_: str, request: Request) -> Response:
            """End a silence now."""
            return await self._answer(request, lambda by, _: self._unsilence(id_, by))

        @router.get("/silences", summary="Silences that have not ended")
        async def silences(request: Request) -> Response:
            """Return the silences; 503 where another worker holds them."""
            found = self._silences()
            if found is None:
                return to_json({"error": "another worker holds the silences"}, 503)
            return to_json([encode(one) | {"starts": iso(one.starts), "ends": iso(one.ends)} for one in found])

        @router.get("/alerts/history", summary="What happened to alerts, what was decided and done, who was told")
        async def history(request: Request) -> Response:
            """Return the latest records of the topic ``alerts``, newest first: transitions, decisions, acts, notifications.

            ``incident``, ``rule``, ``type`` and ``by`` choose; ``limit`` (100, at most 500) and ``before`` (``next`` of the
            answer before) page. Where there are operators, one of their tokens is needed: it says who did what.
            """
            return await self._told(request)

        return router

    async def _told(self, request: Request) -> Response:
        try:
            if self._operators.named and not getattr(request.state, "reader", ""):
                self.operator(request, "read")
            if self._history is None:
                raise ActRefused(503, "the history cannot be read here")
            asked = dict(request.query_params)
            limit, before = _number(asked, "limit", 100, _LIMIT), _number(asked, "before", None, 2**62)
            matches, reach = _chosen(asked), reach_of(request)
            if self._reading.locked():
                raise ActRefused(503, "others are reading the history; try again")
            async with self._reading:
                seen = matches if reach is None else lambda tree: matches(tree) and reach.record(tree) is not None
                found, next_ = await asyncio.to_thread(self._history, limit or 0, seen, before)
                if reach is not None:
                    found = [told for one in found if (told := reach.record(one)) is not None]
                if not sees_people(request):
                    found = without_people(found)
        except ActRefused as refusal:
            return refused(refusal)
        except KafkaException:
            return to_json({"error": "the broker does not answer; try again"}, 503, {"retry-after": "2"})
        return to_json({"records": found, "next": next_})

    async def _answer(self, request: Request, act: Callable[[str, bytes], dict[str, Any]]) -> Response:
        try:
            by = self.operator(request, "operate")
            with await self._bodies.read(request.headers, request.receive) as body:
                made = {"type": "act", "at": iso(self._clock()), "by": by, "via": "api", **act(by, body.content)}
            await self._put(str(made.get("incident") or made["act"]).encode(), orjson.dumps(made))
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except OSError:
            return to_json({"error": "the broker did not take it; try again"}, 503, {"retry-after": "2"})
        return to_json(made, 202)

    def operator(self, request: Request, role: str) -> str:
        """Return whose token the request carries, if they may do this: who may operate may read."""
        if not self._operators:
            raise ActRefused(403, "nobody may act here (accepted: operators with a token under web.operators in the settings)")
        client = getattr(request.state, "client", request.client.host if request.client else "")
        session: Operator | None = getattr(request.state, "session", None)
        try:
            # The cookie is SameSite=Strict, and a page of strangers cannot send this header without our leave.
            found = session if request.headers.get("x-vigie") == "page" else None
            found = found or self._operators.of(bearer(request.headers.get("authorization", "")), client)
        except TokenThrottled:
            raise ActRefused(429, "too many wrong tokens from this address; try again in 10 s") from None
        if found is None:
            raise ActRefused(401, "no operator's token (accepted: Authorization: Bearer …)")
        if role == "operate" and found.role != "operate":
            raise ActRefused(403, f"{found.name} may read only (accepted: the token of an operator with role: operate)")
        request.state.operator = found.name
        return found.name

    def _on_alert(self, act: str, incident: str, by: str) -> dict[str, Any]:
        standing = self._standing()
        if standing is not None and incident not in standing:
            raise ActRefused(404, f"no alert stands with the id {incident!r:.80}")
        return {"act": act, "incident": incident}

    def _silence(self, by: str, body: bytes) -> dict[str, Any]:
        try:
            tree = orjson.loads(body)
        except ValueError as error:
            raise ActRefused(400, f"not JSON: {error}") from None
        if not isinstance(tree, dict) or (unknown := set(tree) - set(_KEYS)):
            raise ActRefused(
                400, f"found {sorted(unknown) if isinstance(tree, dict) else tree!r:.80} (accepted: {', '.join(_KEYS)})"
            )
        now = self._clock()
        try:
            starts = _instant(tree, "starts") if "starts" in tree else now
            if ("ends" in tree) == ("duration" in tree):
                raise ValueError("found both or neither of ends and duration (accepted: one of them)")
            ends = _instant(tree, "ends") if "ends" in tree else starts + durations.parse(tree["duration"])
            if ends <= now or ends - starts > _LONGEST:
                raise ValueError(f"ends: found {iso(ends)} (accepted: after now, at most 366 days after the start)")
            made = {"id": uuid.uuid4().hex[:12], "matchers": tree.get("matchers"), "starts": starts, "ends": ends}
            made |= {"comment": tree.get("comment", ""), "by": by}
            decode(made)
        except (ValueError, OverflowError) as error:
            raise ActRefused(400, str(error)) from None
        return {"act": "silence", "silence": made}

    def _unsilence(self, id_: str, by: str) -> dict[str, Any]:
        known = self._silences()
        if known is not None and id_ not in {one.id for one in known}:
            raise ActRefused(404, f"no silence with the id {id_!r:.80}")
        return {"act": "unsilence", "id": id_}


def refused(refusal: ActRefused | NotRead) -> Response:
    """Return the answer that a refusal is."""
    headers = {401: {"www-authenticate": "Bearer"}, 429: {"retry-after": "10"}, 503: {"retry-after": "2"}}.get(refusal.status, {})
    if isinstance(refusal, NotRead) and refusal.close:
        headers = {"connection": "close"}
    return to_json({"error": str(refusal)}, refusal.status, headers)


def _number(asked: dict[str, str], name: str, default: int | None, most: int) -> int | None:
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= most):
        raise ActRefused(400, f"{name}: found {text!r:.40} (accepted: 1 to {most})")
    return int(text)


def _chosen(asked: dict[str, str]) -> Callable[[dict[str, Any]], bool]:
    """Return what tells whether a record is asked for."""
    if unknown := sorted(set(asked) - set(_ASKED)):
        raise ActRefused(400, f"found {unknown!r:.80} (accepted: {', '.join(_ASKED)})")
    types = tuple(filter(None, asked.get("type", "").split(","))) or HISTORY
    if wrong := sorted(set(types) - set(HISTORY)):
        raise ActRefused(400, f"type: found {wrong!r:.80} (accepted: {', '.join(HISTORY)})")
    incident, rule, by = (asked.get(name) for name in ("incident", "rule", "by"))

    def matches(tree: dict[str, Any]) -> bool:
        return (
            tree.get("type") in types
            and (rule is None or tree.get("rule") == rule)
            and (by is None or tree.get("by") == by)
            and (incident is None or tree.get("incident") == incident or incident in (tree.get("incidents") or ()))
        )

    return matches


def _instant(tree: dict[str, Any], name: str) -> int:
    try:
        return epoch_ms(datetime.fromisoformat(tree[name]))
    except (ValueError, TypeError):
        raise ValueError(
            f"{name}: found {tree[name]!r:.80} (accepted: a time with offset, such as 2026-03-31T18:00:00Z)"
        ) from None
