"""Deals and leads as a worker keeps them, with names that make a page difficult."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, iso
from models.customers.live import KnowCustomers
from models.customers.segments import Named, Terms
from models.fold import Record
from models.folds.entity_snapshots import DealState, LeadState
from models.money import UNIT
from stream.web.customers import CustomerDesk
from stream.web.entities import OpenDeal, Story
from stream.web.predictions import Elsewhere, Entity

LONG = "Renewal " + "of everything that was ever sold " * 6
NAMES = (
    "Acme: renewal",
    LONG[:200],
    "🚀 Łódź GmbH & Co. <b>KG</b>",
    "شركة النور للتجارة",
    "<img src=x onerror=document.title='pwned'>",
)
STAGES = ("new", "qualified", "demo", "proposal")

_DUE = {"expected_close_date": "2026-12-24"}


class Kept:
    """Five deals of each stage, three leads; ``away``: with another worker; empty where there is nothing."""

    def __init__(self, now: int, *, empty: bool = False) -> None:
        self.now, self.empty, self.away = now, empty, False

    def deals(self) -> Iterable[OpenDeal]:
        """Return the deals that are open."""
        self._here()
        for place, stage in enumerate(STAGES * (not self.empty)):
            for number, name in enumerate(NAMES):
                yield OpenDeal(self.deal(f"D-{place}{number}", stage, place, number, name), (number + 1) / 7)

    def deal(self, id: str, stage: str, place: int, number: int, name: str) -> DealState:
        """Return an open deal."""
        created = self.now - (30 + number) * DAY_MS
        return DealState(
            id, "open", self.now - HOUR_MS, created, None, stage, created + place * 3 * DAY_MS, 10_000 * 1_000_000 * (number + 1),
            owner="ada" if number % 2 else "bob", team="north", source="web", expected_close="2026-12-24", name=name,
        )  # fmt: skip

    def leads(self) -> Iterable[LeadState]:
        """Return the leads that wait."""
        self._here()
        for number, name in enumerate(NAMES[: 0 if self.empty else 3]):
            yield LeadState(
                f"L-{number}", "open", self.now, self.now - (number + 1) * HOUR_MS, owner="ada", source="web", name=name
            )

    def usual(self) -> Mapping[str, int]:
        """Return how long deals stay."""
        return {"new": 33 * DAY_MS, "demo": 10 * DAY_MS}

    def story(self, entity: Entity, key: str) -> Story | None:
        """Return what is known of one."""
        self._here()
        at = self.now - 40 * DAY_MS
        facts: list[tuple[int, str, dict[str, Any]]] = [
            (at, "created", {"stage": "new", "amount": 126_815 * UNIT, "currency": "EUR", "owner": "ada"} | _DUE),
            (at + 5 * DAY_MS, "stage", {"stage": "demo"}), (at + 6 * DAY_MS, "updated", {"name": NAMES[4], "owner": "bob"}),
        ]  # fmt: skip
        if entity == "deal" and key.startswith("D-"):
            return Story(self.deal(key, "demo", 2, int(key[-1]), NAMES[int(key[-1])]), facts)
        if entity == "lead" and key.startswith("L-"):
            lead = next((lead for lead in self.leads() if lead.id == key), None)
            return None if lead is None else Story(lead, facts[:1])
        return None

    def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        """Return what is expected of one."""
        terms = [("source", "source partner", 0.8), ("log_stage_age", "21 days in the stage", -0.6), ("owner", "owner ada", 0.3)]
        said = [{"feature": feature, "words": words, "effect": effect} for feature, words, effect in terms]
        found = {"win": 0.41, "day_ago": 0.55, "median": 21.0, "high": 60.0, "prior": False, "terms": said, "owner": "ada"}
        found["history"] = [[iso(self.now - n * HOUR_MS), 0.41 + 0.006 * n] for n in range(23, -1, -1)]
        return {entity: key, **found}

    def models(self) -> list[Mapping[str, Any]]:
        """Return no models."""
        return []

    def document(self, model: str) -> bytes | None:
        """Return no model."""
        return None

    def _here(self) -> None:
        if self.away:
            raise Elsewhere("the deals are with another worker, or being read back")


def clientele(now: int) -> CustomerDesk:
    """Return sixty customers who buy every few weeks, some of whom have stopped; their ids are as difficult as the names."""
    business = Business()
    fold, calendar = KnowCustomers(0, business), business.calendar
    records = list[Record]()
    for number in range(60):
        name = f"{NAMES[number % len(NAMES)]} {number}"
        for time in range(1 + number % 7):
            at = now - (12 + 9 * (number % 40) + 31 * time) * DAY_MS
            event = {
                "specversion": "1.0", "id": f"i-{number}-{time}", "source": "test", "type": "customer.invoiced", "time": iso(at),
                "subject": name, "data": {"amount": f"{900 + 470 * number + 35 * time}.00", "currency": "EUR"},
            }  # fmt: skip
            records.append(Record("customers", 0, len(records), at, name.encode(), orjson.dumps(event), ()))
    fold.fold(records)
    fold.changes()
    return CustomerDesk(lambda: [fold], lambda: calendar.day(now), Named(), Terms(), "EUR")
