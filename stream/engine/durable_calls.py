"""Who is told that what a fold has said is on the broker?"""

import asyncio
from collections.abc import Callable

from stream.engine.errors import EngineStopped
from stream.engine.fold_partition import FoldPartition


class DurableCalls:
    """The calls of ``on_durable``: one at a time a partition. ``fail`` is told of what one raises."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail

    def notify(self, slot: FoldPartition) -> None:
        """Call the fold's ``on_durable``, or once more where that call is under way."""
        callback = slot.spec.on_durable
        if callback is None:
            return
        slot.again = True
        if slot.task is not None and not slot.task.done():
            return

        async def call() -> None:
            try:
                while slot.again:
                    slot.again = False
                    await callback(slot.partition, slot.fold)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                failed = EngineStopped(f"{slot.spec.name}/{slot.partition}: on_durable raised {error!r}")
                failed.__cause__ = error
                self._fail(failed)

        slot.task = asyncio.create_task(call(), name=f"durable-{slot.spec.name}-{slot.partition}")
