"""What were the readings at earlier instants, as they are known today?

They are made from the panes, not remembered: what came late counts where it belongs, and a deal that was corrected since counts
as it does today.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import orjson

from models.business import Business
from models.calendar import DAY_MS, Calendar, Grain, iso
from models.events.refused import Refused
from models.events.scalars import parse_time
from models.kpis.history import Tail, head
from models.panes.boundaries import boundaries
from models.panes.windows import Window
from stream.readings.board import SEGMENTS, Reading, ReadingSource, UnknownName

#: Readings of one answer, a year of daily ones of 27 KPIs by 50 segments: some 2 s of work, 125 MB of JSON, as much memory
#: meanwhile. Who wants more asks for a part of the time, or of the KPIs.
MOST = 500_000
PARAMETERS = ("at", "from", "to", "every")
_TIME = "a time such as 2026-03-31T18:00:00Z, or a day such as 2026-03-31"


class PastQuestion(NamedTuple):
    """Of which KPIs, windows and dimensions (None: the total), at which instants (epoch ms)."""

    kpis: Sequence[str]
    windows: Sequence[str]
    dimensions: Sequence[str | None]
    times: Sequence[int]


def instants(query: Mapping[str, str], now: int, business: Business) -> list[int] | None:
    """Return the instants that a query asks for with ``at``, or ``from``, ``to`` and ``every``; None where it names none.

    A day stands for its end, but in ``from`` for its beginning. With ``every`` they are the ends of whole periods; those that lie
    ahead are left out. ``at`` is cut to the minute, hour or day as finely as it is still kept.

    Raises:
        UnknownName: for what is no time, no period, or lies ahead.
    """
    calendar = business.calendar
    asked = {name: query[name] for name in PARAMETERS if query.get(name)}
    if not asked:
        return None
    if "at" in asked:
        for name in asked.keys() - {"at"}:
            raise UnknownName("parameter", name, ["at", "or from, to and every"], " beside at")
        at = _time("at", asked["at"], calendar, end=True)
        if at > now:
            raise UnknownName("at", asked["at"], [f"a time up to now, {iso(now)}"])
        kept = business.keep_minutes, business.keep_hours
        grain = next((grain for grain, keep in zip((Grain.MINUTE, Grain.HOUR), kept, strict=True) if now - at < keep), Grain.DAY)
        return [at if at > now - 1000 else calendar.start(grain, calendar.pane(grain, at))]
    for name in ("from", "every"):
        if name not in asked:
            raise UnknownName(name, "", [_TIME if name == "from" else "1h, 1d, week, month, quarter"], " (it is needed)")
    first = _time("from", asked["from"], calendar, end=False)
    last = min(_time("to", asked["to"], calendar, end=True) if "to" in asked else now, now)
    if first < now - business.keep_days:
        first = calendar.day_start(calendar.day(now - business.keep_days) + 1)
    found = list[int]()
    try:
        # The boundaries are those after an instant, and a period that begins with it ends one later.
        for at in boundaries(asked["every"], first, calendar):
            if at > last or len(found) > MOST:
                return found
            found.append(at)
    except ValueError as error:
        raise UnknownName("every", asked["every"], [str(error).partition("accepted: ")[2]]) from None
    return found


def limits(query: Mapping[str, str], business: Business) -> tuple[int | None, int | None]:
    """Return the first instant of a time that ``from`` and ``to`` ask for and the first behind it; None for what is not said."""
    calendar = business.calendar
    first = _time("from", query["from"], calendar, end=False) if query.get("from") else None
    return first, _time("to", query["to"], calendar, end=True) if query.get("to") else None


def _time(name: str, text: str, calendar: Calendar, *, end: bool) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            return parse_time(text)
        except Refused:
            raise UnknownName(name, text, [_TIME]) from None
    if not 1970 < day.year < 2200:
        raise UnknownName(name, text, [_TIME])
    return calendar.day_start(day.toordinal() + end)


def slices_of(asked: PastQuestion, source: ReadingSource) -> int:
    """Return how many readings there are at most of one instant."""
    kpis = [source.kpis[name] for name in asked.kpis or source.kpis]
    segments = {by: 1 if by is None else min(source.count(by), SEGMENTS) for by in asked.dimensions}
    return len(asked.windows) * sum(count for kpi in kpis for by, count in segments.items() if by in (None, *kpi.by))


def weigh(asked: PastQuestion, source: ReadingSource) -> None:
    """Raise :class:`UnknownName` where an answer would be too large."""
    each = slices_of(asked, source)
    if each * len(asked.times) > MOST:
        raise UnknownName(
            "every",
            f"{len(asked.times)} instants of {each} readings",
            [f"at most {MOST:,} readings: fewer kpi, window or by, a shorter time, or a longer period"],
        )


class PastSeries(NamedTuple):
    """A KPI over one window and segment at all instants."""

    kpi: str
    window: str
    segment: str
    tails: Sequence[Tail]


class PastReadings:
    """Readings at several instants, kept as JSON: hundreds of thousands of them would be slow, and large, as anything else."""

    def __init__(self, times: Sequence[int], series: Sequence[PastSeries], calendar: Calendar) -> None:
        self.times = times
        self.series = series
        self._heads = [head(one.kpi, one.window, one.segment) for one in series]
        self._windows = {one.window: Window.parse(one.window) for one in series}
        self._calendar = calendar

    def readings(self, row: int) -> list[Reading]:
        """Return the readings of one instant."""
        return [orjson.loads(text) for text in self.texts(row)]

    def texts(self, row: int, name: Callable[[str], str | None] = lambda _: None) -> Iterator[bytes]:
        """Yield the readings of one instant as JSON; ``name`` says what people call a segment, None where that is its id."""
        at = iso(self.times[row])
        times = {window: b'"from":"%s","at":"%s",' % (start.encode(), at.encode()) for window, start in self.starts(row).items()}
        for one, front, end in zip(self.series, self._heads, [_named(name(one.segment)) for one in self.series], strict=True):
            text = one.tails[row]
            yield front + times[one.window] + (text if end is None else text[:-1] + end)

    def starts(self, row: int) -> dict[str, str]:
        """Return when each window begins that ends with an instant, as people write it."""
        return {name: iso(span.bounds(self.times[row], self._calendar)[0]) for name, span in self._windows.items()}


def _named(name: str | None) -> bytes | None:
    return None if name is None else b',"name":%s}' % orjson.dumps(name)


async def past(asked: PastQuestion, source: ReadingSource, calendar: Calendar) -> PastReadings:
    """Return the readings at all instants, oldest first, letting others run in between.

    A window that begins before anything is known has no value, and says so: a part of a period is nothing to compare with.
    Raises :class:`~stream.readings.board.Unavailable` where the view goes away meanwhile.
    """
    kpis, found = list(asked.kpis or source.kpis), list[PastSeries]()
    places = {name: place for place, name in enumerate(kpis)}
    began = {name: source.began(name) for name in kpis}
    for window in asked.windows:
        starts = [Window.parse(window).bounds(at, calendar)[0] for at in asked.times]
        for by in asked.dimensions:
            made = list[PastSeries]()
            for segment, kpi, tails in source.course(asked.times, window, by, kpis, SEGMENTS):
                made.append(PastSeries(kpi, window, segment, _whole(tails, starts, began[kpi])))
                await asyncio.sleep(0)
            found += sorted(made, key=lambda one: (places[one.kpi], one.segment))
    return PastReadings(asked.times, found, calendar)


def _whole(tails: list[Tail], starts: Sequence[int], began: int | None) -> list[Tail]:
    """Return the readings, without a value where the window begins before anything is known."""
    why = "nothing is known yet" if began is None else f"the history begins on {iso(began + DAY_MS // 2)[:10]}"
    return [
        text if began is not None and start >= began else _unknown(text, why) for text, start in zip(tails, starts, strict=True)
    ]


@lru_cache(4096)
def _unknown(text: Tail, why: str) -> Tail:
    reading = orjson.loads(b"{" + text)
    rest = {name: value for name, value in reading.items() if name not in ("numerator", "denominator", "low", "high")}
    return orjson.dumps({**rest, "value": None, "why": why})[1:]
