"""``vigie backfill``: load history from a CRM's export, idempotent with what its webhooks tell."""

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.engine.publisher import Publisher
from stream.sources.backfill import EXPORTS, BackfillTally, Lists, Options, load, ordered
from stream.sources.crm import SourceProblem, Unusable, adapter_of, parse_settings
from stream.sources.crm.settings import SourceSettings, Stage
from stream.sources.crm.values import moment
from stream.sources.files import SourceFileError
from stream.sources.files.times import ISO
from vigie.backfill_report import BackfillReport
from vigie.common import Config, refuse, settings_of
from vigie.publish import to_kafka
from vigie.remote import TokenFile, Upload, Url, sender


def command(
    kind: Annotated[str, typer.Argument(metavar="CRM", help=f"One of {', '.join(EXPORTS)}.")],
    files: Annotated[list[Path], typer.Argument(help="All files of the export together.", exists=True, dir_okay=False)],
    source: Annotated[str | None, typer.Option(help="Whose settings to use (sources.NAME); default: the CRM's name.")] = None,
    map: Annotated[list[str] | None, typer.Option(help='CSV: a column by what it is, as in amount="Deal value".')] = None,
    object: Annotated[
        str | None, typer.Option(help="HubSpot: deals, contacts or leads, where the file does not show it.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without an offset (Salesforce: UTC); default: the source's.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Of amounts without one; default: the source's.")] = None,
    dates: Annotated[
        list[str] | None, typer.Option(help="CSV: forms of times, as in %d/%m/%Y %H:%M, or excel; default: iso.")
    ] = None,
    names: Annotated[
        list[Path] | None,
        typer.Option(help="The CRM's own list of pipelines, stages, owners or users.", exists=True, dir_okay=False),
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="CSV: the decimal sign; default: the one that each number shows.")] = None,
    encoding: Annotated[str | None, typer.Option(help="CSV: default: UTF-8, UTF-16 with its mark, else cp1252.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="CSV: default: the one that the header has most of.")] = None,
    before: Annotated[str | None, typer.Option(help="Only what happened before: the time since which webhooks arrive.")] = None,
    skip: Annotated[int, typer.Option(min=0, help="Go on after so many events, as an interrupted run says.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the events to a file (JSONL) in place of sending them.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read, check and count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Publish the history that an export tells of. Exit code 1 where a part of it could not be used or was not acknowledged,
    and where no deal is won or lost.

    Run it as often as you like: the same export gives the same events, which count once, also beside the webhooks' own.
    """
    settings = settings_of(config)
    if kind not in EXPORTS:
        refuse(f"found {kind!r} (accepted: {', '.join(EXPORTS)})", 2)
    adapter, read = EXPORTS[kind]
    zone = timezone or ("UTC" if adapter == "salesforce" else None)
    try:
        lists = load(names or [])
    except SourceFileError as error:
        refuse(f"--names: {error}")
    options = options_of(
        settings,
        source or adapter,
        adapter,
        zone,
        currency,
        columns=columns_of(map or []),
        dates=tuple(dates or [ISO]),
        decimal=decimal,
        encoding=encoding,
        delimiter=delimiter,
        kind=object,
        before=_before(before),
        lists=lists,
    )
    tally = BackfillTally()
    if adapter != "salesforce":  # its webhooks say themselves whether a deal is closed and won
        _only_listed(lists, options.settings, tally, source or adapter)
    report = BackfillReport(tally, skip, source or adapter)
    with ExitStack() as stack:
        publisher: Publisher | Upload | None = None
        file: IO[bytes] | None = None
        if out is not None:
            try:
                file = stack.enter_context(out.open("wb"))
            except OSError as error:
                refuse(f"--out: {out}: {error.strerror or error}", 2)
        elif not dry_run:
            publisher = sender(settings, url, token_file, lambda: to_kafka(settings))
            stack.push(publisher)
        found = ordered(read(files, options, tally), files, options, tally)
        report.run(found, publisher, file)
    report.show(as_json, files)
    raise typer.Exit(report.code)


def columns_of(given: list[str]) -> dict[str, str]:
    """Return columns by what they are, as ``--map`` gives them; leave with what is wrong."""
    columns: dict[str, str] = {}
    for one in given:
        name, sign, column = one.partition("=")
        if not (name and sign and column):
            refuse(f'--map: found {one!r} (accepted: as in amount="Deal value")', 2)
        columns[name.strip()] = column.strip()
    return columns


def _only_listed(lists: Lists, settings: SourceSettings, tally: BackfillTally, source: str) -> None:
    """Say which stages the webhooks' settings should know as won or lost too, so that both are read alike."""
    plain = Stage()
    found = {
        one.id: one.kind for one in lists.stages if one.kind in ("won", "lost") and not settings.stages.get(one.id, plain).kind
    }
    found = {id: kind for id, kind in found.items() if id not in ("closedwon", "closedlost")}
    if found:
        stages = ", ".join(f'"{id}": {kind}' for id, kind in found.items())
        tally.notes[f"for the webhooks to read these stages alike, set sources.{source}.stages: {{{stages}}}"] = None


def _before(text: str | None) -> int | None:
    try:
        return None if text is None else moment(text, "--before")
    except Unusable as error:
        refuse(error.detail, 2)


def options_of(settings: Settings, name: str, adapter: str, zone: str | None, currency: str | None, **more: Any) -> Options:
    """Return how an export is read with the settings of a source; leave with what is wrong."""
    tree = dict(settings.sources.get(name) or {})
    try:
        if adapter_of(name, {"adapter": adapter, **tree}).name != adapter:
            refuse(f"--source: sources.{name} is of another kind (accepted: {adapter})", 2)
        tree = {"timezone": settings.business.timezone, **tree, **({"currency": currency} if currency else {})}
        found = parse_settings(name, tree)
        where = ZoneInfo(zone or found.timezone)
    except SourceProblem as error:
        refuse(error, 2)
    except (KeyError, ValueError, OSError):
        refuse(f"--timezone: found {zone!r} (accepted: tz database names, such as Europe/Paris)", 2)
    if more["decimal"] not in (None, ".", ","):
        refuse(f"--decimal: found {more['decimal']!r} (accepted: . or ,)", 2)
    if more["delimiter"] is not None and len(more["delimiter"]) != 1:
        refuse(f"--delimiter: found {more['delimiter']!r} (accepted: one character)", 2)
    rates = settings.business.business().rates
    return Options(settings=found, now=wall_clock(), zone=where, currencies=rates.currencies, **more)
