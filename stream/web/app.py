"""What does one web application consist of?"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.middleware.gzip import GZipMiddleware

from models.calendar import iso
from stream.config.settings import Settings
from stream.engine.register import document as privacy_register
from stream.engine.waiting import end
from stream.logs import RequestIds
from stream.loop_delay import watch
from stream.readings.board import WINDOWS, Board, Reading, Unavailable, UnknownName
from stream.web import api, docs_page, mine, page, runbooks
from stream.web.conditional import Conditional
from stream.web.context import Context, context
from stream.web.health import Health
from stream.web.live import Full, LiveFeed
from stream.web.people import events_without_people, sees_people
from stream.web.problems import install
from stream.web.schema import document

#: What the page shows of an alert.
_ALERT = ("id", "rule", "severity", "state", "segment", "title", "summary", "words", "since", "acknowledged", "held")

Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]


def build_web(
    board: Board,
    status: Callable[[], Mapping[str, Any]],
    settings: Settings,
    *,
    scrape: Scrape | None = None,
    alerts: Callable[[], Sequence[Mapping[str, Any]] | None] = tuple,
    cached: Callable[[], Board | None] = lambda: None,
    cache_state: Callable[[], Mapping[str, Any] | None] = lambda: None,
    late: Callable[[float], None] = lambda seconds: None,
) -> FastAPI:
    """Return the application: health, metrics, API, live page.

    ``board`` answers from the view; ``status`` is the engine's; ``scrape`` gives the metrics page for an ``Accept`` header;
    ``alerts`` the current alert states, None where they are not known here; ``cached`` a board over the last snapshot while the
    view is loading. Further routers (webhooks) may be included in what is returned. ``app.state.vigie.live.stop`` ends the open
    streams: give it to ``serve``. ``late`` is told again and again by how many seconds the event loop was late.
    """
    ctx = Context(board, status, alerts, settings.business, settings.instance, settings.people, cached, cache_state)
    ctx.figures = settings.people_figures

    async def totals(window: str) -> Sequence[Reading]:
        async def ask(answering: Board) -> Sequence[Reading]:
            return answering.totals(window)

        try:
            return (await ctx.answer(ask))[0]
        except Unavailable:
            return []

    def state() -> Mapping[str, Any]:
        health, known = ctx.health(), ctx.alerts()
        return {
            "at": iso(board.now()),
            "state": shown(health),
            "why": "; ".join(health.reasons),
            "warnings": list(health.degraded),
            # Not their values: what is sent only when it changes must not change each second.
            "alerts": None if known is None else [_shown(alert) for alert in known],
        }

    def shown(health: Health) -> str:
        if ctx.live_board.source.complete:
            return "live" if health.ready else "stale"
        return "restoring"

    ctx.live = LiveFeed(totals, state)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ctx.live.start()
        watching = asyncio.create_task(watch(late), name="loop-delay")
        yield
        await end(watching)
        await ctx.live.close()

    app = FastAPI(title="Vigie", docs_url=None, redoc_url=None, lifespan=lifespan, openapi_url="/openapi.json")
    app.state.vigie = ctx
    app.router.redirect_slashes = False  # such a redirect would repeat the request's Host
    document(app)
    install(app)
    app.add_middleware(Conditional)
    # Long answers travel packed: beyond this level it takes four times as long, for a tenth less. Streams do not: each second's
    # part is sent at once.
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=3)
    app.add_middleware(page.SecureHeaders, embed_in=settings.web.embed_in)
    app.add_middleware(RequestIds)
    app.include_router(page.router)
    app.include_router(docs_page.router())
    app.include_router(runbooks.router)
    app.include_router(api.router)
    _health(app)
    _stream(app)
    register = privacy_register(settings.business.business())

    @app.get("/privacy.json", summary="What personal data is kept, why, where and how long")
    async def privacy() -> Response:
        """Return the register of personal data: each field, and each place; nothing of anybody."""
        return api.to_json(register)

    if scrape is not None:
        _metrics(app, scrape)
    return app


def _shown(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of an alert, and whose deal or lead it is about."""
    behind = (alert.get("explanation") or {}).get("behind") or [{}]
    single = set(alert.get("segment") or ()) in ({"deal"}, {"lead"})
    return {name: alert.get(name) for name in _ALERT} | ({"owner": behind[0].get("owner")} if single else {})


def _health(app: FastAPI) -> None:
    @app.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        """Answer whenever the event loop runs; says nothing about the broker."""
        return {"status": "ok"}

    @app.get("/readyz", summary="Are the numbers complete and current?")
    async def readyz(request: Request) -> Response:
        """Answer 200 when ready, 503 with the reasons when not. What is degraded or was lost to retention is listed."""
        health = context(request).health()
        told = health.json()
        if getattr(request.state, "reader", "") is None:  # whoever may not read learns only what a probe needs
            told = {"ready": health.ready, "state": health.state}
        return api.to_json(told, 200 if health.ready else 503, {} if health.ready else {"retry-after": "2"})


def _stream(app: FastAPI) -> None:
    @app.get("/api/stream", summary="Server-sent events: the totals of a window whenever they change")
    async def stream(request: Request) -> Response:
        """Send ``readings`` when the totals of ``window`` (default 30d) changed, at most once a second, and ``beat`` between."""
        ctx = context(request)
        window = request.query_params.get("window", "30d")
        try:
            # Only the page's own windows: each one watched is computed every second.
            if window not in WINDOWS:
                raise UnknownName("window", window, WINDOWS)
            ctx.live.admit()
        except UnknownName as error:
            return api.refuse(error)
        except Full:
            return api.to_json({"error": "too many pages are open on this instance"}, 503, {"retry-after": "30"})
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        reach = api.reach_of(request)
        events = ctx.live.stream(window) if reach is None else mine.stream(ctx, reach, window)
        if not sees_people(request):
            events = events_without_people(events)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _metrics(app: FastAPI, scrape: Scrape) -> None:
    @app.get("/metrics", summary="Prometheus")
    async def metrics(request: Request) -> Response:
        """Return the metrics in Prometheus's text format, or OpenMetrics where it is asked for."""
        body, kind = await scrape(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})
