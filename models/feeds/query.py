"""Which rows of a table are asked for, in which order, and where does the next page begin?

Pages are cut by the values of their last row (a key is always part of the order), so that rows which come or go between two
pages neither repeat nor hide another one.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from models.config.suggest import near
from models.feeds.filter import EVERYTHING, BadQuery, Filter, NotSupported, parse
from models.feeds.tables import FeedTable, Row

OPTIONS = ("$filter", "$select", "$orderby", "$top", "$skip", "$count", "$skiptoken", "$format")
#: Of OData, and not of ours.
UNSUPPORTED = ("$apply", "$compute", "$deltatoken", "$expand", "$index", "$levels", "$schemaversion", "$search")
_MOST = 2**53


class Order(NamedTuple):
    """A column by which rows are ordered: where it stands, and whether the greatest come first. Null is less than all else."""

    place: int
    descending: bool


class Query(NamedTuple):
    """What is asked of a table."""

    table: FeedTable
    chosen: Filter
    columns: tuple[str, ...]
    order: tuple[Order, ...]
    top: int | None
    skip: int
    counted: bool
    after: tuple[Any, ...] | None = None  # the ordered values of the last row before, with which the page goes on
    pinned: int | None = None  # the instant of the first page (epoch ms)

    @property
    def by_key(self) -> bool:
        """Whether rows are asked for in the order of their key."""
        return self.order == key_order(self.table)

    def values(self, row: Row) -> tuple[Any, ...]:
        """Return the values by which a row is ordered."""
        return tuple(row[order.place] for order in self.order)

    def sorted(self, rows: Iterable[Row]) -> list[Row]:
        """Return rows in the order that is asked for."""
        found = list(rows)
        for place, descending in reversed(self.order):
            found.sort(key=lambda row: (row[place] is not None, row[place]), reverse=descending)
        return found

    def goes_on(self, row: Row) -> bool:
        """Whether a row comes after the page before."""
        if self.after is None:
            return True
        for (place, descending), last in zip(self.order, self.after, strict=True):
            value = row[place]
            if value != last:
                greater = value is not None and (last is None or value > last)
                return bool(greater != descending)
        return False

    def token(self, last: Row, pinned: int) -> str:
        """Return what the next page is asked for with."""
        return base64.urlsafe_b64encode(orjson.dumps([pinned, *self.values(last)])).decode().rstrip("=")


def key_order(table: FeedTable) -> tuple[Order, ...]:
    """Return the order of a table's key."""
    return tuple(Order(table.place(name), False) for name in table.key)


def parse_query(asked: Mapping[str, str], table: FeedTable) -> Query:
    """Return what OData's options ask for; raise :class:`BadQuery`, :class:`NotSupported`. Other parameters are passed over."""
    for name in asked:
        if name in UNSUPPORTED:
            raise NotSupported(f"{name} is not supported here (accepted: {', '.join(OPTIONS)})")
        if name.startswith("$") and name not in OPTIONS:
            raise BadQuery(f"unknown option {name}{near(name, OPTIONS)}")
    chosen = parse(asked["$filter"], table) if asked.get("$filter", "").strip() else EVERYTHING
    query = Query(
        table,
        chosen,
        _columns(asked.get("$select", ""), table),
        _order(asked.get("$orderby", ""), table),
        None if "$top" not in asked else _number("$top", asked["$top"]),
        _number("$skip", asked.get("$skip", "0")),
        _flag(asked.get("$count", "false")),
    )
    return _continued(query, asked["$skiptoken"]) if "$skiptoken" in asked else query


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= _MOST):
        raise BadQuery(f"{name}: found {text[:40]!r} (accepted: a whole number from 0)")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadQuery(f"$count: found {text[:40]!r} (accepted: true, false)")
    return text == "true"


def _known(option: str, name: str, table: FeedTable) -> str:
    if name not in table.names:
        raise BadQuery(f"{option}: unknown column {name[:60]!r} of {table.name}{near(name[:60], table.names)}")
    return name


def _columns(text: str, table: FeedTable) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")] if text.strip() else ["*"]
    if "*" in names:
        return table.names
    asked = {_known("$select", name, table) for name in names}
    return tuple(name for name in table.names if name in asked)


def _order(text: str, table: FeedTable) -> tuple[Order, ...]:
    found: dict[int, Order] = {}
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if len(words) not in (1, 2) or words[1:] not in ([], ["asc"], ["desc"]):
            raise BadQuery(f"$orderby: found {part.strip()[:60]!r} (accepted: COLUMN, COLUMN desc, with commas)")
        order = Order(table.place(_known("$orderby", words[0], table)), words[1:] == ["desc"])
        found.setdefault(order.place, order)
    for order in key_order(table):
        found.setdefault(order.place, order)
    return tuple(found.values())


def _continued(query: Query, token: str) -> Query:
    try:
        pinned, *after = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if type(pinned) is not int or not 0 <= pinned < _MOST or len(after) != len(query.order):
            raise ValueError
        for order, value in zip(query.order, after, strict=True):
            kind = query.table.columns[order.place].kind
            fits = isinstance(value, str) if kind in ("text", "day") else type(value) in (int, float)
            if value is not None and not fits:
                raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise BadQuery("$skiptoken: not of a page of this query (accepted: what @odata.nextLink holds, as it is)") from None
    return query._replace(after=tuple(after), pinned=pinned, skip=0)


def shown(query: Query, rows: Sequence[Row]) -> list[Row]:
    """Return rows with the columns that are asked for, in the table's order."""
    if query.columns == query.table.names:
        return list(rows)
    places = [query.table.place(name) for name in query.columns]
    return [tuple(row[place] for place in places) for row in rows]
