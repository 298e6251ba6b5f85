"""Which deals and leads are open, where do they stand, and what happened to one of them? As JSON.

The lists are of what is open; a deal or lead that has ended is still told by its id, for as long as it is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple, Protocol

import msgspec
from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.folds.entity_snapshots import DealState, LeadState
from models.money import UNIT
from models.owners import Owners
from stream.readings.board import UnknownName
from stream.web.api import reach_of, refuse, to_json
from stream.web.context import context
from stream.web.people import REFUSED, sees_people
from stream.web.predictions import Asked, Elsewhere, Entity, come
from stream.web.reach import SegmentReach

SORTS = ("win", "amount", "age", "risk", "close")
#: Deals of a list, and of a stage's column, at most.
_LISTED, _SHOWN = 200, 6
_LONGEST = 100  # characters of what is searched for
#: Attributes of a fact that say what it is, in this order.
_SAID = ("stage", "amount", "currency", "owner", "team", "reason", "expected_close_date", "score", "source", "campaign", "name")
#: Whose deals are whose, all of them together, is a figure of single people.
_NOBODY: Mapping[str, None] = {"owner": None, "owner_name": None}
_TIMES = ("changed", "created", "closed", "stage_since", "last_activity", "contacted", "converted")


class OpenDeal(NamedTuple):
    """An open deal and, where it is predicted, how probable it is that it is won."""

    state: DealState
    win: float | None


class Story(NamedTuple):
    """What is known of one deal or lead: its present, and the facts behind it (epoch ms, kind, what it says), oldest first."""

    state: DealState | LeadState
    facts: Sequence[tuple[int, str, Mapping[str, Any]]]


class EntitySource(Protocol):
    """Who knows the open deals and leads. All raise :class:`Elsewhere` where this process does not."""

    def deals(self) -> Iterable[OpenDeal]:
        """Return the deals that are open."""

    def leads(self) -> Iterable[LeadState]:
        """Return the leads that are open and wait for a first contact."""

    def usual(self) -> Mapping[str, int]:
        """Return how long (ms) nine of ten deals stay in a stage at most, by stage; of the stages that enough have left."""

    def story(self, entity: Entity, key: str) -> Asked[Story | None]:
        """Return what is known of one, None where nothing is: at once, or after having asked another process."""


def router(source: EntitySource) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api")

    @routes.get("/pipeline", summary="Where the open deals stand")
    async def pipeline(request: Request) -> Response:
        """Return the stages in the order in which deals come to them: how many are in each, what they are worth, how long."""
        return _answer(lambda: _pipeline(_deals(source, request), _now(request)))

    @routes.get("/deals", summary="The open deals")
    async def deals(request: Request) -> Response:
        """Return open deals. ``sort``: win, amount, age (in its stage), risk (amount not expected), close (expected day).

        ``search`` is in the name, the id, the owner or the account; ``stage`` and ``owner`` choose, ``stuck`` (1) those that are
        longer in their stage than nine of ten; ``limit`` is at most 200.
        """
        asked = request.query_params
        sort = asked.get("sort", "risk")
        if sort not in SORTS:
            return refuse(UnknownName("sort", sort, SORTS))
        if asked.get("owner") is not None and not sees_people(request):
            return to_json({"error": f"owner: {REFUSED}"}, 403)
        return _answer(lambda: _list(_deals(source, request), asked, sort))

    @routes.get("/waiting", summary="The leads that wait for a first contact")
    async def waiting(request: Request) -> Response:
        """Return the open leads that nobody has answered yet, those that have waited longest first, at most 200."""
        return _answer(lambda: _waiting(source, request))

    @routes.get("/entities/{entity}/{key:path}", summary="What happened to a deal or lead")
    async def story(entity: str, key: str, request: Request) -> Response:
        """Return the present of a deal (``entity`` is ``deal``) or lead, and its facts, oldest first."""
        kinds: dict[str, Entity] = {"deal": "deal", "lead": "lead"}
        if entity not in kinds:
            return refuse(UnknownName("entity", entity, list(kinds)))
        try:
            found = await come(source.story(kinds[entity], key))
        except Elsewhere as elsewhere:
            return _elsewhere(elsewhere)
        return _answer(lambda: _story(found, kinds[entity], request))

    return routes


def _elsewhere(elsewhere: Elsewhere) -> Response:
    return to_json({"error": str(elsewhere)}, 503, {"retry-after": "2"})


def _answer(make: Any) -> Response:
    try:
        found = make()
    except Elsewhere as elsewhere:
        return _elsewhere(elsewhere)
    if found is None:  # that it is somebody else's is not told, either
        return to_json({"error": "nothing is known under this id (accepted: the id of a deal or lead that is kept)"}, 404)
    return to_json(found)


def _now(request: Request) -> int:
    return context(request).live_board.now()


class _Row(NamedTuple):
    """An open deal as it is shown; ``age`` (s) is the time in its stage."""

    shown: dict[str, Any]
    stage: str
    amount: float | None
    win: float | None
    age: float
    entered: int  # ms from its creation to the stage
    stuck: bool


def _deals(source: EntitySource, request: Request) -> list[_Row]:
    """Return the open deals that the asking one may see."""
    reach, people, now, usual = reach_of(request), context(request).people, _now(request), source.usual()
    rows = (_row(one, people, now, usual) for one in source.deals() if _seen(reach, one.state))
    return list(rows) if sees_people(request) else [row._replace(shown={**row.shown, **_NOBODY}) for row in rows]


def _seen(reach: SegmentReach | None, state: DealState | LeadState) -> bool:
    return reach is None or reach.has({"owner": state.owner, "team": state.team})


def _row(one: OpenDeal, people: Owners, now: int, usual: Mapping[str, int]) -> _Row:
    deal, stage = one.state, one.state.stage or ""
    since = deal.stage_since or deal.created or deal.changed
    limit = usual.get(stage)
    stuck = limit is not None and now - since > limit
    amount = None if deal.amount is None else deal.amount / UNIT
    shown = {
        "id": deal.id,
        "name": deal.name,
        "owner": deal.owner,
        "owner_name": _called(people, deal.owner),
        "stage": deal.stage,
        "amount": amount,
        "win": None if one.win is None else round(one.win, 4),
        "age": max(0, now - since) / 1000,
        "stuck": stuck,
        "expected_close": deal.expected_close,
        "created": None if deal.created is None else iso(deal.created),
        "source": deal.source,
    }
    return _Row(shown, stage, amount, one.win, max(0, now - since) / 1000, since - (deal.created or since), stuck)


def _called(people: Owners, owner: str | None) -> str | None:
    found = people.get(owner)
    return owner if found is None else found.name


def _pipeline(rows: Sequence[_Row], now: int) -> dict[str, Any]:
    by: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by[row.stage].append(row)
    # Deals come to the stages in the order of how old they are when they do.
    order = sorted(by, key=lambda stage: (not stage, median(row.entered for row in by[stage]), stage))
    return {"at": iso(now), "count": len(rows), "stages": [_stage(stage, by[stage]) for stage in order]}


def _stage(stage: str, rows: Sequence[_Row]) -> dict[str, Any]:
    worth = [row.amount for row in rows if row.amount is not None]
    expected = [row.amount * row.win for row in rows if row.amount is not None and row.win is not None]
    first = sorted(rows, key=lambda row: (not row.stuck, -(row.amount or 0), row.shown["id"]))[:_SHOWN]
    return {
        "stage": stage or None,
        "count": len(rows),
        "amount": sum(worth),
        "expected": sum(expected) if expected else None,
        "without_amount": len(rows) - len(worth),
        "age": median(row.age for row in rows),
        "stuck": sum(row.stuck for row in rows),
        "deals": [row.shown for row in first],
    }


def _list(rows: Sequence[_Row], asked: Mapping[str, str], sort: str) -> dict[str, Any]:
    words = asked.get("search", "")[:_LONGEST].casefold().split()
    stage, owner, stuck = asked.get("stage"), asked.get("owner"), asked.get("stuck") == "1"

    def fits(row: _Row) -> bool:
        text = " ".join(str(row.shown[name] or "") for name in ("id", "name", "owner", "owner_name")).casefold()
        chosen = (stage is None or row.stage == stage) and (owner is None or row.shown["owner"] == owner)
        return chosen and (row.stuck or not stuck) and all(word in text for word in words)

    found = [row for row in rows if fits(row)]
    keys: dict[str, Any] = {
        "win": lambda row: (row.win is None, -(row.win or 0)),
        "amount": lambda row: -(row.amount or 0),
        "age": lambda row: -row.age,
        "risk": lambda row: -(row.amount or 0) * (1 - (row.win or 0)),
        "close": lambda row: row.shown["expected_close"] or "~",
    }
    found.sort(key=lambda row: (keys[sort](row), row.shown["id"]))
    limit = asked.get("limit", "50")
    most = min(int(limit), _LISTED) if limit.isascii() and limit.isdecimal() and len(limit) < 5 else 50
    return {
        "count": len(found),
        "amount": sum(row.amount or 0 for row in found),
        "deals": [row.shown for row in found[:most]],
        "stages": sorted({row.stage for row in rows if row.stage}),
    }


def _waiting(source: EntitySource, request: Request) -> dict[str, Any]:
    reach, people, now = reach_of(request), context(request).people, _now(request)
    found = [lead for lead in source.leads() if _seen(reach, lead)]
    found.sort(key=lambda lead: (lead.created or lead.changed, lead.id))
    shown = [
        {
            "id": lead.id,
            "name": lead.name,
            "owner": lead.owner,
            "owner_name": _called(people, lead.owner),
            "source": lead.source,
            "level": lead.level or None,
            "waited": max(0, now - (lead.created or lead.changed)) / 1000,
        }
        for lead in found[:_LISTED]
    ]
    return {"count": len(found), "leads": shown if sees_people(request) else [{**one, **_NOBODY} for one in shown]}


def _story(story: Story | None, entity: Entity, request: Request) -> dict[str, Any] | None:
    reach = reach_of(request)
    if story is None or not _seen(reach, story.state):
        return None
    state = msgspec.to_builtins(story.state)
    shown: dict[str, Any] = {name: iso(value) if name in _TIMES and value is not None else value for name, value in state.items()}
    if shown.get("amount") is not None:
        shown["amount"] = shown["amount"] / UNIT
    shown.pop("sender", None)
    people = context(request).people

    def told(said: Mapping[str, Any]) -> dict[str, Any]:
        known = {name: said[name] for name in _SAID if said.get(name) not in (None, "")}
        if reach is not None:  # whose it was before is somebody else
            known = {name: value for name, value in known.items() if name not in ("owner", "team") or reach.has({name: value})}
        if "owner" in known:
            known["owner"] = _called(people, str(known["owner"]))
        if isinstance(known.get("amount"), int):  # facts keep money as the folds count it
            known["amount"] = known["amount"] / UNIT
        return known

    facts = [{"at": iso(at), "kind": kind, "said": told(said)} for at, kind, said in story.facts]
    return {"entity": entity, **shown, "owner_name": _called(people, story.state.owner), "facts": facts}
