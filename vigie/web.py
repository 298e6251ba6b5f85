"""``vigie web``: the page and the API, from a view of its own, next to workers that fold."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from agents.foresee import Foreseer
from agents.roll_kpis import LANE, Roller
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from stream.engine.app import build_app
from stream.engine.options import wall_clock
from stream.engine.waiting import end
from stream.ingest.event_ids import seen_of
from stream.metrics import Metrics
from stream.readings.board import Board, ReadingSource, ViewSource
from stream.readings.cache import Fallback, Snapshots
from stream.readings.changelogs import Changelogs
from stream.readings.counted import CountedDesk
from stream.readings.people import PeopleDesk
from stream.readings.refusals import refusals
from stream.web import counting, customers, entities, experiments, explain, forecast, journeys, leaderboard, predictions, usual
from stream.web.alert_board import AlertBoard
from stream.web.app import build_web
from stream.web.entity_board import EntityBoard
from stream.web.feeds.sources import FeedDesk
from stream.web.probe import BrokerProbe
from stream.web.server import serve
from vigie.acts import open_audit, open_operations
from vigie.chances import chances_of
from vigie.clientele import ClienteleTeller
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.lanes import engine_options
from vigie.local import Local, announced, new_token
from vigie.names import NameTaken, claimed
from vigie.plans import open_goals, plans_of, playbooks_of
from vigie.up import customer_desk, open_access, open_door, open_feeds

log = logging.getLogger(__name__)


def command(
    port: Annotated[int | None, typer.Option(help="Port of the page and the API (default: web.port).")] = None,
    config: Config = None,
) -> None:
    """Serve the page and the API; the folds run in `vigie worker`, which exports the KPIs to Prometheus."""
    settings = settings_of(config, web__port=port)
    if settings.kafka.embedded:
        refuse(
            "kafka.brokers: found embedded, whose events live in one process only "
            "(accepted: the address of a Kafka, such as localhost:9092; or run `vigie up`, which has its own page)"
        )
    log_to_stderr(settings.log_level, settings.logging)
    try:
        with claimed(settings, "web") as named:
            run(web(named))
    except NameTaken as error:
        refuse(error, 2)


async def web(settings: Settings) -> None:
    """Run until cancelled; raise what stops it.

    It answers from the start on: with the last snapshot from Redis while its own view is being read, and 503 where there
    is none.
    """
    business = settings.business.business()
    catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
    metrics = Metrics(lanes=(LANE,))
    # A group of its own: every web process reads all of the panes.
    options = engine_options(
        settings, settings.kafka.brokers, application=f"{settings.application}-web-{settings.instance}", observer=metrics
    )
    plans, books = plans_of(settings, catalogue), playbooks_of(settings, catalogue)
    roller = Roller(business, catalogue, clock=wall_clock, targets=settings.quotas(), plans=plans)
    alerts, probe = AlertBoard(), BrokerProbe(options)
    shown_predictions = predictions.PredictionBoard(lambda: engine.status().get("state") == "running")
    shown_customers = customers.CustomerBoard(settings.kafka.partitions)

    def win(deal: str) -> float | None:
        found = shown_predictions.answer("deal", deal) if settings.models.live else None
        return None if found is None else float(found["win"])

    shown_entities = EntityBoard(lambda: engine.status().get("state") == "running", win)
    foreseer = None
    if settings.models.live:
        foreseer = Foreseer(
            business, targets=settings.quotas(), clock=wall_clock, name="show-forecasts", lane="show", speaks=False
        )
    specs = [
        roller.spec(),
        alerts.spec(),
        shown_entities.spec(),
        shown_customers.spec(),
        *([shown_predictions.spec()] if settings.models.live else []),
        *([foreseer.spec()] if foreseer is not None else []),
    ]
    engine = build_app(options, specs)
    if foreseer is not None:
        foreseer.owned.bind(engine)
    source = ViewSource(lambda: roller.view, catalogue)
    snapshots = Snapshots.of(settings)

    def board(source: ReadingSource) -> Board:
        return Board(source, business.calendar, wall_clock)

    def status() -> Mapping[str, Any]:
        return {**engine.status(), "broker": probe.state()}

    live = board(source)
    fallback = Fallback(snapshots, source, board)
    # No figures of sales, alerts or models in these metrics: the worker that holds each exports it, so that a sum counts it once.
    application = build_web(
        live,
        status,
        settings,
        scrape=metrics.scrape,
        alerts=alerts.current,
        cached=fallback.board,
        cache_state=lambda: snapshots.state,
        late=metrics.late,
    )
    metrics.show_health(application.state.vigie.health, lambda: snapshots.state)

    application.include_router(predictions.router(shown_predictions if settings.models.live else None))
    application.include_router(forecast.router(foreseer, settings.forecast, business.calendar))
    application.include_router(experiments.router([one.plan() for one in settings.experiments], catalogue, source.whole))
    application.include_router(leaderboard.router(settings.leaderboards, catalogue, source.whole))
    clientele = customer_desk(settings, shown_customers.parts, wall_clock)
    application.include_router(customers.router(clientele))
    open_feeds(application, FeedDesk(application.state.vigie, shown_entities, clientele, foreseer))

    application.include_router(entities.router(shown_entities))
    # What the workers have written, in their own name; read as this process.
    written = Changelogs(options, replace(options, application=settings.application).changelog)
    counted = CountedDesk(written, business)
    application.include_router(journeys.router(PeopleDesk(written, business)))
    application.include_router(explain.router(catalogue, source.whole, counted, partial(refusals, options), settings.crm_url))
    application.include_router(counting.router(catalogue, counted))
    application.include_router(usual.router(catalogue, source.whole))

    async def read() -> None:
        await engine.start()
        await engine.run_until_stopped()

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(snapshots.close)
        local = Local(new_token())
        open_audit(application, options, stack)
        operators = open_access(application, settings, metrics, local.token)
        operations = open_operations(application, settings, options, stack, operators, standing=alerts.incidents)
        chances = chances_of(lambda: None if foreseer is None else foreseer.owned(), wall_clock)
        open_goals(application, options, stack, operations, lambda: roller.plans, source.whole, books, chances)
        seen = seen_of(settings)
        stack.push_async_callback(seen.close)
        await open_door(application, settings, options, metrics, business.rates.currencies, stack, roller, seen)
        listening = await serve(application, settings.web.host, settings.web.port, before_stop=application.state.vigie.live.stop)
        stack.push_async_callback(listening.stop)
        stack.enter_context(announced(listening.port, local))
        stack.push_async_callback(engine.stop)
        console.print(f"Vigie's page: {listening.url}   (broker: {settings.kafka.brokers})", highlight=False)
        teller = ClienteleTeller(clientele, options, business.calendar, wall_clock)
        stack.callback(teller.close)
        tasks = [
            asyncio.create_task(read(), name="engine"),
            asyncio.create_task(fallback.run(lambda: not source.complete), name="fallback"),
            asyncio.create_task(probe.run(), name="probe"),
            *([asyncio.create_task(teller.run(), name="clientele")] if settings.customers.figures else []),
            *([asyncio.create_task(foreseer.run(), name="forecasts")] if foreseer is not None else []),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(*tasks)
