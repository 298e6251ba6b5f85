"""How does an operator's act get onto the topic ``alerts``, from the API, a link or a button?"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException
from fastapi import FastAPI

from agents.notifiers import readers_of, receivers_of
from agents.notifiers.slack import SlackSettings
from alert_rules.tell.signed_links import LinkKey, Links, SignedLink
from alert_rules.tell.stages.silence import Silence
from alert_rules.words.reader import Reader
from models.calendar import DAY_MS, iso
from stream.config.settings import Settings
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.engine.topic_tail import TopicTail
from stream.web.acting import Acting
from stream.web.audit import Audited
from stream.web.operate import Operations
from stream.web.operators import Operators
from vigie.auditing import auditor_of

#: The log is asked for so long (seconds) who pressed a link first, this often, for so many presses at a time.
_PATIENCE, _PAUSE, _PRESSES = 5.0, 0.1, 100
#: So far (ms) the clocks of workers and of this process may be apart.
_CLOCKS = DAY_MS


def links_of(settings: Settings) -> Links:
    """Return what signs and reads the links of messages."""
    keys = [LinkKey(key.id, key.key.get_secret_value().encode()) for key in settings.web.links.keys]
    return Links(keys, settings.web.public_url, settings.web.links.valid)


def open_audit(web: FastAPI, options: EngineOptions, stack: contextlib.AsyncExitStack) -> None:
    """Have it written down who reads what of persons, and who acts, until the stack ends; before the guard is set up."""
    auditor = auditor_of(options, stack)
    web.state.vigie.warnings.append(auditor.warnings)
    web.add_middleware(Audited, auditor=auditor)


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
    acts = Acts(options, settings.web.links.valid)
    stack.callback(acts.close)
    history = TopicTail(options, "alerts")
    operations = Operations(operators, acts.put, standing=standing, silences=silences, history=history.last)
    slacks = [one for one in receivers_of(settings) if isinstance(one, SlackSettings)]
    secrets = [one.signing_secret.get_secret_value().encode() for one in slacks if one.signing_secret is not None]
    readers = readers_of(settings)
    acting = Acting(
        links_of(settings),
        acts.put,
        slack=secrets,
        first=acts.first,
        used=used,
        stands=stands,
        title=title,
        language=lambda receiver: readers.get(receiver, Reader(settings.business.language)).words.language,
    )
    web.include_router(operations.router())
    web.include_router(acting.router())
    return operations


class Acts:
    """Writes acts, one at a time, over a producer that is made with the first one."""

    def __init__(self, options: EngineOptions, valid: int = 0, topic: str = "alerts") -> None:
        """``valid`` is for how long (ms) a link is, from when it was made; ``topic`` where acts are written."""
        self._options = options
        self._topic = topic
        self._valid = valid
        self._publisher: Publisher | None = None
        self._lock = asyncio.Lock()

    async def put(self, key: bytes, value: bytes | None) -> None:
        """Write one and return once the broker has it; raise ``OSError`` where it does not take it within 5 s."""
        async with self._lock:
            if self._publisher is None:
                self._publisher = Publisher(self._options, message_timeout_ms=5_000)
            failed = self._publisher.failed
            self._publisher.send(self._topic, key, value)
            await self._publisher.flushed()
            if self._publisher.failed > failed:
                raise OSError("the broker did not take it")

    async def first(self, link: SignedLink, press: str) -> str | None:
        """Say who pressed a link first: None where it was ``press``, which is in the log; else who it was.

        The log of acts decides, as it does for the fold: whatever process each press came to. Raise ``OSError`` where it does
        not tell within 5 s.
        """
        try:
            return await asyncio.to_thread(self._first, link, press)
        except KafkaException as error:
            raise OSError(error.args[0].str()) from error

    def _first(self, link: SignedLink, press: str) -> str | None:
        history, end = TopicTail(self._options, "alerts"), time.monotonic() + _PATIENCE
        before = iso(link.expires - self._valid - _CLOCKS)  # nobody can have pressed what had not been made

        def pressed(tree: Mapping[str, Any]) -> bool:
            return tree.get("type") == "act" and tree.get("link") == link.id

        def wanted(tree: Mapping[str, Any]) -> bool:
            return pressed(tree) or str(tree.get("at", "~")) < before

        while time.monotonic() < end:
            found, place = history.last(_PRESSES, wanted)
            while place is not None and all(map(pressed, found)) and time.monotonic() < end:
                more, place = history.last(_PRESSES, wanted, place)
                found += more
            presses = [one for one in found if pressed(one)]
            if any(one.get("press") == press for one in presses):
                return None if presses[-1].get("press") == press else str(presses[-1].get("by"))
            time.sleep(_PAUSE)  # a transaction that is still open before it hides it for a moment
        raise OSError("the log of alerts does not tell in time")

    def close(self) -> None:
        """Let the producer go."""
        if self._publisher is not None:
            self._publisher.close()
