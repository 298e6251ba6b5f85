"""How do objectives and challenges stand, and who sets one? As JSON."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from models.calendar import iso
from models.goals.challenges import Held
from models.goals.kept import MOST
from models.goals.known import wrong_objective
from models.goals.objectives import Chance, nobody, objective_document
from models.goals.plan import Objective, as_json
from models.goals.standings import Standings
from models.goals.templates import TEMPLATES
from models.owners import Owners
from models.panes.view import View
from stream.config.goal_settings import ObjectiveSettings
from stream.config.problems import path_of, problems_of
from stream.ingest.body import Bodies, NotRead
from stream.readings.board import Unavailable, UnknownName
from stream.web.api import reach_of, refuse, to_json
from stream.web.context import context
from stream.web.operate import ActRefused, Operations, refused
from stream.web.people import sees_people

_MOST_PAST = 12
_BODY = 16_384
_PROGRESS, _REMOVE = ("id", "progress", "note"), ("id", "remove")


def router(
    plans: Callable[[], Standings], whole: Callable[[], View], operations: Operations,
    put: Callable[[bytes, bytes | None], Awaitable[None]], chances: Callable[[set[str | None]], Chance] = lambda asked: nobody,
) -> APIRouter:  # fmt: skip
    """Return the routes.

    ``whole`` gives the view, or raises :class:`Unavailable` where this process does not hold it; ``put`` writes a record of the
    topic ``objectives`` and returns once the broker has it, or raises ``OSError``. ``chances`` gives the forecasts by
    some dimensions (None: of the total), as they are now.
    """
    routes, bodies = APIRouter(prefix="/api"), Bodies(_BODY)

    @routes.get("/objectives", summary="What teams and people want to reach, and how far they are")
    async def objectives(request: Request) -> Response:
        """Return each objective with its main goal, indicators and the periods before (``past``: 0 to 12, default 3).

        ``owner``, ``team`` and ``period`` choose. Whose token is limited to some owners and teams sees theirs.
        """
        query, reach = request.query_params, reach_of(request)
        try:
            _known(query, ("owner", "team", "period", "past"))
            past = _number(query.get("past", "3"))
            view = whole()
        except UnknownName as error:
            return refuse(error)
        except Unavailable as why:
            return to_json({"error": str(why)}, 503, {"retry-after": "2"})
        ctx, known, people = context(request), plans(), sees_people(request)
        found, now = [], ctx.live_board.now()
        chance = chances({next(iter(one.of), None) for one in known.kept.all(known.objectives)})
        for one in known.kept.all(known.objectives):
            asked = all(
                query.get(name, of) == of for name, of in (("owner", one.owner), ("team", one.team), ("period", one.period))
            )
            seen = reach.sees(one.of) if reach is not None else people or not one.owner
            if not asked or not seen or {one.owner, one.team} & known.left_out:
                continue
            shown = objective_document(view, known.catalogue, one, now, known.kept.said.get(one.id), chance, past)
            declared = any(mine.id == one.id for mine in known.objectives)
            more = {"who": _who(one, ctx.people), "source": "settings" if declared else "api"}
            found.append(shown | more | {"by": None if declared else known.kept.by.get(one.id)})
        return to_json({"at": iso(now), "currency": view.business.currency, "objectives": found})

    @routes.get("/objectives/templates", summary="Objectives to begin with")
    async def templates() -> Response:
        """Return some objectives as the settings, and ``POST /api/objectives``, have them."""
        return to_json(TEMPLATES)

    @routes.post("/objectives", summary="Set an objective, its progress, or remove it")
    async def post(request: Request) -> Response:
        """Set an objective as the settings have it, or ``{"id", "progress", "note"}``, or ``{"id", "remove": true}``."""
        try:
            reach = reach_of(request)
            by = operations.operator(request, "operate" if reach is None else "read")
            with await bodies.read(request.headers, request.receive) as body:
                key, record, of = _asked(body.content, plans(), by, context(request).live_board.now())
            if reach is not None and not reach.sees(of):
                raise ActRefused(403, "your token sets objectives of its owners and teams")
            await put(key.encode(), None if record is None else orjson.dumps(record))
        except (ActRefused, NotRead) as refusal:
            return refused(refusal)
        except OSError:
            return to_json({"error": "the broker did not take it; try again"}, 503, {"retry-after": "2"})
        return to_json({"id": key.partition("|")[2], **(record or {"removed": True})}, 202)

    @routes.get("/challenges", summary="Who leads in the challenges, and whether they are fair")
    async def challenges(request: Request) -> Response:
        """Return each challenge with its places, guards, and what was pulled into it.

        The first places are shown, and never the lower half; with ``all=true`` all of them. Whose token is limited to some owners
        and teams sees these, with their places. With ``dry_run=true`` those that are tried out are there, too.
        """
        query, reach = request.query_params, reach_of(request)
        try:
            _known(query, ("all", "dry_run"))
            every, tried = _flag(query, "all"), _flag(query, "dry_run")
            view = whole()
        except UnknownName as error:
            return refuse(error)
        except Unavailable as why:
            return to_json({"error": str(why)}, 503, {"retry-after": "2"})
        ctx, known, people = context(request), plans(), sees_people(request)
        found, now = [], ctx.live_board.now()
        for plan in known.challenges:
            if (plan.dry_run and not (tried and reach is None)) or (plan.by == "owner" and not people):
                continue
            held = Held(view, known.catalogue, plan, now, least=known.least, left_out=known.left_out)
            if reach is not None:
                shown = [one for one in held.board.places if reach.sees({plan.by: one.who})]
            else:
                shown = list(held.board.places if every else held.board.public(known.shown))
            found.append(held.as_json(shown, ctx.people.name if plan.by == "owner" else str))
        return to_json({"at": iso(now), "currency": view.business.currency, "challenges": found})

    return routes


def _who(one: Objective, people: Owners) -> str | None:
    return people.name(one.owner) if one.owner else one.team or None


def _known(query: Mapping[str, str], accepted: Sequence[str]) -> None:
    for name in query:
        if name not in accepted:
            raise UnknownName("parameter", name, accepted)
    if query.get("period", "month") not in ("month", "week"):
        raise UnknownName("period", query["period"], ("month", "week"))


def _flag(query: Mapping[str, str], name: str) -> bool:
    if query.get(name, "false") not in ("true", "false"):
        raise UnknownName(name, query[name], ("true", "false"))
    return query.get(name) == "true"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:4]) <= _MOST_PAST):
        raise UnknownName("past", text, [f"0 to {_MOST_PAST}"])
    return int(text)


def _asked(body: bytes, known: Standings, by: str, now: int) -> tuple[str, dict[str, Any] | None, dict[str, str]]:
    """Return key, record and segment of what is to be set; raise :class:`ActRefused`."""
    try:
        tree = orjson.loads(body)
    except ValueError as error:
        raise ActRefused(400, f"not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ActRefused(400, f"found {tree!r:.80} (accepted: an objective, or an id with progress, or with remove: true)")
    if "id" in tree:
        return _changed(tree, known, by, now)
    try:
        objective = ObjectiveSettings.model_validate(tree).objective()
    except ValidationError as error:
        problems = [f"{path_of(loc)}: {text}" if loc else text for loc, text in problems_of(error, ObjectiveSettings)]
        raise ActRefused(400, "; ".join(problems)) from None
    problems = [f"{field}: {text}" for field, text in wrong_objective(known.catalogue, objective)]
    if problems:
        raise ActRefused(400, "; ".join(problems))
    if any(one.id == objective.id for one in known.objectives):
        raise ActRefused(
            409, f"name: {objective.name!r} is declared in the settings (accepted: change it there, or another name)"
        )
    if objective.id not in known.kept.objectives and len(known.kept.objectives) >= MOST:
        raise ActRefused(400, f"{MOST} objectives are set (accepted: remove some first)")
    held = known.kept.objectives.get(objective.id)
    if held is not None and held.of != objective.of:
        raise ActRefused(409, f"name: {objective.name!r} is an objective of somebody else (accepted: another name)")
    return f"o|{objective.id}", {"objective": as_json(objective), "by": by, "at": iso(now)}, objective.of


def _changed(tree: dict[str, Any], known: Standings, by: str, now: int) -> tuple[str, dict[str, Any] | None, dict[str, str]]:
    name = tree["id"]
    objective = next((one for one in known.kept.all(known.objectives) if one.id == name), None)
    if objective is None:
        raise ActRefused(404, f"id: found {name!r:.80} (accepted: the id of an objective, as GET /api/objectives has it)")
    if "remove" in tree:
        if set(tree) != set(_REMOVE) or tree["remove"] is not True:
            raise ActRefused(400, "remove: accepted is true, beside the id alone")
        if name not in known.kept.objectives:
            raise ActRefused(409, f"id: {name!r} is declared in the settings (accepted: remove it there)")
        return f"o|{name}", None, objective.of
    progress, note = tree.get("progress"), tree.get("note", "")
    if unknown := sorted(set(tree) - set(_PROGRESS)):
        raise ActRefused(400, f"found {unknown!r:.80} (accepted: {', '.join(_PROGRESS)})")
    if isinstance(progress, bool) or not isinstance(progress, int | float) or not 0 <= progress <= 1:
        raise ActRefused(400, f"progress: found {progress!r:.40} (accepted: a number from 0 to 1)")
    if not isinstance(note, str) or len(note) > 500:
        raise ActRefused(400, "note: accepted is a text of at most 500 characters")
    if objective.main.kpi:
        raise ActRefused(
            400, f"progress: {name!r} is measured by {objective.main.kpi} (accepted for an objective that is a text)"
        )
    return f"p|{name}", {"progress": progress, "note": note, "by": by, "at": iso(now)}, objective.of
