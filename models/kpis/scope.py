"""Where does a formula find its numbers?"""

from collections.abc import Mapping

from models.calendar import DAY_MS, HOUR_MS, Grain
from models.kpis.stays import left_within
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Span, Window

_NONE: Mapping[int, int] = {}


class PaneScope:
    """One window and segment of the view, at one instant (epoch ms)."""

    __slots__ = ("_segment", "_view", "_window", "at", "start")

    def __init__(self, view: View, window: Window, segment: str, at: int) -> None:
        self._view = view
        self._window = window
        self._segment = segment
        self.at = at
        self.start = window.bounds(at, view.calendar)[0]

    def flow(self, fold: str, name: str) -> int:
        """Return an additive measure's sum in the window."""
        return self._view.total(fold, self._segment, self.start, self.at).numbers.get(name, 0)

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
