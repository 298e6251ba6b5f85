"""KPIs of customers, their moves as events, and who has gone quiet, from a desk that holds them all."""

from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, iso
from models.customers.live import KnowCustomers
from models.customers.segments import Named, Terms
from models.fold import Record
from stream.engine.options import EngineOptions
from stream.web.customers import CustomerDesk, CustomersElsewhere
from tests.models.company import Company, at
from vigie import clientele

NOW = at("2026-10-01T06:00")


class Broker:
    """Takes what a publisher is given."""

    failed = 0

    def __init__(self, options: EngineOptions, message_timeout_ms: int) -> None:
        self.records: list[tuple[str, bytes, Any]] = []
        Broker.last = self

    last: "Broker"

    def publish(self, value: bytes) -> None:
        self.send("spend", b"", value)

    def send(self, topic: str, key: bytes, value: bytes | None) -> None:
        self.records.append((topic, key, orjson.loads(value or b"null")))

    async def flushed(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


def customers() -> KnowCustomers:
    fold, number = KnowCustomers(0, Business()), 0
    for n in range(40):
        # The first ten bought every week and stopped in June; the others go on, the last one gave all back.
        stop = 150 if n < 10 else 265
        for day in range(n % 7, stop, 7 if n < 20 else 40):
            number += 1
            when = at("2026-01-05") + day * DAY_MS
            event = {
                "specversion": "1.0", "id": f"i{number}", "source": "t", "type": "customer.invoiced", "subject": f"C{n:02}",
                "time": iso(when), "data": {"amount": 900 if n < 10 else 50 + n, "currency": "EUR", "name": f"Customer {n}"},
            }  # fmt: skip
            fold.fold([Record("customers", 0, number, when, b"", orjson.dumps(event), ())])
    fold.changes()
    return fold


def teller(monkeypatch: pytest.MonkeyPatch, parts: Any, now: list[int]) -> clientele.ClienteleTeller:
    monkeypatch.setattr(clientele, "Publisher", Broker)
    calendar = Business().calendar
    desk = CustomerDesk(lambda: parts, lambda: calendar.day(now[0]), Named(), Terms(52.0, 0.1, 1.0), "EUR")
    return clientele.ClienteleTeller(desk, EngineOptions(brokers="none"), calendar, lambda: now[0])


async def test_figures_by_segment_become_kpis(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    told = teller(monkeypatch, [customers()], now)
    assert await told.round() > 0
    of, recorded = Company(), [value for topic, _, value in Broker.last.records if topic == "spend"]
    of.tell("customer.invoiced N1 2026-09-20", amount=10, currency="EUR")
    of.tell("spend.recorded ads 2026-09-20", amount=100, currency="EUR")
    for event in recorded:
        of.tell(f"metric.recorded {event['subject'].replace(' ', '_')} {event['time']}", **event["data"])
    assert of.value("customers_by_segment", "2026-10-02", "30d") == 40 and not of.letters
    segments = {
        event["data"]["dimensions"]["segment"]: event["data"]["value"]
        for event in recorded
        if "customers" in event["data"]["name"]
    }
    assert sum(segments.values()) == 40
    for segment, count in segments.items():
        assert of.value("customers_by_segment", "2026-10-02", "30d", f"segment={segment}") == count
    worth = sum(event["data"]["value"] for event in recorded if event["data"]["name"] == "vigie.worth")
    assert worth > 0 and of.value("clv_predicted", "2026-10-02", "30d") == pytest.approx(worth / 40, abs=1e-3)
    assert of.value("clv_predicted_to_cac", "2026-10-02", "30d") == pytest.approx(worth / 40 / 100, rel=1e-6)
    assert await told.round() == 0, "nothing is new"
    now[0] += 3_600_000
    assert await told.round() == len(recorded), "once an hour all the same"


async def test_who_has_gone_quiet_and_moves_as_events(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [at("2026-06-30T06:00")]
    told = teller(monkeypatch, [customers()], now)
    seen: dict[str, Any] = {}
    for _ in range(30):
        await told.round()
        now[0] += DAY_MS
    moved = [value for topic, _, value in Broker.last.records if topic == "customer-moves"]
    assert moved and len({event["id"] for event in moved}) == len(moved)
    assert {event["type"] for event in moved} == {"customer.moved"}
    for topic, key, value in Broker.last.records:
        if topic == "standings":
            assert key == b"customers"
            seen |= {one["customer"]: one for one in value["customers"] if one["left"] == "champions"}
    assert seen and all(one["worth"] > 10_000 and one["quiet_days"] > 0 for one in seen.values() if one["customer"] < "C10")


async def test_without_customers_or_without_all_of_them_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await teller(monkeypatch, [KnowCustomers(0, Business())], [NOW]).round() == 0
    with pytest.raises(CustomersElsewhere):
        await teller(monkeypatch, None, [NOW]).round()


def test_nothing_recorded_is_no_value() -> None:
    reading = Company().tell("deal.created D 2026-09-20").read("clv_predicted", "2026-10-02", "30d")
    assert reading.value is None and reading.why == "no customer's worth is known yet"
