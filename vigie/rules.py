"""Are the alert rules sound, and do they do what their own tests say? (``vigie rules check``, ``vigie rules test``)"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alert_rules.parse.plan_file import Alerting
from alert_rules.parse.rule_file import FileProblem
from alert_rules.trial.rule_test_run import Failure
from models.kpis.catalogue import CatalogueError
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from vigie import backtest
from vigie.routes import load_alerting
from vigie.rule_files import Checked, check, run_tests
from vigie.scenario import RuleScenarioError, play
from vigie.settings import load

app = typer.Typer(help="The alert rules: check and test.", no_args_is_help=True)
app.command("backtest")(backtest.command)
Folders = Annotated[
    list[Path] | None, typer.Option("--folder", help="A folder of rules, as under rule_folders (may be given more than once).")
]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (default vigie.yaml, where there is one).")]


@app.command("check")
def check_command(folder: Folders = None, config: Config = None) -> None:
    """Check every rule file; all problems in one list. Exit code 0: sound, 1: problems."""
    checked = _checked(folder, config)
    _stop_on(checked.problems)
    typer.echo(f"{len(checked.rules)} rules are sound: {', '.join(rule.id for rule in checked.rules)}", err=True)


@app.command("test")
def test_command(
    scenarios: Annotated[
        list[Path] | None, typer.Argument(help="Files of events at times, and what the rules must say then.", exists=True)
    ] = None,
    folder: Folders = None,
    config: Config = None,
) -> None:
    """Run the tests that the rules carry, or files of events and expectations. Exit code 0: all as expected, 1: not."""
    checked = _checked(folder, config)
    _stop_on(checked.problems)
    if scenarios:
        what, count, failures = f"{len(scenarios)} files", *_play(scenarios, folder, config)
    else:
        what, failures = f"{len(checked.rules)} rules", run_tests(checked.tested)
        count = sum(len(rule.tests) for rule in checked.rules)
    for failure in failures:
        typer.echo(str(failure), err=True)
    typer.echo(f"{what}, {count} {'expectations' if scenarios else 'tests'}, {len(failures)} failures", err=True)
    if failures:
        raise typer.Exit(1)


def _play(files: list[Path], folders: list[Path] | None, config: Path | None) -> tuple[int, list[Failure]]:
    settings = load(config)
    settings = settings.model_copy(update={"rule_folders": [*settings.rule_folders, *(folders or ())]})
    count = 0
    failures: list[Failure] = []
    for file in files:
        try:
            more, failed = play(settings, file)
        except RuleScenarioError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        count, failures = count + more, failures + failed
    return count, failures


def _checked(folders: list[Path] | None, config: Path | None) -> Checked:
    try:
        settings: Settings = load(config)
        catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
    except (SettingsError, CatalogueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    problems: list[FileProblem] = []
    plan: Alerting | None = None
    try:
        plan = load_alerting(settings)
    except SettingsError as error:
        problems = [FileProblem("alerting", "", problem) for problem in error.problems]
    found = check(catalogue, [*settings.rule_folders, *(folders or ())], plan, settings.quotas())
    if problems:
        # The plan's intervals are not known then: that they are not there is no news.
        return found._replace(problems=problems + [p for p in found.problems if "undefined time interval" not in p.text])
    return found


def _stop_on(problems: Sequence[FileProblem]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
