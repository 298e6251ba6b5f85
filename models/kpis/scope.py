"""Where does a formula find its numbers?"""

from collections.abc import Mapping
from fractions import Fraction
from typing import cast

from models.calendar import DAY_MS, HOUR_MS, Grain
from models.kpis import progress
from models.kpis.first import until
from models.kpis.odds import OVERALL, rates, stage_odds
from models.kpis.stays import left_within
from models.kpis.terms import CountedRate, Number, Undefined, UndefinedBecause
from models.measures import BY_NAME
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Span, Window

_NONE: Mapping[int, int] = {}
#: Measures that count once their day is over.
BY_DAY = frozenset(name for name, (_, measure) in BY_NAME.items() if measure.finest is Grain.DAY)


class PaneScope:
    """One window and segment of the view, at one instant (epoch ms)."""

    __slots__ = ("_numbers", "_segment", "_view", "_window", "at", "start")

    def __init__(self, view: View, window: Window, segment: str, at: int) -> None:
        self._view = view
        self._window = window
        self._segment = segment
        self.at = at
        self.start = window.bounds(at, view.calendar)[0]
        self._numbers: dict[str, Mapping[str, int]] = {}  # by fold

    @classmethod
    def of(cls, view: View, window: Window, segment: str, at: int) -> "PaneScope":
        """Return the scope, one for all who ask for it while nothing changes."""
        key = (window.name, segment)
        found = view.scopes(at).get(key)
        if found is None:
            found = view.scopes(at)[key] = cls(view, window, segment, at)
        return cast(PaneScope, found)

    def flow(self, fold: str, name: str) -> int:
        """Return an additive measure's sum in the window."""
        if name in BY_DAY:
            return self._view.days_over(fold, self._segment, self.start, self.at).get(name, 0)
        numbers = self._numbers.get(fold)
        if numbers is None:
            numbers = self._numbers[fold] = self._view.total(fold, self._segment, self.start, self.at).numbers
        return numbers.get(name, 0)

    def values(self, fold: str, name: str) -> Mapping[int, int]:
        """Return the single values of the window, ``{value: count}``."""
        return self._view.total(fold, self._segment, self.start, self.at).values.get(name, _NONE)

    def distinct(self, name: str) -> int:
        """Return a distinct measure's count in the window."""
        return self._view.distinct(name, self._segment, self._window, self.at)

    def lagged(self, fold: str, name: str, lag: str) -> int:
        """Return a measure's sum in the window moved back by the named time, in whole days (hours where it is under a day).

        Moved by days the last day counts whole, for spend is known by the day.
        """
        view, calendar = self._view, self._view.calendar
        length: int = getattr(view.business, lag)
        if not length:
            return self.flow(fold, name)
        grain, size = (Grain.DAY, DAY_MS) if length >= DAY_MS else (Grain.HOUR, HOUR_MS)
        moved = max(1, round(length / size))
        span = Span(grain, calendar.pane(grain, self.start) - moved, calendar.pane(grain, self.at - 1) + 1 - moved)
        return view.spans_total(fold, self._segment, (span,)).numbers.get(name, 0)

    def level(self, name: str) -> int:
        """Return a stock's level at the instant."""
        return self._view.level(name, self._segment, self.at)

    def opening(self, name: str) -> int:
        """Return a stock's level at the window's first instant."""
        return self._view.level(name, self._segment, self.start)

    def whole(self, dimension: str) -> "PaneScope":
        """Return the scope of everything where the segment is one of that dimension, else this one."""
        if self._segment.startswith(f"{dimension}="):
            return PaneScope(self._view, self._window, TOTAL, self.at)
        return self

    def left_within(self, lengths: str, share: float) -> int | None:
        """Return the time (ms) within which a share has left, None where not so many do in any time that was seen."""
        return left_within(self._view, lengths, self._segment, self.start, self.at, share)

    def ahead(self, fold: str, name: str) -> int:
        """Return a measure's sum over the whole period, or over today and the days after it, by whole days."""
        calendar = self._view.calendar
        if self._window.length:
            first = calendar.day(self.at)
            stop = first + max(1, round(self._window.length / DAY_MS))
        else:
            first, stop = self._window.period_days(self.at, calendar)
        return self._view.spans_total(fold, self._segment, (Span(Grain.DAY, first, stop),)).numbers.get(name, 0)

    def over(self, fold: str, name: str, days: int) -> int:
        """Return a measure's sum over so many days, whatever the window."""
        start = Window.parse(f"{days}d").bounds(self.at, self._view.calendar)[0]
        if name in BY_DAY:
            return self._view.days_over(fold, self._segment, start, self.at).get(name, 0)
        return self._view.total(fold, self._segment, start, self.at).numbers.get(name, 0)

    def target(self, kpi: str) -> Fraction:
        """Return the target of the period."""
        return progress.target(self._view, self._window, kpi, self._segment, self.at)

    def benchmark(self, kpi: str, name: str) -> Fraction:
        """Return the benchmark of that name."""
        found = self._view.targets.benchmarks.of(kpi, self._segment).get(name)
        if found is None:
            raise UndefinedBecause(f"no benchmark {name!r} of {kpi} is set")
        return Fraction(repr(found))

    def course(self, fold: str, name: str) -> Fraction:
        """Return the share of a period's sum that has usually come by now."""
        return progress.course(self._view, self._window, fold, name, self._segment, self.at)

    def elapsed(self) -> Fraction:
        """Return the share of the period's business days that is over."""
        return progress.elapsed(self._view, self._window, self.at)

    def weighted(self, name: str) -> Number:
        """Return a stock's level, each stage's times the odds of a deal that has been in it; without a stage, of any deal."""
        view, at = self._view, self.at
        odds = stage_odds(view, at)
        dimension, _, stage = self._segment.partition("=")
        if dimension == "stage":
            return view.level(name, self._segment, at) * odds.get(stage, odds[OVERALL])
        if dimension != TOTAL:
            raise UndefinedBecause("the open deals of a segment are not kept by stage")
        rest, found = view.level(name, TOTAL, at), Fraction(0)
        for stage in view.segments("stage", frozenset(("deals",))):
            level = view.level(name, f"stage={stage}", at)
            found += level * odds.get(stage, odds[OVERALL])
            rest -= level
        return found + rest * odds[OVERALL]

    def shrunk(self, fold: str, successes: str, failures: str) -> CountedRate:
        """Return the segment's rate, drawn to that of all values of its dimension."""
        return rates(self._view, fold, successes, failures, self._segment, self.start, self.at)

    def until(self, begin: str, end: str) -> int:
        """Return the median time from one to the other."""
        return until(self._view, begin, end, self._segment, self.start, self.at)

    def recorded(self, metric: str, measure: str) -> int:
        """Return what was recorded of a metric of one's own."""
        name = self._metric(metric)
        if BY_NAME[measure][1].stock:
            if not self._view.ever(measure, name):
                raise Undefined(f"nothing has been recorded of {metric} yet")
            return self._view.level(measure, name, self.at)
        return self._view.total("spend", name, self.start, self.at).numbers.get(measure, 0)

    def recorded_values(self, metric: str) -> Mapping[int, int]:
        """Return the single values recorded in the window."""
        return self._view.total("spend", self._metric(metric), self.start, self.at).values.get("metric_values", _NONE)

    def _metric(self, metric: str) -> str:
        dimension, sign, value = self._segment.partition("=")
        return f"metric.{dimension}={metric} × {value}" if sign else f"metric={metric}"
