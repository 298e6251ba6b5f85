"""How does an operator's act get onto the topic ``alerts``, from the API, a link or a button?"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from fastapi import FastAPI

from alert_rules.links import LinkKey, Links
from alert_rules.stages.silence import Silence
from stream.config.settings import Settings
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.engine.topic_tail import TopicTail
from stream.web.acting import Acting
from stream.web.operate import Operations
from stream.web.operators import Operators


def links_of(settings: Settings) -> Links:
    """Return what signs and reads the links of messages."""
    keys = [LinkKey(key.id, key.key.get_secret_value().encode()) for key in settings.web.links.keys]
    return Links(keys, settings.web.public_url, settings.web.links.valid)


def open_operations(
    web: FastAPI,
    settings: Settings,
    options: EngineOptions,
    stack: contextlib.AsyncExitStack,
    operators: Operators,
    *,
    standing: Callable[[], set[str] | None] = lambda: None,
    silences: Callable[[], Sequence[Silence] | None] = lambda: None,
    used: Callable[[str], bool | None] = lambda link: None,
    stands: Callable[[str], bool | None] = lambda incident: None,
    title: Callable[[str], str | None] = lambda incident: None,
) -> Operations:
    """Let people act over the API, links and Slack's buttons, and see what was done; until the stack ends.

    ``standing``, ``silences``, ``used``, ``stands`` and ``title`` answer where this process knows, else None.
    """
    acts = Acts(options)
    stack.callback(acts.close)
    history = TopicTail(options, "alerts")
    operations = Operations(operators, acts.put, standing=standing, silences=silences, history=history.last)
    secrets = [one.signing_secret.get_secret_value().encode() for one in settings.receivers if one.signing_secret is not None]
    acting = Acting(links_of(settings), acts.put, secrets=secrets, used=used, stands=stands, title=title)
    web.include_router(operations.router())
    web.include_router(acting.router())
    return operations


class Acts:
    """Writes acts, one at a time, over a producer that is made with the first one."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._publisher: Publisher | None = None
        self._lock = asyncio.Lock()

    async def put(self, key: bytes, value: bytes) -> None:
        """Write one and return once the broker has it; raise ``OSError`` where it does not take it within 5 s."""
        async with self._lock:
            if self._publisher is None:
                self._publisher = Publisher(self._options, message_timeout_ms=5_000)
            failed = self._publisher.failed
            self._publisher.send("alerts", key, value)
            await self._publisher.flushed()
            if self._publisher.failed > failed:
                raise OSError("the broker did not take it")

    def close(self) -> None:
        """Let the producer go."""
        if self._publisher is not None:
            self._publisher.close()
