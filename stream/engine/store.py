"""What do Faust's tables keep, and who restores them?

The tables stay Faust tables: each fold's changelog is one, with its co-partitioning and its name. They hold nothing: the rows
are in the folds, are written by their checkpoints, and come back through the driver (``stream/engine/restore.py``). Faust's own
recovery stays out: it waits for ever for the control record that ends a transactional changelog, and reads one record after
the other.
"""

from faust.types import TP

from stream.engine import seam


class FoldTables(seam.Tables):
    """Faust's table manager, which tells the driver what was assigned and lets it restore."""

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Tell the driver of the assignment and its token before anything else happens."""
        ownership = self.app.consumer.ownership
        if ownership is not None and ownership.generation != generation_id:
            ownership = None  # another rebalance has begun already
        self.app.driver.rebalanced(assigned, ownership)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
