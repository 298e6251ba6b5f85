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

from alert_rules.words.durations import plural
from alert_rules.words.inert import visible
from models.events.scalars import shown
from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.ledger import copies
from stream.ledger.schema import LedgerRefused
from stream.sources.files import FORMATS, SourceFileError
from stream.web.api import cell
from stream.web.customers import STATES
from vigie import kpi_lines, remote
from vigie.common import Config, console, plain, refuse, settings_of, wrapped
from vigie.ledger import place
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
    elif (kept := _of_ledger(settings, url, as_of)) is not None:
        rows = kept.rows()
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
    code, found = 0, None
    if events or transactions:
        found, code = _of_files(settings, as_of, events or [], format, transactions or [])
    else:
        found = _of_ledger(settings, url, as_of)
    if found is not None:
        from models.customers.clientele import parameters

        told = parameters(found.fitted, found.day, settings.business.currency)
    else:
        told = remote.call("GET", f"/api/customer-models{_asked(as_of)}", url=_where(settings, url), timeout=_PATIENCE)
    if json:
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        for name, value in told.items():
            if value not in (None, []):
                print(f"{name:24} {f'{value:.6g}' if isinstance(value, float) else value}")
    raise typer.Exit(code)


@app.command("list")
def list_command(
    segment: Annotated[str | None, typer.Option(help="Only this segment.")] = None,
    sort: Annotated[
        str, typer.Option(help="monetary, frequency, recency_days, p_alive, expected_39w, clv, or customer.")
    ] = "monetary",
    order: Annotated[str | None, typer.Option(help="asc or desc (default: what matters most first).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many to pass over.")] = 0,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """List customers of a running instance: segment, P(alive), what each has brought and is expected to bring."""
    settings = settings_of(config)
    asked = {"sort": sort, "limit": str(limit), "offset": str(offset)}
    asked |= {name: value for name, value in (("segment", segment), ("order", order)) if value is not None}
    where = f"/api/customers?{urllib.parse.urlencode(asked)}"
    told = remote.call("GET", where, url=_where(settings, url), timeout=_PATIENCE)
    if json:
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    counts = ", ".join(f"{name} {count:,}" for name, count in told["segments"].items())
    print(plain(f"{plural(format(told['total'], ','), 'customer')}{f' in {segment}' if segment else ''}; of all: {counts}"))
    currency = told["currency"]
    whys = dict.fromkeys(row["why"] for row in told["customers"] if row.get("why"))
    for why in whys:
        print(wrapped(plain(f"no value (–): {why}")))
    for row in told["customers"]:
        words = [
            f"{row['R']}-{row['F']}-{row['M']} {row['segment']}",
            f"{kpi_lines.shown(row['monetary'], 'money', currency)} on {plural(format(row['frequency'], ','), 'day')}",
            f"last {row['last']}",
            f"P(alive) {kpi_lines.shown(row['p_alive'], 'ratio')}",
            f"worth {kpi_lines.shown(row['clv'], 'money', currency)}",
        ]
        print(wrapped(plain(f"{row['customer']}  {', '.join(words)}")))


@app.command("moves")
def moves_command(
    since: Annotated[
        str | None, typer.Option(help="The end of this day is compared with (default: the day before --as-of).")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="The end of this day (default: yesterday).")] = None,
    left: Annotated[str | None, typer.Option(help="Only customers who were in this segment.")] = None,
    joined: Annotated[str | None, typer.Option(help="Only customers who are in this segment now.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    """List customers of a running instance who have moved to another segment, the largest totals first."""
    settings = settings_of(config)
    asked = {name: day for name, text in (("since", since), ("as_of", as_of)) if text is not None and (day := _iso(text, name))}
    asked |= {name: value for name, value in (("left", left), ("joined", joined)) if value is not None} | {"limit": str(limit)}
    where = f"/api/customer-moves?{urllib.parse.urlencode(asked)}"
    told = remote.call("GET", where, url=_where(settings, url), timeout=_PATIENCE)
    if json:
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    print(f"{plural(format(told['total'], ','), 'move')} from {told['since']} to {told['as_of']}")
    for one in told["counts"]:
        print(plain(f"  {one['customers']:,}  {_named(one)}"))
    for move in told["moves"]:
        total = kpi_lines.shown(move["monetary"], "money", settings.business.currency)
        print(wrapped(plain(f"{move['customer']}  {_named(move)}, {total}, last {move['last']}")))


def _named(move: Mapping[str, Any]) -> str:
    return f"{move['from'] or 'no customer'} → {move['to'] or 'no customer'}"


@app.command("show")
def show_command(
    customer: Annotated[str, typer.Argument(help="A customer's id.")], url: Url = None, config: Config = None
) -> None:
    """Show one customer of a running instance, as JSON: what is known and expected of it, with ranges."""
    where = f"/api/customers/{urllib.parse.quote(customer, safe='')}"
    told = remote.call("GET", where, url=_where(settings_of(config), url), timeout=_PATIENCE)
    sys.stdout.write(visible(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()) + "\n")


_PATIENCE = 600.0  # seconds: a million customers take a while


def _of_files(
    settings: Settings, as_of: str | None, events: list[Path], format: str, transactions: list[Path]
) -> "tuple[Clientele, int]":
    """Return the customers of files, and the exit code: 1 where something in them could not be used."""
    from models.customers.clientele import Clientele, summaries
    from models.customers.fit import fit
    from stream.sources.purchases import FoundPurchases

    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    asked = None if as_of is None else _day(as_of)
    business, found = settings.business.business(), FoundPurchases()
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
        others = plural(f"{len(found.customers) - len(ids):,}", "customer")
        console.print(f"  {others} had bought nothing by {date.fromordinal(day)}, or returned all")
    fitted = fit(columns.sample(day))
    whole = Clientele(day, ids, columns, columns.cuts(day), fitted, settings.customers.named(), settings.customers.terms())
    return whole, 1 if found.rejects else 0


def _of_instance(settings: Settings, url: str | None, as_of: str | None) -> Iterator[Mapping[str, Any]]:
    where = f"{_where(settings, url)}/api/customers{_asked(as_of, format='jsonl')}"
    try:
        status, body = remote.fetch("GET", where, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        refuse(_nobody(where, error))
    if status >= 300:
        refuse(f"{where}: {status}: {remote.reason_of(body)}")
    return (orjson.loads(line) for line in body.splitlines())


def _nobody(where: str, error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return f"{where}: no answer ({reason}) (accepted: an instance that runs, or --events FILE, --transactions FILE)"


def _of_ledger(settings: Settings, url: str | None, as_of: str | None) -> "Clientele | None":
    """Return the customers that this machine keeps where no instance runs on it; None where one does, or nothing is kept."""
    file = place(settings)
    if url is not None or not settings.kafka.embedded or not file.is_file() or _answers(remote.of_settings(settings)):
        return None
    from models.customers.register import Register

    register = Register(settings.customers.named(), settings.customers.terms())
    try:
        rows = copies.latest(file, settings.kafka.topic_prefix + STATES)
    except LedgerRefused as error:
        refuse(error)
    register.put([(key.decode(), value) for key, value in rows])
    console.print(f"  no instance runs here: told from {plain(file)}", markup=False)
    if as_of is not None:
        return register.then(_day(as_of))
    return register.now(settings.business.business().calendar.day(wall_clock()), None)


def _answers(where: str) -> bool:
    try:
        remote.ask("GET", f"{where}/healthz")
    except remote.RemoteRefused as error:
        return error.status != 0
    return True


def _where(settings: Settings, url: str | None) -> str:
    return remote.of_settings(settings) if url is None else remote.checked(url)


def _asked(as_of: str | None, **more: str) -> str:
    if as_of is not None:
        more["as_of"] = _iso(as_of)
    return f"?{urllib.parse.urlencode(more)}" if more else ""


def _day(text: str, option: str = "as_of") -> int:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        refuse(f"--{option.replace('_', '-')}: found {shown(text)}; accepted: a day such as 2026-03-31", 2)


def _iso(text: str, option: str = "as_of") -> str:
    return date.fromordinal(_day(text, option)).isoformat()


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
