"""Why is this number so? A KPI's reading with all that it is made of, and the deals and leads that it counts. As JSON and CSV."""

import asyncio
import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from models.calendar import iso
from models.events.refused import Refused
from models.events.scalars import parse_time
from models.folds.entity_snapshots import DealState
from models.kpis.asks import Ask, asks
from models.kpis.behind import CountedEntity, listed
from models.kpis.catalogue import Catalogue
from models.kpis.document import INTERVALS, kept
from models.kpis.entry import Kpi
from models.kpis.explain import explain
from models.kpis.feeds import feeds
from models.kpis.recount import differences, measured, number_shown, row
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window
from stream.readings.board import SEGMENTS, Unavailable, UnknownName
from stream.readings.counted import SECONDS, CountedDesk, FoundEntities
from stream.readings.past import instants
from stream.readings.refusals import RefusalCounts
from stream.web.api import cell, reach_of, refuse, to_json
from stream.web.context import Context, context
from stream.web.people import REFUSED, of_people, sees_people, unnamed
from stream.web.reach import SegmentReach

_ASKED = ("window", "segment", "at")
_EXPLAIN, _DEALS = (*_ASKED, "by"), (*_ASKED, "id", "limit", "offset", "format")
_MOST, _PAGE, _BLOCK = 1_000, 100, 500
_IDS = 100  # asked for by their ids in one request
_COLUMNS = (
    *("entity", "id", "name", "counted_at", "status", "created", "closed", "amount", "currency", "stage"),
    *("owner", "owner_name", "team", "source", "product", "region", "link"),
)
#: What a figure looks for refused events by: types, topics, and since when (epoch ms).
AskRefused = Callable[[Sequence[str], Sequence[str], int], RefusalCounts]
Link = Callable[[str, str, str], str | None]


class ExplainQuestion(NamedTuple):
    """A figure that is asked about."""

    kpi: Kpi
    window: Window
    segment: str
    at: int


def router(catalogue: Catalogue, whole: Callable[[], View], desk: CountedDesk, refused: AskRefused, link: Link) -> APIRouter:
    """Return the routes.

    ``whole`` gives the view, or raises :class:`Unavailable`; ``refused`` blocks; ``link`` gives the address of a deal or lead
    (kind, id, sender) where it is known.
    """
    routes = APIRouter(prefix="/api/kpis")

    @routes.get("/{kpi}/explain", summary="Why a figure is what it is")
    async def why(kpi: str, request: Request) -> Response:
        """Return a reading with its definition, what each measure comes to, the events behind it, and how others would count.

        ``window`` (default 30d), ``segment`` (``source=web``; default: the total), ``at`` (a time or day; default: now). With
        ``by`` each segment's reading stands beside it. ``measures`` says of each what the panes hold, and what the deals and
        leads of the list come to; ``differences`` what plainer definitions make of the same facts; ``events`` which types it
        lives on, and how many of these were refused since the window began. Whose token is limited to some owners and teams
        names one of these as ``segment``.
        """
        return await answered(lambda: _explained(catalogue, whole, desk, refused, kpi, request))

    @routes.get("/{kpi}/deals", summary="The deals and leads that a figure counts")
    async def deals(kpi: str, request: Request) -> Response:
        """Return the deals and leads that a reading counts, those that came last first, each with what it counts for.

        ``window``, ``segment`` and ``at`` as of the explanation; ``limit`` (at most 1000) and ``offset`` say which part, and
        ``next`` where to go on, at the same instant. ``link`` is the address of its page in the CRM. With ``format=csv`` all
        are given. With ``id`` (at most 100) these are told, whether they count or not; ``gone`` says how one went. Whose token
        is limited sees those that are theirs now.
        """
        return await answered(lambda: _listed(catalogue, whole, desk, link, kpi, request))

    return routes


async def answered(make: Callable[[], Any]) -> Response:
    """Return what ``make`` does, or why there is no answer."""
    try:
        found: Response = await make()
    except UnknownName as error:
        return refuse(error)
    except Unavailable as why:
        return to_json({"error": str(why)}, 503, {"retry-after": "2"})
    except (KafkaException, OSError):
        return to_json({"error": "the broker does not answer, which has what the figure counts"}, 503, {"retry-after": "2"})
    return found


def asked_of(
    catalogue: Catalogue, ctx: Context, kpi: str, request: Request, accepted: Sequence[str], over: str = "30d"
) -> ExplainQuestion:
    """Return what is asked; raise :class:`UnknownName`."""
    query = request.query_params
    for parameter in query:
        if parameter not in accepted:
            raise UnknownName("parameter", parameter, accepted)
    window, segment = query.get("window", over), query.get("segment") or TOTAL
    ctx.live_board.check([kpi], [window], [query["by"]] if query.get("by") else [])
    entry = catalogue.get(kpi)
    dimension, sign, value = segment.partition("=")
    if segment != TOTAL and (not sign or not value or dimension not in entry.by):
        shown = [TOTAL, *(f"{name}=…" for name in entry.by)]
        raise UnknownName("segment", segment[:100], shown)
    return ExplainQuestion(entry, Window.parse(window), segment, _at(query.get("at"), ctx))


def _at(text: str | None, ctx: Context) -> int:
    """Return the instant that is meant: what an answer of just now has named, exactly; one of earlier as it is still kept."""
    now = ctx.live_board.now()
    if not text:
        return now
    times = instants({"at": text}, now, ctx.business.business()) or [now]
    with contextlib.suppress(Refused):
        if 0 <= now - (exact := parse_time(text)) <= SECONDS * 1000:
            return exact
    return times[0]


def denied(asked: ExplainQuestion, request: Request, by: str | None = None) -> Response | None:
    """Return the refusal of what is about others, or (also told ``by`` a dimension) about single people, else None."""
    reach, (dimension, _, value) = reach_of(request), asked.segment.partition("=")
    if any(of_people(name or "") for name in (dimension, by)) and not sees_people(request):
        return to_json({"error": f"segment: {REFUSED}"}, 403)
    if reach is None or (dimension, value) in reach.segments:
        return None
    mine = ", ".join(f"{name}={one}" for name, values in reach.dimensions.items() for one in values)
    return to_json({"error": f"segment: found {asked.segment}, which is about others (accepted: {mine})"}, 403)


async def _explained(
    catalogue: Catalogue, whole: Callable[[], View], desk: CountedDesk, refused: AskRefused, name: str, request: Request
) -> Response:
    ctx, reach = context(request), reach_of(request)
    asked = asked_of(catalogue, ctx, name, request, _EXPLAIN)
    if (refusal := denied(asked, request, request.query_params.get("by"))) is not None:
        return refusal
    by = request.query_params.get("by")
    if by is not None and by != TOTAL and reach is not None and by not in reach.dimensions:
        return to_json({"error": f"by: found {by}, which is about everybody (accepted: {', '.join(reach.dimensions)})"}, 403)
    kpi, window, segment, at = asked
    whole()  # before all that takes long
    found = await desk.of(kpi, window, segment, at)
    start = window.bounds(at, ctx.business.business().calendar)[0]
    fed = feeds(kpi)
    types = sorted({*fed.counting, *fed.correcting})
    events: dict[str, Any] = {"counting": list(fed.counting), "correcting": list(fed.correcting)}
    if reach is None:
        lost = await asyncio.to_thread(refused, types, sorted(kpi.formula.folds), start)
        events |= {"refused": lost.counts, "refused_since": iso(start), "refused_whole": lost.whole}
    view = whole()
    reading = catalogue.reading(kpi, view, window, segment, at)
    measures = measured(kpi, view, window, segment, at, found.numbers)
    if reach is not None:  # of what a whole is made of, others' shares could be told
        mine = {ask.name for ask in asks(kpi, segment) if ask.segment == segment}
        measures = [one for one in measures if one["measure"] in mine]
    plain = differences(kpi, view, window, segment, at, reading.value, found.naive) if reading.since is None else []
    because = explain(catalogue, view, kpi, window, reading)
    if not sees_people(request):
        because = unnamed(because)
    if reach is not None:
        because.pop("total", None)
        plain = [{key: value for key, value in one.items() if key != "examples"} for one in plain]
    told: dict[str, Any] = {
        **_definition(kpi),
        "reading": ctx.named([reading.as_json()])[0],
        "measures": measures,
        "whole": all(one["value"] == one["listed"] for one in measures if "listed" in one and one["value"] is not None),
        "events": events,
        "counted": _summary(found, reach),
        "differences": plain,
        **because,
    }
    if by is not None and by != TOTAL:
        names = view.busiest(by, kpi.formula.folds, SEGMENTS) if reach is None else reach.dimensions[by]
        told["readings"] = ctx.named([catalogue.reading(kpi, view, window, f"{by}={one}", at).as_json() for one in names])
    return to_json(told)


def _definition(kpi: Kpi) -> dict[str, Any]:
    return {
        "kpi": kpi.id,
        "label": dict(kpi.label),
        "definition": kpi.definition,
        "definitions": dict(kpi.definitions),
        "formula": kpi.formula.text,
        "numerator": kpi.formula.numerator.text,
        "denominator": None if kpi.formula.denominator is None else kpi.formula.denominator.text,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "basis": list(kpi.basis),
        "sample": None if kpi.sample is None else kpi.sample.text,
        "minimum": kpi.minimum,
        "interval": INTERVALS[kpi.interval] if kpi.interval else None,
        "kept": list(kept(kpi)),
        "by": list(kpi.by),
    }


def _summary(found: FoundEntities, reach: SegmentReach | None) -> dict[str, Any]:
    seen = [one for one in found.counted if _theirs(one, reach)]
    deals = sum(isinstance(one.state, DealState) for one in seen)
    return {
        "deals": deals,
        "leads": len(seen) - deals,
        "of_others_now": len(found.counted) - len(seen),
        "unreadable": found.damaged,
    }


def _theirs(one: CountedEntity, reach: SegmentReach | None) -> bool:
    return reach is None or reach.has({"owner": one.state.owner, "team": one.state.team})


async def _listed(
    catalogue: Catalogue, whole: Callable[[], View], desk: CountedDesk, link: Link, name: str, request: Request
) -> Response:
    ctx, reach, query = context(request), reach_of(request), request.query_params
    asked = asked_of(catalogue, ctx, name, request, _DEALS)
    if (refusal := denied(asked, request)) is not None:
        return refusal
    kind = query.get("format", "json")
    if kind not in ("json", "csv"):
        raise UnknownName("format", kind, ("json", "csv"))
    limit, offset = _whole("limit", query.get("limit"), _PAGE, _MOST), _whole("offset", query.get("offset"), 0, 1 << 53)
    kpi, window, segment, at = asked
    one_by_one = [ask for ask in asks(kpi, segment) if listed(ask)]
    named = sees_people(request)

    def shown(one: CountedEntity) -> dict[str, Any]:
        told = _row(one, kpi, one_by_one, ctx, link)
        return told if named else told | {"owner": None, "owner_name": None}

    if ids := query.getlist("id"):
        if len(ids) > _IDS:
            raise UnknownName("id", f"{len(ids)} of them", [f"at most {_IDS}"])
        known = await desk.those(kpi, window, segment, at, ids)
        rows = [{**shown(one), "gone": gone or None} for one, gone in known if _theirs(one, reach)]
        return to_json(_page(asked, ctx, len(rows), rows, None))
    found = await desk.of(kpi, window, segment, at)
    seen = [one for one in found.counted if _theirs(one, reach)]
    if kind == "csv":
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{kpi.id}-{window.name}.csv"'}
        return StreamingResponse(_csv(seen, shown, one_by_one), headers=headers, media_type="text/csv; charset=utf-8")
    page = seen[offset : offset + limit]
    last = offset + len(page)
    more = f"/api/kpis/{kpi.id}/deals?window={window.name}&at={iso(at)}&limit={limit}&offset={last}"
    if segment != TOTAL:
        more += "&segment=" + str(request.query_params["segment"]).replace("%", "%25").replace("&", "%26").replace("+", "%2B")
    told = _page(asked, ctx, len(seen), [shown(one) for one in page], more if page and last < len(seen) else None)
    told["of_others_now"] = len(found.counted) - len(seen)
    if reach is None:
        told["measures"] = {ask.name: number_shown(kpi, ask, found.numbers.get(ask, 0)) for ask in one_by_one}
    return to_json(told)


def _page(
    asked: ExplainQuestion, ctx: Context, count: int, rows: Sequence[Mapping[str, Any]], more: str | None
) -> dict[str, Any]:
    kpi, window, segment, at = asked
    start = window.bounds(at, ctx.business.business().calendar)[0]
    told = {"kpi": kpi.id, "window": window.name, "segment": segment, "from": iso(start), "at": iso(at), "count": count}
    return {**told, "deals": rows, "next": more}


def _whole(name: str, text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 16 or int(text) > most:
        raise UnknownName(name, text[:100], [f"a whole number from 0 to {most}"])
    return int(text)


def _row(one: CountedEntity, kpi: Kpi, one_by_one: Sequence[Ask], ctx: Context, link: Link) -> dict[str, Any]:
    told, state = row(one, kpi, one_by_one), one.state
    owner = ctx.people.get(state.owner)
    return told | {
        "currency": None if told["amount"] is None else ctx.business.currency,
        "owner_name": state.owner if owner is None else owner.name,
        "link": link(told["entity"], state.id, state.sender or ""),
    }


def _csv(
    seen: Sequence[CountedEntity], shown: Callable[[CountedEntity], Mapping[str, Any]], one_by_one: Sequence[Ask]
) -> Iterator[str]:
    names = list(dict.fromkeys(ask.name for ask in one_by_one))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *names])
    for number, one in enumerate(seen):
        told = shown(one)
        writer.writerow([cell(told[name]) for name in _COLUMNS] + [cell(told["counts"].get(name)) for name in names])
        if number % _BLOCK == _BLOCK - 1:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()
