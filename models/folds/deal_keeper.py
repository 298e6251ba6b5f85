"""How is an event of a deal applied, and when is a deal forgotten?"""

from typing import Any

import msgspec
from msgspec import UNSET

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import EntityLog, Entry
from models.events import deals as deal_events
from models.events.merges import DealAbsorbed
from models.folds import deals
from models.folds.entity_snapshots import DEAL_STATES, DealState, deal_state
from models.folds.logged_keeper import LoggedKeeper, latest
from models.measures import MEASURES
from models.panes.segments import Segments
from models.panes.store import TOTAL, Cells, Panes

_DEAL_KINDS: dict[type, str] = {
    deal_events.DealCreated: deals.CREATED,
    deal_events.DealUpdated: deals.UPDATED,
    deal_events.DealStageChanged: deals.STAGE,
    deal_events.DealWon: deals.WON,
    deal_events.DealLost: deals.LOST,
    deal_events.DealReopened: deals.REOPENED,
    deal_events.DealMerged: deals.MERGED,
    deal_events.DealDeleted: deals.DELETED,
}
_DEALS = {m.name: slot for slot, m in enumerate(MEASURES["deals"])}
_ACTIVITY: Cells = ((_DEALS["deal_activities"], 1),)
#: What an activity counts for, by its kind; any other is one.
_ACTIVITIES: dict[str, Cells] = {
    **dict.fromkeys(("meeting", "demo"), (*_ACTIVITY, (_DEALS["meetings"], 1))),
    "signature": (*_ACTIVITY, (_DEALS["signatures"], 1)),
}
_FAR = 1 << 62
_to_dict = msgspec.to_builtins


class DealKeeper(LoggedKeeper):
    """Deals: what is said of them, activities on them, what became of them."""

    fold, present, steps = "deals", deals.Deal, deals.DealSteps

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        super().__init__(business, panes, segments, "deal-merges", DEAL_STATES, "deal.absorbed", business.keep_days)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one deal event."""
        cls = event.__class__
        kind = _DEAL_KINDS.get(cls)
        if kind is not None:
            return self.note(event.subject, (at, event.id, kind, _to_dict(event.data)), event.source)
        if cls is DealAbsorbed:
            return self.absorb(event.subject, event.data.facts)
        return self._activity(event, at, arrival)

    def _activity(self, event: Any, at: int, arrival: int) -> str:
        story = self.entities.get(event.subject) or self.histories.new()
        # For as long as there is the deal, not for the dedup horizon: a backfill may repeat what was delivered long ago.
        if not story.seen.add(event.id, arrival, _FAR):
            return "duplicate"
        story.active = max(story.active, at)
        self.entities.put(event.subject, story)
        owner = event.data.owner
        names = (TOTAL,) if owner is UNSET or not owner else (TOTAL, self._segments.name("owner", owner))
        self._panes.add(at // MINUTE_MS, names, _ACTIVITIES.get(event.data.kind, _ACTIVITY))
        return "applied"

    def state(self, key: str, story: EntityLog[Any]) -> DealState:
        """Return the state of a deal."""
        return deal_state(key, self.histories.present(story), latest(story), story.active, story.sender)

    def finished(self, present: deals.Deal) -> bool:
        """An open deal is in the pipeline, however old; one of unknown status is none that anybody still speaks of."""
        return present.status != deals.OPEN

    def outcome(self, key: str, base: deals.Deal) -> list[Entry]:
        """Return the close that was folded away, with who had the credit then."""
        if base.status == deals.WON or base.status == deals.LOST:
            credit = {"owner": base.owner_at_close, "team": base.team_at_close}
            return [(base.closed, f"{key}#closed", base.status, {k: v for k, v in credit.items() if v is not None})]
        return []

    def let_go(self, state: EntityLog[deals.Deal], at: int) -> None:
        """A deal of unknown status is counted as such until it is forgotten, and an open one of somebody who was erased."""
        if state.log and not state.void:
            level = self.histories.present(state).level
            if level is not None:
                names, cells = level
                self._panes.add(at // MINUTE_MS, names, cells, -1)
