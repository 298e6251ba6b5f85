"""A web application over the demonstration's view, and a client for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from fastapi import FastAPI

from stream.config.kpi_files import load_catalogue
from stream.config.settings import load
from stream.metrics import Metrics
from stream.readings.board import Board, ViewSource
from stream.web.app import build_web
from tests.stream.demo import Company, company

RUNNING = {"state": "running", "partitions": {"roll-kpis": [0]}}
ALERT = {
    "id": "abc",
    "rule": "win-rate-drop",
    "severity": "critical",
    "state": "firing",
    "segment": {"source": "web"},
    "summary": "Win rate from web is 14 % (5 of 36)",
    "since": "2026-11-19T12:00:00Z",
}


def board(of: Company | None = None, clock: Callable[[], int] | None = None) -> Board:
    """Return a board over a company's view."""
    of = of or company()
    return Board(ViewSource(lambda: of.view, load_catalogue()), of.business.calendar, clock or (lambda: of.now))


def application(over: Board | None = None, status: Any = RUNNING, **more: Any) -> FastAPI:
    """Return a web application."""
    metrics = Metrics()
    over = over or board()
    metrics.show_kpis(over, ["7d", "30d"], ["source", "owner", "stage"], 20)
    settings = load(environ={}, instance="test", business__timezone="Europe/Paris")
    return build_web(over, lambda: status, settings, scrape=metrics.scrape, **more)


@contextlib.asynccontextmanager
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that calls the application directly."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie") as found:
        yield found
