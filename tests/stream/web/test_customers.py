"""The customers in the API: whole, by parts, as of a day, and where they are not at hand."""

import asyncio
import itertools
from datetime import date
from typing import Any

import httpx
import orjson
import pytest

from models.business import Business
from models.customers.clientele import COLUMNS
from models.customers.live import KnowCustomers
from models.customers.register import Register
from models.customers.segments import Named, Terms
from models.fold import Record
from stream.web.customers import CustomerBoard, CustomerDesk, router
from tests.models.customers import cdnow
from tests.models.customers.test_live import SHIFT, record
from tests.stream.web.web import application, client

BUSINESS = Business()
TODAY = cdnow.END + SHIFT


def folds(rows: list[Record], partitions: int = 2) -> list[KnowCustomers]:
    found = [KnowCustomers(number, BUSINESS) for number in range(partitions)]
    for number, fold in enumerate(found):
        fold.fold([one for one in rows if (one.key or b"")[-1] % partitions == number])
        fold.changes()
    return found


def desk(parts: Any) -> CustomerDesk:
    return CustomerDesk(parts, lambda: TODAY, Named(), Terms(), "EUR")


@pytest.fixture(scope="module")
def shop() -> list[KnowCustomers]:
    return folds(
        [record(n, name, day + SHIFT, amount) for n, (name, day, amount) in enumerate(cdnow.bought()) if day <= cdnow.END]
    )


async def ask(of: CustomerDesk, *paths: str) -> list[httpx.Response]:
    app = application()
    app.include_router(router(of))
    async with client(app) as web:
        return [await web.get(path) for path in paths]


async def test_what_is_asked_for_is_answered(shop: list[KnowCustomers]) -> None:
    first, loyal, one, gone, models, lines, past = await ask(
        desk(lambda: shop),
        "/api/customers?limit=3&sort=clv",
        "/api/customers?segment=loyal&limit=500&sort=customer",
        "/api/customers/0001",
        "/api/customers/nobody",
        "/api/customer-models",
        "/api/customers?format=jsonl",
        f"/api/customers?format=jsonl&as_of={date.fromordinal(TODAY - 200)}",
    )
    found = first.json()
    assert found["total"] == 2357 == sum(found["segments"].values()) and len(found["customers"]) == 3
    worth = [row["clv"] for row in found["customers"]]
    assert worth == sorted(worth, reverse=True) and tuple(found["customers"][0]) == COLUMNS
    assert loyal.json()["total"] == found["segments"]["loyal"] == len(loyal.json()["customers"])
    told = one.json()
    assert told["p_alive"] == pytest.approx(0.7266, abs=1e-3) and told["expected_39w"] == pytest.approx(1.226, abs=1e-3)
    assert told["ranges"]["p_alive"][0] < told["p_alive"] < told["ranges"]["p_alive"][1]
    assert told["ranges"]["clv"][0] <= told["clv"] <= told["ranges"]["clv"][1]
    assert gone.status_code == 404 and "has been billed" in gone.json()["error"]
    assert models.json()["log_likelihood"] == pytest.approx(-9582.43, abs=0.05)
    whole = [orjson.loads(line) for line in lines.text.splitlines()]
    assert [row["customer"] for row in whole] == sorted(row["customer"] for row in whole) and len(whole) == 2357
    assert 0 < len(past.text.splitlines()) < 2357
    assert {answer.headers["cache-control"] for answer in (first, one, models, lines)} == {"no-store"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=worth", "sort: found 'worth' (accepted: customer, monetary"),
        ("segment=best", "(accepted: champions"),
        ("limit=501", "accepted are 0 to 500"),
        ("limit=x", "accepted are 0 to 500"),
        ("offset=-1", "accepted are 0 to 500"),
        ("order=up", "(accepted: asc, desc)"),
        ("format=xml", "(accepted: json, jsonl)"),
        ("as_of=monday", "a day such as"),
        ("page=2", "parameter: found 'page'"),
    ],
)
async def test_what_is_not_known_is_refused_with_what_is(query: str, said: str) -> None:
    (answer,) = await ask(desk(lambda: []), f"/api/customers?{query}")
    assert answer.status_code == 400 and said in answer.json()["error"]


async def test_moves_between_segments_are_told(shop: list[KnowCustomers]) -> None:
    since, until = (date.fromordinal(TODAY - back) for back in (90, 0))
    every, quiet, yesterday, *wrong = await ask(
        desk(lambda: shop),
        f"/api/customer-moves?since={since}&as_of={until}&limit=500",
        f"/api/customer-moves?since={since}&as_of={until}&left=champions&limit=5",
        "/api/customer-moves",
        "/api/customer-moves?left=nobody",
        "/api/customer-moves?limit=501",
        "/api/customer-moves?since=monday",
        "/api/customer-moves?until=2026-01-01",
    )
    found = every.json()
    assert found["total"] == sum(one["customers"] for one in found["counts"]) > 100
    assert {move["from"] for move in quiet.json()["moves"]} == {"champions"} and len(quiet.json()["moves"]) == 5
    assert yesterday.json()["as_of"] == date.fromordinal(TODAY - 1).isoformat()
    assert {answer.status_code for answer in wrong} == {400}


async def test_without_customers_there_are_none() -> None:
    listed, models = await ask(desk(lambda: folds([])), "/api/customers", "/api/customer-models")
    assert listed.json()["customers"] == [] and listed.json()["total"] == 0
    assert models.json()["why"].startswith("0 customers")


async def test_where_some_are_elsewhere_nothing_is_said() -> None:
    for answer in await ask(
        desk(lambda: None), "/api/customers", "/api/customers/ann", "/api/customer-models", "/api/customer-moves"
    ):
        assert answer.status_code == 503 and answer.headers["retry-after"] == "2"


async def test_who_has_given_all_back_is_known_and_counts_for_nothing() -> None:
    rows = [record(1, "ann", TODAY - 9, 50_000, name="Ann & Co"), record(2, "ann", TODAY - 2, -50_000)]
    (answer,) = await ask(desk(lambda: folds(rows)), "/api/customers/ann")
    assert answer.json() == {"customer": "ann", "name": "Ann & Co", "why": "has bought nothing that was not given back"}


async def test_what_changes_is_seen_and_partitions_may_come_and_go() -> None:
    parts = folds([record(1, "a", TODAY - 9, 50_000), record(2, "b", TODAY - 9, 60_000)])
    hours = itertools.count(0.0, 3600.0)
    of = CustomerDesk(lambda: parts, lambda: TODAY, Named(), Terms(), "EUR", lambda: next(hours))
    assert len((await of.now()).ids) == 2
    parts[1].fold([record(3, "c", TODAY, 10_000)])
    parts[1].changes()
    assert (await of.now()).ids == ["b", "a", "c"]
    parts = folds([record(4, "d", TODAY, 10_000)])
    assert (await of.now()).ids == ["d"]


async def test_a_fault_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = folds([record(1, "a", TODAY - 9, 50_000)])
    of = desk(lambda: parts)
    with monkeypatch.context() as broken:
        broken.setattr(Register, "now", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await of.now()
    assert (await of.now()).ids == ["a"]


async def test_many_who_ask_at_once_and_go_are_answered_one_at_a_time(shop: list[KnowCustomers]) -> None:
    of = desk(lambda: shop)
    asking = [asyncio.ensure_future(of.now()) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    found = await asyncio.gather(*asking[1:])
    assert len({id(one) for one in found}) == 1


async def test_a_process_that_does_not_fold_knows_them_when_all_have_been_read() -> None:
    board, parts = CustomerBoard(2), folds([record(1, "a", TODAY - 9, 50_000)])
    readers = [board.spec().make(number) for number in range(2)]
    for reader, part in zip(readers, parts, strict=True):
        for key, value in part.entities.rows:
            reader.fold([Record("customer-states", 0, 0, 0, key.encode(), value, ())])
    readers[0].live()  # type: ignore[attr-defined]
    assert board.parts() is None
    readers[1].live()  # type: ignore[attr-defined]
    assert (await desk(board.parts).now()).ids == ["a"]


async def test_a_list_says_what_people_call_them() -> None:
    billed = record(0, "0001", TODAY - 3, 100_000, name="Acme")
    (found,) = await ask(desk(lambda: folds([billed])), "/api/customers")
    assert [(row["customer"], row["name"]) for row in found.json()["customers"]] == [("0001", "Acme")]
