"""Do purchases count as they would have if all had come in time, once?"""

from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from models.customers import purchases
from models.customers.purchases import KEPT, LEFT, Purchases, PurchaseSummary
from tests.models.customers import cdnow

DAY = 730_000


def customer(*invoices: tuple[int, int]) -> Purchases:
    found = Purchases()
    for number, (day, amount) in enumerate(invoices):
        found.add(DAY + day, amount, f"i-{number}")
    return found


def told(of: Purchases, until: int | None = None) -> PurchaseSummary | None:
    found = of.summary(None if until is None else DAY + until)
    return None if found is None else found._replace(first=found.first - DAY, last=found.last - DAY)


def test_days_not_invoices_are_counted():
    assert told(customer((0, 100), (0, 50), (7, 20))) == PurchaseSummary(0, 7, 1, 170, 20)


def test_a_first_day_of_two_invoices_is_no_repeat():
    assert told(customer((3, 100), (3, 50))) == PurchaseSummary(3, 3, 0, 150, 0)


def test_a_refund_of_a_whole_purchase_takes_the_day_back():
    assert told(customer((0, 100), (7, 20), (9, 30), (12, -20))) == PurchaseSummary(0, 9, 1, 130, 30)
    assert told(customer((0, 100), (7, 20), (12, -20))) == told(customer((0, 100)))


def test_a_refund_of_the_first_purchase_makes_the_second_the_first():
    assert told(customer((0, 100), (7, 20), (9, -100))) == PurchaseSummary(7, 7, 0, 20, 0)


def test_a_refund_finds_its_purchase_among_those_of_a_day_and_before_later_ones():
    assert told(customer((0, 100), (7, 20), (7, 30), (9, 60), (12, -30))) == PurchaseSummary(0, 9, 2, 180, 80)
    assert told(customer((0, 100), (7, 20), (7, 30), (9, 60), (12, -50))) == PurchaseSummary(0, 9, 1, 160, 60)


def test_a_refund_of_no_single_day_takes_the_latest_first():
    assert told(customer((0, 100), (7, 20), (9, 30), (12, -40))) == PurchaseSummary(0, 7, 1, 110, 10)


def test_a_refund_of_a_day_leaves_that_days_other_purchases():
    assert told(customer((0, 100), (7, 20), (7, 30), (7, -20))) == PurchaseSummary(0, 7, 1, 130, 30)


def test_a_refund_takes_nothing_from_later_days():
    assert told(customer((5, -50), (7, 20))) == PurchaseSummary(7, 7, 0, 20, 0)


def test_all_given_back_is_nothing_bought():
    assert told(customer((0, 100), (7, 20), (9, -120))) is None
    assert told(customer((0, -100))) is None


def test_a_free_purchase_is_one():
    assert told(customer((0, 100), (7, 0))) == PurchaseSummary(0, 7, 1, 100, 0)


def test_until_a_day_later_ones_do_not_count():
    one = customer((0, 100), (7, 20), (9, -20))
    assert told(one, 8) == PurchaseSummary(0, 7, 1, 120, 20)
    assert told(one, -1) is None


def test_the_same_event_counts_once():
    one = customer((0, 100), (7, 20))
    assert not one.add(DAY + 7, 20, "i-1")
    assert told(one) == PurchaseSummary(0, 7, 1, 120, 20)


def test_who_has_left_is_gone_until_the_next_purchase():
    one = customer((0, 100), (7, 20))
    one.left = DAY + 10
    assert [one.gone(DAY + on) for on in (9, 10, 11)] == [False, True, True]
    one.add(DAY + 11, 5, "again")
    assert not one.gone(DAY + 11)


invoices = st.lists(st.tuples(st.integers(0, 12), st.integers(-3, 4)), max_size=20)


@given(invoices, st.randoms(use_true_random=False))
def test_any_order_and_any_repeat_say_the_same(of: list[tuple[int, int]], chance):
    facts = [(DAY + day, amount, f"i-{number}") for number, (day, amount) in enumerate(of)]
    mixed = facts + [fact for fact in facts if chance.random() < 0.3]
    chance.shuffle(mixed)
    one = Purchases()
    for place, fact in enumerate(mixed):
        one.add(*fact)
        if place % 3 == 0:
            one = purchases.decode(purchases.encode(one))
    in_time = Purchases()
    for fact in sorted(facts):
        in_time.add(*fact)
    assert one.summary() == in_time.summary()


def test_streaming_is_batch_on_cdnow_in_any_order():
    facts = [(customer, day, amount, f"i-{number}") for number, (customer, day, amount) in enumerate(cdnow.bought())]
    found: dict[str, Purchases] = {}
    for customer, day, amount, event in sorted(facts, key=lambda fact: xxh3_64_intdigest(fact[3].encode())):
        one = found.setdefault(customer, Purchases())
        one.add(day, amount, event)
    assert {name: one.summary(cdnow.END) for name, one in found.items()} == {
        name: one.summary(cdnow.END) for name, one in cdnow.customers().items()
    }


def test_many_purchases_stay_exact_and_old_ones_lose_their_ids():
    one = customer(*((day, 10 + day) for day in range(300)))
    assert LEFT <= len(one.log) <= KEPT and len(one.log) + len(one.old) == 300
    assert told(one) == PurchaseSummary(0, 299, 299, sum(range(10, 310)), sum(range(11, 310)))
    assert told(one, 49) == PurchaseSummary(0, 49, 49, sum(range(10, 60)), sum(range(11, 60)))
    assert not one.add(DAY + 3, 13, "i-3")  # a repeat of what has lost its id
    assert one.add(DAY - 4, 5, "late")  # a day that is not known is new, however old
    assert told(one) == PurchaseSummary(-4, 299, 300, sum(range(10, 310)) + 5, sum(range(10, 310)))
    assert told(purchases.decode(purchases.encode(one))) == told(one)


def test_a_busy_day_keeps_counting():
    one = Purchases()
    for number in range(3_000):
        assert one.add(DAY, 1, f"i-{number}")
    assert one.summary() == PurchaseSummary(DAY, DAY, 0, 3_000, 0)
    assert len(purchases.encode(one)) < 40_000


def test_a_row_is_small():
    rows = [purchases.encode(one) for one in cdnow.customers().values()]
    assert sum(map(len, rows)) / len(rows) < 100
    assert sorted(map(len, rows))[-len(rows) // 10] < 200
