"""Were deals pulled into a challenge's days, at lower prices?

A deal was pulled in that was won in these days and first expected to close after the last of them. Some always are: they are held
against those of as many days before. The panes keep, by the day of the close, by how many days won deals were early, and which of
them were sold below list.
"""

import math
from typing import Any, NamedTuple

from models.calendar import Grain
from models.goals.plan import Challenge
from models.kpis.interval import wilson
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import Span

#: Fewer than so many are no pattern.
LEAST = 3


class Wins(NamedTuple):
    """Wins of some days: all, those that were expected after the last day, and how many of both were sold below list."""

    wins: int = 0
    early: int = 0
    listed: int = 0
    below: int = 0
    early_listed: int = 0
    early_below: int = 0

    @property
    def share(self) -> float | None:
        """The share of wins that were expected later."""
        return round(self.early / self.wins, 4) if self.wins else None

    def brief(self) -> dict[str, Any]:
        """Return how many there were."""
        return {"deals": self.early, "wins": self.wins, "share": self.share}


def pulled(view: View, plan: Challenge, at: int) -> dict[str, Any]:
    """Return what was pulled into a challenge until an instant (``docs/challenges.md``)."""
    first, last = plan.since.toordinal(), plan.until.toordinal()
    length = last - first + 1
    stop = min(last + 1, view.calendar.day(at - 1) + 1)
    names = [f"{plan.by}={who}" for who in plan.among] or [TOTAL]
    now = _add(_wins(view, name, first, stop, last) for name in names)
    try:
        before = _add(_wins(view, name, first - length, first - length + (stop - first), first - 1) for name in names)
    except PanesExpired:
        before = Wins()
    began = view.began(("deals",))
    known = began is not None and began <= view.calendar.day_start(first - length)
    others_listed, others_below = now.listed - now.early_listed, now.below - now.early_below
    why = None
    if now.early < LEAST:
        why = f"fewer than the {LEAST} deals that make a pattern: {now.early}"
    elif not known:
        why = "there are no figures of as many days before"
    elif not now.early_listed:
        why = "none of them has a list amount"
    cheaper = now.early_listed > 0 and _exceeds(now.early_below, now.early_listed, others_below, others_listed)
    return {
        **now.brief(), "before": before.brief() if known else None, "below_list": now.early_below, "listed": now.early_listed,
        "others_below_list": others_below, "others_listed": others_listed,
        "suspected": why is None and cheaper and _exceeds(now.early, now.wins, before.early, before.wins), "why": why,
    }  # fmt: skip


def _exceeds(cases: int, of: int, others: int, of_others: int) -> bool:
    """Whether a share is above another one, 95 % sure, by both intervals: a rebate here and there is chance.

    The bound of the difference is that of R. G. Newcombe, "Interval estimation for the difference between independent
    proportions: comparison of eleven methods", Statistics in Medicine 17 (8), 1998, pp. 873–890, his method 10. Nothing to be
    held against counts as a share of none that is known for sure.
    """
    share, (low, _) = cases / of, wilson(cases, of)
    if not of_others:
        return low > 0
    other, (_, high) = others / of_others, wilson(others, of_others)
    return share - other > math.hypot(share - low, high - other)


def _wins(view: View, name: str, first: int, stop: int, last: int) -> Wins:
    """Return the wins of the days from ``first`` to before ``stop``; those expected after ``last`` are early."""
    found, calendar = Wins(), view.calendar
    span = (Span(Grain.DAY, first, stop),) if first < stop else ()
    view.spans_total("deals", name, span)  # says so where these days are no longer kept
    for start, cells in view.each("deals", name, span):
        left = last - calendar.day(start)

        def later(measure: str, left: int = left, cells: Any = cells) -> int:
            return sum(count for ahead, count in cells.values.get(measure, {}).items() if ahead > left)

        numbers = cells.numbers
        found = _plus(found, Wins(
            numbers.get("deals_won", 0), later("won_ahead"), numbers.get("won_listed", 0), numbers.get("won_below_list", 0),
            later("won_ahead_listed"), later("won_ahead_below"),
        ))  # fmt: skip
    return found


def _add(parts: Any) -> Wins:
    found = Wins()
    for part in parts:
        found = _plus(found, part)
    return found


def _plus(one: Wins, other: Wins) -> Wins:
    return Wins(*(a + b for a, b in zip(one, other, strict=True)))
