"""``vigie topics``: create and check what Vigie needs on a Kafka."""

import json
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AclBinding
from rich.console import Console
from rich.table import Table

from agents import pick_highlights
from agents.deliver_notifications import Deliverer
from agents.dispatch_alerts import Dispatcher
from agents.evaluate_alerts import Evaluator
from agents.keep_alert_states import keep_alert_states
from agents.know_customers import know_customers
from agents.send_digest import send_digest
from agents.watch_entities import Watcher
from agents.watch_senders import SenderWatcher
from agents.watch_standings import StandingWatcher
from agents.worker import entity_folds, prediction_folds
from alert_rules.parse.plan_file import everything_to
from models.calendar import calendar
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from stream.engine import retention
from stream.engine.acls import ROLES, grant, rules
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import check, create, declared, summary
from vigie.common import Config, console, no_broker, refuse, settings_of
from vigie.lanes import engine_options
from vigie.routes import load_alerting

app = typer.Typer(invoke_without_command=True, help="Create and check the topics; alone: what is kept how long.")


def plan(settings: Settings) -> tuple[EngineOptions, list[FoldSpec]]:
    """Return the options and folds whose topics there must be."""
    if settings.kafka.embedded:
        refuse("kafka.brokers: found 'embedded', which makes its own topics; accepted: a Kafka's address, such as kafka:9092", 2)
    options = engine_options(settings, settings.kafka.brokers)
    return options, folds_of(settings, options)


def folds_of(settings: Settings, options: EngineOptions) -> list[FoldSpec]:
    """Return all folds of an installation with these settings."""
    business = settings.business.business()
    folds = [
        *entity_folds(business, options.partitions),
        know_customers(business, options.partitions),
        pick_highlights.spec(business),
        Watcher((), "EUR").spec(),
        SenderWatcher((), calendar("UTC")).spec(),
        StandingWatcher((), "EUR").spec(),
    ]
    if settings.models.live:
        folds += prediction_folds(business, options.partitions, interval=settings.models.interval)
    folds += [Evaluator(()).spec(), Dispatcher(everything_to(())).spec(), Deliverer({}).spec(), keep_alert_states()]
    if (digest := send_digest(load_alerting(settings), load_catalogue(settings.kpi_files, settings.business.pairs))) is not None:
        folds.append(digest)
    return folds


@app.callback()
def table(ctx: typer.Context, config: Config = None) -> None:
    """Say what is kept how long, in topics and in state."""
    if ctx.invoked_subcommand is not None:
        return
    shown = Table(box=None, pad_edge=False)
    for title in ("what", "how long", "set by"):
        shown.add_column(title, overflow="fold")
    for kept in (*retention.state(settings_of(config).business.business()), *retention.topics()):
        shown.add_row(*kept)
    Console().print(shown)


@app.command("create")
def create_command(
    grants: Annotated[
        list[str] | None,
        typer.Option("--grant", help="ROLE=PRINCIPAL: allow it what the role takes (publish, worker, web); may be repeated."),
    ] = None,
    config: Config = None,
) -> None:
    """Create the topics that are missing; existing ones are left as they are."""
    settings = settings_of(config)
    options, folds = plan(settings)
    allowed = [_granted(text, options, folds) for text in grants or ()]
    try:
        made = create(options, folds, replication=settings.kafka.replication)
        for _, bindings in allowed:
            grant(options, bindings)
    except KafkaException as error:
        refuse(no_broker(options.brokers, error))
    for text, bindings in allowed:
        console.print(f"{text}: {len(bindings)} rules", markup=False)
    for name in made:
        print(name)
    console.print(f"{len(made)} topics created, {len(declared(options, folds)) - len(made)} were there")


def _granted(text: str, options: EngineOptions, folds: list[FoldSpec]) -> tuple[str, list[AclBinding]]:
    role, equals, name = text.partition("=")
    if role not in ROLES or not equals or not name:
        refuse(f"--grant: found {text!r} (accepted: {', '.join(f'{role}=NAME' for role in ROLES)})", 2)
    return text, rules(role, name if ":" in name else f"User:{name}", options, folds)


@app.command("check")
def check_command(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, config: Config = None) -> None:
    """Say what is wrong with the topics; exit code 1 where Vigie cannot run with them."""
    options, folds = plan(settings_of(config))
    try:
        problems = check(options, folds, timeout=5)
    except KafkaException as error:
        refuse(no_broker(options.brokers, error))
    fatal = [problem for problem in problems if problem.fatal]
    if as_json:
        print(json.dumps([{"topic": p.topic, "what": p.what, "fatal": p.fatal} for p in problems]))
    for line in summary(fatal):
        console.print(line, style="red", markup=False)
    for line in summary(problem for problem in problems if not problem.fatal):
        console.print(line, style="yellow", markup=False)
    if fatal:
        raise typer.Exit(1)
    console.print("topics: all there, as they must be" if not problems else "topics: usable")
