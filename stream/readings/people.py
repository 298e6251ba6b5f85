"""How do people come along, and what do accounts buy together? From what the folds have written down, read when it is asked.

Everybody is put together once in a while, in a thread, and told from for a time that grows with what it took.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from models.business import Business
from models.customers.baskets import Baskets, FoundPairs, pairs
from models.journeys.people import JourneyPart, People
from models.journeys.walk import journey
from models.panes.windows import Window
from stream.readings.changelogs import Changelogs

#: What people are told from may be so old (s), or so many times what it took to read it.
_FRESH, _TIMES = 10.0, 20


class PeopleDesk:
    """Answers about journeys and baskets, one question at a time."""

    def __init__(self, written: Changelogs, business: Business, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is seconds of whenever."""
        self._written, self.business, self._clock = written, business, clock
        self._lock = asyncio.Lock()
        self._people: list[JourneyPart] = []
        self._until = 0.0

    async def journeys(self, names: list[str], window: Window, at: int, *, by_source: bool) -> list[dict[str, Any]]:
        """Return these funnels as they went for who began in a window; raise ``KafkaException`` or ``OSError``."""
        start = window.bounds(at, self.business.calendar)[0]
        chosen = [funnel for funnel in self.business.funnels if funnel.name in names]
        async with self._lock:
            began = self._clock()
            if began >= self._until:
                self._people = await asyncio.to_thread(self._everybody)
                end = self._clock()
                self._until = end + max(_FRESH, _TIMES * (end - began))
            people = self._people
            return await asyncio.to_thread(lambda: [journey(funnel, people, start, at, by_source=by_source) for funnel in chosen])

    def _everybody(self) -> list[JourneyPart]:
        people = People(self.business, self.business.funnels)
        for fold in ("engagement", "leads", "deals"):
            for rows in self._written.rows(f"fold-{fold}"):
                people.take(fold, rows)
        return people.persons()

    async def baskets(self, window: Window, at: int, least: int, limit: int) -> dict[str, Any]:
        """Return the pairs of products that are bought together in a window; raise ``KafkaException`` or ``OSError``."""
        start = window.bounds(at, self.business.calendar)[0]
        async with self._lock:
            found = await asyncio.to_thread(self._pairs, start, at, least)
        shown = [pair.json(found.baskets) for pair in found.pairs[:limit]]
        told = {"baskets": found.baskets, "products": found.products, "products_left_out": found.left_out, "least": least}
        return {**told, "count": len(found.pairs), "pairs": shown}

    def _pairs(self, start: int, end: int, least: int) -> FoundPairs:
        baskets = Baskets(self.business, start, end)
        for fold in ("deals", "customers"):
            for rows in self._written.rows(f"fold-{fold}"):
                baskets.take(fold, rows)
        return pairs(baskets, least)
