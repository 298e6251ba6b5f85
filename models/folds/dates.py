"""What does a deal count for on days that are still to come: the one it is to close on, and the one from which it has stalled?

Booked ahead, under such a day, and taken back or moved when a fact changes it:

* *due*: an open deal, on the day it is expected to close, as known last;
* *promised*: every deal, at the end of the day it was first expected to close, and whether it was not closed by then;
* *stalled*: an open deal, from the day on by which it has been in its stage for so many whole days (``business.stalled_after``).
"""

from datetime import date
from typing import Any

from models.calendar import MINUTE_MS, Calendar
from models.measures import DEALS
from models.panes.store import Booking, Cells

_SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
_DUE_DEALS, _DUE_AMOUNT = _SLOT["due_deals"], _SLOT["due_amount"]
_KEPT: Cells = ((_SLOT["deals_promised"], 1),)
_SLIPPED: Cells = (*_KEPT, (_SLOT["deals_slipped"], 1))
_EARLIEST, _LATEST = date(2000, 1, 1), date(2200, 1, 1)


def day_of(said: Any) -> int:
    """Return a date's ordinal; 0 for none, and for what only stands for none (9999-12-31)."""
    if not isinstance(said, str):
        return 0
    day = date.fromisoformat(said)
    return day.toordinal() if _EARLIEST <= day < _LATEST else 0


def due(expected: int, names: tuple[str, ...], value: int | None, calendar: Calendar) -> Booking | None:
    """Return what an open deal counts for on the day (its ordinal) it is expected to close."""
    if not expected:
        return None
    cells = ((_DUE_DEALS, 1), (_DUE_AMOUNT, value)) if value else ((_DUE_DEALS, 1),)
    return calendar.day_start(expected) // MINUTE_MS, names, cells, ()


def promise(promised: int, names: tuple[str, ...], closed: int | None, calendar: Calendar) -> Booking | None:
    """Return what a deal counts for at the end of the day it was first expected to close; ``closed`` (ms): when it was."""
    if not promised:
        return None
    kept = closed is not None and closed < calendar.day_start(promised + 1)
    return calendar.day_start(promised) // MINUTE_MS, names, _KEPT if kept else _SLIPPED, ()


def stalls(placed: int, days: int, calendar: Calendar) -> int:
    """Return from when on (ms) a deal has stalled that came to its stage then (ms); 0 where that is not known."""
    return calendar.day_start(calendar.day(placed) + days + 1) if placed else 0
