"""The demonstration's company behind all its tables."""

from __future__ import annotations

import functools
from typing import Any

import httpx
from fastapi import FastAPI

from agents.foresee import Foreseer
from models.customers.live import KnowCustomers
from models.customers.segments import Named, Terms
from models.folds.entity_snapshots import DealState, LeadState
from models.foresight.foresee import Asked
from models.foresight.kept import Slice
from stream.config.goal_settings import PeopleSettings
from stream.config.settings import load
from stream.web.access import Access, ReadGuard
from stream.web.customers import CustomerDesk
from stream.web.feeds import export, odata
from stream.web.feeds.sources import FeedDesk
from stream.web.forecast import BY, PERIODS
from stream.web.operators import Operators
from stream.web.predictions import Entity
from tests.models.customers.test_live import record
from tests.stream.demo import Company, company
from tests.stream.web.test_forecast import NOW as FORESEEN
from tests.stream.web.test_forecast import foreseer
from tests.stream.web.web import application, board

ANN, BOB, ALL = "ann-0123456789abcdef", "bob-0123456789abcdef", "all-0123456789abcdef"
ALERTS: list[dict[str, Any]] = [
    {"id": "i1", "rule": "slow", "severity": "warn", "state": "firing", "segment": {"source": "web"}, "kpi": "win_rate",
     "since": "2026-11-19T12:00:00Z", "value": 0.25, "threshold": 0.3, "unit": "ratio", "window": "30d", "acknowledged": None},
    {"id": "i2", "rule": "fast", "severity": "critical", "state": "pending", "segment": {}, "since": "2026-11-19T12:00:00.500Z"},
]  # fmt: skip


class Folds:
    """The deals and leads of a company's folds."""

    def __init__(self, of: Company) -> None:
        self.folds = {"deal": of.folds["deals"], "lead": of.folds["leads"]}

    def ids(self, entity: Entity) -> list[str]:
        return self.folds[entity].entities.ids()

    def state(self, entity: Entity, key: str) -> DealState | LeadState | None:
        return self.folds[entity].glance(key)

    def win(self, deal: str) -> float | None:
        return 0.25


@functools.cache
def clientele(count: int = 30) -> CustomerDesk:
    fold = KnowCustomers(0, company().business)
    fold.fold([record(n, f"c{n:03}", 739_686 + n, 50_000 + n) for n in range(count)])
    fold.changes()
    return CustomerDesk(lambda: [fold], lambda: company().business.calendar.day(company().now), Named(), Terms(), "EUR")


@functools.cache
def forecasts() -> Foreseer:
    """Of deals of their own, each made once."""
    found = foreseer(records=False)
    fold = found.owned()
    assert fold is not None
    for period in PERIODS:
        for by in (None, *BY):
            fold.ask(Asked(Slice(period, by)), FORESEEN)
    job = fold.job(FORESEEN)
    assert job is not None
    fold.take(job.run())
    return found


def feeds(app: FastAPI, of: Company | None = None) -> FeedDesk:
    return FeedDesk(app.state.vigie, Folds(of or company()), clientele(), forecasts())


def application_with_feeds(of: Company | None = None, **more: Any) -> FastAPI:
    app = application(board(of or company()), alerts=lambda: ALERTS, **more)
    tables = feeds(app, of)
    app.include_router(odata.router(tables))
    app.include_router(export.router(tables))
    return app


def guarded(figures: Any = None, **web: Any) -> FastAPI:
    """Return the application behind its guard; ``bob`` sees the first owner's figures only."""
    owner = sorted(company().view.segments("owner", frozenset(("deals",))))[0]
    people = [{"name": "ann", "token": ANN}, {"name": "bob", "token": BOB, "role": "read", "owners": [owner]}]
    people.append({"name": "all", "token": ALL, "role": "read"})
    settings = load(environ={}, web={"host": "0.0.0.0", "operators": people, **web}).web
    app = application_with_feeds()
    if figures is not None:
        app.state.vigie.figures = PeopleSettings.model_validate(figures)
    app.add_middleware(ReadGuard, access=Access(settings, Operators(settings.operators)))
    return app


def client(app: FastAPI, base: str = "http://vigie", **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("203.0.113.9", 1)), base_url=base, **more)
