"""The tables as OData 4.0, which Power BI, Excel, Tableau and others read: ``/odata/v4``.

A reading feed is read by time: without a bound on ``at`` it holds the readings of now, with one (``at ge``, ``at lt``) those of
the ends of days. ``kpi``, ``window``, ``by``, ``every``, ``from``, ``to`` and ``as_of`` may stand beside OData's options.
"""

import asyncio
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Request, Response

from models.calendar import iso
from models.config.suggest import near
from models.feeds.filter import BadQuery, NotSupported
from models.feeds.query import Query, parse_query
from models.feeds.tables import TABLES, ColumnKind, FeedTable, Row
from stream.readings.board import UnknownName
from stream.readings.past import PARAMETERS as TIMES
from stream.web.api import reach_of
from stream.web.feeds.metadata import metadata
from stream.web.feeds.pages import counted, page
from stream.web.feeds.sources import ELSEWHERE, FeedDesk, FeedQuestion, Forbidden
from stream.web.people import sees_people

ROOT = "/odata/v4"
#: Rows of a page, where the client does not want fewer.
PAGE = 10_000
#: Rows that are written before others may run.
_AT_A_TIME = 250
PARAMETERS = ("kpi", "window", "by", "as_of", *TIMES)
_VERSION = {"odata-version": "4.0", "cache-control": "no-store"}
_KEYED = re.compile(r"(?P<table>[a-z]+)\('(?P<key>(?:[^']|'')*)'\)")
_iso = functools.lru_cache(4096)(iso)


def router(feeds: FeedDesk) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=ROOT)

    @routes.get("", summary="OData: the feeds there are")
    @routes.get("/", include_in_schema=False)
    async def service(request: Request) -> Response:
        """Return the service document: the entity sets."""
        root = base_of(request)
        sets = [{"name": name, "kind": "EntitySet", "url": name} for name in TABLES]
        return _answer(request, {"@odata.context": f"{root}/$metadata", "value": sets})

    @routes.get("/$metadata", summary="OData: what the feeds hold")
    async def described() -> Response:
        """Return the metadata document, always as XML."""
        return Response(metadata(), headers=_VERSION, media_type="application/xml")

    @routes.get("/vigie.pbids", summary="OData: what Power BI Desktop opens the feeds with")
    async def pbids(request: Request) -> Response:
        """Return a file that Power BI Desktop connects with when it is opened; it holds the address and nothing else."""
        connection = {"details": {"protocol": "odata", "address": {"url": base_of(request)}}, "options": {}, "mode": "Import"}
        body = orjson.dumps({"version": "0.1", "connections": [connection]}, option=orjson.OPT_INDENT_2)
        headers = {"content-disposition": 'attachment; filename="vigie.pbids"', "cache-control": "no-store"}
        return Response(body, headers=headers, media_type="application/json")

    @routes.get("/{feed}/$count", summary="OData: how many rows a feed has")
    async def count(feed: str, request: Request) -> Response:
        """Return the number of rows that fulfil ``$filter``, as a text."""
        return await _guarded(request, lambda: _count(feeds, feed, request))

    @routes.get("/{feed:path}", summary="OData: a feed")
    async def rows(feed: str, request: Request) -> Response:
        """Return rows of readings, deals, leads, customers, alerts or the catalogue; or one, by its key: ``deals('D-1')``.

        ``$filter`` knows ``eq ne gt ge lt le in``, ``and``, ``or`` and ``not``; ``$select``, ``$orderby``, ``$top``, ``$skip``
        and ``$count`` are there. A page has at most 10,000 rows (``Prefer: odata.maxpagesize``); ``@odata.nextLink`` is the next.
        """
        return await _guarded(request, lambda: _rows(feeds, feed, request))

    return routes


def base_of(request: Request) -> str:
    """Return the address of the service: of the settings, else that under which we are known (``stream/web/access.py``)."""
    found = getattr(request.state, "base", None)
    if found is None:
        host, port = request.scope.get("server") or ("localhost", None)
        found = f"http://{host}:{port}" if port else f"http://{host}"
    return f"{found}{ROOT}"


async def _guarded(request: Request, make: Callable[[], Any]) -> Response:
    """Return an answer, or the refusal as OData has it."""
    try:
        _negotiated(request)
        answer: Response = await make()
        return answer
    except NotSupported as error:
        return _refused(501, str(error))
    except OtherFormat as error:
        return _refused(406, str(error))
    except (BadQuery, UnknownName) as error:
        return _refused(400, str(error))
    except Forbidden as error:
        return _refused(403, str(error))
    except LookupError as error:
        if not isinstance(error, ELSEWHERE):
            raise
        return _refused(503, str(error), {"retry-after": "2"})


def _refused(status: int, text: str, more: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps({"error": {"code": str(status), "message": text}})
    return Response(body, status, {**_VERSION, **(more or {})}, "application/json")


def _negotiated(request: Request) -> None:
    """Raise where the client wants another version, or another format than JSON."""
    latest = request.headers.get("odata-maxversion", "4.0")
    if not re.fullmatch(r"\d\.\d+", latest.strip()) or latest.strip() < "4.0":
        raise BadQuery(f"OData-MaxVersion: found {latest[:20]!r} (accepted: 4.0)")
    wanted = request.query_params.get("$format")
    if wanted is not None and wanted.partition(";")[0].strip() not in ("json", "application/json"):
        raise OtherFormat(f"$format: found {wanted[:60]!r} (accepted: json)")


class OtherFormat(BadQuery):
    """The client wants something else than JSON."""


def _found(feed: str) -> FeedTable | None:
    return TABLES.get(feed)


def _missing(feed: str) -> Response:
    return _refused(404, f"no such feed{near(feed[:80], TABLES)}")


def _ask(feeds: FeedDesk, table: FeedTable, request: Request) -> FeedQuestion:
    asked = request.query_params
    if len(asked) != len(asked.multi_items()):
        raise BadQuery("an option is there twice (accepted: each once)")
    for name in asked:
        if not name.startswith("$") and name not in PARAMETERS:
            raise BadQuery(f"unknown parameter {name[:60]}{near(name[:60], PARAMETERS)}")
    query = parse_query(asked, table)
    now = feeds.now()
    begun = now if query.pinned is None else min(query.pinned, now)
    return FeedQuestion(query, asked, reach_of(request), begun, sees_people(request))


async def _count(feeds: FeedDesk, feed: str, request: Request) -> Response:
    table = _found(feed)
    if table is None:
        return _missing(feed)
    number = await counted(feeds, _ask(feeds, table, request))
    return Response(str(number), headers=_VERSION, media_type="text/plain; charset=utf-8")


async def _rows(feeds: FeedDesk, feed: str, request: Request) -> Response:
    keyed = _KEYED.fullmatch(feed)
    table = _found(keyed["table"] if keyed else feed)
    if table is None or (keyed is not None and len(table.key) > 1):
        return _missing(feed)
    ask = _ask(feeds, table, request)
    if keyed is not None:
        return await _one(feeds, ask, keyed["key"].replace("''", "'"), request)
    most, preferred = _size(request.headers.get("prefer", ""))
    found = await page(feeds, ask, most)
    told = [f'"@odata.context":{_text(_context(ask.query, request))}'] if _context_wanted(request) else []
    if found.total is not None:
        told.append(f'"@odata.count":{_whole(found.total, request)}')
    left = None if ask.query.top is None else ask.query.top - len(found.rows)
    link = _next(ask, found.rows[-1], left, request) if found.more and found.rows and left != 0 else None
    body = b"{" + ",".join([*told, '"value":[']).encode() + await _lines(ask.query, found.rows, request) + b"]"
    body += b"" if link is None else f',"@odata.nextLink":{_text(link)}'.encode()
    more = {"preference-applied": f"odata.maxpagesize={most}"} if preferred else {}
    return Response(body + b"}", headers={**_VERSION, **more}, media_type=_kind(request))


async def _one(feeds: FeedDesk, ask: FeedQuestion, key: str, request: Request) -> Response:
    from models.feeds.filter import parse

    table = ask.query.table
    chosen = parse(f"{table.key[0]} eq '{key.replace(chr(39), chr(39) * 2)}'", table)
    found = await page(feeds, ask._replace(query=ask.query._replace(chosen=chosen, top=1, skip=0, counted=False)), 1)
    if not found.rows:
        return _refused(404, f"nothing in {table.name} has this key")
    row = orjson.loads(await _lines(ask.query, found.rows, request))
    context = {"@odata.context": f"{_context(ask.query, request)}/$entity"} if _context_wanted(request) else {}
    return _answer(request, {**context, **row})


def _size(prefer: str) -> tuple[int, bool]:
    found = re.search(r"(?:odata\.)?maxpagesize=(\d{1,9})\b", prefer)
    wanted = int(found[1]) if found else 0
    return (min(wanted, PAGE), True) if wanted else (PAGE, False)


def _context(query: Query, request: Request) -> str:
    chosen = "" if query.columns == query.table.names else f"({','.join(query.columns)})"
    return f"{base_of(request)}/$metadata#{query.table.name}{chosen}"


def _next(ask: FeedQuestion, last: Row, left: int | None, request: Request) -> str:
    kept = {name: value for name, value in request.query_params.items() if name not in ("$skip", "$skiptoken", "$top")}
    if left is not None:
        kept["$top"] = str(left)
    kept["$skiptoken"] = ask.query.token(last, ask.now)
    return f"{base_of(request)}/{ask.query.table.name}?{urlencode(kept, quote_via=quote, safe='$')}"


# -- how values are written ----------------------------------------------------------------------------------------------


def _format(request: Request) -> str:
    return (request.query_params.get("$format") or request.headers.get("accept", "")).lower().replace(" ", "")


def _exact(request: Request) -> bool:
    """Whether the client takes large numbers as texts."""
    return "ieee754compatible=true" in _format(request)


def _context_wanted(request: Request) -> bool:
    return "odata.metadata=none" not in _format(request)


def _kind(request: Request) -> str:
    level = "minimal" if _context_wanted(request) else "none"
    return f"application/json;odata.metadata={level}" + (";IEEE754Compatible=true" if _exact(request) else "")


def _answer(request: Request, tree: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(tree), headers=_VERSION, media_type=_kind(request))


def _text(text: str) -> str:
    return orjson.dumps(text).decode()


def _whole(number: int, request: Request) -> str:
    return f'"{number}"' if _exact(request) else str(number)


async def _lines(query: Query, rows: list[Row], request: Request) -> bytes:
    """Return rows as JSON, letting others run in between."""
    exact = _exact(request)
    kinds = {column.name: column.kind for column in query.table.columns}
    makers = [(name, query.table.place(name), _maker(kinds[name], exact)) for name in query.columns]
    found: list[bytes] = []
    for begin in range(0, len(rows), _AT_A_TIME):
        trees = [
            {name: row[place] if make is None else make(row[place]) for name, place, make in makers}
            for row in rows[begin : begin + _AT_A_TIME]
        ]
        found.append(orjson.dumps(trees)[1:-1])
        await asyncio.sleep(0)
    return b",".join(found)


def _maker(kind: ColumnKind, exact: bool) -> Callable[[Any], Any] | None:
    if kind is ColumnKind.TIME:
        return lambda value: None if value is None else _iso(value)
    if exact and kind in (ColumnKind.WHOLE, ColumnKind.MONEY):
        return lambda value: None if value is None else str(value)
    return None
