"""Who answers on a worker's port while no process of it serves? Its supervisor: whether it is alive, ready, and its metrics.

Where the worker serves, this is the time in which that process starts, or is started again; where it has no such role, always.
"""

import asyncio
import contextlib
import logging
import socket
from typing import Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.config.settings import Settings
from stream.merged_metrics import Page, plain
from stream.web.access import Access, ReadGuard
from stream.web.api import to_json
from stream.web.health import Health, judge
from stream.web.operators import Operators
from stream.web.server import Listening, serve
from vigie.colleagues import warnings, whole
from vigie.supervisor import Supervisor

log = logging.getLogger(__name__)

_LATER = {"retry-after": "2"}


class Front:
    """Answers on ``sock`` while the supervisor's processes do not."""

    def __init__(self, supervisor: Supervisor, settings: Settings, sock: socket.socket) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._sock = sock
        self._changed = asyncio.Event()
        self._changed.set()
        self._listening: Listening | None = None
        supervisor.changed = self._changed.set

    async def run(self) -> None:
        """Take the port, and give it back, as processes that serve come and go; until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._supervisor.served and self._listening is not None:
                    listening, self._listening = self._listening, None
                    await listening.stop()
                elif not self._supervisor.served and self._listening is None and not self._supervisor.stopping:
                    web = self._settings.web
                    self._listening = await serve(self._application(), web.host, web.port, sock=self._sock.dup())
        finally:
            if self._listening is not None:
                await self._listening.stop()

    def health(self) -> Health:
        """Return how the worker is, from what its processes say."""
        found = self._supervisor.reports()
        return judge(whole(found), view="none", also=warnings(found))

    def _application(self) -> ReadGuard:
        routes = [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/{path:path}", self._elsewhere, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ]
        web = self._settings.web
        return ReadGuard(Starlette(routes=routes), Access(web, Operators(web.operators)))

    async def _healthz(self, request: Request) -> Response:
        return to_json({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        health = self.health()
        told: dict[str, Any] = health.json()
        if getattr(request.state, "reader", "") is None:
            told = {"ready": health.ready, "state": health.state}
        return to_json(told, 200 if health.ready else 503, {} if health.ready else _LATER)

    async def _metrics(self, request: Request) -> Response:
        health = self.health()
        ready = GaugeMetricFamily("vigie_ready", "Whether this instance is ready for traffic, as /readyz has it (1), or not (0)")
        ready.add_metric([], float(health.ready))
        degraded = GaugeMetricFamily("vigie_degraded", "How many things of this instance are degraded, as /readyz lists them")
        degraded.add_metric([], float(len(health.degraded)))
        families = [*await self._supervisor.metrics(), *plain([ready, degraded])]
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        body = await asyncio.to_thread(encode, Page(families))
        return Response(body, headers={"content-type": kind})

    async def _elsewhere(self, request: Request) -> Response:
        why = "; ".join(self.health().reasons) or "nothing is served here (accepted: /healthz, /readyz, /metrics)"
        return to_json({"error": why}, 503, _LATER)


@contextlib.asynccontextmanager
async def fronted(supervisor: Supervisor, settings: Settings, sock: socket.socket) -> Any:
    """Answer on a port for a supervisor until the end of the block."""
    front = Front(supervisor, settings, sock)
    task = asyncio.create_task(front.run(), name="front")
    try:
        yield front
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)
