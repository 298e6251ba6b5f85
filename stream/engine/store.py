"""What do Faust's tables keep, and who restores them?

The tables stay Faust tables: each fold's changelog is one, with its co-partitioning and its name. What they hold lives in
the folds, and comes back through the driver (``stream/engine/restore.py``). Faust's own recovery stays out: it
waits for ever for the control record that ends a transactional changelog, and reads one record after the other.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NoReturn

from faust import stores
from faust.stores import base
from faust.tables.manager import TableManager
from faust.tables.recovery import IllegalStateError, RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP
from mode import Service

log = logging.getLogger(__name__)


class FoldStore(base.Store):
    """The store of a fold's table: the fold itself holds the rows, so nothing may be set here."""

    def __getitem__(self, key: Any) -> NoReturn:
        raise KeyError(key)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(f"table {self.table_name}: its rows are written by its fold's checkpoint only")

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError(f"table {self.table_name}: its rows are removed by its fold's checkpoint only")

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def persisted_offset(self, tp: TP) -> int | None:
        """Nothing is kept on this machine's disk."""
        return None

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Faust's recovery does not run."""

    def reset_state(self) -> None:
        """There is nothing on the disk."""

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """The changelog is the backup."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """The changelog is the backup."""


class Restoration(Recovery):
    """In place of Faust's recovery: after each assignment, let the driver restore, then let the flow go on.

    It runs outside of the rebalance's callback, so heartbeats go on during a long restore; a new rebalance ends it.
    """

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                break
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                self._set_recovery_started()
                await self._wait(self.app.driver.restore())
                await self._wait(self.on_recovery_completed(generation))
            except (RebalanceAgain, IllegalStateError):
                continue
            except ServiceStopped:
                break
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.app.driver.fail(error)
                raise

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Changelogs are not read through Faust."""

    @Service.task
    async def _publish_stats(self) -> None:
        """The driver says what it restores."""


class FoldTables(TableManager):
    """Faust's table manager without its wait at the start, and with our restoration."""

    _recovery: Restoration | None = None

    @property
    def recovery(self) -> Restoration:
        """The service that restores."""
        if self._recovery is None:
            self._recovery = Restoration(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """As Faust does, without its second of sleep."""
        await self._update_channels()
        await self.recovery.start()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Tell the driver of the assignment and its token before anything else happens."""
        ownership = self.app.consumer.ownership
        if ownership is not None and ownership.generation != generation_id:
            ownership = None  # another rebalance has begun already
        self.app.driver.rebalanced(assigned, ownership)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)


stores.STORES.aliases["fold"] = "stream.engine.store:FoldStore"
