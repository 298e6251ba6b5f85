"""How does a blocking client work beside the event loop, and what if it never comes back?"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any


class BlockingThread:
    """One daemon thread that does one thing after the other.

    Not an executor: those are joined when the interpreter ends, and a call that hangs in a client would keep the process.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]] | None]
        self._work = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Have it done; the future has its result. Cancelling the future does not stop the call."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._work.put((future, call, arguments))
        return future

    def close(self) -> None:
        """No more work; the thread ends after what it has."""
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, call, arguments = item
            result, error = None, None
            try:
                result = call(*arguments)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
        future.exception()  # whoever gave up waiting has been told otherwise
    else:
        future.set_result(result)
