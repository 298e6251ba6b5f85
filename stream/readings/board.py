"""What does the web part answer from, without computing the same reading twice in a second?

The page, the API, the metrics and the cache all ask for the same few slices (a window, in total or by a dimension). A
:class:`Board` computes each slice at most once per second, and lets the event loop breathe between two slices: the view
lives in the process that folds.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from models.calendar import MINUTE_MS, Calendar, epoch_ms
from models.config.suggest import meant
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.kpis.history import ReadingCourse, Tail
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import ACCEPTED, Window, WindowError

#: A reading in the JSON form of the contract.
Reading = Mapping[str, Any]

#: The windows the page and the snapshot show; any other that can be parsed may be asked for.
WINDOWS = ("24h", "7d", "30d", "month")
#: Segments of a dimension that are told of a KPI; where there are more, those in which most goes on. A reading takes some 50 µs.
SEGMENTS = 300
#: Readings that are made before others may run.
_AT_A_TIME = 25
#: Slices kept at hand, and trends: some 30 KB each, of whatever windows are asked for.
_MEMO = 256
_TRENDS = 32
#: How long a trend is told as it is (ms): it takes thirty readings of every KPI, and the page asks for it once a minute.
TREND_AGE = 60_000


class ReadingSource(Protocol):
    """Where readings come from: the live view, or the snapshot kept in Redis."""

    @property
    def kpis(self) -> Mapping[str, Kpi]:
        """The KPIs by id, in the catalogue's order."""

    @property
    def dimensions(self) -> Sequence[str]:
        """The dimensions that can be asked for."""

    @property
    def version(self) -> int:
        """A number that grows whenever what is shown may have changed."""

    @property
    def complete(self) -> bool:
        """Whether the numbers are whole: half a sum is never shown."""

    def read(self, at: int, window: str, by: str | None, kpi: str | None = None) -> list[Reading]:
        """Return the readings of one slice at an instant (epoch ms): of all KPIs or one; ``by`` None is the total.

        Raise :class:`Unavailable` where they are not whole at this moment: whoever awaits between two slices needs no check.
        """

    def busiest(self, at: int, window: str, by: str, kpi: str, most: int) -> Iterator[Reading]:
        """Yield the readings of a KPI by a dimension: of all segments, or of so many in which most goes on.

        Raise :class:`Unavailable` at any of them, likewise.
        """

    def only(self, at: int, window: str, by: str, kpi: str, names: Sequence[str]) -> Iterator[Reading]:
        """Yield the readings of a KPI of these segments of a dimension; raise :class:`Unavailable`, likewise."""

    def course(
        self, times: Sequence[int], window: str, by: str | None, kpis: Sequence[str], most: int
    ) -> Iterator[tuple[str, str, list[Tail]]]:
        """Yield segment, KPI and its readings at many instants, of the total or of at most so many segments.

        Of a KPI that makes no sense by the dimension there are none. Raise :class:`Unavailable` at any of them.
        """

    def count(self, by: str) -> int:
        """Return how many segments a dimension has."""

    def began(self, kpi: str) -> int | None:
        """Return since when (epoch ms) something is known of what a KPI counts, None before there is anything."""


class Unavailable(LookupError):
    """There is no whole number to give for this now; the message says why, and who has one."""


class ViewSource:
    """The source of an instance that holds the view, for as long as ``held`` says so: another worker may take it over."""

    def __init__(self, view: Callable[[], View], catalogue: Catalogue, held: Callable[[], bool] = lambda: True) -> None:
        """``view`` gives the view of this moment: each restore builds another one."""
        self._view = view
        self._catalogue = catalogue
        self._held = held

    @property
    def kpis(self) -> Mapping[str, Kpi]:
        """The KPIs by id."""
        return self._catalogue.kpis

    @property
    def dimensions(self) -> Sequence[str]:
        """The dimensions some KPI makes sense by."""
        return self._catalogue.dimensions

    @property
    def version(self) -> int:
        """The view's count of changes."""
        return self._view().version

    @property
    def complete(self) -> bool:
        """Whether this process holds the view, read to the end."""
        return self._view().live and self._held()

    def read(self, at: int, window: str, by: str | None, kpi: str | None = None) -> list[Reading]:
        """Return the readings of one slice; raise :class:`Unavailable` while the view is being read back or elsewhere."""
        self._check(view := self._view())
        kpis = None if kpi is None else [kpi]
        return [reading.as_json() for reading in self._catalogue.readings(view, at, kpis, [window], by)]

    def busiest(self, at: int, window: str, by: str, kpi: str, most: int) -> Iterator[Reading]:
        """Yield the readings of a KPI by a dimension, of at most so many segments."""
        entry, span, view = self._catalogue.get(kpi), Window.parse(window), self._view()
        self._check(view)
        yield from self._of(entry, span, by, view, at, view.busiest(by, entry.formula.folds, most))

    def only(self, at: int, window: str, by: str, kpi: str, names: Sequence[str]) -> Iterator[Reading]:
        """Yield the readings of a KPI of these segments."""
        view = self._view()
        self._check(view)
        yield from self._of(self._catalogue.get(kpi), Window.parse(window), by, view, at, names)

    def _of(self, kpi: Kpi, span: Window, by: str, view: View, at: int, names: Iterable[str]) -> Iterator[Reading]:
        for name in names:
            self._check(view)  # others may have run since the last one
            yield self._catalogue.reading(kpi, view, span, f"{by}={name}", at).as_json()

    def course(
        self, times: Sequence[int], window: str, by: str | None, kpis: Sequence[str], most: int
    ) -> Iterator[tuple[str, str, list[Tail]]]:
        """Yield segment, KPI and its readings at many instants."""
        view = self._view()
        self._check(view)
        course = ReadingCourse(self._catalogue, view, Window.parse(window), times)
        entries = [self._catalogue.get(kpi) for kpi in kpis]
        if by is None:
            chosen = {TOTAL: list(kpis)}
        else:
            chosen = {}
            for kpi in entries:
                for name in view.busiest(by, kpi.formula.folds, most) if by in kpi.by else ():
                    chosen.setdefault(f"{by}={name}", []).append(kpi.id)
        for segment, names in chosen.items():
            for name, tails in course.segment(segment, names):
                self._check(view)  # others may have run since the last one
                yield segment, name, tails

    def count(self, by: str) -> int:
        """Return how many segments a dimension has."""
        return self._view().count(by)

    def began(self, kpi: str) -> int | None:
        """Return the beginning of the first day that the view knows of."""
        return self._view().began(self._catalogue.get(kpi).formula.folds)

    def whole(self) -> View:
        """Return the view, for answers that are made at once; raise :class:`Unavailable`."""
        view = self._view()
        self._check(view)
        return view

    def _check(self, view: View) -> None:
        if view is not self._view() or not self.complete:
            raise Unavailable("the view is being read back, or another worker has taken it over")


class UnknownName(ValueError):
    """A name in a request is not one of ours; the message says which are."""

    def __init__(self, parameter: str, found: str, accepted: Iterable[str], where: str = "") -> None:
        self.parameter = parameter
        self.found = found
        self.accepted = list(accepted)
        hint = meant(found, self.accepted)
        super().__init__(f'{parameter}: unknown "{found}"{where}{hint}; accepted: {", ".join(self.accepted)}')


class Board:
    """Readings by slice, shared by all who show them."""

    def __init__(self, source: ReadingSource, calendar: Calendar, clock: Callable[[], int]) -> None:
        """``clock`` gives the wall clock in epoch milliseconds."""
        self.source = source
        self._clock = clock
        self._calendar = calendar
        self._memo: dict[tuple[str, str | None, int], tuple[int, list[Reading]]] = {}
        self._trends: dict[str, tuple[int, dict[str, Any]]] = {}

    def now(self) -> int:
        """Return the instant readings are made for: the whole second before or at the clock's."""
        return self._clock() // 1000 * 1000

    def check(self, kpis: Sequence[str], windows: Sequence[str], by: Sequence[str]) -> None:
        """Raise :class:`UnknownName` for the first name that is not ours, or KPI that makes no sense by a dimension."""
        for name in kpis:
            if name not in self.source.kpis:
                raise UnknownName("kpi", name, self.source.kpis)
        for name in windows:
            try:
                Window.parse(name)
            except WindowError:
                raise UnknownName("window", name, [ACCEPTED]) from None
        for name in by:
            if name != TOTAL and name not in self.source.dimensions:
                raise UnknownName("by", name, [TOTAL, *self.source.dimensions])
            for kpi in kpis:
                if name not in (TOTAL, *self.source.kpis[kpi].by):
                    raise UnknownName("by", name, [TOTAL, *self.source.kpis[kpi].by], f" for KPI {kpi}")

    def totals(self, window: str) -> list[Reading]:
        """Return all KPIs' totals over a window, at most a second old; raise :class:`Unavailable`."""
        at = self.now()
        return self._known(at, window, None) or self._keep(at, window, None, self.source.read(at, window, None))

    async def slices(self, windows: Iterable[str], dimensions: Iterable[str | None], most: int = SEGMENTS) -> list[Reading]:
        """Return the readings of many slices, letting others run in between; of a dimension's segments at most so many.

        Raise :class:`Unavailable` where the view goes away meanwhile: part of an answer is none.
        """
        dimensions = list(dimensions)
        found: list[Reading] = []
        for window in windows:
            for by in dimensions:
                found += self.totals(window) if by is None else await self._by(window, by, most)
                await asyncio.sleep(0)
        return found

    async def _by(self, window: str, by: str, most: int = SEGMENTS) -> list[Reading]:
        at = self.now()
        known = self._known(at, window, by, most)
        if known is not None:
            return known
        readings: list[Reading] = []
        for kpi in self.source.kpis.values():
            if by in kpi.by:
                for reading in self.source.busiest(at, window, by, kpi.id, most):
                    readings.append(reading)
                    if len(readings) % _AT_A_TIME == 0:
                        await asyncio.sleep(0)
        return self._keep(at, window, by, readings, most)

    async def only(self, windows: Iterable[str], names: Mapping[str, Sequence[str]]) -> list[Reading]:
        """Return the readings of these segments, by dimension, letting others run in between; raise :class:`Unavailable`."""
        at, found = self.now(), list[Reading]()
        for window in windows:
            for by, values in names.items():
                for kpi in self.source.kpis.values():
                    if by in kpi.by:
                        found += self.source.only(at, window, by, kpi.id, values)
                        await asyncio.sleep(0)
        return found

    def _known(self, at: int, window: str, by: str | None, most: int = 0) -> list[Reading] | None:
        known = self._memo.get((window, by, most))
        return known[1] if known is not None and known[0] == at else None

    def _keep(self, at: int, window: str, by: str | None, readings: list[Reading], most: int = 0) -> list[Reading]:
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[window, by, most] = (at, readings)
        return readings

    async def trend(self, window: str) -> dict[str, Any]:
        """Return each KPI's total at some thirty instants over the window's own length, up to the last whole step.

        Computed from the panes, so it is what is known now of those instants, at most :data:`TREND_AGE` old: what comes late, or
        is loaded from an export, changes the past. No value where the window begins before anything is known: a part of a
        period is nothing to compare with. Raise :class:`Unavailable`.
        """
        now = self.now()
        times = trend_times(window, now, self._calendar)
        made, known = self._trends.get(window, (0, None))
        if known is not None and known["times"] == times and now - made < TREND_AGE:
            return known
        values: dict[str, list[Any]] = {name: [] for name in self.source.kpis}
        began = {name: self.source.began(name) for name in values}
        for at in times:
            for reading in self.source.read(at, window, None):
                since = began[reading["kpi"]]
                whole = since is not None and epoch_ms(datetime.fromisoformat(reading["from"])) >= since
                values[reading["kpi"]].append(reading["value"] if whole else None)
            await asyncio.sleep(0)
        trend = {"window": window, "times": times, "values": values}
        if len(self._trends) >= _TRENDS:
            self._trends.clear()
        self._trends[window] = now, trend
        return trend


def trend_times(window: str, now: int, calendar: Calendar) -> list[int]:
    """Return the instants of a trend, oldest first, each at a pane's boundary: every 2 minutes, hour, 6 hours or day."""
    match window:
        case "1h":
            end = now // MINUTE_MS
            return [(end - back) * MINUTE_MS for back in range(58, -1, -2)]
        case "24h" | "day":
            hour = calendar.hour(now)
            return [calendar.hour_start(hour - back) for back in range(24, -1, -1)]
        case "7d" | "week":
            hour = calendar.hour(now)
            return [calendar.hour_start(hour - back) for back in range(168, -1, -6)]
        case _:
            day = calendar.day(now)
            return [calendar.day_start(day - back) for back in range(30, -1, -1)]
