"""How do the processes of one worker speak with each other? Questions and answers as lines of JSON, over a pair of sockets."""

import asyncio
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from stream.engine.waiting import end

log = logging.getLogger(__name__)

#: A line is at most this long (bytes): all metrics of a process, the story of a deal.
_LONGEST = 64 * 1024 * 1024
#: More than this not yet read on the other side (bytes): what is only told is dropped, for it is told again.
_FULL = 1024 * 1024

#: Answers a question (what, about what); what it raises comes back as :class:`CallRefused`.
Answer = Callable[[str, Any], Awaitable[Any]]


class CallRefused(RuntimeError):
    """The other side could not answer; the text is its reason."""


class Channel:
    """One end. ``answer`` answers the other end's questions; :meth:`run` must run for anything to arrive."""

    def __init__(self, end: socket.socket, answer: Answer) -> None:
        self._socket = end
        self._answer = answer
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take in what arrives; return when the other end has closed."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._socket, limit=_LONGEST)
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError) as error:
            log.debug("channel: %r", error)
        finally:
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the other process has ended"))
            await end(*self._answering)
            self._writer.close()
            self._writer = None

    def _take(self, line: list[Any]) -> None:
        kind, number, *rest = line
        if kind == "ask":
            task = asyncio.create_task(self._reply(number, *rest))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        waiting = self._asked.pop(number, None)
        if waiting is not None and not waiting.done():
            if kind == "answer":
                waiting.set_result(rest[0])
            else:
                waiting.set_exception(CallRefused(rest[0]))

    async def _reply(self, number: int | None, what: str, about: Any) -> None:
        try:
            found = await self._answer(what, about)
        except Exception as error:  # whatever it is, the other side is told
            if number is None:
                log.warning("%s: %r", what, error)
            else:
                self._send(["refused", number, str(error) or repr(error)])
        else:
            if number is not None:
                self._send(["answer", number, found])

    def _send(self, line: list[Any]) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(json.dumps(line).encode() + b"\n")
        return True

    def tell(self, what: str, about: Any) -> None:
        """Say something that wants no answer; it is lost where the other end does not read, or is gone."""
        if self._writer is not None and self._writer.transport.get_write_buffer_size() < _FULL:
            self._send(["ask", None, what, about])

    async def ask(self, what: str, about: Any = None, *, patience: float = 5.0) -> Any:
        """Return the answer; raise :class:`CallRefused`, ``ConnectionError``, or after ``patience`` seconds ``TimeoutError``."""
        number = next(self._numbers)
        waiting = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            if not self._send(["ask", number, what, about]):
                raise ConnectionError("the other process is not there")
            async with asyncio.timeout(patience):
                return await waiting
        finally:
            self._asked.pop(number, None)
