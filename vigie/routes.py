"""Who would be told of an alert with these labels, and what would hold it back? (``vigie routes check``, ``test``)"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from agents.notifiers import kinds
from alert_rules.judge.rule import Severity
from alert_rules.parse.plan_file import Alerting, by_rule, parse_alerting
from alert_rules.tell.explain_route import explain
from alert_rules.tell.stages.route import Route
from models.calendar import epoch_ms, iso
from models.config.problem import FileProblem
from models.config.suggest import near
from models.config.yaml_text import YamlText
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from stream.config.yaml_file import open_yaml
from stream.engine.options import wall_clock
from vigie.settings import load

app = typer.Typer(help="The plan of who is told of alerts, and when: check and try.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (default vigie.yaml, where there is one).")]


def load_alerting(settings: Settings) -> Alerting:
    """Return the plan in force; raise :class:`stream.config.settings.SettingsError` with every problem.

    Without the section ``alerting`` every receiver is told of everything, grouped by rule.
    """
    receivers = [receiver.name for receiver in settings.receivers]
    tree: Any = settings.alerting
    if tree is None:
        return by_rule(receivers, settings.business.timezone)
    where, under, text, wrong = "settings", "", YamlText(), list[FileProblem]()
    if isinstance(tree, Path):
        where, text = str(tree), open_yaml(tree, wrong)
        tree = text.tree
        # The file may hold the section under its name, or be the section.
        if isinstance(tree, dict) and set(tree) == {"alerting"}:
            under, tree = "alerting.", tree["alerting"]
    plan, problems = parse_alerting(tree, receivers, settings.business.timezone, where)
    if plan is None or wrong:
        told = [one._replace(line=text.line(under + one.key.removeprefix("alerting."))) for one in problems]
        raise SettingsError([str(problem) for problem in wrong or told])
    if unsummed := _unsummed(plan, settings):
        raise SettingsError([f"{where}: alerting.digest.{problem}" for problem in unsummed])
    return plan


def _unsummed(plan: Alerting, settings: Settings) -> list[str]:
    """Return what only the catalogue and the receivers' types tell of the morning's summary."""
    if plan.digest is None:
        return []
    known = sorted(load_catalogue(settings.kpi_files, settings.business.pairs).kpis)
    found = [f"kpis: unknown KPI {kpi!r}{near(kpi, known)}" for kpi in plan.digest.kpis if kpi not in known]
    types = {receiver.name: receiver.type for receiver in settings.receivers}
    read = sorted(type_ for type_, kind in kinds().items() if kind.READS_SUMMARIES)
    found += [
        f"receivers: {name!r} is of type {types[name]}, which takes incidents only (accepted: {', '.join(read)})"
        for name in plan.digest.receivers
        if name in types and types[name] not in read
    ]
    return found


def _plan(config: Path | None) -> tuple[Alerting, Settings]:
    try:
        settings = load(config)
        return load_alerting(settings), settings
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        typer.echo(f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}", err=True)
        raise typer.Exit(1) from error


@app.command("check")
def check_command(config: Config = None) -> None:
    """Check the plan; all problems in one list. Exit code 0: sound, 1: problems. The tree of routes goes to standard output."""
    plan, _ = _plan(config)

    def show(route: Route, depth: int) -> None:
        more = " (continue)" if route.go_on else ""
        typer.echo(f"{'  ' * depth}{route.path.rpartition('/')[2]} → {', '.join(route.receivers)}{more}")
        for child in route.routes:
            show(child, depth + 1)

    show(plan.route, 0)


@app.command("test")
def test_command(
    labels: Annotated[str, typer.Option("--labels", help="Such as severity=critical,team=sales.")],
    at: Annotated[str | None, typer.Option("--at", help="A time, such as 2026-03-31T18:00:00+02:00 (default: now).")] = None,
    config: Config = None,
) -> None:
    """Say, as JSON, which routes take an alert with these labels at a time, whom they tell, and what would hold it back."""
    plan, settings = _plan(config)
    now = _instant(at, settings)
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in labels.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            typer.echo(f"--labels: found {part!r} (accepted: name=value, with commas between)", err=True)
            raise typer.Exit(2)
        found[name.strip()] = value.strip()
    if found.get("severity", "warn") not in list(Severity):
        typer.echo(
            f"--labels: severity: found {found['severity']!r}{near(found['severity'], [s.value for s in Severity])}", err=True
        )
        raise typer.Exit(2)
    told = {"at": iso(now), "labels": found, "routes": explain(plan, found, now)}
    sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")


def _instant(at: str | None, settings: Settings) -> int:
    if at is None:
        return wall_clock()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        typer.echo(f"--at: found {at!r} (accepted: a time, such as 2026-03-31T18:00:00+02:00)", err=True)
        raise typer.Exit(2) from None
    return epoch_ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=settings.business.business().calendar.zone))
