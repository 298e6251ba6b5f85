"""Which names are numbers booked under, when has a dimension no place for one more, and who gives a place back?"""

import pytest

from models.panes import segments
from models.panes.segments import Segments, metric_name, pair_name


def test_a_dimension_takes_so_many_values_and_counts_what_went_to_other() -> None:
    names = Segments(2)
    assert [names.name("source", value) for value in "abcac"] == [
        "source=a",
        "source=b",
        "source=other",
        "source=a",
        "source=other",
    ]
    assert names.name("owner", "c") == "owner=c", "each dimension has its own places"
    assert names.overflow == {"source": 2}
    assert names.dump() == {"source": ["a", "b"], "owner": ["c"]}
    again = Segments(2)
    again.load({"source": ["a", "b"]})
    assert [again.name("source", value) for value in "ca"] == ["source=other", "source=a"]


def test_what_is_admitted_is_a_change_and_nothing_else_is() -> None:
    names, seen = Segments(1), list[bool]()
    for value in ("", "a", "a", "b"):
        if value:
            names.name("source", value)
        seen.append(names.changed)
        names.dump()
    assert seen == [False, True, False, False]


def test_pages_are_fewer() -> None:
    names = Segments(1000)
    for number in range(201):
        names.name("page", f"/{number}")
        names.name("source", f"s{number}")
    assert names.overflow == {"page": 1} and len(names.dump()["source"]) == 201
    few = Segments(3)
    for number in range(4):
        few.name("page", f"/{number}")
    assert few.overflow == {"page": 1}


@pytest.mark.parametrize("loaded", [False, True])
def test_all_names_together_have_so_many_bytes(loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 5)
    names = Segments(10)
    assert names.name("source", "éé") == "source=éé"  # of two bytes each
    if loaded:
        kept, names = names.dump(), Segments(10)
        names.load(kept)
    assert names.name("owner", "ab") == "owner=other"
    assert names.name("owner", "a") == "owner=a"  # five
    assert names.name("owner", "b") == "owner=other"


def test_each_value_that_there_is_has_its_segment() -> None:
    names, has = Segments(1), {"source": "web", "owner": None, "team": "", "product": "x"}
    for _ in range(2):  # the first time it is admitted, then it is known
        assert names.extend(("total",), ("source", "owner", "team", "region"), has) == ("total", "source=web")
    assert names.extend((), ("source", "product"), {**has, "source": "ads"}) == ("source=other", "product=x")
    assert names.of([("stage", None), ("owner", "ana"), ("team", "")]) == ("total", "owner=ana")
    assert names.of([]) == ("total",)


def test_declared_pairs_are_counted_together() -> None:
    names = Segments(2, [("source", "owner"), ("owner", "team")])
    own = ("total", "source=web", "owner=a=b")
    assert names.paired(own) == (*own, "source.owner=web × a=b")
    assert names.paired(("total", "source=other", "owner=c")) == ("total", "source=other", "owner=c", "source.owner=other × c")
    assert names.paired(("total", "source=web", "owner=c"))[3:] == ("source.owner=other",), "it has two values already"
    assert names.paired(("owner=c", "team=t")) == ("owner=c", "team=t", "owner.team=c × t")
    assert names.paired(("total", "source=web")) == ("total", "source=web")
    assert Segments(2).paired(own) == own


def test_whether_a_limit_has_been_met(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Segments(10)
    assert not names.full(1)
    names.name("source", "a")
    names.name("source", "b")
    assert [names.full(limit) for limit in (1, 2, 3)] == [True, True, False]
    names.load_others({"source": ["c"]})
    assert names.full(3), "one that stays other has been turned away"
    monkeypatch.setattr(segments, "MOST_BYTES", 5)
    for value, crowded in (("ab", False), ("abc", True)):  # more than half of five, cut to two
        names = Segments(10)
        names.name("source", value)
        assert names.full(9) is crowded


def full(*pairs: tuple[str, str]) -> Segments:
    """Names of a source of which there may be two: a and b; c was turned away. And one of an owner."""
    names = Segments(2, pairs)
    names.of([("source", "a"), ("source", "b"), ("source", "c"), ("owner", "x")])
    names.dump()
    return names


def test_what_nobody_has_and_nothing_holds_gives_its_place_back() -> None:
    names = full()
    names.begin_marks()
    names.mark([("source", "b"), ("source", "c"), ("source", ""), ("owner", None)])
    names.release({"source=d", "owner=a"})
    assert (names.marking, names.changed, names.others_changed) == (False, True, True)
    # The owner has room: it is not looked at. c is had by somebody, who booked under other: so it stays.
    assert names.dump() == {"source": ["b"], "owner": ["x"]}
    assert names.dump_others() == {"source": ["c"]}
    assert (names.changed, names.others_changed) == (False, False)
    assert [names.name("source", value) for value in "cd"] == ["source=other", "source=d"]


def test_what_a_pane_holds_or_an_entity_has_keeps_its_place() -> None:
    names = full()
    names.begin_marks()
    names.mark([("source", "b")])
    names.release({"source=a"})
    assert (names.changed, names.others_changed) == (False, False)
    assert (names.dump(), names.dump_others()) == ({"source": ["a", "b"], "owner": ["x"]}, {})


def test_who_stays_other_does_so_as_long_as_somebody_has_it() -> None:
    names = Segments(2)
    names.load({"source": ["a"]})
    names.load_others({"source": ["c"]})
    names.begin_marks()
    assert names.marking, "there is room, but one stays other"
    names.mark([("source", "c")])
    names.release(())
    assert (names.dump(), names.others_changed, names.dump_others()) == ({"source": ["a"]}, False, {"source": ["c"]})
    names.begin_marks()
    names.release(())
    assert (names.others_changed, names.dump_others()) == (True, {})
    assert names.name("source", "c") == "source=c"
    names.begin_marks()
    assert names.marking, "both places are taken"


def test_where_there_is_room_nothing_is_looked_at() -> None:
    names = Segments(3)
    names.name("source", "a")
    names.begin_marks()
    assert not names.marking
    names.mark([("source", "b")])
    assert not names.marking and not names.others_changed


def test_all_that_is_booked_anew_may_have_its_name() -> None:
    names = Segments(2)
    names.forget_others()
    assert not names.others_changed
    names.load_others({"source": ["c"]})
    names.forget_others()
    assert (names.others_changed, names.name("source", "c"), names.dump_others()) == (True, "source=c", {})


def test_pairs_of_what_an_entity_has_are_in_use_with_other_in_either_place() -> None:
    names = Segments(2, [("source", "owner")])
    for owner in ("ana", "bo", "cy"):
        names.paired(("source=web", f"owner={owner}"))
    assert names.dump() == {"source.owner": ["web × ana", "web × bo"]}
    names.begin_marks()
    names.mark([("source", "web"), ("owner", "cy")])
    names.release({"source.owner=web × bo"})
    assert names.dump() == {"source.owner": ["web × bo"]}
    assert names.dump_others() == {"source.owner": ["other × cy", "other × other", "web × cy", "web × other"]}


@pytest.mark.parametrize(("value", "others"), [("bbbbb", []), ("bbbb", ["bbbb"])])
def test_more_than_can_be_remembered_stays_as_it_is(value: str, others: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bytes are remembered, five are not: then nobody gives a place back either."""
    monkeypatch.setattr(segments, "MOST_BYTES", 4)
    names = Segments(1)
    names.name("source", "a")
    names.begin_marks()
    names.mark([("source", value)])
    names.release(())
    assert not names.marking
    assert names.dump() == {"source": [] if others else ["a"]}
    assert names.dump_others() == ({"source": others} if others else {})


def test_names_that_are_long_give_their_bytes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 5)
    names = Segments(10)
    names.of([("source", "aaa"), ("owner", "x")])
    names.begin_marks()
    assert names.marking, "places there are, but more than half of the bytes are taken"
    names.release({"owner=x"})
    assert names.dump() == {"source": [], "owner": ["x"]}
    assert names.name("source", "bbbb") == "source=bbbb"  # four and the owner's are five
    assert names.name("source", "c") == "source=other"


def test_what_pairs_and_metrics_are_called() -> None:
    assert pair_name("source", "owner") == "source.owner"
    assert (metric_name("use", "kWh"), metric_name("use")) == ("use (kWh)", "use")
