"""A sender's default currency holds where the deal has none of its own, whichever was said first."""

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from models.business import Business
from models.folds.entity_snapshots import decode_deal
from models.folds.partition import EntityPartition
from models.money import Rates
from tests.models.test_partition import EVER, T0, event, record

DAY = 86_400_000
BUSINESS = Business(rates=Rates("EUR", {"USD": [(0, Fraction(1, 2))], "GBP": [(0, Fraction(2))]}), keep_minutes=EVER)


def worth(facts: list[dict[str, Any]], restart: bool = False) -> int | None:
    """Return the deal's amount in the business currency, after all facts in this order of arrival."""
    partition, state, rows = EntityPartition("deals", 0, BUSINESS), None, {}
    for place, fact in enumerate(facts):
        partition.fold([record("deals", fact, place)])
        changes = partition.changes()
        rows |= {row.key: row.value for row in changes.rows}
        for output in changes.outputs:
            if output.topic == "deal-states" and output.value is not None:
                state = decode_deal(output.value)
        if restart:
            partition = EntityPartition("deals", 0, BUSINESS)
            partition.restore((key, value) for key, value in rows.items() if value is not None)
    assert state is not None
    return state.amount


CREATED = event("deal.created", "d", T0, "a", amount="1000", default_currency="EUR")
OWN = event("deal.updated", "d", T0 + DAY, "b", currency="USD")
AMOUNT = event("deal.updated", "d", T0 + 2 * DAY, "c", amount="2000", default_currency="EUR")
CLEARED = event("deal.updated", "d", T0 + 3 * DAY, "e", currency=None)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((CREATED,), 1000_0000),
        ((CREATED, OWN), 500_0000),
        ((CREATED, OWN, AMOUNT), 1000_0000),  # 2000 USD at a half, not 2000 EUR
        ((OWN, AMOUNT), 1000_0000),
        ((CREATED, OWN, AMOUNT, CLEARED), 2000_0000),  # the deal has none any more: the default again
    ],
)
def test_whichever_came_first(facts: tuple[dict[str, Any], ...], expected: int, restart: bool) -> None:
    for order in permutations(facts):
        assert worth(list(order), restart) == expected, [fact["id"] for fact in order]


def test_the_default_of_another_sender_is_another_attribute_of_the_deal() -> None:
    later = event("deal.updated", "d", T0 + DAY, "b", amount="1000", default_currency="GBP")
    assert worth([CREATED, later]) == worth([later, CREATED]) == 2000_0000


def test_a_default_without_a_rate_is_refused_like_any_currency() -> None:
    partition = EntityPartition("deals", 0, BUSINESS)
    partition.fold([record("deals", event("deal.created", "d", T0, "a", amount="1", default_currency="CHF"))])
    (letter,) = (output for output in partition.changes().outputs if output.topic == "dead-letters")
    assert b"unknown_currency" in (letter.value or b"")
