"""How is an event of a visitor applied, and when is a visitor forgotten?"""

from collections.abc import Iterator
from typing import Any

from models.business import Business
from models.calendar import HOUR_MS
from models.entities.store import Entities
from models.folds import engagement
from models.folds.keeper import Keeper
from models.panes.segments import Segments
from models.panes.store import Panes


class EngagementKeeper(Keeper):
    """Visitors: their sessions and the mails that they have had."""

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._visits = engagement.Visits(business, panes, segments)
        self._horizon, self._keep = business.visit_horizon, business.keep_days
        self.entities: Entities[engagement.Visitor] = Entities(engagement.decode, engagement.encode)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one engagement event."""
        key = event.subject
        visitor = self.entities.get(key)
        if visitor is None:
            visitor = self._visits.new()
        if not self._visits.add(visitor, event, at, arrival):
            return "duplicate"
        self.entities.put(key, visitor)
        return "applied"

    def dead(self, state: engagement.Visitor, watermark: int) -> bool:
        """A visitor is forgotten when no window reaches back to the last visit, and no id is remembered."""
        return state.last < watermark - self._keep and self._quiet(state, watermark)

    def shrink(self, state: engagement.Visitor, watermark: int) -> bool:
        """Beyond the horizon only where visits began is remembered, for distinct visitors in longer windows."""
        if not (state.sessions or state.seen.hours or state.mails or state.trail) or not self._quiet(state, watermark):
            return False
        self._visits.shrink(state)
        return True

    def values(self, state: engagement.Visitor) -> Iterator[tuple[str, Any]]:
        """Return what its sessions came from."""
        for session in state.sessions:
            yield "source", session.source
            yield "campaign", session.campaign
            yield "page", session.exit_page
        for mail in state.mails.values():
            yield "source", mail.channel
            yield "campaign", mail.campaign
        for name in {*state.visits, *[name for past in state.past.values() for name in past]}:
            dimension, _, value = name.partition("=")
            yield dimension, value

    def _quiet(self, state: engagement.Visitor, watermark: int) -> bool:
        """Whether nothing has been seen, or has come, for as long as the horizon."""
        recent = (watermark - self._horizon) // HOUR_MS
        return state.last < watermark - self._horizon and all(hour < recent for hour in state.seen.hours.values())
