"""Has everybody the place that the numbers can tell, and nobody a last one in public?"""

import random

import pytest

from models.kpis.interval import wilson
from models.kpis.reading import Reading
from models.leaderboards.places import LeaderBoard, board


def counted(**values: float | None) -> list[Reading]:
    return [
        Reading("sales", "month", {"owner": who}, 0, 1, value, None, None, None, None, "count") for who, value in values.items()
    ]


def rates(**cells: tuple[int, int]) -> list[Reading]:
    return [
        Reading("win_rate", "month", {"owner": who}, 0, 1, won / n, won, n, *wilson(won, n), "ratio", sample=n)
        for who, (won, n) in cells.items()
    ]


def ranks(found: LeaderBoard) -> dict[str, int]:
    return {place.who: place.rank for place in found.places}


def test_equal_values_share_a_place_and_the_next_one_is_left_free() -> None:
    found = board(counted(ann=5, bob=7, cy=5, dee=2), [], "up", 10)
    assert [(place.who, place.rank, place.shared) for place in found.places] == [
        ("bob", 1, False), ("ann", 2, True), ("cy", 2, True), ("dee", 4, False),
    ]  # fmt: skip
    assert ranks(board(counted(ann=5, bob=7, cy=5), [], "down", 10)) == {"ann": 1, "cy": 1, "bob": 3}


def test_movement_is_by_places_of_the_period_before() -> None:
    found = board(counted(ann=9, bob=7, cy=5), counted(ann=1, bob=3, dee=2), "up", 10)
    assert {place.who: place.moved for place in found.places} == {"ann": 2, "bob": -1, "cy": None}


def test_who_is_left_out_is_nowhere_and_who_has_no_value_is_counted() -> None:
    found = board(counted(ann=9, bob=None, cy=5, other=99), counted(cy=9, ann=5), "up", 10, {"ann"})
    assert ranks(found) == {"cy": 1} and found.without == 1 and found.places[0].moved == 0


def test_few_cases_put_nobody_first_or_last() -> None:
    found = board(rates(ann=(60, 200), bob=(12, 12), cy=(30, 200), dee=(3, 3)), [], "up", 10)
    by = {place.who: place for place in found.places}
    assert "dee" not in by and found.without == 1, "too few cases"
    assert by["cy"].drawn == pytest.approx(0.15, abs=0.02) and 0.3 < by["bob"].drawn < 1.0
    assert by["bob"].value == 1.0 and by["bob"].low is not None and by["bob"].high is not None
    assert by["ann"].rank < by["cy"].rank and by["bob"].rank == 1


def test_those_who_may_be_alike_share_a_place() -> None:
    found = board(rates(ann=(22, 80), bob=(20, 80), cy=(18, 80)), [], "up", 10)
    assert ranks(found) == {"ann": 1, "bob": 1, "cy": 1} and all(place.shared for place in found.places)
    assert [place.who for place in found.places] == ["ann", "bob", "cy"], "the best guess first"


def test_of_reps_that_are_alike_hardly_one_is_put_above_another() -> None:
    draw, above = random.Random(3), 0
    for _ in range(200):
        found = board(rates(**{f"r{n}": (sum(draw.random() < 0.25 for _ in range(40)), 40) for n in range(10)}), [], "up", 10)
        above += found.places[-1].rank > 1
    assert above <= 10


def test_a_rate_of_which_less_is_better() -> None:
    assert ranks(board(rates(ann=(10, 400), bob=(200, 400)), [], "down", 10)) == {"ann": 1, "bob": 2}


def test_all_or_none_won() -> None:
    for cell in ((0, 20), (20, 20)):
        assert ranks(board(rates(ann=cell, bob=cell), [], "up", 10)) == {"ann": 1, "bob": 1}
    assert board([], [], "up", 10) == LeaderBoard((), 0)


def test_there_are_no_last_places_in_public() -> None:
    def shown(most: int = 5, **values: float) -> list[str]:
        return [place.who for place in board(counted(**values), [], "up", 10).public(most)]

    assert shown(a=9, b=8, c=7, d=6, e=5, f=4) == ["a", "b", "c"]
    assert shown(2, a=9, b=8, c=7, d=6, e=5, f=4) == ["a", "b"]
    assert shown(a=9, b=8, c=7, d=7, e=5) == ["a", "b"]
    assert shown(a=9, b=7, c=7, d=7) == ["a"], "who shares a place with the lower half is not above it"
    assert shown(a=9, b=8) == ["a"] and shown(a=9) == ["a"] and shown() == []
    assert shown(3, a=9, b=9, c=9, d=9) == ["a", "b", "c"], "all share the first"
    assert shown(a=9, b=9, c=9, d=1) == ["a", "b", "c"], "the first place is none of the last"
