"""What do partial sums of several partitions add up to, when one of them takes the place of the one before?"""

from typing import Any

import pytest

from models.panes import series
from models.panes.series import Series, SeriesCells


def put(kept: Series, pane: int, partition: int, value: bytes | None) -> bool:
    return kept.replace(pane, partition, value)[0]


def inside(kept: Series, first: int, stop: int) -> tuple[dict[str, int], dict[str, dict[int, int]]]:
    """The sums over a stretch, without those that are 0."""
    found = kept.total(first, stop)
    return {name: n for name, n in found.numbers.items() if n}, {name: counts for name, counts in found.values.items() if counts}


def test_a_partial_sum_takes_the_place_of_the_same_partitions_in_the_same_pane() -> None:
    kept = Series()
    assert kept.replace(5, 0, b'{"leads":3}') == (True, {"leads": 3})
    assert put(kept, 5, 1023, b'{"leads":4,"mqls":1}') and put(kept, 6, 0, b'{"leads":20}')
    assert inside(kept, 5, 7) == ({"leads": 27, "mqls": 1}, {})
    assert inside(kept, 5, 6) == ({"leads": 7, "mqls": 1}, {})
    assert inside(kept, 0, 5) == inside(kept, 7, 9) == ({}, {})
    assert put(kept, 5, 1023, b'{"leads":5}') and put(kept, 5, 0, None)
    # What was asked for before is amended: 5 of the one partition, nothing of the other.
    assert inside(kept, 5, 6) == ({"leads": 5}, {}) and inside(kept, 5, 7) == ({"leads": 25}, {})
    assert inside(kept, 4, 6) == ({"leads": 5}, {}), "and so is what is asked for now"


def test_what_is_as_it_was_changes_nothing() -> None:
    kept, before = Series(), {"leads": 3}
    assert kept.replace(5, 0, None) == (False, None)
    kept.replace(5, 0, b'{"leads":3}')
    found = kept.replace(5, 0, b'{"leads":3}', before)
    assert found[0] is False and found[1] is before
    assert kept.replace(5, 0, b'{"leads": 3, "mqls": 0}') == (False, {"leads": 3, "mqls": 0})
    assert kept.replace(5, 0, b'{"leads":4}', {"leads": 3, "mqls": 0}) == (True, {"leads": 4})
    assert inside(kept, 5, 6) == ({"leads": 4}, {})
    assert kept.replace(5, 0, None) == (True, {})


def test_nothing_is_kept_of_what_adds_up_to_nothing() -> None:
    kept = Series()
    put(kept, 5, 0, b'{"leads":3,"mqls":1,"won_sizes":{"7":2}}')
    put(kept, 5, 1, b'{"leads":-3,"won_sizes":{"7":-2}}')
    assert list(kept.within(0, 9)) == [(5, {"mqls": 1}, {})]
    assert kept.panes == {5: {"mqls": 1}} and kept.multisets == {}
    put(kept, 5, 0, b'{"leads":3,"won_sizes":{"7":2}}')
    assert (list(kept.within(0, 9)), kept.panes) == ([], {})
    put(kept, 5, 0, None)
    put(kept, 5, 1, None)
    assert kept.parts == {} and kept.panes == {} and kept.multisets == {}


def test_counts_of_values_are_replaced_value_by_value() -> None:
    kept = Series()
    put(kept, 5, 0, b'{"won_sizes":{"7":2,"8":1},"lost_sizes":{"1":1}}')
    put(kept, 6, 0, b'{"won_sizes":{"7":5}}')
    assert inside(kept, 5, 7) == ({}, {"won_sizes": {7: 7, 8: 1}, "lost_sizes": {1: 1}})
    put(kept, 5, 0, b'{"won_sizes":{"7":1,"9":4,"3":0}}')
    assert inside(kept, 5, 7) == ({}, {"won_sizes": {7: 6, 9: 4}})
    assert kept.multisets == {5: {"won_sizes": {7: 1, 9: 4}}, 6: {"won_sizes": {7: 5}}}
    put(kept, 5, 0, b'{"leads":1}')
    assert inside(kept, 5, 6) == ({"leads": 1}, {}) and inside(kept, 5, 7) == ({"leads": 1}, {"won_sizes": {7: 5}})


def test_a_measure_may_turn_from_a_number_into_counts_and_back() -> None:
    kept = Series()
    put(kept, 5, 0, b'{"won_sizes":3}')
    put(kept, 5, 0, b'{"won_sizes":{"7":2}}')
    assert inside(kept, 5, 6) == ({}, {"won_sizes": {7: 2}})
    put(kept, 5, 0, b'{"won_sizes":4}')
    assert inside(kept, 5, 6) == ({"won_sizes": 4}, {})


def test_who_was_there_before_inside_the_stretch_is_not_counted_again() -> None:
    kept = Series()
    # In pane 5 two are new and one was there three panes ago, in pane 2; in pane 2 there was one, and is new.
    put(kept, 5, 0, b'{"visitors":{"0":2,"3":1}}')
    put(kept, 2, 0, b'{"visitors":{"0":1}}')
    assert [kept.total(first, 6).numbers["visitors"] for first in (5, 3, 2, 0)] == [3, 3, 3, 3]
    assert [kept.total(first, 5).numbers.get("visitors", 0) for first in (3, 2)] == [0, 1]
    put(kept, 2, 0, None)  # its visit there is taken back; the gap is not yet told anew
    assert [kept.total(first, 6).numbers["visitors"] for first in (3, 2)] == [3, 2]
    assert kept.total(5, 6).values == {}


def test_a_stretch_is_gone_through_by_whichever_is_less() -> None:
    """By its numbers where it is short, by the panes that there are where these are fewer."""
    kept = Series()
    for pane in range(10):
        put(kept, pane, 0, b'{"leads":1,"won_sizes":{"1":1}}')
    for first, stop in ((0, 10), (3, 5), (9, 30), (-5, 1), (4, 4), (0, 1000)):
        panes = sorted(pane for pane, _, _ in kept.within(first, stop))
        assert panes == [pane for pane in range(10) if first <= pane < stop], (first, stop)
        assert inside(kept, first, stop)[0].get("leads", 0) == len(panes)
    assert next(iter(kept.within(3, 4))) == (3, {"leads": 1}, {"won_sizes": {1: 1}})


def test_so_many_stretches_are_remembered_the_first_one_is_the_first_to_go() -> None:
    kept = Series()
    put(kept, 0, 0, b'{"leads":1}')
    first = kept.total(0, 1)
    assert kept.total(0, 1) is first
    for stop in range(2, 25):
        kept.total(0, stop)
    assert len(kept.ranges) == 24 and kept.total(0, 1) is first
    kept.total(0, 25)
    assert len(kept.ranges) == 24 and (0, 1) not in kept.ranges and (0, 2) in kept.ranges


@pytest.mark.parametrize(
    "value", [b"[]", b"7", b"{", b'{"leads":1.5}', b'{"leads":"1"}', b'{"leads":null}', b'{"a":{"x":1}}', b'{"a":{"1":1.5}}']
)
def test_what_is_no_sum_is_refused_and_changes_nothing(value: bytes) -> None:
    kept = Series()
    put(kept, 5, 0, b'{"leads":3}')
    with pytest.raises(ValueError, match=r".+"):
        kept.replace(5, 0, value)
    assert inside(kept, 5, 6) == ({"leads": 3}, {}) and list(kept.parts.values()) == [b'{"leads":3}']


def test_a_measure_that_is_called_otherwise_now_counts_under_its_name_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "RENAMED", {"old": "leads"})
    kept = Series()
    assert kept.replace(5, 0, b'{"old":3,"mqls":1}') == (True, {"leads": 3, "mqls": 1})
    assert put(kept, 5, 0, b'{"leads":3,"mqls":1}') is False


def test_sums_are_added() -> None:
    cells = SeriesCells({"leads": 1}, {"won_sizes": {7: 1}})
    more: tuple[dict[str, int], dict[str, Any]] = {"leads": 2, "mqls": 1}, {"won_sizes": {7: 2, 8: 1}, "lost_sizes": {1: 1}}
    cells.add(*more)
    assert cells == SeriesCells({"leads": 3, "mqls": 1}, {"won_sizes": {7: 3, 8: 1}, "lost_sizes": {1: 1}})
    assert more[1] == {"won_sizes": {7: 2, 8: 1}, "lost_sizes": {1: 1}}
    cells.add({}, {"won_sizes": {7: -3}})
    assert cells.values["won_sizes"] == {8: 1}
