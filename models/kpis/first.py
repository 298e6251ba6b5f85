"""After how long do those who have begun first do something, when some have not yet?"""

from models.calendar import Grain
from models.kpis.survival import Stay, quantiles
from models.kpis.terms import UndefinedBecause
from models.measures import BY_NAME
from models.panes.view import View
from models.panes.windows import FOREVER, Span, cover


def until(view: View, begin: str, end: str, segment: str, start: int, at: int) -> int:
    """Return the median time (ms) from an owner's first ``begin`` in the window to the first ``end`` after it, by the day.

    Of an owner, that one's; of the total, of all owners that began in the window, those that wait still among them.
    """
    began_in, ends_in = BY_NAME[begin][0], BY_NAME[end][0]
    dimension, sign, name = segment.partition("=")
    if sign and dimension != "owner":
        raise UndefinedBecause(f"it is not told by {dimension}")
    calendar = view.calendar
    today = calendar.day(at - 1)
    stays: list[Stay] = []
    for owner in (name,) if sign else view.segments("owner", frozenset((began_in,))):
        begins = [t for t, cells in view.each(began_in, f"owner={owner}", cover(start, at, calendar)) if cells.numbers.get(begin)]
        if not begins:
            continue
        day = calendar.day(min(begins))
        ends = [
            calendar.day(t)
            for t, cells in view.each(ends_in, f"owner={owner}", (Span(Grain.DAY, day, FOREVER),))
            if cells.numbers.get(end, 0) > 0 and t < at
        ]
        left = bool(ends)
        last = min(ends) if left else today
        stays.append(Stay(0, calendar.day_start(last) - calendar.day_start(day), left))
    if not stays:
        raise UndefinedBecause("nobody began in the window")
    (median,) = quantiles(stays, (0.5,))
    if median is None:
        waiting = sum(not stay.left for stay in stays)
        raise UndefinedBecause(f"{waiting} of {len(stays)} wait still: half of them have to be there first")
    return median
