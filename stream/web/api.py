"""Which readings and alerts does this instance know, as JSON or CSV?"""

import asyncio
import csv
import functools
import hashlib
import io
import itertools
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from alert_rules.words.language import SOURCE, languages
from models.calendar import iso
from models.kpis.entry import Kpi
from models.panes.store import TOTAL
from models.panes.windows import DEFAULT_WINDOWS
from stream.readings.board import SEGMENTS, WINDOWS, Reading, Unavailable, UnknownName
from stream.readings.past import PARAMETERS, PastQuestion, PastReadings, instants, past, weigh
from stream.web.context import Context, context
from stream.web.people import REFUSED, of_people, sees_people, without_people
from stream.web.problems import problem
from stream.web.reach import SegmentReach

router = APIRouter(prefix="/api")

_PARAMETERS = ("kpi", "window", "by", "format", *PARAMETERS)
_FORMATS = ("json", "csv")
_COLUMNS = (
    "kpi",
    "window",
    "dimension",
    "segment",
    "from",
    "at",
    "value",
    "numerator",
    "denominator",
    "low",
    "high",
    "unit",
    "why",
    "currency",
    "since",
    "name",
)
#: Readings of the past that are written before others may run.
_PIECE = 2_000
NO_ALERTS = "another worker holds the alerts, or they are being read back (accepted: ask that worker, or `vigie web`)"
#: Where a spreadsheet takes a cell for a formula; in half of Europe a semicolon begins the next cell.
_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n]))(?= *[=+\-@\t\r])")


def _names(request: Request, parameter: str) -> list[str]:
    """Return the values of a parameter given several times or with commas, each once."""
    found = [name.strip() for value in request.query_params.getlist(parameter) for name in value.split(",")]
    return list(dict.fromkeys(name for name in found if name))


def reach_of(request: Request) -> SegmentReach | None:
    """Return what the asking one may see; None: everything."""
    found: SegmentReach | None = getattr(request.state, "reach", None)
    return found


def refuse(error: UnknownName) -> Response:
    """Return the 400 that says what was found and what is accepted."""
    return problem(400, str(error), {"parameter": error.parameter, "found": error.found, "accepted": error.accepted})


def to_json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response that no cache keeps; an error as problem details."""
    if status >= 400 and isinstance(data, Mapping) and "error" in data:
        return problem(status, str(data["error"]), {name: value for name, value in data.items() if name != "error"}, headers)
    return Response(orjson.dumps(data), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def _unready(ctx: Context, why: Unavailable) -> Response:
    return to_json({"error": str(why), "state": ctx.health().state}, 503, {"retry-after": "2"})


@router.get("/kpis", summary="Readings, now or then")
async def kpis(request: Request) -> Response:
    """Return readings as a JSON array or as CSV.

    ``kpi``, ``window`` and ``by`` may be repeated or hold commas; without ``by`` the totals are given. A name that is not
    known is answered with 400 and what is accepted. Where the numbers are the last ones known, because this process is
    still restoring or another worker holds the view, the header ``Vigie-Source`` is ``cache``. 503 while there are no
    numbers, or where the last known ones do not hold all that is asked for: the message says who does. Of a dimension with
    more than 300 values those are given in which most goes on; the header ``Vigie-Left-Out`` says how many are not.
    ``name`` is what people call an owner who is in the table of ``owners``; the segment keeps the id.

    With ``at`` (a time, or the end of a day), or with ``from``, ``to`` and ``every`` (``1h``, ``1d``, ``week``, ``month``,
    ``quarter``), they are those of earlier instants, as they are known today; of at most 500,000 readings. Windows that begin
    before anything is known have no value.

    Whose token is limited to some owners and teams is given those, and 403 for totals, other dimensions and earlier instants.
    """
    ctx, reach = context(request), reach_of(request)
    wanted, windows, by = _names(request, "kpi"), _names(request, "window"), _names(request, "by")
    kind = request.query_params.get("format", "json")
    try:
        for parameter in request.query_params:
            if parameter not in _PARAMETERS:
                raise UnknownName("parameter", parameter, _PARAMETERS)
        if kind not in _FORMATS:
            raise UnknownName("format", kind, _FORMATS)
        ctx.live_board.check(wanted, windows, by)
        times = instants(request.query_params, ctx.live_board.now(), ctx.business.business())
    except UnknownName as error:
        return refuse(error)
    if any(map(of_people, by)) and not sees_people(request):
        return to_json({"error": f"by: {REFUSED}"}, 403)
    mine = {} if reach is None else reach.dimensions
    if reach is not None and (others := [name for name in by if name not in mine]):
        return to_json({"error": f"by: found {others[0]}, which is about everybody (accepted: {', '.join(mine)})"}, 403)
    dimensions = [None if name == TOTAL else name for name in by or [TOTAL]]
    chosen = {name: values for name, values in mine.items() if not by or name in by}
    if times is not None:
        return await _earlier(ctx, reach, PastQuestion(wanted, windows or DEFAULT_WINDOWS, dimensions, times), kind)
    try:
        readings, source = await ctx.answer(
            lambda board: (
                board.slices(windows or DEFAULT_WINDOWS, dimensions)
                if reach is None
                else board.only(windows or DEFAULT_WINDOWS, chosen)
            )
        )
    except Unavailable as why:
        return _unready(ctx, why)
    if wanted:
        readings = [reading for reading in readings if reading["kpi"] in wanted]
    readings = ctx.named(readings)
    headers = {"vigie-source": source}
    # A snapshot holds a dimension whole or not at all.
    count = ctx.live_board.source.count if source == "view" else lambda _: 0
    left_out = 0 if reach is not None else sum(max(0, count(name) - SEGMENTS) for name in by if name != TOTAL)
    if left_out:
        headers["vigie-left-out"] = str(left_out)
    if kind == "csv":
        return Response(to_csv(readings), headers={"cache-control": "no-store", **headers}, media_type="text/csv; charset=utf-8")
    return to_json(readings, headers=headers)


async def _earlier(ctx: Context, reach: SegmentReach | None, asked: PastQuestion, kind: str) -> Response:
    """Return readings of the past, which this process has where it holds the view."""
    if reach is not None:
        return to_json({"error": "at, from, to and every are about everybody (accepted: the readings of now)"}, 403)
    try:
        weigh(asked, ctx.live_board.source)
        found = await past(asked, ctx.live_board.source, ctx.business.business().calendar)
    except UnknownName as error:
        return refuse(error)
    except Unavailable as why:
        return _unready(ctx, why)
    headers = {"cache-control": "no-store"}
    if kind == "csv":
        return StreamingResponse(_lines(found, ctx), headers=headers, media_type="text/csv; charset=utf-8")
    return StreamingResponse(_array(found, ctx), headers=headers, media_type="application/json")


async def _array(found: PastReadings, ctx: Context) -> AsyncIterator[bytes]:
    """Yield the readings of all instants as a JSON array, piece by piece, letting others run in between."""
    before = b"["
    for row in range(len(found.times)):
        texts = found.texts(row, ctx.segment_name)
        while piece := b",".join(itertools.islice(texts, _PIECE)):
            yield before + piece
            before = b","
            await asyncio.sleep(0)
    yield b"[]" if before == b"[" else b"]"


async def _lines(found: PastReadings, ctx: Context) -> AsyncIterator[str]:
    """Yield the readings of all instants as CSV, likewise."""
    yield to_csv([])
    places = [one.segment.partition("=") for one in found.series]
    fronts = [
        _cells((one.kpi, one.window, dimension if sign else "", name))
        for one, (dimension, sign, name) in zip(found.series, places, strict=True)
    ]
    ends = [_cells(("", ctx.segment_name(one.segment)))[1:] for one in found.series]
    measured = functools.cache(_measured)  # most of a year's readings are like another one
    for row, at in enumerate(found.times):
        times = {window: f",{start},{iso(at)}," for window, start in found.starts(row).items()}
        lines = (
            f"{front}{times[one.window]}{measured(one.tails[row])},{end}\r\n"
            for one, front, end in zip(found.series, fronts, ends, strict=True)
        )
        while piece := "".join(itertools.islice(lines, _PIECE)):
            yield piece
            await asyncio.sleep(0)


def _measured(tail: bytes) -> str:
    """Return the cells of what a reading has beside its names and times."""
    found = orjson.loads(b"{" + tail)
    return _cells(found.get(name) for name in _COLUMNS[6:-1])


def _cells(values: Iterable[Any]) -> str:
    """Return cells as they stand in a line of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([cell(value) for value in values])
    return out.getvalue()


@router.get("/trend", summary="Totals over time")
async def trend(request: Request) -> Response:
    """Return each KPI's total at some thirty instants before now (``window``; default 7d), from the panes.

    503 where this process does not hold the view: a snapshot knows one instant only.
    """
    ctx = context(request)
    windows = _names(request, "window") or ["7d"]
    try:
        ctx.live_board.check([], windows, [])
    except UnknownName as error:
        return refuse(error)
    try:
        return to_json(await ctx.live_board.trend(windows[0]))
    except Unavailable as why:
        return _unready(ctx, why)


@router.get("/catalogue", summary="The KPIs and what they mean")
async def catalogue(request: Request) -> Response:
    """Return the KPIs with unit, labels, definition and stage of the funnel, and the windows and dimensions there are."""
    source = context(request).live_board.source
    found = orjson.dumps(
        {
            "kpis": [_described(kpi) for kpi in source.kpis.values()],
            "windows": list(WINDOWS),
            "dimensions": list(source.dimensions),
            "currency": context(request).business.currency,
            "timezone": context(request).business.timezone,
            "language": context(request).business.language,
            "instance": context(request).instance,
        }
    )
    return cached(request, found, "application/json")


def cached(request: Request, body: bytes, kind: str, kept: str = "no-cache") -> Response:
    """Return a body that a browser keeps, and asks about: 304 where it has this very one."""
    tag = f'W/"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'  # weak: it is packed on the way
    headers = {"cache-control": kept, "etag": tag}
    known = {one.strip() for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)


def _described(kpi: Kpi) -> dict[str, Any]:
    return {
        "id": kpi.id,
        "stage": kpi.stage,
        "label": dict(kpi.label),
        "definition": kpi.definition,
        "definitions": dict(kpi.definitions),
        "formula": kpi.formula.text,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "basis": list(kpi.basis),
        "minimum": kpi.minimum,
        "dimensions": list(kpi.by),
    }


@router.get("/alerts", summary="Alerts that are not inactive")
async def alerts(request: Request) -> Response:
    """Return the current alerts, the gravest 500 (``vigie_alerts`` counts all): firing, pending, recovering, resolved.

    ``incident`` chooses one by its id; the answer is empty where it does not stand. ``language`` is that of title and summary.

    503 where this process does not know them: no alert and not knowing of any are two things.
    """
    rank = {"firing": 0, "recovering": 1, "pending": 2, "resolved": 3}
    known = context(request).alerts()
    if known is None:
        return to_json({"error": NO_ALERTS}, 503, {"retry-after": "2"})
    one = request.query_params.get("incident")
    if one is not None:
        known = [alert for alert in known if alert.get("id") == one]
    language = request.query_params.get("language", SOURCE)
    if language not in languages():
        return refuse(UnknownName("language", language, list(languages())))
    known = [{**alert, **(alert.get("words") or {}).get(language, {})} for alert in known]
    if (reach := reach_of(request)) is not None:
        known = [seen for alert in known if (seen := reach.alert(alert)) is not None]
    if not sees_people(request):
        known = without_people(known)
    found = sorted(known, key=lambda alert: (rank.get(str(alert.get("state")), 9), alert.get("severity") != "critical"))
    return to_json(found)


def cell(value: Any) -> Any:
    """Return a value as CSV has it: empty for None, and no text that a spreadsheet would run as a formula."""
    if isinstance(value, str):
        return _FORMULA.sub("'", value)
    return "" if value is None else value


def to_csv(readings: Iterable[Reading]) -> str:
    """Return readings as CSV with a header; names that a spreadsheet would run as formulas get a leading apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for reading in readings:
        dimension, segment = next(iter(reading["segment"].items()), ("", ""))
        row: Sequence[Any] = [dimension if c == "dimension" else segment if c == "segment" else reading.get(c) for c in _COLUMNS]
        writer.writerow([cell(value) for value in row])
    return out.getvalue()
