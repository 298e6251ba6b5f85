"""The fold of customers, and all of them in columns."""

from typing import Any

import numpy as np
import orjson
import pytest

from models.business import Business
from models.calendar import iso
from models.customers.clientele import Clientele, summaries
from models.customers.fit import Fit, fit
from models.customers.live import STATES, KnowCustomers, ShowCustomers
from models.customers.purchases import Purchases
from models.customers.register import Register
from models.customers.segments import Named, Terms
from models.fold import Changes, Record
from tests.models.customers import cdnow

BUSINESS = Business()
SHIFT = 27 * 365  # days: CDNOW's time is before what events may have
NOON = 43_200_000
NO_FIT = Fit(0, 0, 0, None, None, "not asked for")


def at(day: int) -> int:
    return BUSINESS.calendar.day_start(day) + NOON


def record(number: object, customer: str, day: int, amount: int, kind: str = "customer.invoiced", **data: Any) -> Record:
    told = {"amount": f"{amount / 10_000:.2f}", "currency": "EUR", **data} if kind == "customer.invoiced" else data
    event = {
        "specversion": "1.0", "id": f"i-{number}", "source": "test", "type": kind, "time": iso(at(day)), "subject": customer,
        "data": told,
    }  # fmt: skip
    return Record("customers", 0, 0, at(day), customer.encode(), orjson.dumps(event), ())


@pytest.fixture(scope="module")
def shop() -> list[Record]:
    return [record(number, name, day + SHIFT, amount) for number, (name, day, amount) in enumerate(cdnow.bought())]


def rows(changes: Changes) -> list[tuple[bytes, bytes]]:
    return [(row.key, row.value) for row in changes.rows if row.value is not None]


def test_a_restart_in_the_middle_changes_nothing(shop: list[Record]):
    whole, first = KnowCustomers(0, BUSINESS), KnowCustomers(0, BUSINESS)
    whole.fold(shop)
    first.fold(shop[:4000])
    state = dict(rows(first.changes()))
    second = KnowCustomers(0, BUSINESS)
    second.restore(state.items())
    second.fold(shop[3900:])  # some come again
    state.update(rows(second.changes()))
    assert state == dict(rows(whole.changes()))
    assert second.outcomes["duplicate"] == 100 and not second.faults.total


def test_what_is_told_is_the_row(shop: list[Record]):
    fold = KnowCustomers(0, BUSINESS)
    fold.fold(shop[:100])
    changes = fold.changes()
    assert [(out.topic, out.key, out.value) for out in changes.outputs] == [
        (STATES, row.key[1:], row.value) for row in changes.rows
    ]
    assert fold.changes() == Changes([], [])


def test_rows_of_the_first_version_are_read():
    """Written by the commit that brought them: later versions must read them."""
    fold = KnowCustomers(0, BUSINESS)
    fold.restore(
        [
            (b"Eann", b'[[739000,200000,5,10000,681,100000,31,-50000],"//////8AAAAwOQ==",739700,"Ann & Co"]'),
            (b"Ebob", b'[[739686,100000],"AAAAAAc="]'),
            (b"Eeve", b"[]"),
        ]
    )
    ann, bob, eve = (fold.entities.get(name) for name in ("ann", "bob", "eve"))
    assert ann is not None and bob is not None and eve is not None
    assert (ann.name, ann.left, ann.summary()) == ("Ann & Co", 739700, (739000, 739686, 2, 260000, 60000))
    assert bob.summary() == (739686, 739686, 0, 100000, 0) and eve.summary() is None


def test_who_has_left_and_what_it_is_called():
    fold = KnowCustomers(0, BUSINESS)
    day = 739_686
    fold.fold(
        [
            record(1, "ann", day, 50_000, name="Ann & Co"),
            record(2, "ann", day + 9, 0, "customer.churned"),
            record(3, "ann", day, 0, "customer.complained"),
        ]
    )
    ann = fold.entities.get("ann")
    assert ann is not None and ann.name == "Ann & Co" and ann.gone(day + 9) and not ann.gone(day + 8)


def test_what_cannot_be_used_and_what_lives_elsewhere_is_passed_over():
    fold = KnowCustomers(0, BUSINESS, home=lambda key: 1)
    fold.fold([record(1, "ann", 739_686, 50_000), Record("customers", 0, 1, at(739_686), b"x", b"{", ())])
    assert fold.changes() == Changes([], [])
    assert fold.outcomes == {"readdressed": 1, "bad_json": 1}


def test_a_fault_of_ours_stops_nobody(monkeypatch: pytest.MonkeyPatch):
    fold = KnowCustomers(0, BUSINESS)
    monkeypatch.setattr("models.customers.live.take", lambda *_: 1 / 0)
    fold.fold([record(1, "ann", 739_686, 50_000)])
    (letter,) = fold.changes().outputs
    assert letter.topic == "dead-letters" and fold.faults.total == 1


def test_a_register_that_is_kept_up_says_what_one_that_is_made_anew_says(shop: list[Record]):
    fold, kept = KnowCustomers(0, BUSINESS), Register(Named(), Terms())
    day = cdnow.END + SHIFT
    fold.fold(shop[:3000])
    fold.changes()
    kept.put(fold.everything())
    fold.fold([record(f"back-{one.key!r}", "0001", day, -293_300) for one in shop[:1]])
    fold.fold(shop[3000:])
    fold.changes()
    kept.put(fold.news())
    assert fold.news() == []
    anew = Register(Named(), Terms())
    anew.put(fold.everything())
    now, again = (register.now(day, NO_FIT) for register in (kept, anew))
    assert sorted(map(str, now.rows())) == sorted(map(str, again.rows()))


def test_streaming_is_batch(shop: list[Record]):
    """What the live state says of a day in the past is what a pass over the purchases says, to the last bit."""
    fold, register = KnowCustomers(0, BUSINESS), Register(Named(), Terms())
    fold.fold(sorted(shop, key=lambda one: (one.value or b"")[::-1]))
    fold.changes()
    register.put(fold.everything())
    live = register.then(cdnow.END + SHIFT)
    batch = fit(cdnow.sample_of(cdnow.summaries()))
    assert live.fitted.bgnbd is not None and batch.bgnbd is not None
    assert live.fitted.bgnbd.parameters == pytest.approx(batch.bgnbd.parameters, rel=1e-9)
    assert live.fitted.bgnbd.log_likelihood == pytest.approx(-9582.43, abs=0.05)


def test_the_cuts_are_those_of_the_morning():
    fold, register = KnowCustomers(0, BUSINESS), Register(Named(), Terms())
    day = 739_686
    fold.fold(
        [record(name, name, day - 5, amount * 10_000) for name, amount in (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5))]
    )
    fold.changes()
    register.put(fold.everything())
    before = register.now(day, None)
    fold.fold([record("more", "a", day, 900_000), record("new", "f", day, 900_000)])
    fold.changes()
    register.put(fold.news())
    after = register.now(day, before.fitted)
    score = {row["customer"]: row["M"] for row in after.rows()}
    assert score == {"a": 5, "b": 2, "c": 3, "d": 4, "e": 5, "f": 5}  # b to e are what they were
    assert {row["customer"]: row["M"] for row in register.now(day + 1, None).rows()}["b"] == 1


def test_on_the_first_day_of_all_customers_are_held_against_each_other():
    fold, register = KnowCustomers(0, BUSINESS), Register(Named(), Terms())
    fold.fold([record(name, name, 739_686, amount * 10_000) for name, amount in (("a", 1), ("b", 2))])
    fold.changes()
    register.put(fold.everything())
    assert {row["customer"]: row["M"] for row in register.now(739_686, NO_FIT).rows()} == {"a": 1, "b": 3}


def test_lists_are_in_the_order_that_is_asked_for():
    of = [("bob", 3, 300), ("ann", 3, 100), ("eve", 9, 200)]
    customers = [(name, Purchases()) for name, _, _ in of]
    for (_, one), (name, day, amount) in zip(customers, of, strict=True):
        one.add(739_000 + day, amount, name)
    ids, columns = summaries(customers, 739_010)
    whole = Clientele(739_010, ids, columns, columns.cuts(739_010), fit(columns.sample(739_010)), Named(), Terms())

    def names(by: str, *, descending: bool, segment: str | None = None) -> list[str]:
        return [ids[place] for place in whole.order(by, descending=descending, segment=segment)]

    assert names("monetary", descending=True) == ["bob", "eve", "ann"]
    assert names("recency_days", descending=False) == ["eve", "ann", "bob"]
    assert names("clv", descending=True) == ["ann", "bob", "eve"]  # no value: by their ids
    assert names("customer", descending=True) == ["eve", "bob", "ann"]
    assert sum(len(names("customer", descending=False, segment=one)) for one in whole.named.names) == 3
    with pytest.raises(KeyError):
        whole.order("customer", descending=False, segment="nobody")
    assert whole.ranges(0) == {} and np.all(whole.places >= 0)


def test_the_topic_tells_the_same():
    fold, shown = KnowCustomers(0, BUSINESS), list[ShowCustomers]()
    reader = ShowCustomers(shown.append)
    fold.fold([record(1, "ann", 739_686, 50_000), record(2, "bob", 739_686, 60_000)])
    for out in fold.changes().outputs:
        reader.fold([Record(out.topic, 0, 0, 0, out.key, out.value, ())])
    reader.live()
    assert shown == [reader] and sorted(reader.everything()) == sorted(fold.everything())
    reader.fold([Record(STATES, 0, 0, 0, b"bob", None, ()), Record(STATES, 0, 0, 0, b"odd", b"?", ())])
    register = Register(Named(), Terms())
    register.put(fold.everything())
    register.put(reader.news())
    assert [row["customer"] for row in register.now(739_690, None).rows()] == ["ann"]
    assert reader.changes() == Changes([], [])
