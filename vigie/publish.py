"""``vigie publish``: send files of events to the topics, each one acknowledged."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer
from confluent_kafka import KafkaException
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from models.events.scalars import parse_time
from stream.config.settings import Settings
from stream.engine.address import NoTopic
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.engine.topics import check, summary
from stream.sources.files import FORMATS, ON_PURPOSE, FileReject, ReadOptions, SourceFileError, read_file
from vigie.common import Config, console, no_broker, refuse, settings_of
from vigie.imported import Imported
from vigie.lanes import engine_options
from vigie.remote import TokenFile, Upload, Url, sender

#: The topics that events are published to.
EVENT_TOPICS = ("deals", "leads", "engagement", "customers", "spend")
_SAID_EVERY = 10  # seconds between two lines of progress where there is no terminal
_REASONS = 1_000  # kept apart: each may quote what was found
#: An event's line, its bytes and its topic-less form; or why there is none.
Line = tuple[int, bytes, str]


def lines(files: list[Path], format: str, mapping: Path | None, zone: str) -> Iterator[Line]:
    """Yield ``(line, event as bytes, "")`` or ``(line, what was found, why it is none)`` of all files in turn."""
    options = ReadOptions(zone=ZoneInfo(zone), mapping=mapping)
    for file in files:
        for item in read_file(file, format, options):
            if isinstance(item, FileReject):
                yield item.line, item.raw, item.reason
            else:
                yield item.line, item.raw if item.raw is not None else orjson.dumps(item.event), ""


class _Steady(Progress):
    """Progress on a terminal, and a line now and then where standard error goes to a file, a log or a pipe."""

    clock = staticmethod(time.monotonic)
    _told: float | None = None

    def update(self, task_id: TaskID, **what: Any) -> None:
        """Take note of how far a task has come."""
        super().update(task_id, **what)
        now = self.clock()
        if self._told is None:
            self._told = now
        if not self.console.is_terminal and now - self._told >= _SAID_EVERY:
            self._told = now
            (task,) = (one for one in self.tasks if one.id == task_id)
            self.console.print(f"{task.description}: {task.completed:,.0f} {task.fields['rate']}", markup=False)


def progress_bar() -> Progress:
    """Return the progress display of long commands: on standard error, gone when done."""
    return _Steady(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def report(rejects: Counter[str], examples: dict[str, int]) -> None:
    """Say what was not published and why, most frequent first."""
    for reason, count in rejects.most_common(20):
        what = "left out" if reason in ON_PURPOSE else "not published"
        console.print(f"  {what}: {count:,} × {reason} (first in line {examples[reason]})", markup=False)


def wrong(rejects: Counter[str]) -> int:
    """Return how many lines could not be used, those left aside that the format or its mapping leaves out."""
    return sum(count for reason, count in rejects.items() if reason not in ON_PURPOSE)


def command(
    files: Annotated[list[Path], typer.Argument(help="Files of events (or the directory of the format crm).", exists=True)],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    speed: Annotated[float, typer.Option(min=0, help="Times real time, by the events' own times; 0: as fast as it goes.")] = 0,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Publish events, to Kafka or to a running instance: exit code 1 where not all was acknowledged, rejected lines included.

    Where the broker is embedded they go to the instance that runs, over its API, as an operator's; so with --url.
    """
    settings = settings_of(config)
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    raise typer.Exit(
        publish(settings, files, format, mapping, speed, sender(settings, url, token_file, lambda: to_kafka(settings)))
    )


def to_kafka(settings: Settings) -> Publisher:
    """Return who publishes to the Kafka of the settings; leave where it is not there, or has no topics."""
    options = engine_options(settings, settings.kafka.brokers)
    ready(options)
    return Publisher(options, message_timeout_ms=60_000)


def publish(
    settings: Settings, files: list[Path], format: str, mapping: Path | None, speed: float, publisher: Publisher | Upload
) -> int:
    """Publish and report; return the exit code. Interrupted, it waits for what is under way and reports that: 130."""
    stopped = ""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    rejects: Counter[str] = Counter()
    examples: dict[str, int] = {}
    imported = None if format == "jsonl" else Imported()
    began, first = time.monotonic(), None
    with progress_bar() as progress:
        task = progress.add_task("publishing", total=None, rate="")
        try:
            for line, value, why in lines(files, format, mapping, settings.business.timezone):
                if not why:
                    try:
                        publisher.publish(value)
                        if imported is not None:
                            imported.take(orjson.loads(value))
                    except NoTopic as error:
                        why = str(error)
                if why:
                    why = why if why in rejects or len(rejects) < _REASONS else "other reasons"
                    rejects[why] += 1
                    examples.setdefault(why, line)
                if speed:
                    first = _pace(value, speed, began, first)
                if publisher.sent % 2048 == 0:
                    publisher.poll()
                    rate = publisher.sent / max(time.monotonic() - began, 1e-3)
                    progress.update(task, completed=publisher.acknowledged, rate=f"{rate:,.0f}/s")
        except SourceFileError as error:
            stopped = str(error)
        except KeyboardInterrupt:
            stopped = "interrupted"
        left = publisher.flush()
    signal.signal(signal.SIGTERM, before)
    seconds = time.monotonic() - began
    console.print(
        f"{publisher.acknowledged:,} events acknowledged in {seconds:.1f} s ({publisher.acknowledged / seconds:,.0f}/s), "
        f"{publisher.failed + left:,} not, {wrong(rejects):,} rejected, {rejects.total() - wrong(rejects):,} left out"
    )
    for told in () if imported is None else imported.lines():
        console.print(f"  {told}", markup=False)
    if imported is not None and imported.none_closed:
        console.print("  no deal is won or lost: does the mapping know the file's words for it?", style="yellow", markup=False)
    for why in publisher.errors:
        console.print(f"  {why}", style="red", markup=False)
    report(rejects, examples)
    print(
        orjson.dumps(
            {"acknowledged": publisher.acknowledged, "failed": publisher.failed + left, "rejected": wrong(rejects)}
        ).decode()
    )
    if stopped:
        console.print(f"vigie: {stopped}; the rest was not published", style="red", markup=False)
        return 130 if stopped == "interrupted" else 1
    return 1 if publisher.failed + left or wrong(rejects) else 0


def ready(options: EngineOptions) -> None:
    """Refuse before the first event where there is no broker, or no topics: each event would wait for its time-out."""
    try:
        problems = check(options, timeout=5, written=EVENT_TOPICS)
    except KafkaException as error:
        refuse(no_broker(options.brokers, error))
    fatal = [problem for problem in problems if problem.fatal]
    if fatal:
        refuse("\n".join(summary(fatal)))


def _pace(value: bytes, speed: float, began: float, first: int | None) -> int | None:
    """Wait until an event is due; return the time of the first one."""
    try:
        at = parse_time(orjson.loads(value)["time"])
    except (ValueError, KeyError, TypeError):
        return first
    if first is None:
        return at
    wait = (at - first) / 1000 / speed - (time.monotonic() - began)
    if wait > 0:
        time.sleep(wait)
    return first
