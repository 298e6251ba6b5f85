"""Who has moved to another segment?"""

from models.customers.moves import SegmentMove, moves, moves_document
from models.customers.purchases import Purchases
from models.customers.segments import CustomerSegment, Named

DAY = 739_686
NAMED = Named([CustomerSegment("recent", (3, 5)), CustomerSegment("quiet")])


def clientele() -> list[tuple[str, Purchases]]:
    bought = {"a": [(0, 100)], "b": [(1, 200)], "c": [(2, 300)], "d": [(3, 400)], "e": [(9, 50)], "back": [(3, 10), (9, -10)]}
    found = []
    for name, invoices in bought.items():
        one = Purchases()
        for number, (day, amount) in enumerate(invoices):
            one.add(DAY + day, amount * 10_000, f"{name}-{number}")
        found.append((name, one))
    return found


def test_who_has_moved_who_is_new_and_who_has_given_everything_back():
    found = moves(clientele(), DAY + 8, DAY + 9, NAMED)
    assert found == [
        SegmentMove("e", None, "recent", 500_000, DAY + 9),
        SegmentMove("back", "recent", None, 100_000, DAY + 3),
    ]
    assert moves(clientele(), DAY + 9, DAY + 9, NAMED) == []
    assert moves(clientele(), DAY - 1, DAY, NAMED) == [SegmentMove("a", None, "quiet", 1_000_000, DAY)]


def test_a_customer_goes_quiet_as_others_buy():
    assert SegmentMove("b", "recent", "quiet", 2_000_000, DAY + 1) in moves(clientele(), DAY + 1, DAY + 3, NAMED)


def test_it_is_told_by_segment_with_counts():
    found = moves(clientele(), DAY - 1, DAY + 3, NAMED)
    whole = moves_document(found, DAY - 1, DAY + 3)
    assert whole["total"] == len(whole["moves"]) == sum(one["customers"] for one in whole["counts"]) == 5
    some = moves_document(found, DAY - 1, DAY + 3, joined="quiet", limit=1)
    assert some["total"] == 2 and [move["customer"] for move in some["moves"]] == ["b"]
    assert some["counts"] == [{"from": None, "to": "quiet", "customers": 2}]
    assert some["moves"][0]["monetary"] == 200.0
