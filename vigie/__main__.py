"""``vigie``: the command line. One command a file; here they are only named."""

import gc
from typing import Annotated

import typer

from vigie.lazy_commands import LazyCommands, Place


class Commands(LazyCommands):
    """All there are, in the order of the help; what each is for stands at the command itself too."""

    places = {  # noqa: RUF012 - declared where it is overridden
        "up": Place(
            "vigie.up:command",
            "Run everything: folds, alerts, page, API and metrics. Without a Kafka all is kept in a file, by one process.",
        ),
        "worker": Place(
            "vigie.worker:command",
            "Fold events, roll KPIs, evaluate alerts and deliver notifications, on the Kafka of the settings.",
        ),
        "web": Place(
            "vigie.web:command",
            "Serve the page and the API; the folds run in `vigie worker`, which exports the KPIs to Prometheus.",
        ),
        "publish": Place(
            "vigie.publish:command",
            "Publish events, to Kafka or to a running instance: exit code 1 where not all was acknowledged, rejected lines "
            "included.",
        ),
        "backfill": Place(
            "vigie.backfill:command",
            "Publish the history that an export tells of. Exit code 1 where a part of it could not be used or was not "
            "acknowledged, and where no deal is won or lost.",
        ),
        "replay": Place(
            "vigie.replay:command",
            "Replay files through the real pipeline; a reading at T counts the events with time < T.",
        ),
        "simulate": Place("vigie.simulate:command", "Write a simulated sales company's history as CloudEvents, one a line."),
        "upgrade": Place(
            "vigie.upgrade:command",
            "Say what this version, with these settings, will make of the state that is there; exit code 1 where some is lost.",
        ),
        "backup": Place(
            "vigie.ledger:backup", "Copy everything that this machine keeps into one file, also while `vigie up` runs."
        ),
        "restore": Place(
            "vigie.ledger:restore", "Put a copy in place of what this machine keeps; what was there is kept beside it."
        ),
        "check": Place(
            "vigie.ledger:check",
            "Look whether a ledger is whole: its pages, and whether state and logs fit together. Ends with 1 where not.",
        ),
        "compact": Place(
            "vigie.compact:command",
            "Let go of what is no longer kept, and give its room back to the disk. Stop `vigie up` first; it does the like by "
            "itself.",
        ),
        "move": Place(
            "vigie.move:command",
            "Move all that this machine keeps to the Kafka in `kafka.brokers`, or bring a copy of it from there.",
        ),
        "doctor": Place(
            "vigie.doctor:command",
            "Check settings, broker, topics, lag, Redis, clock, rules and receivers; say what to do. Exit code 1 on a failure.",
        ),
        "kpis": Place("vigie.kpis:app", "Readings of a running instance; the KPI catalogue."),
        "export": Place(
            "vigie.export:command",
            "Write a table of a running instance: CSV, JSON Lines or Parquet, with history where there is one.",
        ),
        "customers": Place(
            "vigie.customers:app", "Customers: scores, segments, who is still there, and what is to be expected of each."
        ),
        "journeys": Place(
            "vigie.journeys:journeys",
            "Show how far people come in each funnel, where they leave it, and how long a step takes.",
        ),
        "baskets": Place(
            "vigie.journeys:baskets",
            "Show which products the same accounts buy: support, confidence and lift of each pair.",
        ),
        "forecast": Place("vigie.forecast:app", "What is to come, with its uncertainty."),
        "leaderboard": Place(
            "vigie.leaderboard:command", "Who leads by a KPI: who may be alike share a place, and the lower half is not shown."
        ),
        "objectives": Place("vigie.objectives:app", "What teams and people want to reach, and how far they are."),
        "challenges": Place("vigie.challenges:command", "Challenges: who leads, and whether they are fair."),
        "playbooks": Place("vigie.playbooks:command", "Playbooks: what is to be done about alerts, and whether it helped."),
        "experiments": Place("vigie.experiments:app", "Tests of two variants: which one sells better."),
        "rules": Place("vigie.rules:app", "The alert rules: check and test."),
        "alerts": Place("vigie.alerts:app", "The alerts of a running instance: see, acknowledge, silence."),
        "routes": Place("vigie.routes:app", "The plan of who is told of alerts, and when: check and try."),
        "models": Place("vigie.models:app", "The predictions: how good they are, and from what."),
        "sources": Place("vigie.sources:app", "Webhooks: who sends what, and what becomes of a request."),
        "topics": Place("vigie.topics:app", "Create and check the topics; alone: what is kept how long."),
        "privacy": Place("vigie.privacy:app", "Personal data: what is kept, all that is held of somebody, and erasing them."),
        "audit": Place("vigie.audit:app", "Who read what of persons and who acted, in a log that shows if it was changed."),
        "dead-letters": Place("vigie.dead_letters:app", "See what could not be used, and send it again."),
    }


app = typer.Typer(
    name="vigie",
    cls=Commands,
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


def main() -> None:
    """Run the command line."""
    # What a start loads stays: to look through it for cycles again and again is a tenth of its time.
    gc.set_threshold(50_000, 20, 100)
    app()


if __name__ == "__main__":
    main()
