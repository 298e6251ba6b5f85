"""Of which deals and leads does an import tell, and how do they stand?"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

#: How a deal or lead stands after an event of a type; events of other types change nothing of it.
_AFTER = {
    "deal.created": "open",
    "deal.stage_changed": "open",
    "deal.reopened": "open",
    "deal.won": "won",
    "deal.lost": "lost",
    "deal.deleted": "gone",
    "deal.merged": "gone",
    "lead.created": "waiting",
    "lead.contacted": "contacted",
    "lead.qualified": "qualified",
    "lead.converted": "converted",
    "lead.disqualified": "disqualified",
    "lead.deleted": "gone",
    "lead.merged": "gone",
}
_SHOWN = {"deal": ("won", "lost", "open"), "lead": ("waiting", "contacted", "qualified", "converted", "disqualified")}


class Imported:
    """Counts deals and leads by how they stand after the last event, in the order of the events."""

    def __init__(self) -> None:
        self._stands: dict[tuple[str, str], str] = {}
        self._made: set[tuple[str, str]] = set()
        self.closes = 0

    def take(self, event: dict[str, Any]) -> None:
        """Count one more event."""
        kind = event["type"]
        after = _AFTER.get(kind)
        if after is None:
            return
        key = kind.partition(".")[0], event["subject"]
        self.closes += after in ("won", "lost")
        if kind.endswith(".created"):
            self._made.add(key)
            self._stands.setdefault(key, after)  # told more than once, or in the millisecond of the first step: the step stands
        else:
            self._stands[key] = after

    def created(self, room: str) -> int:
        """Return how many deals, or leads, were created."""
        return sum(one == room for one, _ in self._made)

    @property
    def none_closed(self) -> bool:
        """Whether deals were created and none was ever won or lost."""
        return not self.closes and self.created("deal") > 0

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the counts of deals and of leads that were created, each where anything is told of them."""
        found = Counter((key[0], after) for key, after in self._stands.items() if key in self._made)
        rooms = {room for room, _ in self._stands}
        return {
            f"{room}s": {"created": self.created(room), **{after: found[room, after] for after in shown}}
            for room, shown in _SHOWN.items()
            if room in rooms
        }

    def lines(self, unmapped: Mapping[str, int] = MappingProxyType({})) -> list[str]:
        """Return the counts as people read them; ``unmapped`` are those in stages or statuses that nobody knows."""
        return [
            f"{what}: {', '.join(f'{count:,} {name}' for name, count in found.items())}, {unmapped.get(what, 0):,} unmapped"
            + (" (taken as open)" if unmapped.get(what) else "")
            for what, found in self.counts().items()
        ]
