"""How many webhooks a second does one core take, each on a real Kafka before it is answered?"""

import asyncio
import gc
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.hubspot import Crm, Note, request
from bench.site import Door
from bench.wire import Connection

#: Connections of the sender: HubSpot has up to ten requests under way for an app; proxies keep more.
CONNECTIONS = 64


def notes(seed: int) -> Iterator[list[Note]]:
    """Batches without end, of objects that were never told of."""
    for part in itertools.count():
        first = seed * 1_000_000_000 + part * 1_000_000
        yield from Crm(first, time.time_ns() // 1_000_000, first=first).batches(20_000)


class Load:
    """A sender and one door."""

    def __init__(self, door: Door, seed: int) -> None:
        self.door = door
        self.batches = notes(seed)
        self.statuses: Counter[int] = Counter()
        self.events = 0

    async def closed(self, count: int, connections: int = CONNECTIONS) -> dict[str, Any]:
        """Send ``count`` requests as fast as they are answered."""
        open_ = [await Connection.open("127.0.0.1", self.door.port) for _ in range(connections)]
        left = itertools.islice(self.batches, count)
        seconds: list[float] = []

        async def one(connection: Connection) -> None:
            for batch in left:
                self.events += len(batch)
                data = request(batch)
                began = time.perf_counter()
                self.statuses[await connection.ask(data, 20)] += 1
                seconds.append(time.perf_counter() - began)

        cpu, own, began = self.door.cpu(), time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(connection) for connection in open_))
        took = time.perf_counter() - began
        cpu, own = self.door.cpu() - cpu, time.process_time() - own
        for connection in open_:
            connection.close()
        return {
            "requests": count,
            "rate": round(count / took),
            "cpu_us": round(cpu / count * 1e6, 1),
            "core": round(cpu / took, 2),
            "sender_core": round(own / took, 2),
            **quantiles(seconds),
        }

    async def paced(self, rate: int, seconds: float, connections: int = 32) -> dict[str, Any]:
        """Send at a rate, whatever the answers do; a request's time runs from when it was due."""
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(connections):
            idle.put_nowait(await Connection.open("127.0.0.1", self.door.port))
        took: list[float] = []
        tasks: set[asyncio.Task[None]] = set()

        async def one(due: float) -> None:
            connection = await idle.get()
            self.statuses[await connection.ask(request(next(self.batches)), 20)] += 1
            took.append(time.perf_counter() - due)
            idle.put_nowait(connection)

        gc.disable()
        cpu, began = self.door.cpu(), time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        gc.enable()
        cpu = self.door.cpu() - cpu
        while not idle.empty():
            idle.get_nowait().close()
        return {"rate": rate, "requests": len(took), "core": round(cpu / seconds, 2), **quantiles(took)}


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median and the worst hundredth, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_ms": round(cuts[49] * 1e3, 2), "p99_ms": round(cuts[98] * 1e3, 2), "max_ms": round(max(seconds) * 1e3, 1)}
