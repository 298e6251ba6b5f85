"""Which readings and alerts does this instance know, as JSON or CSV?"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from models.kpis.entry import Kpi
from models.panes import TOTAL
from models.windows import DEFAULT_WINDOWS
from stream.web.board import WINDOWS, Reading, UnknownName
from stream.web.context import Context, context

router = APIRouter(prefix="/api")

_PARAMETERS = ("kpi", "window", "by", "format")
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
    "since",
)
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _names(request: Request, parameter: str) -> list[str]:
    """Return the values of a parameter given several times or with commas, each once."""
    found = [name.strip() for value in request.query_params.getlist(parameter) for name in value.split(",")]
    return list(dict.fromkeys(name for name in found if name))


def refuse(error: UnknownName) -> Response:
    """Return the 400 that says what was found and what is accepted."""
    body = {"error": str(error), "parameter": error.parameter, "found": error.found, "accepted": error.accepted}
    return Response(orjson.dumps(body), 400, media_type="application/json")


def to_json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response that no cache keeps."""
    return Response(orjson.dumps(data), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def _unready(ctx: Context) -> Response:
    health = ctx.health()
    body = {"error": "no readings yet: " + "; ".join(health.reasons or health.degraded), "state": health.state}
    return to_json(body, 503, {"retry-after": "2"})


@router.get("/kpis", summary="Readings, now")
async def kpis(request: Request) -> Response:
    """Return readings as a JSON array or as CSV.

    ``kpi``, ``window`` and ``by`` may be repeated or hold commas; without ``by`` the totals are given. A name that is not
    known is answered with 400 and what is accepted. 503 while there are no numbers yet. Where the numbers are the last
    ones known, because this process is still restoring, the header ``Vigie-Source`` is ``cache``.
    """
    ctx = context(request)
    wanted, windows, by = _names(request, "kpi"), _names(request, "window"), _names(request, "by")
    kind = request.query_params.get("format", "json")
    try:
        for parameter in request.query_params:
            if parameter not in _PARAMETERS:
                raise UnknownName("parameter", parameter, _PARAMETERS)
        if kind not in _FORMATS:
            raise UnknownName("format", kind, _FORMATS)
        ctx.live_board.check(wanted, windows, by)
    except UnknownName as error:
        return refuse(error)
    board = ctx.board()
    if board is None:
        return _unready(ctx)
    readings = await board.slices(windows or DEFAULT_WINDOWS, [None if name == TOTAL else name for name in by or [TOTAL]])
    if wanted:
        readings = [reading for reading in readings if reading["kpi"] in wanted]
    headers = {"vigie-source": "view" if board is ctx.live_board else "cache"}
    if kind == "csv":
        return Response(to_csv(readings), headers={"cache-control": "no-store", **headers}, media_type="text/csv; charset=utf-8")
    return to_json(readings, headers=headers)


@router.get("/trend", summary="Totals over time")
async def trend(request: Request) -> Response:
    """Return each KPI's total at some thirty instants before now (``window``; default 7d), from the panes."""
    ctx = context(request)
    windows = _names(request, "window") or ["7d"]
    try:
        ctx.live_board.check([], windows, [])
    except UnknownName as error:
        return refuse(error)
    board = ctx.board()
    if board is None:
        return _unready(ctx)
    if board is not ctx.live_board:
        return to_json({"window": windows[0], "times": [], "values": {}})
    return to_json(await board.trend(windows[0]))


@router.get("/catalogue", summary="The KPIs and what they mean")
async def catalogue(request: Request) -> Response:
    """Return the KPIs with unit, labels, definition and stage of the funnel, and the windows and dimensions there are."""
    source = context(request).live_board.source
    return to_json(
        {
            "kpis": [_described(kpi) for kpi in source.kpis.values()],
            "windows": list(WINDOWS),
            "dimensions": list(source.dimensions),
            "currency": context(request).business.currency,
            "timezone": context(request).business.timezone,
            "instance": context(request).instance,
        }
    )


def _described(kpi: Kpi) -> dict[str, Any]:
    return {
        "id": kpi.id,
        "stage": kpi.stage,
        "label": dict(kpi.label),
        "definition": kpi.definition,
        "formula": kpi.formula.text,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "basis": list(kpi.basis),
        "minimum": kpi.minimum,
        "dimensions": list(kpi.by),
    }


@router.get("/alerts", summary="Alerts that are not inactive")
async def alerts(request: Request) -> Response:
    """Return the current alerts, the gravest 500 (``vigie_alerts`` counts all): firing, pending, recovering, resolved."""
    rank = {"firing": 0, "pending": 1, "recovering": 2, "resolved": 3}
    found = sorted(context(request).alerts(), key=lambda alert: (rank.get(str(alert.get("state")), 9), str(alert.get("rule"))))
    return to_json(found)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def to_csv(readings: Iterable[Reading]) -> str:
    """Return readings as CSV with a header; names that a spreadsheet would run as formulas get a leading apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for reading in readings:
        dimension, segment = next(iter(reading["segment"].items()), ("", ""))
        row: Sequence[Any] = [dimension if c == "dimension" else segment if c == "segment" else reading.get(c) for c in _COLUMNS]
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()
