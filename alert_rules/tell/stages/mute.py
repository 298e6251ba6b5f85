"""May this route speak at this time?"""

from collections.abc import Mapping, Sequence

from alert_rules.tell.stages.route import Route
from alert_rules.tell.stages.suppression import Suppression
from models.time_intervals import TimeInterval


def muted(route: Route, intervals: Mapping[str, Sequence[TimeInterval]], now: int) -> Suppression | None:
    """Return why a route is quiet now: in a mute time, or outside all of its active times; None where it may speak."""
    for name in route.mute:
        if any(interval.holds(now) for interval in intervals[name]):
            return Suppression("mute", f"mute time {name}")
    if route.active and not any(interval.holds(now) for name in route.active for interval in intervals[name]):
        return Suppression("active", f"outside of the active times {', '.join(route.active)}")
    return None
