"""How does a worker run in several processes: which, and with which command lines?"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from stream.web.server import CannotListen, bind
from vigie.common import console, refuse, run
from vigie.front import fronted
from vigie.roles import ALL, PREDICT, Member, Role, cores, instance_of, plan
from vigie.routes import load_alerting
from vigie.rule_files import load_rules
from vigie.supervisor import Supervisor


def roles_of(settings: Settings, asked: Sequence[Role] = ALL) -> tuple[Role, ...]:
    """Return the roles asked for that have anything to do; without ``models.live`` nobody predicts."""
    return tuple(role for role in asked if role != PREDICT or settings.models.live)


def members_of(settings: Settings, asked: Sequence[Role] = ALL) -> list[Member]:
    """Return the processes that roles run in, by the settings and the machine."""
    return plan(roles_of(settings, asked), settings.processes, cores(), settings.kafka.partitions)


def supervised(
    settings: Settings, members: Sequence[Member], config: Path | None, port: int | None, *, create_topics: bool = False
) -> None:
    """Run a worker in these processes until it is told to stop."""
    # What no process could run with is said at once; what stops one of them later, on /readyz.
    catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
    load_rules(catalogue, settings.rule_folders, load_alerting(settings), settings.quotas())
    try:
        sock = bind(settings.web.host, settings.web.port)
    except CannotListen as error:
        refuse(error)
    sock.set_inheritable(False)

    def command(member: Member, channel: int) -> Sequence[str]:
        instance = instance_of(member, settings.instance, members)
        more = ["--config", str(config)] if config else []
        more += ["--port", str(port)] if port is not None else []
        more += ["--create-topics"] if create_topics else []
        roles, at = ",".join(member.roles), f"{member.name}:{instance}:{channel}:{sock.fileno()}"
        return [sys.executable, "-m", "vigie", "worker", "--role", roles, "--member", at, *more]

    supervisor: Supervisor | None = None

    async def watch() -> None:
        nonlocal supervisor
        supervisor = Supervisor(members, command, sock)
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervisor.pass_on, signal.SIGHUP)
        async with fronted(supervisor, settings, sock):
            await supervisor.run()

    def kill() -> None:
        if supervisor is not None:
            supervisor.kill()

    console.print(f"Vigie worker {settings.instance}: {_url(sock)}, {len(members)} processes on {settings.kafka.brokers}")
    run(watch(), at_once=kill)


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"
