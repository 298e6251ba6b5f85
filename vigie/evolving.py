"""How far is a worker with bringing older state up to the definitions in force? For ``/readyz`` and the log."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from models.folds.partition import EntityPartition

log = logging.getLogger(__name__)

_SAY_EVERY = 10.0  # seconds


class Evolving:
    """Watches the partitions in this worker's hands."""

    def __init__(self, partitions: Callable[[], Iterable[EntityPartition]]) -> None:
        self._partitions = partitions
        self._busy = False
        self._said_at = float("-inf")

    def sentences(self) -> list[str]:
        """Return a sentence for each fold of which something is not whole yet."""
        left: defaultdict[str, int] = defaultdict(int)
        names: defaultdict[str, set[str]] = defaultdict(set)
        for partition in self._partitions():
            if partition.waiting:
                left[partition.fold_name] += partition.behind
                names[partition.fold_name].update(partition.waiting)
        return [
            f"{fold}: {_few(sorted(names[fold]))}: being counted from the facts that are kept, {count:,} still to be looked at"
            for fold, count in left.items()
        ]

    def log(self) -> None:
        """Say how far it is, every ten seconds while there is something to say, and once when it is done."""
        told = self.sentences()
        if told and time.monotonic() - self._said_at >= _SAY_EVERY:
            self._said_at = time.monotonic()
            for line in told:
                log.info("%s", line)
        elif self._busy and not told:
            log.info("all that is measured is counted from the facts that were kept")
        self._busy = bool(told)


def _few(names: list[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
