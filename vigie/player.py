"""How is a history played through a running pipeline, no faster than its folds, and read where it is to be read?"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import orjson
from rich.progress import Progress, TaskID

from agents import evaluate_alerts, foresee, learn, predict_deals, predict_leads, roll_kpis
from models.calendar import iso
from models.kpis.reading import Reading
from stream.engine.address import NoTopic
from stream.engine.on_kafka import backend_of
from stream.engine.options import FoldSpec
from stream.engine.publisher import Publisher
from vigie.instance import Instance
from vigie.publish import wrong
from vigie.stops import ReadingRequest, Stops, Watermark, event_time

#: Events published before the folds have to be durable.
HELD = 20_000
#: In the order in which time passes for them: lessons, then models.
PREDICTING = (predict_deals.NAME, predict_leads.NAME, learn.NAME)


class Player:
    """Publishes a history, holding it back to the folds' pace, and reads at the boundaries it passes."""

    def __init__(self, instance: Instance, request: ReadingRequest, clock: Watermark) -> None:
        self.instance = instance
        self.request = request
        self.clock = clock
        self.readings: list[Reading] = []
        self.transitions: list[bytes] = []
        self.predictions: list[bytes] = []
        self.forecasts: list[bytes] = []
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}
        self._publisher = Publisher(instance.options)
        self._unsettled = 0
        self._last = 0
        self.letters = 0
        self.lost = 0  # offsets that the broker had let go of before they were folded
        self._began = time.monotonic()
        self._alerts = _Tail(instance, "alerts") if request.tick is not None else None

    def calendar_check(self) -> None:
        """Raise ``LookupError`` for a KPI, window or dimension there is none of, before anything is replayed."""
        request = self.request
        self.instance.catalogue.readings(self.instance.roller.view, 0, request.kpis, request.windows, ["total", *request.by])

    async def play(self, source: Iterator[tuple[int, bytes, str]], progress: Progress, task: TaskID) -> None:
        """Publish everything and read at every boundary, the one that closes the last period included."""
        stops = Stops(self.request, self.instance.business.calendar)
        publisher = self._publisher
        for line, value, why in source:
            at = None if why else event_time(value)
            if at is not None and at > self._last:
                for stop in stops.passed(at):
                    await self._stop(*stop)
                self._last = at
            if not why:
                try:
                    publisher.publish(value)
                    self._unsettled += 1
                except NoTopic as error:
                    why = str(error)
            if why:
                self.rejects[why] += 1
                self.examples.setdefault(why, line)
            if self._unsettled >= HELD:
                await self.settle()
                rate = publisher.sent / (time.monotonic() - self._began)
                progress.update(task, completed=publisher.sent, rate=f"{rate:,.0f}/s, at {iso(self._last)}")
        for stop in stops.closing(self._last):
            await self._stop(*stop)
        await self.settle()
        # Counted here: once the engine has stopped, there are no partitions left to ask.
        self.letters = sum(n for p in self.instance.partitions() for (_, kind, _), n in p.outcomes.items() if not kind)
        self.predictions = [b"%b" % orjson.dumps(found) for found in self.instance.predictions()]
        self.forecasts = self.instance.forecasts()
        self.lost = sum(jump["offsets_lost"] for jump in self.instance.engine.status().get("jumps", {}).values())
        if self.request.restated:
            for at in stops.read:
                self._read(at)
        elif not stops.read:
            self._read(self._last + 1)

    async def settle(self) -> None:
        """Wait until all that was published is folded, durable and in the view."""
        self._unsettled = 0
        publisher = self._publisher
        if await publisher.flushed():
            raise RuntimeError(f"the broker has not acknowledged {publisher.sent - publisher.acknowledged} events within 60 s")
        if publisher.failed:
            raise RuntimeError(f"{publisher.failed} events were not taken by the broker: {publisher.errors[0]}")
        driver = self.instance.engine.driver
        await driver.settled(publisher.ends, cascade=True)
        # Not before: time that passes while events are under way would pass without them.
        if self._alerts is None:
            self.clock.at = max(self.clock.at, self._last)
        if self.request.predictions or self.request.forecasts:
            await self._pass(PREDICTING)

    async def _pass(self, folds: Sequence[str]) -> None:
        """Let time pass for some folds, one after the other."""
        driver = self.instance.engine.driver
        for fold in folds:
            driver.poke(fold)
            await driver.checkpoint(driver.specs[fold].lane)
            await driver.settled(self._publisher.ends, cascade=True)

    async def _stop(self, at: int, read: bool) -> None:
        await self.settle()
        self.clock.at = at
        if self.request.forecasts:
            await self._pass((*PREDICTING, foresee.NAME))
        if self._alerts is not None:
            # Between two stops the rules' clock stands still: they see the history at the stops, however fast it is played.
            driver, specs = self.instance.engine.driver, self.instance.engine.specs
            await self._tick([spec for spec in specs if spec.name != roll_kpis.NAME])
            await self._tick([spec for spec in specs if spec.name == roll_kpis.NAME])
            end = driver.lanes[evaluate_alerts.LANE].writer.written.get((self.instance.options.physical("alerts"), 0), 0)
            self.transitions += await asyncio.to_thread(self._alerts.read, end)
        if read and not self.request.restated:
            self._read(at)

    async def _tick(self, specs: list[FoldSpec]) -> None:
        """Let time pass for some folds, and wait until all that follows from it has been done."""
        driver = self.instance.engine.driver
        for spec in specs:
            driver.poke(spec.name)
        for lane in {spec.lane: None for spec in specs}:
            while not await driver.checkpoint(lane):  # noqa: ASYNC110  # a rebalance: it has no event to wait for
                await asyncio.sleep(0.05)
        await self.settle()

    def _read(self, at: int) -> None:
        view, request = self.instance.roller.view, self.request
        view.advance(at)
        self.readings += self.instance.catalogue.readings(view, at, request.kpis, request.windows, ["total", *request.by])

    def summary(self) -> str:
        """Return what has happened, in one line."""
        seconds = time.monotonic() - self._began
        return (
            f"{self._publisher.acknowledged:,} events replayed in {seconds:.1f} s, up to {iso(self._last)}; "
            f"{len(self.readings):,} readings; {self.letters:,} dead letters, {wrong(self.rejects):,} lines rejected"
        )


class _Tail:
    """Reads what has been added to a topic since the last time."""

    def __init__(self, instance: Instance, topic: str) -> None:
        self._log = backend_of(instance.options).log(instance.options, topic)
        self._next = 0

    def read(self, end: int) -> list[bytes]:
        """Return the values that have come, up to the offset ``end``, which has been written before."""
        if end <= self._next:
            return []
        start, self._next = self._next, end
        return [value for _, value in self._log.block(start, end) if value is not None]
