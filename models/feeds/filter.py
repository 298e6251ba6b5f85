"""Which rows does an OData ``$filter`` choose? Comparisons with ``and``, ``or``, ``not``, ``in`` and parentheses.

A filter is parsed against a table, so that what cannot be right is refused with its place; it never runs as code. Nothing is
less or greater than null.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from models.calendar import epoch_ms
from models.config.suggest import near
from models.feeds.tables import ColumnKind, FeedTable, Row

_LONGEST, _DEEPEST = 8_000, 60
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<day>\d{4}-\d\d-\d\d)(?![\dT])"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<word>[A-Za-z_][\w./]*)"
    r"|(?P<mark>[(),]))"
)
_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and b is not None and a > b,
    "ge": lambda a, b: a is not None and b is not None and a >= b,
    "lt": lambda a, b: a is not None and b is not None and a < b,
    "le": lambda a, b: a is not None and b is not None and a <= b,
}
_TURNED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
#: Of OData, and not of ours: it is said that they are not there, and not that they are wrong.
_UNSUPPORTED = (
    *("add", "sub", "mul", "div", "divby", "mod", "has", "any", "all", "contains", "startswith", "endswith", "length", "indexof"),
    *("substring", "tolower", "toupper", "trim", "concat", "year", "month", "day", "hour", "minute", "second", "date", "time"),
    *("now", "fractionalseconds", "totaloffsetminutes", "mindatetime", "maxdatetime", "round", "floor", "ceiling", "cast"),
    *("substringof", "matchesPattern", "case", "totalseconds", "isof", "true", "false", "INF", "NaN"),
)
_ACCEPTED = "comparisons (eq ne gt ge lt le in) of a column with a value, and, or, not, parentheses"
_LITERALS: dict[ColumnKind, str] = {
    ColumnKind.TEXT: "a text such as 'web'",
    ColumnKind.WHOLE: "a number",
    ColumnKind.NUMBER: "a number",
    ColumnKind.MONEY: "a number",
    ColumnKind.DAY: "a day such as 2026-03-31",
    ColumnKind.TIME: "a time such as 2026-03-31T18:00:00Z",
}


class BadQuery(ValueError):
    """A query that is not sound; the message says what was found and what is accepted."""


class NotSupported(BadQuery):
    """A query that OData knows and this service does not."""


class Filter(NamedTuple):
    """What a row must fulfil; :meth:`values` and :meth:`span` say what of a column can fulfil it at all."""

    test: Callable[[Row], bool]
    allowed: dict[str, frozenset[Any]]
    spans: dict[str, tuple[Any, Any]]

    def values(self, column: str) -> frozenset[Any] | None:
        """Return the only values that a column can have; None where they are not said."""
        return self.allowed.get(column)

    def span(self, column: str) -> tuple[Any, Any]:
        """Return the least and the greatest value that a column can have, None where that is not said."""
        return self.spans.get(column, (None, None))


EVERYTHING = Filter(lambda row: True, {}, {})


def parse(text: str, table: FeedTable) -> Filter:
    """Return the filter; raise :class:`BadQuery`, or :class:`NotSupported` for what is OData's and not ours."""
    if len(text) > _LONGEST:
        raise BadQuery(f"$filter: {len(text)} characters (accepted: at most {_LONGEST})")
    parser = _Parser(text, table)
    found = parser.either(0)
    if parser.word() is not None or parser.mark() is not None or parser.left():
        raise BadQuery(f"$filter: found {parser.rest()!r} after its end (accepted: and, or)")
    return found


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Operand(NamedTuple):
    """A column, or a literal of a kind (None: null)."""

    place: int | None
    kind: ColumnKind | None
    value: Any
    said: str


class _Parser:
    def __init__(self, text: str, table: FeedTable) -> None:
        self._text, self._table = text, table
        self._kinds = {column.name: (at, column.kind) for at, column in enumerate(table.columns)}
        self._tokens = list(self._split(text))
        self._next = 0

    @staticmethod
    def _split(text: str) -> Iterable[_Token]:
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise BadQuery(f"$filter: found {text[at : at + 30].strip()!r} (accepted: {_ACCEPTED})")
            kind = found.lastgroup or ""
            yield _Token(kind, found[kind], at)
            at = found.end()

    def left(self) -> bool:
        return self._next < len(self._tokens)

    def rest(self) -> str:
        return self._text[self._tokens[self._next].at :].strip()[:60] if self.left() else "its end"

    def _peek(self, kind: str) -> str | None:
        return self._tokens[self._next].text if self.left() and self._tokens[self._next].kind == kind else None

    def word(self) -> str | None:
        return self._peek("word")

    def mark(self) -> str | None:
        return self._peek("mark")

    def _takes(self, text: str, kind: str = "word") -> bool:
        if self._peek(kind) != text:
            return False
        self._next += 1
        return True

    def either(self, depth: int) -> Filter:
        parts = [self._both(depth)]
        while self._takes("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else _or(parts)

    def _both(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._takes("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else _and(parts)

    def _one(self, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise BadQuery(f"$filter: nested deeper than {_DEEPEST}")
        if self._takes("not"):
            test = self._one(depth + 1).test
            return Filter(lambda row: not test(row), {}, {})
        if self._takes("(", "mark"):
            found = self.either(depth + 1)
            if not self._takes(")", "mark"):
                raise BadQuery(f"$filter: found {self.rest()!r} (accepted: a closing parenthesis)")
            return found
        return self._comparison()

    def _comparison(self) -> Filter:
        left = self._operand()
        word = self.word()
        if word == "in":
            self._next += 1
            return self._among(left)
        if word not in _COMPARES:
            if word in _UNSUPPORTED:
                raise NotSupported(f"$filter: {word} is not supported here (accepted: {_ACCEPTED})")
            raise BadQuery(f"$filter: found {self.rest()!r} after {left.said} (accepted: {', '.join((*_COMPARES, 'in'))})")
        self._next += 1
        return _compared(left, word, self._operand())

    def _among(self, left: _Operand) -> Filter:
        if left.place is None or not self._takes("(", "mark"):
            raise BadQuery(f"$filter: found {self.rest()!r} (accepted: COLUMN in (VALUE, VALUE))")
        found = [_compared(left, "eq", self._operand())]
        while self._takes(",", "mark"):
            found.append(_compared(left, "eq", self._operand()))
        if not self._takes(")", "mark"):
            raise BadQuery(f"$filter: found {self.rest()!r} (accepted: a comma, or a closing parenthesis)")
        return _or(found)

    def _operand(self) -> _Operand:
        if not self.left():
            raise BadQuery(f"$filter: ends where a column or a value is expected (accepted: {_ACCEPTED})")
        token = self._tokens[self._next]
        self._next += 1
        match token.kind:
            case "text":
                return _Operand(None, ColumnKind.TEXT, token.text[1:-1].replace("''", "'"), token.text)
            case "time":
                return _Operand(None, ColumnKind.TIME, _instant(token.text), token.text)
            case "day":
                return _Operand(None, ColumnKind.DAY, _day(token.text), token.text)
            case "number":
                number = float(token.text) if set(token.text) & set(".eE") else int(token.text)
                return _Operand(None, ColumnKind.NUMBER, number, token.text)
            case "word":
                return self._named(token.text)
        raise BadQuery(f"$filter: found {token.text!r} (accepted: {_ACCEPTED})")

    def _named(self, word: str) -> _Operand:
        if word in self._kinds:
            place, kind = self._kinds[word]
            return _Operand(place, kind, None, word)
        if word == "null":
            return _Operand(None, None, None, word)
        if word in _UNSUPPORTED:
            raise NotSupported(f"$filter: {word} is not supported here (accepted: {_ACCEPTED})")
        raise BadQuery(f"$filter: unknown column {word!r} of {self._table.name}{near(word, self._table.names)}")


def _instant(text: str) -> int:
    try:
        return epoch_ms(datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)))
    except (ValueError, OverflowError):
        raise BadQuery(f"$filter: found {text} (accepted: {_LITERALS[ColumnKind.TIME]})") from None


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadQuery(f"$filter: found {text} (accepted: {_LITERALS[ColumnKind.DAY]})") from None


_NUMBERS = (ColumnKind.WHOLE, ColumnKind.NUMBER, ColumnKind.MONEY)


def _compared(left: _Operand, word: str, right: _Operand) -> Filter:
    if left.place is None and right.place is None:
        raise BadQuery(f"$filter: {left.said} {word} {right.said} compares no column (accepted: {_ACCEPTED})")
    kinds = {ColumnKind.NUMBER if operand.kind in _NUMBERS else operand.kind for operand in (left, right)} - {None}
    if len(kinds) > 1:
        column, other = (left, right) if left.place is not None else (right, left)
        accepted = _LITERALS[column.kind] if column.kind is not None else ""
        raise BadQuery(f"$filter: {column.said} is compared with {other.said} (accepted: {accepted})")
    compare = _COMPARES[word]
    if left.place is not None and right.place is not None:
        one, two = left.place, right.place
        return Filter(lambda row: compare(row[one], row[two]), {}, {})
    if left.place is None:
        left, right, word = right, left, _TURNED[word]
        compare = _COMPARES[word]
    place, value, name = left.place, right.value, left.said
    allowed = {name: frozenset((value,))} if word == "eq" else {}
    spans: dict[str, tuple[Any, Any]] = {}
    if value is not None and word != "ne":
        spans[name] = (value if word in ("eq", "gt", "ge") else None, value if word in ("eq", "lt", "le") else None)
    return Filter(lambda row: compare(row[place], value), allowed, spans)  # type: ignore[index]


def _and(parts: list[Filter]) -> Filter:
    tests = tuple(part.test for part in parts)
    allowed: dict[str, frozenset[Any]] = {}
    spans: dict[str, tuple[Any, Any]] = {}
    for part in parts:
        for name, values in part.allowed.items():
            allowed[name] = allowed.get(name, values) & values
        for name, (low, high) in part.spans.items():
            before = spans.get(name, (None, None))
            spans[name] = (_tightest(max, before[0], low), _tightest(min, before[1], high))
    return Filter(lambda row: all(test(row) for test in tests), allowed, spans)


def _tightest(choose: Callable[[Any, Any], Any], one: Any, two: Any) -> Any:
    return two if one is None else one if two is None else choose(one, two)


def _or(parts: list[Filter]) -> Filter:
    tests = tuple(part.test for part in parts)
    allowed: dict[str, frozenset[Any]] = {}
    spans: dict[str, tuple[Any, Any]] = {}
    for name in set.intersection(*(set(part.allowed) for part in parts)):
        allowed[name] = frozenset().union(*(part.allowed[name] for part in parts))
    for name in set.intersection(*(set(part.spans) for part in parts)):
        lows, highs = zip(*(part.spans[name] for part in parts), strict=True)
        spans[name] = (None if None in lows else min(lows), None if None in highs else max(highs))
    return Filter(lambda row: any(test(row) for test in tests), allowed, spans)
