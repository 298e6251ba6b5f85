"""``vigie worker``: folds, alerts and notifications on a Kafka; as many as there are partitions can share the work.

When the broker is away at the start the worker waits for it, serving ``/healthz`` and ``/readyz`` meanwhile; when it goes
away later, what has been folded stays in memory and the checkpoint is made when it is back. The worker ends by itself, with
exit code 1 and the reason on the last line, only where going on would be guessing: the group has given its partitions to
others (an outage or a pause longer than ``kafka.session_timeout``), or another worker uses its instance name. Its supervisor
then starts it again, and it restores what is durable.
"""

import contextlib
from typing import Annotated

import typer

from stream.config.settings import Settings, config_file, load
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.instance import prepared
from vigie.names import NameTaken, claimed
from vigie.reload import Again
from vigie.up import start_web


def command(
    port: Annotated[int | None, typer.Option(help="Port of /metrics, /readyz, the API and the page (default: web.port).")] = None,
    config: Config = None,
) -> None:
    """Fold events, roll KPIs, evaluate alerts and deliver notifications, on the Kafka of the settings."""
    settings = settings_of(config, web__port=port)
    if settings.kafka.embedded:
        refuse("kafka.brokers: found 'embedded'; a worker needs a Kafka (VIGIE_KAFKA__BROKERS=host:9092), or run: vigie up", 2)
    log_to_stderr(settings.log_level)
    try:
        with claimed(settings, "worker") as named:
            run(work(named, Again(lambda: load(config, web__port=port), config_file(config))))
    except NameTaken as error:
        refuse(error, 2)


async def work(settings: Settings, again: Again | None = None) -> None:
    """Run until cancelled; raise what stops the engine, for the supervisor to start us again."""
    async with prepared(settings) as instance, contextlib.AsyncExitStack() as stack:
        url = await start_web(instance, stack, again)
        console.print(f"Vigie worker {settings.instance}: {url}, starting on {settings.kafka.brokers}")
        await instance.start()
        await instance.engine.run_until_stopped()
