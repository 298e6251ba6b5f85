"""How is an event of an account or a channel of spend applied? Neither is forgotten."""

from typing import Any

from models.business import Business
from models.entities.store import Entities
from models.folds import tallies
from models.folds.keeper import Keeper
from models.panes.segments import Segments
from models.panes.store import Panes


class TallyKeeper(Keeper):
    """Accounts and channels of spend: sums, and the ids that are in them."""

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._tallies = tallies.Tallies(business, panes, segments)
        self.entities: Entities[tallies.Tally] = Entities(tallies.decode, tallies.encode)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one customers' or spend event."""
        key = event.subject
        tally = self.entities.get(key)
        if tally is None:
            tally = self._tallies.new()
        if not self._tallies.add(tally, event, at, arrival):
            return "duplicate"
        self.entities.put(key, tally)
        return "applied"

    def dead(self, state: tallies.Tally, watermark: int) -> bool:
        """An account stays a customer; a channel is one of few."""
        return False
