"""How does an operator learn of what went wrong in a fold, once and not a thousand times?"""

import logging
import time
from collections.abc import Callable, Iterable

from models.calendar import iso
from models.faults import Fault, Faults
from stream.metrics import Metrics

log = logging.getLogger(__name__)

#: A fault is shown on ``/readyz`` for so long after it (seconds), and logged with its trace at most this often a fold.
SHOWN, PAUSE = 3_600.0, 10.0
RUNBOOK = "docs/runbooks/time-ran-ahead.md"


class Teller:
    """Carries what folds note (:class:`models.faults.Faults`) into the log, the metrics and ``/readyz``."""

    def __init__(self, metrics: Metrics, folds: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}
        self._last: dict[str, tuple[float, Fault]] = {}
        self._set_back: dict[str, str] = {}
        for fold in folds:
            metrics.faults(fold, 0)
            metrics.set_back(fold, 0)

    def tell(self, fold: str, partition: int, faults: Faults) -> None:
        """Tell what is new of one partition, and take it off the list."""
        while faults.set_back:
            was, now = faults.set_back.popleft()
            self._metrics.set_back(fold, 1)
            self._set_back[fold] = iso(was // 1000 * 1000)
            log.error(
                "%s/%d: time had run ahead to %s; set back to %s. What was forgotten comes back only with a state built anew: %s",
                fold, partition, iso(was), iso(now), RUNBOOK,
            )  # fmt: skip
        new, faults.total = faults.total, 0
        if not new:
            return
        self._metrics.faults(fold, new)
        last = faults.fresh[-1]
        faults.fresh.clear()
        at = self._clock()
        self._last[fold] = at, last
        if at - self._logged.get(fold, float("-inf")) < PAUSE:
            self._unlogged[fold] = self._unlogged.get(fold, 0) + new
            return
        self._logged[fold] = at
        more = new - 1 + self._unlogged.pop(fold, 0)
        log.error(
            "%s: a fault of Vigie's own at %s%s: it changed nothing, please report it\n%s",
            fold, last.where, f" (and {more} more)" if more else "", last.trace.rstrip(),
        )  # fmt: skip

    def warnings(self) -> list[str]:
        """Return a line for each fold that something was wrong with: for ``/readyz``, as degraded."""
        now = self._clock()
        found = [
            f"{fold}: a fault of Vigie's own, last at {fault.where}: {fault.error[:160]} (see the log and the dead letters)"
            for fold, (at, fault) in sorted(self._last.items())
            if now - at < SHOWN
        ]
        return found + [
            f"{fold}: time had run ahead to {was} and was set back: see {RUNBOOK}" for fold, was in self._set_back.items()
        ]
