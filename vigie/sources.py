"""``vigie sources``: which senders are understood, and what becomes of a request?"""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.sources.crm import (
    ADAPTERS,
    SourceProblem,
    SourceSettings,
    Unusable,
    adapter_of,
    adapters,
    overridden,
    parse_settings,
    receive,
)
from stream.sources.crm.settings import SECRET_NAMES
from stream.sources.crm.trial import BadLine, TrialLine, of, read_line, verdict_document
from stream.sources.crm.values import moment
from vigie.common import Config, console, refuse, settings_of, wrapped

app = typer.Typer(no_args_is_help=True, help="Webhooks: who sends what, and what becomes of a request.")

VECTORS = Path("docs/webhook-conformance")


class Trials:
    """Judges requests for one source; settings that were seen before are not parsed again."""

    def __init__(self, name: str, settings: Settings | None) -> None:
        """``settings`` give the source's own, where there are any."""
        self._name = name
        self._own: Mapping[str, Any] = (settings.sources.get(name) if settings else None) or {}
        self._public_url = settings.web.public_url if settings else ""
        self._business = settings.business if settings else None
        self._parsed: dict[bytes, SourceSettings] = {}
        self.unknown: set[str] = set()

    def settings_of(self, line: TrialLine) -> SourceSettings:
        """Return the source's settings with the line's over them; raise :class:`SourceProblem`."""
        key = orjson.dumps(line.settings)
        found = self._parsed.get(key)
        if found is None:
            adapter = adapter_of(self._name, {**self._own, **line.settings})
            known = {*adapter.settings.model_fields, *SECRET_NAMES}
            self.unknown |= line.settings.keys() - known
            given = {name: value for name, value in line.settings.items() if name in known}
            tree = {"timezone": self._business.timezone if self._business else "UTC", **overridden(self._own, given)}
            found = parse_settings(self._name, tree)
            if len(self._parsed) > 1000:
                self._parsed.clear()
            self._parsed[key] = found
        return found

    def judge(self, line: TrialLine) -> dict[str, Any]:
        """Return what becomes of a request; raise :class:`SourceProblem`."""
        settings = self.settings_of(line)
        adapter = adapter_of(self._name, {"adapter": settings.adapter})
        return verdict_document(receive(adapter, line.called(settings, self._public_url), settings))


def _failed(status: int, reason: str, detail: str) -> dict[str, Any]:
    return {"accepted": False, "status": status, "reason": reason, "detail": detail, "events": []}


@app.command("try")
def try_command(
    name: Annotated[str, typer.Argument(help=f"The source, as in the settings, or one of: {', '.join(ADAPTERS)}.")],
    request: Annotated[Path, typer.Option("--request", "-r", help="Requests, one JSON object a line; - is standard input.")],
    now: Annotated[str | None, typer.Option(help="When requests arrived that do not say (received_at); default: now.")] = None,
    config: Config = None,
) -> None:
    """Verify and map requests as if they had just come in; nothing is published. Exit code 1 where a line was no request."""
    settings = settings_of(config)
    try:
        at = wall_clock() if now is None else moment(now, "--now")
        adapter_of(name, settings.sources.get(name) or {})
    except Unusable as error:
        refuse(error.detail, 2)
    except SourceProblem as error:
        refuse(error, 2)
    trials, bad = Trials(name, settings), 0
    write = sys.stdout.buffer.write
    for line in _lines(request):
        try:
            answer = trials.judge(read_line(line, at))
        except BadLine as error:
            bad += 1
            answer = _failed(400, "bad_line", str(error))
        except SourceProblem as error:
            bad += 1
            answer = _failed(500, "bad_settings", str(error))
        write(orjson.dumps(answer) + b"\n")
    sys.stdout.flush()
    if trials.unknown:
        console.print(f"settings not known, left out: {', '.join(sorted(trials.unknown))}", style="yellow", markup=False)
    if bad:
        raise typer.Exit(1)


def _lines(path: Path) -> Iterator[bytes]:
    if str(path) == "-":
        yield from (line for line in sys.stdin.buffer if line.strip())
        return
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.strip())
    except OSError as error:
        refuse(f"--request: {path}: {error.strerror or error}", 2)


@app.command("list")
def list_command(config: Config = None) -> None:
    """List the senders that are understood, the sources that are set, and what the pages of each web site need."""
    settings = settings_of(config)
    problems = []
    addresses: dict[str, str] = {}
    ready: set[str] = set()
    for name, tree in settings.sources.items():
        try:
            adapter, found = adapter_of(name, tree), parse_settings(name, tree)
        except SourceProblem as error:
            problems += error.problems
            continue
        ready |= {adapter.name} if found.verifiable else set()
        says = "" if found.verifiable else f"; without {', '.join(adapter.needs)} all its requests are refused"
        addresses[name] = f"POST {found.address(f'/webhooks/{name}', settings.web.public_url)} ({adapter.name}{says})"
    for name, adapter in adapters().items():
        print(wrapped(f"{name}: {'is set' if name in ready else 'needs ' + ', '.join(adapter.needs)}"))
    for address in addresses.values():
        print(wrapped(address))
    for name, site in settings.collect.sites.items():
        address = f"{settings.web.public_url.rstrip('/')}/vigie.js"
        print(
            wrapped(
                f'{name}: <script defer src="{address}" data-site="{site.key}"></script> (pages of {", ".join(site.origins)})'
            )
        )
    if problems:
        refuse("\n".join(problems))


@app.command("conformance")
def conformance(
    folder: Annotated[Path, typer.Option("--vectors", help="The folder of vectors.")] = VECTORS,
    adapter: Annotated[str | None, typer.Option(help="Only this one.")] = None,
) -> None:
    """Run the vectors of docs/webhook-conformance. Exit code 1 where one is answered otherwise than it says."""
    files = sorted(folder.glob("*.jsonl"))
    if adapter is not None:
        files = [file for file in files if file.stem == adapter]
    if not files:
        refuse(f"--vectors: {folder}: no vectors{f' for {adapter}' if adapter else ''} (accepted: a folder of *.jsonl)", 2)
    began, failures, count = time.monotonic(), [], 0
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            count += 1
            failures += [f"{file.name}:{number}: {why}" for why in check_vector(file.stem, orjson.loads(line))]
    for failure in failures:
        print(wrapped(failure))
    console.print(f"{count} vectors, {len(failures)} failures, {time.monotonic() - began:.1f} s", highlight=False)
    if failures:
        raise typer.Exit(1)


def check_vector(name: str, vector: Mapping[str, Any]) -> list[str]:
    """Return in what our answer differs from what a vector expects: ``accepted``, ``status``, ``reason``, ``types``, ``ids``…"""
    answer = Trials(name, None).judge(of(vector, 0))
    events = answer["events"]
    found = {
        **answer,
        "types": [one["type"] for one in events],
        "subjects": [one["subject"] for one in events],
        "data": [one["data"] for one in events],
        "ids": [one["id"] for one in events],
        "times": [one["time"] for one in events],
        "sources": [one["source"] for one in events],
    }
    return [
        f"{vector.get('name')}: {field}: found {found.get(field)!r}, expected {expected!r}"
        for field, expected in vector["expect"].items()
        if found.get(field) != expected
    ]
