"""``vigie backfill``: load history from a CRM's export, idempotent with what its webhooks tell."""

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer

from stream.options import wall_clock
from stream.publisher import Publisher
from stream.settings import Settings
from stream.sources.backfill import EXPORTS, Found, Options, Reject, Tally, ordered
from stream.sources.crm import SourceProblem, Unusable, adapter_of, parse_settings
from stream.sources.crm.values import moment
from stream.sources.files import SourceFileError
from stream.sources.files.mapping import ISO
from vigie.common import Config, console, refuse, settings_of
from vigie.publish import progress_bar, to_kafka
from vigie.remote import TokenFile, Upload, Url, sender

_SHOWN = 20
_EVERY = 2048


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
    dates: Annotated[list[str] | None, typer.Option(help="CSV: forms of times, as in %d/%m/%Y %H:%M; default: iso.")] = None,
    decimal: Annotated[str, typer.Option(help="CSV: the decimal sign of numbers.")] = ".",
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
    """Publish the history that an export tells of. Exit code 1 where a part of it could not be used or was not acknowledged.

    Run it as often as you like: the same export gives the same events, which count once, also beside the webhooks' own.
    """
    settings = settings_of(config)
    if kind not in EXPORTS:
        refuse(f"found {kind!r} (accepted: {', '.join(EXPORTS)})", 2)
    adapter, read = EXPORTS[kind]
    zone = timezone or ("UTC" if adapter == "salesforce" else None)
    options = _options(
        settings,
        source or adapter,
        adapter,
        zone,
        currency,
        columns=_columns(map or []),
        dates=tuple(dates or [ISO]),
        decimal=decimal,
        encoding=encoding,
        delimiter=delimiter,
        kind=object,
        before=_before(before),
    )
    tally = Tally()
    report = _Report(tally, skip)
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


def _columns(given: list[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for one in given:
        name, sign, column = one.partition("=")
        if not (name and sign and column):
            refuse(f'--map: found {one!r} (accepted: as in amount="Deal value")', 2)
        columns[name.strip()] = column.strip()
    return columns


def _before(text: str | None) -> int | None:
    try:
        return None if text is None else moment(text, "--before")
    except Unusable as error:
        refuse(error.detail, 2)


def _options(settings: Settings, name: str, adapter: str, zone: str | None, currency: str | None, **more: Any) -> Options:
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
    if more["decimal"] not in (".", ","):
        refuse(f"--decimal: found {more['decimal']!r} (accepted: . or ,)", 2)
    if more["delimiter"] is not None and len(more["delimiter"]) != 1:
        refuse(f"--delimiter: found {more['delimiter']!r} (accepted: one character)", 2)
    rates = settings.business.business().rates
    return Options(settings=found, now=wall_clock(), zone=where, currencies=rates.currencies, **more)


class _Report:
    """Sends what is found, and keeps count."""

    def __init__(self, tally: Tally, skip: int) -> None:
        self.tally = tally
        self.skip = skip
        self.types: Counter[str] = Counter()
        self.rejects: list[Reject] = []
        self.rejected = 0
        self.events = self.taken = self.failed = 0
        self.acknowledged = 0
        self.times: tuple[str, str] | None = None
        self.errors: list[str] = []
        self.stopped = ""
        self.publishing = False
        self.seconds = 0.0

    @property
    def code(self) -> int:
        """The exit code: 130 interrupted, 1 where something was not used or not acknowledged."""
        if self.stopped == "interrupted":
            return 130
        return 1 if self.stopped or self.rejected or self.failed else 0

    def run(self, found: Iterator[Found | Reject], publisher: Publisher | Upload | None, file: IO[bytes] | None) -> None:
        """Take everything in; interrupted, wait for what is under way."""
        began, self.publishing = time.monotonic(), publisher is not None
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress_bar() as progress:
                task = progress.add_task("reading", total=None, rate="")
                self.tally.watch = lambda count: progress.update(task, completed=count)
                try:
                    for one in self._events(found):
                        self._take(one, publisher, file)
                        if self.taken % _EVERY == 0:
                            if publisher is not None:
                                publisher.poll()
                            rate = self.taken / max(time.monotonic() - began, 1e-3)
                            progress.update(task, description="publishing", completed=self.taken, rate=f"{rate:,.0f}/s")
                except SourceFileError as error:
                    self.stopped = str(error)
                except KeyboardInterrupt:
                    self.stopped = "interrupted"
                if publisher is not None:
                    left = publisher.flush()
                    self.acknowledged, self.failed = publisher.acknowledged, publisher.failed + left
                    self.errors = publisher.errors
        finally:
            signal.signal(signal.SIGTERM, before)
        self.seconds = time.monotonic() - began

    def _events(self, found: Iterator[Found | Reject]) -> Iterator[Found]:
        events = self._told(found)
        next(islice(events, self.skip, self.skip), None)
        return events

    def _told(self, found: Iterator[Found | Reject]) -> Iterator[Found]:
        for one in found:
            if isinstance(one, Reject):
                self.rejected += 1
                if len(self.rejects) < 1000:
                    self.rejects.append(one)
            else:
                self.events += 1
                yield one

    def _take(self, one: Found, publisher: Publisher | Upload | None, file: IO[bytes] | None) -> None:
        event = one.event
        self.taken += 1
        self.types[event["type"]] += 1
        self.times = (self.times[0] if self.times else event["time"], event["time"])
        value = orjson.dumps(event)
        if publisher is not None:
            publisher.publish(value)
        elif file is not None:
            file.write(value + b"\n")

    def show(self, as_json: bool, files: list[Path]) -> None:
        """Say what became of it: messages on standard error, the report on standard output."""
        tally = self.tally
        for note in tally.notes:
            console.print(f"  note: {note}", markup=False)
        for reject in self.rejects[:_SHOWN]:
            console.print(f"  {reject.file}:{reject.line}: {reject.reason}", style="red", markup=False)
        if self.rejected > _SHOWN:
            console.print(f"  … and {self.rejected - _SHOWN:,} more that could not be used", style="red")
        for error in self.errors:
            console.print(f"  {error}", style="red", markup=False)
        if self.stopped:
            console.print(f"vigie: {self.stopped}", style="red", markup=False)
            if self.publishing and not self.failed and self.taken and self.stopped == "interrupted":
                console.print(f"vigie: to go on: the same command with --skip {self.skip + self.taken}")
        if as_json:
            told = {
                "files": [str(file) for file in files],
                "events": self.taken,
                "types": dict(sorted(self.types.items())),
                "from": self.times[0] if self.times else None,
                "to": self.times[1] if self.times else None,
                "acknowledged": self.acknowledged,
                "failed": self.failed,
                "rejected": self.rejected,
                "rejects": [{"file": str(one.file), "line": one.line, "reason": one.reason} for one in self.rejects],
                "left_out": tally.left_out,
                "ignored": dict(tally.ignored.most_common()),
                "notes": list(tally.notes),
                "skipped": min(self.skip, self.events),
                "stopped": self.stopped or None,
            }
            sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            return
        for kind, count in sorted(self.types.items()):
            print(f"{count:>10,}  {kind}")
        span = f", {self.times[0][:10]} to {self.times[1][:10]}" if self.times else ""
        print(
            f"{self.taken:,} events{span}: {self.acknowledged:,} acknowledged, {self.failed:,} not, {self.rejected:,} rejected, "
            f"{tally.left_out:,} left out (--before), {tally.ignored.total():,} of no use here, in {self.seconds:.1f} s"
        )
