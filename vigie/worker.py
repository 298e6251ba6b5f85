"""``vigie worker``: folds, alerts and notifications on a Kafka; as many as there are partitions can share the work.

On a machine of several cores it is several processes, by role (``processes``, ``--role``), and a supervisor.

When the broker is away at the start the worker waits for it, serving ``/healthz`` and ``/readyz`` meanwhile; when it goes
away later, what has been folded stays in memory and the checkpoint is made when it is back. The worker ends by itself, with
exit code 1 and the reason on the last line, only where going on would be guessing: the group has given its partitions to
others (an outage or a pause longer than ``kafka.session_timeout``), or another worker uses its instance name. Its supervisor
then starts it again, and it restores what is durable.
"""

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from stream.config.settings import Settings, config_file
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.names import NameTaken, claimed
from vigie.reload import Again
from vigie.roles import ALL, PREDICT, SERVE, Member, Role, parse
from vigie.settings import load
from vigie.several import members_of, roles_of, supervised


def command(
    port: Annotated[int | None, typer.Option(help="Port of /metrics, /readyz, the API and the page (default: web.port).")] = None,
    role: Annotated[
        str | None, typer.Option(help="What this worker does, with commas: fold, serve, predict (default: everything).")
    ] = None,
    member: Annotated[str | None, typer.Option(hidden=True, help="Which of a worker's processes this is.")] = None,
    create_topics: Annotated[bool, typer.Option("--create-topics", hidden=True, help="Make topics that are missing.")] = False,
    config: Config = None,
) -> None:
    """Fold events, roll KPIs, evaluate alerts and deliver notifications, on the Kafka of the settings."""
    part = None if member is None else WorkerPart.of(member)
    given: dict[str, Any] = {"web__port": port, "instance": None if part is None else part.instance}
    settings = settings_of(config, **given)
    if settings.kafka.embedded:
        refuse("kafka.brokers: found 'embedded'; a worker needs a Kafka (VIGIE_KAFKA__BROKERS=host:9092), or run: vigie up", 2)
    try:
        roles = ALL if role is None else parse(role)
    except ValueError as error:
        refuse(error, 2)
    if not roles_of(settings, roles):
        refuse(f"--role: found {PREDICT} alone, where models.live is false: there is nothing to do", 2)
    log_to_stderr(settings.log_level, settings.logging, "" if part is None else part.name)
    again = Again(lambda: load(config, **given), config_file(config))
    if part is not None:
        from vigie.member import work_as  # what folds is not loaded by who only supervises

        process = Member(part.name, roles)
        run(work_as(process, settings, again, part.channel, part.port, create_topics=create_topics))
    try:
        with claimed(settings, "worker") as named:
            members = members_of(named, roles)
            if len(members) > 1 or SERVE not in roles:
                supervised(named, members, config, port)
            else:
                run(work(named, again, roles_of(named, roles)))
    except NameTaken as error:
        refuse(error, 2)


class WorkerPart:
    """Which process of a worker this is, as its supervisor says: its name, and where its channel and its port are."""

    def __init__(self, name: str, instance: str, channel: int, port: int) -> None:
        self.name, self.instance, self.channel, self.port = name, instance, channel, port

    @classmethod
    def of(cls, text: str) -> "WorkerPart":
        """Return what a supervisor has written."""
        name, instance, channel, port = text.split(":")
        return cls(name, instance, int(channel), int(port))


async def work(settings: Settings, again: Again | None = None, roles: Sequence[Role] = ALL) -> None:
    """Run all roles in this process until cancelled; raise what stops the engine, for the supervisor to start us again."""
    from vigie.running import prepared
    from vigie.up import start_web

    async with prepared(settings, roles=roles) as instance, contextlib.AsyncExitStack() as stack:
        url = await start_web(instance, stack, again)
        console.print(f"Vigie worker {settings.instance}: {url}, starting on {settings.kafka.brokers}")
        await instance.start()
        await instance.engine.run_until_stopped()
