"""What does a formula ask of its measures, one by one: a sum over the window, a level, single values, of which segment?"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Grain
from models.kpis.entry import Kpi
from models.measures import BY_NAME
from models.panes.store import TOTAL
from models.panes.windows import Window

#: What functions ask of the measures that they name: how, and which of the arguments are measures.
_CALLS: dict[str, tuple[str, slice]] = {
    "median": ("values", slice(0, 1)),
    "mean": ("values", slice(0, 1)),
    "lag": ("lagged", slice(0, 1)),
    "level": ("level", slice(0, 1)),
    "opening": ("opening", slice(0, 1)),
    "weighted": ("level", slice(0, 1)),
    "kaplan_meier": ("seen", slice(0, 1)),
    "ahead": ("ahead", slice(0, 1)),
    "over": ("over", slice(0, 1)),
    "rest": ("flow", slice(1, 2)),
    "shrunk": ("flow", slice(0, 2)),
    "until": ("flow", slice(0, 2)),
}
_INSTANTS = frozenset({"at", "start", "day"})
#: What each way of asking means, for people.
HOW = {
    "flow": "in the window",
    "values": "one by one, in the window",
    "level": "at the reading's instant",
    "opening": "at the window's first instant",
    "lagged": "in the window moved back",
    "ahead": "in the whole period",
    "over": "over its own days",
    "seen": "of all that were there in the window",
}


class Ask(NamedTuple):
    """A measure, how it is asked (a key of :data:`HOW`), with what (a lag's name, a number of days), and of which segment."""

    how: str
    name: str
    segment: str
    more: str = ""

    @property
    def fold(self) -> str:
        """The fold that keeps the measure."""
        return BY_NAME[self.name][0]


def asks_of(text: str, segment: str) -> list[Ask]:
    """Return what a part of a formula asks for a segment, each once, in the order in which it stands there."""
    return list(dict.fromkeys(_asks(ast.parse(text, mode="eval").body, segment)))


def asks(kpi: Kpi, segment: str) -> list[Ask]:
    """Return all that a KPI's formula asks for a segment."""
    return asks_of(kpi.formula.text, segment)


def _asks(node: ast.expr, segment: str) -> Iterator[Ask]:
    match node:
        case ast.Name(id=name):
            if name not in _INSTANTS:
                yield Ask("flow", name, segment)
        case ast.Call(func=ast.Name(id="whole"), args=[inner, ast.Name(id=dimension)]):
            yield from _asks(inner, TOTAL if segment.startswith(f"{dimension}=") else segment)
        case ast.Call(func=ast.Name(id=function), args=args) if function in _CALLS:
            how, named = _CALLS[function]
            more = ast.unparse(args[1]) if how in ("lagged", "over") else ""
            for arg in args[named]:
                if isinstance(arg, ast.Name):
                    yield Ask(how, arg.id, segment, more)
        case ast.UnaryOp(operand=operand):
            yield from _asks(operand, segment)
        case ast.BinOp(left=left, right=right):
            yield from _asks(left, segment)
            yield from _asks(right, segment)


def stretch(ask: Ask, window: Window, at: int, calendar: Calendar, lag: int) -> tuple[int, int]:
    """Return from and to when (epoch ms) bookings count for what is asked, as the panes have it; ``lag`` is what it names (ms).

    Sums and single values of a measure that is kept by the hour or day begin and end with these (``docs/kpis.md``).
    """
    start, finest = window.bounds(at, calendar)[0], BY_NAME[ask.name][1].finest
    match ask.how:
        case "level" | "seen":
            return -(1 << 62), _end(at, calendar, finest)
        case "opening":
            return -(1 << 62), _end(start, calendar, finest)
        case "ahead":
            return _ahead(window, at, calendar)
        case "lagged" if lag:
            grain, size = (Grain.DAY, DAY_MS) if lag >= DAY_MS else (Grain.HOUR, HOUR_MS)
            moved = max(1, round(lag / size))
            first, last = calendar.pane(grain, start) - moved, calendar.pane(grain, at - 1) + 1 - moved
            return calendar.start(grain, first), calendar.start(grain, last)
        case "over":
            start = Window.parse(f"{ask.more}d").bounds(at, calendar)[0]
    if finest is Grain.DAY:
        day = calendar.day(start)
        return calendar.day_start(day - (calendar.day_start(day) == start)), calendar.day_start(calendar.day(at - 1))
    if finest is Grain.HOUR:
        return calendar.hour_start(calendar.hour(start)), calendar.hour_start(calendar.hour(at))
    return start, _end(at, calendar, finest)


def _end(at: int, calendar: Calendar, finest: Grain) -> int:
    end = -(-at // MINUTE_MS) * MINUTE_MS
    if finest is Grain.DAY:
        day = calendar.day(end)
        return calendar.day_start(day + (calendar.day_start(day) < end))
    return end


def _ahead(window: Window, at: int, calendar: Calendar) -> tuple[int, int]:
    if window.length:
        first = calendar.day(at)
        stop = first + max(1, round(window.length / DAY_MS))
    else:
        first, stop = window.period_days(at, calendar)
    return calendar.day_start(first), calendar.day_start(stop)
