"""``vigie replay``: history through the real pipeline, with the events' own time as now."""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import confluent_kafka
import orjson
import typer
from confluent_kafka.admin import AdminClient
from rich.progress import Progress, TaskID

from agents import evaluate_alerts, learn, predict_deals, predict_leads, roll_kpis
from models.boundaries import ACCEPTED, boundaries
from models.business import Business
from models.calendar import DAY_MS, Calendar, epoch_ms, iso
from models.events.scalars import check_time, parse_time
from models.kpis.reading import Reading
from stream.options import FoldSpec
from stream.publisher import NoTopic, Publisher
from stream.settings import Settings
from stream.sources.files import FORMATS, SourceFileError
from stream.topics import declared
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.instance import Instance, running
from vigie.publish import lines, progress_bar, report, wrong

#: Every window but 1h, whose minute panes a replay of years would not want.
WINDOWS = ("24h", "7d", "30d", "90d", "day", "week", "month", "quarter", "year")
#: Events published before the folds have to be durable: the embedded broker forgets what lies further back than its memory.
HELD_EMBEDDED, HELD_KAFKA = 1_500, 20_000
#: In the order in which time passes for them: lessons, then models.
PREDICTING = (predict_deals.NAME, predict_leads.NAME, learn.NAME)
_PATIENCE = 30  # seconds for a record that is known to be there
_FOR_EVER = 300 * 366 * DAY_MS


@dataclass
class Request:
    """What is to be read, and when."""

    at: list[int] = field(default_factory=list)
    every: str | None = None
    kpis: list[str] | None = None
    windows: Sequence[str] = WINDOWS
    by: list[str] = field(default_factory=list)
    restated: bool = False
    predictions: bool = False
    tick: str | None = None  # how often the rules are evaluated; None: not at all


def command(
    files: Annotated[list[Path], typer.Argument(help="Files of events (or the directory of the format crm).", exists=True)],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    at: Annotated[list[str] | None, typer.Option(help="Read at this time (a date: its business midnight).")] = None,
    every: Annotated[str | None, typer.Option(help=f"Read at each boundary: {ACCEPTED}.")] = None,
    kpi: Annotated[list[str] | None, typer.Option(help="Only these KPIs.")] = None,
    window: Annotated[list[str] | None, typer.Option(help=f"Only these windows (default: {', '.join(WINDOWS)}).")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Also by this dimension.")] = None,
    restated: Annotated[bool, typer.Option("--restated", help="Read every time at the end, late corrections included.")] = False,
    kpis_out: Annotated[Path | None, typer.Option(help="Write the readings here (JSON lines; default: standard output).")] = None,
    predictions_out: Annotated[
        Path | None, typer.Option(help="Predict and learn, and write what is said of each open deal and lead at the end here.")
    ] = None,
    alerts_out: Annotated[Path | None, typer.Option(help="Evaluate the rules, and write the alerts' transitions here.")] = None,
    tick: Annotated[str, typer.Option(help="How often rules are evaluated with --alerts-out, in event time.")] = "1h",
    config: Config = None,
) -> None:
    """Replay files through the real pipeline; a reading at T counts the events with time < T.

    Exit code 1 where a line was rejected or an event became a dead letter: the readings are of the rest.
    """
    settings = settings_of(config)
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    calendar = settings.business.business().calendar
    request = Request(
        at=[_instant(text, calendar) for text in at or ()],
        every=every,
        kpis=kpi,
        windows=window or WINDOWS,
        by=by or [],
        restated=restated,
        tick=tick if alerts_out is not None else None,
        predictions=predictions_out is not None,
    )
    for period in (every, request.tick):
        if period is not None:
            try:
                next(boundaries(period, 0, calendar))
            except ValueError as error:
                refuse(error, 2)
    log_to_stderr("warning" if settings.log_level == "info" else settings.log_level)
    run(replay(settings, files, format, mapping, request, kpis_out, alerts_out, predictions_out))


def _instant(text: str, calendar: Calendar) -> int:
    try:
        if len(text) == 10:
            return calendar.day_start(date.fromisoformat(text).toordinal())
        return epoch_ms(datetime.fromisoformat(text))
    except ValueError:
        refuse(f"--at: found {text!r}; accepted: a date, or a time with offset such as 2026-03-31T18:00:00+02:00", 2)


async def replay(
    settings: Settings,
    files: list[Path],
    format: str,
    mapping: Path | None,
    request: Request,
    kpis_out: Path | None,
    alerts_out: Path | None,
    predictions_out: Path | None = None,
) -> int:
    """Replay, write what was asked for, report; return the exit code."""
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(progress_bar())
        try:
            async with replaying(settings, request) as player:
                player.calendar_check()
                source = lines(files, format, mapping, settings.business.timezone)
                await player.play(source, progress, progress.add_task("replaying", total=None, rate=""))
        except SourceFileError as error:
            refuse(error)
        except LookupError as error:
            refuse(error, 2)
    if player.lost:
        refuse(f"{player.lost} events were lost by the broker before they were folded: the readings are not complete")
    if kpis_out is not None:
        with kpis_out.open("wb") as out:
            _write(out, (reading.encode() for reading in player.readings))
    elif alerts_out is None:
        for reading in player.readings:
            print(reading.encode().decode())
    if predictions_out is not None:
        with predictions_out.open("wb") as out:
            _write(out, player.predictions)
    if alerts_out is not None:
        with alerts_out.open("wb") as out:
            _write(out, player.transitions)
    console.print(player.summary(), highlight=False)
    report(player.rejects, player.examples)
    return 1 if wrong(player.rejects) or player.letters else 0


def _write(out: IO[bytes], rows: Iterable[bytes]) -> None:
    for row in rows:
        out.write(row + b"\n")


@contextlib.asynccontextmanager
async def replaying(settings: Settings, request: Request) -> AsyncIterator["Player"]:
    """Start a pipeline of its own for one replay: topics and group under a name that no other has, gone afterwards."""
    name = f"replay-{uuid.uuid4().hex[:8]}"
    settings = settings.model_copy(
        update={
            "application": name,
            "kafka": settings.kafka.model_copy(update={"topic_prefix": f"{name}-"}),
        }
    )
    clock = Watermark()
    business = settings.business.business()
    if request.restated:
        business = _keep_for_ever(settings)
    # Time is that of the events: what is learnt goes round whenever the folds have caught up.
    settings = settings.model_copy(update={"models": settings.models.model_copy(update={"interval": 0})})
    more: dict[str, Any] = {"clock": clock, "business": business, "delivering": False}
    more |= {"alerting": request.tick is not None, "paced": True}
    more["predicting"] = request.predictions
    made: Instance | None = None
    try:
        async with running(settings, **more) as instance:
            made = instance
            await instance.engine.ready()
            yield Player(instance, request, clock)
    finally:
        if made is not None and not settings.kafka.embedded:
            await asyncio.to_thread(_remove_topics, made)


def _keep_for_ever(settings: Settings) -> Business:
    update = {"keep_minutes": _FOR_EVER, "keep_hours": _FOR_EVER, "keep_days": _FOR_EVER}
    return settings.business.model_copy(update=update).business()


def _remove_topics(instance: Instance) -> None:
    admin = AdminClient(instance.options.client())
    names = [topic.name for topic in declared(instance.options, instance.engine.specs)]
    for future in admin.delete_topics(names, operation_timeout=10).values():
        with contextlib.suppress(confluent_kafka.KafkaException):
            future.result()


class Watermark:
    """The replay's clock: the latest event time so far (epoch ms)."""

    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        """Return now."""
        return self.at


class Player:
    """Publishes a history, holding it back to the folds' pace, and reads at the boundaries it passes."""

    def __init__(self, instance: Instance, request: Request, clock: Watermark) -> None:
        self.instance = instance
        self.request = request
        self.clock = clock
        self.readings: list[Reading] = []
        self.transitions: list[bytes] = []
        self.predictions: list[bytes] = []
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}
        self._publisher = Publisher(instance.options)
        self._held = HELD_EMBEDDED if instance.options.embedded else HELD_KAFKA
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
                if self._alerts is None:
                    self.clock.at = at
            if not why:
                try:
                    publisher.publish(value)
                    self._unsettled += 1
                except NoTopic as error:
                    why = str(error)
            if why:
                self.rejects[why] += 1
                self.examples.setdefault(why, line)
            if self._unsettled >= self._held:
                await self.settle()
                rate = publisher.sent / (time.monotonic() - self._began)
                progress.update(task, completed=publisher.sent, rate=f"{rate:,.0f}/s, at {iso(self._last)}")
        for stop in stops.closing(self._last):
            await self._stop(*stop)
        await self.settle()
        # Counted here: once the engine has stopped, there are no partitions left to ask.
        self.letters = sum(n for p in self.instance.partitions() for (_, kind, _), n in p.outcomes.items() if not kind)
        self.predictions = [orjson.dumps(found) for found in self.instance.predictions()]
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
        if self.request.predictions:
            for fold in PREDICTING:
                driver.poke(fold)
                await driver.checkpoint(driver.specs[fold].lane)
                await driver.settled(publisher.ends, cascade=True)

    async def _stop(self, at: int, read: bool) -> None:
        await self.settle()
        self.clock.at = at
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


class Stops:
    """The instants at which to hold: those to be read at, and the ticks of the rules."""

    def __init__(self, request: Request, calendar: Calendar) -> None:
        self._request = request
        self._calendar = calendar
        self._at = sorted(set(request.at))
        self._every: Iterator[int] | None = None
        self._tick: Iterator[int] | None = None
        self._next_every = self._next_tick = 0
        self.read: list[int] = []

    def _begin(self, first: int) -> None:
        request, calendar = self._request, self._calendar
        if request.every is not None and self._every is None:
            self._every = boundaries(request.every, first, calendar)
            self._next_every = next(self._every)
        if request.tick is not None and self._tick is None:
            self._tick = boundaries(request.tick, first, calendar)
            self._next_tick = next(self._tick)

    def passed(self, at: int) -> list[tuple[int, bool]]:
        """Return the instants up to and including ``at`` (no event counted yet is as late), each with whether to read."""
        self._begin(at)
        found: dict[int, bool] = {}
        while self._tick is not None and self._next_tick <= at:
            found[self._next_tick] = False
            self._next_tick = next(self._tick)
        while self._every is not None and self._next_every <= at:
            found[self._next_every] = True
            self._next_every = next(self._every)
        while self._at and self._at[0] <= at:
            found[self._at.pop(0)] = True
        self.read += sorted(when for when, read in found.items() if read)
        return sorted(found.items())

    def closing(self, last: int) -> list[tuple[int, bool]]:
        """Return what remains after the last event: times asked for, the end of the period that holds it, a last tick."""
        found = dict.fromkeys(self._at, True)
        if self._every is not None and last >= 0:
            found[self._next_every] = True
        self.read += sorted(found)
        if self._tick is not None:
            found.setdefault(self._next_tick, False)
        return sorted(found.items())


def event_time(value: bytes) -> int | None:
    """Return an event's time; None where it has none that its fold will accept: what is refused must not move the clock."""
    try:
        return check_time(parse_time(orjson.loads(value)["time"]), int(time.time() * 1000))
    except (ValueError, KeyError, TypeError):
        return None


class _Tail:
    """Reads what has been added to a topic since the last time."""

    def __init__(self, instance: Instance, topic: str) -> None:
        options = instance.options
        self._consumer = confluent_kafka.Consumer(
            options.client(
                group_id=f"{options.group}-tail",
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
        )
        start = confluent_kafka.TopicPartition(options.physical(topic), 0, confluent_kafka.OFFSET_BEGINNING)
        self._consumer.assign([start])
        self._topic = topic
        self._next = 0

    def read(self, end: int) -> list[bytes]:
        """Return the values that have come, up to the offset ``end``, which has been written before."""
        found: list[bytes] = []
        while self._next < end:
            message = self._consumer.poll(_PATIENCE)  # not consume(n): offsets have gaps, and it would wait for n records
            if message is None:
                raise RuntimeError(f"{self._topic}: written up to {end}, but {self._next} does not come within {_PATIENCE} s")
            if (error := message.error()) is not None:
                raise confluent_kafka.KafkaException(error)
            found.append(message.value())
            self._next = message.offset() + 1
        return found
