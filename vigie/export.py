"""``vigie export``: a table of a running instance as a file."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode

import typer

from models.feeds.tables import TABLES
from vigie import remote
from vigie.common import Config, console, refuse

_PATIENCE = 600.0  # s: a file is made before it is sent


def command(
    feed: Annotated[str, typer.Argument(help=f"Which table (docs/odata.md): {', '.join(TABLES)}.")],
    format: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option(help="csv, jsonl or parquet.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="Where to write it (default: standard output).")] = None,
    kpi: Annotated[str | None, typer.Option(help="Of readings: which KPIs, with commas.")] = None,
    window: Annotated[str | None, typer.Option(help="Of readings: which windows, with commas.")] = None,
    by: Annotated[str | None, typer.Option(help="Of readings: which dimensions, with commas; total for everything.")] = None,
    every: Annotated[str | None, typer.Option(help="History: day, week, month, 1h … (readings, customers).")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Since when: a day or a time.")] = None,
    to: Annotated[str | None, typer.Option(help="Until when (default: now).")] = None,
    filter: Annotated[str | None, typer.Option(help="Which rows, as OData says it: status eq 'won'.")] = None,
    select: Annotated[str | None, typer.Option(help="Which columns, with commas.")] = None,
    bom: Annotated[bool, typer.Option("--bom", help="CSV begins with a byte order mark, for Excel.")] = False,
    locale: Annotated[str | None, typer.Option(help="How a country writes CSV: en, fr, de, es, it, nl.")] = None,
    url: remote.Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """Write a table of a running instance: CSV, JSON Lines or Parquet, with history where there is one."""
    asked = {
        "feed": feed, "format": format, "kpi": kpi, "window": window, "by": by, "every": every, "from": from_, "to": to,
        "filter": filter, "select": select, "bom": "1" if bom else None, "locale": locale,
    }  # fmt: skip
    query = urlencode({name: value for name, value in asked.items() if value})
    address = remote.address_of(url, config)
    token = remote.token_of(token_file, address, needed=False)
    try:
        status, body = remote.fetch("GET", f"{address}/api/export?{query}", token=token, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        refuse(f"{address}: no proper answer: {error}")
    if status != 200:
        refuse(remote.reason_of(body))
    if out is None:
        sys.stdout.buffer.write(body)
        return
    try:
        out.write_bytes(body)
    except OSError as error:
        refuse(f"--out: {out}: cannot be written: {error.strerror}", 2)
    console.print(f"{out}: {len(body):,} bytes")
