"""``vigie forecast period``: what a KPI that adds up will be at the end of the week, month or quarter."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from models.calendar import DAY_MS, Calendar, calendar, epoch_ms, iso
from models.config.suggest import meant
from models.panes.windows import Window
from models.targets import Targets
from vigie import remote
from vigie.common import plain, refuse, settings_of, wrapped
from vigie.forecast_live import live, printed
from vigie.kpi_lines import shown
from vigie.kpis import fetch

PERIODS = ("week", "month", "quarter")
#: Of revenue these are forecast from the deals, by the running instance itself.
LIVE = ("month", "quarter", "year", "fiscal_year")
#: Days before that are looked at: of the total, and of each value of a dimension.
_DAYS, _DAYS_BY = 700, 300

Row = dict[str, Any]


def period(
    kpi: Annotated[str, typer.Option(help="A KPI that adds up over days, such as revenue, sales, leads.")] = "revenue",
    period: Annotated[str, typer.Option(help="week, month, quarter or (of revenue) year: the one it is now.")] = "month",
    by: Annotated[str | None, typer.Option(help="A dimension, such as owner.")] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Beside it: a name of the settings, or such as 'win_rate +10 %, arrivals -20 %'.")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Another KPI, such as one over a metric of yours, that may know of it; may be repeated."),
    ] = None,
    target: Annotated[float | None, typer.Option(help="Of the total (default: the settings' targets, of each segment).")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file (default: vigie.yaml where there is one).")
    ] = None,
) -> None:
    """What will a KPI be at the period's end? P10, P50, P90, mean, and whether the target is reached.

    Revenue by month, quarter and year is the running instance's live forecast: what is won, what open deals bring in time, what
    those not there yet bring. Other KPIs, weeks, and what is asked for --with others, by the days before, which it is asked for;
    the work is done here.
    """
    accepted = dict.fromkeys((*PERIODS, *(LIVE if kpi == "revenue" else ())))
    if period not in accepted:
        refuse(f"--period: found {period!r}; accepted: {', '.join(accepted)}", 2)
    address = remote.address_of(url, config)
    if kpi == "revenue" and period in LIVE and not with_:
        told = live(address, period, by, scenario or [])
        if told is not None:
            printed(told, target, json=json)
            return
        if period not in PERIODS:
            refuse("--period: the instance makes no live forecast (models.live is off); accepted: " + ", ".join(PERIODS), 1)
    if scenario:
        refuse(f"--scenario: found one with {kpi} by {period}; accepted with the live forecast of revenue only", 2)
    described = _described(address, kpi, by, with_ or [])
    zone, targets = calendar(described["timezone"]), settings_of(config).quotas()
    found = _outlooks(address, kpi, period, by, zone, targets, target, with_ or [])
    if json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print(found)


def _described(url: str, kpi: str, by: str | None, beside: Sequence[str]) -> Mapping[str, Any]:
    catalogue: Mapping[str, Any] = remote.call("GET", "/api/catalogue", url=url)
    known = {entry["id"]: entry for entry in catalogue["kpis"]}
    if kpi not in known:
        refuse(f"--kpi: found {kpi!r}; accepted: {', '.join(known)}{meant(kpi, known)}", 2)
    for one in beside:
        if one not in known or one == kpi:
            refuse(f"--with: found {one!r}; accepted: another KPI{meant(one, known)}", 2)
    if by is not None and by not in known[kpi]["dimensions"]:
        refuse(f"--by: found {by!r}; accepted for {kpi}: {', '.join(known[kpi]['dimensions'])}", 2)
    return catalogue


def _outlooks(
    url: str, kpi: str, period: str, by: str | None, zone: Calendar, targets: Targets, target: float | None, beside: Sequence[str]
) -> list[Row]:
    from models.foresight.period import LEAST, STRETCHES, whole

    split = {"by": [by]} if by else {}
    now = _by_segment(fetch(url, {"kpi": [kpi], "window": [period], **split}))
    today = _by_segment(fetch(url, {"kpi": [kpi], "window": ["day"], **split}))
    if not now:
        return []
    at = max(epoch_ms(datetime.fromisoformat(readings[0]["at"])) for readings in now.values())
    since = (datetime.fromisoformat(iso(at)) - timedelta(days=_DAYS_BY if by else _DAYS)).date().isoformat()
    before = _by_segment(fetch(url, {"kpi": [kpi], "window": ["day"], "every": ["1d"], "from": [since], **split}))
    others = {one: _daily(fetch(url, {"kpi": [one], "window": ["day"], "every": ["1d"], "from": [since]})) for one in beside}
    start, until = Window.parse(period).period(at, zone)
    left = _days_left(at, until, zone)
    rows = []
    for segment, (reading, *_) in now.items():
        days = _known(before.get(segment, []))
        so_far = reading["value"] or 0.0
        here = sum(value for end, value in days if end > start) + sum(one["value"] or 0.0 for one in today.get(segment, []))
        if len(days) >= zone.day(at) - zone.day(start) and abs(here - so_far) > 1e-6 * max(abs(here), abs(so_far), 1.0):
            refuse(
                f"--kpi: found {kpi}, whose days together are {here:g} where the {period} is {so_far:g}; "
                "accepted: a KPI that adds up, such as revenue, sales, leads",
                2,
            )
        name = segment or "total"
        aim = target if target is not None and not segment else targets.find(kpi, period, name, zone.day(start))
        along = {one: [values.get(end) for end, _ in days] for one, values in others.items()}
        outlook = whole([value for _, value in days], so_far, left, aim, along)
        row: Row = {
            "kpi": kpi, "period": period, "segment": reading["segment"], "from": iso(start), "until": iso(until), "at": iso(at),
            "unit": reading["unit"], "so_far": so_far, "target": aim,
        }  # fmt: skip
        row |= {key: reading[key] for key in ("currency", "name") if reading.get(key)}
        if outlook is None:
            needed = LEAST + -int(-left // 1) + STRETCHES
            row |= dict.fromkeys(("mean", "p10", "p50", "p90", "p_target"))
            row["why"] = f"{len(days)} days before are known; {needed} are needed to have been forecast so far ahead"
        else:
            row |= {key: value for key, value in outlook._asdict().items() if key not in ("so_far", "adds")}
            if beside:
                adds = outlook.adds
                row["adds"] = {one: round(adds[one].share, 4) if one in adds else 0.0 for one in beside}
                row["used"] = [one for one in beside if one in adds and adds[one].used]
        rows.append(row)
    return rows


def _by_segment(readings: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for reading in readings:
        found.setdefault(", ".join(f"{name}={value}" for name, value in reading["segment"].items()), []).append(reading)
    return found


def _daily(readings: Sequence[Mapping[str, Any]]) -> dict[int, float | None]:
    return {epoch_ms(datetime.fromisoformat(reading["at"])): reading["value"] for reading in readings}


def _known(readings: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the ends of days (ms) with their values, from the last one on before which nothing is known."""
    ends = sorted((epoch_ms(datetime.fromisoformat(reading["at"])), reading["value"]) for reading in readings)
    known: list[tuple[int, float]] = []
    for end, value in ends:
        known = [] if value is None else [*known, (end, value)]
    return known


def _days_left(at: int, until: int, zone: Calendar) -> float:
    """Return how many days are to come, of today the part that is left."""
    if at >= until:
        return 0.0
    today = zone.day(at)
    start, end = zone.day_start(today), zone.day_start(today + 1)
    return (end - at) / (end - start) + (zone.day(until - DAY_MS // 2) - today)


def _print(found: Sequence[Row]) -> None:
    for row in found:
        name = row.get("name") or ", ".join(f"{key}={value}" for key, value in row["segment"].items()) or "total"

        def told(key: str, row: Row = row) -> str:
            return shown(row[key], row["unit"], row.get("currency", ""))

        line = f"{row['kpi']}, {row['period']}, {name}: {told('so_far')} so far"
        if "why" in row:
            line += f"; {row['why']}"
        else:
            line += f"; {told('p10')} to {told('p90')} (P10 to P90) by its end, P50 {told('p50')}, mean {told('mean')}"
            if row["p_target"] is not None:
                line += f"; target {told('target')} with {row['p_target']:.0%}".replace("%", " %")
            for one, share in row.get("adds", {}).items():
                made = f"{abs(share):.0%} {'smaller' if share >= 0 else 'larger'}".replace("%", " %")
                line += f"; {one} would have made errors {made}, and is {'' if one in row['used'] else 'not '}used"
        print(wrapped(plain(line)))
