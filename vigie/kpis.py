"""``vigie kpis``: the readings of a running instance, and the catalogue they come from."""

import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.table import Table

from alert_rules.words.language import SOURCE
from alert_rules.words.reader import LANGUAGES
from alert_rules.words.words import Words
from models.kpis.catalogue import Catalogue, CatalogueError, NotInCatalogue
from models.kpis.document import facts, measures
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from vigie import explain as figures
from vigie import remote
from vigie.common import plain, wrapped
from vigie.kpi_lines import cells, whose
from vigie.reconcile import command as reconcile
from vigie.semantic import command as semantic
from vigie.settings import load
from vigie.survival import survival

app = typer.Typer(name="kpis", help="Readings of a running instance; the KPI catalogue.")
app.command("survival")(survival)
app.command("reconcile")(reconcile)
app.command("export")(semantic)
_errors = Console(stderr=True, soft_wrap=True)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (default: vigie.yaml where there is one).")]
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]


def _refuse(error: Exception | str, code: int = 1) -> typer.Exit:
    _errors.print(f"vigie kpis: {plain(error)}", style="red", markup=False, highlight=False)
    return typer.Exit(code)


def _load(config: Path | None) -> tuple[Settings, Catalogue]:
    try:
        settings = load(config)
        return settings, load_catalogue(settings.kpi_files, settings.business.pairs)
    except (SettingsError, CatalogueError) as error:
        raise _refuse(error) from error


@app.callback(invoke_without_command=True)
def readings(
    context: typer.Context,
    kpi: Annotated[list[str] | None, typer.Option(help="Only this KPI; may be repeated.")] = None,
    window: Annotated[list[str] | None, typer.Option(help="Such as 24h, 7d, month; may be repeated.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="A dimension, such as source; may be repeated.")] = None,
    at: Annotated[str | None, typer.Option(help="A time, or the end of a day (2026-03-31), in place of now.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="With --every: from this time or day on.")] = None,
    to: Annotated[str | None, typer.Option(help="With --every: up to this time, or this day's end.")] = None,
    every: Annotated[str | None, typer.Option(help="At the ends of these: 1h, 1d, week, month, quarter.")] = None,
    json: Json = False,
    url: Annotated[str | None, typer.Option(help="Where the instance listens (default: from the settings).")] = None,
    config: Config = None,
) -> None:
    """Show the readings of a running instance, of now or of earlier."""
    if context.invoked_subcommand is not None:
        return
    told = LANGUAGES[SOURCE]
    if url is None:
        settings, _ = _load(config)
        url, told = remote.of_settings(settings), LANGUAGES[settings.business.language]
    then = {name: [text] for name, text in (("at", at), ("from", since), ("to", to), ("every", every)) if text}
    found = fetch(url, {"kpi": kpi or [], "window": window or [], "by": by or [], **then})
    if json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        several = len({reading["at"] for reading in found}) > 1
        _print(found, told, ZoneInfo(remote.call("GET", "/api/catalogue", url=url)["timezone"]) if several else None)


def fetch(url: str, query: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the readings that ``GET /api/kpis`` of a running instance answers; exit with what is wrong otherwise."""
    address = f"{url.rstrip('/')}/api/kpis"
    if not address.startswith(("http://", "https://")):
        raise _refuse(f"--url: found {url!r} (accepted: http://host:port)", 2)
    asked = urllib.parse.urlencode(query, doseq=True)
    try:
        status, body = remote.fetch("GET", f"{address}?{asked}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _refuse(f"{address}: no answer ({reason}); is `vigie up` or `vigie web` running there?") from None
    if status >= 300:
        raise _refuse(f"{address}: {status}: {remote.reason_of(body)}", 2 if status == 400 else 1)
    try:
        found = orjson.loads(body)
        if not isinstance(found, list) or not all(isinstance(reading, dict) and "kpi" in reading for reading in found):
            raise ValueError("not a list of readings")
    except ValueError as error:
        raise _refuse(f"{address}: not an answer of Vigie: {error}") from None
    return found


def _print(found: Sequence[Mapping[str, Any]], told: Words, zone: ZoneInfo | None = None) -> None:
    """Print readings as lines of columns, under a heading for what the lines of a group have in common.

    With ``zone`` they are of several instants: each line begins with its own.
    """
    split = zone is not None or any(reading["segment"] for reading in found)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for reading in found:
        of = f", {whose(reading, told)}" if zone is not None and reading["segment"] else ""
        groups.setdefault(
            f"{reading['kpi']}, {told.window_name(reading['window'])}{of}" if split else told.window_name(reading["window"]), []
        ).append(reading)
    for place, (heading, readings) in enumerate(groups.items()):
        lines = [cells(reading, split, told, zone) for reading in readings]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        print(f"{'' if not place else chr(10)}{plain(heading)}")
        for name, value, of, rest in lines:
            # Why there is no value stands where the cases would: it is long, and there are none.
            numbers = f"  {name:<{widths[0]}}  {value:>{widths[1]}}  " + (f"{of:>{widths[2]}}  " if of else "")
            print(wrapped(plain((numbers + rest).rstrip()), widths[0] + 4))


@app.command("list")
def list_(json: Json = False, config: Config = None) -> None:
    """List the catalogue: what each KPI is."""
    _, catalogue = _load(config)
    if json:
        out = [_described(catalogue, kpi) for kpi in catalogue.kpis]
        sys.stdout.buffer.write(orjson.dumps(out, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
        return
    table = Table(box=None, pad_edge=False, expand=True)
    for title in ("KPI", "stage", "unit"):
        table.add_column(title, no_wrap=True)
    table.add_column("formula", no_wrap=True, overflow="ellipsis", ratio=1)  # `explain` has it whole
    for kpi in catalogue.kpis.values():
        table.add_row(kpi.id, kpi.stage, kpi.unit, kpi.formula.text)
    Console().print(table)


@app.command()
def explain(
    kpi: Annotated[str, typer.Argument(metavar="ID", help="A KPI's id.")],
    window: Annotated[
        str | None, typer.Option(help="Explain the figure of this window, such as 30d, of a running instance.")
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Of this segment: source=web.")] = None,
    by: Annotated[str | None, typer.Option(help="Show the segments of a dimension beside it.")] = None,
    at: Annotated[str | None, typer.Option(help="At a time, or the end of a day, in place of now.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all deals and leads that it counts to this file.")] = None,
    json: Json = False,
    url: Annotated[str | None, typer.Option(help="Where the instance listens (default: from the settings).")] = None,
    config: Config = None,
) -> None:
    """Explain one KPI: formula, measures, unit, basis; with a window, the figure of a running instance and what it counts."""
    asked = {"window": window, "segment": segment, "by": by, "at": at}
    if csv is not None or url is not None or any(text is not None for text in asked.values()):
        _explain_figure(kpi, {name: text for name, text in asked.items() if text is not None}, csv, json, url, config)
        return
    _, catalogue = _load(config)
    try:
        entry = catalogue.get(kpi)
    except NotInCatalogue as error:
        raise _refuse(error, 2) from error
    if json:
        sys.stdout.buffer.write(orjson.dumps(_described(catalogue, kpi), option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
        return
    out = Console(highlight=False, markup=False)
    out.print(f"{entry.label['en']} ({entry.id})\n{entry.definition}\n")
    for name, text in facts(entry):
        out.print(f"{name:15} {text}", soft_wrap=True)
    out.print("\nmeasures")
    for name, fold, help in measures(entry):
        out.print(f"  {name:24} {fold}: {help}", soft_wrap=True)


def _explain_figure(kpi: str, asked: dict[str, str], csv: Path | None, json: bool, url: str | None, config: Path | None) -> None:
    told = LANGUAGES[SOURCE]
    if url is None:
        settings, _ = _load(config)
        url, told = remote.of_settings(settings), LANGUAGES[settings.business.language]
    url = remote.checked(url)
    found = figures.ask(url, kpi, "explain", asked)
    # The list is of the same instant as the figure.
    same = {name: asked[name] for name in ("window", "segment") if name in asked} | {"at": found["reading"]["at"]}
    if csv is not None:
        size = figures.export(url, kpi, same, csv)
        _errors.print(f"{csv}: {size:,} bytes", markup=False, highlight=False)
    if json:
        figures.as_json(found)
    else:
        figures.show(found, figures.ask(url, kpi, "deals", {**same, "limit": "20"})["deals"], told)


def _described(catalogue: Catalogue, kpi: str) -> dict[str, Any]:
    entry = catalogue.get(kpi)
    return {
        "id": entry.id,
        "stage": entry.stage,
        "label": dict(entry.label),
        "definition": entry.definition,
        "definitions": dict(entry.definitions),
        "formula": entry.formula.text,
        "measures": [{"name": name, "fold": fold, "help": help} for name, fold, help in measures(entry)],
        "unit": entry.unit,
        "direction": entry.direction,
        "basis": list(entry.basis),
        "sample": entry.sample.text if entry.sample else None,
        "minimum": entry.minimum,
        "by": list(entry.by),
        "interval": entry.interval,
        "share": entry.share,
    }
