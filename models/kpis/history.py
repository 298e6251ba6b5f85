"""What were the readings of a KPI at the ends of many days?

A reading is made of the numbers that its formulas take, and of nothing else: where those are sums over whole days they are added
up once, for all instants, and a reading is made once for each combination of numbers. What is no such sum (odds, targets, windows
that do not begin and end with days) is asked instant by instant. Both give the same bytes.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import orjson

from models.kpis.catalogue import Catalogue, read
from models.kpis.columns import Aside, Input, PaneColumns, PaneStretch, Raised
from models.kpis.entry import Kpi
from models.kpis.reading import Reading
from models.kpis.scope import PaneScope
from models.kpis.terms import Scope
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window

#: What a reading has beside its KPI, window, segment and times, as JSON without the opening brace.
Tail = bytes
_TIMES = ("kpi", "window", "segment", "from", "at")
#: From so many instants on, sums are added up for all of them at once.
_MANY = 4


class InstantRow:
    """The scope of one row: it takes what formulas ask for from columns, and notes what that is."""

    def __init__(self, columns: PaneColumns, inputs: list[Input]) -> None:
        self._columns, self._inputs, self._own, self.row = columns, inputs, True, 0

    def _take(self, name: str, *arguments: Any) -> Any:
        wanted = (name, self._own, arguments)
        if wanted not in self._inputs:
            self._inputs.append(wanted)
        found = self._columns.column(wanted)[self.row]
        if isinstance(found, Raised):
            raise found.kind(found.text)
        return found

    def flow(self, fold: str, name: str) -> Any:
        """Return a sum over the window."""
        return self._take("flow", fold, name)

    def level(self, name: str) -> Any:
        """Return a level at the instant."""
        return self._take("level", name)

    def opening(self, name: str) -> Any:
        """Return a level at the window's first instant."""
        return self._take("opening", name)

    def lagged(self, fold: str, name: str, lag: str) -> Any:
        """Return a sum over the window moved back by the named time."""
        return self._take("lagged", fold, name, lag)

    def over(self, fold: str, name: str, days: int) -> Any:
        """Return a sum over so many days up to the instant."""
        return self._take("over", fold, name, days)

    def ahead(self, fold: str, name: str) -> Any:
        """Return a sum over the whole period, or over today and the days after it."""
        return self._take("ahead", fold, name)

    def values(self, fold: str, name: str) -> Any:
        """Return the single values of the window."""
        return dict(self._take("values", fold, name))

    @property
    def at(self) -> Any:
        """The instant, where a formula names it."""
        return self._take("at")

    @property
    def start(self) -> Any:
        """The window's first instant, where a formula names it."""
        return self._take("start")

    def whole(self, dimension: str) -> "InstantRow":
        """Return the scope of everything where the segment is one of that dimension, else this one."""
        if not self._columns.segment.startswith(f"{dimension}="):
            return self
        other = InstantRow(self._columns, self._inputs)
        other._own, other.row = False, self.row
        return other

    def __getattr__(self, name: str) -> Any:
        if not hasattr(PaneScope, name):
            raise AttributeError(name)
        return partial(self._take, name)


class ReadingCourse:
    """The readings of some KPIs over one window at many instants, segment by segment."""

    def __init__(self, catalogue: Catalogue, view: View, window: Window, times: Sequence[int]) -> None:
        self._view, self._catalogue = view, catalogue
        self.stretch = PaneStretch(view, window, times)
        self._known: dict[str, tuple[list[Input], dict[tuple[Any, ...], Tail]]] = {}
        self._aside: set[str] = set()
        self._total: tuple[int, PaneColumns] = (-1, PaneColumns(self.stretch, TOTAL))

    def segment(self, segment: str, kpis: Sequence[str]) -> Iterator[tuple[str, list[Tail]]]:
        """Yield each KPI with its readings of a segment, one for each instant; the view may change from one to the next."""
        version, columns = -1, self._total[1]
        for name in kpis:
            if version != (version := self._view.version):
                columns = self._columns(segment)
            kpi = self._catalogue.get(name)
            yield name, self._summed(kpi, columns) or [self._read(kpi, segment, at) for at in self.stretch.times]

    def _columns(self, segment: str) -> PaneColumns:
        if self._total[0] != self._view.version:
            self._total = self._view.version, PaneColumns(self.stretch, TOTAL)
        total = self._total[1]
        return total if segment == TOTAL else PaneColumns(self.stretch, segment, total)

    def _read(self, kpi: Kpi, segment: str, at: int) -> Tail:
        return tail(self._catalogue.reading(kpi, self._view, self.stretch.window, segment, at))

    def _summed(self, kpi: Kpi, columns: PaneColumns) -> list[Tail] | None:
        """Return the readings by columns; None where a formula takes something else, or what is known is not whole."""
        view = self._view
        if len(self.stretch.times) < _MANY:
            return None
        if kpi.id in self._aside or view.since or view.behind or view.targets.benchmarks.of(kpi.id, columns.segment):
            return None
        try:
            rows = dict(zip(self.stretch.rows, self._rows(kpi, columns), strict=True))
        except Aside:
            self._aside.add(kpi.id)
            return None
        return [
            found if (found := rows.get(row)) is not None else self._read(kpi, columns.segment, at)
            for row, at in enumerate(self.stretch.times)
        ]

    def _rows(self, kpi: Kpi, columns: PaneColumns) -> list[Tail]:
        inputs, known = self._known.setdefault(kpi.id, ([], {}))
        row, found = InstantRow(columns, inputs), list[Tail]()
        keys = list(zip(*map(columns.column, inputs), strict=True)) or [()] * len(self.stretch.rows)
        for number, key in enumerate(keys):
            told = known.get(key)
            if told is None:
                row.row = number
                told = tail(read(kpi, self._view, self.stretch.window, columns.segment, 0, cast(Scope, row), 0))
                if len(inputs) > len(key):  # it took more than any before: what was known says too little
                    known.clear()
                    return self._rows(kpi, columns)
                known[key] = told
            found.append(told)
        return found


def tail(reading: Reading) -> Tail:
    """Return what a reading has beside its KPI, window, segment and times."""
    shown = reading.as_json()
    for name in _TIMES:
        del shown[name]
    return orjson.dumps(shown)[1:]


def head(kpi: str, window: str, segment: str) -> bytes:
    """Return what a reading begins with, up to its times."""
    dimension, sign, name = segment.partition("=")
    return orjson.dumps({"kpi": kpi, "window": window, "segment": {dimension: name} if sign else {}})[:-1] + b","
