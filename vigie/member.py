"""What does a process of a worker do, beside its roles? It says how it is, answers its colleagues, ends with its supervisor.

Its supervisor is on the other end of a channel, whose file descriptor it was given. Where that is closed the supervisor has gone,
and there is nobody to start this process again, or to end it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import Any

import msgspec
import orjson

from stream.config.settings import Settings
from stream.engine.waiting import end
from stream.loop_delay import watch
from stream.web.predictions import Elsewhere
from vigie.book import OpenBook
from vigie.channel import CallRefused, Channel
from vigie.colleagues import Colleagues
from vigie.instance import Instance
from vigie.reload import Again
from vigie.roles import PREDICT, SERVE, Member, stand_back
from vigie.running import prepared

log = logging.getLogger(__name__)

_SAY_EVERY = 0.5


async def answered(instance: Instance, what: str, about: Any) -> Any:
    """Answer a colleague's question from what this process holds; raise :class:`Elsewhere` where it does not."""
    match what:
        case "metrics":
            return await instance.metrics.exported()
        case "story":
            story = OpenBook(instance).held(about["entity"], about["key"])
            return None if story is None else {"state": msgspec.to_builtins(story.state), "facts": list(story.facts)}
        case "answer":
            found = instance.answer(about["entity"], about["key"])
            return None if found is None else orjson.loads(orjson.dumps(found))
        case "models":
            return orjson.loads(orjson.dumps(list(instance.models())))
        case "document":
            document = instance.document(about["model"])
            return None if document is None else document.decode()
    raise ValueError(f"{what!r} is no question")


async def work_as(
    member: Member, settings: Settings, again: Again, channel_at: int, port_at: int, *, create_topics: bool
) -> None:
    """Run one process of a worker until cancelled; raise what stops it, for its supervisor to start it again."""
    instance: Instance | None = None

    async def answer(what: str, about: Any) -> Any:
        if what == "colleagues":
            colleagues.heard(about)
            return None
        if instance is None:
            raise Elsewhere(f"{member.name} is starting")
        return await answered(instance, what, about)

    stand_back(member.roles)
    channel = Channel(socket.socket(fileno=channel_at), answer)
    colleagues = Colleagues(member, channel)
    talking = asyncio.create_task(_talk(channel), name="channel")
    try:
        async with prepared(settings, roles=member.roles) as instance, contextlib.AsyncExitStack() as stack:
            listening = False
            if SERVE in member.roles:
                from vigie.up import start_web  # the web part is not loaded where nothing is served

                await start_web(instance, stack, again, colleagues=colleagues, sock=socket.socket(fileno=port_at))
                listening = True
            else:
                stack.push_async_callback(end, asyncio.create_task(watch(instance.metrics.late), name="loop-delay"))
                _shown(instance)
            saying = asyncio.create_task(_say(channel, instance, listening), name="reports")
            stack.push_async_callback(end, saying)
            if create_topics:
                await instance.create_topics()
            await instance.start()
            await instance.engine.run_until_stopped()
    except Exception as error:
        with contextlib.suppress(CallRefused, ConnectionError, TimeoutError):
            await channel.ask("ending", str(error) or repr(error), patience=1.0)
        raise
    finally:
        await end(talking)


def _shown(instance: Instance) -> None:
    """Show in the metrics what a process that does not serve has."""
    metrics = instance.metrics
    metrics.show_behind(instance.engine.behind)
    metrics.show_lanes(instance.engine.status)
    if PREDICT in instance.roles:
        # Every worker knows of the models; who learns says so to Prometheus, so that a sum counts each once.
        metrics.show_models(lambda: instance.models() if instance.trainer() is not None else [])


async def _talk(channel: Channel) -> None:
    await channel.run()
    log.warning("the supervisor has gone: stopping")
    os.kill(os.getpid(), signal.SIGTERM)


async def _say(channel: Channel, instance: Instance, listening: bool) -> None:
    """Say how this process is, again and again."""
    while True:
        said = [*instance.evolving.sentences(), *instance.faults.warnings()]
        channel.tell("status", {"status": dict(instance.engine.status()), "warnings": said, "listening": listening})
        await asyncio.sleep(_SAY_EVERY)
