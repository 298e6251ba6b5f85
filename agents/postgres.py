"""How do rows of the tables get into a PostgreSQL, so that writing them again changes nothing?

Rows are copied into a temporary table and merged by their key, in one transaction; a row that is the same stays untouched, and
one that is newer there (``vigie_at``, of a worker that had it before) is not written over.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from models.feeds.tables import Column, ColumnKind, FeedTable, Row

_TYPES = {
    ColumnKind.TEXT: "text",
    ColumnKind.WHOLE: "bigint",
    ColumnKind.NUMBER: "double precision",
    ColumnKind.MONEY: "numeric(19,4)",
    ColumnKind.DAY: "date",
    ColumnKind.TIME: "timestamptz",
}
#: Two that make the tables at once wait for each other.
_LOCK = 7_169_341
#: Columns that say when a row was true, in every row another time: they make it no other row.
_ALWAYS = ("as_of",)


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


class PostgresTables:
    """The tables in one schema of a database. ``connection`` is asyncpg's; all raise what it raises."""

    def __init__(self, connection: Any, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def _name(self, table: FeedTable) -> str:
        return f"{quoted(self._namespace)}.{quoted(table.name)}"

    async def make(self, tables: Iterable[FeedTable]) -> None:
        """Create what is missing: schema, tables, columns; say in the database what each is."""
        async with self._connection.transaction():
            await self._connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await self._connection.execute(f"create schema if not exists {quoted(self._namespace)}")
            for table in tables:
                await self._connection.execute(self._created(table))
                for column in table.columns:
                    added = (
                        f"alter table {self._name(table)} add column if not exists {quoted(column.name)} {_TYPES[column.kind]}"
                    )
                    await self._connection.execute(added)
                    await self._comment(f"column {self._name(table)}.{quoted(column.name)}", column.doc)
                await self._comment(f"table {self._name(table)}", table.doc)

    def _created(self, table: FeedTable) -> str:
        columns = ", ".join(_defined(column, column.name in table.key) for column in table.columns)
        key = ", ".join(map(quoted, table.key))
        own = '"vigie_at" bigint not null, "vigie_partition" integer'
        return f"create table if not exists {self._name(table)} ({columns}, {own}, primary key ({key}))"

    async def _comment(self, what: str, text: str) -> None:
        await self._connection.execute(f"comment on {what} is '{text.replace(chr(39), chr(39) * 2)}'")

    async def put(self, table: FeedTable, rows: Sequence[tuple[Row, int]], partition: int | None = None) -> None:
        """Write rows, each with when it was said (epoch ms)."""
        if not rows:
            return
        names = [*table.names, "vigie_at", "vigie_partition"]
        listed = ", ".join(map(quoted, names))
        makers = [_maker(column.kind) for column in table.columns]
        records = [
            (*(make(value) if value is not None else None for make, value in zip(makers, row, strict=True)), at, partition)
            for row, at in rows
        ]
        new = [name for name in names if name not in table.key]
        compared = [name for name in table.names if name not in (*table.key, *_ALWAYS)]
        there, here = (", ".join(f"{side}.{quoted(name)}" for name in compared) for side in ("t", "excluded"))
        async with self._connection.transaction():
            await self._connection.execute(f"create temp table vigie_news (like {self._name(table)}) on commit drop")
            await self._connection.copy_records_to_table("vigie_news", records=records, columns=names)
            await self._connection.execute(
                f"insert into {self._name(table)} as t ({listed}) select {listed} from vigie_news "
                f"on conflict ({', '.join(map(quoted, table.key))}) do update set "
                + ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in new)
                + f' where t."vigie_at" <= excluded."vigie_at" and (({there}) is distinct from ({here}) '
                'or t."vigie_partition" is distinct from excluded."vigie_partition")'
            )

    async def remove(self, table: FeedTable, gone: Sequence[tuple[str, int]]) -> None:
        """Take out rows by their key, each with when that was said; one that was said to be there later stays."""
        await self._connection.executemany(
            f'delete from {self._name(table)} where {quoted(table.key[0])} = $1 and "vigie_at" <= $2',
            [(_text(key), at) for key, at in gone],
        )

    async def keep(self, table: FeedTable, keys: Collection[str], partition: int) -> None:
        """Take out the rows of a partition that are none of these: what has gone while nobody told us."""
        async with self._connection.transaction():
            await self._connection.execute("create temp table vigie_keys (key text) on commit drop")
            await self._connection.copy_records_to_table("vigie_keys", records=[(_text(key),) for key in keys])
            await self._connection.execute(
                f'delete from {self._name(table)} where "vigie_partition" = $1 '
                f"and {quoted(table.key[0])} not in (select key from vigie_keys)",
                partition,
            )

    async def alive(self) -> None:
        """Raise where nobody answers."""
        await self._connection.execute("select 1")

    async def latest(self, table: FeedTable, column: str) -> Any:
        """Return the greatest value of a column, None where there is no row."""
        return await self._connection.fetchval(f"select max({quoted(column)}) from {self._name(table)}")


def _defined(column: Column, key: bool) -> str:
    return f"{quoted(column.name)} {_TYPES[column.kind]}{' not null' if key else ''}"


def _text(value: str) -> str:
    return value.replace("\0", "")  # PostgreSQL has no such character


def _maker(kind: ColumnKind) -> Any:
    match kind:
        case ColumnKind.TEXT:
            return _text
        case ColumnKind.MONEY:
            return lambda value: Decimal(str(value))
        case ColumnKind.NUMBER:
            return float
        case ColumnKind.DAY:
            return date.fromisoformat
        case ColumnKind.TIME:
            return lambda value: datetime.fromtimestamp(value / 1000, UTC)
    return int
