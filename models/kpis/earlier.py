"""What is a reading to be compared with: the period before, the same a week ago, what is usual, or a target?

Everything is read from the panes, as they are known now: a deal that was corrected since counts in the earlier period as it
does in the present one. Nothing is remembered from earlier readings.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from models.calendar import Calendar, iso
from models.kpis.reading import Reading
from models.kpis.seasonal import bucket, compare, months
from models.panes.windows import Window
from models.targets import Targets

#: What rules may compare a reading with.
PREVIOUS, WEEK_AGO, SEASONAL, TARGET = "previous", "same_last_week", "seasonal", "target"
#: The four weeks before: what has not been there for so long is not missed.
LATELY = "lately"
_LATELY = Window.parse("28d")

#: Reads the same KPI and segment over a window at an instant.
Read = Callable[[Window, int], Reading]


class Compared:
    """One KPI, window and segment: gives each reading what it is to be compared with.

    The usual run of complete periods is read anew each time such a period ends, and at least every ``refresh`` ms, because late
    events change it; in between the last answer holds. What months are like is read once a period.
    """

    __slots__ = ("_at", "_bucket", "_earlier", "_months", "_seasonal")

    refresh = 60_000

    def __init__(self, earlier: Collection[str]) -> None:
        self._earlier = frozenset(earlier)
        self._at = self._bucket = -1
        self._months: list[float] = []
        self._seasonal: Mapping[str, Any] = {}

    def against(
        self,
        reading: Reading,
        window: Window,
        calendar: Calendar,
        read: Read,
        targets: Targets,
        began: int | None = None,
    ) -> dict[str, Any]:
        """Return what the reading is to be compared with, by name; what cannot be told carries ``why``.

        ``began`` is when the history begins (epoch ms): a period before it, or in part before it, says nothing.
        """
        at, found = reading.at, {}
        if PREVIOUS in self._earlier:
            found[PREVIOUS] = _past(read(window, window.previous(at, calendar)), began)
        if WEEK_AGO in self._earlier:
            found[WEEK_AGO] = _past(read(window, window.week_ago(at, calendar)), began)
        if LATELY in self._earlier:
            found[LATELY] = _past(read(_LATELY, calendar.hour_start(calendar.hour(reading.start))), None)
        if SEASONAL in self._earlier:
            ends = bucket(window, at, calendar)
            if ends != self._bucket or at - self._at >= self.refresh or at < self._at:
                if ends != self._bucket:
                    self._months = months(window, at, calendar, lambda one, end: read(one, end).whole())
                self._bucket, self._at = ends, at
                self._seasonal = compare(window, at, calendar, lambda end: read(window, end).whole(), self._months)
            found[SEASONAL] = dict(self._seasonal)
        if TARGET in self._earlier:
            start, end = window.period(at, calendar)
            quota = targets.find(reading.kpi, window.name, reading.segment_name, calendar.day(start))
            if quota is None:
                found[TARGET] = {"why": f"no target for {reading.segment_name} in this {window.name}"}
            else:
                share = (at - start) / (end - start)
                found[TARGET] = {"value": quota, "due": quota * share, "elapsed": share, "to": iso(end)}
        return found


def _past(reading: Reading, began: int | None) -> dict[str, Any]:
    reading = reading.whole()
    if began is not None and reading.start < began:
        # Half a month against a whole one, and times in a stage that could not be longer than the history yet.
        why = f"the history begins on {iso(began)[:10]}, not before this period"
        reading = replace(reading, value=None, numerator=None, denominator=None, sample=None, why=why)
    found: dict[str, Any] = {
        "value": reading.value,
        "numerator": reading.numerator,
        "denominator": reading.denominator,
        "from": iso(reading.start),
        "at": iso(reading.at),
    }
    if reading.sample is not None:
        found["sample"] = reading.sample
    if reading.why is not None:
        found["why"] = reading.why
    return found
