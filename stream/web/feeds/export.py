"""The tables as files: ``/api/export``, with lengths and ranges, as readers of Parquet ask for."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import xxhash
from fastapi import APIRouter, Request, Response

from models.feeds.filter import BadQuery, NotSupported
from models.feeds.query import Query, parse_query
from models.feeds.tables import TABLES, FeedTable
from stream.readings.board import UnknownName
from stream.readings.past import PARAMETERS as TIMES
from stream.readings.past import limits
from stream.web.api import reach_of, refuse, to_json
from stream.web.context import Context, context
from stream.web.feeds.files import FORMATS, LOCALES, FileForm, NoParquet, written
from stream.web.feeds.pages import page
from stream.web.feeds.sources import ELSEWHERE, FeedDesk, FeedQuestion, Forbidden
from stream.web.people import sees_people

#: Rows of one file, at most: a file is made in memory.
MOST = 500_000
#: For so long (s) parts of a file are of the one that was made, and so many bytes are kept for that.
_KEPT, _BYTES = 60.0, 64 << 20
PARAMETERS = (
    *("feed", "format", "filter", "select", "orderby", "limit", "cursor", "bom", "locale"),
    *("kpi", "window", "by", "as_of", *TIMES),
)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class File(NamedTuple):
    """A file as it was made; ``cursor`` is where the next one begins, where there are more rows."""

    body: bytes
    form: FileForm
    cursor: str | None

    @property
    def etag(self) -> str:
        """What the content is known by."""
        return f'"{xxhash.xxh3_128_hexdigest(self.body)}"'


class Files:
    """The files that were made lately, so that those who read them in parts read one and the same."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[float, File]] = {}
        self.one_at_a_time = asyncio.Lock()

    def get(self, key: Any) -> File | None:
        """Return the file that was made lately for this question."""
        made, found = self._made.get(key, (0.0, None))
        return found if time.monotonic() - made < _KEPT else None

    def put(self, key: Any, file: File) -> None:
        """Keep a file for a while."""
        now = time.monotonic()
        kept = {one: held for one, held in self._made.items() if now - held[0] < _KEPT and one != key}
        kept[key] = now, file
        while len(kept) > 1 and sum(len(held.body) for _, held in kept.values()) > _BYTES:
            del kept[next(iter(kept))]
        self._made = kept


def router(feeds: FeedDesk) -> APIRouter:
    """Return the route."""
    routes, files = APIRouter(prefix="/api"), Files()

    @routes.get("/export", summary="A table as a file: CSV, JSON Lines, Parquet")
    async def export(request: Request) -> Response:
        """Return a table: ``feed`` is readings, deals, leads, customers, alerts or catalogue, ``format`` csv, jsonl or parquet.

        ``filter``, ``select`` and ``orderby`` are as in OData (``docs/odata.md``); ``kpi``, ``window`` and ``by`` choose
        readings. With ``from``, ``to`` and ``every`` readings and customers are those of earlier instants; deals, leads and
        alerts those that have changed in that time. ``limit`` and ``cursor`` (the header ``Link``) page. ``bom=1`` and
        ``locale`` (fr: semicolons and decimal commas) are for spreadsheets. Answers have a length and an ETag, and are given in
        parts (``Range``) too.
        """
        return await _answer(feeds, files, request)

    @routes.head("/export", include_in_schema=False)
    async def head(request: Request) -> Response:
        """Return what the file is, without it."""
        return await _answer(feeds, files, request)

    return routes


async def _answer(feeds: FeedDesk, files: Files, request: Request) -> Response:
    key = (str(sorted(request.query_params.multi_items())), reach_of(request), sees_people(request))
    file = files.get(key) if "range" in request.headers else None
    if file is None:
        try:
            async with files.one_at_a_time:
                file = await _made(feeds, request)
        except UnknownName as error:
            return refuse(error)
        except (BadQuery, NoParquet) as error:
            return to_json({"error": str(error)}, 501 if isinstance(error, NotSupported | NoParquet) else 400)
        except Forbidden as error:
            return to_json({"error": str(error)}, 403)
        except ELSEWHERE as error:
            return to_json({"error": str(error)}, 503, {"retry-after": "2"})
        files.put(key, file)
    return _part(file, request)


async def _made(feeds: FeedDesk, request: Request) -> File:
    asked = request.query_params
    for name in asked:
        if name not in PARAMETERS:
            raise UnknownName("parameter", name, PARAMETERS)
    for name, accepted in (("feed", tuple(TABLES)), ("format", FORMATS), ("locale", tuple(LOCALES)), ("bom", ("0", "1"))):
        if asked.get(name, accepted[0]) not in accepted or (name == "feed" and name not in asked):
            raise UnknownName(name, asked.get(name, ""), accepted)
    table = TABLES[asked["feed"]]
    options = {"filter": "$filter", "select": "$select", "orderby": "$orderby", "limit": "$top", "cursor": "$skiptoken"}
    query = parse_query({option: asked[name] for name, option in options.items() if asked.get(name)}, table)
    query, beside = _in_time(query, table, asked, context(request))
    now = feeds.now()
    begun = now if query.pinned is None else min(query.pinned, now)
    ask = FeedQuestion(query, beside, reach_of(request), begun, sees_people(request))
    found = await page(feeds, ask, MOST)
    left = None if query.top is None else query.top - len(found.rows)
    if found.more and left != 0:
        raise BadQuery(f"limit: there are more than {MOST:,} rows (accepted: a limit, a filter, or from and to)")
    form = FileForm(asked.get("format", "csv"), asked.get("bom") == "1", asked.get("locale", "en"))
    body = await asyncio.to_thread(written, query, found.rows, form)
    return File(body, form, query.token(found.rows[-1], ask.now) if found.more and found.rows else None)


def _in_time(query: Query, table: FeedTable, asked: Mapping[str, str], ctx: Context) -> tuple[Query, Mapping[str, str]]:
    """Return the query and the parameters beside it; of what is known as it is now, those rows that are of the time asked for."""
    if table.name in ("readings", "customers") or not any(asked.get(name) for name in TIMES):
        return query, asked
    if table.time is None or asked.get("every") or asked.get("at"):
        accepted = "nothing of time" if table.time is None else "from, to"
        raise UnknownName(
            "every", asked.get("every") or asked.get("at") or "", [accepted], f" of {table.name}, which is kept as it is now"
        )
    low, high = limits(asked, ctx.business.business())
    if low is not None:
        query = _and(query, lambda at: at is not None and at >= low, table)
    if high is not None:
        query = _and(query, lambda at: at is not None and at < high, table)
    return query, {}


def _and(query: Query, holds: Any, table: FeedTable) -> Query:
    place, before = table.place(table.time or ""), query.chosen
    return query._replace(chosen=before._replace(test=lambda row: holds(row[place]) and before.test(row)))


def _part(file: File, request: Request) -> Response:
    """Return the file, or the part of it that is asked for."""
    name = f"vigie-{request.query_params['feed']}.{file.form.format}"
    headers = {
        "cache-control": "no-store", "etag": file.etag, "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{name}"',
        "content-encoding": "identity",  # parts and lengths are of the file itself, not of a packed one
    }  # fmt: skip
    if file.cursor is not None:
        base = getattr(request.state, "base", "")
        kept = {name: value for name, value in request.query_params.items() if name != "cursor"} | {"cursor": file.cursor}
        headers["link"] = f'<{base}/api/export?{urlencode(kept)}>; rel="next"'
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    whole = len(file.body)
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is None or wanted.groups() == ("", "") or request.headers.get("if-range", file.etag) != file.etag:
        return _sized(file.body, request, 200, headers, file.form.media)
    first, last = wanted.groups()
    begin = int(first) if first else max(0, whole - int(last))
    end = min(int(last) + 1, whole) if first and last else whole
    if begin >= end:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{whole}"})
    headers["content-range"] = f"bytes {begin}-{end - 1}/{whole}"
    return _sized(file.body[begin:end], request, 206, headers, file.form.media)


def _sized(body: bytes, request: Request, status: int, headers: Mapping[str, str], media: str) -> Response:
    given = {**headers, "content-length": str(len(body))}
    return Response(b"" if request.method == "HEAD" else body, status, given, media_type=media)
