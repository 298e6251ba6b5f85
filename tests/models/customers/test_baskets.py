"""What is bought together, worked out by hand."""

from typing import Any

import pytest

from models.business import Business
from models.customers.baskets import PRODUCTS, Baskets, Pair, pairs
from tests.models.company import Company, at
from tests.models.test_behind import rows_of


def gathered(told: Company, start: str = "2026-01-01", end: str = "2026-12-31") -> Baskets:
    found = Baskets(told.business, at(start), at(end))
    for fold in ("deals", "customers"):
        found.take(fold, rows_of(told.partitions[fold]))
    return found


def bought(told: Company, account: str, *products: str, when: str = "2026-03-01") -> None:
    for product in products:
        told.tell(f"customer.invoiced {account} {when}", amount=10, currency="EUR", product=product)


def test_support_confidence_and_lift() -> None:
    """Ten accounts. Desk in 5, chair in 4, both in 3; lamp in 5 others.

    Desk → chair: support 3/10, confidence 3/5, lift (3/5) / (4/10) = 1.5. Chair → desk: 3/4, lift the same.
    """
    told = Company()
    for number in range(10):
        name = f"A{number}"
        bought(told, name, *(["desk"] if number < 5 else ["lamp"]), *(["chair"] if number in (0, 1, 2, 9) else []))
    found = pairs(gathered(told), least=2)
    assert (found.baskets, found.products, found.left_out) == (10, 3, 0)
    assert found.pairs == [Pair("chair", "desk", 3, 4, 5), Pair("desk", "chair", 3, 5, 4)]
    chair, desk = (pair.json(10) for pair in found.pairs)
    assert (chair["support"], chair["confidence"], chair["lift"]) == (0.3, 0.75, 1.5)
    assert (desk["support"], desk["confidence"], desk["lift"]) == (0.3, 0.6, 1.5)
    assert desk["low"] < 0.6 < desk["high"]
    assert pairs(gathered(told), least=4).pairs == []


def test_deals_and_invoices_of_an_account_are_one_basket_and_what_is_bought_twice_is_in_it_once() -> None:
    told = Company()
    bought(told, "A", "desk", "desk")
    told.tell("deal.created D 2026-03-01", amount=5, product="chair", account_id="A").tell("deal.won D 2026-03-02")
    told.tell("deal.created L 2026-03-01", amount=5, product="lamp", account_id="A").tell("deal.lost L 2026-03-02")
    assert list(gathered(told)) == [{"desk", "chair"}]
    # Outside of the window it is none; reopened, the deal has sold nothing.
    assert list(gathered(told, "2026-04-01")) == []
    told.tell("deal.reopened D 2026-03-05")
    assert list(gathered(told)) == [{"desk"}]


@pytest.mark.parametrize(("back", "left"), [(-10, set()), (-4, {"desk"})])
def test_what_was_given_back_is_in_no_basket(back: int, left: set[str]) -> None:
    told = Company()
    bought(told, "A", "desk")
    told.tell("customer.invoiced A 2026-03-05", amount=back, currency="EUR", product="desk")
    assert list(gathered(told)) == ([left] if left else [])


def test_pairs_are_bounded_and_say_so() -> None:
    names = [f"p{number:03}" for number in range(PRODUCTS + 5)]
    baskets: list[set[str]] = [{*names}, {*names[:-5]}]
    found = pairs(baskets, least=2)
    assert found.left_out == 5 and found.products == PRODUCTS + 5
    assert len(found.pairs) == PRODUCTS * (PRODUCTS - 1)


def test_damaged_rows_cost_themselves() -> None:
    found: Any = Baskets(Business(), 0, 1 << 62)
    found.take("customers", {b"EA": b"{", b"!": b"{}"})
    assert (list(found), found.damaged) == ([], 1)
    assert pairs(found).pairs == []
