"""What a filter chooses is what the same words mean in Python; what is not sound is refused with what is accepted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar import iso
from models.feeds.filter import BadQuery, NotSupported, parse
from models.feeds.tables import DEALS, TABLES, ColumnKind, Row

#: Columns of each kind, with values that meet each other.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "owner": st.none() | st.sampled_from(["a", "b", "o'neil", "é", ""]),
    "amount": st.none() | st.sampled_from([-1.5, 0, 1, 1.0001, 2e6]),
    "expected_close": st.none() | st.sampled_from(["2026-01-01", "2026-01-31", "2026-02-01"]),
    "changed": st.sampled_from([0, 1, 1_790_000_000_000, 1_790_000_000_001]),
}
PYTHON = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def literal(column: str, value: Any) -> str:
    if value is None:
        return "null"
    match DEALS.columns[DEALS.place(column)].kind:
        case ColumnKind.TEXT:
            return "'" + value.replace("'", "''") + "'"
        case ColumnKind.TIME:
            return iso(value)
    return str(value)


def row(values: dict[str, Any]) -> Row:
    return tuple(values.get(name) for name in DEALS.names)


def compared(found: Any, word: str, value: Any) -> bool:
    if word in ("eq", "ne"):
        return bool((found == value) == (word == "eq"))
    return found is not None and value is not None and bool(eval(f"a {PYTHON[word]} b", {"a": found, "b": value}))


@st.composite
def filters(draw: Any, depth: int = 4) -> tuple[str, Any]:
    """Return a filter's text, and what it means: a function of the values by column."""
    kind = draw(st.sampled_from(["compare", "in", "turned"] if depth == 0 else ["compare", "and", "or", "not", "in"]))
    if kind in ("compare", "turned", "in"):
        column = draw(st.sampled_from(sorted(VALUES)))
        if kind == "in":
            values = draw(st.lists(VALUES[column], min_size=1, max_size=3))
            return f"{column} in ({','.join(literal(column, v) for v in values)})", lambda of: of[column] in values
        word, value = draw(st.sampled_from(sorted(PYTHON))), draw(VALUES[column])
        if kind == "turned":
            turn = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}.get(word, word)
            return f"{literal(column, value)} {turn} {column}", lambda of: compared(of[column], word, value)
        return f"{column} {word} {literal(column, value)}", lambda of: compared(of[column], word, value)
    one, means_one = draw(filters(depth - 1))
    if kind == "not":
        return f"not ({one})", lambda of: not means_one(of)
    two, means_two = draw(filters(depth - 1))
    if kind == "and":
        return f"({one}) and ({two})", lambda of: means_one(of) and means_two(of)
    return f"({one}) or ({two})", lambda of: means_one(of) or means_two(of)


@given(filters(), st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=6))
def test_a_filter_chooses_what_it_says(found: tuple[str, Any], rows: list[dict[str, Any]]) -> None:
    text, means = found
    parsed = parse(text, DEALS)
    for values in rows:
        assert parsed.test(row(values)) is means(values), (text, values)
        if means(values):  # what is said to be possible is never less than what is chosen
            for column in VALUES:
                allowed, (low, high) = parsed.values(column), parsed.span(column)
                assert allowed is None or values[column] in allowed
                assert low is None or (values[column] is not None and values[column] >= low)
                assert high is None or (values[column] is not None and values[column] <= high)


def test_and_binds_before_or_and_not_before_both() -> None:
    of = {"owner": "a", "amount": 1, "changed": 0}
    assert parse("owner eq 'a' or owner eq 'b' and amount eq 2", DEALS).test(row(of))
    assert not parse("(owner eq 'a' or owner eq 'b') and amount eq 2", DEALS).test(row(of))
    assert parse("not owner eq 'b' and amount eq 1", DEALS).test(row(of))


def test_one_time_is_read_in_parts() -> None:
    found = parse("changed ge 2026-01-01T00:00:00Z and changed lt 2026-01-02T01:00:00+01:00 and owner eq 'a'", DEALS)
    assert found.span("changed") == (1767225600000, 1767312000000)
    assert found.values("owner") == frozenset("a") and found.values("team") is None
    assert parse("owner eq 'a' or owner in ('b','c')", DEALS).values("owner") == frozenset("abc")
    assert parse("owner eq 'a' or amount gt 1", DEALS).values("owner") is None
    assert parse("not (owner eq 'a')", DEALS).values("owner") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ownr eq 'a'", 'did you mean "owner"'),
        ("owner eq 'a", 'found "\'a"'),
        ("owner eq", "ends where"),
        ("owner", "after owner"),
        ("owner like 'a'", "eq, ne"),
        ("owner eq 'a' and", "ends where"),
        ("(owner eq 'a'", "closing parenthesis"),
        ("owner eq 'a')", "after its end"),
        ("owner eq 'a' owner eq 'b'", "after its end"),
        ("owner eq 1", "a text such as"),
        ("amount eq 'a'", "a number"),
        ("changed ge '2026-01-01'", "a time such as"),
        ("changed ge 2026-01-01", "a time such as"),
        ("changed ge 2026-13-01T00:00:00Z", "a time such as"),
        ("expected_close ge 2026-02-30", "a day such as"),
        ("1 eq 1", "compares no column"),
        ("owner in ()", "found ')'"),
        ("owner in ('a'", "a comma"),
        ("owner eq \x00", "accepted"),
        ("(" * 100 + "owner eq 'a'" + ")" * 100, "nested deeper"),
        ("owner eq '" + "a" * 9000 + "'", "characters"),
    ],
)
def test_what_is_not_sound_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse(text, DEALS)
    assert words in str(caught.value) and not isinstance(caught.value, NotSupported), str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["contains(owner,'a')", "year(changed) eq 2026", "amount add 1 eq 2", "owner eq tolower('A')", "owner eq true"],
)
def test_what_odata_knows_and_we_do_not_is_said_so(text: str) -> None:
    with pytest.raises(NotSupported, match="is not supported here"):
        parse(text, DEALS)


def test_columns_are_identifiers_with_a_meaning_and_no_names_of_people() -> None:
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names) and set(table.key) <= set(table.names)
        assert table.time is None or table.time in table.names
        for column in table.columns:
            assert column.name.isidentifier() and len(column.doc) > 5, column
        assert not {"name", "first_name", "last_name", "email_hash", "email"} & set(table.names)
