"""Are the tables in the PostgreSQL of the settings what they are here? Writes what has changed, and catches up after an outage.

Deals, leads and alerts are read from the topics of their presents, which a checkpoint writes in one transaction with everything
else: what it has not committed is never seen. Readings, customers and the catalogue are written every so often.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson

from agents.postgres import PostgresTables
from models.feeds.mirror import Mirror, MirrorChange
from models.feeds.rows import alert_row, deal_row, lead_row
from models.feeds.tables import ALERTS, DEALS, LEADS, TABLES, FeedTable, Row
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, decode_deal, decode_lead
from models.owners import Owners
from stream.config.postgres_settings import PostgresSettings
from stream.config.settings import SettingsError
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

log = logging.getLogger(__name__)

LANE = "mirror"
ENTITIES, STANDING = "mirror-entities", "mirror-alerts"
_TOPICS: dict[str, Mapping[str, str]] = {
    ENTITIES: {DEAL_STATES: DEALS.name, LEAD_STATES: LEADS.name},
    STANDING: {"alert-states": ALERTS.name},
}
#: Changes of one transaction; pauses (s) after a failure, the last one from then on; and how long (s) a database may take.
_AT_A_TIME = 2_000
_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
_PATIENCE = 60.0
_LOOK = 0.5  # s between two looks at what has changed

#: Gives the rows of a table that is written every so often, in batches; it is told the latest instant there is (epoch ms).
Periodic = Callable[[FeedTable, int | None], AsyncIterator[Sequence[Row]]]


class MirrorTables:
    """Writes the tables. ``connect`` opens a connection as asyncpg's; ``clock`` is epoch milliseconds."""

    def __init__(
        self,
        settings: PostgresSettings,
        currency: str,
        people: Owners,
        *,
        clock: Callable[[], int],
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        self._settings = settings
        self._currency, self._people, self._clock = currency, people, clock
        self._connect = connect or _asyncpg
        self.owned: dict[str, Owned[Mirror]] = {name: Owned(name) for name in _TOPICS}
        self._shown: dict[tuple[str, int], Mirror] = {}
        self._due = 0.0  # when (monotonic) the other tables are written next
        self._since: int | None = None  # when (epoch ms) it began to fail
        self._why = ""

    def specs(self) -> list[FoldSpec]:
        """Return the folds as the engine runs them."""
        return [
            owned.spec(
                lambda partition, name=name: Mirror(partition, _TOPICS[name], lambda one: self._show(name, one)),  # type: ignore[misc]
                topics=tuple(_TOPICS[name]),
                lane=LANE,
                replayed=True,
                doc="Hold what is still to be written to PostgreSQL.",
            )
            for name, owned in self.owned.items()
        ]

    def _show(self, name: str, mirror: Mirror) -> None:
        self._shown[name, mirror.partition] = mirror

    def _parts(self) -> list[Mirror]:
        """Return the partitions that are whole, and in this worker's hands."""
        return [mirror for (name, partition), mirror in self._shown.items() if self.owned[name](partition) is mirror]

    @property
    def waiting(self) -> int:
        """How many changes are still to be written."""
        return sum(mirror.waiting for mirror in self._parts())

    def warnings(self) -> list[str]:
        """Return what an operator has to know, a line each."""
        if self._since is None:
            return []
        minutes = (self._clock() - self._since) // 60_000
        return [f"PostgreSQL: nothing could be written for {minutes} min ({self._why}); {self.waiting} changes wait"]

    async def run(self, periodic: Periodic | None = None) -> None:
        """Write until cancelled; whatever the database does, it is tried again."""
        failures = 0
        while True:
            try:
                connection = await self._connect(self._settings.url.get_secret_value())
                try:
                    await self._write(PostgresTables(connection, self._settings.namespace), periodic)
                finally:
                    await _closed(connection)
            except Exception as error:  # whatever asyncpg raises: a sink that fails stops nothing else
                self._failed(error)
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures = 0 if self._since is None else failures + 1

    def _failed(self, error: Exception) -> None:
        if self._since is None:
            self._since = self._clock()
            log.warning("postgres: cannot be written to: %s; trying again", type(error).__name__)
        self._why = f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]

    async def _write(self, tables: PostgresTables, periodic: Periodic | None) -> None:
        async with asyncio.timeout(_PATIENCE):
            await tables.make(TABLES.values())
        while True:
            wrote = False
            for mirror in self._parts():
                wrote |= await self._one(tables, mirror)
            if periodic is not None and time.monotonic() >= self._due and not self.waiting:
                for name in ("catalogue", "readings", "customers", "forecasts"):
                    await self._periodic(tables, TABLES[name], periodic)
                self._due = time.monotonic() + self._settings.every / 1000
            if self._since is not None:
                log.info("postgres: written to again")
                self._since, self._why = None, ""
            if not wrote:
                await asyncio.sleep(_LOOK)
                async with asyncio.timeout(_PATIENCE):
                    await tables.alive()

    async def _one(self, tables: PostgresTables, mirror: Mirror) -> bool:
        """Write some of a partition's changes; return whether there were any."""
        changes = mirror.take(_AT_A_TIME)
        if changes:
            async with asyncio.timeout(_PATIENCE):
                for name in mirror.tables.values():
                    await self._table(tables, TABLES[name], [one for one in changes if one.table == name], mirror.partition)
            mirror.done(changes)
        elif mirror.first is not None:  # all that there is has been written
            for name, keys in mirror.first.items():
                async with asyncio.timeout(_PATIENCE):
                    await tables.keep(TABLES[name], keys, mirror.partition)
            mirror.first = None
        return bool(changes)

    async def _table(self, tables: PostgresTables, table: FeedTable, changes: Sequence[MirrorChange], partition: int) -> None:
        rows, gone = [], []
        for change in changes:
            row = None if change.body is None else self._row(table, change)
            if row is None:
                gone.append((change.key, change.at))
            else:
                rows.append((row, change.at))
        try:
            await tables.put(table, rows, partition)
        except (ValueError, OverflowError) as error:  # asyncpg's of a value that does not fit: a fault of one row
            if len(rows) > 1:
                for one in changes:
                    await self._table(tables, table, [one], partition)
                return
            log.warning("postgres: a row of %s cannot be written: %s", table.name, type(error).__name__)
        await tables.remove(table, gone)

    def _row(self, table: FeedTable, change: MirrorChange) -> Row | None:
        """Return a change as a row; None for what is damaged."""
        body = change.body or b""
        try:
            if table is DEALS:
                return deal_row(decode_deal(body), self._currency, self._people, None, change.at)
            if table is LEADS:
                return lead_row(decode_lead(body), self._people, change.at)
            return alert_row(orjson.loads(body), change.at)
        except (ValueError, KeyError, TypeError):
            return None

    async def _periodic(self, tables: PostgresTables, table: FeedTable, periodic: Periodic) -> None:
        since: int | None = None
        if table.name == "readings" and (last := await tables.latest(table, "at")) is not None:
            since = int(last.timestamp() * 1000)
        async for rows in periodic(table, since):
            for begin in range(0, len(rows), _AT_A_TIME):
                now = self._clock()
                async with asyncio.timeout(_PATIENCE):
                    await tables.put(table, [(row, now) for row in rows[begin : begin + _AT_A_TIME]])


async def _asyncpg(url: str) -> Any:
    import asyncpg

    return await asyncpg.connect(url, timeout=10, command_timeout=_PATIENCE, server_settings={"application_name": "vigie"})


async def _closed(connection: Any) -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except Exception:
        connection.terminate()


def check() -> None:
    """Raise :class:`SettingsError` where the library that speaks with PostgreSQL is not installed."""
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise SettingsError(
            ["postgres.url: needs asyncpg, which is not installed (accepted: pip install 'vigie[postgres]')"]
        ) from None
