"""Who keeps the KPIs of customers and the moves between their segments up to date? A process that holds all customers.

Where there are customers at all: every quarter of an hour figures by segment become recorded metrics; once a day is over its
moves go to the topic ``customer-moves``, and who has moved lately to ``standings``, which rules on single customers watch. Said
by two processes, or again after a restart, moves have the same ids, and all else the same keys: the last one holds.
"""

import asyncio
import logging
from collections.abc import Callable

import orjson

from models.calendar import HOUR_MS, Calendar
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.web.customers import CustomerDesk, CustomersElsewhere

log = logging.getLogger(__name__)

#: Seconds between two rounds, and before the first one.
EVERY, FIRST = 900.0, 60.0
STANDINGS, MOVES = "standings", "customer-moves"


class ClienteleTeller:
    """Tells of the customers that a desk knows. ``clock`` is epoch milliseconds."""

    def __init__(self, desk: CustomerDesk, options: EngineOptions, calendar: Calendar, clock: Callable[[], int]) -> None:
        self._desk, self._options, self._calendar, self._clock = desk, options, calendar, clock
        self._publisher: Publisher | None = None
        self._said: dict[str, tuple[int, float | None]] = {}
        self._hour = -1
        self._moved = 0  # the last day whose moves were told

    async def run(self) -> None:
        """Tell of them for ever; what goes wrong is tried again."""
        await asyncio.sleep(FIRST)
        while True:
            try:
                await self.round()
            except (CustomersElsewhere, OSError) as error:
                log.info("customers are not told of now: %s", error)
            await asyncio.sleep(EVERY)

    async def round(self) -> int:
        """Tell what is new; return how many records that took. Raise :class:`CustomersElsewhere` or ``OSError``."""
        from models.customers import quiet

        whole = await self._desk.now()
        if not len(whole.ids) and not self._said:
            return 0
        now = self._clock()
        found, records = quiet.figures(whole), 0
        if found != self._said or now // HOUR_MS != self._hour:
            for event in quiet.recordings(found, now):
                self._out().publish(orjson.dumps(event))
                records += 1
        yesterday = self._calendar.day(now) - 1
        if self._moved != yesterday:
            _, day, moves = await self._desk.moves(yesterday - 1, yesterday)
            for event in quiet.events(moves, day, self._calendar.day_start(day + 1)):
                self._out().send(MOVES, event["subject"].encode(), orjson.dumps(event))
                records += 1
            _, _, lately = await self._desk.moves(yesterday - quiet.DAYS, yesterday)
            gone = {"customers": quiet.quiet(lately, self._desk.purchases, yesterday + 1)}
            self._out().send(STANDINGS, b"customers", orjson.dumps(gone))
            records += 1
        if records:
            failed = self._out().failed
            await self._out().flushed()
            if self._out().failed > failed:
                raise OSError(f"the broker did not take all of it: {(self._out().errors or ['no answer'])[-1]}")
        self._said, self._hour, self._moved = found, now // HOUR_MS, yesterday
        return records

    def _out(self) -> Publisher:
        if self._publisher is None:
            self._publisher = Publisher(self._options, message_timeout_ms=20_000)
        return self._publisher

    def close(self) -> None:
        """Let the producer go."""
        if self._publisher is not None:
            self._publisher.close()
