"""Pages: whatever is asked for, they hold every row once, and in order; and what comes or goes between them changes no other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.feeds.filter import BadQuery, NotSupported
from models.feeds.query import parse_query
from models.feeds.tables import DEALS, READINGS, Row


def row(id: str, owner: str | None, amount: float | None) -> Row:
    values: dict[str, Any] = {"id": id, "owner": owner, "amount": amount}
    return tuple(values.get(name) for name in DEALS.names)


ROWS = st.lists(
    st.builds(row, st.text("abc", max_size=3), st.none() | st.sampled_from("xyz"), st.none() | st.sampled_from([-1, 0, 1.5])),
    unique_by=lambda one: one[0],
    max_size=12,
)


@given(ROWS, st.sampled_from(["", "owner", "owner desc", "amount desc, owner", "owner, id desc"]), st.integers(1, 4), st.data())
def test_pages_hold_every_row_once(rows: list[Row], order: str, size: int, data: Any) -> None:
    asked = {"$orderby": order}
    whole = parse_query(asked, DEALS).sorted(rows)
    seen: list[Row] = []
    left, gone = list(rows), set[Row]()
    while True:
        query = parse_query(asked, DEALS)
        page = query.sorted([one for one in left if query.goes_on(one)])[:size]
        if not page:
            break
        seen += page
        asked["$skiptoken"] = query.token(page[-1], 0)
        if left and data.draw(st.booleans()):
            gone.add(left.pop())
    assert len(set(seen)) == len(seen)
    assert [one for one in whole if one not in gone] == [one for one in seen if one not in gone]


def test_null_is_less_than_all_else() -> None:
    rows = [row("1", None, None), row("2", "x", 1), row("3", "a", -1)]
    assert [one[0] for one in parse_query({"$orderby": "owner"}, DEALS).sorted(rows)] == ["1", "3", "2"]
    assert [one[0] for one in parse_query({"$orderby": "amount desc"}, DEALS).sorted(rows)] == ["2", "3", "1"]


def test_columns_come_in_the_tables_order() -> None:
    assert parse_query({"$select": "owner, id"}, DEALS).columns == ("id", "owner")
    assert parse_query({"$select": "id,*"}, DEALS).columns == DEALS.names


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("$top", "-1", "a whole number"),
        ("$top", "1e3", "a whole number"),
        ("$top", "٣", "a whole number"),
        ("$skip", "9" * 30, "a whole number"),
        ("$count", "yes", "true, false"),
        ("$select", "ownr", 'did you mean "owner"'),
        ("$orderby", "owner up", "COLUMN desc"),
        ("$orderby", "owner desc asc", "COLUMN desc"),
        ("$orderby", "nope", "unknown column"),
        ("$slect", "id", "$select"),
        ("$skiptoken", "AAAA", "nextLink"),
        ("$skiptoken", "W10", "nextLink"),
        ("$skiptoken", "WzEsMl0", "nextLink"),
        ("$skiptoken", "!", "nextLink"),
    ],
)
def test_what_is_not_sound_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse_query({name: text}, DEALS)
    assert words in str(caught.value) and not isinstance(caught.value, NotSupported)


@pytest.mark.parametrize("name", ["$apply", "$expand", "$search", "$compute"])
def test_what_odata_knows_and_we_do_not_is_said_so(name: str) -> None:
    with pytest.raises(NotSupported):
        parse_query({name: "x"}, READINGS)
