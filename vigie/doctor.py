"""``vigie doctor``: is everything as it must be, and if not, what is there to do?

Each check is a generator of findings in a registry: a new one is one function and one line. A check that fails to run is a
finding too; nothing here changes anything on the broker.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from agents.notifiers import ReceiverError, outside, receivers_of
from models.kpis.catalogue import CatalogueError
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from stream.ingest.door import sources_of
from stream.ledger.copies import identify
from stream.ledger.schema import LedgerRefused
from stream.readings.cache import Snapshots
from stream.sources.crm import outside as outside_adapters
from vigie import remote
from vigie.common import Config, console, wrapped
from vigie.doctor_kafka import kafka
from vigie.findings import Finding, Level, fail, ok, warn
from vigie.ledger import place
from vigie.rule_files import check as check_rules
from vigie.rule_files import run_tests
from vigie.settings import load

_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:|$)")  # browsers take these for secure
_LEAST_FREE = 200 * 1024 * 1024  # bytes
_PATIENCE = 5.0  # seconds, for one answer


# -- what can be seen from here ------------------------------------------------------------------------------------------


def definitions(settings: Settings) -> Iterator[Finding]:
    """KPI files, rule files, and the tests that the rules carry."""
    try:
        catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
    except CatalogueError as error:
        for problem in error.problems:
            yield fail("kpis", str(problem), "correct the file (named under kpi_files)")
        return
    own = f", {len(settings.kpi_files)} files of your own" if settings.kpi_files else ""
    yield ok("kpis", f"{len(catalogue.kpis)} KPIs{own}")
    checked = check_rules(catalogue, settings.rule_folders)
    for wrong in checked.problems:
        yield fail("rules", str(wrong), "correct the file; see: vigie rules check")
    for failure in run_tests(checked.tested):
        yield warn("rules", f"a rule's own test fails: {failure}", "correct the rule or its test; see: vigie rules test")
    if not checked.problems:
        yield ok("rules", f"{len(checked.rules)} alert rules")


def sources(settings: Settings) -> Iterator[Finding]:
    """Whether the webhooks that are set can be verified."""
    try:
        found = sources_of(settings)
    except SettingsError as error:
        for problem in error.problems:
            yield fail("sources", problem, "correct it; docs/connect has a page for each sender")
        return
    for source in found.values():
        set_ = source.settings
        if not set_.verifiable:
            yield warn("sources", f"{source.name}: nothing to verify by; all its requests are refused",
                       f"set {' and '.join(source.adapter.needs)} under sources.{source.name}")  # fmt: skip
        elif source.adapter.signs_address and not (set_.public_url or settings.web.public_url):
            yield warn("sources", f"{source.name}: its signatures cover the address, and web.public_url is not set",
                       f"set web.public_url to what {source.adapter.name} calls, such as https://vigie.example.com")  # fmt: skip
        else:
            yield ok("sources", f"{source.name}: {source.adapter.name}, {_count(len(set_.keys), 'secret')}")


def sites(settings: Settings) -> Iterator[Finding]:
    """Whether the pages with the tracker can reach it."""
    secure = settings.web.public_url.startswith("https://")
    for name, site in settings.collect.sites.items():
        plain = [origin for origin in site.origins if origin.startswith("http://") and not _LOOPBACK.match(origin)]
        if not settings.web.public_url:
            yield warn(
                "sites",
                f"{name}: web.public_url is not set",
                "set web.public_url to the address at which visitors reach /vigie.js",
            )
        elif not secure and any(origin.startswith("https://") for origin in site.origins):
            yield warn("sites", f"{name}: pages over HTTPS cannot load a script over HTTP",
                       "let TLS end at your proxy, and set web.public_url to its https address")  # fmt: skip
        elif plain:
            yield warn("sites", f"{name}: {plain[0]} is not HTTPS: browsers there cannot hash what vigie.identify is given",
                       "serve the pages over HTTPS, or give vigie.identify a hash")  # fmt: skip
        else:
            yield ok("sites", f"{name}: pages of {', '.join(site.origins)}")


def receivers(settings: Settings) -> Iterator[Finding]:
    """Whether there is anybody to tell, and can be told: each kind knows its own doubts. Nothing is sent."""
    try:
        found = receivers_of(settings)
        for receiver in found:
            asyncio.run(receiver.notifier().close())
    except ReceiverError as error:
        for problem in error.problems:
            yield fail("receivers", problem, "correct receivers in the settings")
        return
    for receiver in found:
        for doubt in receiver.doubts():
            yield warn("receivers", f"{receiver.name}: {doubt.found}", doubt.do)
    if all(receiver.type == "console" for receiver in found):
        only = "alerts go to the console only" if found else "none: alerts are told to nobody"
        yield warn("receivers", only, "name one under receivers, such as {name: ops, type: http, url: https://…}")
    else:
        yield ok("receivers", ", ".join(f"{receiver.name} ({receiver.type})" for receiver in found))


def packages(settings: Settings) -> Iterator[Finding]:
    """What packages outside add, and whether it can be used. Nothing is said where there is none."""
    for what, added in (("receivers", outside()), ("senders of webhooks", outside_adapters())):
        if added.parts:
            yield ok("packages", f"{what} of other packages: {', '.join(added.parts)}")
        for name, why in added.broken.items():
            yield fail("packages", f"{name}: {why}", "install it anew, or remove it; see its own documentation")


def disk(settings: Settings) -> Iterator[Finding]:
    """Whether ``data_dir`` can be written: where there is no Kafka, everything is kept there."""
    folder = settings.data_dir.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        yield warn(
            "disk", f"data_dir: {settings.data_dir} cannot be written", "set data_dir (VIGIE_DATA_DIR) to a folder that can"
        )
        return
    free = shutil.disk_usage(there).free
    if free < _LEAST_FREE:
        yield warn("disk", f"data_dir: {settings.data_dir}: {free / 1e6:,.0f} MB free", "make room, or set data_dir elsewhere")
    else:
        yield ok("disk", f"data_dir: {settings.data_dir}: {free / 1e9:,.1f} GB free")


def redis(settings: Settings) -> Iterator[Finding]:
    """Whether the cache answers."""
    if settings.redis.url.get_secret_value().startswith("memory:"):
        yield ok("redis", "memory: a stand-in inside the process; a restarted web process has no numbers until it has read them")
        return

    async def ask() -> dict[str, Any]:
        snapshots = Snapshots.of(settings)
        try:
            await snapshots.ping()
            return snapshots.state
        finally:
            await snapshots.close()

    state = asyncio.run(ask())
    if state["state"] == "up":
        yield ok("redis", f"{state['where']} answers")
    else:
        do = "start it, or correct redis.url (VIGIE_REDIS__URL); nothing is lost without it, restarts show numbers later"
        yield warn("redis", f"{state['where']} does not answer: {state.get('error')}", do)


def instance(settings: Settings) -> Iterator[Finding]:
    """What a running instance says of itself."""
    address = f"{remote.of_settings(settings)}/readyz"
    try:
        _, body = remote.fetch("GET", address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        yield warn(
            "instance", f"nothing answers at {address} ({reason})", "start one: vigie up, or vigie worker; or set web.port"
        )
        return
    try:
        health = orjson.loads(body)
        ready, state = bool(health["ready"]), str(health["state"])
    except (ValueError, KeyError, TypeError):
        do = "set web.port (VIGIE_WEB__PORT) to a free port"
        yield fail("instance", f"what answers at {address} is not Vigie: {body[:60]!r}", do)
        return
    if ready:
        yield ok("instance", f"{address}: {state}, generation {health.get('generation')}")
    for reason in health.get("reasons", []):
        yield fail("instance", f"{address}: {reason}", "see the log of that process")
    for reason in health.get("degraded", []):
        if reason.startswith("clock: "):
            do = "set this machine's clock (NTP: chrony, systemd-timesyncd): requests beyond what is accepted are answered 401"
            yield warn("clock", reason.removeprefix("clock: "), do)
        else:
            yield warn("instance", f"{address}: {reason}", "see the log of that process")
    for notice in health.get("notices", []):
        yield fail("instance", notice, "its numbers lack these records: raise the topic's retention, then publish them again")


def ledger(settings: Settings) -> Iterator[Finding]:
    """Whether what this machine keeps can be read; nothing is changed."""
    path = place(settings)
    if not path.exists():
        yield ok("ledger", f"{path}: not there yet; `vigie up` makes it, and keeps everything in it")
        return
    try:
        identify(path)
    except LedgerRefused as error:
        yield fail("ledger", str(error), "vigie restore FILE puts a copy in its place (docs/one-machine.md)")
        return
    yield ok("ledger", f"{path}: {path.stat().st_size / 1e6:,.0f} MB; `vigie check` reads all of it, `vigie backup` copies it")


Check = Callable[[Settings], Iterator[Finding]]
LOCAL: dict[str, Check] = {
    "definitions": definitions,
    "receivers": receivers,
    "packages": packages,
    "sources": sources,
    "sites": sites,
    "disk": disk,
    "redis": redis,
    "instance": instance,
}


def examine(config: Path | None) -> Iterator[Finding]:
    """Run every check that can be run, and yield what each finds, in a fixed order."""
    try:
        settings = load(config)
    except SettingsError as error:
        for problem in error.problems:
            yield fail("settings", problem, "correct it; nothing else can be checked before")
        return
    yield ok("settings", f"application {settings.application}, instance {settings.instance}, {settings.business.currency}, "
             f"{settings.business.timezone}")  # fmt: skip
    checks: dict[str, Check] = {**LOCAL, "broker": ledger if settings.kafka.embedded else kafka}
    for name, check in checks.items():
        try:
            yield from check(settings)
        except Exception as error:  # a check that cannot run must not hide the others
            yield fail(name, f"this check could not be made: {type(error).__name__}: {error}", "please report it")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def command(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: {ok, findings: [{check, level, found, do}]}.")] = False,
    config: Config = None,
) -> None:
    """Check settings, broker, topics, lag, Redis, clock, rules and receivers; say what to do. Exit code 1 on a failure."""
    findings: list[Finding] = []
    for finding in examine(config):
        findings.append(finding)
        if not as_json:
            typer.echo(_line(finding))
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    sound = not counts[Level.FAIL]
    if as_json:
        body = {"ok": sound, "findings": [finding.json() for finding in findings]}
        typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    else:
        with contextlib.suppress(BrokenPipeError):
            faults = f"{_count(counts[Level.WARN], 'warning')}, {_count(counts[Level.FAIL], 'failure')}"
            console.print(f"{counts[Level.OK]} well, {faults}")
    raise typer.Exit(0 if sound else 1)


_COLOURS = {Level.OK: typer.colors.GREEN, Level.WARN: typer.colors.YELLOW, Level.FAIL: typer.colors.RED}


def _line(finding: Finding) -> str:
    level = typer.style(f"{finding.level:<5}", fg=_COLOURS[finding.level])  # without colours where it is no terminal
    found = wrapped(f"{'':5}{finding.check:<13}{finding.found}", 18)[5:]
    return "\n".join([f"{level}{found}", *([wrapped(f"{'':18}→ {finding.do}", 20)] if finding.do else [])])
