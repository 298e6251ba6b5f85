"""Do equal customers score the same, and has every combination of scores a name?"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.customers.rfm import Cuts, counts, places
from models.customers.segments import SEGMENTS, CustomerSegment, Named

values = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def scored(of: list[int], among: list[int] | None = None) -> list[int]:
    array = np.array(of)
    same = np.array(of if among is None else among)
    return Cuts(1, same, same, same).scores(array, array, array)[1].tolist()


@given(values)
def test_a_score_is_one_and_five_times_the_share_that_is_worse(of: list[int]):
    exact = [1 + int(5 * Fraction(sum(other < one for other in of), len(of))) for one in of]
    assert scored(of) == exact


def test_half_a_clientele_of_one_purchase_scores_one():
    assert scored([1, 1, 1, 1, 1, 2, 2, 3, 4, 9]) == [1, 1, 1, 1, 1, 3, 3, 4, 5, 5]


def test_all_alike_score_one():
    assert scored([7, 7, 7]) == [1, 1, 1]


def test_who_is_better_than_all_of_the_cuts_scores_five():
    assert scored([0, 2, 99], among=[1, 2, 3, 4]) == [1, 2, 5]


def test_without_customers_there_are_cuts_too():
    assert scored([3], among=[]) == [1]


def test_a_later_day_is_better():
    days, same = np.array([10, 20, 30, 40, 50]), np.ones(5, np.int64)
    r, f, m = Cuts(50, days, same, same).scores(days, same, same)
    assert r.tolist() == [1, 2, 3, 4, 5] and f.tolist() == m.tolist() == [1] * 5


def test_every_combination_has_one_name():
    named = Named()
    r, f, m = (axis.ravel() for axis in np.meshgrid(*[np.arange(1, 6)] * 3, indexing="ij"))
    found = places(named, r, f, m)
    for place, *scores in zip(found, r, f, m, strict=True):
        first = next(one.name for one in SEGMENTS if one.holds(*map(int, scores)))
        assert named.names[place] == first
    assert counts(named, found) == {
        "champions": 8, "new": 10, "loyal": 37, "promising": 20, "at risk": 30, "hibernating": 20,
    }  # fmt: skip


@pytest.mark.parametrize(
    "segments, said",
    [
        ((CustomerSegment("good", (3, 5)),), "r 1, f 1, m 1"),
        ((CustomerSegment("all"), CustomerSegment("good", (3, 5))), "good: all that it holds"),
    ],
)
def test_names_that_leave_a_gap_or_are_never_met_are_refused(segments: tuple[CustomerSegment, ...], said: str):
    with pytest.raises(ValueError, match=said):
        Named(segments)
