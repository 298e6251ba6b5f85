"""What do a formula's numbers come to at the ends of many days, for one segment? Sums over whole days, added up once for all."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from models.calendar import DAY_MS, Grain
from models.kpis.scope import BY_DAY, PaneScope
from models.kpis.terms import Undefined
from models.measures import BY_NAME
from models.panes.view import PanesExpired, SeriesCells, View
from models.panes.windows import FOREVER, Span, Window

#: A number that a formula takes: the scope's method, whether of the segment itself or of the total, and its arguments.
Input = tuple[str, bool, tuple[Any, ...]]
_NONE: Mapping[int, int] = {}


class Aside(Exception):
    """A formula takes something that is no sum over whole days."""


class Raised(NamedTuple):
    """There is no number, and why."""

    kind: type[Exception]
    text: str


class PaneStretch:
    """One window at many instants: which of them begin and end with days, and the days that they are made of."""

    def __init__(self, view: View, window: Window, times: Sequence[int]) -> None:
        self.view, self.window, self.times = view, window, times
        calendar = view.calendar
        self.starts = [window.bounds(at, calendar)[0] for at in times]
        # The days that are kept (models/panes/view.py), and those of the last instant's period.
        self.first = calendar.day(max(0, view.now - view.business.keep_days))
        last = calendar.day(max(times)) + 1 + max(366, window.length // DAY_MS + 1)  # some formulas look ahead
        self.days = {calendar.day_start(day): day - self.first for day in range(self.first, last + 1)}
        self.count = last - self.first + 1
        self.rows = [
            row for row, (start, at) in enumerate(zip(self.starts, times, strict=True)) if start in self.days and at in self.days
        ]
        self.at = [self.days[times[row]] for row in self.rows]
        self.start = [self.days[self.starts[row]] for row in self.rows]

    def ahead(self) -> list[tuple[int, int]]:
        """Return the days of the whole period of each instant, or of today and as many after it as the window is long."""
        calendar, window = self.view.calendar, self.window
        if window.length:
            length = max(1, round(window.length / DAY_MS))
            return [(day, day + length) for day in self.at]
        found = (window.period_days(self.times[row], calendar) for row in self.rows)
        return [(first - self.first, stop - self.first) for first, stop in found]

    def begin(self, day: int) -> int:
        """Return the instant at which a day begins, counted from the first."""
        return self.view.calendar.day_start(self.first + day)

    def begins(self, days: int) -> list[int]:
        """Return where windows of so many days begin that end at the instants; raise :class:`Aside` where one is no day's."""
        window, calendar = Window.parse(f"{days}d"), self.view.calendar
        try:
            return [self.days[window.bounds(self.times[row], calendar)[0]] for row in self.rows]
        except KeyError:
            raise Aside from None


class PaneColumns:
    """The sums of one segment: a number for each row of a stretch. Of one moment: no change may come in between."""

    def __init__(self, stretch: PaneStretch, segment: str, total: "PaneColumns | None" = None) -> None:
        self._stretch, self.segment, self._total = stretch, segment, total
        self._panes: dict[str, list[tuple[int, SeriesCells]]] = {}
        self._sums: dict[tuple[str, str], list[int]] = {}
        self._known: dict[Input, list[Any]] = {}

    def column(self, wanted: Input) -> list[Any]:
        """Return the numbers of an input; raise :class:`Aside` where they are no sums over whole days."""
        found = self._known.get(wanted)
        if found is None:
            name, own, arguments = wanted
            of = self if own or self._total is None else self._total
            found = self._known[wanted] = of._made(name, *arguments)
        return found

    def _made(self, name: str, *arguments: Any) -> list[Any]:
        stretch = self._stretch
        match name:
            case "flow":
                return self._flow(*arguments)
            case "lagged":
                return self._lagged(*arguments)
            case "over":
                return self._over(*arguments)
            case "ahead":
                return self._ahead(*arguments)
            case "values":
                return self._values(*arguments)
            case "level":
                return self._levels(arguments[0], stretch.at)
            case "opening":
                return self._levels(arguments[0], stretch.start)
            case "at":
                return [stretch.times[row] for row in stretch.rows]
            case "start":
                return [stretch.starts[row] for row in stretch.rows]
        return self._other(name, *arguments)

    def _flow(self, fold: str, name: str) -> list[int]:
        stretch = self._stretch
        if name in BY_DAY:  # they count once their day is over
            return self._between(fold, name, stretch.start, stretch.at, -1)
        return self._between(fold, name, stretch.start, stretch.at)

    def _lagged(self, fold: str, name: str, lag: str) -> list[int]:
        length: int = getattr(self._stretch.view.business, lag)
        if not length:
            return self._flow(fold, name)
        if length < DAY_MS:
            raise Aside
        return self._between(fold, name, self._stretch.start, self._stretch.at, -max(1, round(length / DAY_MS)))

    def _over(self, fold: str, name: str, days: int) -> list[int]:
        return self._between(fold, name, self._stretch.begins(days), self._stretch.at, -1 if name in BY_DAY else 0)

    def _ahead(self, fold: str, name: str) -> list[int]:
        days = self._stretch.ahead()
        return self._between(fold, name, [first for first, _ in days], [stop for _, stop in days])

    def _values(self, fold: str, name: str) -> list[tuple[tuple[int, int], ...]]:
        """Return the single values of each window with their counts, from one to the next."""
        days: dict[int, Mapping[int, int]] = {}
        for day, cells in self._days(fold):
            if name in cells.values:
                days[day] = cells.values[name]
        found, held, first, stop = [], dict[int, int](), 0, 0
        for begin, end in zip(self._stretch.start, self._stretch.at, strict=True):
            if begin < first or end < stop or begin >= stop:
                held, first, stop = {}, begin, begin
            for day in range(stop, end):
                _merge(held, days.get(day, _NONE), 1)
            for day in range(first, begin):
                _merge(held, days.get(day, _NONE), -1)
            first, stop = begin, end
            found.append(tuple(held.items()))
        return found

    def _other(self, name: str, *arguments: Any) -> list[Any]:
        """Return what is no sum over whole days, asked at each instant: targets, odds, how many different ones."""
        stretch, found = self._stretch, list[Any]()
        for row in stretch.rows:
            scope = PaneScope(stretch.view, stretch.window, self.segment, stretch.times[row])
            try:
                found.append(getattr(scope, name)(*arguments))
            except (Undefined, PanesExpired) as error:
                found.append(Raised(type(error), str(error)))
        if any(isinstance(value, Mapping) for value in found):
            raise Aside
        return found

    def _between(self, fold: str, name: str, first: Sequence[int], stop: Sequence[int], moved: int = 0) -> list[int]:
        if first and min(first) + moved < 0:
            raise Aside  # those days are no longer kept
        sums = self._summed(fold, name)
        return [sums[end + moved] - sums[begin + moved] for begin, end in zip(first, stop, strict=True)]

    def _levels(self, name: str, at: Sequence[int]) -> list[int]:
        if not at:
            return []
        sums, last = self._summed(BY_NAME[name][0], name), max(at)
        there = self._stretch.view.level(name, self.segment, self._stretch.begin(last)) - sums[last]
        return [there + sums[day] for day in at]

    def _summed(self, fold: str, name: str) -> list[int]:
        """Return the sums of all days before each day of the stretch, and before the end of all that is known."""
        found = self._sums.get((fold, name))
        if found is None:
            days = [0] * (self._stretch.count + 1)
            for day, cells in self._days(fold):
                days[day] += cells.numbers.get(name, 0)
            found = self._sums[fold, name] = [0, *accumulate(days)]
        return found

    def _days(self, fold: str) -> list[tuple[int, SeriesCells]]:
        found = self._panes.get(fold)
        if found is None:
            stretch = self._stretch
            spans = (Span(Grain.DAY, stretch.first, FOREVER),)
            known = stretch.view.each(fold, self.segment, spans)
            found = self._panes[fold] = [(stretch.days.get(start, stretch.count), cells) for start, cells in known]
        return found


def _merge(into: dict[int, int], counts: Mapping[int, int], sign: int) -> None:
    for value, count in counts.items():
        total = into.get(value, 0) + sign * count
        if total:
            into[value] = total
        else:
            into.pop(value, None)
