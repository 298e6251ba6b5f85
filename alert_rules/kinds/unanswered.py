"""How long has an open lead waited for its first contact?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.entity_condition import NOTHING, EntityCondition, EntityState, Limits, MeasuredEntity, Odds, Where
from alert_rules.kinds.form import DURATION, TEXTS
from alert_rules.kinds.known import Known
from models.calendar import DAY_MS
from models.config.reader import TreeReader
from models.config.suggest import near
from models.folds.entity_snapshots import LeadState
from models.time_intervals import TimeInterval
from models.worktime import WORKING, reach, worked

#: A week in which no clocks are changed anywhere: 2026-01-05T00:00Z, a Monday.
_A_WEEK = 1_767_571_200_000


@dataclass(frozen=True, slots=True)
class Unanswered(EntityCondition):
    """``hours``: only time in these counts; none: all time."""

    hours: tuple[TimeInterval, ...] = ()

    KEY = "unanswered"
    ENTITY = "lead"
    UNIT = "seconds"
    TITLE = "Lead unanswered"
    EXAMPLE = "{sla: 4h, hours: business_hours}"
    FORM = {"sla": DURATION, "hours": TEXTS | {"description": "names of intervals: only time in them counts"}}
    THRESHOLD = "sla"

    @classmethod
    def read(cls, reader: TreeReader, found: Mapping[str, Any], where: Where, known: Known) -> Self:
        """Read the names of the hours that count."""
        named = found.get("hours", [])
        names = named if isinstance(named, list) else [named]
        for name in names:
            if name not in known.intervals:
                reader.bad("unanswered.hours", f"undefined time interval {name!r}{near(name, sorted(known.intervals))}")
        return cls(where, tuple(interval for name in names for interval in known.intervals.get(name, ())))

    @property
    def spoken(self) -> str:
        """The unit of the wait: working time is not told as if it were time on the clock."""
        return f"{WORKING}{self._day // 1000}" if self.hours else self.UNIT

    @property
    def _day(self) -> int:
        """How much of its hours a day has in which they fall, milliseconds: a working day."""
        week = [worked(self.hours, _A_WEEK + n * DAY_MS, _A_WEEK + (n + 1) * DAY_MS) for n in range(7)]
        return round(sum(week) / max(1, sum(map(bool, week))))

    def _measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        if not isinstance(state, LeadState) or state.contacted is not None or state.created is None:
            return NOTHING
        created, hours = state.created, self.hours
        waited = worked(hours, created, now)
        ahead = [due for t in thresholds if waited <= t * 1000 and (due := reach(hours, created, int(t * 1000) + 1))]
        return MeasuredEntity(waited / 1000, min(ahead, default=None), {"waited": waited / 1000, "began": created / 1000})

    def crossed(self, threshold: float, state: EntityState, limits: Limits, now: int) -> int:
        """Return when it had waited for so long."""
        return reach(self.hours, state.created or now, int(threshold * 1000)) or now
