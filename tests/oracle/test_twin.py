"""Does SQL say the same of a few hundred days of accounts, terms, close dates and stages, without a replay in between?"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from bench.oracle.compare import catalogue, compare
from bench.oracle.truth import Question, truth
from models.business import Business
from models.calendar import DAY_MS, iso
from models.kpis.catalogue import SHIPPED, Catalogue
from models.panes.store import TOTAL
from tests.models.company import Company

WINDOWS = ("24h", "7d", "30d", "90d", "365d", "week", "month", "quarter", "year")
START = datetime(2024, 1, 1, 9, tzinfo=UTC)
OWNERS, STAGES, PRODUCTS = ("ann", "bob", "cy", "dee"), ("new", "demo", "offer"), ("a", "b", None)


def days(r: random.Random, low: int, high: int) -> timedelta:
    return timedelta(days=r.randrange(low, high), minutes=r.randrange(1440))


def a_deal(r: random.Random, number: int) -> Iterator[tuple[datetime, str, str, dict[str, Any]]]:
    at, name = START + days(r, 0, 400), f"D{number}"
    close = at.date() + timedelta(days=r.randrange(5, 90))
    data: dict[str, Any] = {"owner": r.choice(OWNERS), "source": r.choice(("web", "fair")), "team": r.choice(("x", "y"))}
    if r.random() < 0.8:
        data |= {"amount": str(r.randrange(-50, 5000)), "expected_close_date": close.isoformat()}
    if r.random() < 0.5:
        data["cost"] = str(r.randrange(0, 900))
    if r.random() < 0.7:
        data["stage"] = STAGES[0]
    yield at, "deal.created", name, data
    for _ in range(r.randrange(6)):
        at += days(r, 0, 40)
        close += timedelta(days=r.randrange(-10, 40))
        kind = r.choice(("stage_changed", "updated", "updated", "reopened", "won", "lost"))
        more: dict[str, Any] = {"stage": r.choice(STAGES)} if kind == "stage_changed" else {}
        if r.random() < 0.6:
            more["expected_close_date"] = r.choice((close.isoformat(), close.isoformat(), "9999-12-31", None))
        if r.random() < 0.3:
            more["owner"] = r.choice(OWNERS)
        if r.random() < 0.2:
            more["amount"] = r.choice(("700", None))
        yield at, f"deal.{kind}", name, more


def an_account(r: random.Random, number: int) -> Iterator[tuple[datetime, str, str, dict[str, Any]]]:
    at, name = START + days(r, 0, 60), f"A{number}"
    for turn in range(r.randrange(1, 7)):
        kind = "invoiced" if not turn else r.choice(("invoiced", "renewed", "renewed", "churned", "recommended", "complained"))
        data: dict[str, Any] = {}
        if kind in ("invoiced", "renewed"):
            data = {"amount": str(r.randrange(10, 900)), "currency": "EUR"}
            if (product := r.choice(PRODUCTS)) is not None:
                data["product"] = product
            if r.random() < 0.8:
                data["term_end"] = (at.date() + timedelta(days=r.choice((-1, 0, 30, 60, 90)))).isoformat()
        if kind == "complained" and r.random() < 0.5:
            data = {"response_seconds": r.randrange(9000) / 4}
        yield at, f"customer.{kind}", name, data
        at += days(r, 10, 100)


def the_rest(r: random.Random) -> Iterator[tuple[datetime, str, str, dict[str, Any]]]:
    for number in range(80):
        at = START + days(r, 0, 420)
        yield at, "lead.created", f"L{number}", {"source": r.choice(("web", "fair")), "campaign": r.choice(("c", None))}
        if r.random() < 0.5:
            yield at + days(r, 0, 9), "lead.qualified", f"L{number}", {"level": "mql"}
        spent = {"amount": str(r.randrange(1, 90)), "currency": "EUR", "channel": r.choice(("web", "fair")), "campaign": "c"}
        yield at, "spend.recorded", "s", spent
        yield at, "rep.trained", r.choice(OWNERS), {"owner": r.choice(OWNERS), "hours": r.randrange(1, 30) / 4}
        yield at, "customer.surveyed", "A1", {"kind": "csat", "score": r.randrange(1, 6)}


@pytest.mark.parametrize(("seed", "zone"), [(1, "UTC"), (2, "Europe/Amsterdam"), (3, "America/New_York")])
def test_every_reading_is_what_sql_makes_of_the_same_events(tmp_path: Path, seed: int, zone: str) -> None:
    r = random.Random(seed)
    told = [event for number in range(40) for event in (*a_deal(r, number), *an_account(r, number))] + list(the_rest(r))
    company = Company(Business(timezone=zone, keep_minutes=2000 * DAY_MS, keep_hours=2000 * DAY_MS))
    lines = tmp_path / "events.jsonl"
    with lines.open("wb") as out:
        for number, (at, kind, subject, data) in enumerate(sorted(told, key=lambda event: event[0]), start=1):
            time = at.isoformat().replace("+00:00", "Z")
            company.tell(f"{kind} {subject} {time}", **data)
            told_as = {"id": f"e{number:05d}", "type": kind, "time": time, "subject": subject, "data": data}
            out.write(orjson.dumps(told_as) + b"\n")
    assert not company.letters

    true = truth(lines, WINDOWS, zone, restated=True)
    instants, asked = sorted({t for _, t in true.begins}), Catalogue(catalogue())
    dims = ("owner", "team", "source", "campaign", "product", "stage")
    found = {}
    for at_ in instants:
        for reading in asked.readings(company.view, at_, windows=WINDOWS, by=[TOTAL, *dims]):
            dim, segment = next(iter(reading.segment.items()), (TOTAL, ""))
            found[Question(reading.kpi, reading.window, dim, segment, at_)] = reading
    verdict = compare(found, true, dims)
    assert not verdict.differences, (dict(verdict.differences), verdict.examples, iso(instants[0]))
    silent = {
        "sessions",
        "bounce_rate",
        "session_duration",
        "visitor_to_lead_rate",
        "nps",
        "onboarding_progress",
        "unknown_deals",
    }
    # Those of the funnel's first four stages are told by the simulated company (test_oracle.py).
    shipped = files("models.kpis")
    funnel = {kpi for name in SHIPPED[1:] for kpi in yaml.safe_load(shipped.joinpath(name).read_text("utf-8"))}
    assert {kpi for kpi in asked.kpis if not verdict.telling[kpi]} <= silent | funnel | {"cac_payback", "lead_conversion_period"}
