"""What were the readings at earlier instants, as they are known today?

They are made from the panes, not remembered: what came late counts where it belongs, and a deal that was corrected since counts
as it does today.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from models.business import Business
from models.calendar import DAY_MS, Calendar, Grain, epoch_ms, iso
from models.events.refused import Refused
from models.events.scalars import parse_time
from models.panes.boundaries import boundaries
from stream.readings.board import SEGMENTS, Reading, ReadingSource, UnknownName

#: Readings of one answer: some seconds of work and 30 MB. Who wants more asks for a part of the time, or of the KPIs.
MOST = 100_000
#: Readings that are made before others may run.
_AT_A_TIME = 25
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


def weigh(asked: PastQuestion, source: ReadingSource) -> None:
    """Raise :class:`UnknownName` where an answer would be too large."""
    kpis = [source.kpis[name] for name in asked.kpis or source.kpis]
    slices = sum(
        min(source.count(by), SEGMENTS) if by is not None else 1
        for kpi in kpis
        for by in asked.dimensions
        if by in (None, *kpi.by)
    )
    if slices * len(asked.windows) * len(asked.times) > MOST:
        found = f"{len(asked.times)} instants of {slices * len(asked.windows)} readings"
        raise UnknownName(
            "every", found, [f"at most {MOST:,} readings: fewer kpi, window or by, a shorter time, or a longer period"]
        )


async def past(asked: PastQuestion, source: ReadingSource) -> list[Reading]:
    """Return the readings at all instants, oldest first, letting others run in between.

    A window that begins before anything is known has no value, and says so: a part of a period is nothing to compare with.
    Raises :class:`~stream.readings.board.Unavailable` where the view goes away meanwhile.
    """
    found = list[Reading]()
    began = {name: source.began(name) for name in source.kpis}
    for at in asked.times:
        for window in asked.windows:
            for by in asked.dimensions:
                for number, reading in enumerate(_slice(asked, source, at, window, by)):
                    found.append(_whole(reading, began[reading["kpi"]]))
                    if number % _AT_A_TIME == _AT_A_TIME - 1:
                        await asyncio.sleep(0)
                await asyncio.sleep(0)
    return found


def _slice(asked: PastQuestion, source: ReadingSource, at: int, window: str, by: str | None) -> Iterator[Reading]:
    for name in asked.kpis or source.kpis:
        if by is None:
            yield from source.read(at, window, None, name)
        elif by in source.kpis[name].by:
            yield from source.busiest(at, window, by, name, SEGMENTS)


def _whole(reading: Reading, began: int | None) -> Reading:
    if began is not None and epoch_ms(datetime.fromisoformat(reading["from"])) >= began:
        return reading
    rest: dict[str, Any] = {
        name: value for name, value in reading.items() if name not in ("numerator", "denominator", "low", "high")
    }
    why = "nothing is known yet" if began is None else f"the history begins on {iso(began + DAY_MS // 2)[:10]}"
    return {**rest, "value": None, "why": why}
