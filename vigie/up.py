"""``vigie up``: everything in one process, kept in one file of this machine unless a Kafka is named."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import orjson
import typer
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from agents import roll_kpis
from models.calendar import HOUR_MS
from models.events.scalars import parse_time
from stream.config.settings import Settings, config_file
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.engine.waiting import end
from stream.ingest.collect import Collector
from stream.ingest.collect import router as collect_router
from stream.ingest.door import Door, sources_of
from stream.ingest.event_ids import EventIds, seen_of
from stream.ingest.intake import Intake
from stream.ingest.webhooks import Entrance
from stream.ingest.webhooks import router as webhooks_router
from stream.ledger.lock import LedgerTaken
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from stream.logs import RequestIds
from stream.metrics import Metrics
from stream.readings.board import WINDOWS, Board, ReadingSource, ViewSource
from stream.readings.cache import CachePublisher as CachePublisher
from stream.readings.cache import Fallback, Snapshots
from stream.readings.changelogs import Changelogs
from stream.readings.counted import CountedDesk
from stream.readings.people import PeopleDesk
from stream.readings.refusals import refusals
from stream.tracing import tracing_of
from stream.web import counting, customers, entities, experiments, explain, forecast, journeys, leaderboard, predictions, usual
from stream.web.access import Access, ReadGuard
from stream.web.app import build_web
from stream.web.events import router as events_router
from stream.web.feeds import export, odata
from stream.web.feeds.sources import FeedDesk
from stream.web.operators import Operators
from stream.web.people import dimensions_shown
from stream.web.server import serve
from vigie import letters_api, model_commands, privacy_api
from vigie.acts import open_audit, open_operations
from vigie.book import OpenBook
from vigie.chances import chances_of
from vigie.clientele import ClienteleTeller
from vigie.colleagues import Colleagues
from vigie.common import Config, console, log_to_stderr, refuse, run, settings_of
from vigie.instance import Instance
from vigie.ledger import ledger_of
from vigie.local import Local, announced, new_token
from vigie.mirrored import periodic
from vigie.names import NameTaken, claimed
from vigie.plans import open_goals, playbooks_of
from vigie.reload import Again, Reloader
from vigie.roles import FOLD, PREDICT
from vigie.running import prepared
from vigie.settings import load as settings_again
from vigie.several import members_of, roles_of, supervised

log = logging.getLogger(__name__)

#: What there is to see in the demonstration.
STORY = """A simulated company: a year of sales behind it, then live. What to look at:
  now       how the month goes, and what is different from the weeks before
  minute 1  a campaign is launched: sources, by campaign, "spring-launch"
  minute 2  its landing page breaks; about two minutes later one alert begins ("Landing page broken"): open it, it explains itself
  minute 5  the page is repaired; within some three minutes the alert ends: alerts, what happened"""

#: Events the demo may have sent that are not folded yet: what is kept in memory is bounded.
HELD = 10_000


def command(
    demo: Annotated[bool, typer.Option("--demo", help="Run the simulator into it; nothing is kept.")] = False,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Keep nothing over a restart.")] = False,
    seed: Annotated[int, typer.Option(help="The simulator's seed.")] = 7,
    port: Annotated[int | None, typer.Option(help="Port of the page and the API (default: web.port).")] = None,
    config: Config = None,
) -> None:
    """Run everything: folds, alerts, page, API and metrics. Without a Kafka all is kept in a file, by one process."""
    mine = _as_demo if demo else lambda found: found
    settings = mine(settings_of(config, web__port=port))
    log_to_stderr(settings.log_level, settings.logging)
    again = Again(lambda: mine(settings_again(config, web__port=port)), config_file(config))
    try:
        # On a Kafka it is a worker among others; on its own broker it meets nobody.
        with claimed(settings, "worker") if not settings.kafka.embedded else contextlib.nullcontext(settings) as named:
            members = members_of(named)
            if len(members) > 1 and not demo and not settings.kafka.embedded:
                supervised(named, members, config, port, create_topics=True)
            else:
                run(up(named, demo=demo, seed=seed, again=again, in_memory=in_memory or demo))
    except NameTaken as error:
        refuse(error, 2)
    except (LedgerTaken, LedgerRefused) as error:
        refuse(error, 1)


def _as_demo(settings: Settings) -> Settings:
    from vigie.simulate import as_demo  # the simulator is loaded where there is something to simulate

    return as_demo(settings)


async def up(settings: Settings, *, demo: bool, seed: int, again: Again | None = None, in_memory: bool = False) -> None:
    """Run until cancelled; raise what stops the engine. ``again`` says how rules, routes and targets are read anew."""
    with ledger_of(settings, in_memory=in_memory) as ledger:
        await _up(settings, ledger, demo=demo, seed=seed, again=again, in_memory=in_memory)


async def _up(settings: Settings, ledger: Ledger | None, *, demo: bool, seed: int, again: Again | None, in_memory: bool) -> None:
    roles = None if settings.kafka.embedded else roles_of(settings)
    async with prepared(settings, ledger=ledger, roles=roles) as instance, contextlib.AsyncExitStack() as stack:
        # First the page: a taken port is known at once, and /readyz says what the start is waiting for.
        reading = list[str]()
        url = await start_web(instance, stack, again, notices=lambda: reading)
        await instance.create_topics()
        await instance.start()
        kept = f"kept in {ledger.path}" if ledger is not None else f"broker: {settings.kafka.brokers}"
        console.print(f"Vigie is up: {url}   ({'nothing is kept over a restart' if in_memory and ledger is not None else kept})")
        if settings.kafka.embedded:
            console.print("Give it events: vigie publish, vigie backfill. To acknowledge alerts on its page: vigie alerts token")
        if demo:
            console.print(STORY, highlight=False, markup=False)
        tasks = [asyncio.create_task(instance.engine.run_until_stopped(), name="engine")]
        if demo:
            tasks.append(asyncio.create_task(_demo(instance, seed, reading), name="demo"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(*tasks)


async def start_web(
    instance: Instance,
    stack: contextlib.AsyncExitStack,
    again: Again | None = None,
    *,
    colleagues: Colleagues | None = None,
    sock: socket.socket | None = None,
    notices: Callable[[], Sequence[str]] = lambda: (),
) -> str:
    """Serve page, API and metrics of an instance until the stack ends; return the address.

    With ``again`` its rules, routes and targets are read anew when their files change, and on SIGHUP. ``colleagues`` are the
    other processes of this worker, which have the roles that this one has not; ``sock`` listens already.
    """
    settings = instance.settings
    # Workers share the folds: the view may be in another one's hands, and what is left of it here grows old.
    source = ViewSource(lambda: instance.roller.view, instance.catalogue, held=lambda: instance.roller.owned() is not None)

    def board_over(any_source: ReadingSource) -> Board:
        return Board(any_source, instance.business.calendar, instance.clock)

    board = board_over(source)
    snapshots = Snapshots.of(settings)
    fallback = Fallback(snapshots, source, board_over)
    metrics = instance.metrics
    shown = settings.metrics
    told_by = dimensions_shown(shown.dimensions, settings.people_figures)
    metrics.show_kpis(board, shown.windows, told_by, shown.segments)
    metrics.show_alerts(instance.evaluator.counts)
    metrics.show_behind(instance.engine.behind)
    metrics.show_lanes(instance.engine.status)
    metrics.show_held_back(lambda: {**instance.watcher.beyond(), **instance.evaluator.beyond()})
    metrics.show_old(instance.watcher.old)
    deliverer = instance.deliverer
    metrics.show_notifications(instance.notifications)
    metrics.show_decisions(lambda: instance.dispatcher.decisions)
    metrics.show_outbox(deliverer.waiting, deliverer.ages, deliverer.failing)
    engine = instance.engine
    if colleagues is not None:
        metrics.colleagues = colleagues.metrics
    web = build_web(
        board,
        engine.status if colleagues is None else lambda: colleagues.whole(engine.status()),
        settings,
        scrape=metrics.scrape,
        alerts=instance.alerts,
        cached=fallback.board,
        cache_state=lambda: snapshots.state,
        late=metrics.late,
    )
    metrics.show_health(web.state.vigie.health, lambda: snapshots.state)
    web.state.vigie.warnings.append(instance.evolving.sentences)
    web.state.vigie.warnings.append(notices)
    web.state.vigie.warnings.append(instance.faults.warnings)
    if colleagues is not None:
        web.state.vigie.warnings.append(colleagues.warnings)
    if instance.housekeeper is not None:
        web.state.vigie.warnings.append(instance.housekeeper.warnings)
    if again is not None:
        reloader = Reloader(instance, again.read, again.config)
        metrics.show_reload(lambda: float(not reloader.problems), lambda: reloader.at / 1000)
        web.state.vigie.warnings.append(reloader.warnings)
        await stack.enter_async_context(reloader.running())
    predicting = instance if colleagues is None or PREDICT in instance.roles else colleagues
    web.include_router(predictions.router(predicting if settings.models.live else None))
    story = None if colleagues is None or FOLD in instance.roles else colleagues.story
    book = OpenBook(instance, story)
    web.include_router(entities.router(book))
    written = Changelogs(instance.options, instance.options.changelog)
    counted = CountedDesk(written, instance.business)
    web.include_router(forecast.router(instance.foreseer, settings.forecast, instance.business.calendar))
    refused = partial(refusals, instance.options)
    web.include_router(journeys.router(PeopleDesk(written, instance.business)))
    web.include_router(explain.router(instance.catalogue, source.whole, counted, refused, settings.crm_url))
    web.include_router(counting.router(instance.catalogue, counted))
    web.include_router(usual.router(instance.catalogue, source.whole))
    web.include_router(experiments.router([one.plan() for one in settings.experiments], instance.catalogue, source.whole))
    web.include_router(leaderboard.router(settings.leaderboards, instance.catalogue, source.whole))
    clientele = customer_desk(settings, instance.customer_parts, instance.clock)
    web.include_router(customers.router(clientele))
    if instance.foreseer is not None:
        metrics.show_forecasts(instance.foreseer.figures)
    feeds = FeedDesk(web.state.vigie, book, clientele, instance.foreseer)
    open_feeds(web, feeds)
    if (mirror := instance.mirror) is not None:
        web.state.vigie.warnings.append(mirror.warnings)
        stack.push_async_callback(end, asyncio.create_task(mirror.run(periodic(feeds, settings.postgres)), name="postgres"))
    if settings.models.live and PREDICT in instance.roles:
        # Every worker knows of the models; who learns says so to Prometheus, so that a sum counts each once.
        metrics.show_models(lambda: instance.models() if instance.trainer() is not None else [])
    dispatcher, evaluator = instance.dispatcher, instance.evaluator
    local = Local(new_token())
    open_audit(web, instance.options, stack)
    operations = open_operations(
        web,
        settings,
        instance.options,
        stack,
        open_access(web, settings, metrics, local.token),
        standing=lambda: None if evaluator.owned() is None else evaluator.incidents() | dispatcher.threads(),
        silences=lambda: None if dispatcher.owned() is None else dispatcher.silences(),
        used=dispatcher.used,
        stands=dispatcher.stands,
        title=dispatcher.title,
    )
    books = playbooks_of(settings, instance.catalogue)
    foreseer = instance.foreseer
    chances = chances_of(lambda: None if foreseer is None else foreseer.owned(), instance.clock)
    open_goals(web, instance.options, stack, operations, lambda: instance.roller.plans, source.whole, books, chances)
    incoming = Incoming(instance)
    stack.callback(incoming.close)
    web.include_router(events_router(operations, incoming.take))
    # What a door could not use is read again with its settings of now.
    web.include_router(letters_api.router(operations, instance.options, again.read if again is not None else lambda: settings))
    web.include_router(model_commands.router(operations, instance.options))
    seen = seen_of(settings)
    stack.push_async_callback(seen.close)
    now = again.read if again is not None else lambda: settings
    caches = privacy_api.Caches(seen, snapshots)
    web.include_router(privacy_api.router(operations, instance, now, caches))
    await open_door(web, settings, instance.options, metrics, instance.business.rates.currencies, stack, instance.roller, seen)
    listening = await serve(web, settings.web.host, settings.web.port, sock=sock, before_stop=web.state.vigie.live.stop)
    stack.push_async_callback(listening.stop)
    stack.enter_context(announced(listening.port, local))
    teller = ClienteleTeller(clientele, instance.options, instance.business.calendar, instance.clock)
    stack.callback(teller.close)
    caching = [
        *([asyncio.create_task(teller.run(), name="clientele")] if settings.customers.figures else []),
        asyncio.create_task(CachePublisher(snapshots, board, WINDOWS, shown.dimensions).run(), name="cache"),
        asyncio.create_task(fallback.run(lambda: not source.complete), name="fallback"),
        *(
            [asyncio.create_task(privacy_api.carry_out(instance, caches), name="erasures")]
            if instance.privacy is not None
            else []
        ),
    ]

    async def end_cache() -> None:
        await end(*caching)
        await snapshots.close()

    stack.push_async_callback(end_cache)
    return listening.url


def customer_desk(
    settings: Settings, parts: Callable[[], Sequence[customers.CustomerPartition] | None], clock: Callable[[], int]
) -> customers.CustomerDesk:
    """Return who answers about customers; ``clock`` is epoch milliseconds."""
    said, calendar = settings.customers, settings.business.business().calendar
    return customers.CustomerDesk(parts, lambda: calendar.day(clock()), said.named(), said.terms(), settings.business.currency)


def open_feeds(web: FastAPI, feeds: FeedDesk) -> None:
    """Let other tools read the tables."""
    web.include_router(odata.router(feeds))
    web.include_router(export.router(feeds))


def open_access(web: FastAPI, settings: Settings, metrics: Metrics, local: str = "") -> Operators:
    """Let only those read who may; return those who have a token. Where nobody could, a token for this run is printed.

    ``local`` is the token of this process's own user.
    """
    operators = Operators(settings.web.operators, local=local, counted=metrics.access_refused)
    web.add_middleware(ReadGuard, access=Access(settings.web, operators))
    if settings.web.cors:  # a browser asks without a token whether it may ask with one
        web.add_middleware(
            CORSMiddleware,
            allow_origins=settings.web.cors,
            allow_methods=["GET", "HEAD"],
            allow_headers=["authorization", "if-none-match", "prefer", "range"],
            expose_headers=["etag", "link", "content-range", "odata-version", "vigie-source", "vigie-left-out"],
        )
    reached = not settings.web.local or settings.web.public_url
    if reached and not operators.named and not settings.web.user_header and not settings.web.anonymous:
        reached_by = "web.public_url" if settings.web.local else f"web.host {settings.web.host}"
        console.print(
            f"access: {reached_by} says that others reach this instance, and nobody has a token to read, so here is one for this "
            f"run: {operators.once('printed at the start')}\n"
            "access: set web.operators (VIGIE_WEB__OPERATORS) and web.metrics_token (VIGIE_WEB__METRICS_TOKEN) for tokens that"
            " stay; docs/security.md says how",
            highlight=False,
            markup=False,
        )
    return operators


async def open_door(
    web: FastAPI,
    settings: Settings,
    options: EngineOptions,
    metrics: Metrics,
    currencies: frozenset[str],
    stack: contextlib.AsyncExitStack,
    roller: roll_kpis.Roller,
    seen: EventIds,
) -> None:
    """Let webhooks and trackers in, where the settings have any; raise ``SettingsError`` for sources that cannot be used."""
    sources, sites = sources_of(settings), settings.collect.sites
    if not sources and not sites:
        return
    tracing = tracing_of(settings.tracing)
    intake = Intake(options, headers=tracing.headers)
    stack.push_async_callback(intake.close)
    if sources:
        metrics.show_sources(sources)
        web_ = settings.web
        door = Door(
            sources, intake, seen, currencies, web_.public_url, web_.trusted, minimise=options.minimise, counted=metrics.webhook
        )
        web.state.door = door
        web.state.vigie.warnings.append(door.warnings)
        web.include_router(webhooks_router)
        web.add_middleware(Entrance, door=door)
        console.print(f"webhooks: {', '.join(f'/webhooks/{name}' for name in sources)}", highlight=False, markup=False)
    if sites:
        metrics.show_sites(sites)
        web.state.collector = Collector(
            settings.collect,
            intake,
            seen,
            proxies=settings.web.trusted,
            minimise=options.minimise,
            held=lambda dimension, name: roller.view.holds(dimension, name),
            counted=metrics.collected,
            withheld=metrics.withheld,
        )
        web.include_router(collect_router)
        console.print(f"tracker: /vigie.js, /collect ({', '.join(sites)})", highlight=False, markup=False)
    web.add_middleware(tracing.door)
    web.add_middleware(RequestIds)


class Incoming:
    """Publishes what comes in over the API, never further ahead of the folds than memory can hold."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._publisher: Publisher | None = None

    async def take(self, events: Sequence[bytes]) -> None:
        """Publish events and wait for the broker, and for the folds where all is in memory; raise ``OSError``."""
        instance = self._instance
        if instance.engine.status().get("state") != "running":
            raise OSError("the instance is starting, or restoring")
        if self._publisher is None:
            self._publisher = Publisher(instance.options, message_timeout_ms=20_000)
        publisher = self._publisher
        failed = publisher.failed
        for event in events:
            publisher.publish(event)
        left = await publisher.flushed(30)
        if left or publisher.failed > failed:
            raise OSError(f"the broker did not take all of it: {(publisher.errors or ['no answer'])[-1]}")
        if instance.options.embedded and instance.options.backend is None:
            await instance.engine.settled(publisher.ends, cascade=True)

    def close(self) -> None:
        """Let the producer go."""
        if self._publisher is not None:
            self._publisher.close()


async def _demo(instance: Instance, seed: int, reading: list[str]) -> None:
    """Publish the simulator's events, never further ahead than the folds can follow; ``reading`` says how far its past is."""
    from vigie.simulate import demo as demo_batches

    held, first = 0, 0
    with Publisher(instance.options) as publisher:
        async for batch in demo_batches(seed, instance.clock, asyncio.sleep, currency=instance.business.currency, batch=HELD):
            for event in batch:
                publisher.publish(orjson.dumps(event))
            held += len(batch)
            at, now = parse_time(batch[-1]["time"]), instance.clock()
            first = first or parse_time(batch[0]["time"])
            share = round(100 * (at - first) / max(now - first, 1))
            reading[:] = [f"the simulated company's past is being read: {share}% so far"] if now - at > HOUR_MS else []
            if held >= HELD:
                held = 0
                await publisher.flushed()
                await instance.engine.settled(publisher.ends, cascade=True)
            else:
                publisher.poll()
