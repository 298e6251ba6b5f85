"""``vigie replay``: history through the real pipeline, with the events' own time as now."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import confluent_kafka
import typer
from confluent_kafka.admin import AdminClient

from models.business import Business
from models.calendar import DAY_MS, Calendar, epoch_ms
from models.panes.boundaries import ACCEPTED, boundaries
from stream.config.settings import Settings
from stream.engine.topics import declared
from stream.sources.files import FORMATS, SourceFileError
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.instance import Instance
from vigie.ledger import ledger_of
from vigie.player import Player
from vigie.publish import lines, progress_bar, report, wrong
from vigie.running import running
from vigie.stops import WINDOWS, ReadingRequest, Watermark

_FOR_EVER = 300 * 366 * DAY_MS


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
    forecasts_out: Annotated[
        Path | None, typer.Option(help="Predict, forecast once a day, and write what was said and what came of it here.")
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
    request = ReadingRequest(
        at=[_instant(text, calendar) for text in at or ()],
        every=every,
        kpis=kpi,
        windows=window or WINDOWS,
        by=by or [],
        restated=restated,
        tick=tick if alerts_out is not None else None,
        predictions=predictions_out is not None,
        forecasts=forecasts_out is not None,
    )
    for period in (every, request.tick):
        if period is not None:
            try:
                next(boundaries(period, 0, calendar))
            except ValueError as error:
                refuse(error, 2)
    log_to_stderr("warning" if settings.log_level == "info" else settings.log_level)
    run(replay(settings, files, format, mapping, request, kpis_out, alerts_out, predictions_out, forecasts_out))


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
    request: ReadingRequest,
    kpis_out: Path | None,
    alerts_out: Path | None,
    predictions_out: Path | None = None,
    forecasts_out: Path | None = None,
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
    if forecasts_out is not None:
        with forecasts_out.open("wb") as out:
            _write(out, player.forecasts)
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
async def replaying(settings: Settings, request: ReadingRequest) -> AsyncIterator[Player]:
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
    more |= {"predicting": request.predictions or request.forecasts, "foreseeing": request.forecasts}
    made: Instance | None = None
    try:
        with ledger_of(settings, in_memory=True) as ledger:
            async with running(settings, ledger=ledger, **more) as instance:
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
