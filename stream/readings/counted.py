"""Which deals and leads does a figure count? Found in what the folds have written down, wherever they run.

The folds' changelogs hold every entity, on a Kafka as in a file: whoever answers needs none of the partitions in its own hands.
They are read in a thread, one partition after another, when somebody asks; what was found is kept for a while, so that the pages
of a list are of one instant.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from models.business import Business
from models.kpis.asks import Ask, asks
from models.kpis.behind import CountedEntity, EntitiesBehind, FigureQuestion, KnownEntity, Numbers, Sums, listed
from models.kpis.entry import Kpi
from models.kpis.recount import together
from models.panes.store import TOTAL
from models.panes.windows import Window
from stream.readings.changelogs import Changelogs

#: Answers that are kept, for how long (s), and how many entities they hold together at most.
_KEPT, SECONDS, _HELD = 8, 300, 200_000


class FoundEntities(NamedTuple):
    """What was found: the entities that count, the latest first; what they come to; and what plainer definitions make of all."""

    counted: Sequence[CountedEntity]
    numbers: Numbers
    naive: Mapping[str, Sums]
    damaged: int  # rows that could not be read


_Key = tuple[str, str, str, int]


class CountedDesk:
    """Answers what a figure counts, from what ``written`` has."""

    def __init__(self, written: Changelogs, business: Business, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` is seconds of whenever."""
        self._written, self._business, self._clock = written, business, clock
        self._lock = asyncio.Lock()
        self._kept: OrderedDict[_Key, tuple[float, FoundEntities]] = OrderedDict()

    async def of(self, kpi: Kpi, window: Window, segment: str, at: int) -> FoundEntities:
        """Return what a KPI's reading counts; raise ``KafkaException`` or ``OSError`` where nobody answers."""
        key = (kpi.id, window.name, segment, at)
        async with self._lock:
            now = self._clock()
            for old in [old for old, (made, _) in self._kept.items() if now - made > SECONDS]:
                del self._kept[old]
            if key in self._kept:
                return self._kept[key][1]
            found = await asyncio.to_thread(self._found, FigureQuestion(asks(kpi, segment), window, at))
            self._kept[key] = now, found
            while len(self._kept) > _KEPT or (len(self._kept) > 1 and self._held() > _HELD):
                self._kept.popitem(last=False)
            return found

    async def those(self, kpi: Kpi, window: Window, segment: str, at: int, ids: Collection[str]) -> list[KnownEntity]:
        """Return what is known of these deals and leads, and what they count for; raise as :meth:`of`."""
        question, wanted = FigureQuestion(asks(kpi, segment), window, at), frozenset(ids)
        async with self._lock:
            return await asyncio.to_thread(lambda: [known for behind in self._behind(question) for known in behind.known(wanted)])

    async def counting(
        self, kpis: Sequence[Kpi], window: Window, at: int, fold: str, id: str
    ) -> tuple[KnownEntity | None, list[tuple[Kpi, list[Ask]]]]:
        """Return what is known of one deal or lead (of ``fold``), and which of these KPIs' totals count it, each with what is
        asked of it there; raise as :meth:`of`.
        """
        asked = [(kpi, [ask for ask in asks(kpi, TOTAL) if ask.fold == fold and listed(ask)]) for kpi in kpis]
        question = FigureQuestion(list(dict.fromkeys(ask for _, those in asked for ask in those)), window, at)
        known = await asyncio.to_thread(self._known, question, fold, id)
        numbers = {} if known is None else known.one.numbers
        found = [(kpi, [ask for ask in those if ask in numbers]) for kpi, those in asked]
        return known, [(kpi, those) for kpi, those in found if those]

    def _known(self, question: FigureQuestion, fold: str, id: str) -> KnownEntity | None:
        rows, mine = self._written.rows_of(f"fold-{fold}", id), b"E" + id.encode()
        only = {key: row for key, row in rows.items() if key == mine or key[:1] in (b"S", b"O")}
        return next(iter(EntitiesBehind(fold, self._business, question, only).known({id})), None)

    def _held(self) -> int:
        return sum(len(found.counted) for _, found in self._kept.values())

    def _found(self, question: FigureQuestion) -> FoundEntities:
        counted, naive, damaged = list[CountedEntity](), list[tuple[str, Sums]](), 0
        for behind in self._behind(question):
            counted += behind
            naive += behind.naive.items()
            damaged += behind.damaged
        counted.sort(key=lambda one: (-one.at, one.state.id))
        sums = Sums()
        for one in counted:
            sums.add(one.numbers)
        return FoundEntities(counted, sums.numbers, together(naive), damaged)

    def _behind(self, question: FigureQuestion) -> Iterator[EntitiesBehind]:
        for fold in question.folds:
            for rows in self._written.rows(f"fold-{fold}"):
                yield EntitiesBehind(fold, self._business, question, rows)
