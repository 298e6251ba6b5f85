"""How does something wait without ever losing the word to stop?

``asyncio.wait_for`` of Python 3.11 swallows a cancellation that comes in the same turn of the loop as what was awaited: the task
goes on for ever, and whoever cancelled it waits for ever (CPython issue 86296; mended in 3.12). What waits here does not use
it, and whoever ends a task waits for its end only so long.
"""

import asyncio
import logging
from collections.abc import Awaitable

log = logging.getLogger(__name__)

#: How long the end of a cancelled task is waited for, seconds.
PATIENCE = 5.0


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so many seconds; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


async def settle(*tasks: Awaitable[object], patience: float = PATIENCE) -> None:
    """Wait until these have ended, whatever their result, at most ``patience`` seconds; name in the log what has not."""
    futures = [asyncio.ensure_future(task) for task in tasks]
    if not futures:
        return
    done, pending = await asyncio.wait(futures, timeout=patience)
    for future in done:
        if not future.cancelled():
            future.exception()  # has been seen
    for future in pending:
        log.warning("%s has not ended within %g s; not waited for any longer", _name(future), patience)


async def end(*tasks: "asyncio.Task[object] | None", patience: float = PATIENCE) -> None:
    """Cancel the tasks and wait for their end, at most ``patience`` seconds."""
    found = [task for task in tasks if task is not None]
    for task in found:
        task.cancel()
    await settle(*found, patience=patience)


def _name(future: "asyncio.Future[object]") -> str:
    return future.get_name() if isinstance(future, asyncio.Task) else "a wait"
