"""How is somebody counted once in any window, whenever and in whatever order they were there?

In each pane in which an entity is active it counts under the gap to the pane in which it was active before (``Kind.DISTINCT``).
One that comes late takes its place among them, and the next one has another gap.
"""

from bisect import bisect_left

from models.business import Business
from models.calendar import Grain
from models.panes.store import TOTAL, Panes

#: Grain -> the panes, in order, in which an entity was active and that may still count.
Past = dict[str, list[int]]


class Presence:
    """Counts entities of one partition as active, in the total."""

    __slots__ = ("_calendar", "_keep", "_panes", "_slot")

    def __init__(self, business: Business, panes: Panes, slot: int) -> None:
        self._calendar = business.calendar
        self._panes = panes
        self._slot = slot
        self._keep = {Grain.MINUTE: business.keep_minutes, Grain.HOUR: business.keep_hours, Grain.DAY: business.keep_days}

    def attend(self, past: Past, at: int) -> None:
        """Count the entity as active at an instant (epoch ms)."""
        present, slot = self._panes.present, self._slot
        for grain, keep in self._keep.items():
            pane = self._calendar.pane(grain, at)
            held = past.setdefault(grain, [])
            place = bisect_left(held, pane)
            if place < len(held) and held[place] == pane:
                continue
            before = held[place - 1] if place else None
            present(grain, pane, TOTAL, slot, 0 if before is None else pane - before, 1)
            if place < len(held):
                following = held[place]
                present(grain, following, TOTAL, slot, 0 if before is None else following - before, -1)
                present(grain, following, TOTAL, slot, following - pane, 1)
            held.insert(place, pane)
            # What is older than twice the time that panes are kept is in no pane, nor is anything that comes that late.
            last = self._calendar.start(grain, held[-1])
            floor = self._calendar.pane(grain, last - 2 * keep) if last > 2 * keep else 0
            del held[: bisect_left(held, floor)]
