"""What will the month, the quarter, the year bring? Connects the deals' outlooks to what is said of the period, and is kept.

The fold only takes in; forecasts are made in a thread, one after the other, of a copy of what is known, and given back to it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from models.business import Business
from models.foresight.readings import KPIS
from models.kpis.roll_kpis import Wanted
from models.targets import Targets
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned
from stream.engine.waiting import happens

if TYPE_CHECKING:  # numpy takes a while to import
    from models.foresight.foresee import Asked, Foresee, Job, Made
    from models.foresight.outlook import Outlook

log = logging.getLogger(__name__)

NAME = "foresee"
LANE = "forecast"
#: The engine checkpoints every so many of its checkpoint intervals.
EVERY = 4
TOPICS = ("deal-outlooks", "forecasts")
#: Changes are put together for so long (s) before forecasts are made anew; longer where those take long: a fifth of the time.
_PAUSE, _SHARE, _LONGEST = 1.0, 4.0, 4.0
#: Who asks waits so long (s) for one that is new, and takes the last one then.
_PATIENCE = 6.0

Watched = frozenset[tuple[str, str, str | None]]


def watched(wanted: Iterable[Any]) -> Watched:
    """Return which of the readings that rules wait for are of forecasts: KPI, period, dimension."""
    return frozenset((name[0], name[1], name[2]) for name in wanted if name[0] in KPIS)


def others(wanted: Iterable[Wanted]) -> set[Wanted]:
    """Return those that are not."""
    return {name for name in wanted if name[0] not in KPIS}


class Foreseer:
    """The fold where this worker owns its one partition, and the thread that makes its forecasts."""

    def __init__(
        self,
        business: Business,
        wanted: Watched = frozenset(),
        targets: Targets | None = None,
        *,
        clock: Callable[[], int],
        alone: bool = False,
        name: str = NAME,
        lane: str = LANE,
        speaks: bool = True,
    ) -> None:
        """``alone``: the fold makes its forecasts itself as time passes (a replay). ``speaks`` False: one that only shows."""
        self._business, self._wanted, self._targets = business, wanted, targets or Targets()
        self._clock, self._alone, self._lane, self._speaks = clock, alone, lane, speaks
        self.owned: Owned[Foresee] = Owned(name, lambda fold: fold.use(self._wanted, self._targets))
        self.seconds = 0.0  # of CPU, that the last forecasts took
        self._wake = asyncio.Event()
        self._made = asyncio.Event()

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(self._make, topics=TOPICS, lane=self._lane, replayed=True, doc=__doc__ or "")

    def _make(self, partition: int) -> "Foresee":
        from models.foresight.foresee import Foresee

        return Foresee(self._business, self._targets, self._wanted, speaks=self._speaks, alone=self._alone)

    def use(self, wanted: Watched, targets: Targets) -> None:
        """Take other rules and targets."""
        self._wanted, self._targets = wanted, targets
        self.owned.brief()

    async def run(self, poke: Callable[[], object] = lambda: None) -> None:
        """Make forecasts as long as the fold is here; ``poke`` has what they put on record written soon."""
        while True:
            await self._pause()
            fold = self.owned()
            job = None if fold is None else fold.job(self._clock())
            if fold is None or job is None:
                continue
            try:
                made = await asyncio.to_thread(self._timed, job)
            except Exception:  # a fault of ours stops no other forecast
                log.exception("a forecast could not be made")
                await asyncio.sleep(_LONGEST)
                continue
            if self.owned() is fold:
                fold.take(made)
                poke()
            self._made.set()
            self._made = asyncio.Event()

    async def _pause(self) -> None:
        await asyncio.sleep(min(max(_PAUSE, _SHARE * self.seconds), _LONGEST) / 2)
        await happens(self._wake, min(max(_PAUSE, _SHARE * self.seconds), _LONGEST) / 2)
        self._wake.clear()

    def _timed(self, job: "Job") -> "Made":
        began = time.thread_time()
        made = job.run()
        self.seconds = time.thread_time() - began
        return made

    def figures(self) -> dict[str, dict[tuple[str, str], float]]:
        """Return what metrics show: of each period the numbers of the total, and the CPU seconds of the last forecasts."""
        fold = self.owned()
        return {} if fold is None else {"forecast": fold.figures(), "seconds": {("", ""): self.seconds}}

    async def outlooks(self, asked: "Sequence[Asked]") -> "list[Outlook] | None":
        """Return what is asked for, as new as what is known where that takes no more than some seconds.

        None where another worker has the fold, or it is being read back, or there is nothing yet.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            fold = self.owned()
            if fold is None or not fold.live_:
                return None
            now = self._clock()
            found = [fold.ask(one, now) for one in asked]
            left = until - time.monotonic()
            if left <= 0 or not any(fold.behind(one, now) for one in asked):
                return [one for one in found if one is not None] if None not in found else None
            self._wake.set()
            await happens(self._made, left)
