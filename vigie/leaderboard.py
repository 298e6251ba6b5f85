"""``vigie leaderboard``: who leads by a KPI, as far as the numbers can tell?"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer

from vigie import remote
from vigie.common import Config, plain, refuse
from vigie.kpi_lines import shown


def command(
    kpi: Annotated[str, typer.Argument(help="A KPI's id.")] = "revenue",
    window: Annotated[str, typer.Option(help="Such as month, quarter, 30d.")] = "month",
    by: Annotated[str, typer.Option(help="owner or team.")] = "owner",
    everybody: Annotated[bool, typer.Option("--all", help="Everybody, and not the upper half alone.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Who leads by a KPI: who may be alike share a place, and the lower half is not shown."""
    where = remote.address_of(url, config)
    asked = urlencode({"kpi": kpi, "window": window, "by": by, "all": str(everybody).lower()})
    try:
        found = remote.ask("GET", f"{where}/api/leaderboard?{asked}")
    except remote.RemoteRefused as error:
        refuse(f"{where}/api/leaderboard: {error}", 2 if error.status == 400 else 1)
    if json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        print(plain("\n".join(leaderboard_lines(found))))


def leaderboard_lines(found: Mapping[str, Any]) -> list[str]:
    """Return a leaderboard in lines for people."""
    rows = [_row(place, found["unit"], found["currency"] or "") for place in found["places"]]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [f"{found['kpi']}, {found['window']}, by {found['by']}"]
    for rank, name, value, rest in rows:
        lines.append(f"  {rank:>{widths[0]}}  {name:<{widths[1]}}  {value:>{widths[2]}}  {rest}".rstrip())
    hidden = found["of"] - len(rows)
    more = [f"{hidden} more have a place" if hidden else "", f"{found['without']} have too few cases" if found["without"] else ""]
    return [*lines, *(f"  {line}" for line in more if line)]


def _row(place: Mapping[str, Any], unit: str, currency: str) -> tuple[str, str, str, str]:
    moved = place["moved"]
    rest = "new" if moved is None else f"up {moved}" if moved > 0 else f"down {-moved}" if moved < 0 else ""
    if place["low"] is not None:
        between = f"{shown(place['low'], unit).removesuffix(' %')} – {shown(place['high'], unit)}"
        rest = "  ".join(part for part in (f"likely {shown(place['drawn'], unit)} ({between})", rest) if part)
    rank = f"{place['rank']}{'=' if place['shared'] else ' '}"
    return rank, place["name"], shown(place["value"], unit, currency), rest
