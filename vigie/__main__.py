"""``vigie``: the command line. One command a file; here they only meet."""

from typing import Annotated

import typer

from vigie import (
    alerts,
    backfill,
    backtest,
    dead_letters,
    doctor,
    kpis,
    ledger,
    models,
    publish,
    replay,
    routes,
    rules,
    simulate,
    sources,
    topics,
    up,
    upgrade,
    web,
    worker,
)

app = typer.Typer(
    name="vigie",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The lookout for sales teams: exact rolling KPIs and explained alerts from CRM event streams.",
)


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        print(version("vigie"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Set options that all commands share."""


app.command("up")(up.command)
app.command("worker")(worker.command)
app.command("web")(web.command)
app.command("publish")(publish.command)
app.command("backfill")(backfill.command)
app.command("replay")(replay.command)
app.command("simulate")(simulate.command)
app.command("upgrade")(upgrade.command)
app.command("backup")(ledger.backup)
app.command("restore")(ledger.restore)
app.command("check")(ledger.check)
app.command("doctor")(doctor.command)
app.add_typer(kpis.app, name="kpis")
rules.app.command("backtest")(backtest.command)
app.add_typer(rules.app, name="rules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(routes.app, name="routes")
app.add_typer(models.app, name="models")
app.add_typer(sources.app, name="sources")
app.add_typer(topics.app, name="topics")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
