"""``vigie worker``: folds, alerts and notifications on a Kafka; as many as there are partitions can share the work."""

import contextlib
from typing import Annotated

import typer

from stream.settings import Settings
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.instance import running
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
    run(work(settings))


async def work(settings: Settings) -> None:
    """Run until cancelled; raise what stops the engine, for the supervisor to start us again."""
    async with running(settings, create_topics=False) as instance, contextlib.AsyncExitStack() as stack:
        url = await start_web(instance, stack)
        console.print(f"Vigie worker {settings.instance}: {settings.kafka.brokers}, {url}", highlight=False)
        await instance.engine.run_until_stopped()
