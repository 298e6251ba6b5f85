"""How many of its busy hours has a sender of events missed, against its own usual rhythm?

A sender's rhythm is the hours of the week (business time zone) in which it usually sends: those in which it did in at least
three of the last four weeks (in all of them while there are fewer; with less than two weeks nothing is said). Silence is measured
in such hours that have passed since the hour of its last event, the present one in part. So nights, weekends,
and senders that deliver once a day raise no alarm of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.kinds.entity_condition import HeardSender, SenderCondition
from alert_rules.kinds.say import Say
from models.calendar import DAY_MS, HOUR_MS

#: Weeks looked back at, and in how many of them an hour must have had events to be a usual one.
WEEKS, USUAL = 4, 3
#: Before so many whole weeks nobody knows a rhythm.
LEAST_WEEKS = 2
_WEEK = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Silent(SenderCondition):
    """Hours in which it would have sent."""

    KEY = "silent"
    UNIT = "hours"
    TITLE = "Sender silent"
    EXAMPLE = "{missed: 3}"
    FORM = {"missed": {"description": "so many of its busy hours", "type": "number", "exclusiveMinimum": 0}}
    THRESHOLD = "missed"
    TESTED = frozenset({"usual"})

    def of_sender(self, sender: HeardSender, least: float, now: int, hour_of_week: Callable[[int], int]) -> float:
        """Return how many of its busy hours have passed since a sender's last event; 0 where its rhythm is not known."""
        last = sender.last
        weeks = min(WEEKS, (last - sender.first) // _WEEK)
        # Of the hours that have passed no more can be usual ones: most senders are done with here.
        if weeks < LEAST_WEEKS or now - last <= least * HOUR_MS:
            return 0.0
        seen: dict[int, int] = {}
        for hour in sender.hours:
            # The hour of the last event counts for nothing: it is not over.
            if last - last % HOUR_MS - weeks * _WEEK <= hour < last - last % HOUR_MS:
                of_week = hour_of_week(hour)
                seen[of_week] = seen.get(of_week, 0) + 1
        needed = min(weeks, USUAL) if weeks < WEEKS else USUAL
        usual = {of_week for of_week, count in seen.items() if count >= needed}
        missed = 0.0
        # A week of silence says all there is to say.
        for hour in range(last - last % HOUR_MS + HOUR_MS, min(now, last + _WEEK), HOUR_MS):
            if hour_of_week(hour) in usual:
                missed += min(now - hour, HOUR_MS) / HOUR_MS
        return missed

    @classmethod
    def headline(cls, entity: Mapping[str, Any], words: Say) -> str | None:
        """Return ``for 3 h``."""
        silence = entity.get("silence")
        return None if silence is None else words.lasting(silence * 1000)
