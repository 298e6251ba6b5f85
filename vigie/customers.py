"""``vigie customers``: who they are, how they score, whether they are still there, and what is to be expected of each.

What is asked for is worked out from files, or by a running instance from the events that it has been given.
"""

import csv
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from models.events.scalars import shown
from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.sources.files import FORMATS, SourceFileError
from stream.web.api import cell
from vigie import remote
from vigie.common import Config, console, refuse, settings_of
from vigie.publish import lines, report
from vigie.remote import Url

if TYPE_CHECKING:  # numpy and scipy take a second to import
    from models.customers.clientele import Clientele

app = typer.Typer(
    help="Customers: scores, segments, who is still there, and what is to be expected of each.", no_args_is_help=True
)

AsOf = Annotated[
    str | None, typer.Option(help="The end of this day, such as 2026-03-31 (default: of files the last purchase; today).")
]
Events = Annotated[list[Path] | None, typer.Option(help="A file of events, instead of a running instance; may be repeated.")]
Format = Annotated[str, typer.Option(help=f"What --events are: {', '.join(FORMATS)}.")]
Transactions = Annotated[
    list[Path] | None,
    typer.Option(help="A CSV file with the columns customer, date, amount; may be repeated. gzip is read, too."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]


@app.command("export")
def export_command(
    as_of: AsOf = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV to standard output (so it is without, too).")] = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    events: Events = None,
    format: Format = "jsonl",
    transactions: Transactions = None,
    url: Url = None,
    config: Config = None,
) -> None:
    """Export all customers as of a day: scores, what the models know of each, and what is to be expected."""
    if as_csv and json:
        refuse("--csv and --json: accepted is one of them", 2)
    settings = settings_of(config)
    code = 0
    if events or transactions:
        found, code = _of_files(settings, as_of, events or [], format, transactions or [])
        rows: Iterable[Mapping[str, Any]] = found.rows()
    else:
        rows = _of_instance(settings, url, as_of)
    _write(rows, json=json)
    raise typer.Exit(code)


@app.command("fit")
def fit_command(
    as_of: AsOf = None,
    json: Json = False,
    events: Events = None,
    format: Format = "jsonl",
    transactions: Transactions = None,
    url: Url = None,
    config: Config = None,
) -> None:
    """Fit the models to all customers as of a day: the parameters of BG/NBD and Gamma-Gamma."""
    settings = settings_of(config)
    code = 0
    if events or transactions:
        from models.customers.clientele import parameters

        found, code = _of_files(settings, as_of, events or [], format, transactions or [])
        told = parameters(found.fitted, found.day, settings.business.currency)
    else:
        told = remote.call("GET", f"/api/customers/fit{_asked(as_of)}", url=_where(settings, url), timeout=_PATIENCE)
    if json:
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        for name, value in told.items():
            if value not in (None, []):
                print(f"{name:24} {f'{value:.6g}' if isinstance(value, float) else value}")
    raise typer.Exit(code)


_PATIENCE = 600.0  # seconds: a million customers take a while


def _of_files(
    settings: Settings, as_of: str | None, events: list[Path], format: str, transactions: list[Path]
) -> "tuple[Clientele, int]":
    """Return the customers of files, and the exit code: 1 where something in them could not be used."""
    from models.customers.clientele import Clientele, summaries
    from models.customers.fit import fit
    from stream.sources.purchases import Found

    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    asked = None if as_of is None else _day(as_of)
    business, found = settings.business.business(), Found()
    try:
        if events:
            found.events(lines(events, format, None, settings.business.timezone), business, wall_clock())
        for file in transactions:
            found.transactions(file, business)
    except SourceFileError as error:
        refuse(error)
    report(found.rejects, found.examples)
    day = found.last if asked is None else asked
    if day is None:
        refuse("no purchase in these files (accepted: customer.invoiced events, or a CSV file with customer, date, amount)")
    ids, columns = summaries(found.customers.items(), day)
    if len(ids) < len(found.customers):
        console.print(
            f"  {len(found.customers) - len(ids):,} customers had bought nothing by {date.fromordinal(day)}, or returned all"
        )
    fitted = fit(columns.sample(day))
    whole = Clientele(day, ids, columns, columns.cuts(day), fitted, settings.customers.named(), settings.customers.terms())
    return whole, 1 if found.rejects else 0


def _of_instance(settings: Settings, url: str | None, as_of: str | None) -> Iterator[Mapping[str, Any]]:
    where = f"{_where(settings, url)}/api/customers/export{_asked(as_of)}"
    try:
        status, body = remote.fetch("GET", where, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        refuse(f"{where}: no answer ({reason}) (accepted: an instance that runs, or --events FILE, --transactions FILE)")
    if status >= 300:
        refuse(f"{where}: {status}: {remote.reason_of(body)}")
    return (orjson.loads(line) for line in body.splitlines())


def _where(settings: Settings, url: str | None) -> str:
    return remote.of_settings(settings) if url is None else remote.checked(url)


def _asked(as_of: str | None) -> str:
    return "" if as_of is None else "?" + urllib.parse.urlencode({"as_of": date.fromordinal(_day(as_of)).isoformat()})


def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        refuse(f"--as-of: found {shown(text)}; accepted: a day such as 2026-03-31", 2)


def _write(rows: Iterable[Mapping[str, Any]], *, json: bool) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    if not json:
        from models.customers.clientele import COLUMNS

        out.writerow(COLUMNS)
    for row in rows:
        if json:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
        else:
            out.writerow([cell(row.get(name)) for name in COLUMNS])
