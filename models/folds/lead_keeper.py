"""How is an event of a lead applied, and when is a lead forgotten?"""

from typing import Any

import msgspec

from models.business import Business
from models.entities.entity_log import EntityLog
from models.events import leads as lead_events
from models.events.merges import LeadAbsorbed
from models.folds import deals, leads
from models.folds.entity_snapshots import LEAD_STATES, LeadState, lead_state
from models.folds.logged_keeper import LoggedKeeper, latest
from models.panes.segments import Segments
from models.panes.store import Panes

_LEAD_KINDS: dict[type, str] = {
    lead_events.LeadCreated: deals.CREATED,
    lead_events.LeadUpdated: deals.UPDATED,
    lead_events.LeadContacted: leads.CONTACTED,
    lead_events.LeadContactAttempted: leads.ATTEMPTED,
    lead_events.LeadDisqualified: leads.DISQUALIFIED,
    lead_events.LeadConverted: leads.CONVERTED,
    lead_events.LeadMerged: deals.MERGED,
    lead_events.LeadDeleted: deals.DELETED,
}
_to_dict = msgspec.to_builtins


class LeadKeeper(LoggedKeeper):
    """Leads: what is said of them."""

    fold, present, steps = "leads", leads.Lead, leads.LeadSteps

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        keep = business.keep_days + business.maturity
        super().__init__(business, panes, segments, "lead-merges", LEAD_STATES, "lead.absorbed", keep)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one lead event."""
        cls = event.__class__
        kind = _LEAD_KINDS.get(cls)
        if kind is not None:
            return self.note(event.subject, (at, event.id, kind, _to_dict(event.data)), event.source)
        if cls is LeadAbsorbed:
            return self.absorb(event.subject, event.data.facts)
        return self.note(event.subject, (at, event.id, event.data.level, {}), event.source)  # lead.qualified: mql or sql

    def state(self, key: str, story: EntityLog[Any]) -> LeadState:
        """Return the state of a lead."""
        return lead_state(key, self.histories.present(story), latest(story), story.sender)
