"""How late is the event loop? What everything that waits for it feels: folds, heartbeats, requests."""

import asyncio
import time
from collections.abc import Callable

#: Between two looks (s): a piece of work that is longer than this is seen each time.
EVERY = 0.01


async def watch(late: Callable[[float], None], every: float = EVERY) -> None:
    """Tell ``late`` by how many seconds the loop was late, until cancelled."""
    while True:
        due = time.monotonic() + every
        await asyncio.sleep(every)
        late(max(0.0, time.monotonic() - due))
